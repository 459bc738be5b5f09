//! Programs and libraries of other languages, installed at their first use into a folder of this workspace's builds.
//!
//! A test without them fails: an interoperability that is not tried is not there.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a folder of a test's sources pins: `requirements.txt` for Python, `package-lock.json` for Node.
#[derive(Debug, Clone, Copy)]
pub struct Installed<'a> {
    sources: &'a Path,
    into: &'a Path,
}

impl<'a> Installed<'a> {
    /// What `sources` pins, below `into`: a test's `CARGO_TARGET_TMPDIR`.
    pub fn new(sources: &'a Path, into: &'a Path) -> Self {
        Self { sources, into }
    }

    /// Runs a Python program of the sources in an environment of its own, to its end, and returns what it printed.
    ///
    /// # Panics
    /// Where Python is missing, or the program fails.
    pub fn python(self, program: &str, input: &str) -> String {
        let python = self.python_packages().join("bin/python");
        run(Command::new(python).arg("-I").arg(self.sources.join(program)), input, PYTHON)
    }

    /// The folder that has Python's packages, and what they offer as programs in `bin`.
    ///
    /// # Panics
    /// Where Python is missing, or no package index can be reached.
    pub fn python_packages(self) -> PathBuf {
        let pinned = self.sources.join("requirements.txt");
        self.folder("python", &pinned, |folder| {
            run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder), "", PYTHON);
            let mut install = Command::new(folder.join("bin/python"));
            install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
            install.args(["--require-hashes", "--only-binary", ":all:"]);
            run(install.arg("--requirement").arg(&pinned), "", PYTHON);
        })
    }

    /// Runs a program of the sources in Node, to its end, and returns what it printed.
    ///
    /// # Panics
    /// Where Node or npm is missing, or the program fails.
    pub fn node(self, program: &str, input: &str) -> String {
        let folder = self.node_modules();
        // Modules are looked for beside the program.
        let copy = folder.join(program);
        fs::copy(self.sources.join(program), &copy).unwrap();
        run(Command::new("node").arg(copy), input, NODE)
    }

    /// The folder that has Node's packages in `node_modules`.
    ///
    /// # Panics
    /// Where Node or npm is missing, or no registry can be reached.
    pub fn node_modules(self) -> PathBuf {
        let lock = self.sources.join("package-lock.json");
        self.folder("node", &lock, |folder| {
            fs::create_dir_all(folder).unwrap();
            for file in ["package.json", "package-lock.json"] {
                fs::copy(self.sources.join(file), folder.join(file)).unwrap();
            }
            let mut install = Command::new("npm");
            run(install.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(folder), "", NODE);
        })
    }

    /// The folder of an installation that is whole, and of exactly what is pinned now.
    fn folder(self, name: &str, pinned: &Path, install: impl FnOnce(&Path)) -> PathBuf {
        let tests = self.sources.file_name().unwrap_or_default();
        let folder = self.into.join(tests).join(name);
        fs::create_dir_all(folder.parent().unwrap_or(&folder)).unwrap();
        // Tests run at the same time, in several processes.
        let lock = File::create(folder.with_extension("lock")).unwrap();
        lock.lock().unwrap();
        let (done, pinned) = (folder.with_extension("pinned"), fs::read(pinned).unwrap());
        if fs::read(&done).ok().as_ref() != Some(&pinned) {
            let _ = fs::remove_dir_all(&folder);
            install(&folder);
            fs::write(done, pinned).unwrap();
        }
        folder
    }
}

const PYTHON: &str = "install Python with its venv (`apt-get install python3 python3-venv`), and let pip reach a package index";
const NODE: &str = "install Node 20 or newer with npm (`apt-get install nodejs npm`), and let npm reach a registry";

/// Runs a program to its end, and returns what it printed.
fn run(command: &mut Command, input: &str, mend: &str) -> String {
    let program = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot run `{program}`: {error}. To mend it, {mend}"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "`{program}` failed ({}): {}\nIf what it needs is missing, {mend}",
        output.status,
        said.trim()
    );
    String::from_utf8(output.stdout).unwrap()
}
