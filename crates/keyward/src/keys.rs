//! Looking after keys: create, rotate, revoke, import, over any store.

mod pepper_notes;
mod revoke_all;

pub use revoke_all::{NotAllRevoked, RevokedAll};

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::answer::Fault;
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::credential::{LONGEST_CREDENTIAL, Secret};
use crate::import::{ImportedKey, ImportedSecret};
use crate::key::{
    self, BadField, BadPrefix, Epoch, Fields, KeyId, KeyPrefix, PepperMismatch, Peppers, Record, Slot, State, StoredSecret,
    UnusableHash,
};
use crate::limit::{BadQuota, Quota};
use crate::network::{AddressList, BadNetwork};
use crate::random::{Random, SystemRandom};
use crate::scope::{BadScope, Scope};
use crate::store::{
    Attribution, Change, Filter, Insert, Insertion, Journalled, PlainKey, Progress, RecordStore, Refused, SlotUsage, Update,
    WhereRefused,
};

/// Looks after the keys of one store.
///
/// ```
/// use keyward::{Keys, MemoryStore, NewKey};
///
/// # pollster::block_on(async {
/// let keys = Keys::new(MemoryStore::new());
/// let made = keys.create(NewKey::named("nightly export").scope("reports:read")?.expires_in_days(90)).await?;
/// let key = made.secret().expose(); // the only time it can be read
/// assert!(key.starts_with("kw_"));
/// let revoked = keys.revoke(&made.record().id).await?;
/// assert!(revoked.holds_everywhere_within().is_zero()); // a store in memory is nobody else's
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Keys {
    store: Arc<dyn RecordStore>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    peppers: Peppers,
    actor: Box<str>,
}

