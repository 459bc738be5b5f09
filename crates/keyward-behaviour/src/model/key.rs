//! Keys as the model knows them, and the checksum of the generated shape.

use serde_json::{Map, Value, json};

use super::time::{Moment, as_rfc3339};

/// A stored key, with its secret in the open: the model has nothing to hide.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelKey {
    /// The whole credential.
    pub key: String,
    /// What people call it.
    pub name: Option<String>,
    /// Its label.
    pub kind: Option<String>,
    /// To whom it belongs.
    pub owner: Option<String>,
    /// What it may do.
    pub scopes: Vec<String>,
    /// From when it counts.
    pub not_before: Option<Moment>,
    /// From when it no longer counts.
    pub expires_at: Option<Moment>,
    /// Whether it was taken back.
    pub revoked: bool,
    /// Whether it is switched off.
    pub disabled: bool,
    /// Whence it may be used; empty for anywhere.
    pub allowed_ips: Vec<String>,
    /// For which paths it may be used; none for all.
    pub resource_pattern: Option<String>,
    /// Its own quotas, in place of the policy's; empty for those.
    pub limits: Vec<String>,
}

impl ModelKey {
    /// A key without any condition.
    pub fn plain(key: &str) -> ModelKey {
        ModelKey { key: key.to_owned(), ..ModelKey::default() }
    }

    /// The line of a keys file that says the same.
    pub fn to_json_line(&self) -> String {
        let mut line = Map::new();
        line.insert("key".to_owned(), json!(self.key));
        let mut optional = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                line.insert(name.to_owned(), value);
            }
        };
        optional("name", self.name.as_ref().map(|name| json!(name)));
        optional("kind", self.kind.as_ref().map(|kind| json!(kind)));
        optional("owner", self.owner.as_ref().map(|owner| json!(owner)));
        optional("scopes", (!self.scopes.is_empty()).then(|| json!(self.scopes)));
        optional("not_before", self.not_before.map(|moment| json!(as_rfc3339(moment))));
        optional("expires_at", self.expires_at.map(|moment| json!(as_rfc3339(moment))));
        optional("revoked", self.revoked.then_some(json!(true)));
        optional("disabled", self.disabled.then_some(json!(true)));
        optional("allowed_ips", (!self.allowed_ips.is_empty()).then(|| json!(self.allowed_ips)));
        optional("resource_pattern", self.resource_pattern.as_ref().map(|pattern| json!(pattern)));
        optional(
            "limit",
            match self.limits.as_slice() {
                [] => None,
                [one] => Some(json!(one)),
                several => Some(json!(several)),
            },
        );
        Value::Object(line).to_string()
    }

    /// Reads one line of a keys file.
    ///
    /// # Errors
    /// Says what is wrong with the line.
    pub fn from_json_line(line: &str) -> Result<ModelKey, String> {
        let Value::Object(fields) = serde_json::from_str(line).map_err(|error| error.to_string())? else {
            return Err("a line of a keys file is an object".to_owned());
        };
        let mut read = ModelKey::default();
        for (name, value) in fields {
            match name.as_str() {
                "key" => read.key = text(&value)?,
                "name" => read.name = Some(text(&value)?),
                "kind" => read.kind = Some(text(&value)?),
                "owner" => read.owner = Some(text(&value)?),
                "scopes" => read.scopes = texts(&value)?,
                "not_before" => read.not_before = Some(super::time::from_rfc3339(&text(&value)?)?),
                "expires_at" => read.expires_at = Some(super::time::from_rfc3339(&text(&value)?)?),
                "revoked" => read.revoked = value.as_bool().ok_or("revoked is true or false")?,
                "disabled" => read.disabled = value.as_bool().ok_or("disabled is true or false")?,
                "allowed_ips" => read.allowed_ips = texts(&value)?,
                "resource_pattern" => read.resource_pattern = Some(text(&value)?),
                "limit" if value.is_array() => read.limits = texts(&value)?,
                "limit" => read.limits = vec![text(&value)?],
                other => return Err(format!("a key has no field {other}")),
            }
        }
        if read.key.is_empty() { Err("a line without a key".to_owned()) } else { Ok(read) }
    }

    /// The prefix that the key binds to the checksum, if it has the generated shape with the right check.
    pub fn bound_prefix(&self) -> Option<&str> {
        match generated_shape(&self.key) {
            Some(shape) if shape.check == checksum(shape.secret) => Some(shape.prefix),
            _ => None,
        }
    }
}

/// The parts of `<prefix>_<secret><check>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GeneratedShape<'k> {
    /// Before the last underscore.
    pub prefix: &'k str,
    /// 32 characters.
    pub secret: &'k str,
    /// 6 characters.
    pub check: &'k str,
}

/// Takes a credential of the generated shape apart; says nothing about the check.
pub fn generated_shape(credential: &str) -> Option<GeneratedShape<'_>> {
    let (prefix, body) = credential.rsplit_once('_')?;
    let well_formed = prefix.starts_with(|first: char| first.is_ascii_lowercase())
        && prefix.split('_').all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()))
        && body.len() == 38
        && body.chars().all(|c| c.is_ascii_alphanumeric());
    well_formed.then(|| GeneratedShape { prefix, secret: &body[..32], check: &body[32..] })
}

/// The check of a secret: its CRC-32 in six base62 digits, the most significant first.
pub fn checksum(secret: &str) -> String {
    let mut rest = crc32(secret.as_bytes());
    let mut digits = Vec::new();
    while rest > 0 {
        digits.push(BASE62[(rest % 62) as usize]);
        rest /= 62;
    }
    while digits.len() < 6 {
        digits.push(b'0');
    }
    digits.iter().rev().map(|digit| char::from(*digit)).collect()
}

/// A key of the generated shape with the right check.
pub fn generated(prefix: &str, secret: &str) -> String {
    format!("{prefix}_{secret}{}", checksum(secret))
}

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// CRC-32 bit by bit, as the standard states it.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

fn text(value: &Value) -> Result<String, String> {
    value.as_str().map(str::to_owned).ok_or_else(|| format!("{value} is no text"))
}

fn texts(value: &Value) -> Result<Vec<String>, String> {
    value.as_array().ok_or_else(|| format!("{value} is no list"))?.iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_has_its_known_answer() {
        assert_eq!(checksum("QdwULL38u41vs1OcAjhKqcaSZ9W63r"), "0Zu4ln");
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn only_the_right_check_binds_a_prefix() {
        let secret = "0123456789abcdefghijABCDEFGHIJ01";
        let key = generated("kw_test", secret);
        assert_eq!(ModelKey::plain(&key).bound_prefix(), Some("kw_test"));
        let wrong = format!("kw_test_{secret}zzzzzz");
        assert!(generated_shape(&wrong).is_some());
        assert_eq!(ModelKey::plain(&wrong).bound_prefix(), None);
        assert_eq!(generated_shape("Kw_test"), None);
        assert_eq!(generated_shape(&key.replace("kw_test", "kw__test")), None);
    }

    #[test]
    fn a_line_reads_back_the_same() {
        let key = ModelKey {
            key: "alpha".to_owned(),
            name: Some("first".to_owned()),
            scopes: vec!["a:b".to_owned()],
            expires_at: Some(1_000_000_001),
            revoked: true,
            disabled: true,
            limits: vec!["2/minute".to_owned()],
            ..ModelKey::default()
        };
        assert_eq!(ModelKey::from_json_line(&key.to_json_line()), Ok(key));
        assert!(ModelKey::from_json_line(r#"{"key":"a","colour":"red"}"#).is_err());
    }
}
