//! The fields that a client may write, read all at once: every fault is told, and none hides another.

use std::collections::BTreeMap;
use std::time::Duration;

use keyward::limit::Quota;
use keyward::scope::Scope;
use keyward::{AddressList, Timestamp};
use serde_json::{Map, Value};

use crate::accounts::unknown_fields;
use crate::fault::{FieldFault, Refusal};

/// A JSON object being read.
pub(crate) struct Fields<'f> {
    object: &'f Map<String, Value>,
    faults: Vec<FieldFault>,
}

impl<'f> Fields<'f> {
    /// `known` are all that there are.
    pub(crate) fn new(object: &'f Map<String, Value>, known: &[&str]) -> Self {
        let mut faults = Vec::new();
        unknown_fields(object, known, &mut faults);
        Self { object, faults }
    }

    pub(crate) fn fault(&mut self, field: impl Into<String>, detail: impl Into<String>) {
        self.faults.push(FieldFault::new(field, detail));
    }

    pub(crate) fn is_set(&self, field: &str) -> bool {
        self.object.contains_key(field)
    }

    /// What was read, unless something was wrong.
    pub(crate) fn finish<T>(self, read: T) -> Result<T, Refusal> {
        if self.faults.is_empty() { Ok(read) } else { Err(Refusal::Fields(self.faults)) }
    }

    /// `None`: not there. `Some(None)`: null.
    pub(super) fn read<T>(
        &mut self,
        field: &str,
        wanted: &str,
        read: impl FnOnce(&Value) -> Option<Result<T, String>>,
    ) -> Option<Option<T>> {
        match self.object.get(field)? {
            Value::Null => Some(None),
            value => match read(value) {
                Some(Ok(value)) => Some(Some(value)),
                Some(Err(detail)) => {
                    self.fault(field, detail);
                    None
                }
                None => {
                    self.fault(field, format!("is not {wanted}"));
                    None
                }
            },
        }
    }

    pub(crate) fn text(&mut self, field: &str) -> Option<Option<Box<str>>> {
        self.read(field, "a text", |value| value.as_str().map(|text| Ok(text.into())))
    }

    pub(crate) fn switch(&mut self, field: &str) -> Option<bool> {
        match self.read(field, "true or false", |value| value.as_bool().map(Ok))? {
            Some(on) => Some(on),
            None => {
                self.fault(field, "is not true or false");
                None
            }
        }
    }

    pub(crate) fn time(&mut self, field: &str) -> Option<Option<Timestamp>> {
        self.read(field, "a time like \"2027-01-31T12:00:00Z\" (RFC 3339)", |value| value.as_str()?.parse().ok().map(Ok))
    }

    /// So many whole units, as the field's name says which, from `least` to a hundred years.
    pub(crate) fn span(&mut self, field: &str, unit: u64, least: u64) -> Option<Duration> {
        let most = 36_525 * 86_400 / unit;
        let wanted = format!("a whole number from {least} to {most}");
        self.read(field, &wanted, |value| whole(value).filter(|count| (least..=most).contains(count)).map(Ok))
            .flatten()
            .map(|count| Duration::from_secs(count * unit))
    }

    /// A list of texts, each read; a fault names its place.
    fn list<T>(&mut self, field: &str, mut read: impl FnMut(&str) -> Result<T, String>) -> Option<Option<Vec<T>>> {
        let values = match self.object.get(field)? {
            Value::Null => return Some(None),
            Value::Array(values) => values,
            _ => {
                self.fault(field, "is no list of texts");
                return None;
            }
        };
        let before = self.faults.len();
        let mut items = Vec::new();
        for (place, value) in values.iter().enumerate() {
            match value.as_str().map(&mut read) {
                Some(Ok(item)) => items.push(item),
                Some(Err(detail)) => self.fault(format!("{field}[{place}]"), detail),
                None => self.fault(format!("{field}[{place}]"), "is no text"),
            }
        }
        (self.faults.len() == before).then_some(Some(items))
    }

    pub(crate) fn scopes(&mut self) -> Option<Vec<Scope>> {
        self.list("scopes", |text| text.parse().map_err(|bad: keyward::scope::BadScope| bad.to_string()))
            .map(Option::unwrap_or_default)
    }

    pub(crate) fn networks(&mut self) -> Option<Option<AddressList>> {
        let texts = self.list("allowed_ips", |text| match AddressList::parse([text]) {
            Ok(_) => Ok(text.to_owned()),
            Err(bad) => Err(bad.to_string()),
        })?;
        let Some(texts) = texts else { return Some(None) };
        let bad = match AddressList::parse(texts) {
            Ok(networks) if networks.is_empty() => {
                "is empty, which admits nobody: leave it out, or write null, for anybody".to_owned()
            }
            Ok(networks) => return Some(Some(networks)),
            Err(bad) => bad.to_string(),
        };
        self.fault("allowed_ips", bad);
        None
    }

    pub(crate) fn limits(&mut self) -> Option<Option<Vec<Quota>>> {
        let limits = self.list("limits", |text| text.parse().map_err(|bad: keyward::limit::BadQuota| bad.to_string()))?;
        if limits.as_ref().is_some_and(Vec::is_empty) {
            self.fault("limits", "is empty: leave it out, or write null, for the policy's own");
            return None;
        }
        Some(limits)
    }

    pub(crate) fn metadata(&mut self) -> Option<BTreeMap<String, String>> {
        let read = |value: &Value| {
            let pairs = value.as_object()?.iter().map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
            pairs.collect::<Option<BTreeMap<_, _>>>().map(Ok)
        };
        self.read("metadata", "an object whose values are texts", read).map(Option::unwrap_or_default)
    }
}

/// A number without a fraction, however it is written: 60 is 60.0 (JSON Schema's `integer`).
fn whole(value: &Value) -> Option<u64> {
    /// Up to here a double tells whole numbers apart.
    const LARGEST: f64 = 9_007_199_254_740_992.0;
    let of_double = |number: f64| (number.fract() == 0.0 && (0.0..=LARGEST).contains(&number)).then_some(number as u64);
    value.as_u64().or_else(|| value.as_f64().and_then(of_double))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_whole_number_has_no_fraction_however_it_is_written() {
        for (value, number) in [
            (json!(0), Some(0)),
            (json!(60.0), Some(60)),
            (json!(6e1), Some(60)),
            (json!(u64::MAX), Some(u64::MAX)),
            (json!(1e15), Some(1_000_000_000_000_000)),
            (json!(1e300), None),
            (json!(0.5), None),
            (json!(-1), None),
            (json!(-1.0), None),
            (json!("60"), None),
            (json!(null), None),
        ] {
            assert_eq!(whole(&value), number, "{value}");
        }
    }
}
