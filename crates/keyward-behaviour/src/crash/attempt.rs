//! One change, as it is written down before it is made.

use keyward::{Timestamp, key::KeyDigest};
use serde::{Deserialize, Serialize};

use super::{chance::Chance, expected::Expected};

/// What a change shall be. Keys have labels here, since an id is known only when a key is there: the number of the change that
/// makes the key and its place among those that the change makes. A key's owner is its label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub(super) enum Attempt {
    Create {
        key: String,
        prefix: String,
        /// The marker under which it is made once for the store.
        once: Option<String>,
        fields: Fields,
    },
    /// In one transaction.
    Import {
        keys: Vec<Foreign>,
    },
    Rotate {
        key: String,
        grace_seconds: u64,
    },
    Update {
        key: String,
        fields: Fields,
    },
    Disable {
        key: String,
        disabled: bool,
    },
    Revoke {
        key: String,
    },
    Purge {
        key: String,
    },
}

/// A key made elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Foreign {
    pub(super) key: String,
    pub(super) secret: String,
    pub(super) given_as: GivenAs,
    pub(super) fields: Fields,
}

/// How a key made elsewhere is handed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum GivenAs {
    Text,
    Sha256,
    /// Its Argon2id hash, with its handle.
    Argon2 {
        handle: String,
        phc: String,
    },
}

/// What is kept with a key and may change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fields {
    pub(super) name: String,
    pub(super) kind: Option<String>,
    pub(super) scopes: Vec<String>,
    /// In the metadata.
    pub(super) note: Option<String>,
    pub(super) expires_at: Option<Timestamp>,
}

/// Keys that could be guessed, with their handles, none of which begins another, and with hashes that are cheap to verify.
const GUESSABLE: [(&str, &str, &str); 3] = [
    (
        "customer12-second-secret",
        "customer12",
        "$argon2id$v=19$m=8,t=1,p=1$BwcHBwcHBwcHBwcHBwcHBw$y5fl1Fovnk8voabqmThJ+miJVh1j9sv9wePbYe4ocaw",
    ),
    (
        "customer2-fourth-secret",
        "customer2",
        "$argon2id$v=19$m=8,t=1,p=1$BwcHBwcHBwcHBwcHBwcHBw$Ftuogo9YA81gwiDJco2cnzvdmF6AODFZgrNoo5tEmTY",
    ),
    (
        "tenant-7-sixth-secret",
        "tenant-7",
        "$argon2id$v=19$m=8,t=1,p=1$BwcHBwcHBwcHBwcHBwcHBw$crsE00lbxkLvfcxsSiOz4ZbpfQ/t1RnqH1Gofahw4GM",
    ),
];

impl Attempt {
    /// The change with this number: what the seed says, as far as there are keys that it can be made to.
    pub(super) fn choose(seed: u64, number: u64, known: &Expected) -> Attempt {
        let mut chance = Chance::new(seed, number);
        let action = chance.below(100);
        let in_use = known.labels(|key| key.is_in_use());
        let revoked = known.labels(|key| key.is_revoked());
        let fields = Fields::random(&mut chance, number);
        let one_in_use = chance.among(&in_use).cloned();
        let one_revoked = chance.among(&revoked).cloned();
        if let (15..17, Some(foreign)) = (action, Foreign::guessable(&mut chance, number, known)) {
            return Attempt::Import { keys: vec![foreign] };
        }
        match (action, one_in_use, one_revoked) {
            (0..15, ..) => Attempt::Import {
                keys: (0..if action < 10 { 1 } else { 3 }).map(|place| Foreign::random(&mut chance, number, place)).collect(),
            },
            (17..37, Some(key), _) => Attempt::Rotate { key, grace_seconds: if chance.one_in(3) { 0 } else { 86_400 } },
            (37..52, Some(key), _) => Attempt::Update { key, fields },
            (52..58, Some(key), _) => {
                // Always the other way, so that what was made can be told from what was not.
                let disabled = known.keys.get(&key).is_some_and(|key| !key.disabled);
                Attempt::Disable { key, disabled }
            }
            (58..70, Some(key), _) => Attempt::Revoke { key },
            // Again, which changes nothing.
            (70..71, _, Some(key)) => Attempt::Revoke { key },
            (71..79, _, Some(key)) => Attempt::Purge { key },
            _ => Attempt::Create {
                key: label(number, 0),
                prefix: chance.among(&["kw", "svc", "web_app"]).copied().unwrap_or("kw").to_owned(),
                // Each name comes up several times, and only the first one makes a key.
                once: (action >= 95).then(|| format!("marker-{}", number / 32)),
                fields,
            },
        }
    }

