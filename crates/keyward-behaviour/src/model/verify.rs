//! R6.3 and R7: asking the authenticators, and the states of a key.

use std::collections::BTreeMap;

use super::{
    candidates::{Candidate, Presented},
    key::{ModelKey, checksum, generated_shape},
    policy::{AuthenticatorName, ConfiguredKeys, ModelPolicy},
    time::Moment,
};

/// Who was found to be calling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelPrincipal {
    /// The key's name, if it was given one.
    pub name: Option<String>,
    /// The key's label.
    pub kind: Option<String>,
    /// The key's owner.
    pub owner: Option<String>,
    /// The key's scopes, in the order in which they were written.
    pub scopes: Vec<String>,
    /// Which authenticator knew the key.
    pub authenticator: &'static str,
}

/// A key that is live, with what later rules need of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Who is calling.
    pub principal: ModelPrincipal,
    /// Where the credential was found.
    pub candidate: Candidate,
    /// Tells keys apart, for their quotas.
    pub identity: String,
    /// Whence the key may be used; empty for anywhere.
    pub allowed_ips: Vec<String>,
    /// For which paths the key may be used; none for all.
    pub resource_pattern: Option<String>,
    /// The key's own quotas; empty for the policy's.
    pub limits: Vec<String>,
}

/// Why a candidate is bad: one kind, or several that are all true of it.
pub type Badness = Vec<&'static str>;

/// What came of asking about every candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The candidate that won.
    pub winner: Option<Box<Verified>>,
    /// What is wrong with each candidate that was asked about and did not win, in candidate order.
    pub bad: Vec<(Candidate, Badness)>,
}

/// Everything that authenticators know.
#[derive(Clone, Debug, Default)]
pub struct KnownKeys {
    /// The stored keys.
    pub stored: Vec<ModelKey>,
    /// The variables of the environment.
    pub environment: BTreeMap<String, String>,
}

impl KnownKeys {
    /// R6.3: authenticators outside, candidates inside; the first live key wins.
    pub fn ask(&self, policy: &ModelPolicy, candidates: &[Candidate], now: Moment) -> Verdict {
        let mut answers: Vec<Option<Badness>> = vec![None; candidates.len()];
        let mut decided = vec![false; candidates.len()];
        let mut winner = None;
        'asking: for authenticator in policy.authenticators() {
            for (number, candidate) in candidates.iter().enumerate() {
                if decided[number] {
                    continue;
                }
                match self.ask_one(policy, authenticator, candidate, now) {
                    Answer::Live(verified) => {
                        answers[number] = None;
                        winner = Some(verified);
                        break 'asking;
                    }
                    Answer::Unknown => answers[number] = Some(vec!["unknown"]),
                    Answer::Bad(badness) => {
                        answers[number] = Some(badness);
                        decided[number] = true;
                    }
                }
            }
        }
        let bad = candidates.iter().cloned().zip(answers).filter_map(|(c, answer)| Some((c, answer?))).collect();
        Verdict { winner, bad }
    }

    /// The keys in one variable; a blank variable holds none.
    pub fn configured(&self, keys: &ConfiguredKeys) -> Vec<String> {
        let value = self.environment.get(&keys.env).map_or("", |value| value.trim());
        let parts: Vec<&str> = match &keys.separator {
            Some(separator) => value.split(separator.as_str()).map(str::trim).collect(),
            None => vec![value],
        };
        parts.into_iter().filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }

    /// R15: whether the service was started without any key and asked to be open then.
    pub fn is_open_without_keys(&self, policy: &ModelPolicy) -> bool {
        policy.access.insecure_allow_without_keys
            && policy.authenticators() == [AuthenticatorName::Configured]
            && policy.configured_keys.iter().all(|keys| self.configured(keys).is_empty())
    }

    fn ask_one(&self, policy: &ModelPolicy, authenticator: AuthenticatorName, candidate: &Candidate, now: Moment) -> Answer {
        let credential = match &candidate.presented {
            Presented::Malformed(_) => return Answer::Bad(vec!["malformed"]),
            Presented::Credential(credential) => credential,
        };
        if policy.authenticators().contains(&AuthenticatorName::Store)
            && let Some(badness) = self.wrong_checksum(credential)
        {
            return Answer::Bad(badness);
        }
        match authenticator {
            AuthenticatorName::Store => {
                let Some(key) = self.stored.iter().find(|key| key.key == *credential) else {
                    return Answer::Unknown;
                };
                let badness = state(key, now);
                if !badness.is_empty() {
                    return Answer::Bad(badness);
                }
                Answer::Live(Box::new(Verified {
                    principal: ModelPrincipal {
                        name: key.name.clone(),
                        kind: key.kind.clone(),
                        owner: key.owner.clone(),
                        scopes: key.scopes.clone(),
                        authenticator: "store",
                    },
                    candidate: candidate.clone(),
                    identity: format!("store {credential}"),
                    allowed_ips: key.allowed_ips.clone(),
                    resource_pattern: key.resource_pattern.clone(),
                    limits: key.limits.clone(),
                }))
            }
            AuthenticatorName::Configured => {
                let holds = |keys: &&ConfiguredKeys| self.configured(keys).contains(credential);
                let Some(keys) = policy.configured_keys.iter().find(holds) else { return Answer::Unknown };
                Answer::Live(Box::new(Verified {
                    principal: ModelPrincipal {
                        name: None,
                        kind: keys.kind.clone(),
                        owner: None,
                        scopes: keys.scopes.clone(),
                        authenticator: "configured",
                    },
                    candidate: candidate.clone(),
                    identity: format!("configured {credential}"),
                    allowed_ips: Vec::new(),
                    resource_pattern: None,
                    limits: Vec::new(),
                }))
            }
        }
    }

    /// R7.1: what begins with a bound prefix has the right check, or is malformed. Prefixes are bound by the store's keys, so
    /// only where somebody asks the store.
    fn wrong_checksum(&self, credential: &str) -> Option<Badness> {
        let bound: Vec<&str> = self.stored.iter().filter_map(ModelKey::bound_prefix).collect();
        match generated_shape(credential) {
            Some(shape) => {
                let wrong = bound.contains(&shape.prefix) && shape.check != checksum(shape.secret);
                wrong.then(|| vec!["malformed"])
            }
            // The rules say nothing of a bound prefix before another shape: both names for it are right.
            None => {
                bound.iter().any(|prefix| credential.starts_with(&format!("{prefix}_"))).then(|| vec!["malformed", "unknown"])
            }
        }
    }
}

