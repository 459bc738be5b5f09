//! Compares a store with what is expected of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use http::Request;
use keyward::{
    Decision, Guard, KeyStore as _, Keys, KeysError, Kind, Policy, Principal, SystemRandom, Timestamp,
    clock::{Clock as _, SystemClock},
    key::{Epoch, KeyDigest, KeyId, Record, Slot, StoredSecret},
    store::{Attribution, Filter, Insert, Insertion, Journalled, RecordStore as _, Refused, WhereRefused},
};

use super::{
    expected::{End, Expected, ExpectedKey, Verdict},
    log::{History, Line},
    work::{NOTE, read_row},
};
use crate::stores::{AnyStore, Problem};

/// What came of a check.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// How many changes had been acknowledged.
    pub acknowledged: u64,
    /// Whether the change that was under way was made, as a line to add to the log.
    pub settled: Option<String>,
    /// What is not as it has to be: the change that it is owed to, and what is wrong.
    pub wrong: Vec<(u64, String)>,
}

/// Compares a store with the log of what was done to it, as far as the acknowledgement of the change `count`, if there is a number.
/// `journal` is how many of the latest rows of its journal the store keeps.
///
/// The store stays as it is; only where it lost what it must not lose may this add to it.
///
/// # Errors
/// If the log cannot be followed, or the store cannot tell what is in it.
pub async fn check(store: &AnyStore, log: &str, count: Option<u64>, journal: usize) -> Result<Findings, Problem> {
    let History { known, under_way, acknowledged, .. } = History::read(log, count)?;
    let keys = Keys::new(store.clone()).acting_as("check");
    let rows = whole_journal(&keys).await?;
    let records = all_records(&keys).await?;
    let mut findings = Findings { acknowledged, ..Findings::default() };
    // The change and its row are there together, or neither is: so the journal tells what became of the one under way, and all
    // else has to agree.
    let expected = match &under_way {
        None => known,
        Some((number, attempt)) => {
            let mut made = known.clone();
            made.apply(*number, attempt, None)?;
            let is_made = made.rows[known.rows.len()..].iter().any(|expected| {
                let id = made.id(&expected.key, &records);
                rows.iter().any(|row| expected.is(row) && id.is_none_or(|id| id == row.key))
            });
            findings.settled = Some(Line::Settled(*number, is_made).to_string());
            if is_made { made } else { known }
        }
    };
    let mut look = Look { expected: &expected, wrong: &mut findings.wrong };
    look.at_records(&records);
    look.at_journal(&rows, &records, journal);
    look.at_secrets(store, &records).await?;
    look.at_prefixes(store).await?;
    let mut markers: BTreeSet<&str> = expected.markers.keys().map(String::as_str).collect();
    if let Some((_, super::attempt::Attempt::Create { once: Some(once), .. })) = &under_way {
        markers.insert(once);
    }
    look.at_markers(store, &markers).await?;
    look.at_imports(&keys).await?;
    Ok(findings)
}

struct Look<'c> {
    expected: &'c Expected,
    wrong: &'c mut Vec<(u64, String)>,
}

