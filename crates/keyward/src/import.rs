//! Keys made elsewhere, one JSON object a line.
//!
//! ```json
//! {"key":"an-existing-key","entropy_bits":128,"name":"exporter","scopes":["reports:read"],"expires_at":"2030-01-01T00:00:00Z"}
//! ```
//!
//! A key of which nothing is known is taken for one that can be guessed (R7.3): its row says `"entropy_bits":128` where that is
//! known to be so, or gives a public `handle`, what the key begins with, under which its Argon2id hash is stored.
//!
//! A row has one of `key`, `sha256` (in hexadecimal digits or base64) or `phc` (with `handle`). Names: `name`, `kind`, `owner`, `scopes`,
//! `not_before`, `expires_at`, `revoked`, `disabled`, `allowed_ips`, `resource_pattern`, `limit` (one quota or a list). Others are errors.

use serde::Deserialize;

use crate::clock::Timestamp;
use crate::credential::Secret;
use crate::key::{Argon2Hash, KeyDigest};
use crate::limit::Quota;
use crate::network::{AddressList, BadNetwork};
use crate::path::{BadPathPattern, PathPattern};
use crate::scope::Scope;
use crate::store::unhex;

/// One key to take over.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ImportedKey {
    /// The key, or what is known of it.
    pub secret: ImportedSecret,
    /// A name for people; without one, what may be shown of the key.
    pub name: Option<String>,
    /// A label that routes may demand.
    pub kind: Option<Box<str>>,
    /// Whose it is.
    pub owner: Option<Box<str>>,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Not accepted before.
    pub not_before: Option<Timestamp>,
    /// Not accepted from then on.
    pub expires_at: Option<Timestamp>,
    /// Ended already.
    pub revoked: bool,
    /// Switched off.
    pub disabled: bool,
    /// Accepted only from there.
    pub networks: Option<AddressList>,
    /// Accepted only for these paths.
    pub resource_pattern: Option<PathPattern>,
    /// Its own quotas.
    pub limits: Option<Vec<Quota>>,
}

/// What is known of a key made elsewhere.
#[derive(Debug, Clone)]
pub enum ImportedSecret {
    /// The key itself.
    Key {
        /// In plain text.
        key: Secret,
        /// `None`: declared to have at least 112 bits of entropy, so a digest is enough. Else the handle under which its
        /// Argon2id hash is stored.
        argon2_handle: Option<String>,
    },
    /// Its SHA-256: only for keys of at least 112 bits of entropy.
    Sha256(KeyDigest),
    /// Its Argon2id hash.
    Argon2(Argon2Hash),
}

/// A row that cannot be imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct BadRow {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it. Never holds the key.
    pub problem: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    key: Option<String>,
    sha256: Option<String>,
    phc: Option<String>,
    handle: Option<String>,
    entropy_bits: Option<u32>,
    name: Option<String>,
    kind: Option<String>,
    owner: Option<String>,
    // Read apart below: serde's own texts would repeat what cannot be read, which may be a key in the wrong column.
    #[serde(default)]
    scopes: Vec<String>,
    not_before: Option<String>,
    expires_at: Option<String>,
    #[serde(default)]
    revoked: bool,
    #[serde(default)]
    disabled: bool,
    allowed_ips: Option<Vec<String>>,
    resource_pattern: Option<String>,
    limit: Option<OneOrMore>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// Reads rows to import; empty lines are skipped. Every row is read, so that all faults can be told at once.
pub fn from_json_lines(text: &str) -> impl Iterator<Item = Result<ImportedKey, BadRow>> {
    rows(text, false)
}

/// Reads a file of keys that a program holds in memory alone, anew at each start. Rows need not say how strong their keys are:
/// nothing is stored that could be stolen apart from the file itself, which has them in plain text.
pub fn keys_file(text: &str) -> impl Iterator<Item = Result<ImportedKey, BadRow>> {
    rows(text, true)
}

fn rows(text: &str, held_in_memory: bool) -> impl Iterator<Item = Result<ImportedKey, BadRow>> {
    let rows = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    rows.map(move |(index, line)| read_row(line, held_in_memory).map_err(|problem| BadRow { line: index + 1, problem }))
}

