//! What every framework answers to whom the guard let in. What it answers to others is the policy's.

pub(crate) const BY_HEADER: &str = "/secure-data";
pub(crate) const BY_COOKIE: &str = "/secure-data/cookie";
pub(crate) const BY_QUERY: &str = "/secure-data/query";

pub(crate) const JSON: &str = "application/json";
pub(crate) const DATA: &str = r#"{"data":"for those with a key"}"#;
pub(crate) const NOT_FOUND: &str = r#"{"detail":"Not Found"}"#;
pub(crate) const METHOD_NOT_ALLOWED: &str = r#"{"detail":"Method Not Allowed"}"#;
pub(crate) const ALLOWED: &str = "GET,HEAD";
