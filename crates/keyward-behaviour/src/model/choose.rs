//! R6.1, R6.2: choosing among candidates.

use super::{candidates::Candidate, policy::Resolution};

/// What the resolution makes of the candidates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Nothing was presented.
    Missing,
    /// More than one different credential was presented, and the policy refuses that.
    Conflict,
    /// These are tried, in this order.
    Try(Vec<Candidate>),
}

/// R6.1, R6.2: which candidates are tried.
pub fn choose(resolution: Resolution, found: Vec<Candidate>) -> Choice {
    let mut different: Vec<Candidate> = Vec::new();
    for candidate in found {
        if !different.iter().any(|higher| higher.presented == candidate.presented) {
            different.push(candidate);
        }
    }
    match (resolution, different.len()) {
        (_, 0) => Choice::Missing,
        (Resolution::RejectConflict, 2..) => Choice::Conflict,
        (Resolution::FirstPresent, _) => Choice::Try(different.into_iter().take(1).collect()),
        _ => Choice::Try(different),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            candidates::Presented,
            policy::{Place, Source},
        },
        *,
    };

    fn candidate(place: Place, presented: Presented) -> Candidate {
        Candidate { source: Source::everywhere(place), presented }
    }

    fn three() -> Vec<Candidate> {
        vec![
            candidate(Place::Bearer, Presented::Credential("a".to_owned())),
            candidate(Place::header("x"), Presented::Credential("a".to_owned())),
            candidate(Place::Cookie("k".to_owned()), Presented::Malformed(b"a b".to_vec())),
        ]
    }

    #[test]
    fn equal_credentials_are_one_of_the_higher_source() {
        let Choice::Try(tried) = choose(Resolution::RejectConflict, three()[..2].to_vec()) else { panic!() };
        assert_eq!(tried, three()[..1]);
    }

    #[test]
    fn each_resolution_does_its_own() {
        assert_eq!(choose(Resolution::RejectConflict, three()), Choice::Conflict);
        assert_eq!(choose(Resolution::FirstPresent, three()), Choice::Try(three()[..1].to_vec()));
        assert_eq!(choose(Resolution::FirstValid, three()), Choice::Try(vec![three()[0].clone(), three()[2].clone()]));
        assert_eq!(choose(Resolution::FirstValid, vec![]), Choice::Missing);
    }
}