fn read_row(line: &str, held_in_memory: bool) -> Result<ImportedKey, String> {
    let row: Row = serde_json::from_str(line).map_err(|error| without_values(&error))?;
    let is_strong = row.entropy_bits.is_some_and(|bits| bits >= 112);
    // A visible character has at most log2(94) = 6.55 bits.
    let holds_that = |key: &String| key.len().saturating_mul(655) / 100 >= 112;
    if is_strong && row.key.as_ref().is_some_and(|key| !holds_that(key)) {
        return Err(
            "a key this short cannot have 112 bits of entropy: give its `handle` instead, to store it as Argon2id".to_owned()
        );
    }
    let secret = match (row.key, row.sha256, row.phc, row.handle) {
        (Some(key), None, None, Some(handle)) => ImportedSecret::Key { key: Secret::new(key), argon2_handle: Some(handle) },
        (Some(key), None, None, None) if is_strong || held_in_memory => {
            ImportedSecret::Key { key: Secret::new(key), argon2_handle: None }
        }
        (Some(_), None, None, None) => {
            return Err("nothing is known of the key's strength: add `\"entropy_bits\":128` if it was generated at random, or `handle`, the first 8 to 32 characters of it, to store it as Argon2id".to_owned());
        }
        (None, Some(_), None, None) if !(is_strong || held_in_memory) => {
            return Err("a SHA-256 is enough only for keys of at least 112 bits of entropy: add `\"entropy_bits\":128` if they were generated at random".to_owned());
        }
        (None, Some(digits), None, None) => ImportedSecret::Sha256(
            read_sha256(&digits).ok_or("`sha256` is neither 64 hexadecimal digits nor 32 bytes in base64")?,
        ),
        (None, None, Some(phc), Some(handle)) => {
            ImportedSecret::Argon2(Argon2Hash::from_phc(&handle, &phc).map_err(|error| error.to_string())?)
        }
        (None, None, Some(_), None) => return Err("`phc` needs `handle`: the first 8 to 32 characters of the key".to_owned()),
        _ => return Err("write exactly one of `key`, `sha256`, or `phc` with `handle`".to_owned()),
    };
    let networks = match row.allowed_ips {
        None => None,
        Some(all) if all == ["*"] => None,
        Some(none) if none.is_empty() => {
            return Err("`allowed_ips` is empty, which admits nobody: leave it out for anybody".to_owned());
        }
        Some(networks) => Some(AddressList::parse(networks).map_err(|error| match error {
            // What it is may be a key in the wrong column.
            BadNetwork::Unreadable(_) => {
                "one of `allowed_ips` is no address and no network: write 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32".to_owned()
            }
            readable => format!("one of `allowed_ips`, {readable}"),
        })?),
    };
    if let Some(OneOrMore::More(quotas)) = &row.limit {
        let mut windows: Vec<_> = quotas.iter().filter_map(|quota| quota.parse::<Quota>().ok()).map(Quota::window).collect();
        windows.sort();
        if windows.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err("two of `limit` have one window: keep the smaller".to_owned());
        }
    }
    if matches!(&row.limit, Some(OneOrMore::More(none)) if none.is_empty()) {
        return Err("`limit` is empty: leave it out for the policy's own".to_owned());
    }
    let limits = match row.limit {
        None => None,
        Some(OneOrMore::One(quota)) => Some(vec![quota]),
        Some(OneOrMore::More(quotas)) => Some(quotas),
    };
    let limits = limits.map(|quotas| quotas.iter().map(|quota| quota.parse::<Quota>()).collect::<Result<_, _>>());
    Ok(ImportedKey {
        secret,
        name: row.name,
        kind: row.kind.map(Into::into),
        owner: row.owner.map(Into::into),
        scopes: row.scopes.iter().map(|scope| scope.parse()).collect::<Result<_, _>>().map_err(|_| {
            "one of `scopes` is no scope: write visible ASCII without quotes or backslash, words joined by `:`, with `*` only as the last of several words"
        })?,
        not_before: read_time("not_before", row.not_before.as_deref())?,
        expires_at: read_time("expires_at", row.expires_at.as_deref())?,
        revoked: row.revoked,
        disabled: row.disabled,
        networks,
        resource_pattern: row.resource_pattern.map(|written| written.parse()).transpose().map_err(|error: BadPathPattern| {
            format!("`resource_pattern` {error}")
        })?,
        limits: limits.transpose().map_err(|_| {
            "`limit` is no quota: write COUNT/unit or COUNT/NUMBERunit with second, minute, hour or day, like 100/hour or 5/10s"
        })?,
    })
}