impl Look<'_> {
    fn wrong(&mut self, change: u64, what: impl Into<String>) {
        self.wrong.push((change, what.into()));
    }

    fn at_records(&mut self, records: &[Arc<Record>]) {
        let mut found: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
        for record in records {
            found.entry(record.owner.as_deref().unwrap_or_default()).or_default().push(record);
        }
        for (label, key) in &self.expected.keys {
            match (key.end, found.remove(label.as_str()).as_deref()) {
                (Some(End::Purged), None) => {}
                (Some(End::Purged), Some(_)) => self.wrong(key.changed, format!("the key {label} is there, which was purged")),
                (_, Some([record])) => {
                    for what in differences(key, record) {
                        self.wrong(key.changed, format!("the key {label}: {what}"));
                    }
                }
                (_, None) => self.wrong(key.changed, format!("the key {label} is not there")),
                (_, Some(several)) => self.wrong(key.changed, format!("the key {label} is there {} times", several.len())),
            }
        }
        for label in found.into_keys() {
            self.wrong(0, format!("the key {label:?} is there, which nobody made"));
        }
    }

    fn at_journal(&mut self, rows: &[Journalled], records: &[Arc<Record>], kept: usize) {
        let gone = self.expected.rows.len().saturating_sub(kept);
        let expected = &self.expected.rows[gone..];
        let mut last = 0;
        for (place, row) in rows.iter().enumerate() {
            if row.number <= last {
                self.wrong(0, format!("row {} of the journal comes behind row {last}", row.number));
            }
            last = row.number;
            let told = format!("row {} of the journal (`{}` by `{}`)", row.number, row.action, row.actor);
            let Some(expected) = expected.get(place) else {
                self.wrong(0, format!("{told} is of no change that was made"));
                continue;
            };
            let id = self.expected.id(&expected.key, records);
            if !expected.is(row) || id.is_some_and(|id| id != row.key) || row.before.is_none() != (expected.action == "create") {
                let what = format!("{told} stands where `{}` by change {} has to stand", expected.action, expected.change);
                self.wrong(expected.change, what);
                return;
            }
        }
        for missing in expected.iter().skip(rows.len()) {
            self.wrong(missing.change, format!("the journal has no row of `{}` by change {}", missing.action, missing.change));
        }
    }

    async fn at_secrets(&mut self, store: &AnyStore, records: &[Arc<Record>]) -> Result<(), Problem> {
        let policy = Policy::from_toml("policy.toml", "")?;
        let guard = Guard::builder(policy).store(store.clone()).build()?;
        let now = SystemClock::new().now().wall;
        for (label, key) in &self.expected.keys {
            for (secret, which, verdict) in key.verdicts(now) {
                let answer = ask(&guard, secret).await?;
                let is_good = match (verdict, answer) {
                    (Verdict::Accepted, Ok(id)) => self.expected.id(label, records) == Some(id),
                    (Verdict::Refused(kinds), Err(kind)) => kinds.contains(&kind),
                    _ => false,
                };
                if !is_good {
                    let got = answer.map_or_else(|kind| format!("{kind:?}"), |id| format!("accepted as {id}"));
                    let what = format!("the {which} secret of the key {label}: {verdict:?} is right, and it was {got}");
                    self.wrong(key.changed, what);
                }
            }
        }
        Ok(())
    }

    /// Prefixes of generated keys are bound, and those that a foreign key keeps free cannot be.
    async fn at_prefixes(&mut self, store: &AnyStore) -> Result<(), Problem> {
        for (prefix, change) in &self.expected.prefixes {
            if !store.binds(prefix) {
                self.wrong(*change, format!("the prefix `{prefix}` is not bound"));
            }
        }
        for (label, key) in self.expected.keys.iter().filter(|(_, key)| key.is_in_use()) {
            let Some(prefix) = &key.keeps_free else { continue };
            if store.bind(prefix).wait().await? != Err(Refused::LooksGenerated) {
                self.wrong(key.changed, format!("the key {label} does not keep its prefix from being bound any more"));
            }
        }
        Ok(())
    }

    /// What was done once is not done again, and what was not can be.
    async fn at_markers(&mut self, store: &AnyStore, markers: &BTreeSet<&str>) -> Result<(), Problem> {
        for marker in markers {
            let change = self.expected.markers.get(*marker);
            let is_set = is_set(store, marker).await?;
            if is_set != change.is_some() {
                let what = if is_set { "is set, without its key" } else { "is not set" };
                self.wrong(change.copied().unwrap_or(0), format!("the marker `{marker}` {what}"));
            }
        }
        Ok(())
    }

    /// No key that ever was can be added again, whatever became of it.
    async fn at_imports(&mut self, keys: &Keys) -> Result<(), Problem> {
        let mut all: Vec<(&str, u64, &str)> = Vec::new();
        for (label, key) in &self.expected.keys {
            all.extend(key.secrets().into_iter().map(|secret| (label.as_str(), key.changed, secret)));
        }
        let rows = all
            .iter()
            .map(|(.., secret)| read_row(&serde_json::json!({ "key": secret, "entropy_bits": 128 }).to_string()))
            .collect::<Result<Vec<_>, _>>()?;
        let imported = keys.import_all(rows, WhereRefused::AddNone, None).await?;
        let refused: BTreeMap<usize, KeysError> = imported.refused.into_iter().collect();
        for (place, (label, change, _)) in all.into_iter().enumerate() {
            match refused.get(&place) {
                Some(KeysError::Refused(Refused::SecretTaken | Refused::HandleTaken)) => {}
                Some(other) => {
                    self.wrong(change, format!("a secret of the key {label} is kept from being imported by this: {other}"))
                }
                None => self.wrong(change, format!("a secret of the key {label} can be imported again")),
            }
        }
        Ok(())
    }
}

