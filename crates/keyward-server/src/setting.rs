//! What the operator set, by flag or by environment variable, with the name under which errors call it.

use std::ffi::{OsStr, OsString};

/// A value and where it was written: an error that names the flag where a variable was set sends people looking in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) value: OsString,
    /// `--policy`, or `KEYWARD_POLICY`.
    pub(crate) name: &'static str,
}

impl Setting {
    /// The flag goes before the variable. A variable that is empty counts as unset, which compose files make of one that is not
    /// there.
    pub(crate) fn of(given: Option<&OsStr>, flag: &'static str, variable: &'static str) -> Option<Self> {
        Self::choose(given, flag, std::env::var_os(variable), variable)
    }

    fn choose(given: Option<&OsStr>, flag: &'static str, set: Option<OsString>, variable: &'static str) -> Option<Self> {
        match given {
            Some(value) => Some(Self { value: value.to_owned(), name: flag }),
            None => set.filter(|value| !value.is_empty()).map(|value| Self { value, name: variable }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_go_before_variables_and_empty_ones_are_unset() {
        let choose = |given: Option<&str>, set: Option<&str>| {
            let setting = Setting::choose(given.map(OsStr::new), "--a", set.map(OsString::from), "A")?;
            Some((setting.value.into_string().unwrap(), setting.name))
        };
        assert_eq!(choose(Some("1"), Some("2")), Some(("1".to_owned(), "--a")));
        assert_eq!(choose(None, Some("2")), Some(("2".to_owned(), "A")));
        assert_eq!(choose(None, Some("")), None);
        assert_eq!(choose(None, None), None);
    }
}