fn read_time(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, String> {
    let time = text.map(str::parse).transpose();
    time.map_err(|_| format!("`{name}` is not a time like 2026-01-31T12:00:00Z (RFC 3339), from 1678 to 2261"))
}

/// serde_json quotes what it could not read, which may be the key: only what it expected and where is told.
fn without_values(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match error.classify() {
        // The unknown name itself may be a key that stands in the wrong place.
        serde_json::error::Category::Data if text.starts_with("unknown field") => {
            let known = text.split_once(", ").map_or("", |(_, known)| known);
            let known = known.split_once(" at line").map_or(known, |(known, _)| known);
            format!("an unknown name at column {}: {known}", error.column())
        }
        serde_json::error::Category::Data => format!("a value of the wrong type at column {}", error.column()),
        _ => format!("no JSON object, at column {}", error.column()),
    }
}

/// 64 hexadecimal digits, or base64 with either alphabet, with or without padding.
fn read_sha256(text: &str) -> Option<KeyDigest> {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
    let bytes = unhex(text).or_else(|| {
        let unpadded = text.strip_suffix('=').unwrap_or(text);
        let decoded = STANDARD_NO_PAD.decode(unpadded).or_else(|_| URL_SAFE_NO_PAD.decode(unpadded)).ok()?;
        decoded.try_into().ok()
    })?;
    Some(KeyDigest::from_bytes(0, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(line: &str) -> String {
        keys_file(line).next().unwrap().unwrap_err().to_string()
    }

    #[test]
    fn a_key_that_may_be_guessed_is_not_stored_as_a_digest() {
        let hex = "0".repeat(64);
        for (row, good) in [
            (r#"{"key":"k"}"#.to_owned(), false),
            (r#"{"key":"k","entropy_bits":111}"#.to_owned(), false),
            (r#"{"key":"k","entropy_bits":112}"#.to_owned(), false),
            (r#"{"key":"0123456789abcdefg","entropy_bits":112}"#.to_owned(), false),
            (r#"{"key":"0123456789abcdefgh","entropy_bits":112}"#.to_owned(), true),
            (r#"{"key":"customer1-x","handle":"customer1"}"#.to_owned(), true),
            (format!(r#"{{"sha256":"{hex}"}}"#), false),
            (format!(r#"{{"sha256":"{hex}","entropy_bits":128}}"#), true),
        ] {
            assert_eq!(from_json_lines(&row).next().unwrap().is_ok(), good, "{row}");
            assert!(good || row.contains("entropy_bits") || keys_file(&row).next().unwrap().is_ok());
        }
    }

    #[test]
    fn digests_in_hexadecimal_digits_and_base64_are_the_same() {
        let digest = KeyDigest::sha256(b"abc");
        for text in [
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD",
            "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
            "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0",
        ] {
            assert_eq!(read_sha256(text), Some(digest), "{text}");
        }
        for bad in ["", "abc", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=="] {
            assert_eq!(read_sha256(bad), None, "{bad}");
        }
    }

    #[test]
    fn rows_and_their_faults() {
        let good = r#"{"key":"k","name":"n","kind":"admin","scopes":["a:*"],"expires_at":"2030-01-01T00:00:00Z","revoked":true,"allowed_ips":["10.0.0.0/8"],"limit":"5/minute"}"#;
        let key = keys_file(good).next().unwrap().unwrap();
        assert!(key.revoked && key.limits.unwrap().len() == 1);
        for bad in [
            r#"{"key":"CANARY","name":7}"#,
            r#"{"key":"CANARY""#,
            r#"{"key":["CANARY"]}"#,
            r#"{"key":"CANARY","scopes":["*"]}"#,
            r#"{"key":"CANARY","allowed_ips":[]}"#,
            r#"{"key":"CANARY","allowed_ips":["x"]}"#,
            r#"{"key":"k","allowed_ips":["CANARY"]}"#,
            r#"{"key":"k","limit":"CANARY"}"#,
            r#"{"key":"k","limit":["CANARY"]}"#,
            r#"{"key":"k","scopes":["CANARY\""]}"#,
            r#"{"key":"k","expires_at":"CANARY"}"#,
            r#"{"key":"k","not_before":"CANARY"}"#,
            r#"{"key":"k","entropy_bits":"CANARY is no number, is not a time"}"#,
            r#"{"key":"CANARY","limit":"often"}"#,
            r#"{"key":"CANARY","expires_at":"soon"}"#,
            r#"{"key":"CANARY","colour":"red"}"#,
            r#"{"CANARY":"name"}"#,
            r#"{"key":"CANARY","sha256":"00"}"#,
            r#"{"sha256":"zz"}"#,
            r#"{"phc":"x"}"#,
            "{}",
            "CANARY",
        ] {
            let told = problem(&format!("\n{bad}"));
            assert!(told.starts_with("line 2: ") && !told.contains("CANARY"), "{bad}: {told}");
        }
    }
}