fn differences(key: &ExpectedKey, record: &Record) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |what: &str, expected: String, got: String| {
        if expected != got {
            found.push(format!("{what} is {got} and has to be {expected}"));
        }
    };
    let fields = &key.fields;
    if let Some(id) = key.id {
        compare("its id", id.to_string(), record.id.to_string());
    }
    compare("its name", fields.name.clone(), record.name.to_string());
    compare("its kind", format!("{:?}", fields.kind), format!("{:?}", record.kind.as_deref().map(str::to_owned)));
    let scopes: Vec<&str> = record.scopes.iter().map(keyward::scope::Scope::as_str).collect();
    compare("its scopes", format!("{:?}", fields.scopes), format!("{scopes:?}"));
    let metadata: BTreeMap<&str, &str> = fields.note.iter().map(|note| (NOTE, note.as_str())).collect();
    compare("its metadata", format!("{metadata:?}"), format!("{:?}", record.metadata));
    compare("its end", format!("{:?}", fields.expires_at), format!("{:?}", record.expires));
    compare("that it is disabled", key.disabled.to_string(), record.disabled.to_string());
    compare("that it is revoked", key.is_revoked().to_string(), record.is_revoked().to_string());
    compare("how often it was rotated", key.rotations.to_string(), record.current.number.to_string());
    compare("that it has a previous secret", key.previous.is_some().to_string(), record.previous.is_some().to_string());
    found
}

async fn whole_journal(keys: &Keys) -> Result<Vec<Journalled>, Problem> {
    let mut rows: Vec<Journalled> = Vec::new();
    loop {
        let page = keys.journal(rows.last().map_or(0, |row| row.number), 500).await?;
        if page.is_empty() {
            return Ok(rows);
        }
        rows.extend(page);
    }
}

async fn all_records(keys: &Keys) -> Result<Vec<Arc<Record>>, Problem> {
    let mut records: Vec<Arc<Record>> = Vec::new();
    loop {
        let page = keys.list(&Filter::default(), records.last().map(|record| record.id), 500).await?;
        if page.is_empty() {
            return Ok(records);
        }
        records.extend(page);
    }
}

/// Whose key it is, or why it is denied. That the store failed is neither.
async fn ask(guard: &Guard, secret: &str) -> Result<Result<KeyId, Kind>, Problem> {
    let request = Request::get("/").header("x-api-key", secret).body(())?;
    match guard.decide(&request).await {
        Decision::Denied(denial) if denial.kind() == Kind::Unavailable => {
            Err(Problem::new("a guard could not decide about a key, for the store failed"))
        }
        Decision::Denied(denial) => Ok(Err(denial.kind())),
        Decision::Allowed(pass) => match pass.principal().and_then(Principal::key_id) {
            Some(id) => Ok(Ok(id)),
            None => Err(Problem::new("a guard let a request in without a key")),
        },
    }
}

/// Whether a marker is set: told by an insertion that is refused in any case, for two of its records have one id.
async fn is_set(store: &AnyStore, marker: &str) -> Result<bool, Problem> {
    let id: KeyId = "looking-for-a-marker".parse()?;
    let by = Attribution { actor: "check".into(), at: Timestamp::EPOCH };
    let insertions = [&b"one"[..], b"another"]
        .into_iter()
        .map(|secret| {
            let slot = Slot::new(StoredSecret::Digest(KeyDigest::sha256(secret)), "");
            Ok(Insertion::new(Record::new(id, marker, by.at, Epoch::random(&SystemRandom)?, slot)))
        })
        .collect::<Result<Vec<_>, Problem>>()?;
    let mut insert = Insert::many(insertions, WhereRefused::AddNone);
    insert.once = Some(marker.into());
    let inserted = store.insert(insert, by).wait().await?;
    if inserted.records.is_empty() && !inserted.refused.is_empty() {
        Ok(inserted.refused.iter().any(|(_, refused)| *refused == Refused::DoneBefore))
    } else {
        Err(Problem::new("the store added a record whose id was that of another one"))
    }
}

#[cfg(test)]
mod tests {
    use keyward::{MemoryStore, store::Snapshot};

    use super::*;
    use crate::crash::work::{Run, Worker};

    /// A store before and after each of many changes, with the log up to what was tried and up to what was acknowledged.
    struct Stage {
        before: Snapshot,
        after: Snapshot,
        tried: String,
        acknowledged: String,
    }

    async fn stages(seed: u64, changes: u64) -> Vec<Stage> {
        let store = MemoryStore::new();
        let run = Run { seed, changes, log: String::new(), acknowledge_early: None };
        let printed = std::cell::RefCell::new(String::new());
        let tell = |line: &str| {
            printed.borrow_mut().push_str(line);
            Ok(())
        };
        let mut worker = Worker::new(&AnyStore::new(store.clone()), &run, tell).await.unwrap();
        let mut stages = Vec::new();
        for _ in 0..changes {
            let before = store.snapshot();
            worker.change().await.unwrap();
            let acknowledged = printed.borrow().clone();
            let last_line = acknowledged.trim_end().rfind('\n').map_or(0, |end| end + 1);
            let tried = acknowledged[..last_line].to_owned();
            stages.push(Stage { before, after: store.snapshot(), tried, acknowledged });
        }
        stages
    }

