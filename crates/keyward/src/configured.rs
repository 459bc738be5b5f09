//! Keys from the environment (one, or several with a separator), as records like any others.

use std::ffi::OsString;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::credential::LONGEST_CREDENTIAL;
use crate::key;
use crate::key::{Epoch, KeyDigest, KeyId, Record, Slot, StoredSecret};
use crate::memory::MemoryStore;
use crate::policy::{ConfigError, ConfiguredKeys};
use crate::store::{Attribution, Insert, Insertion, KeyStore, RecordStore, Refused};

/// Looks an environment variable up.
pub(crate) type Lookup = dyn Fn(&str) -> Option<OsString>;

/// What the environment held.
pub(crate) struct Configured {
    /// `None`: the policy names no variable.
    pub(crate) store: Option<Arc<dyn KeyStore>>,
    /// Every variable is unset or blank.
    pub(crate) is_empty: bool,
    /// The one key, where there is one alone.
    pub(crate) only: Option<OnlyKey>,
}

/// A key that signs tickets itself (R14.3).
pub(crate) struct OnlyKey {
    pub(crate) variable: String,
    pub(crate) key: Zeroizing<Vec<u8>>,
    pub(crate) record: Arc<Record>,
}

pub(crate) fn read(variables: &[ConfiguredKeys], lookup: Option<&Lookup>) -> Result<Configured, ConfigError> {
    let store = MemoryStore::new();
    let (mut is_empty, mut count, mut only) = (true, 0_usize, None);
    for keys in variables {
        let lookup = lookup.ok_or_else(|| {
            ConfigError::one(
                "configured_keys",
                "the guard was given no environment",
                "call `GuardBuilder::environment(|name| std::env::var_os(name))`",
            )
        })?;
        let fault = |problem: &str, mend: &str| ConfigError::one(keys.variable.as_str(), problem, mend);
        let Some(value) = lookup(&keys.variable) else { continue };
        let value = value.into_string().map_err(|_| fault("is not UTF-8", "keys are visible ASCII"))?;
        if value.trim().is_empty() {
            continue;
        }
        let written: Vec<&str> = match &keys.separator {
            Some(separator) => value.split(separator.as_str()).map(str::trim).filter(|key| !key.is_empty()).collect(),
            None => vec![value.trim()],
        };
        if written.is_empty() {
            return Err(fault("holds separators and no key", "write a key, or unset it"));
        }
        is_empty = false;
        for (index, key) in written.iter().enumerate() {
            if key.len() > LONGEST_CREDENTIAL || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(fault(
                    &format!("its key number {} could never be presented", index + 1),
                    "a key is 1 to 1024 visible ASCII characters; several need `separator` in the policy",
                ));
            }
            let id = add(&store, keys, key, index, written.len());
            count += 1;
            if let crate::Answer::Ready(Ok(Some(record))) = store.get(&id) {
                only = Some(OnlyKey { variable: keys.variable.clone(), key: Zeroizing::new(key.as_bytes().to_vec()), record });
            }
        }
    }
    let store: Option<Arc<dyn KeyStore>> = if variables.is_empty() { None } else { Some(Arc::new(store)) };
    Ok(Configured { store, is_empty, only: only.filter(|_| count == 1) })
}

/// The first variable that names a key has it (they are asked in the order written).
fn add(store: &MemoryStore, keys: &ConfiguredKeys, key: &str, index: usize, of: usize) -> KeyId {
    let digest = KeyDigest::sha256(key.as_bytes());
    // Stable over restarts, and of the variable's name alone: an id that came from the key would confirm a guess at it to
    // everybody who reads a log.
    let id = KeyDigest::sha256(format!("{}[{index}]", keys.variable).as_bytes()).to_bytes();
    let id = KeyId::from_number(id.iter().take(16).fold(0, |sum, &byte| sum << 8 | u128::from(byte)));
    let name = if of == 1 { keys.variable.clone() } else { format!("{}[{index}]", keys.variable) };
    let slot = Slot::new(StoredSecret::Digest(digest), key::display_prefix(key));
    let mut record = Record::new(id, name, Timestamp::EPOCH, Epoch::from_bytes([0; 16]), slot);
    record.kind.clone_from(&keys.kind);
    record.scopes.clone_from(&keys.scopes);
    let by = Attribution { actor: "environment".into(), at: Timestamp::EPOCH };
    let is_known = |refused: &Refused| matches!(refused, Refused::IdTaken | Refused::SecretTaken);
    match store.insert(Insert::one(Insertion::new(record)), by) {
        crate::Answer::Ready(Ok(inserted)) if inserted.refused.iter().all(|(_, refused)| is_known(refused)) => {}
        other => tracing::error!(target: "keyward", variable = keys.variable, ?other, "a configured key was not taken"),
    }
    id
}
