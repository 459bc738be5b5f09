//! What a store promises, a second time: slowly, plainly, and without asking the core anything.

use std::collections::{BTreeMap, BTreeSet};

use keyward::{
    AddressList, Kind, Timestamp,
    key::{KeyId, Record, State},
    store::{Filter, Refused, Update},
};

use super::bench::Caller;
use crate::model::key::{checksum, generated_shape};

/// Nanoseconds since 1970.
pub(crate) type Time = i64;

/// All that a store has to know.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) now: Time,
    /// Every key that ever was, the purged ones included.
    pub(crate) keys: Vec<ModelKey>,
    /// Every text that somebody may present: the secrets that ever were, and keys whose import was refused.
    pub(crate) texts: BTreeSet<String>,
    pub(crate) rows: Vec<ModelRow>,
    /// The version of the newest pepper.
    pub(crate) pepper: u16,
    bound: BTreeSet<String>,
    markers: BTreeSet<String>,
    /// The digests that ever were a key's: of which text, with which pepper.
    digests: BTreeSet<(String, u16)>,
    /// The handles that ever were a key's.
    handles: BTreeSet<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct ModelKey {
    pub(crate) seen: Seen,
    pub(crate) current: ModelSecret,
    pub(crate) previous: Option<ModelSecret>,
    pub(crate) purged: bool,
    /// The prefix that must not be bound because of it.
    foreign: Option<String>,
    /// By the number of the secret.
    pub(crate) usage: BTreeMap<u32, ModelUsage>,
}

/// A row of the journal, but for what it tells of the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModelRow {
    pub(crate) action: &'static str,
    pub(crate) key: KeyId,
    pub(crate) at: Time,
    pub(crate) actor: String,
}

/// What can be seen of a record. Secrets are numbers here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) id: KeyId,
    pub(crate) name: String,
    pub(crate) kind: Option<String>,
    pub(crate) owner: Option<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) created: Time,
    pub(crate) not_before: Option<Time>,
    pub(crate) expires: Option<Time>,
    pub(crate) networks: Option<Vec<String>>,
    pub(crate) resource_pattern: Option<String>,
    pub(crate) limits: Option<Vec<String>>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) disabled: bool,
    pub(crate) revoked: Option<Time>,
    /// What may be shown of the current secret, and its number.
    pub(crate) current: (String, u32),
    /// The same of the previous one, and when its grace ends.
    pub(crate) previous: Option<(String, u32, Option<Time>)>,
}

#[derive(Clone, Debug)]
pub(crate) struct ModelSecret {
    pub(crate) text: String,
    stored: Stored,
    number: u32,
    shown: String,
    grace_ends: Option<Time>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stored {
    Digest { pepper: u16 },
    Handle(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModelUsage {
    pub(crate) count: u64,
    /// By the day since 1970, however long ago.
    pub(crate) days: BTreeMap<i64, u64>,
    pub(crate) last: Time,
    pub(crate) caller: Caller,
}

impl ModelUsage {
    /// The days that are told: thirty, the latest with a use included.
    pub(crate) fn latest_days(&self) -> Vec<(i64, u64)> {
        let latest = self.days.keys().last().copied().unwrap_or_default();
        self.days.iter().map(|(day, count)| (*day, *count)).filter(|(day, _)| latest - day < 30).collect()
    }
}

/// What a guard may say of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    Exactly(Result<KeyId, Kind>),
    /// The key looks damaged (R7.1), so a store that would need a trip to find it is not asked. One that knows it by heart is.
    DamagedOr(Result<KeyId, Kind>),
}

impl Expected {
    pub(crate) fn admits(&self, answered: Result<KeyId, Kind>) -> bool {
        match self {
            Expected::Exactly(expected) => answered == *expected,
            Expected::DamagedOr(expected) => answered == *expected || answered == Err(Kind::Malformed),
        }
    }

    /// The same for a guard that may not have heard of every prefix yet.
    pub(crate) fn admits_without_prefixes(&self, answered: Result<KeyId, Kind>) -> bool {
        let is_unheard = *self == Expected::Exactly(Err(Kind::Malformed)) && answered == Err(Kind::Unknown);
        is_unheard || self.admits(answered)
    }
}

/// How a key comes from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ImportedAs {
    Plain,
    Sha256,
    /// The hash alone, with a handle.
    Hash(String),
}

/// A key from elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct ModelImport {
    pub(crate) text: String,
    pub(crate) imported_as: ImportedAs,
    pub(crate) fields: Seen,
}