    /// The name of the action in the log.
    pub(super) fn action(&self) -> &'static str {
        match self {
            Attempt::Create { once: None, .. } => "create",
            Attempt::Create { once: Some(_), .. } => "create-once",
            Attempt::Import { .. } => "import",
            Attempt::Rotate { .. } => "rotate",
            Attempt::Update { .. } => "update",
            Attempt::Disable { .. } => "disable",
            Attempt::Revoke { .. } => "revoke",
            Attempt::Purge { .. } => "purge",
        }
    }
}

impl Foreign {
    fn random(chance: &mut Chance, number: u64, place: u64) -> Foreign {
        let digits = format!("{:016x}{:016x}", chance.number(), chance.number());
        let secret = match chance.below(3) {
            0 => digits,
            // What stands before the `_` may not become a prefix of generated keys while this one is used (R7.1).
            _ => format!("legacy{number}n{place}_{digits}"),
        };
        let given_as = if chance.one_in(4) { GivenAs::Sha256 } else { GivenAs::Text };
        // Rows to import have no metadata.
        let fields = Fields { note: None, ..Fields::random(chance, number) };
        Foreign { key: label(number, place), secret, given_as, fields }
    }

    /// The next of those that could be guessed.
    fn guessable(chance: &mut Chance, number: u64, known: &Expected) -> Option<Foreign> {
        let (secret, handle, phc) = GUESSABLE.iter().find(|(secret, ..)| !known.has_secret(secret))?;
        Some(Foreign {
            key: label(number, 0),
            secret: (*secret).to_owned(),
            given_as: GivenAs::Argon2 { handle: (*handle).to_owned(), phc: (*phc).to_owned() },
            fields: Fields { note: None, ..Fields::random(chance, number) },
        })
    }

    /// The row in which it is imported.
    pub(super) fn row(&self) -> serde_json::Value {
        let Foreign { key, secret, given_as, fields } = self;
        let mut row = serde_json::json!({
            "owner": key, "name": fields.name, "kind": fields.kind, "scopes": fields.scopes, "expires_at": fields.expires_at,
        });
        match given_as {
            GivenAs::Text => {
                row["key"] = secret.as_str().into();
                row["entropy_bits"] = 128.into();
            }
            GivenAs::Sha256 => {
                let digest = KeyDigest::sha256(secret.as_bytes()).to_bytes();
                row["sha256"] = digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into();
                row["entropy_bits"] = 128.into();
            }
            GivenAs::Argon2 { handle, phc } => {
                row["phc"] = phc.as_str().into();
                row["handle"] = handle.as_str().into();
            }
        }
        row
    }
    /// The prefix that it keeps from being bound, where the store can know of it.
    pub(super) fn keeps_free(&self) -> Option<&str> {
        match self.given_as {
            GivenAs::Text => self.secret.rsplit_once('_').map(|(prefix, _)| prefix),
            GivenAs::Sha256 | GivenAs::Argon2 { .. } => None,
        }
    }
}

impl Fields {
    fn random(chance: &mut Chance, number: u64) -> Fields {
        let day = 86_400;
        Fields {
            name: format!("named by change {number}"),
            kind: chance.among(&[None, Some("service"), Some("person")]).copied().flatten().map(str::to_owned),
            scopes: (0..chance.below(3)).map(|place| format!("area{place}:of{number}")).collect(),
            note: chance.one_in(2).then(|| format!("written by change {number}")),
            expires_at: match chance.below(8) {
                0 => Some(Timestamp::from_unix_seconds(i64::try_from(number).unwrap_or(0))),
                // In the year 2200.
                1 | 2 => Some(Timestamp::from_unix_seconds(7_258_118_400 + day * i64::try_from(number % 1_000).unwrap_or(0))),
                _ => None,
            },
        }
    }
}

fn label(number: u64, place: u64) -> String {
    format!("{number}.{place}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_change_depends_on_seed_number_and_keys_alone_and_every_action_comes_up() {
        let mut known = Expected::default();
        let mut actions = BTreeSet::new();
        for number in 1..=500 {
            let attempt = Attempt::choose(7, number, &known);
            assert_eq!(attempt, Attempt::choose(7, number, &known));
            actions.insert(attempt.action());
            known.apply(number, &attempt, None).unwrap();
        }
        let all = ["create", "create-once", "disable", "import", "purge", "revoke", "rotate", "update"];
        assert_eq!(actions.into_iter().collect::<Vec<_>>(), all);
        assert_ne!(Attempt::choose(7, 1, &Expected::default()), Attempt::choose(8, 1, &Expected::default()));
    }
}
