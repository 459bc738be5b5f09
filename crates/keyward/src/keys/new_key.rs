//! What a key shall be that is yet to be made.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::key::{BadField, BadPrefix, Epoch, Fields, KeyId, KeyPrefix, Record, Slot};
use crate::limit::{BadQuota, Quota};
use crate::network::{AddressList, BadNetwork};
use crate::path::PathPattern;
use crate::scope::{BadScope, Scope};

/// What a new key shall be.
#[derive(Debug, Clone)]
#[must_use]
pub struct NewKey {
    pub(super) id: Option<KeyId>,
    name: Box<str>,
    pub(super) prefix: KeyPrefix,
    kind: Option<Box<str>>,
    owner: Option<Box<str>>,
    scopes: Vec<Scope>,
    not_before: Option<Timestamp>,
    expires: Option<Expires>,
    networks: Option<AddressList>,
    resource_pattern: Option<PathPattern>,
    limits: Option<Vec<Quota>>,
    metadata: BTreeMap<String, String>,
}

impl NewKey {
    /// A key with a name, without scopes, that never expires.
    pub fn named(name: impl Into<Box<str>>) -> Self {
        Self {
            id: None,
            name: name.into(),
            prefix: KeyPrefix::keyward(),
            kind: None,
            owner: None,
            scopes: Vec::new(),
            not_before: None,
            expires: None,
            networks: None,
            resource_pattern: None,
            limits: None,
            metadata: BTreeMap::new(),
        }
    }

    /// An id of your own, instead of one that is made for it. A store refuses one that is there
    /// ([`Refused::IdTaken`](crate::store::Refused::IdTaken)).
    pub fn id(mut self, id: KeyId) -> Self {
        self.id = Some(id);
        self
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

    /// One more scope that was read already.
    pub fn granting(mut self, scope: Scope) -> Self {
        self.scopes.push(scope);
        self
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

    /// As [`NewKey::allow_ips`], for networks that were read already.
    pub fn allow_networks(mut self, networks: AddressList) -> Self {
        self.networks = Some(networks);
        self
    }

    /// Accepted only for these paths (R8.4).
    pub fn resource_pattern(mut self, pattern: PathPattern) -> Self {
        self.resource_pattern = Some(pattern);
        self
    }

    /// As [`NewKey::limit`], for a quota that was read already.
    pub fn limited_to(mut self, quota: Quota) -> Self {
        self.limits.get_or_insert_default().push(quota);
        self
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
    /// not contradict each other. [`Keys::create`](super::Keys::create) asks the same.
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
            resource_pattern: self.resource_pattern.as_ref(),
            limits: self.limits.as_deref(),
            metadata: Some(&self.metadata),
        };
        fields.check()
    }

    pub(super) fn into_record(self, id: KeyId, made: Timestamp, epoch: Epoch, slot: Slot) -> Record {
        let mut record = Record::new(id, self.name, made, epoch, slot);
        record.kind = self.kind;
        record.owner = self.owner;
        record.scopes = self.scopes;
        record.not_before = self.not_before;
        record.expires = self.expires.map(|expires| expires.at(made));
        record.networks = self.networks;
        record.resource_pattern = self.resource_pattern;
        record.limits = self.limits;
        record.metadata = self.metadata;
        record
    }
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
