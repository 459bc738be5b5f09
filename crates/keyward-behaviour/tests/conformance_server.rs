//! The conformance server's command line, as scripts rely on it.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use keyward_behaviour::{
    adapters,
    model::request::ModelRequest,
    wire::{self, Protocol},
};
use serde_json::Value;

struct Files {
    folder: PathBuf,
}

impl Files {
    fn new(name: &str, policy: &str, keys: &str) -> Files {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("policy.toml"), policy).unwrap();
        fs::write(folder.join("keys.jsonl"), keys).unwrap();
        let _ = fs::remove_file(folder.join("audit.jsonl"));
        Files { folder }
    }

    fn command(&self, adapter: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_conformance-server"));
        command
            .args(["--adapter", adapter, "--listen", "127.0.0.1:0", "--policy"])
            .arg(self.folder.join("policy.toml"))
            .arg("--keys")
            .arg(self.folder.join("keys.jsonl"))
            .arg("--audit")
            .arg(self.folder.join("audit.jsonl"));
        command
    }
}

fn refused(mut command: Command) -> String {
    let Output { status, stderr, .. } = command.output().unwrap();
    assert_eq!(status.code(), Some(2));
    String::from_utf8(stderr).unwrap()
}

#[test]
fn an_adapter_that_is_not_there_is_named_with_those_that_are() {
    let problem = refused(Files::new("no-adapter", "", "").command("rocket"));
    assert!(problem.contains("rocket") && problem.contains("axum") && problem.contains("hyper"), "{problem}");
}

#[test]
fn a_bad_policy_is_told_with_its_file_and_line() {
    let problem = refused(Files::new("bad-policy", "\n[access]\ncolour = 'red'\n", "").command("hyper"));
    assert!(problem.contains("policy.toml:3: "), "{problem}");
}

#[test]
fn bad_keys_are_told_with_their_file_and_line() {
    let problem = refused(Files::new("bad-keys", "", "{\"key\":\"a\"}\n\n{\"colour\":\"red\"}\n").command("hyper"));
    assert!(problem.contains("keys.jsonl:3: "), "{problem}");
}

#[test]
fn a_missing_file_is_named() {
    let files = Files::new("no-keys", "", "");
    fs::remove_file(files.folder.join("keys.jsonl")).unwrap();
    let problem = refused(files.command("hyper"));
    assert!(problem.contains("keys.jsonl"), "{problem}");
}

/// Ends the server with the test, whatever comes of it.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn every_adapter_serves_and_appends_its_audit() {
    for adapter in adapters::all().iter().map(|adapter| adapter.name) {
        let files = Files::new(&format!("serve-{adapter}"), "", "{\"key\":\"alpha\",\"name\":\"first\"}\n");
        let mut server = Server(files.command(adapter).stdout(Stdio::piped()).spawn().unwrap());
        let mut line = String::new();
        BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address: SocketAddr = line.trim().strip_prefix("listening on ").unwrap().parse().unwrap();
        let ask = async |text: &str| wire::send(address, &ModelRequest::parse(text, None), Protocol::Http1).await.unwrap();

        let answer = ask("GET /any/path?a=b\nX-API-Key: alpha").await;
        assert_eq!(answer.status, 200, "{adapter}");
        let told = answer.json().unwrap();
        assert_eq!(told["principal"]["name"], "first");
        assert_eq!((&told["path"], &told["query"]), (&Value::from("/any/path"), &Value::from("a=b")));
        assert_eq!(ask("GET /any/path").await.status, 401);
        assert_eq!(ask("GET /optional/path").await.json().unwrap()["principal"], Value::Null);
        assert_eq!(ask("GET /scoped/a:b/path\nX-API-Key: alpha").await.status, 403);

        let audit = fs::read_to_string(files.folder.join("audit.jsonl")).unwrap();
        let events: Vec<Value> = audit.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let outcomes: Vec<&str> = events.iter().map(|event| event["outcome"].as_str().unwrap()).collect();
        assert_eq!(outcomes, ["allow", "deny", "allow", "deny"], "{adapter}");
    }
}
