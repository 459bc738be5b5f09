//! Somebody who signs in to an example, as a browser or a program does.

use super::{Answer, Server};

pub(crate) const FORM: &str = "Content-Type: application/x-www-form-urlencoded";
pub(crate) const JSON: &str = "Content-Type: application/json";
pub(crate) const PASSWORD: &str = "a dozen mauve geese";

/// The first start's key, as a header line.
pub(crate) fn bootstrap(server: &Server) -> String {
    let line = server.says("bootstrap key, shown this once");
    format!("Authorization: Bearer {}", line.rsplit(' ').next().unwrap())
}

pub(crate) fn register(server: &Server, email: &str) -> Answer {
    let fields =
        [("email", email), ("password", PASSWORD), ("confirm_password", PASSWORD), ("first_name", "John"), ("last_name", "Doe")];
    server.ask("POST", "/api/v1/auth/register", &[FORM], &form(&fields))
}

pub(crate) fn log_in(server: &Server, email: &str, password: &str) -> Answer {
    server.ask("POST", "/api/v1/auth/login", &[FORM], &form(&[("email", email), ("password", password)]))
}

/// The administrator's account, made with the first start's key.
pub(crate) fn make_administrator(server: &Server, email: &str) -> Answer {
    let account = serde_json::json!({ "email": email, "password": PASSWORD }).to_string();
    server.ask("POST", "/api/v1/accounts", &[&bootstrap(server), JSON], &account)
}

/// The token of a new session.
pub(crate) fn session(server: &Server, email: &str) -> String {
    let answer = log_in(server, email, PASSWORD);
    let line = answer.header("set-cookie").unwrap_or_else(|| panic!("no cookie: {answer:?}"));
    let (pair, attributes) = line.split_once("; ").unwrap();
    assert_eq!((answer.status, attributes), (303, "Path=/; Secure; HttpOnly; SameSite=Lax"));
    pair.split_once('=').unwrap().1.to_owned()
}

pub(crate) fn cookie(token: &str) -> String {
    format!("Cookie: {}={token}", keyward_admin::SESSION_COOKIE)
}

pub(crate) fn bearer(secret: &str) -> String {
    format!("Authorization: Bearer {secret}")
}

fn form(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}
