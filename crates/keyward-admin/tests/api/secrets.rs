//! Where a password, a session and a key come out: where they belong, and nowhere else.

use std::io::{Result, Write};
use std::sync::{Arc, Mutex};

use serde_json::json;
use tracing_subscriber::filter::LevelFilter;

use crate::client::{ACCOUNTS, AUDIT, Caller, FORM, JSON, KEYS, SESSIONS, Service, USER, form};

const CANARY: &str = "canary hummed 71 operas";
const WRONG: &str = "canary missed 13 operas";
const NEXT: &str = "canary napped 94 hours";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

#[test]
fn secrets_come_out_where_they_belong_and_nowhere_else() {
    let log = Log::default();
    let writer = log.clone();
    // For the whole process: passwords are hashed on other threads.
    tracing_subscriber::fmt().with_ansi(false).with_max_level(LevelFilter::TRACE).with_writer(move || writer.clone()).init();

    let service = Service::new();
    let email = "ada@example.com";
    service.register(email, CANARY);
    // A taken address, a wrong password, one too many of them.
    service.register(email, WRONG);
    for _ in 0..11 {
        service.log_in(email, WRONG);
    }
    service.come_from([192, 0, 2, 2]);
    let session = service.log_in(email, CANARY).session();
    let (ada, browser) = (Caller::bearer(&session), Caller::cookie(&session));
    let made = service.make_key(&ada, r#"{"name":"k","scopes":["keys:manage"]}"#);
    let rotated = service.json("POST", &format!("{KEYS}/{}/rotate", made.0), &browser, r#"{"grace_seconds":60}"#).at("key");
    let password = json!({"current_password": CANARY, "new_password": NEXT}).to_string();
    let second = service.json("POST", "/api/v1/user/password", &browser, &password).session();
    let (ada, browser) = (Caller::bearer(&second), Caller::cookie(&second));

    let secrets = [CANARY, WRONG, NEXT, &session, &second, &made.1, &rotated];
    let callers = [ada, browser, Caller::bearer(&session), Caller::bearer(&made.1), Caller::bearer(&rotated), Caller::nobody()];
    let in_url = |secret: &str| form_urlencoded::byte_serialize(secret.as_bytes()).collect::<String>();
    for caller in &callers {
        for path in [USER, SESSIONS, KEYS, ACCOUNTS, AUDIT] {
            service.get(path, caller);
        }
        // Where people paste them who are in a hurry.
        for secret in secrets {
            let sent = in_url(secret);
            for query in [format!("api_key={sent}"), format!("state={sent}&limit={sent}&after={sent}&owner={sent}")] {
                service.get(&format!("{KEYS}?{query}"), caller);
                service.get(&format!("{ACCOUNTS}?{query}"), caller);
                service.get(&format!("{AUDIT}?{query}&key={sent}&actor={sent}&from={sent}&format={sent}"), caller);
            }
            for body in [
                // What is no scope, network, quota or prefix is repeated to whoever sent it, so that they find it.
                json!({"name": "k", "expires_at": secret, "expires_in_days": secret, "kind": [secret], "metadata": secret}),
                json!({"name": "k", "scopes": secret, "allowed_ips": secret, "limits": secret, "prefix": [secret]}),
                json!({"email": secret, "password": secret, "first_name": [secret], "last_name": {"x": secret}}),
                json!({"current_password": secret, "new_password": "x"}),
                json!({"disabled": secret, "is_admin": secret, "grace_seconds": secret}),
                json!([secret]),
            ] {
                for (method, path) in [("POST", KEYS), ("PATCH", USER), ("POST", "/api/v1/user/password"), ("POST", ACCOUNTS)] {
                    service.send(method, path, caller, &[JSON], body.to_string());
                }
                service.json("PATCH", &format!("{KEYS}/{}", made.0), caller, &body.to_string());
            }
            let fields = form(&[("email", secret), ("password", "x"), ("confirm_password", secret), ("first_name", secret)]);
            service.send("POST", "/api/v1/auth/register", caller, &[FORM], fields);
        }
    }
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("keyward::audit"), "{log}");
    for secret in secrets {
        let sent = in_url(secret);
        let line = log.lines().find(|line| line.contains(secret) || line.contains(&sent));
        assert_eq!(line, None, "{secret}");
    }
    assert!(!log.contains("$argon2id$"));

    // Paths are last: the audit has them as they were sent, and answers do not.
    for caller in &callers {
        for secret in secrets {
            for place in [KEYS, SESSIONS, ACCOUNTS, USER] {
                let path = format!("{place}/{}", in_url(secret));
                service.get(&path, caller);
                service.delete(&path, caller);
            }
        }
    }
    for (secret, times) in secrets.iter().zip([0, 0, 0, 1, 1, 1, 1]) {
        let answers = service.answers_with(secret);
        assert_eq!(answers.len(), times, "{secret}: {answers:#?}");
    }
}
