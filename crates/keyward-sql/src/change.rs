//! Changing and removing records, and binding prefixes.

use std::collections::HashSet;
use std::sync::Arc;

use keyward::Fault;
use keyward::key::{KeyDigest, KeyId, Record, StoredSecret};
use keyward::store::{Attribution, Change, Journalled, Refused};

use crate::connection::values;
use crate::database::Shared;
use crate::failure::{Failure, Outcome};
use crate::known::Known;
use crate::record::text;
use crate::writing::{JournalRow, Writing};

const RETIRE: &str =
    "UPDATE keyward_secrets SET slot = NULL, phc = NULL, grace_ends = NULL WHERE key_id = $1 AND slot IS NOT NULL";

impl Shared {
    pub(crate) async fn change(&self, id: &KeyId, change: Change, by: &Attribution) -> Outcome<Arc<Record>> {
        let is_revocation = matches!(change, Change::Revoke(_));
        match self.change_read(id, change, by).await {
            // Of all changes, this one does not need to know what was there.
            Err(Failure::Damaged(fault)) if is_revocation => {
                self.revoke_unread(id, by).await?;
                Err(Failure::Damaged(Fault::new(format!("{fault}. It was revoked all the same"))))
            }
            changed => changed,
        }
    }

    async fn revoke_unread(&self, id: &KeyId, by: &Attribution) -> Outcome<()> {
        let mut writing = self.begin(1).await?;
        let values = values![by.at.unix_nanoseconds(), writing.revision, id.as_str()];
        let sql = "UPDATE keyward_keys SET revoked = $1, revision = $2 WHERE id = $3 AND revoked IS NULL";
        if writing.run(sql, values).await? == 0 {
            return writing.roll_back().await;
        }
        writing.journal(vec![JournalRow::of(Journalled::new(by, "revoke", *id, None, None))]).await?;
        self.write_down(&mut writing, id, by).await?;
        writing.commit().await
    }

    /// Before the commit: a revocation that is acknowledged is in the file.
    async fn write_down(&self, writing: &mut Writing, id: &KeyId, by: &Attribution) -> Outcome<()> {
        let Some(file) = &self.revocations else { return Ok(()) };
        let bytes = file.append(writing.revision, *id, by).await?;
        writing.run("UPDATE keyward_store SET revocation_bytes = $1", values![bytes]).await.map(drop)
    }

    async fn change_read(&self, id: &KeyId, change: Change, by: &Attribution) -> Outcome<Arc<Record>> {
        let mut writing = self.begin(1).await?;
        match self.change_in(&mut writing, id, change, by).await {
            Ok((record, true)) => {
                writing.commit().await?;
                Ok(Arc::new(record))
            }
            Ok((record, false)) => {
                writing.roll_back().await?;
                Ok(Arc::new(record))
            }
            Err(failure) => unmade(writing, failure).await,
        }
    }

    /// The record as it is then, and whether anything was changed.
    async fn change_in(&self, writing: &mut Writing, id: &KeyId, change: Change, by: &Attribution) -> Outcome<(Record, bool)> {
        let before = writing.get(id.as_str()).await?.ok_or(Refused::NotFound)?;
        if before.is_revoked() && matches!(change, Change::Revoke(_)) {
            return Ok((before, false));
        }
        let new_secret = match &change {
            Change::Rotate { slot, .. } => Some(slot.secret.clone()),
            Change::Rehash { digest, .. } => Some(StoredSecret::Digest(*digest)),
            _ => None,
        };
        // That it is revoked is told first, but for a handle that is taken: as in memory.
        if let Some(secret) = new_secret.filter(|secret| !before.is_revoked() || matches!(secret, StoredSecret::Argon2(_))) {
            let mut known = Known::default();
            known.look_for(writing, &secret).await?;
            known.check(&secret)?;
        }
        let (action, is_revocation) = (change.action(), matches!(change, Change::Revoke(_)));
        // Told as it was: a revocation reaches the old version too.
        let mut row = Journalled::new(by, action, *id, Some(&before), None);
        let after = change.apply(&before, by.at)?;
        row.after = Journalled::new(by, action, *id, None, Some(&after)).after;
        writing.update_key(&after).await?;
        if after.current != before.current || after.previous != before.previous {
            replace_secrets(writing, &after).await?;
        }
        writing.journal(vec![JournalRow::of(row)]).await?;
        if is_revocation {
            self.write_down(writing, id, by).await?;
        }
        Ok((after, true))
    }

