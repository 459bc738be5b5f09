//! One program for the browser: started, waited for, and what it knows looked for where it must not be.

use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use keyward_behaviour::services::Installed;
use serde::Deserialize;
use serde_json::json;
use tempfile::TempDir;

use crate::program::Program;
use crate::site::Site;

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser");
const BUILDS: &str = env!("CARGO_TARGET_TMPDIR");

/// A program beside this file.
pub(crate) struct Scenario {
    program: &'static str,
    /// What a browser keeps on the disk.
    profile: TempDir,
}

/// What a program prints at its end.
#[derive(Deserialize)]
struct Told {
    /// Keys, passwords and ids of sessions.
    secrets: Vec<String>,
}

impl Scenario {
    pub(crate) fn new(program: &'static str) -> Self {
        Self { program, profile: TempDir::new_in(BUILDS).unwrap() }
    }

    /// Runs it against a site. What it says to be secret must not have been in any target or `Referer`, and not be on the disk.
    pub(crate) fn at(self, site: &Site) {
        let told = self.run(&site.address.to_string(), Some(site.clock), &site.first_key);
        let heads = site.heads.lock().unwrap();
        assert!(heads.iter().any(|head| head.contains("referer http://")), "browsers tell of the page before");
        for secret in &told.secrets {
            let found: Vec<&String> = heads.iter().filter(|head| head.contains(secret)).collect();
            assert!(found.is_empty(), "{}: a secret is in an address: {found:?}", self.program);
        }
    }

    /// Runs it against the program.
    pub(crate) fn at_program(self, program: &Program) {
        self.run(&program.address, None, &program.first_key);
    }

    fn run(&self, address: &str, clock: Option<SocketAddr>, first_key: &str) -> Told {
        let chromium = std::env::var("KEYWARD_CHROMIUM").unwrap_or_else(|_| "chromium".to_owned());
        let pictures = Path::new(BUILDS).join("browser/pictures");
        let settings = json!({
            "modules": Installed::new(SOURCES.as_ref(), BUILDS.as_ref()).node_modules(),
            "chromium": which(&chromium),
            "profile": self.profile.path(),
            "pictures": pictures,
            "origin": format!("http://{address}"),
            "clock": clock.map(|clock| format!("http://{clock}")),
            "firstKey": first_key,
        });
        let mut child = Command::new("node")
            .arg(Path::new(SOURCES).join(self.program))
            .env("KEYWARD_BROWSER_TEST", settings.to_string())
            .env("HOME", self.profile.path())
            // Open as long as this process is there: its end is the program's.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run `node`: {error}; install it (`apt-get install nodejs npm`)"));
        let mut printed = String::new();
        child.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
        let status = child.wait().unwrap();
        assert!(status.success(), "{} ({status}):\n{printed}", self.program);
        let told: Told = serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"));
        for secret in &told.secrets {
            assert!(secret.len() >= 12, "what is that short may be anywhere by chance");
            let files = files_with(self.profile.path(), secret.as_bytes());
            assert!(files.is_empty(), "{}: the browser keeps a secret in {files:?}", self.program);
        }
        told
    }
}

/// Where a program is, as a shell finds it.
fn which(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file());
    found.unwrap_or_else(|| {
        panic!("there is no `{program}`: install Chromium (`apt-get install chromium`), or name one by KEYWARD_CHROMIUM")
    })
}

/// The files below a folder that have these bytes in them.
fn files_with(folder: &Path, bytes: &[u8]) -> Vec<PathBuf> {
    let files = walkdir::WalkDir::new(folder).into_iter().filter_map(Result::ok).filter(|entry| entry.file_type().is_file());
    let has = |path: &PathBuf| std::fs::read(path).is_ok_and(|text| text.windows(bytes.len()).any(|window| window == bytes));
    files.map(walkdir::DirEntry::into_path).filter(has).collect()
}
