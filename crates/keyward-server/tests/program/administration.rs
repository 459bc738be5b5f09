//! Accounts, sessions and the management of keys, in the program as it is run.

use tempfile::TempDir;

use crate::server::{Answer, Server};

pub(crate) const FORM: &str = "Content-Type: application/x-www-form-urlencoded";
pub(crate) const JSON: &str = "Content-Type: application/json";
/// An account, and what signs in to it.
pub(crate) const ADA: &str = r#"{"email":"Ada@example.com","password":"a dozen mauve geese"}"#;
pub(crate) const SIGN_IN: &str = "email=ada%40example.com&password=a+dozen+mauve+geese";

/// The bootstrap key, as a header.
pub(crate) fn bootstrap(errors: &str) -> String {
    let line = errors.lines().find(|line| line.contains("bootstrap key, shown")).expect("the key is shown");
    format!("Authorization: Bearer {}", line.rsplit(' ').next().unwrap())
}

pub(crate) fn session_of(answer: &Answer) -> String {
    assert_eq!((answer.status, answer.header("location")), (303, Some("/dashboard")), "{answer:?}");
    let cookie = answer.header("set-cookie").expect("a session has a cookie");
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/; Secure; HttpOnly; SameSite=Lax");
    pair.to_owned()
}

#[test]
fn from_the_bootstrap_key_to_a_revoked_one() {
    let folder = TempDir::new().unwrap();
    let key = {
        let server = Server::start(folder.path(), &[]);
        bootstrap(&server.stop("TERM").1)
    };
    let server = Server::start(folder.path(), &[]);
    let first = server.send_body("POST", "/api/v1/accounts", &[&key, JSON], ADA);
    assert_eq!((first.status, first.json()["is_admin"].as_bool()), (201, Some(true)), "{first:?}");
    let second = ADA.replace("Ada", "bob");
    assert_eq!(server.send_body("POST", "/api/v1/accounts", &[&key, JSON], &second).status, 409);

    let cookie = format!("Cookie: {}", session_of(&server.send_body("POST", "/api/v1/auth/login", &[FORM], SIGN_IN)));
    let new = r#"{"name":"ci","scopes":["reports:read"]}"#;
    let made = server.send_body("POST", "/api/v1/user/api-keys", &[&cookie, JSON], new);
    assert_eq!((made.status, made.header("cache-control")), (201, Some("no-store")), "{made:?}");
    let (id, secret) = (made.json()["id"].as_str().unwrap().to_owned(), made.json()["key"].as_str().unwrap().to_owned());
    let bearer = format!("Authorization: Bearer {secret}");
    let who = server.get("/whoami", &[&bearer]);
    assert_eq!((who.status, &who.json()["owner"]), (200, &first.json()["id"]));

    // By the key itself nothing is looked after, and a form of another site is refused.
    assert_eq!(server.get("/api/v1/user/api-keys", &[&bearer]).status, 403);
    let foreign = server.send_body("POST", "/api/v1/user/api-keys", &[&cookie, JSON, "Origin: https://evil.example"], new);
    assert_eq!(foreign.status, 403);
    let own = format!("Origin: http://{}", server.address);
    assert_eq!(server.send_body("POST", "/api/v1/user/api-keys", &[&cookie, JSON, &own], new).status, 201);

    let one = format!("/api/v1/user/api-keys/{id}");
    assert_eq!(server.send("DELETE", &one, &[&cookie]).status, 200);
    assert_eq!(server.get("/whoami", &[&bearer]).status, 401);
    assert_eq!(server.get(&one, &[&cookie]).json()["state"], "revoked");
    assert_eq!(server.send("POST", "/api/v1/auth/logout", &[&cookie]).status, 303);
    assert_eq!(server.get(&one, &[&cookie]).status, 401);
    assert_eq!(server.send_body("POST", "/api/v1/auth/register", &[FORM], SIGN_IN).status, 403, "nobody signs up here");

    let errors = server.stop("TERM").1;
    for hidden in ["mauve", secret.as_str(), cookie.split_once('=').unwrap().1] {
        assert!(!errors.contains(hidden), "the log holds a secret: {errors}");
    }
}

#[test]
fn a_json_file_keeps_keys_and_no_accounts() {
    let folder = TempDir::new().unwrap();
    let arguments = ["--database", "json:keys.json"];
    let key = {
        let server = Server::start(folder.path(), &arguments);
        bootstrap(&server.stop("TERM").1)
    };
    let server = Server::start(folder.path(), &arguments);
    assert_eq!(server.send_body("POST", "/api/v1/auth/login", &[FORM], SIGN_IN).status, 404);
    let made = server.send_body("POST", "/api/v1/user/api-keys", &[&key, JSON], r#"{"name":"ci","scopes":["metrics:read"]}"#);
    assert_eq!((made.status, made.json()["owner"].is_null()), (201, true), "{made:?}");
    let beyond = server.send_body("POST", "/api/v1/user/api-keys", &[&key, JSON], r#"{"name":"ci","scopes":["reports:read"]}"#);
    assert_eq!(beyond.status, 400, "a key gives no more than it holds");
}