impl Model {
    /// An empty store.
    pub(crate) fn at(now: Time) -> Model {
        Model { now, ..Model::default() }
    }

    /// What a guard says of a text.
    pub(crate) fn answer(&self, text: &str) -> Expected {
        let Some((key, secret)) = self.find(text) else {
            return Expected::Exactly(Err(if self.is_damaged(text) { Kind::Malformed } else { Kind::Unknown }));
        };
        // R7.4. Where several reasons hold, the one that lasts longest is told.
        let over = |end: Option<Time>| end.is_some_and(|end| self.now >= end);
        let answer = if key.seen.revoked.is_some() {
            Err(Kind::Revoked)
        } else if key.seen.disabled {
            Err(Kind::Disabled)
        } else if over(key.seen.expires) || over(secret.grace_ends) {
            Err(Kind::Expired)
        } else if key.seen.not_before.is_some_and(|start| self.now < start) {
            Err(Kind::NotYetValid)
        } else {
            Ok(key.seen.id)
        };
        if self.is_damaged(text) { Expected::DamagedOr(answer) } else { Expected::Exactly(answer) }
    }

    /// Takes note of a use that a guard allowed.
    pub(crate) fn used(&mut self, text: &str, caller: Caller) {
        let now = self.now;
        let Some((id, number)) = self.find(text).map(|(key, secret)| (key.seen.id, secret.number)) else { return };
        let Some(key) = self.keys.iter_mut().find(|key| key.seen.id == id) else { return };
        let none = ModelUsage { count: 0, days: BTreeMap::new(), last: now, caller };
        let usage = key.usage.entry(number).or_insert(none);
        (usage.count, usage.last, usage.caller) = (usage.count + 1, now, caller);
        *usage.days.entry(now.div_euclid(86_400_000_000_000)).or_default() += 1;
    }

    /// Whose secret a text is: by a digest, the newest pepper's first, or else by its handle.
    fn find(&self, text: &str) -> Option<(&ModelKey, &ModelSecret)> {
        let secrets = || self.there().flat_map(|key| key.secrets().map(move |secret| (key, secret)));
        let by_digest = secrets().filter(|(_, secret)| secret.text == text).filter_map(|(key, secret)| match secret.stored {
            Stored::Digest { pepper } => Some((pepper, key, secret)),
            Stored::Handle(_) => None,
        });
        if let Some((_, key, secret)) = by_digest.max_by_key(|(pepper, ..)| *pepper) {
            return Some((key, secret));
        }
        let is_its_handle = |secret: &ModelSecret| matches!(&secret.stored, Stored::Handle(handle) if text.starts_with(handle));
        // Who begins with a handle is its key only if the rest is right too.
        secrets().find(|(_, secret)| is_its_handle(secret)).filter(|(_, secret)| secret.text == text)
    }

    fn is_damaged(&self, text: &str) -> bool {
        text.rsplit_once('_').is_some_and(|(prefix, _)| self.bound.contains(prefix)) && generated_prefix(text).is_none()
    }

    /// The keys that are in the store.
    pub(crate) fn there(&self) -> impl Iterator<Item = &ModelKey> {
        self.keys.iter().filter(|key| !key.purged)
    }

    fn key(&mut self, id: &KeyId) -> Result<&mut ModelKey, Refused> {
        self.keys.iter_mut().find(|key| key.seen.id == *id && !key.purged).ok_or(Refused::NotFound)
    }

    /// A key that may be changed.
    fn changeable(&mut self, id: &KeyId) -> Result<&mut ModelKey, Refused> {
        let key = self.key(id)?;
        if key.seen.revoked.is_some() { Err(Refused::Revoked) } else { Ok(key) }
    }

    /// The keys that a filter means, in the order of their ids.
    pub(crate) fn listed(&self, filter: &Filter) -> Vec<Seen> {
        let mut listed: Vec<Seen> = self.there().map(|key| key.seen.clone()).filter(|seen| is_meant(filter, seen)).collect();
        listed.sort_by(|one, other| one.id.as_str().cmp(other.id.as_str()));
        listed
    }

