//! Adding records: one or a million, in one transaction, a chunk at a time.

use std::sync::Arc;

use keyward::key::{Record, StoredSecret};
use keyward::store::{Attribution, Insert, Inserted, Insertion, Journalled, Refused, WhereRefused};

use tokio::task::JoinHandle;

use crate::connection::{CHUNK, Value, values};
use crate::database::Shared;
use crate::failure::{Failure, Outcome};
use crate::known::Known;
use crate::record::{KEY_COLUMNS, SLOT_COLUMNS, key_values, slot_values, text};
use crate::writing::{JournalRow, Writing};

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
        let mut places = 0..;
        let mut chunks = Chunks { rest: insertions.into_iter(), by: by.clone(), revision: writing.revision };
        let mut next = chunks.next();
        while let Some(chunk) = next {
            let chunk = chunk.await.map_err(|error| Failure::fault(format!("records could not be written down: {error}")))?;
            // Meanwhile the database is at work.
            next = chunks.next();
            known.look(&mut writing, chunk.iter().map(|row| &row.insertion)).await?;
            let mut admitted = Vec::with_capacity(chunk.len());
            for (row, place) in chunk.into_iter().zip(&mut places) {
                match known.admit(&row.insertion) {
                    Ok(()) => admitted.push(row),
                    Err(refused) => inserted.refused.push((place, refused)),
                }
            }
            let told = inserted.records.len() / 1_000;
            // Also where all of it is rolled back in the end: those that come after have to be told from these.
            add(&mut writing, admitted, &mut inserted.records).await?;
            if let Some(progress) = &progress {
                (told + 1..=inserted.records.len() / 1_000).for_each(|thousand| progress.tell(thousand * 1_000));
            }
        }

        let adds_none = match where_refused {
            WhereRefused::AddNone => !inserted.refused.is_empty(),
            WhereRefused::AddOthers => false,
            WhereRefused::OnlyTell => true,
        };
        if adds_none {
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

/// Writes insertions down as rows, so many at a time, away from the threads that serve requests.
struct Chunks {
    rest: std::vec::IntoIter<Insertion>,
    by: Attribution,
    revision: i64,
}

impl Chunks {
    fn next(&mut self) -> Option<JoinHandle<Vec<Rows>>> {
        let chunk: Vec<Insertion> = self.rest.by_ref().take(CHUNK).collect();
        if chunk.is_empty() {
            return None;
        }
        let (by, revision) = (self.by.clone(), self.revision);
        let write = move || chunk.into_iter().map(|insertion| Rows::of(insertion, &by, revision)).collect();
        Some(tokio::task::spawn_blocking(write))
    }
}

/// An insertion as rows.
struct Rows {
    insertion: Insertion,
    key: Vec<Value>,
    secrets: Vec<Vec<Value>>,
    journal: JournalRow,
}

impl Rows {
    fn of(insertion: Insertion, by: &Attribution, revision: i64) -> Self {
        let record = &insertion.record;
        let mut key = key_values(record, revision);
        let foreign_prefix = insertion.key.as_ref().and_then(keyward::store::PlainKey::foreign_prefix);
        key.push(foreign_prefix.map(|digest| digest.to_bytes().to_vec()).into());
        let secrets = slot_values(record).collect();
        let journal = JournalRow::of(Journalled::new(by, "create", record.id, None, Some(record)));
        Self { key, secrets, journal, insertion }
    }
}

async fn add(writing: &mut Writing, admitted: Vec<Rows>, records: &mut Vec<Arc<Record>>) -> Outcome<()> {
    let (mut keys, mut secrets, mut journal) = (Vec::new(), Vec::new(), Vec::new());
    for rows in admitted {
        keys.push(rows.key);
        secrets.extend(rows.secrets);
        journal.push(rows.journal);
        records.push(Arc::new(rows.insertion.record));
    }
    writing.add("keyward_keys", &format!("{KEY_COLUMNS}, foreign_prefix"), keys).await?;
    writing.add("keyward_secrets", SLOT_COLUMNS, secrets).await?;
    writing.journal(journal).await
}

/// The handle of a secret that has one.
pub(crate) fn handle_of(secret: &StoredSecret) -> Option<&str> {
    match secret {
        StoredSecret::Argon2(hash) => Some(hash.handle()),
        StoredSecret::Digest(_) => None,
    }
}
