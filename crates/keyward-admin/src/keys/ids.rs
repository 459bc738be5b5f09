//! What a key is called from outside: by its id, or by a number, for an API whose document says that ids are numbers.

use std::sync::atomic::{AtomicU64, Ordering};

use keyward::key::KeyId;
use keyward::store::{Filter, Refused};
use keyward::{Fault, Keys, KeysError, Made, NewKey};
use serde::Serialize;

/// What keys are called.
#[derive(Debug)]
pub(crate) enum KeyIds {
    /// By their ids.
    Texts,
    /// 1, 2, 3 …
    Numbers(Numbers),
}

/// What one key is called, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum ShownId {
    Number(u64),
    Text(String),
}

impl KeyIds {
    pub(crate) fn numbers() -> Self {
        Self::Numbers(Numbers { next: AtomicU64::new(Numbers::UNKNOWN) })
    }

    /// A key that was made elsewhere, by the command line, say, has no number, and is called by its id.
    pub(crate) fn shown(&self, id: &str) -> ShownId {
        match self {
            Self::Numbers(_) => number(id).map_or_else(|| ShownId::Text(id.to_owned()), ShownId::Number),
            Self::Texts => ShownId::Text(id.to_owned()),
        }
    }

    /// The id of the key that is called so.
    pub(crate) fn read(&self, text: &str) -> Option<KeyId> {
        let is_number = matches!(self, Self::Numbers(_)) && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number {
            return text.parse().ok();
        }
        // One spelling for each, or what names a key in one log does not in another.
        let number = text.parse().ok().filter(|number| (1..=Numbers::LARGEST).contains(number) && !text.starts_with('0'));
        number.and_then(id_of)
    }

    /// A new key.
    pub(crate) async fn create(&self, keys: &Keys, new: NewKey) -> Result<Made, KeysError> {
        match self {
            Self::Texts => keys.create(new).await,
            Self::Numbers(numbers) => numbers.create(keys, new).await,
        }
    }
}

impl std::fmt::Display for ShownId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => std::fmt::Display::fmt(number, f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// Numbers for new keys. One is given once for a store, ever, whatever becomes of its key; some may be given to none.
#[derive(Debug)]
pub(crate) struct Numbers {
    next: AtomicU64,
}

impl Numbers {
    /// Those that every client can hold.
    const LARGEST: u64 = i32::MAX as u64;
    const UNKNOWN: u64 = 0;

    async fn create(&self, keys: &Keys, new: NewKey) -> Result<Made, KeysError> {
        if self.next.load(Ordering::Relaxed) == Self::UNKNOWN {
            self.next.fetch_max(largest(keys).await? + 1, Ordering::Relaxed);
        }
        // Where another process took numbers meanwhile, or the latest keys were purged, larger and larger steps get past them.
        let mut step = 1;
        loop {
            let number = self.next.fetch_add(step, Ordering::Relaxed);
            let Some(id) = id_of(number).filter(|_| number <= Self::LARGEST) else {
                return Err(Fault::new(format!("there are no numbers left for keys: the last one was {}", Self::LARGEST)).into());
            };
            // The marker outlives the key, so that no other one is ever called by its number.
            match keys.create_once(&format!("key number {number}"), new.clone().id(id)).await {
                Ok(Some(made)) => return Ok(made),
                Ok(None) | Err(KeysError::Refused(Refused::IdTaken)) => step *= 2,
                Err(error) => return Err(error),
            }
        }
    }
}

/// The largest number that a key has, looked for by halves: a store lists ids upwards alone.
async fn largest(keys: &Keys) -> Result<u64, KeysError> {
    let (mut has, mut has_not) = (0, Numbers::LARGEST);
    while has < has_not {
        let middle = has + (has_not - has) / 2;
        let next = keys.list(&Filter::default(), id_of(middle), 1).await?;
        // Behind the numbers come ids that begin with the time, and their first digits are larger.
        match next.first().and_then(|record| number(record.id.as_str())) {
            Some(larger) => has = larger.clamp(middle + 1, has_not),
            None => has_not = middle,
        }
    }
    Ok(has)
}

/// Of twelve digits, so that the order of ids is that of numbers.
fn id_of(number: u64) -> Option<KeyId> {
    format!("{number:012}").parse().ok()
}

fn number(id: &str) -> Option<u64> {
    let is_ours = id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit());
    id.parse().ok().filter(|number| is_ours && (1..=Numbers::LARGEST).contains(number))
}

#[cfg(test)]
mod tests {
    use keyward::MemoryStore;
    use pollster::block_on as wait;

    use super::*;

    fn made(ids: &KeyIds, keys: &Keys) -> ShownId {
        let made = wait(ids.create(keys, NewKey::named("k"))).unwrap();
        ids.shown(made.record().id.as_str())
    }

    #[test]
    fn keys_are_counted_from_one_and_go_on_after_a_restart() {
        let keys = Keys::new(MemoryStore::new());
        wait(keys.create(NewKey::named("made elsewhere"))).unwrap();
        let ids = KeyIds::numbers();
        for number in 1..=11 {
            assert_eq!(made(&ids, &keys), ShownId::Number(number));
        }
        assert_eq!(made(&KeyIds::numbers(), &keys), ShownId::Number(12));
        let listed = wait(keys.list(&Filter::default(), None, 100)).unwrap();
        let shown: Vec<String> = listed.iter().map(|record| ids.shown(record.id.as_str()).to_string()).collect();
        assert_eq!(shown[..12], (1..=12).map(|number| number.to_string()).collect::<Vec<_>>());
        assert_eq!(shown[12].len(), 32, "a key that was made elsewhere keeps its id");
    }

    #[test]
    fn two_processes_never_give_the_same_number() {
        let keys = Keys::new(MemoryStore::new());
        let (one, other) = (KeyIds::numbers(), KeyIds::numbers());
        let given: Vec<String> = (0..40).map(|turn| made(if turn % 3 == 0 { &one } else { &other }, &keys).to_string()).collect();
        assert_eq!(given.iter().collect::<std::collections::BTreeSet<_>>().len(), given.len(), "{given:?}");
    }

    #[test]
    fn the_number_of_a_purged_key_is_given_to_no_other() {
        let keys = Keys::new(MemoryStore::new());
        let ids = KeyIds::numbers();
        for number in 1..=5 {
            assert_eq!(made(&ids, &keys), ShownId::Number(number));
            let id = ids.read(&number.to_string()).unwrap();
            wait(keys.revoke(&id)).unwrap();
            wait(keys.purge(&id)).unwrap();
        }
        let next = made(&KeyIds::numbers(), &keys);
        assert!(matches!(next, ShownId::Number(number) if number > 5), "{next:?}");
    }

    #[test]
    fn a_number_has_one_spelling() {
        let ids = KeyIds::numbers();
        assert_eq!(ids.read("7").unwrap().as_str(), "000000000007");
        assert_eq!(ids.read("2147483647").unwrap().as_str(), "002147483647");
        for bad in ["", "0", "07", "000000000007", "+7", "7 ", "2147483648", "18446744073709551616", "7/x", "\u{0667}"] {
            assert_eq!(ids.read(bad).filter(|id| number(id.as_str()).is_some()), None, "{bad}");
        }
        assert_eq!(ids.shown("000000000007"), ShownId::Number(7));
        for text in ["7", "0000000000007", "000000000000", "002147483648", "00000000000a"] {
            assert_eq!(ids.shown(text), ShownId::Text(text.to_owned()));
            assert_eq!(KeyIds::Texts.read(text).unwrap().as_str(), text);
        }
    }
}