    fn note(&mut self, action: &'static str, key: KeyId) {
        self.rows.push(ModelRow { action, key, at: self.now, actor: "program".to_owned() });
    }

    /// R7.1: from now on keys with this prefix are generated here.
    pub(crate) fn bind(&mut self, prefix: &str) -> Result<(), Refused> {
        let stands_in_the_way = |key: &ModelKey| key.foreign.as_deref() == Some(prefix) && key.seen.revoked.is_none();
        if !self.bound.contains(prefix) && self.there().any(stands_in_the_way) {
            return Err(Refused::LooksGenerated);
        }
        self.bound.insert(prefix.to_owned());
        Ok(())
    }

    /// Whether a key may be made now.
    pub(crate) fn may_create(&mut self, prefix: &str, once: Option<&str>) -> Result<(), Refused> {
        self.bind(prefix)?;
        if once.is_some_and(|once| self.markers.contains(once)) { Err(Refused::DoneBefore) } else { Ok(()) }
    }

    /// A key was made.
    pub(crate) fn created(&mut self, mut seen: Seen, text: &str, once: Option<&str>) {
        seen.current = (shown(text), 0);
        self.markers.extend(once.map(str::to_owned));
        let secret = ModelSecret::new(text, Stored::Digest { pepper: self.pepper }, &seen.current.0);
        self.add(seen, secret, None);
    }

    fn add(&mut self, seen: Seen, secret: ModelSecret, foreign: Option<String>) {
        self.note("create", seen.id);
        self.remember(&secret);
        let (previous, purged, usage) = (None, false, BTreeMap::new());
        self.keys.push(ModelKey { seen, current: secret, previous, purged, foreign, usage });
    }

    fn remember(&mut self, secret: &ModelSecret) {
        self.texts.insert(secret.text.clone());
        match &secret.stored {
            Stored::Digest { pepper } => _ = self.digests.insert((secret.text.clone(), *pepper)),
            Stored::Handle(handle) => _ = self.handles.insert(handle.clone()),
        }
    }

    /// What an import binds before anything is stored, or why it cannot go on.
    pub(crate) fn prepare(&mut self, import: &ModelImport) -> Result<(), Refused> {
        match (&import.imported_as, generated_prefix(&import.text)) {
            (ImportedAs::Plain, Some(prefix)) => self.bind(&prefix),
            _ => Ok(()),
        }
    }

    /// Whether a prepared import is taken; if so it is there now.
    pub(crate) fn import(&mut self, import: &ModelImport) -> Result<(), Refused> {
        self.texts.insert(import.text.clone());
        let text = &import.text;
        let mut foreign = None;
        let (stored, shown) = match &import.imported_as {
            ImportedAs::Plain => (Stored::Digest { pepper: self.pepper }, shown(text)),
            ImportedAs::Sha256 => (Stored::Digest { pepper: 0 }, String::new()),
            ImportedAs::Hash(handle) => (Stored::Handle(handle.clone()), handle.clone()),
        };
        if import.imported_as == ImportedAs::Plain {
            // R7.4: the key itself is compared by every digest and by every handle.
            if self.digests.iter().any(|(known, _)| known == text) {
                return Err(Refused::SecretTaken);
            }
            if generated_prefix(text).is_none() {
                foreign = text.rsplit_once('_').map(|(prefix, _)| prefix.to_owned());
                if self.is_damaged(text) {
                    return Err(Refused::LooksGenerated);
                }
            }
            if self.handles.iter().any(|handle| text.starts_with(handle.as_str()) && handle.len() < text.len()) {
                return Err(Refused::HandleTaken);
            }
        }
        match &stored {
            Stored::Digest { pepper } if self.digests.contains(&(text.clone(), *pepper)) => return Err(Refused::SecretTaken),
            Stored::Digest { .. } => {}
            Stored::Handle(handle) if self.handles.contains(handle) => return Err(Refused::SecretTaken),
            Stored::Handle(handle) => {
                if self.handles.iter().any(|other| other.starts_with(handle) || handle.starts_with(other.as_str())) {
                    return Err(Refused::HandleTaken);
                }
            }
        }
        let mut seen = import.fields.clone();
        seen.current = (shown.clone(), 0);
        self.add(seen, ModelSecret::new(text, stored, &shown), foreign);
        Ok(())
    }

