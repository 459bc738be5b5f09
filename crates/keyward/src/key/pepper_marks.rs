//! Which peppers a store's digests were made with (R7.2), noted in the store itself: where one is missing, or is another one, good
//! keys would be unknown, and that is a fault and no answer about a key.
//!
//! A pepper's marks are prefixes bound in the store ([`RecordStore::bind`](crate::store::RecordStore::bind)), of a form that no
//! [`KeyPrefix`](super::KeyPrefix) can have, since it has two `_` together. So every store keeps them already, they are part of
//! each backup, and looking for them never waits ([`KeyStore::binds`](crate::KeyStore::binds)). Refused: going through the
//! records, which takes minutes among millions and finds no purged key; a file beside the peppers, which would tell nothing about
//! a database that is new to a machine.
//!
//! There are three marks, bound in this order before the first digest is stored, so that a crash between them leaves at most what
//! asks for nothing:
//!
//! 1. `pepper__0001__` and a check value: whether a secret is the one.
//! 2. `pepper__0001`: that there is this version.
//! 3. `pepper__00`: its first byte. A store is asked about one prefix at a time, and so 512 questions do for 65,535 versions.

use std::fmt;

use super::{Pepper, Peppers};

/// Digests in a store were made with peppers that are not those in use.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PepperMismatch {
    /// Versions of which there is no pepper.
    pub missing: Vec<u16>,
    /// Versions of which the secret is another one.
    pub wrong: Vec<u16>,
}

impl std::error::Error for PepperMismatch {}

impl fmt::Display for PepperMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.missing.is_empty() {
            let them = Self::named(&self.missing);
            write!(
                f,
                "digests in the store were made with {them}, and no such pepper is given: give it, or retire its version if it is gone for good"
            )?;
        }
        if !self.missing.is_empty() && !self.wrong.is_empty() {
            f.write_str("; ")?;
        }
        if !self.wrong.is_empty() {
            let (them, verb) = (Self::named(&self.wrong), if self.wrong.len() == 1 { "is" } else { "are" });
            write!(f, "{them} {verb} not the one that digests in the store were made with: give the right secret")?;
        }
        Ok(())
    }
}

impl PepperMismatch {
    /// `pepper 1`, `peppers 1 and 2`, for messages of programs' own.
    pub fn named(versions: &[u16]) -> String {
        let texts: Vec<String> = versions.iter().map(u16::to_string).collect();
        match &texts[..] {
            [] => "no pepper".to_owned(),
            [one] => format!("pepper {one}"),
            [others @ .., last] => format!("peppers {} and {last}", others.join(", ")),
        }
    }
}

/// Compares what a store says with the peppers in use.
pub(crate) fn compare(peppers: &Peppers, is_bound: impl Fn(&str) -> bool) -> Result<(), PepperMismatch> {
    let mut mismatch = PepperMismatch { missing: Vec::new(), wrong: Vec::new() };
    for version in noted(&is_bound) {
        match peppers.of_version(version) {
            Some(pepper) if is_bound(&check_mark(pepper)) => {}
            Some(_) => mismatch.wrong.push(version),
            None if peppers.has_retired(version) => {}
            None => mismatch.missing.push(version),
        }
    }
    if mismatch.missing.is_empty() && mismatch.wrong.is_empty() { Ok(()) } else { Err(mismatch) }
}

/// What has still to be bound in a store before digests are made with a pepper, in order.
///
/// # Errors
/// [`PepperMismatch`] where others were made with another secret of this version.
pub(crate) fn to_bind(pepper: &Pepper, is_bound: impl Fn(&str) -> bool) -> Result<Vec<String>, PepperMismatch> {
    let (check, version) = (check_mark(pepper), version_mark(pepper.version()));
    if is_bound(&version) && !is_bound(&check) {
        return Err(PepperMismatch { missing: Vec::new(), wrong: vec![pepper.version()] });
    }
    let [high, _] = pepper.version().to_be_bytes();
    Ok([check, version, byte_mark(high)].into_iter().filter(|mark| !is_bound(mark)).collect())
}