    pub(crate) async fn purge(&self, id: &KeyId, by: &Attribution) -> Outcome<()> {
        let mut writing = self.begin(1).await?;
        match purge_in(&mut writing, id, by).await {
            Ok(()) => writing.commit().await,
            Err(failure) => unmade(writing, failure).await,
        }
    }

    pub(crate) async fn bind(&self, prefix: Box<str>) -> Outcome<()> {
        let mut writing = self.begin(0).await?;
        match bind_in(&mut writing, &prefix).await {
            Ok(true) => writing.commit().await?,
            Ok(false) => writing.roll_back().await?,
            Err(failure) => return unmade(writing, failure).await,
        }
        self.prefixes.rcu(|bound| {
            let mut bound = HashSet::clone(bound);
            bound.insert(prefix.clone());
            bound
        });
        Ok(())
    }
}

/// A refusal leaves nothing behind. After a fault the connection is closed with what it had begun.
async fn unmade<T>(writing: Writing, failure: crate::failure::Failure) -> Outcome<T> {
    if let crate::failure::Failure::Refused(_) = &failure {
        // If this fails, the connection is closed, which does it as well.
        let _ = writing.roll_back().await;
    }
    Err(failure)
}

/// A secret that stays moves to its new slot; one that is in none any more is retired.
async fn replace_secrets(writing: &mut Writing, record: &Record) -> Outcome<()> {
    writing.run(RETIRE, values![record.id.as_str()]).await?;
    for slot in record.slots() {
        match &slot.secret {
            StoredSecret::Digest(digest) => {
                let values = values![digest.to_bytes().to_vec(), i64::from(digest.pepper())];
                writing.run("DELETE FROM keyward_secrets WHERE digest = $1 AND pepper = $2", values).await?;
            }
            StoredSecret::Argon2(hash) => {
                writing.run("DELETE FROM keyward_secrets WHERE handle = $1", values![hash.handle()]).await?;
            }
        }
    }
    writing.add_secrets(record).await
}

async fn purge_in(writing: &mut Writing, id: &KeyId, by: &Attribution) -> Outcome<()> {
    let record = writing.get(id.as_str()).await?.ok_or(Refused::NotFound)?;
    if !record.is_revoked() {
        return Err(Refused::NotRevoked.into());
    }
    writing.run(RETIRE, values![id.as_str()]).await?;
    writing.run("DELETE FROM keyward_keys WHERE id = $1", values![id.as_str()]).await?;
    writing.journal(vec![JournalRow::of(Journalled::new(by, "purge", *id, Some(&record), None))]).await
}

/// Whether it was not bound before.
async fn bind_in(writing: &mut Writing, prefix: &str) -> Outcome<bool> {
    let digest = KeyDigest::sha256(prefix.as_bytes()).to_bytes().to_vec();
    if !writing.rows("SELECT prefix FROM keyward_prefixes WHERE digest = $1", values![digest.clone()]).await?.is_empty() {
        return Ok(false);
    }
    let in_the_way = "SELECT id FROM keyward_keys WHERE foreign_prefix = $1 AND revoked IS NULL LIMIT 1";
    if !writing.rows(in_the_way, values![digest.clone()]).await?.is_empty() {
        return Err(Refused::LooksGenerated.into());
    }
    writing.add("keyward_prefixes", "prefix, digest", vec![values![text(prefix), digest]]).await?;
    Ok(true)
}
