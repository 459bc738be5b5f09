//! `keyward serve --redis`: servers that share limits, and what holds while Redis is away.

use std::time::{Duration, Instant};

use keyward_behaviour::services::redis::Redis;

use crate::folder::Folder;
use crate::server::Server;
use crate::{run, succeed};

const KEY: &str = "a-key-of-its-own-0123456789abcdef";

/// A folder with one key, and a policy.
fn folder(policy: &str) -> Folder {
    let folder = Folder::new();
    folder.write("policy.toml", policy);
    succeed(&folder, &["keys", "create", "--name", "makes the database", "--database", "sqlite:keys.db"], "");
    folder.write("keys.jsonl", format!("{{\"key\":\"{KEY}\",\"entropy_bits\":128}}\n"));
    succeed(&folder, &["keys", "import", "keys.jsonl", "--database", "sqlite:keys.db"], "");
    folder
}

fn start(folder: &Folder, redis: &Redis, more: &[&str]) -> Server {
    let url = redis.url();
    let arguments = ["--policy", "policy.toml", "--database", "sqlite:keys.db", "--redis", &url];
    Server::start(folder, &[&arguments, more].concat())
}

fn ask(server: &Server, key: &str) -> u16 {
    server.get("/whoami", &[&format!("X-API-Key: {key}")]).status
}

/// How many of so many requests were let in, asked of the servers in turn.
fn admitted(servers: &[&Server], requests: usize) -> usize {
    servers.iter().cycle().take(requests).filter(|server| ask(server, KEY) == 200).count()
}

#[test]
fn a_quota_is_one_for_all_servers_and_what_is_left_is_told() {
    let (redis, folder) = (Redis::start().unwrap(), folder("[limits]\nper_key = [\"burst=5/hour\"]"));
    let servers = [start(&folder, &redis, &[]), start(&folder, &redis, &[])];
    let first = servers[0].get("/whoami", &[&format!("X-API-Key: {KEY}")]);
    let limit = &first.json()["limits"][0];
    assert_eq!((limit["name"].as_str(), limit["quota"].as_u64(), limit["remaining"].as_u64()), (Some("burst"), Some(5), Some(4)));
    assert_eq!(first.header("ratelimit"), Some("\"burst\";r=4;t=720"));
    assert_eq!(admitted(&[&servers[0], &servers[1]], 9), 4);
    let refused = servers[1].get("/whoami", &[&format!("X-API-Key: {KEY}")]);
    assert_eq!((refused.status, refused.json()["violated-policies"][0].as_str()), (429, Some("burst")));
}

#[test]
fn bad_keys_are_counted_for_all_servers_together() {
    let (redis, folder) = (Redis::start().unwrap(), folder("[limits]\nfailures = \"4/hour\""));
    let servers = [start(&folder, &redis, &[]), start(&folder, &redis, &[])];
    let statuses: Vec<u16> =
        (0..8).map(|number| ask(&servers[number % 2], &format!("nobody-has-this-key-{number:016}"))).collect();
    assert_eq!(statuses, [401, 401, 401, 401, 429, 429, 429, 429]);
}

#[test]
fn while_redis_is_away_the_mode_holds_and_each_switch_is_an_audit_event() {
    for (mode, status, admitted_of_ten) in [("local", 429, 2), ("deny", 503, 0), ("open", 200, 10)] {
        let (redis, folder) = (Redis::start().unwrap(), folder("[limits]\nper_key = [\"4/hour\"]"));
        let server = start(&folder, &redis, &["--redis-away", mode, "--redis-nodes", "2"]);
        assert_eq!(admitted(&[&server], 5), 4, "{mode}");
        redis.kill().unwrap();
        assert_eq!(admitted(&[&server], 10), admitted_of_ten, "{mode}");
        assert_eq!(ask(&server, KEY), status, "{mode}");
        redis.start_again().unwrap();
        redis.flush().unwrap();
        // Counted there again: from the full, since it was flushed.
        let begun = Instant::now();
        while redis.ask(&["KEYS", "{keyward}:identity:*"]).unwrap().is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(20), "{mode}: it does not come back");
            std::thread::sleep(Duration::from_millis(50));
        }
        let in_all = admitted(&[&server], 10);
        assert!(in_all <= 4, "{mode}: {in_all}");
        let (_, errors) = server.stop("TERM");
        let events: Vec<serde_json::Value> = errors
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .filter(|event: &serde_json::Value| event["reason"] == mode)
            .collect();
        let names: Vec<&str> = events.iter().filter_map(|event| event["event"].as_str()).collect();
        assert_eq!(names, ["limits_away", "limits_back"], "{errors}");
    }
}

#[test]
fn what_is_wrong_is_told_without_the_password() {
    let (redis, folder) = (Redis::start().unwrap(), folder(""));
    let url = redis.url();
    let wrong = url.replace("redis://", "redis://user:hunter2@");
    for (arguments, status, told) in [
        (&["--redis", "nonsense"][..], 2, "--redis"),
        (&["--redis", "redis://user:hunter2@[::1"], 2, "--redis"),
        (&["--redis", &wrong], 3, "--redis"),
        (&["--redis", &url, "--redis-away", "maybe"], 2, "--redis-away"),
        (&["--redis", &url, "--redis-nodes", "0"], 2, "--redis-nodes"),
        (&["--redis", &url, "--redis-nodes", "4294967296"], 2, "from 1 to 4294967295"),
        (&["--redis", &url, "--redis-namespace", "a b"], 2, "--redis-namespace"),
        // How, and not where.
        (&["--redis-away", "deny"], 2, "--redis-away: "),
        (&["--redis-nodes", "4"], 2, "--redis-nodes: "),
        (&["--redis-namespace", "a"], 2, "--redis-namespace: "),
    ] {
        let ran = run(&folder, &[&["serve", "--database", "memory:", "--listen", "127.0.0.1:0"], arguments].concat(), "");
        assert_eq!(ran.status, status, "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains(told) && !ran.err.contains("hunter2"), "{}", ran.err);
    }
    assert!(succeed(&folder, &["serve", "--help"], "").out.contains("KEYWARD_REDIS"));
}