enum Answer {
    Unknown,
    Bad(Badness),
    Live(Box<Verified>),
}

/// R7.4: everything that keeps a key from being live at a moment.
fn state(key: &ModelKey, now: Moment) -> Badness {
    let mut badness = Vec::new();
    if key.revoked {
        badness.push("revoked");
    }
    if key.disabled {
        badness.push("disabled");
    }
    if key.not_before.is_some_and(|start| now < start) {
        badness.push("not-yet-valid");
    }
    if key.expires_at.is_some_and(|end| now >= end) {
        badness.push("expired");
    }
    badness
}

#[cfg(test)]
mod tests {
    use super::{
        super::policy::{Place, Source},
        *,
    };

    fn candidates(credentials: &[&str]) -> Vec<Candidate> {
        credentials
            .iter()
            .map(|text| Candidate {
                source: Source::everywhere(Place::Bearer),
                presented: if text.is_empty() { Presented::Malformed(vec![]) } else { Presented::Credential((*text).to_owned()) },
            })
            .collect()
    }

    #[test]
    fn a_key_lives_from_its_start_to_just_before_its_end() {
        let key = ModelKey { not_before: Some(10), expires_at: Some(20), ..ModelKey::plain("a") };
        assert_eq!(state(&key, 9), ["not-yet-valid"]);
        assert!(state(&key, 10).is_empty());
        assert!(state(&key, 19).is_empty());
        assert_eq!(state(&key, 20), ["expired"]);
        assert_eq!(state(&ModelKey { revoked: true, ..key }, 20), ["revoked", "expired"]);
    }

    #[test]
    fn authenticators_are_outside_and_candidates_inside() {
        let policy = ModelPolicy::from_toml("[[configured_keys]]\nenv = 'K'\nkind = 'admin'").unwrap();
        let known = KnownKeys {
            stored: vec![ModelKey::plain("stored"), ModelKey { revoked: true, ..ModelKey::plain("both") }],
            environment: BTreeMap::from([("K".to_owned(), "both".to_owned())]),
        };
        let ask = |texts: &[&str]| known.ask(&policy, &candidates(texts), 0);
        let by = |verdict: &Verdict| verdict.winner.as_ref().map(|w| w.principal.authenticator);

        let verdict = ask(&["else", "stored"]);
        assert_eq!(by(&verdict), Some("store"));
        assert_eq!(verdict.bad.len(), 1);

        let verdict = ask(&["both"]);
        assert_eq!(by(&verdict), None, "a record that is found decides its candidate");
        assert_eq!(verdict.bad[0].1, ["revoked"]);

        let verdict = ask(&["stored", "", "else"]);
        assert!(verdict.bad.is_empty(), "nobody was asked about those after the winner");

        let verdict = ask(&["", "else"]);
        let kinds: Vec<&str> = verdict.bad.iter().map(|(_, badness)| badness[0]).collect();
        assert_eq!(kinds, ["malformed", "unknown"]);
    }

    #[test]
    fn configured_keys_are_trimmed_and_asked_in_order() {
        let policy = ModelPolicy::from_toml(
            "[[configured_keys]]\nenv = 'A'\nkind = 'first'\n[[configured_keys]]\nenv = 'B'\nseparator = ','",
        )
        .unwrap();
        let environment = [("A", " x\n"), ("B", "x, y")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        let known = KnownKeys { stored: vec![], environment: BTreeMap::from(environment) };
        let kind = |text: &str| {
            let verdict = known.ask(&policy, &candidates(&[text]), 0);
            verdict.winner.map(|w| w.principal.kind)
        };
        assert_eq!(kind("x"), Some(Some("first".to_owned())));
        assert_eq!(kind("y"), Some(None));
        assert_eq!(kind("x, y"), None);
    }

    #[test]
    fn a_bound_prefix_demands_the_check() {
        let secret = "0123456789abcdefghijABCDEFGHIJ01";
        let known =
            KnownKeys { stored: vec![ModelKey::plain(&super::super::key::generated("kw", secret))], ..KnownKeys::default() };
        assert_eq!(known.wrong_checksum(&format!("kw_{secret}zzzzzz")), Some(vec!["malformed"]));
        assert_eq!(known.wrong_checksum(&format!("other_{secret}zzzzzz")), None);
        assert_eq!(known.wrong_checksum("kw_short"), Some(vec!["malformed", "unknown"]));
    }
}