    /// With which prefix a key may be rotated now.
    pub(crate) fn may_rotate(&mut self, id: &KeyId) -> Result<String, Refused> {
        let before = self.changeable(id)?.current.shown.clone();
        let as_before = before.rsplit_once('_').map(|(prefix, _)| prefix.to_owned()).filter(|prefix| is_prefix(prefix));
        for prefix in as_before.into_iter().chain(["kw".to_owned()]) {
            if self.bind(&prefix).is_ok() {
                return Ok(prefix);
            }
        }
        Err(Refused::LooksGenerated)
    }

    /// A key was rotated.
    pub(crate) fn rotated(&mut self, id: &KeyId, text: &str, grace: Time) -> Result<(), Refused> {
        let (now, pepper) = (self.now, self.pepper);
        let key = self.changeable(id)?;
        let number = key.current.number + 1;
        let new = ModelSecret { number, ..ModelSecret::new(text, Stored::Digest { pepper }, &shown(text)) };
        let old = std::mem::replace(&mut key.current, new.clone());
        key.previous = Some(ModelSecret { grace_ends: Some(now.saturating_add(grace)), ..old });
        key.seen.current = (key.current.shown.clone(), number);
        key.seen.previous = key.previous.as_ref().map(|old| (old.shown.clone(), old.number, old.grace_ends));
        self.remember(&new);
        self.note("rotate", *id);
        Ok(())
    }

    pub(crate) fn revoke(&mut self, id: &KeyId) -> Result<(), Refused> {
        let now = self.now;
        let key = self.key(id)?;
        if key.seen.revoked.is_none() {
            key.seen.revoked = Some(now);
            self.note("revoke", *id);
        }
        Ok(())
    }

    pub(crate) fn update(&mut self, id: &KeyId, update: &Update) -> Result<(), Refused> {
        let seen = &mut self.changeable(id)?.seen;
        let time = |time: &Timestamp| time.unix_nanoseconds();
        if let Some(name) = &update.name {
            seen.name = name.to_string();
        }
        if let Some(kind) = &update.kind {
            seen.kind = kind.as_deref().map(str::to_owned);
        }
        if let Some(scopes) = &update.scopes {
            seen.scopes = scopes.iter().map(ToString::to_string).collect();
        }
        if let Some(not_before) = &update.not_before {
            seen.not_before = not_before.as_ref().map(time);
        }
        if let Some(expires) = &update.expires {
            seen.expires = expires.as_ref().map(time);
        }
        if let Some(networks) = &update.networks {
            seen.networks = networks.as_ref().map(network_texts);
        }
        if let Some(pattern) = &update.resource_pattern {
            seen.resource_pattern = pattern.as_ref().map(ToString::to_string);
        }
        if let Some(limits) = &update.limits {
            seen.limits = limits.as_ref().map(|limits| limits.iter().map(ToString::to_string).collect());
        }
        if let Some(metadata) = &update.metadata {
            seen.metadata.clone_from(metadata);
        }
        if let Some((disabled, _)) = &update.disabled {
            seen.disabled = *disabled;
        }
        self.note("update", *id);
        Ok(())
    }

    pub(crate) fn purge(&mut self, id: &KeyId) -> Result<(), Refused> {
        let key = self.key(id)?;
        if key.seen.revoked.is_none() {
            return Err(Refused::NotRevoked);
        }
        key.purged = true;
        key.usage.clear();
        self.note("purge", *id);
        Ok(())
    }
}

impl ModelKey {
    fn secrets(&self) -> impl Iterator<Item = &ModelSecret> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}

impl ModelSecret {
    fn new(text: &str, stored: Stored, shown: &str) -> ModelSecret {
        ModelSecret { text: text.to_owned(), stored, number: 0, shown: shown.to_owned(), grace_ends: None }
    }
}

impl Seen {
    /// A key made now, with nothing but a name.
    pub(crate) fn new(id: KeyId, name: impl Into<String>, created: Time) -> Seen {
        Seen {
            id,
            name: name.into(),
            kind: None,
            owner: None,
            scopes: Vec::new(),
            created,
            not_before: None,
            expires: None,
            networks: None,
            resource_pattern: None,
            limits: None,
            metadata: BTreeMap::new(),
            disabled: false,
            revoked: None,
            current: (String::new(), 0),
            previous: None,
        }
    }

