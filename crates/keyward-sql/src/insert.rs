//! Adding records: one or a million, in one transaction, a chunk at a time.

use std::sync::Arc;

use keyward::key::{Record, StoredSecret};
use keyward::store::{Attribution, Insert, Inserted, Insertion, Journalled, Refused, WhereRefused};

use crate::connection::values;
use crate::database::Shared;
use crate::failure::{Failure, Outcome};
use crate::known::Known;
use crate::record::{KEY_COLUMNS, key_values, text};
use crate::writing::Writing;

/// How many records go into one statement. SQLite takes 32,766 values in one; a key has 16, or 50 handles to look for.
const CHUNK: usize = 500;

impl Shared {
    pub(crate) async fn insert(&self, insert: Insert, by: &Attribution) -> Outcome<Inserted> {
        let count = insert.insertions.len();
        match self.try_insert(insert, by).await {
            // What passed the checks of one record can be nobody else's refusal.
            Err(Failure::Refused(refused)) if count == 1 => Ok(Inserted { records: Vec::new(), refused: vec![(0, refused)] }),
            outcome => outcome,
        }
    }

    async fn try_insert(&self, insert: Insert, by: &Attribution) -> Outcome<Inserted> {
        let Insert { insertions, where_refused, once, progress, .. } = insert;
        let count = insertions.len();
        let mut writing = self.begin(count).await?;
        let once = once.map(|name| text(&name));
        if let Some(name) = &once
            && !writing.rows("SELECT name FROM keyward_done WHERE name = $1", values![name.as_str()]).await?.is_empty()
        {
            writing.roll_back().await?;
            let refused = (0..count).map(|place| (place, Refused::DoneBefore)).collect();
            return Ok(Inserted { records: Vec::new(), refused });
        }

        let mut inserted = Inserted::default();
        let mut known = Known::of_store(&mut writing).await?;
        let (mut place, mut insertions) = (0, insertions.into_iter());
        loop {
            let chunk: Vec<Insertion> = insertions.by_ref().take(CHUNK).collect();
            if chunk.is_empty() {
                break;
            }
            known.look(&mut writing, &chunk).await?;
            let mut admitted = Vec::with_capacity(chunk.len());
            for insertion in chunk {
                match known.admit(&insertion) {
                    Ok(()) => admitted.push(insertion),
                    Err(refused) => inserted.refused.push((place, refused)),
                }
                place += 1;
            }
            let told = inserted.records.len() / 1_000;
            // Also where all of it is rolled back in the end: those that come after have to be told from these.
            inserted.records.extend(add(&mut writing, admitted, by).await?);
            if let Some(progress) = &progress {
                (told + 1..=inserted.records.len() / 1_000).for_each(|thousand| progress.tell(thousand * 1_000));
            }
        }

        if !inserted.refused.is_empty() && where_refused == WhereRefused::AddNone {
            writing.roll_back().await?;
            inserted.records.clear();
            return Ok(inserted);
        }
        if inserted.records.is_empty() && once.is_none() {
            writing.roll_back().await?;
            return Ok(inserted);
        }
        if let Some(name) = once {
            writing.add("keyward_done", "name, done_at", vec![values![name, by.at.unix_nanoseconds()]]).await?;
        }
        writing.commit().await?;
        Ok(inserted)
    }
}

async fn add(writing: &mut Writing, insertions: Vec<Insertion>, by: &Attribution) -> Outcome<Vec<Arc<Record>>> {
    let revision = writing.revision;
    let keys = insertions.iter().map(|Insertion { record, key, .. }| {
        let mut values = key_values(record, revision);
        let foreign_prefix = key.as_ref().and_then(keyward::store::PlainKey::foreign_prefix);
        values.push(foreign_prefix.map(|digest| digest.to_bytes().to_vec()).into());
        values
    });
    let keys = keys.collect();
    writing.add("keyward_keys", &format!("{KEY_COLUMNS}, foreign_prefix"), keys).await?;
    writing.add_secrets(insertions.iter().map(|insertion| &insertion.record)).await?;
    let rows = insertions.iter().map(|Insertion { record, .. }| Journalled::new(by, "create", record.id, None, Some(record)));
    let rows = rows.collect();
    writing.journal(rows).await?;
    Ok(insertions.into_iter().map(|insertion| Arc::new(insertion.record)).collect())
}

/// The handle of a secret that has one.
pub(crate) fn handle_of(secret: &StoredSecret) -> Option<&str> {
    match secret {
        StoredSecret::Argon2(hash) => Some(hash.handle()),
        StoredSecret::Digest(_) => None,
    }
}
