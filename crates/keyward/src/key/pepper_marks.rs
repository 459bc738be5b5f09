//! Which peppers a store's digests were made with (R7.2), noted in the store itself: where one is missing, or is another one, good
//! keys would be unknown, and that is a fault and no answer about a key.
//!
//! A pepper's marks are prefixes bound in the store ([`RecordStore::bind`](crate::store::RecordStore::bind)), of a form that
//! nothing presented or imported can begin with: they have blanks, and a credential has none (R5.4). So every store keeps them
//! already, they are part of each backup, and looking for them never waits ([`KeyStore::binds`](crate::KeyStore::binds)).
//! Refused: going through the records, which takes minutes among millions and finds no purged key; a file beside the peppers,
//! which would tell nothing about a database that is new to a machine; marks with `_`, which an imported key could begin with, so
//! that one kept the other out.
//!
//! They are bound in this order before the first digest is stored, so that a crash between them leaves at most what asks for
//! nothing:
//!
//! 1. `pepper 0001 try 0a` and fifteen more, one for each digit of the check value and its place: that a secret is tried.
//! 2. `pepper 0001 is` and the check value: which secret it is.
//! 3. `pepper 0001`: that there is this version.
//! 4. `pepper 00`: its first byte. A store is asked about one prefix at a time, and so 512 questions do for 65,535 versions.
//!
//! Between the first and the second the store is asked anew whether anything else is tried: of two processes that begin a version
//! with different secrets at once, the one that asks later sees both. So never more than one secret is taken; it may be none, and
//! then the version is spent. Digits and not check values, since a store cannot be asked for all that begins alike.

use std::fmt;

use super::{Pepper, Peppers};

/// Digests in a store were made with peppers that are not those in use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PepperMismatch {
    /// Versions of which there is no pepper.
    pub missing: Vec<u16>,
    /// Versions of which the secret is another one.
    pub wrong: Vec<u16>,
    /// Versions that were begun with several secrets at once, none of which was taken: no digest was made with any.
    pub disputed: Vec<u16>,
}

impl std::error::Error for PepperMismatch {}

impl fmt::Display for PepperMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = |versions: &[u16]| if versions.len() == 1 { "is" } else { "are" };
        let mut problems = Vec::new();
        if !self.missing.is_empty() {
            let them = Self::named(&self.missing);
            problems.push(format!(
                "digests in the store were made with {them}, and no such pepper is given: give it, or retire its version if it is gone for good"
            ));
        }
        if !self.wrong.is_empty() {
            let (them, verb) = (Self::named(&self.wrong), verb(&self.wrong));
            problems.push(format!("{them} {verb} not the one that digests in the store were made with: give the right secret"));
        }
        if !self.disputed.is_empty() {
            let them = Self::named(&self.disputed);
            problems.push(format!(
                "{them} had another secret elsewhere when it was first used, and no digest was made with either: give all the same secret, under a new version"
            ));
        }
        f.write_str(&problems.join("; "))
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
    let mut mismatch = PepperMismatch::default();
    for version in noted(&is_bound) {
        match peppers.of_version(version) {
            Some(pepper) if is_bound(&taken_mark(pepper)) => {}
            Some(_) => mismatch.wrong.push(version),
            None if peppers.has_retired(version) => {}
            None => mismatch.missing.push(version),
        }
    }
    if mismatch == PepperMismatch::default() { Ok(()) } else { Err(mismatch) }
}

/// How a store is told, step by step, that digests are made with a pepper.
pub(crate) struct Marks {
    version: u16,
    /// That this secret is tried.
    pub(crate) tried: Vec<String>,
    /// That others are.
    pub(crate) tried_by_others: Vec<String>,
    /// That it is the one, and that it has to be asked for.
    pub(crate) taken: [String; 3],
}

impl Marks {
    pub(crate) fn of(pepper: &Pepper) -> Self {
        let (version, [high, _]) = (pepper.version(), pepper.version().to_be_bytes());
        let (own, others) = (0..16)
            .flat_map(|place| (0..16).map(move |digit| (place, digit)))
            .partition::<Vec<_>, _>(|(place, digit)| (pepper.check_value() >> (place * 4)) & 0xf == *digit);
        let named = |all: Vec<(u32, u64)>| {
            all.into_iter().map(|(place, digit)| format!("{} try {place:x}{digit:x}", version_mark(version))).collect()
        };
        let taken = [taken_mark(pepper), version_mark(version), byte_mark(high)];
        Self { version, tried: named(own), tried_by_others: named(others), taken }
    }

    /// Why this secret is not taken, where others are tried as well. `is_in_use`: that the store has digests of this version.
    pub(crate) fn refused(&self, is_in_use: bool) -> PepperMismatch {
        let versions = vec![self.version];
        if is_in_use {
            PepperMismatch { wrong: versions, ..PepperMismatch::default() }
        } else {
            PepperMismatch { disputed: versions, ..PepperMismatch::default() }
        }
    }

    /// Bound where the store has digests of this version.
    pub(crate) fn in_use(&self) -> &str {
        &self.taken[1]
    }
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
    format!("pepper {high:02x}")
}

fn version_mark(version: u16) -> String {
    format!("pepper {version:04x}")
}

fn taken_mark(pepper: &Pepper) -> String {
    format!("{} is {:016x}", version_mark(pepper.version()), pepper.check_value())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pepper(version: u16, byte: u8) -> Pepper {
        Pepper::new(version, &[byte; 32]).unwrap()
    }

    #[test]
    fn marks_are_nothing_that_a_credential_can_begin_with() {
        for pepper in [pepper(1, 1), pepper(u16::MAX, 2)] {
            let marks = Marks::of(&pepper);
            let all: Vec<&String> = marks.tried.iter().chain(&marks.tried_by_others).chain(&marks.taken).collect();
            assert_eq!((marks.tried.len(), all.len()), (16, 259));
            assert!(all.iter().all(|mark| mark.contains(' ') && mark.len() <= 32), "{all:?}");
            let different: std::collections::HashSet<_> = all.iter().collect();
            assert_eq!(different.len(), all.len());
        }
    }

    #[test]
    fn two_secrets_of_a_version_see_each_other_tried() {
        let (one, other) = (Marks::of(&pepper(1, 1)), Marks::of(&pepper(1, 2)));
        let sees = |own: &Marks, other: &Marks| own.tried_by_others.iter().any(|mark| other.tried.contains(mark));
        assert!(sees(&one, &other) && sees(&other, &one) && !sees(&one, &one));
        assert!(!sees(&one, &Marks::of(&pepper(2, 2))), "another version is none of its business");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_versions_and_its_mend() {
        let told = |missing: &[u16], wrong: &[u16], disputed: &[u16]| {
            PepperMismatch { missing: missing.into(), wrong: wrong.into(), disputed: disputed.into() }.to_string()
        };
        assert!(told(&[1, 2, 30], &[], &[]).contains("peppers 1, 2 and 30, and no such pepper is given: give it, or retire"));
        let both = told(&[1], &[2], &[]);
        assert!(both.contains("with pepper 1, ") && both.contains("; pepper 2 is not the one that "), "{both}");
        assert!(told(&[], &[], &[3]).starts_with("pepper 3 had another secret elsewhere"));
    }
}
