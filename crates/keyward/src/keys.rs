//! Looking after keys: create, rotate, revoke, import, over any store.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::answer::Fault;
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::credential::{Credential, Secret};
use crate::import::{ImportedKey, ImportedSecret};
use crate::key::{self, BadPrefix, Epoch, KeyId, KeyPrefix, Peppers, Record, Slot, StoredSecret, UnusableHash};
use crate::limit::{BadQuota, Quota};
use crate::memory::looks_generated;
use crate::network::{AddressList, BadNetwork};
use crate::random::{Random, SystemRandom};
use crate::scope::{BadScope, Scope};
use crate::store::{Change, Presented, RecordStore, Refused, Update};

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
/// keys.revoke(&made.record().id).await?;
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Keys {
    store: Arc<dyn RecordStore>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    peppers: Peppers,
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
}

impl Keys {
    /// Over a store, with the machine's clock and randomness and without peppers.
    pub fn new(store: impl RecordStore + 'static) -> Self {
        Self {
            store: Arc::new(store),
            clock: Arc::new(SystemClock::new()),
            random: Arc::new(SystemRandom),
            peppers: Peppers::default(),
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

    /// Makes a key. It can be read from the answer, and never again.
    ///
    /// # Errors
    /// [`KeysError`]; there is no key then, unless the store failed after writing it, when nobody knows it.
    pub async fn create(&self, new: NewKey) -> Result<Made, KeysError> {
        let now = self.clock.now().wall;
        self.store.bind(new.prefix.as_str()).wait().await??;
        let (secret, slot) = self.new_slot(&new.prefix)?;
        let mut record = Record::new(KeyId::random(&*self.random), new.name, now, Epoch::random(&*self.random)?, slot);
        record.kind = new.kind;
        record.owner = new.owner;
        record.scopes = new.scopes;
        record.not_before = new.not_before;
        record.expires = new.expires.map(|expires| expires.at(now));
        record.networks = new.networks;
        record.limits = new.limits;
        Ok(Made { secret, record: self.store.insert(record, None).wait().await?? })
    }

    /// Gives a key a new secret. The old one is accepted until its grace ends; an older one ends at once.
    ///
    /// # Errors
    /// [`Refused::NotFound`], [`Refused::Revoked`], or a fault.
    pub async fn rotate(&self, id: &KeyId, grace: Duration) -> Result<Made, KeysError> {
        let record = self.get(id).await?.ok_or(Refused::NotFound)?;
        let prefix = self.prefix_for(&record).await?;
        let (secret, slot) = self.new_slot(&prefix)?;
        let grace_ends = self.clock.now().wall.after(grace);
        let change = Change::Rotate { slot, grace_ends, epoch: Epoch::random(&*self.random)? };
        Ok(Made { secret, record: self.store.change(id, change).wait().await?? })
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
    pub async fn revoke(&self, id: &KeyId) -> Result<Arc<Record>, KeysError> {
        Ok(self.store.change(id, Change::Revoke(Epoch::random(&*self.random)?)).wait().await??)
    }

    /// Changes other fields.
    ///
    /// # Errors
    /// [`Refused::NotFound`], [`Refused::Revoked`], or a fault.
    pub async fn update(&self, id: &KeyId, update: Update) -> Result<Arc<Record>, KeysError> {
        Ok(self.store.change(id, Change::Update(Box::new(update))).wait().await??)
    }

    /// Switches a key off for a while, or on again.
    ///
    /// # Errors
    /// As [`Keys::update`].
    pub async fn set_disabled(&self, id: &KeyId, disabled: bool) -> Result<Arc<Record>, KeysError> {
        let epoch = Epoch::random(&*self.random)?;
        self.update(id, Update { disabled: Some((disabled, epoch)), ..Update::default() }).await
    }

    /// Removes a revoked key. Its digests stay, so that it cannot be imported again.
    ///
    /// # Errors
    /// [`Refused::NotFound`], [`Refused::NotRevoked`], or a fault.
    pub async fn purge(&self, id: &KeyId) -> Result<(), KeysError> {
        Ok(self.store.purge(id).wait().await??)
    }

    /// The record with this id.
    ///
    /// # Errors
    /// A fault.
    pub async fn get(&self, id: &KeyId) -> Result<Option<Arc<Record>>, KeysError> {
        Ok(self.store.get(id).wait().await?)
    }

    /// Records in the order of their ids, behind `after`.
    ///
    /// # Errors
    /// A fault.
    pub async fn list(&self, after: Option<KeyId>, limit: usize) -> Result<Vec<Arc<Record>>, KeysError> {
        Ok(self.store.list(after, limit).wait().await?)
    }

    /// Takes over a key made elsewhere.
    ///
    /// # Errors
    /// [`KeysError`]; nothing is imported then.
    pub async fn import(&self, imported: ImportedKey) -> Result<Arc<Record>, KeysError> {
        let slot = self.imported_slot(&imported.secret).await?;
        let now = self.clock.now().wall;
        let name = imported.name.unwrap_or_else(|| slot.prefix.to_string());
        let mut record = Record::new(KeyId::random(&*self.random), name, now, Epoch::random(&*self.random)?, slot);
        record.kind = imported.kind;
        record.owner = imported.owner;
        record.scopes = imported.scopes;
        record.not_before = imported.not_before;
        record.expires = imported.expires_at;
        record.networks = imported.networks;
        record.limits = imported.limits;
        record.disabled = imported.disabled;
        if imported.revoked {
            record.revoke();
        }
        let answer = match &imported.secret {
            ImportedSecret::Key { key, .. } => {
                let credential = Credential::new(key.expose().as_bytes());
                let digests = self.peppers.digests(credential.expose());
                self.store.insert(record, Some(&Presented::new(&credential, &digests)))
            }
            ImportedSecret::Sha256(_) | ImportedSecret::Argon2(_) => self.store.insert(record, None),
        };
        Ok(answer.wait().await??)
    }

    async fn imported_slot(&self, secret: &ImportedSecret) -> Result<Slot, KeysError> {
        Ok(match secret {
            ImportedSecret::Key { key, argon2_handle } => {
                let text = key.expose();
                if !(1..=crate::credential::LONGEST_CREDENTIAL).contains(&text.len())
                    || !text.bytes().all(|byte| byte.is_ascii_graphic())
                {
                    return Err(KeysError::NoKey);
                }
                match key::parse(text) {
                    Some(prefix) => self.store.bind(prefix.as_str()).wait().await??,
                    None if looks_generated(&*self.store, text) => return Err(Refused::LooksGenerated.into()),
                    None => {}
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

    /// Accepted only from these networks.
    ///
    /// # Errors
    /// [`BadNetwork`].
    pub fn allow_ips<S: AsRef<str>>(mut self, networks: impl IntoIterator<Item = S>) -> Result<Self, BadNetwork> {
        self.networks = Some(AddressList::parse(networks)?);
        Ok(self)
    }

    /// One more quota of its own, instead of the policy's.
    ///
    /// # Errors
    /// [`BadQuota`].
    pub fn limit(mut self, quota: &str) -> Result<Self, BadQuota> {
        self.limits.get_or_insert_default().push(quota.parse()?);
        Ok(self)
    }
}
