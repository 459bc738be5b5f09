//! Taking over keys that were made elsewhere.

use std::sync::Arc;

use super::{Keys, KeysError};
use crate::credential::LONGEST_CREDENTIAL;
use crate::import::{ImportedKey, ImportedSecret};
use crate::key::{self, Epoch, Fields, KeyId, Record, Slot, StoredSecret};
use crate::store::{Attribution, Insert, Insertion, PlainKey, Progress, WhereRefused};

impl Keys {
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
            resource_pattern: imported.resource_pattern.as_ref(),
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
        record.resource_pattern = imported.resource_pattern;
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
