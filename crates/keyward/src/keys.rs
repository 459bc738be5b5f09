//! Looking after keys: create, rotate, revoke, import, over any store.

mod import;
mod new_key;
mod pepper_notes;
mod revoke_all;

pub use import::Imported;
pub use new_key::NewKey;
pub use revoke_all::{NotAllRevoked, RevokedAll};

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::answer::Fault;
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::credential::Secret;
use crate::guard::GuardBuilder;
use crate::key::{
    self, BadField, Epoch, Fields, KeyId, KeyPrefix, PepperMismatch, Peppers, Record, Slot, State, StoredSecret, UnusableHash,
};
use crate::random::{Random, SystemRandom};
use crate::store::{Attribution, Change, Filter, Insert, Insertion, Journalled, RecordStore, Refused, SlotUsage, Update};

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

    /// A guard that lets these keys in.
    pub fn guarding(&self, builder: GuardBuilder) -> GuardBuilder {
        builder.store(self.store.clone()).peppers(self.peppers.clone())
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
        let id = new.id.unwrap_or_else(|| KeyId::new(by.at, &*self.random));
        let record = new.into_record(id, by.at, Epoch::random(&*self.random)?, slot);
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
            resource_pattern: update.resource_pattern.as_ref().and_then(Option::as_ref),
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

    /// A new epoch, for an [`Update`] that switches a key off or on beside other changes.
    ///
    /// # Errors
    /// When the random generator cannot be read.
    pub fn new_epoch(&self) -> Result<Epoch, Fault> {
        Epoch::random(&*self.random)
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use pollster::block_on as wait;

    use super::*;
    use crate::memory::MemoryStore;
    use crate::store::WhereRefused;

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
        let mut row = crate::import::keys_file(r#"{"key":"a-key-of-somebody-else"}"#).next().unwrap().unwrap();
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