    /// What can be seen of a record.
    pub(crate) fn of(record: &Record) -> Seen {
        let text = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
        let time = |time: Option<Timestamp>| time.map(Timestamp::unix_nanoseconds);
        Seen {
            id: record.id,
            name: record.name.to_string(),
            kind: text(&record.kind),
            owner: text(&record.owner),
            scopes: record.scopes.iter().map(ToString::to_string).collect(),
            created: record.created.unix_nanoseconds(),
            not_before: time(record.not_before),
            expires: time(record.expires),
            networks: record.networks.as_ref().map(network_texts),
            resource_pattern: record.resource_pattern.as_ref().map(ToString::to_string),
            limits: record.limits.as_ref().map(|limits| limits.iter().map(ToString::to_string).collect()),
            metadata: record.metadata.clone(),
            disabled: record.disabled,
            revoked: time(record.revoked_at()),
            current: (record.current.prefix.to_string(), record.current.number),
            previous: record.previous.as_ref().map(|slot| (slot.prefix.to_string(), slot.number, time(slot.grace_ends))),
        }
    }
}

pub(crate) fn network_texts(networks: &AddressList) -> Vec<String> {
    networks.iter().map(|network| network.to_string()).collect()
}

/// What a filter means, said once more.
fn is_meant(filter: &Filter, seen: &Seen) -> bool {
    if let Some(owner) = &filter.owner
        && seen.owner.as_deref() != Some(owner)
    {
        return false;
    }
    if let Some(kind) = &filter.kind
        && seen.kind.as_deref() != Some(kind)
    {
        return false;
    }
    if let Some(prefix) = &filter.prefix
        && seen.current.0.get(..prefix.len()) != Some(prefix)
    {
        return false;
    }
    if let Some((state, at)) = filter.state
        && state_of(seen, at.unix_nanoseconds()) != state
    {
        return false;
    }
    if filter.created_from.is_some_and(|from| seen.created < from.unix_nanoseconds()) {
        return false;
    }
    if filter.created_before.is_some_and(|before| seen.created >= before.unix_nanoseconds()) {
        return false;
    }
    match (filter.revoked_before, seen.revoked) {
        (Some(before), Some(at)) => at < before.unix_nanoseconds(),
        (Some(_), None) => false,
        (None, _) => true,
    }
}

/// How a key stands through its current secret, which has no grace.
fn state_of(seen: &Seen, at: Time) -> State {
    if seen.revoked.is_some() {
        State::Revoked
    } else if seen.disabled {
        State::Disabled
    } else if seen.expires.is_some_and(|expires| expires <= at) {
        State::Expired
    } else if seen.not_before.is_some_and(|start| start > at) {
        State::NotYetValid
    } else {
        State::Live
    }
}

/// What may be shown of a key: prefix and four characters of a generated one; of others the same where that is at most a third
/// of it, or else four characters of sixteen and more.
pub(crate) fn shown(text: &str) -> String {
    if let Some(prefix) = generated_prefix(text) {
        return text[..prefix.len() + 5].to_owned();
    }
    match text.rsplit_once('_') {
        Some((prefix, _)) if prefix.len() + 5 <= text.len() / 3 => text[..prefix.len() + 5].to_owned(),
        _ if text.len() >= 16 => text[..4].to_owned(),
        _ => String::new(),
    }
}

/// The prefix of a key that was generated, here or elsewhere.
pub(crate) fn generated_prefix(text: &str) -> Option<String> {
    let shape = generated_shape(text).filter(|shape| is_prefix(shape.prefix))?;
    (shape.check == checksum(shape.secret)).then(|| shape.prefix.to_owned())
}

/// Whether a generated key may begin with it.
fn is_prefix(text: &str) -> bool {
    let word = |word: &str| !word.is_empty() && word.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit());
    (1..=32).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.split('_').all(word)
        && text != "kws"
}

/// The network of a caller, as far as it is kept: its /24 or /48.
pub(crate) fn network_of(caller: Caller) -> Option<std::net::IpAddr> {
    use std::net::IpAddr;
    caller.address.map(|address| match address {
        IpAddr::V4(four) => IpAddr::V4((u32::from(four) & 0xffff_ff00).into()),
        IpAddr::V6(six) => IpAddr::V6((u128::from(six) & !((1_u128 << 80) - 1)).into()),
    })
}
