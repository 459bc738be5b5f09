//! Makes the changes, and tells of each before and after.

use std::{collections::BTreeMap, io, time::Duration};

use keyward::{
    Keys, Made, NewKey,
    import::{ImportedKey, from_json_lines},
    key::KeyId,
    store::{Filter, Update, WhereRefused},
};

use super::{
    attempt::{Attempt, Fields, Foreign},
    expected::Expected,
    log::{Acknowledgement, History, Line},
};
use crate::stores::{AnyStore, Problem};

/// What to work.
#[derive(Clone, Debug)]
pub struct Run {
    /// Chooses the changes.
    pub seed: u64,
    /// How many changes.
    pub changes: u64,
    /// What was printed before, by earlier runs on this store, with what checks settled.
    pub log: String,
    /// So long before a change is made, say that it was, where its outcome is known beforehand: this is what no program may
    /// do, so that tests can see the loss found.
    pub acknowledge_early: Option<Duration>,
}

/// Makes changes, one after the other. Each line that `tell` is given has to be printed at once, by one call.
///
/// # Errors
/// If the log cannot be followed, a change was not made, or a line could not be told. What was acknowledged before is told.
pub async fn run(store: &AnyStore, run: &Run, tell: impl FnMut(&str) -> io::Result<()>) -> Result<(), Problem> {
    let mut worker = Worker::new(store, run, tell).await?;
    worker.tell(&Line::Opened)?;
    for _ in 0..run.changes {
        worker.change().await?;
    }
    Ok(())
}

/// Who makes the changes.
pub(super) struct Worker<'w, T> {
    keys: Keys,
    run: &'w Run,
    tell: T,
    pub(super) known: Expected,
    last: u64,
    ids: BTreeMap<String, KeyId>,
}

impl<'w, T: FnMut(&str) -> io::Result<()>> Worker<'w, T> {
    pub(super) async fn new(store: &AnyStore, run: &'w Run, tell: T) -> Result<Worker<'w, T>, Problem> {
        let History { known, under_way, last, .. } = History::read(&run.log, None)?;
        if let Some((number, _)) = under_way {
            return Err(Problem::new(format!("change {number} is not settled: check the store before it is changed again")));
        }
        let keys = Keys::new(store.clone());
        let mut worker = Worker { keys, run, tell, known, last, ids: BTreeMap::new() };
        if !worker.known.keys.is_empty() {
            worker.find_ids().await?;
        }
        Ok(worker)
    }

    async fn find_ids(&mut self) -> Result<(), Problem> {
        let mut after = None;
        loop {
            let page = self.keys.list(&Filter::default(), after, 500).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id);
            self.ids.extend(page.iter().filter_map(|record| Some((record.owner.as_deref()?.to_owned(), record.id))));
        }
    }

    fn id(&self, label: &str) -> Result<KeyId, Problem> {
        self.ids.get(label).copied().ok_or_else(|| Problem::new(format!("the key {label} is not in the store")))
    }

    /// Makes the next change.
    pub(super) async fn change(&mut self) -> Result<(), Problem> {
        let number = self.last + 1;
        let attempt = Attempt::choose(self.run.seed, number, &self.known);
        self.tell(&Line::Try(number, attempt.clone()))?;
        let outcome_is_known =
            matches!(attempt, Attempt::Update { .. } | Attempt::Disable { .. } | Attempt::Revoke { .. } | Attempt::Purge { .. });
        let acknowledgement = match self.run.acknowledge_early {
            Some(time) if outcome_is_known => {
                let acknowledgement = self.acknowledgement(&attempt);
                self.tell(&Line::Acknowledged(number, acknowledgement.clone()))?;
                std::thread::sleep(time);
                self.make(number, &attempt).await?;
                acknowledgement
            }
            _ => {
                let made = self.make(number, &attempt).await;
                let made = made.map_err(|problem| problem.while_doing(format!("change {number} ({})", attempt.action())))?;
                self.tell(&Line::Acknowledged(number, made.clone()))?;
                made
            }
        };
        self.last = number;
        self.known.apply(number, &attempt, Some(&acknowledgement))
    }

    pub(super) fn tell(&mut self, line: &Line) -> Result<(), Problem> {
        Ok((self.tell)(&format!("{line}\n"))?)
    }

