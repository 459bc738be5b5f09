//! One JSON object, whose fields are there once.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Map, Value};

/// The fields of an object. A field that is there twice is no JSON here: one reader would take the first, and another the last
/// (RFC 8259 §4). Objects within it are only metadata, whose readers are ours.
pub(crate) struct OnceEach(pub(crate) Map<String, Value>);

impl OnceEach {
    /// What is said of a field that is there twice.
    pub(crate) const TWICE: &str = "a field is there twice";
}

impl<'de> Deserialize<'de> for OnceEach {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields).map(Self)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut fields = Map::new();
        while let Some((name, value)) = access.next_entry::<String, Value>()? {
            if fields.insert(name, value).is_some() {
                return Err(A::Error::custom(OnceEach::TWICE));
            }
        }
        Ok(fields)
    }
}
