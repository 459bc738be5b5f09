//! Programs and libraries of other languages, installed at their first use into a folder of this workspace's builds.
//!
//! A test without them fails: an interoperability that is not tried is not there.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Runs a Python program of `tests/interop` in an environment of its own, with what `requirements.txt` pins.
pub(crate) fn python(program: &str, input: &str) -> String {
    let mend = "install Python with its venv (`apt-get install python3 python3-venv`), and let pip reach a package index";
    let pinned = sources().join("requirements.txt");
    let folder = installed("python", &pinned, |folder| {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder), "", mend);
        let mut install = Command::new(folder.join("bin/python"));
        install.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--require-hashes",
            "--only-binary",
            ":all:",
        ]);
        run(install.arg("--requirement").arg(&pinned), "", mend);
    });
    run(Command::new(folder.join("bin/python")).arg("-I").arg(sources().join(program)), input, mend)
}

/// Runs a program of `tests/interop` in Node, with what `package-lock.json` pins.
pub(crate) fn node(program: &str, input: &str) -> String {
    let mend = "install Node 20 or newer with npm (`apt-get install nodejs npm`), and let npm reach a registry";
    let lock = sources().join("package-lock.json");
    let folder = installed("node", &lock, |folder| {
        fs::create_dir_all(folder).unwrap();
        for file in ["package.json", "package-lock.json"] {
            fs::copy(sources().join(file), folder.join(file)).unwrap();
        }
        let mut install = Command::new("npm");
        run(install.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(folder), "", mend);
    });
    // Modules are looked for beside the program.
    let copy = folder.join(program);
    fs::copy(sources().join(program), &copy).unwrap();
    run(Command::new("node").arg(copy), input, mend)
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop")
}

/// The folder of an installation that is whole, and of exactly what is pinned now.
fn installed(name: &str, pinned: &Path, install: impl FnOnce(&Path)) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interop").join(name);
    fs::create_dir_all(folder.parent().unwrap()).unwrap();
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

/// Runs a program to its end, and returns what it printed.
fn run(command: &mut Command, input: &str, mend: &str) -> String {
    let program = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot run `{program}`: {error}. To mend it, {mend}"));
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
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