    fn acknowledgement(&self, attempt: &Attempt) -> Acknowledgement {
        let id = match attempt {
            Attempt::Rotate { key, .. }
            | Attempt::Update { key, .. }
            | Attempt::Disable { key, .. }
            | Attempt::Revoke { key }
            | Attempt::Purge { key } => self.ids.get(key).copied(),
            Attempt::Create { .. } | Attempt::Import { .. } => None,
        };
        Acknowledgement { action: attempt.action().to_owned(), id, ..Acknowledgement::default() }
    }

    async fn make(&mut self, number: u64, attempt: &Attempt) -> Result<Acknowledgement, Problem> {
        let keys = self.keys.acting_as(actor(number));
        let mut acknowledgement = self.acknowledgement(attempt);
        match attempt {
            Attempt::Create { key, prefix, once, fields } => {
                let new = new_key(key, prefix, fields)?;
                let made = match once {
                    None => Some(keys.create(new).await?),
                    Some(once) => keys.create_once(once, new).await?,
                };
                match made {
                    None => acknowledgement.done_before = true,
                    Some(made) => {
                        self.ids.insert(key.clone(), made.record().id);
                        acknowledgement.id = Some(made.record().id);
                        acknowledgement.secret = secret(&made);
                    }
                }
            }
            Attempt::Import { keys: foreign } => match foreign.as_slice() {
                [one] => {
                    let id = keys.import(imported(one)?).await?.id;
                    self.ids.insert(one.key.clone(), id);
                    acknowledgement.id = Some(id);
                    acknowledgement.secret = Some(one.secret.clone());
                }
                several => {
                    let rows = several.iter().map(imported).collect::<Result<_, _>>()?;
                    let done = keys.import_all(rows, WhereRefused::AddNone, None).await?;
                    if let Some((_, refused)) = done.refused.first() {
                        return Err(Problem::new(format!("a new key was refused: {refused}")));
                    }
                    self.find_ids().await?;
                }
            },
            Attempt::Rotate { key, grace_seconds } => {
                let made = keys.rotate(&self.id(key)?, Duration::from_secs(*grace_seconds)).await?;
                acknowledgement.secret = secret(&made);
                acknowledgement.previous_secret = self.known.keys.get(key).and_then(|key| key.current.clone());
            }
            Attempt::Update { key, fields } => _ = keys.update(&self.id(key)?, update(fields)?).await?,
            Attempt::Disable { key, disabled } => _ = keys.set_disabled(&self.id(key)?, *disabled).await?,
            Attempt::Revoke { key } => _ = keys.revoke(&self.id(key)?).await?,
            Attempt::Purge { key } => keys.purge(&self.id(key)?).await?,
        }
        Ok(acknowledgement)
    }
}

/// Whom the journal names.
pub(super) fn actor(number: u64) -> String {
    format!("change-{number}")
}

/// The name under which a note is kept in the metadata.
pub(super) const NOTE: &str = "note";

fn secret(made: &Made) -> Option<String> {
    Some(made.secret().expose().to_owned())
}

fn new_key(label: &str, prefix: &str, fields: &Fields) -> Result<NewKey, Problem> {
    let mut new = NewKey::named(fields.name.as_str()).prefix(prefix)?.owner(label);
    if let Some(kind) = &fields.kind {
        new = new.kind(kind.as_str());
    }
    for scope in &fields.scopes {
        new = new.scope(scope)?;
    }
    if let Some(note) = &fields.note {
        new = new.metadata(NOTE, note);
    }
    Ok(match fields.expires_at {
        Some(end) => new.expires_at(end),
        None => new,
    })
}

fn imported(foreign: &Foreign) -> Result<ImportedKey, Problem> {
    read_row(&foreign.row().to_string())
}

/// One row to import.
pub(super) fn read_row(row: &str) -> Result<ImportedKey, Problem> {
    match from_json_lines(row).next() {
        Some(read) => Ok(read?),
        None => Err(Problem::new("the row to import is empty")),
    }
}

fn update(fields: &Fields) -> Result<Update, Problem> {
    let scopes = fields.scopes.iter().map(|scope| scope.parse()).collect::<Result<Vec<_>, _>>()?;
    Ok(Update {
        name: Some(fields.name.as_str().into()),
        kind: Some(fields.kind.as_deref().map(Into::into)),
        scopes: Some(scopes),
        expires: Some(fields.expires_at),
        metadata: Some(fields.note.iter().map(|note| (NOTE.to_owned(), note.clone())).collect()),
        ..Update::default()
    })
}