/// The versions that a store says it has digests of.
fn noted(is_bound: &impl Fn(&str) -> bool) -> Vec<u16> {
    let highs = (0..=u8::MAX).filter(|&high| is_bound(&byte_mark(high)));
    highs
        .flat_map(|high| (0..=u8::MAX).map(move |low| u16::from_be_bytes([high, low])))
        .filter(|&version| is_bound(&version_mark(version)))
        .collect()
}

fn byte_mark(high: u8) -> String {
    format!("pepper__{high:02x}")
}

fn version_mark(version: u16) -> String {
    format!("pepper__{version:04x}")
}

fn check_mark(pepper: &Pepper) -> String {
    format!("pepper__{:04x}__{:016x}", pepper.version(), pepper.check_value())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::HashSet;

    use super::*;
    use crate::key::KeyPrefix;

    fn pepper(version: u16, byte: u8) -> Pepper {
        Pepper::new(version, &[byte; 32]).unwrap()
    }

    fn peppers(all: impl IntoIterator<Item = Pepper>) -> Peppers {
        Peppers::new(all).unwrap()
    }

    /// A store, as far as marks go.
    #[derive(Default)]
    struct Bound(RefCell<HashSet<String>>);

    impl Bound {
        fn note(&self, pepper: &Pepper) -> Result<usize, PepperMismatch> {
            let marks = to_bind(pepper, |mark| self.0.borrow().contains(mark))?;
            let count = marks.len();
            self.0.borrow_mut().extend(marks);
            Ok(count)
        }

        fn compare(&self, peppers: &Peppers) -> Result<(), (Vec<u16>, Vec<u16>)> {
            compare(peppers, |mark| self.0.borrow().contains(mark)).map_err(|mismatch| (mismatch.missing, mismatch.wrong))
        }
    }

    #[test]
    fn every_version_that_was_noted_has_to_be_there_with_its_secret() {
        let bound = Bound::default();
        assert_eq!(bound.compare(&Peppers::default()), Ok(()));
        for version in [1, 255, 256, 65_535] {
            assert!(bound.note(&pepper(version, 1)).unwrap() > 0);
            assert_eq!(bound.note(&pepper(version, 1)), Ok(0), "noted once");
        }
        let all = peppers([1, 255, 256, 65_535].map(|version| pepper(version, 1)));
        assert_eq!(bound.compare(&all), Ok(()));
        assert_eq!(bound.compare(&Peppers::default()), Err((vec![1, 255, 256, 65_535], vec![])));
        let some = peppers([pepper(1, 1), pepper(255, 2), pepper(65_535, 1), pepper(7, 1)]);
        assert_eq!(bound.compare(&some), Err((vec![256], vec![255])));
        assert_eq!(bound.compare(&some.retired([256]).unwrap()), Err((vec![], vec![255])));
        assert_eq!(bound.note(&pepper(255, 2)).unwrap_err().wrong, [255]);
    }

    /// A key prefix that looked like one would let whoever makes keys ask every server for a pepper that nobody has.
    #[test]
    fn no_key_prefix_is_a_mark() {
        let bound = Bound::default();
        bound.note(&pepper(u16::MAX, 1)).unwrap();
        for mark in bound.0.borrow().iter() {
            assert!(mark.parse::<KeyPrefix>().is_err() && mark.len() <= 32, "{mark}");
        }
    }

    #[test]
    fn a_crash_before_the_last_mark_asks_for_nothing() {
        let first = pepper(1, 1);
        let marks = to_bind(&first, |_| false).unwrap();
        for count in 0..marks.len() {
            let bound = Bound::default();
            bound.0.borrow_mut().extend(marks[..count].iter().cloned());
            assert_eq!(bound.compare(&Peppers::default()), Ok(()));
            assert_eq!(bound.note(&first), Ok(marks.len() - count), "the rest is bound the next time");
            assert_eq!(bound.compare(&Peppers::default()), Err((vec![1], vec![])));
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_versions_and_its_mend() {
        let told = |missing: &[u16], wrong: &[u16]| PepperMismatch { missing: missing.into(), wrong: wrong.into() }.to_string();
        assert!(told(&[1, 2, 30], &[]).contains("peppers 1, 2 and 30, and no such pepper is given: give it, or retire"));
        let both = told(&[1], &[2]);
        assert!(both.contains("with pepper 1, ") && both.contains("; pepper 2 is not the one that "), "{both}");
    }
}