/// Why a key was not created, changed or imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// The store refused.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The store, or the random generator, failed. Whether the change was made is unknown.
    #[error("the store failed: {0}")]
    Fault(#[from] Fault),
    /// The hash of an imported key cannot be used.
    #[error(transparent)]
    Hash(#[from] UnusableHash),
    /// An imported key could never be presented.
    #[error("a key is 1 to 1024 visible ASCII characters")]
    NoKey,
    /// A field holds more than a record can, or what it cannot: see [`Record::LONGEST_TEXT`] and what stands beside it.
    #[error(transparent)]
    Field(#[from] BadField),
    /// Digests in the store were made with other peppers.
    #[error(transparent)]
    Peppers(#[from] PepperMismatch),
}

impl Keys {
    /// How many records are asked for at once where all that a filter means are gone through.
    const PAGE: usize = 500;

    /// Over a store, with the machine's clock and randomness and without peppers.
    pub fn new(store: impl RecordStore + 'static) -> Self {
        Self {
            store: Arc::new(store),
            clock: Arc::new(SystemClock::new()),
            random: Arc::new(SystemRandom),
            peppers: Peppers::default(),
            actor: "program".into(),
        }
    }

    /// With another clock.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// With another source of randomness.
    #[must_use]
    pub fn random(mut self, random: impl Random + 'static) -> Self {
        self.random = Arc::new(random);
        self
    }

    /// With peppers: the same as the guard's.
    #[must_use]
    pub fn peppers(mut self, peppers: Peppers) -> Self {
        self.peppers = peppers;
        self
    }

    /// Whether digests in the store were made with peppers that are missing here, or are other ones here. A key that is stored
    /// under such a pepper would be unknown, which is a fault and no answer about it: ask before a guard is built. Waits for
    /// nothing, since every store has it in memory.
    ///
    /// A store knows of the peppers that [`Keys::create`], [`Keys::rotate`], [`Keys::import`] and [`Keys::note_peppers`] used on
    /// it; not of digests that were written into it by other ways, and of what another process begins to use only once it has
    /// read that.
    ///
    /// # Errors
    /// [`PepperMismatch`], with the versions.
    pub fn check_peppers(&self) -> Result<(), PepperMismatch> {
        key::compare_peppers(&self.peppers, |mark| self.store.binds(mark))
    }

    /// As [`Keys::check_peppers`], and notes in the store that the newest pepper is in use. To be called before a guard with these
    /// peppers is used: it lets the store put digests under the newest one.
    ///
    /// # Errors
    /// [`KeysError::Peppers`], or a fault.
    pub async fn note_peppers(&self) -> Result<(), KeysError> {
        self.check_peppers()?;
        self.note_newest_pepper().await
    }

    /// In the name of somebody, whom the journal names with each change: whoever was verified, never what a request's body says.
    /// Without, it names `program`.
    #[must_use]
    pub fn acting_as(&self, actor: impl Into<Box<str>>) -> Self {
        Self { actor: actor.into(), ..self.clone() }
    }

    /// Makes a key. It can be read from the answer, and never again.
    ///
    /// # Errors
    /// [`KeysError`]; there is no key then, unless the store failed after writing it, when nobody knows it.
    pub async fn create(&self, new: NewKey) -> Result<Made, KeysError> {
        self.create_as(new, None).await
    }

    /// Makes a key once for a store, ever (R16). `name` says what it is for: the marker of that name is set in the same transaction,
    /// and outlives the key. `None`: it was made before.
    ///
    /// # Errors
    /// As [`Keys::create`].
    pub async fn create_once(&self, name: &str, new: NewKey) -> Result<Option<Made>, KeysError> {
        match self.create_as(new, Some(name.into())).await {
            Err(KeysError::Refused(Refused::DoneBefore)) => Ok(None),
            made => made.map(Some),
        }
    }

    async fn create_as(&self, new: NewKey, once: Option<Box<str>>) -> Result<Made, KeysError> {
        new.check()?;
        let by = self.attribution();
        self.note_newest_pepper().await?;
        self.store.bind(new.prefix.as_str()).wait().await??;
        let (secret, slot) = self.new_slot(&new.prefix)?;
        let id = KeyId::new(by.at, &*self.random);
        let mut record = Record::new(id, new.name, by.at, Epoch::random(&*self.random)?, slot);
        record.kind = new.kind;
        record.owner = new.owner;
        record.scopes = new.scopes;
        record.not_before = new.not_before;
        record.expires = new.expires.map(|expires| expires.at(by.at));
        record.networks = new.networks;
        record.limits = new.limits;
        record.metadata = new.metadata;
        let insert = Insert { once, ..Insert::one(Insertion::new(record)) };
        Ok(Made { secret, record: self.insert_one(insert, by).await? })
    }

    async fn insert_one(&self, insert: Insert, by: Attribution) -> Result<Arc<Record>, KeysError> {
        let mut inserted = self.store.insert(insert, by).wait().await?;
        match (inserted.records.pop(), inserted.refused.pop()) {
            (Some(record), _) => Ok(record),
            (None, Some((_, refused))) => Err(refused.into()),
            (None, None) => Err(Fault::new("the store neither added a record nor refused it").into()),
        }
    }

    fn attribution(&self) -> Attribution {
        Attribution { actor: self.actor.clone(), at: self.clock.now().wall }
    }

    /// Gives a key a new secret. The old one is accepted until its grace ends; an older one ends at once.
    ///
    /// # Errors
    /// [`Refused::NotFound`], [`Refused::Revoked`], or a fault.
    pub async fn rotate(&self, id: &KeyId, grace: Duration) -> Result<Made, KeysError> {
        let record = self.get(id).await?.ok_or(Refused::NotFound)?;
        if record.is_revoked() {
            return Err(Refused::Revoked.into());
        }
        self.note_newest_pepper().await?;
        let prefix = self.prefix_for(&record).await?;
        let (secret, slot) = self.new_slot(&prefix)?;
        let by = self.attribution();
        let change = Change::Rotate { slot, grace_ends: by.at.after(grace), epoch: Epoch::random(&*self.random)? };
        Ok(Made { secret, record: self.store.change(id, change, by).wait().await?? })
    }

    /// What a rotated key begins with: as before, unless keys from elsewhere begin so too and would become malformed.
    async fn prefix_for(&self, record: &Record) -> Result<KeyPrefix, KeysError> {
        let before = record.current.prefix.rsplit_once('_').and_then(|(prefix, _)| prefix.parse().ok());
        for prefix in before.into_iter().chain([KeyPrefix::keyward()]) {
            match self.store.bind(prefix.as_str()).wait().await? {
                Ok(()) => return Ok(prefix),
                Err(Refused::LooksGenerated) => {}
                Err(refused) => return Err(refused.into()),
            }
        }
        Err(Refused::LooksGenerated.into())
    }

    /// Ends a key for ever, all its secrets at once. Ending it again is no fault.
    ///
    /// # Errors
    /// [`Refused::NotFound`], or a fault: try again until it is acknowledged.
    pub async fn revoke(&self, id: &KeyId) -> Result<Revoked, KeysError> {
        let change = Change::Revoke(Epoch::random(&*self.random)?);
        let record = self.store.change(id, change, self.attribution()).wait().await??;
        Ok(Revoked { record, within: self.store.revocation_bound() })
    }

    /// Changes other fields.
    ///
    /// # Errors
    /// [`KeysError::Field`], [`Refused::NotFound`], [`Refused::Revoked`], or a fault.
    pub async fn update(&self, id: &KeyId, update: Update) -> Result<Arc<Record>, KeysError> {
        let fields = Fields {
            name: update.name.as_deref(),
            kind: update.kind.as_ref().and_then(Option::as_deref),
            owner: None,
            scopes: update.scopes.as_deref().unwrap_or_default(),
            networks: update.networks.as_ref().and_then(Option::as_ref),
            limits: update.limits.as_ref().and_then(Option::as_deref),
            metadata: update.metadata.as_ref(),
        };
        fields.check()?;
        Ok(self.store.change(id, Change::Update(Box::new(update)), self.attribution()).wait().await??)
    }

    /// Switches a key off for a while, or on again.
    ///
    /// # Errors
    /// As [`Keys::update`].
    pub async fn set_disabled(&self, id: &KeyId, disabled: bool) -> Result<Arc<Record>, KeysError> {
        let epoch = Epoch::random(&*self.random)?;
        self.update(id, Update { disabled: Some((disabled, epoch)), ..Update::default() }).await
    }

    /// Lets a key's time be over from now on. Unlike a revocation, this can be taken back by an update.
    ///
    /// # Errors
    /// As [`Keys::update`].
    pub async fn expire(&self, id: &KeyId) -> Result<Arc<Record>, KeysError> {
        self.update(id, Update { expires: Some(Some(self.clock.now().wall)), ..Update::default() }).await
    }

    /// Removes a revoked key. Its digests stay, so that it cannot be imported again.
    ///
    /// # Errors
    /// [`Refused::NotFound`], [`Refused::NotRevoked`], or a fault.
    pub async fn purge(&self, id: &KeyId) -> Result<(), KeysError> {
        Ok(self.store.purge(id, self.attribution()).wait().await??)
    }

    /// Removes all keys that were revoked before a time: the end of their retention. How many there were.
    ///
    /// # Errors
    /// A fault: some are removed then.
    pub async fn purge_revoked_before(&self, time: Timestamp) -> Result<usize, KeysError> {
        let filter =
            Filter { state: Some((State::Revoked, self.clock.now().wall)), revoked_before: Some(time), ..Filter::default() };
        let mut purged = 0;
        loop {
            let page = self.list(&filter, None, Self::PAGE).await?;
            if page.is_empty() {
                return Ok(purged);
            }
            for record in page {
                match self.purge(&record.id).await {
                    Ok(()) => purged += 1,
                    Err(KeysError::Refused(Refused::NotFound)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }

    /// The record with this id.
    ///
    /// # Errors
    /// A fault.
    pub async fn get(&self, id: &KeyId) -> Result<Option<Arc<Record>>, KeysError> {
        Ok(self.store.get(id).wait().await?)
    }

    /// Records that a filter means, in the order of their ids, which is that in which they were made, behind `after`.
    ///
    /// # Errors
    /// A fault.
    pub async fn list(&self, filter: &Filter, after: Option<KeyId>, limit: usize) -> Result<Vec<Arc<Record>>, KeysError> {
        Ok(self.store.list(filter, after, limit).wait().await?)
    }

    /// When and how the secrets of these keys were used.
    ///
    /// # Errors
    /// A fault.
    pub async fn usage(&self, ids: &[KeyId]) -> Result<Vec<SlotUsage>, KeysError> {
        Ok(self.store.usage(ids).wait().await?)
    }

    /// Who changed what, behind a row's number, the oldest first.
    ///
    /// # Errors
    /// A fault.
    pub async fn journal(&self, after: u64, limit: usize) -> Result<Vec<Journalled>, KeysError> {
        Ok(self.store.journal(after, limit).wait().await?)
    }

    /// Takes over a key made elsewhere.
    ///
    /// # Errors
    /// [`KeysError`]; nothing is imported then.
    pub async fn import(&self, imported: ImportedKey) -> Result<Arc<Record>, KeysError> {
        let by = self.attribution();
        // Without the pepper of a key that is there, or was purged, the same key in plain text would be taken for a new one (R7.4).
        self.note_peppers().await?;
        let insertion = self.insertion(imported, &by).await?;
        self.insert_one(Insert::one(insertion), by).await
    }

    /// Takes over many keys made elsewhere, in one transaction. `progress` is told twice how many are done: while they are
    /// prepared, where those that need Argon2id take 20 ms each, and again while they are stored.
    ///
    /// # Errors
    /// A fault, or [`KeysError::Peppers`]: nothing is imported then. Keys that are refused are no error: see
    /// [`Imported::refused`].
    pub async fn import_all(
        &self,
        imported: Vec<ImportedKey>,
        where_refused: WhereRefused,
        progress: Option<Progress>,
    ) -> Result<Imported, KeysError> {
        let by = self.attribution();
        self.note_peppers().await?;
        let (mut insertions, mut places, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for (place, imported) in imported.into_iter().enumerate() {
            match self.insertion(imported, &by).await {
                Ok(insertion) => {
                    insertions.push(insertion);
                    places.push(place);
                }
                Err(KeysError::Fault(fault)) => return Err(fault.into()),
                Err(error) => refused.push((place, error)),
            }
            if let Some(progress) = progress.as_ref().filter(|_| (place + 1).is_multiple_of(1_000)) {
                progress.tell(place + 1);
            }
        }
        // What could not be prepared keeps the others out, whose own faults are told all the same.
        let where_refused = match where_refused {
            WhereRefused::AddNone if !refused.is_empty() => WhereRefused::OnlyTell,
            where_refused => where_refused,
        };
        let insert = Insert { progress, ..Insert::many(insertions, where_refused) };
        let inserted = self.store.insert(insert, by).wait().await?;
        let by_store = inserted.refused.into_iter();
        refused.extend(by_store.filter_map(|(index, reason)| Some((*places.get(index)?, KeysError::Refused(reason)))));
        refused.sort_by_key(|(place, _)| *place);
        Ok(Imported { count: inserted.records.len(), refused })
    }

    async fn insertion(&self, imported: ImportedKey, by: &Attribution) -> Result<Insertion, KeysError> {
        let fields = Fields {
            name: imported.name.as_deref(),
            kind: imported.kind.as_deref(),
            owner: imported.owner.as_deref(),
            scopes: &imported.scopes,
            networks: imported.networks.as_ref(),
            limits: imported.limits.as_deref(),
            metadata: None,
        };
        fields.check()?;
        let slot = self.imported_slot(&imported.secret).await?;
        let name = imported.name.unwrap_or_else(|| slot.prefix.to_string());
        let id = KeyId::new(by.at, &*self.random);
        let mut record = Record::new(id, name, by.at, Epoch::random(&*self.random)?, slot);
        record.kind = imported.kind;
        record.owner = imported.owner;
        record.scopes = imported.scopes;
        record.not_before = imported.not_before;
        record.expires = imported.expires_at;
        record.networks = imported.networks;
        record.limits = imported.limits;
        record.disabled = imported.disabled;
        if imported.revoked {
            record.revoke(by.at);
        }
        let key = match imported.secret {
            ImportedSecret::Key { key, .. } => Some(PlainKey::new(key, &self.peppers)),
            ImportedSecret::Sha256(_) | ImportedSecret::Argon2(_) => None,
        };
        Ok(Insertion { record, key })
    }

    async fn imported_slot(&self, secret: &ImportedSecret) -> Result<Slot, KeysError> {
        Ok(match secret {
            ImportedSecret::Key { key, argon2_handle } => {
                let text = key.expose();
                if !(1..=LONGEST_CREDENTIAL).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                    return Err(KeysError::NoKey);
                }
                // A key made elsewhere that looks like ours is for the store to refuse.
                if let Some(prefix) = key::parse(text)
                    && !self.store.binds(prefix.as_str())
                {
                    self.store.bind(prefix.as_str()).wait().await??;
                }
                let stored = match argon2_handle {
                    None => StoredSecret::Digest(self.peppers.digest(text.as_bytes())),
                    Some(handle) => StoredSecret::Argon2(key::Argon2Hash::of_key(handle, text, &*self.random)?),
                };
                Slot::new(stored, key::display_prefix(text))
            }
            ImportedSecret::Sha256(digest) => Slot::new(StoredSecret::Digest(*digest), ""),
            ImportedSecret::Argon2(hash) => Slot::new(StoredSecret::Argon2(hash.clone()), hash.handle()),
        })
    }

    fn new_slot(&self, prefix: &KeyPrefix) -> Result<(Secret, Slot), KeysError> {
        let secret = key::generate(prefix, &*self.random)?;
        let stored = StoredSecret::Digest(self.peppers.digest(secret.expose().as_bytes()));
        let slot = Slot::new(stored, key::display_prefix(secret.expose()));
        Ok((secret, slot))
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("peppers", &self.peppers).finish_non_exhaustive()
    }
}

/// A key just made: the one chance to read it.
#[derive(Debug)]
pub struct Made {
    secret: Secret,
    record: Arc<Record>,
}

impl Made {
    /// The key.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// What is stored about it.
    pub fn record(&self) -> &Arc<Record> {
        &self.record
    }
}

/// A key that was ended.
#[derive(Debug, Clone)]
pub struct Revoked {
    record: Arc<Record>,
    within: Duration,
}

impl Revoked {
    /// What is stored about it.
    pub fn record(&self) -> &Arc<Record> {
        &self.record
    }

    /// How soon every process that shares the store refuses the key. This one does already.
    pub fn holds_everywhere_within(&self) -> Duration {
        self.within
    }
}

/// What came of importing many keys.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Imported {
    /// How many are in the store now.
    pub count: usize,
    /// Which were refused, by their place among all, and why.
    pub refused: Vec<(usize, KeysError)>,
}

/// What a new key shall be.
#[derive(Debug, Clone)]
#[must_use]
pub struct NewKey {
    name: Box<str>,
    prefix: KeyPrefix,
    kind: Option<Box<str>>,
    owner: Option<Box<str>>,
    scopes: Vec<Scope>,
    not_before: Option<Timestamp>,
    expires: Option<Expires>,
    networks: Option<AddressList>,
    limits: Option<Vec<Quota>>,
    metadata: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy)]
enum Expires {
    At(Timestamp),
    In(Duration),
}

impl Expires {
    fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::In(wait) => now.after(wait),
        }
    }
}

impl NewKey {
    /// A key with a name, without scopes, that never expires.
    pub fn named(name: impl Into<Box<str>>) -> Self {
        Self {
            name: name.into(),
            prefix: KeyPrefix::keyward(),
            kind: None,
            owner: None,
            scopes: Vec::new(),
            not_before: None,
            expires: None,
            networks: None,
            limits: None,
            metadata: BTreeMap::new(),
        }
    }

    /// What the key begins with, instead of `kw`.
    ///
    /// # Errors
    /// [`BadPrefix`].
    pub fn prefix(mut self, prefix: &str) -> Result<Self, BadPrefix> {
        self.prefix = prefix.parse()?;
        Ok(self)
    }

    /// A label that routes may demand.
    pub fn kind(mut self, kind: impl Into<Box<str>>) -> Self {
        self.kind = Some(kind.into());
        self
    }

    /// Whose it is.
    pub fn owner(mut self, owner: impl Into<Box<str>>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    /// One more scope.
    ///
    /// # Errors
    /// [`BadScope`].
    pub fn scope(mut self, scope: &str) -> Result<Self, BadScope> {
        self.scopes.push(scope.parse()?);
        Ok(self)
    }

    /// Not accepted before this time.
    pub fn not_before(mut self, time: Timestamp) -> Self {
        self.not_before = Some(time);
        self
    }

    /// Not accepted from this time on.
    pub fn expires_at(mut self, time: Timestamp) -> Self {
        self.expires = Some(Expires::At(time));
        self
    }

    /// Not accepted from so many days after it is made.
    pub fn expires_in_days(mut self, days: u32) -> Self {
        self.expires = Some(Expires::In(Duration::from_secs(u64::from(days) * 86_400)));
        self
    }

    /// Not accepted from so long after it is made.
    pub fn expires_in(mut self, wait: Duration) -> Self {
        self.expires = Some(Expires::In(wait));
        self
    }

    /// Something else to keep with it.
    pub fn metadata(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(name.into(), value.into());
        self
    }

    /// Accepted only from these networks.
    ///
    /// # Errors
    /// [`BadNetwork`].
    pub fn allow_ips<S: AsRef<str>>(mut self, networks: impl IntoIterator<Item = S>) -> Result<Self, BadNetwork> {
        self.networks = Some(AddressList::parse(networks)?);
        Ok(self)
    }

    /// One more quota of its own, instead of the policy's. Two of them have two windows, or [`NewKey::check`] refuses the key.
    ///
    /// # Errors
    /// [`BadQuota`].
    pub fn limit(mut self, quota: &str) -> Result<Self, BadQuota> {
        self.limits.get_or_insert_default().push(quota.parse()?);
        Ok(self)
    }
    /// Whether its fields hold no more than a record can ([`Record::LONGEST_TEXT`] and what stands beside it), and its quotas do
    /// not contradict each other. [`Keys::create`] asks the same.
    ///
    /// # Errors
    /// [`BadField`], with the field's name.
    pub fn check(&self) -> Result<(), BadField> {
        let fields = Fields {
            name: Some(&self.name),
            kind: self.kind.as_deref(),
            owner: self.owner.as_deref(),
            scopes: &self.scopes,
            networks: self.networks.as_ref(),
            limits: self.limits.as_deref(),
            metadata: Some(&self.metadata),
        };
        fields.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Answer;
    use crate::key::Pepper;
    use crate::memory::MemoryStore;

    fn wait<T>(future: impl Future<Output = T>) -> T {
        pollster::block_on(future)
    }

    fn peppers(all: &[(u16, u8)]) -> Peppers {
        Peppers::new(all.iter().map(|(version, byte)| Pepper::new(*version, &[*byte; 32]).unwrap())).unwrap()
    }

    fn in_plain(key: &str) -> ImportedKey {
        crate::import::keys_file(&format!("{{\"key\":\"{key}\"}}")).next().unwrap().unwrap()
    }

    #[test]
    fn a_store_knows_which_peppers_its_digests_need() {
        let store = MemoryStore::new();
        let keys = |peppers: Peppers| Keys::new(store.clone()).peppers(peppers);
        let plain = wait(keys(Peppers::default()).create(NewKey::named("a"))).unwrap();
        assert!(keys(Peppers::default()).check_peppers().is_ok());
        wait(keys(peppers(&[(1, 1)])).rotate(&plain.record().id, Duration::ZERO)).unwrap();
        wait(keys(peppers(&[(1, 1), (2, 2)])).create(NewKey::named("b"))).unwrap();
        wait(keys(peppers(&[(1, 1), (2, 2), (3, 3)])).import(in_plain("a-key-of-somebody-else"))).unwrap();
        let missing = keys(peppers(&[(2, 2)])).check_peppers().unwrap_err();
        assert_eq!((missing.missing, missing.wrong), (vec![1, 3], vec![]));
        let wrong = keys(peppers(&[(1, 1), (2, 9), (3, 3)])).check_peppers().unwrap_err();
        assert_eq!((wrong.missing, wrong.wrong), (vec![], vec![2]));
        assert!(keys(peppers(&[(1, 1), (2, 2), (3, 3), (4, 4)])).check_peppers().is_ok(), "what is not used is not asked for");
        wait(keys(peppers(&[(1, 1), (2, 2), (3, 3), (4, 4)])).note_peppers()).unwrap();
        assert_eq!(keys(peppers(&[(1, 1), (2, 2), (3, 3)])).check_peppers().unwrap_err().missing, [4]);
        assert!(keys(peppers(&[(4, 4)]).retired([1, 2, 3]).unwrap()).check_peppers().is_ok());
        // It lasts as long as the store does.
        let read = Keys::new(MemoryStore::from_snapshot(&store.snapshot()).unwrap());
        assert_eq!(read.check_peppers().unwrap_err().missing, [1, 2, 3, 4]);
    }

    #[test]
    fn no_digest_is_made_with_another_pepper_of_the_same_version() {
        let store = MemoryStore::new();
        let made = wait(Keys::new(store.clone()).peppers(peppers(&[(1, 1)])).create(NewKey::named("a"))).unwrap();
        let other = Keys::new(store.clone()).peppers(peppers(&[(1, 2)]));
        let id = made.record().id;
        for refused in [
            wait(other.create(NewKey::named("b"))).map(drop),
            wait(other.rotate(&id, Duration::ZERO)).map(drop),
            wait(other.import(in_plain("a-key-of-somebody-else"))).map(drop),
            wait(other.import_all(vec![in_plain("a-key-of-somebody-else")], WhereRefused::AddOthers, None)).map(drop),
            wait(other.note_peppers()),
        ] {
            assert!(matches!(refused, Err(KeysError::Peppers(_))), "{refused:?}");
        }
        assert_eq!(wait(other.list(&Filter::default(), None, 10)).unwrap().len(), 1);
        wait(other.revoke(&id)).unwrap();
    }

    /// What was purged is known by a digest alone, which nobody can make without its pepper.
    #[test]
    fn a_purged_key_does_not_come_back_where_its_pepper_is_missing() {
        let store = MemoryStore::new();
        let keys = Keys::new(store.clone()).peppers(peppers(&[(1, 1)]));
        let made = wait(keys.create(NewKey::named("a"))).unwrap();
        wait(keys.revoke(&made.record().id)).unwrap();
        wait(keys.purge(&made.record().id)).unwrap();
        let row = || in_plain(made.secret().expose());
        for lacking in [Peppers::default(), peppers(&[(2, 2)])] {
            let keys = Keys::new(store.clone()).peppers(lacking);
            assert!(matches!(wait(keys.import(row())), Err(KeysError::Peppers(_))));
            let all = wait(keys.import_all(vec![row()], WhereRefused::AddOthers, None));
            assert!(matches!(all, Err(KeysError::Peppers(_))));
        }
        let keys = Keys::new(store).peppers(peppers(&[(1, 1), (2, 2)]));
        assert_eq!(wait(keys.import(row())).unwrap_err(), Refused::SecretTaken.into());
    }

    /// The crossing of two first uses is made to happen: the second begins when the first has looked, and not yet at its mark.
    #[test]
    fn of_two_secrets_that_begin_a_version_at_once_at_most_one_is_used() {
        for steps in 0..40 {
            let gate = Arc::new(Gated { store: MemoryStore::new(), steps: std::sync::atomic::AtomicUsize::new(steps) });
            let keys = |byte| Keys::new(gate.clone()).peppers(peppers(&[(1, byte)]));
            let (one, other) = (keys(1), keys(2));
            let mut first = std::pin::pin!(one.create(NewKey::named("one")));
            // As far as the gate, then the other as far as it gets, then the rest.
            let early = {
                let mut context = std::task::Context::from_waker(std::task::Waker::noop());
                first.as_mut().poll(&mut context)
            };
            gate.steps.store(usize::MAX, std::sync::atomic::Ordering::SeqCst);
            let second = wait(other.create(NewKey::named("other")));
            let first = match early {
                std::task::Poll::Ready(done) => done,
                std::task::Poll::Pending => wait(first),
            };
            assert!(first.is_err() || second.is_err(), "{steps}");
            for (made, own) in [(&first, &one), (&second, &other)] {
                let checked = own.check_peppers();
                match made {
                    Ok(_) => assert!(checked.is_ok() && wait(own.create(NewKey::named("again"))).is_ok(), "{steps}"),
                    Err(error) => {
                        assert!(matches!(error, KeysError::Peppers(_)), "{error}");
                        assert!(matches!(wait(own.create(NewKey::named("again"))), Err(KeysError::Peppers(_))), "{steps}");
                    }
                }
            }
        }
    }

    /// A store that makes a caller wait once, before its so-many-th change.
    struct Gated {
        store: MemoryStore,
        steps: std::sync::atomic::AtomicUsize,
    }

    impl Gated {
        fn pass<T: Send + 'static>(&self, answer: impl FnOnce(&MemoryStore) -> Answer<T> + Send + 'static) -> Answer<T> {
            let store = self.store.clone();
            let waits = self.steps.fetch_sub(1, std::sync::atomic::Ordering::SeqCst) == 0;
            let mut waits = waits.then_some(());
            Answer::Pending(Box::pin(async move {
                std::future::poll_fn(|context| match waits.take() {
                    Some(()) => {
                        context.waker().wake_by_ref();
                        std::task::Poll::Pending
                    }
                    None => std::task::Poll::Ready(()),
                })
                .await;
                answer(&store).wait().await
            }))
        }
    }

    impl crate::store::KeyStore for Gated {
        fn find(&self, presented: &crate::store::Presented<'_>) -> Answer<Option<Arc<Record>>> {
            self.store.find(presented)
        }

        fn binds(&self, prefix: &str) -> bool {
            self.store.binds(prefix)
        }
    }

    impl RecordStore for Gated {
        fn insert(&self, insert: Insert, by: Attribution) -> Answer<crate::store::Inserted> {
            self.pass(move |store| store.insert(insert, by))
        }

        fn get(&self, id: &KeyId) -> Answer<Option<Arc<Record>>> {
            self.store.get(id)
        }

        fn list(&self, filter: &Filter, after: Option<KeyId>, limit: usize) -> Answer<Vec<Arc<Record>>> {
            self.store.list(filter, after, limit)
        }

        fn change(&self, id: &KeyId, change: Change, by: Attribution) -> Answer<Result<Arc<Record>, Refused>> {
            self.store.change(id, change, by)
        }

        fn purge(&self, id: &KeyId, by: Attribution) -> Answer<Result<(), Refused>> {
            self.store.purge(id, by)
        }

        fn bind(&self, prefix: &str) -> Answer<Result<(), Refused>> {
            let prefix = prefix.to_owned();
            self.pass(move |store| store.bind(&prefix))
        }

        fn usage(&self, ids: &[KeyId]) -> Answer<Vec<SlotUsage>> {
            self.store.usage(ids)
        }

        fn journal(&self, after: u64, limit: usize) -> Answer<Vec<Journalled>> {
            self.store.journal(after, limit)
        }
    }

    #[test]
    fn an_imported_key_keeps_no_pepper_out_and_no_pepper_a_key() {
        let texts = ["pepper__0001_aB3d", "pepper__00_aB3d", "pepper_0001_aB3d", "pepper_00_aB3d"];
        let rows = || texts.iter().map(|text| in_plain(text)).collect::<Vec<_>>();
        for peppers_first in [false, true] {
            let store = MemoryStore::new();
            let peppered = Keys::new(store.clone()).peppers(peppers(&[(1, 1)]));
            if peppers_first {
                wait(peppered.note_peppers()).unwrap();
            }
            let importing = if peppers_first { peppered.clone() } else { Keys::new(store.clone()) };
            let imported = wait(importing.import_all(rows(), WhereRefused::AddNone, None)).unwrap();
            assert_eq!((imported.count, imported.refused), (4, vec![]));
            wait(peppered.note_peppers()).unwrap();
            assert_eq!(Keys::new(store).check_peppers().unwrap_err().missing, [1]);
        }
    }

    #[test]
    fn a_crash_before_the_last_mark_asks_for_nothing_and_leaves_nothing_to_another_secret() {
        let marks = key::PepperMarks::of(peppers(&[(1, 1)]).newest().unwrap());
        let all: Vec<&String> = marks.tried.iter().chain(&marks.taken).collect();
        for count in 0..all.len() {
            let store = MemoryStore::new();
            all[..count].iter().for_each(|mark| wait(store.bind(mark).wait()).unwrap().unwrap());
            let keys = |peppers: Peppers| Keys::new(store.clone()).peppers(peppers);
            assert!(keys(Peppers::default()).check_peppers().is_ok(), "{count}");
            if count > 0 {
                let other = wait(keys(peppers(&[(1, 2)])).create(NewKey::named("a")));
                assert!(matches!(other, Err(KeysError::Peppers(_))), "{count}: {other:?}");
            }
            wait(keys(peppers(&[(1, 1)])).create(NewKey::named("a"))).unwrap();
            assert_eq!(keys(Peppers::default()).check_peppers().unwrap_err().missing, [1], "{count}");
        }
    }

    #[test]
    fn versions_are_told_apart_by_both_their_bytes() {
        let store = MemoryStore::new();
        for version in [1, 255, 256, 65_535] {
            wait(Keys::new(store.clone()).peppers(peppers(&[(version, 1)]).retired(earlier(version)).unwrap()).note_peppers())
                .unwrap();
        }
        let told = |all: &[(u16, u8)]| Keys::new(store.clone()).peppers(peppers(all)).check_peppers().unwrap_err();
        assert_eq!(told(&[]).missing, [1, 255, 256, 65_535]);
        let some = told(&[(1, 1), (255, 2), (65_535, 1), (7, 1)]);
        assert_eq!((some.missing, some.wrong), (vec![256], vec![255]));
    }

    fn earlier(version: u16) -> Vec<u16> {
        [1, 255, 256, 65_535].into_iter().filter(|other| *other < version).collect()
    }

    #[test]
    fn a_record_grows_by_no_way_beyond_its_bounds() {
        let keys = Keys::new(MemoryStore::new());
        let long = "x".repeat(Record::LONGEST_TEXT + 1);
        let field = |error: KeysError| match error {
            KeysError::Field(bad) => bad.field(),
            other => panic!("{other:?}"),
        };
        assert_eq!(field(wait(keys.create(NewKey::named(long.as_str()))).unwrap_err()), "name");
        let twice = NewKey::named("a").limit("5/minute").unwrap().limit("9/60s").unwrap();
        assert_eq!(field(wait(keys.create(twice)).unwrap_err()), "limits");
        let mut row = in_plain("a-key-of-somebody-else");
        row.owner = Some(long.as_str().into());
        let imported = wait(keys.import_all(vec![row.clone()], WhereRefused::AddOthers, None)).unwrap();
        assert!(matches!(&imported.refused[..], [(0, KeysError::Field(bad))] if bad.field() == "owner"), "{imported:?}");
        assert_eq!(field(wait(keys.import(row)).unwrap_err()), "owner");

        let made = wait(keys.create(NewKey::named(&long[1..]))).unwrap();
        let id = made.record().id;
        let metadata = BTreeMap::from([("a".to_owned(), "x".repeat(Record::LONGEST_METADATA))]);
        for (update, name) in [
            (Update { name: Some(long.as_str().into()), ..Update::default() }, "name"),
            (Update { kind: Some(Some(long.as_str().into())), ..Update::default() }, "kind"),
            (Update { limits: Some(Some(vec!["5/minute".parse().unwrap(); 2])), ..Update::default() }, "limits"),
            (Update { metadata: Some(metadata), ..Update::default() }, "metadata"),
        ] {
            assert_eq!(field(wait(keys.update(&id, update)).unwrap_err()), name);
        }
        assert_eq!(*wait(keys.get(&id)).unwrap().unwrap().name, long[1..]);
    }
}
