//! Which candidates count (R6.1, R6.2).
//!
//! 1. Two values in one source: `duplicate`, under every resolution.
//! 2. Byte-equal credentials in several sources are one, of the highest. That is lenient against RFC 6750 §2, deliberately:
//!    clients send the same key twice by habit, and nothing is unclear about it.
//! 3. `reject-conflict`: what is left must be one, malformed ones counted. `first-present`: the highest counts, whatever comes
//!    of it. `first-valid`: all count, in order.

use smallvec::SmallVec;

use crate::credential::Credential;
use crate::decision::Kind;
use crate::head::{Head, Wanted};
use crate::path::RulePath;
use crate::plan::Handshaking;
use crate::policy::Resolution;
use crate::source::{Found, Source, SourceKind};

/// A credential and the source in which it was found.
#[derive(Debug, Clone)]
pub(crate) struct Candidate<'r> {
    /// The place of its source in the policy's order.
    pub(crate) source: usize,
    pub(crate) kind: SourceKind,
    pub(crate) credential: Credential<'r>,
}

/// Candidates in the order of their sources. One is the common case, and allocates nothing.
pub(crate) type Candidates<'r> = SmallVec<[Candidate<'r>; 1]>;

/// Everything that the sources hold, before any choice.
#[derive(Debug, Default)]
pub(crate) struct Extracted<'r> {
    pub(crate) candidates: Candidates<'r>,
    /// The first source that holds what cannot be one candidate, and why.
    pub(crate) refused: Option<(usize, Kind)>,
}

impl Extracted<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        self.candidates.is_empty() && self.refused.is_none()
    }
}

/// Looks into every source that applies (R5).
pub(crate) fn extract<'r, H: Head + ?Sized>(
    sources: &[Source],
    head: &'r H,
    path: &RulePath<'_>,
    handshaking: Handshaking,
    header: impl Fn(usize) -> Option<Wanted<'r>>,
) -> Extracted<'r> {
    let mut extracted = Extracted::default();
    for (index, source) in sources.iter().enumerate().filter(|(_, source)| source.applies(path, handshaking)) {
        let refused = match source.look(head, header(index)) {
            Found::Nothing => continue,
            Found::One(credential) => {
                extracted.candidates.push(Candidate { source: index, kind: source.kind(), credential });
                continue;
            }
            Found::Duplicate => Kind::Duplicate,
            // Of the two kinds that are 400, the one that says "what you sent does not go together".
            Found::Alone => Kind::Conflict,
        };
        extracted.refused.get_or_insert((index, refused));
    }
    extracted
}

/// Chooses the candidates that count.
pub(crate) fn resolve(extracted: Extracted<'_>, resolution: Resolution) -> Result<Candidates<'_>, Kind> {
    if let Some((_, kind)) = extracted.refused {
        return Err(kind);
    }
    let mut candidates = extracted.candidates;
    if candidates.len() < 2 {
        return Ok(candidates);
    }
    let mut different = Candidates::new();
    for candidate in candidates.drain(..) {
        if !different.iter().any(|kept| kept.credential.same_as(&candidate.credential)) {
            different.push(candidate);
        }
    }
    match resolution {
        Resolution::RejectConflict if different.len() > 1 => Err(Kind::Conflict),
        Resolution::FirstPresent => {
            different.truncate(1);
            Ok(different)
        }
        Resolution::RejectConflict | Resolution::FirstValid => Ok(different),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(values: &[&'static [u8]], resolution: Resolution) -> Result<Vec<usize>, Kind> {
        let candidates = values.iter().enumerate().filter(|(_, value)| !value.is_empty()).map(|(source, value)| Candidate {
            source,
            kind: SourceKind::Header,
            credential: Credential::new(*value),
        });
        resolve(Extracted { candidates: candidates.collect(), refused: None }, resolution)
            .map(|kept| kept.iter().map(|kept| kept.source).collect())
    }

    #[test]
    fn equal_ones_are_one_and_different_ones_are_chosen_among() {
        use Resolution::{FirstPresent, FirstValid, RejectConflict};
        assert_eq!(resolved(&[b"a", b"a", b"a"], RejectConflict), Ok(vec![0]));
        assert_eq!(resolved(&[b"", b"a", b"b"], RejectConflict), Err(Kind::Conflict));
        assert_eq!(resolved(&[b"a", b"b \x01"], RejectConflict), Err(Kind::Conflict));
        assert_eq!(resolved(&[b"", b"b \x01", b"a"], FirstPresent), Ok(vec![1]));
        assert_eq!(resolved(&[b"b", b"a", b"b"], FirstValid), Ok(vec![0, 1]));
        assert_eq!(resolved(&[], RejectConflict), Ok(vec![]));
    }
}
