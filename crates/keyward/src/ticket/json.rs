//! JSON objects in which no name stands twice, at any depth.
//!
//! `serde_json::Value` keeps the last of two equal names and other readers keep the first, so that two of them would verify
//! different claims under one signature. Numbers are told apart as they are written: `1`, `1.0`, `1e0` and `-0` are not the same
//! here.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A JSON object, its members in the order written.
pub(super) struct Object(Vec<(String, Value)>);

/// What a member holds, as far as tickets need to know.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    /// A number without sign, fraction or exponent, below 2^64.
    Integer(u64),
    /// Anything else: no member that is looked at may be one.
    Other,
}

impl Object {
    /// Reads one object, with nothing but blanks around it. `None` is everything else.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let object = deserializer.deserialize_map(Members).ok()?;
        deserializer.end().ok()?;
        Some(object)
    }

    /// Takes a member out.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        let at = self.0.iter().position(|(member, _)| member == name)?;
        Some(self.0.swap_remove(at).1)
    }

    /// Whether every member has been taken.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object without duplicate names")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Object, M::Error> {
        // Walked through for each name: 1,024 bytes hold no more than some 170.
        let mut members: Vec<(String, Value)> = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if members.iter().any(|(member, _)| *member == name) {
                return Err(de::Error::custom("a name stands twice"));
            }
            members.push((name, map.next_value()?));
        }
        Ok(Object(members))
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Integer(number))
    }

    // Of negative numbers, and of `-0` if a user's build turns on serde_json's `arbitrary_precision`: a feature changes nothing.
    fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut elements: S) -> Result<Value, S::Error> {
        while elements.next_element::<Value>()?.is_some() {}
        Ok(Value::Other)
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Value, M::Error> {
        Members.visit_map(map).map(|_| Value::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_object_and_nothing_else() {
        for good in ["{}", " {\r\n} ", r#"{"a":{"a":1},"b":[{"a":1},{"a":1}]}"#, "{\"a\":\"\\u00e9\"}"] {
            assert!(Object::parse(good.as_bytes()).is_some(), "{good}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(400), "]".repeat(400));
        let bad = [
            "",
            "null",
            "1",
            "\"a\"",
            "[]",
            "[{}]",
            "{",
            "{}}",
            "{}{}",
            "{} x",
            "{a:1}",
            "{'a':1}",
            "{\"a\":1,}",
            "{\"a\"}",
            "{\"a\":01}",
            "{\"a\":+1}",
            "{\"a\":0x1}",
            "{\"a\":NaN}",
            "{\"a\":\"\n\"}",
            "{\"a\":\"\\ud800\"}",
            "{\"a\":\"\\x41\"}",
            "\u{feff}{}",
            "{}\0",
            "{}//",
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":1}"#,
            r#"{"b":{"a":1,"a":1}}"#,
            r#"{"b":[{"c":{"a":1,"a":1}}]}"#,
            &deep,
        ];
        for bad in bad {
            assert!(Object::parse(bad.as_bytes()).is_none(), "{bad}");
        }
        assert!(Object::parse(b"{\"a\":\"\xff\"}").is_none() && Object::parse(b"{\"\xc0\x80\":1}").is_none());
    }

    #[test]
    fn numbers_are_what_is_written() {
        let value = |written: &str| Object::parse(format!("{{\"a\":{written}}}").as_bytes()).unwrap().take("a").unwrap();
        assert_eq!(value("0"), Value::Integer(0));
        assert_eq!(value("18446744073709551615"), Value::Integer(u64::MAX));
        for other in ["18446744073709551616", "-1", "-0", "1.0", "1e3", "1E0", "true", "null", "[1]", "{\"a\":1}"] {
            assert_eq!(value(other), Value::Other, "{other}");
        }
        assert_eq!(value("\"1\""), Value::Text("1".into()));
    }
}
