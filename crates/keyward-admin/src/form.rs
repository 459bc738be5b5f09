//! Fields of a form, or of a query.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::fault::{FieldFault, Refusal};

/// Each field with its one value. Values are wiped: among them are passwords.
#[derive(Default)]
pub(crate) struct Form(BTreeMap<String, Zeroizing<String>>);

impl Form {
    const MOST_FIELDS: usize = 64;

    pub(crate) fn read(text: &[u8]) -> Result<Self, Refusal> {
        let unreadable = |detail: &str| Refusal::Unreadable(StatusCode::BAD_REQUEST, detail.to_owned());
        // Asked of the bytes: the parser puts a mark in the place of what is none, which somebody may have typed as well.
        if percent_encoding::percent_decode(text).decode_utf8().is_err() {
            return Err(unreadable("The fields are no UTF-8."));
        }
        let mut fields = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(text) {
            if fields.len() == Self::MOST_FIELDS {
                return Err(unreadable("There are more than 64 fields."));
            }
            // Of two values, one reader would take the first and another the last.
            if fields.insert(name.into_owned(), Zeroizing::new(value.into_owned())).is_some() {
                return Err(unreadable("A field is there twice."));
            }
        }
        Ok(Self(fields))
    }

    /// The field's value; empty where it is missing.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", |value| value)
    }

    /// The texts of a JSON object, as if they were a form's; what is no text is a fault.
    pub(crate) fn of_texts(object: &Map<String, Value>, faults: &mut Vec<FieldFault>) -> Self {
        let mut fields = BTreeMap::new();
        for (name, value) in object {
            match value {
                Value::String(text) => _ = fields.insert(name.clone(), Zeroizing::new(text.clone())),
                _ => faults.push(FieldFault::new(name.chars().take(64).collect::<String>(), "is no text")),
            }
        }
        Self(fields)
    }

    /// What nobody reads, somebody misspelt.
    pub(crate) fn unknown(&self, known: &[&str], faults: &mut Vec<FieldFault>) {
        let unknown = self.0.keys().filter(|name| !known.contains(&name.as_str()));
        faults.extend(unknown.map(|name| FieldFault::new(name.chars().take(64).collect::<String>(), "is not known here")));
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_a_field() {
        let form = Form::read(b"a=1&b=%20x+y&c").unwrap();
        assert_eq!((form.get("a"), form.get("b"), form.get("c"), form.get("d")), ("1", " x y", "", ""));
        assert!(form.has("c") && !form.has("d"));
        assert_eq!(Form::read("a=\u{fffd}&b=%ef%bf%bd".as_bytes()).unwrap().get("b"), "\u{fffd}");
        for bad in [&b"a=1&a=1"[..], b"a=%ff", b"\xff=1", b"a=%c3&b=%a9", b"a=\xc3%a", b"%e2%82=1"] {
            assert!(Form::read(bad).is_err(), "{bad:?}");
        }
        let fields = |count: usize| (0..count).map(|number| format!("f{number}=")).collect::<Vec<_>>().join("&");
        assert!(Form::read(fields(64).as_bytes()).is_ok() && Form::read(fields(65).as_bytes()).is_err());
    }
}