    async fn findings(snapshot: &Snapshot, log: &str) -> Findings {
        let store = AnyStore::new(MemoryStore::from_snapshot(snapshot).unwrap());
        check(&store, log, None, 1_000).await.unwrap()
    }

    /// Not those which change nothing: of what was done before, or revoked.
    fn changes_something(stage: &Stage) -> bool {
        serde_json::to_value(&stage.before).unwrap() != serde_json::to_value(&stage.after).unwrap()
    }

    #[tokio::test]
    async fn every_change_that_was_acknowledged_and_is_not_there_is_missed() {
        let mut changed = 0;
        for stage in stages(7, 90).await {
            let good = findings(&stage.after, &stage.acknowledged).await;
            assert!(good.wrong.is_empty() && good.settled.is_none(), "{:?}\n{}", good.wrong, stage.acknowledged);
            if changes_something(&stage) {
                let lost = findings(&stage.before, &stage.acknowledged).await.wrong;
                assert!(!lost.is_empty(), "{}", stage.acknowledged);
                changed += 1;
            }
        }
        assert!(changed > 75, "{changed}");
    }

    #[tokio::test]
    async fn the_change_under_way_is_made_or_not_and_nothing_between() {
        for stage in stages(8, 90).await.iter().filter(|stage| changes_something(stage)) {
            for (snapshot, end) in [(&stage.before, "not-made"), (&stage.after, "made")] {
                let found = findings(snapshot, &stage.tried).await;
                assert!(found.wrong.is_empty(), "{end}: {:?}\n{}", found.wrong, stage.tried);
                assert!(found.settled.unwrap().ends_with(&format!(" {end}")));
            }
            // The row without the change, and the change without its row.
            for (records, journal) in [(&stage.before, &stage.after), (&stage.after, &stage.before)] {
                let mut torn = records.clone();
                torn.journal.clone_from(&journal.journal);
                let found = findings(&torn, &stage.tried).await;
                assert!(!found.wrong.is_empty(), "{}", stage.tried);
            }
        }
    }

    #[tokio::test]
    async fn what_only_shows_when_something_is_done_again_is_missed() {
        let stages = stages(9, 120).await;
        let Stage { after, acknowledged, .. } = stages.last().unwrap();
        let without = |change: fn(&mut Snapshot)| {
            let mut snapshot = after.clone();
            change(&mut snapshot);
            snapshot
        };
        for (what, snapshot) in [
            ("can be imported again", without(|snapshot| snapshot.retired.retain(|text| text.starts_with("handle:")))),
            ("is not set", without(|snapshot| _ = snapshot.done.pop())),
            ("is not bound", without(|snapshot| _ = snapshot.prefixes.pop())),
            ("the journal has no row", without(|snapshot| _ = snapshot.journal.pop())),
            ("stands where", without(|snapshot| _ = snapshot.journal.remove(20))),
        ] {
            let wrong = findings(&snapshot, acknowledged).await.wrong;
            assert!(!wrong.is_empty() && wrong.iter().all(|(_, told)| told.contains(what)), "{what}: {wrong:?}");
        }
    }

    #[tokio::test]
    async fn what_nobody_did_is_found_as_well() {
        let stages = stages(10, 3).await;
        let [first, .., last] = stages.as_slice() else { panic!("there are three") };
        let wrong = findings(&last.after, &first.acknowledged).await.wrong;
        assert!(wrong.iter().any(|(_, told)| told.contains("which nobody made")), "{wrong:?}");
        assert!(wrong.iter().any(|(_, told)| told.contains("is of no change that was made")), "{wrong:?}");
    }

    #[tokio::test]
    async fn nothing_that_is_told_holds_a_secret() {
        let stages = stages(11, 60).await;
        let Stage { acknowledged, .. } = stages.last().unwrap();
        let told = format!("{:?}", findings(&Snapshot::default(), acknowledged).await.wrong);
        let History { known, .. } = History::read(acknowledged, None).unwrap();
        let secrets: BTreeSet<&str> = known.keys.values().flat_map(ExpectedKey::secrets).collect();
        assert!(secrets.len() > 20 && secrets.iter().all(|secret| !told.contains(secret)));
    }
}
