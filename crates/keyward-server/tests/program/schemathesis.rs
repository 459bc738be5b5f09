//! `/openapi.json` is held against what is answered, by a program that makes up requests for every operation in it: good and bad
//! ones, one by one and one after the other. No answer may be a 5xx, nor one that the document does not tell.

use std::path::Path;
use std::process::Command;

use keyward_behaviour::services::Installed;
use tempfile::TempDir;

use crate::administration::{ADA, FORM, JSON, SIGN_IN, bootstrap, session_of};
use crate::server::Server;

/// Bad keys are sent by the hundred, and forward-auth answers trusted proxies alone.
const POLICY: &str = "[limits]\nfailures = \"off\"\n[network]\ntrusted_proxies = [\"127.0.0.1\"]\n";

struct Tried {
    server: Server,
    folder: TempDir,
    /// The bootstrap key.
    key: String,
}

impl Tried {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("policy.toml"), POLICY).unwrap();
        let key = {
            let server = Server::start(folder.path(), &["--policy", "policy.toml"]);
            bootstrap(&server.stop("TERM").1)
        };
        let server = Server::start(folder.path(), &["--policy", "policy.toml"]);
        Self { server, folder, key }
    }

    /// Tries every operation but so many, with the settings of a file. What was tried comes back.
    fn with(self, settings: &str, variables: &[(&str, &str)], left_out: usize) -> Self {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemathesis");
        let program = Installed::new(&sources, env!("CARGO_TARGET_TMPDIR").as_ref()).python_packages().join("bin/schemathesis");
        let document = format!("http://{}/openapi.json", self.server.address);
        let mut command = Command::new(program);
        command.arg("--config-file").arg(sources.join(settings)).args(["run", &document, "--no-color"]);
        // It writes what it remembers into the folder in which it runs.
        command.envs(variables.iter().copied()).current_dir(self.folder.path());
        let output = command.output().unwrap();
        let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if !output.status.success() {
            let (_, log) = self.server.stop("TERM");
            let faults: Vec<&str> = log.lines().filter(|line| line.contains(" ERROR ") || line.contains(" WARN ")).collect();
            panic!("{told}\nthe server said:\n{}", faults.join("\n"));
        }
        let paths = self.server.get("/openapi.json", &[]).json()["paths"].clone();
        let operations: usize = paths.as_object().unwrap().values().map(|item| item.as_object().unwrap().len()).sum();
        assert!(told.contains(&format!("Tested: {}\n", operations - left_out)), "not all of {operations} were tried: {told}");
        self
    }
}

#[test]
fn what_is_answered_to_nobody_is_what_is_described() {
    Tried::new().with("nobody.toml", &[], 0);
}

#[test]
fn what_is_answered_to_a_key_is_what_is_described() {
    let tried = Tried::new();
    let new = r#"{"name":"other","app":"a","agent":"b"}"#;
    let other = tried.server.send_body("POST", "/api/v1/agent-keys", &[&tried.key, JSON], new).json();
    let key = tried.key.strip_prefix("Authorization: Bearer ").unwrap();
    let key = key.to_owned();
    let tried = tried.with("key.toml", &[("KEY", &key), ("OTHER", other["id"].as_str().unwrap())], 0);
    assert_eq!(tried.server.get("/whoami", &[&tried.key]).status, 200, "it was a good key to the end");
}

#[test]
fn what_is_answered_to_an_administrator_is_what_is_described() {
    let tried = Tried::new();
    assert_eq!(tried.server.send_body("POST", "/api/v1/accounts", &[&tried.key, JSON], ADA).status, 201);
    let sign_in = || {
        let cookie = session_of(&tried.server.send_body("POST", "/api/v1/auth/login", &[FORM], SIGN_IN));
        cookie.split_once('=').unwrap().1.to_owned()
    };
    let (other, session) = (sign_in(), sign_in());
    let bearer = format!("Authorization: Bearer {session}");
    let sessions = tried.server.get("/api/v1/user/sessions", &[&format!("Authorization: Bearer {other}")]).json();
    let other = sessions["items"].as_array().unwrap().iter().find(|one| one["current"] == true).unwrap()["id"].clone();
    let tried = tried.with("session.toml", &[("SESSION", &session), ("OTHER", other.as_str().unwrap())], 10);
    assert_eq!(tried.server.get("/api/v1/user", &[&bearer]).status, 200, "it was a good session to the end");
}
