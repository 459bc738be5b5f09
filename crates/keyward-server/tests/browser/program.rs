//! The program as it is run, with what its policy says of quotas left to each key.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A running `keyward serve`. Ended with the test.
pub(crate) struct Program {
    child: Child,
    pub(crate) address: String,
    /// The key that it shows once, on its first start.
    pub(crate) first_key: String,
    _folder: TempDir,
}

impl Program {
    pub(crate) fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_keyward"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .current_dir(folder.path())
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let shown = lines.find(|line| line.contains("bootstrap key, shown")).expect("the first key is shown");
        // Somebody has to read on, or it would wait for that.
        std::thread::spawn(move || lines.for_each(drop));
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        let address = ready.trim().strip_prefix("listening on ").expect("it says that it listens").to_owned();
        Self { child, address, first_key: shown.rsplit(' ').next().unwrap_or_default().to_owned(), _folder: folder }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
