//! Random changes to a store, each judged by the model; after each, every key that ever was is asked about.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use keyward::{
    Imported, Keys, KeysError, NewKey, SourceKind, Timestamp,
    import::ImportedKey,
    key::{Epoch, KeyId, Record, State},
    store::{Filter, RecordStore as _, Refused, Update, WhereRefused},
};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use serde_json::{Value, json};

use super::{
    bench::{BEGINNING, Bench, Caller, Handle, hashed, plain, row},
    handles::HANDLED,
    harness::{Ability, Subject},
    model::{Expected, ImportedAs, Model, ModelImport, Seen, generated_prefix, network_of},
    problem::{Outcome, Problem, holds, same},
    runtime::{entered, wait},
    steps::{FieldChange, Fields, Import, Meant, Step, Text, sequences},
};
use crate::model::key::generated;

/// How many steps a sequence has at most.
const LONGEST: usize = 40;

/// Tries sequences of steps, and shrinks the first that a store carries out otherwise than the model. The same seed makes the same
/// sequences; what is random in a store, such as ids, is not of them.
///
/// # Errors
/// The smallest such sequence found, and in what they differ.
pub fn run(subject: &Subject, sequences: u32, seed: Option<u64>, steps: &AtomicU64) -> Result<(), String> {
    let config = Config { cases: sequences, failure_persistence: None, max_shrink_iters: 3_000, ..Config::default() };
    let _runtime = entered();
    let mut runner = match seed {
        None => TestRunner::new(config),
        Some(seed) => {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&seed.to_le_bytes());
            TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
        }
    };
    let tried = runner.run(&self::sequences(LONGEST), |sequence| {
        run_sequence(subject, &sequence, steps).map_err(|problem| TestCaseError::fail(problem.text().to_owned()))
    });
    tried.map_err(|failure| failure.to_string())
}

fn run_sequence(subject: &Subject, sequence: &[Step], steps: &AtomicU64) -> Outcome {
    let mut trial = Trial::new(subject)?;
    for (index, step) in sequence.iter().enumerate() {
        let at = |problem: Problem| problem.while_doing(format_args!("step {}, {step:?}", index + 1));
        trial.step(step).map_err(at)?;
        trial.compare_answers().map_err(at)?;
        steps.fetch_add(1, Ordering::Relaxed);
    }
    trial.compare_all()
}

/// A store and the model, side by side.
struct Trial {
    bench: Bench,
    model: Model,
    /// The epoch of each record, as it was seen last.
    epochs: BTreeMap<KeyId, Epoch>,
    /// Which fresh key is next, and which caller.
    fresh: u32,
    calls: usize,
    /// Another way into the store.
    elsewhere: Option<Handle>,
}

impl Trial {
    fn new(subject: &Subject) -> Result<Trial, Problem> {
        let model = Model::at(BEGINNING);
        Ok(Trial { bench: Bench::new(subject)?, model, epochs: BTreeMap::new(), fresh: 0, calls: 0, elsewhere: None })
    }

    fn step(&mut self, step: &Step) -> Outcome {
        match step {
            Step::Create(fields) => self.create(fields, None),
            Step::CreateOnce { marker, fields } => self.create(fields, Some(&format!("marker {marker}"))),
            Step::Import(import) => self.import(import),
            Step::ImportAll { imports, add_others } => self.import_all(imports, *add_others),
            Step::Rotate { which, grace } => self.rotate(*which, *grace),
            Step::Revoke { which } => self.revoke(*which),
            Step::RevokeAll(meant) => self.revoke_all(meant),
            Step::Update { which, change } => self.update(*which, change),
            Step::Disable { which, disabled } => self.disable(*which, *disabled),
            Step::Expire { which } => self.expire(*which),
            Step::Purge { which } => self.purge(*which),
            Step::PurgeRevokedBefore { back } => self.purge_revoked_before(*back),
            Step::List { meant, page } => self.list(meant, *page),
            Step::Pass { nanoseconds } => {
                self.pass(Duration::from_nanos(*nanoseconds));
                Ok(())
            }
            Step::AddPepper => {
                if self.model.pepper < 3 {
                    self.elsewhere = None;
                    self.bench.add_pepper()?;
                    self.model.pepper += 1;
                }
                Ok(())
            }
            Step::Reopen => match self.bench.subject.lasts {
                Ability::Yes => self.bench.reopen(),
                Ability::No(_) => Ok(()),
            },
            Step::AskElsewhere => self.ask_elsewhere(),
        }
    }

    fn keys(&self) -> Result<&Keys, Problem> {
        self.bench.keys()
    }

    fn pass(&mut self, time: Duration) {
        self.bench.pass(time);
        self.model.now += i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
    }

    /// One of the latest keys, the purged ones included.
    fn target(&self, which: usize) -> Option<KeyId> {
        let count = self.model.keys.len();
        (which < count).then(|| self.model.keys[count - 1 - which].seen.id)
    }

    fn time(&self, distance: i64) -> Timestamp {
        Timestamp::from_unix_nanoseconds(self.model.now + distance)
    }

    fn create(&mut self, fields: &Fields, once: Option<&str>) -> Outcome {
        let new = self.new_key(fields)?;
        let made = match once {
            None => wait(self.keys()?.create(new)),
            Some(once) => wait(self.keys()?.create_once(once, new)).and_then(|made| made.ok_or(Refused::DoneBefore.into())),
        };
        same("making a key", self.model.may_create(fields.prefix, once), outcome(&made)?)?;
        let Ok(made) = made else { return Ok(()) };
        let (record, text) = (made.record(), made.secret().expose());
        same("prefix of the new key", Some(fields.prefix), generated_prefix(text).as_deref())?;
        let mut seen = Seen::new(record.id, "a key", self.model.now);
        self.fill(&mut seen, fields);
        if fields.scoped {
            seen.scopes = vec!["reports:*".to_owned(), "a".to_owned()];
        }
        seen.metadata.extend(fields.metadata.map(|text| (text.to_owned(), text.to_owned())));
        self.model.created(seen, text, once);
        self.compare_record(record, true)
    }

    fn new_key(&self, fields: &Fields) -> Result<NewKey, Problem> {
        let mut new = NewKey::named("a key").prefix(fields.prefix)?;
        if let Some(owner) = fields.owner {
            new = new.owner(owner);
        }
        if let Some(kind) = fields.kind {
            new = new.kind(kind);
        }
        if let Some(distance) = fields.not_before {
            new = new.not_before(self.time(distance));
        }
        if let Some(distance) = fields.expires {
            new = new.expires_at(self.time(distance));
        }
        if fields.scoped {
            new = new.scope("reports:*")?.scope("a")?;
        }
        if fields.limited {
            new = new.limit(LIMITS[0])?.limit(LIMITS[1])?;
        }
        if fields.networked {
            new = new.allow_ips(NETWORKS)?;
        }
        if fields.bound {
            new = new.resource_pattern(RESOURCES.parse()?);
        }
        if let Some(text) = fields.metadata {
            new = new.metadata(text, text);
        }
        Ok(new)
    }

    /// The fields that made and imported keys have in common.
    fn fill(&self, seen: &mut Seen, fields: &Fields) {
        seen.kind = fields.kind.map(str::to_owned);
        seen.owner = fields.owner.map(str::to_owned);
        seen.not_before = fields.not_before.map(|distance| self.model.now + distance);
        seen.expires = fields.expires.map(|distance| self.model.now + distance);
        seen.networks = fields.networked.then(|| NETWORKS.map(str::to_owned).to_vec());
        seen.resource_pattern = fields.bound.then(|| RESOURCES.to_owned());
        seen.limits = fields.limited.then(|| LIMITS.map(str::to_owned).to_vec());
    }

    /// A row to import, and what the model has to know of it.
    fn imported(&mut self, import: &Import) -> Result<(ImportedKey, ModelImport), Problem> {
        let handled = match import.text {
            Text::Handled(which) => Some(&HANDLED[which]),
            _ => None,
        };
        let text = match &import.text {
            Text::Fresh => {
                self.fresh += 1;
                format!("a-key-of-somebody-else-{}", self.fresh)
            }
            Text::Common(number) => format!("a-common-key-of-some-strength-{number}"),
            Text::Damaged { prefix, number } => format!("{prefix}_not-generated-here-but-strong-{number}"),
            Text::Generated { prefix, number } => generated(prefix, &format!("0123456789ABCDEFGHIJKLMNOPQRSTU{number}")),
            Text::Earlier(which) => match self.model.texts.iter().nth(which % self.model.texts.len().max(1)) {
                Some(text) => text.clone(),
                None => "a-key-of-no-time-and-of-nobody".to_owned(),
            },
            Text::Handled(which) => HANDLED[*which].key.to_owned(),
            Text::BehindHandle(which) => format!("{}-and-something-else", HANDLED[*which].handle),
        };
        // A hash tells nobody that the key looks damaged, so one would be found or not, as it comes (R7.1).
        let hashed_too = import.hashed && (!text.contains('_') || generated_prefix(&text).is_some());
        let (mut key, imported_as) = match handled {
            Some(handled) => (handled.imported()?, ImportedAs::Hash(handled.handle.to_owned())),
            None if hashed_too => (hashed(&text)?, ImportedAs::Sha256),
            None => (plain(&text)?, ImportedAs::Plain),
        };
        let time = |distance: Option<i64>| distance.map(|distance| self.time(distance));
        key.name = Some("an imported key".to_owned());
        key.kind = import.fields.kind.map(Into::into);
        key.owner = import.fields.owner.map(Into::into);
        key.not_before = time(import.fields.not_before);
        key.expires_at = time(import.fields.expires);
        key.revoked = import.revoked;
        key.disabled = import.disabled;
        let more = row(json!({
            "key": "a-key-that-is-not-used", "entropy_bits": 128,
            "allowed_ips": if import.fields.networked { json!(NETWORKS) } else { Value::Null },
            "resource_pattern": import.fields.bound.then_some(RESOURCES),
            "limit": if import.fields.limited { json!(LIMITS) } else { Value::Null },
        }))?;
        key.networks = more.networks;
        key.resource_pattern = more.resource_pattern;
        key.limits = more.limits;
        let nobody = "nobody".parse()?;
        let mut fields = Seen::new(nobody, "an imported key", self.model.now);
        self.fill(&mut fields, &import.fields);
        fields.disabled = import.disabled;
        fields.revoked = import.revoked.then_some(self.model.now);
        Ok((key, ModelImport { text, imported_as, fields }))
    }

    fn import(&mut self, import: &Import) -> Outcome {
        let (key, mut import) = self.imported(import)?;
        let imported = wait(self.keys()?.import(key));
        if let Ok(record) = &imported {
            import.fields.id = record.id;
        }
        let expected = self.model.prepare(&import).and_then(|()| self.model.import(&import));
        self.model.texts.insert(import.text);
        same("importing a key", expected, outcome(&imported)?)?;
        imported.map_or(Ok(()), |record| self.compare_record(&record, true))
    }

    fn import_all(&mut self, imports: &[Import], add_others: bool) -> Outcome {
        let mut all = Vec::new();
        for import in imports {
            all.push(self.imported(import)?);
        }
        let (keys, mut imports): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        let where_refused = if add_others { WhereRefused::AddOthers } else { WhereRefused::AddNone };
        let before = self.ids()?;
        let Imported { count, refused, .. } = wait(self.keys()?.import_all(keys, where_refused, None))?;
        let new: Vec<Arc<Record>> = {
            let listed = wait(self.keys()?.list(&Filter::default(), None, 10_000))?;
            listed.into_iter().filter(|record| !before.contains(&record.id)).collect()
        };
        let prepared: Vec<_> = imports.iter().map(|import| self.model.prepare(import)).collect();
        self.model.texts.extend(imports.iter().map(|import| import.text.clone()));
        // Ids are given at random, so the records are told apart by what they hold.
        let mut rest = new.clone();
        let mut without = self.model.clone();
        let mut expected = Vec::new();
        for (place, import) in imports.iter_mut().enumerate() {
            let taken = prepared[place].clone().and_then(|()| {
                let id = unlike(&without, place)?;
                import.fields.id = id;
                without.import(import)
            });
            expected.extend(taken.err().map(|refused| (place, refused)));
        }
        let refused: Result<Vec<_>, Problem> = refused.into_iter().map(|(place, error)| Ok((place, refusal(&error)?))).collect();
        same("refused places", &expected, &refused?)?;
        let added = if expected.is_empty() || add_others { imports.len() - expected.len() } else { 0 };
        same("how many were imported", added, count)?;
        same("how many more there are", added, new.len())?;
        if added == 0 {
            return Ok(());
        }
        for (place, import) in imports.iter_mut().enumerate() {
            if expected.iter().any(|(refused, _)| *refused == place) {
                continue;
            }
            let mut like = import.fields.clone();
            let found = rest.iter().position(|record| {
                let seen = Seen::of(record);
                like.id = seen.id;
                like.current.clone_from(&seen.current);
                like == seen && import.is_of(record)
            });
            let found = found.ok_or_else(|| Problem::new(format!("no new record is that of place {place}")))?;
            let record = rest.swap_remove(found);
            import.fields.id = record.id;
            self.model.import(import).map_err(|refused| Problem::new(format!("the model is at odds with itself: {refused}")))?;
            self.compare_record(&record, true)?;
        }
        Ok(())
    }

    fn ids(&self) -> Result<Vec<KeyId>, Problem> {
        Ok(wait(self.keys()?.list(&Filter::default(), None, 10_000))?.iter().map(|record| record.id).collect())
    }

    fn rotate(&mut self, which: usize, grace: u64) -> Outcome {
        let Some(id) = self.target(which) else { return Ok(()) };
        let rotated = wait(self.keys()?.rotate(&id, Duration::from_nanos(grace)));
        let expected = self.model.may_rotate(&id);
        same("rotating", expected.clone().map(drop), outcome(&rotated)?)?;
        let (Ok(prefix), Ok(made)) = (expected, rotated) else { return Ok(()) };
        let text = made.secret().expose();
        same("prefix of the new secret", Some(prefix), generated_prefix(text))?;
        let _ = self.model.rotated(&id, text, i64::try_from(grace).unwrap_or(i64::MAX));
        self.compare_record(made.record(), true)
    }

    fn revoke(&mut self, which: usize) -> Outcome {
        let Some(id) = self.target(which) else { return Ok(()) };
        let is_new = self.model.there().any(|key| key.seen.id == id && key.seen.revoked.is_none());
        let revoked = wait(self.keys()?.revoke(&id));
        same("revoking", self.model.revoke(&id), outcome(&revoked)?)?;
        revoked.map_or(Ok(()), |revoked| self.compare_record(revoked.record(), is_new))
    }

    fn revoke_all(&mut self, meant: &Meant) -> Outcome {
        let filter = self.filter(meant);
        let mut expected: Vec<KeyId> =
            self.model.listed(&filter).iter().filter(|seen| seen.revoked.is_none()).map(|seen| seen.id).collect();
        let mut revoked = wait(self.keys()?.revoke_all(&filter))?.ids().to_vec();
        revoked.sort();
        expected.sort();
        same("keys that were revoked", &expected, &revoked)?;
        for id in &expected {
            let _ = self.model.revoke(id);
            self.epochs.remove(id);
        }
        Ok(())
    }

    fn update(&mut self, which: usize, change: &FieldChange) -> Outcome {
        let Some(id) = self.target(which) else { return Ok(()) };
        let update = self.as_update(change)?;
        let updated = wait(self.keys()?.update(&id, update.clone()));
        same("updating", self.model.update(&id, &update), outcome(&updated)?)?;
        updated.map_or(Ok(()), |record| self.compare_record(&record, false))
    }

    fn as_update(&self, change: &FieldChange) -> Result<Update, Problem> {
        let time = |distance: &Option<i64>| Some(distance.map(|distance| self.time(distance)));
        let none = Update::default();
        Ok(match change {
            FieldChange::Name(name) => Update { name: Some((*name).into()), ..none },
            FieldChange::Kind(kind) => Update { kind: Some(kind.map(Into::into)), ..none },
            FieldChange::Scopes(some) => {
                let scopes = if *some { vec!["b:*".parse()?, "a".parse()?] } else { Vec::new() };
                Update { scopes: Some(scopes), ..none }
            }
            FieldChange::NotBefore(distance) => Update { not_before: time(distance), ..none },
            FieldChange::Expires(distance) => Update { expires: time(distance), ..none },
            FieldChange::Networks(some) => {
                let networks = some.then(|| keyward::AddressList::parse(NETWORKS)).transpose()?;
                Update { networks: Some(networks), ..none }
            }
            FieldChange::ResourcePattern(some) => {
                Update { resource_pattern: Some(some.then(|| RESOURCES.parse()).transpose()?), ..none }
            }
            FieldChange::Limits(some) => {
                let limits = some.then(|| LIMITS.iter().map(|limit| limit.parse()).collect::<Result<Vec<_>, _>>()).transpose()?;
                Update { limits: Some(limits), ..none }
            }
            FieldChange::Metadata(text) => {
                let metadata = text.iter().map(|text| ((*text).to_owned(), format!("{text}{text}"))).collect();
                Update { metadata: Some(metadata), ..none }
            }
        })
    }

    fn disable(&mut self, which: usize, disabled: bool) -> Outcome {
        let Some(id) = self.target(which) else { return Ok(()) };
        let changed = wait(self.keys()?.set_disabled(&id, disabled));
        let update = Update { disabled: Some((disabled, Epoch::from_bytes([0; 16]))), ..Update::default() };
        same("switching off or on", self.model.update(&id, &update), outcome(&changed)?)?;
        changed.map_or(Ok(()), |record| self.compare_record(&record, true))
    }

    fn expire(&mut self, which: usize) -> Outcome {
        let Some(id) = self.target(which) else { return Ok(()) };
        let expired = wait(self.keys()?.expire(&id));
        let update = Update { expires: Some(Some(self.time(0))), ..Update::default() };
        same("ending the time", self.model.update(&id, &update), outcome(&expired)?)?;
        expired.map_or(Ok(()), |record| self.compare_record(&record, false))
    }

    fn purge(&mut self, which: usize) -> Outcome {
        let Some(id) = self.target(which) else { return Ok(()) };
        let purged = wait(self.keys()?.purge(&id));
        same("purging", self.model.purge(&id), outcome(&purged)?)
    }

    fn purge_revoked_before(&mut self, back: i64) -> Outcome {
        let time = self.time(-back);
        let filter = Filter { revoked_before: Some(time), ..Filter::default() };
        let expected: Vec<KeyId> = self.model.listed(&filter).iter().map(|seen| seen.id).collect();
        same("how many were purged", expected.len(), wait(self.keys()?.purge_revoked_before(time))?)?;
        expected.iter().for_each(|id| _ = self.model.purge(id));
        Ok(())
    }

    fn filter(&self, meant: &Meant) -> Filter {
        let states = [State::Live, State::NotYetValid, State::Expired, State::Disabled, State::Revoked];
        let all = Filter::default();
        match *meant {
            Meant::All => all,
            Meant::Owner(owner) => Filter { owner: Some(owner.into()), ..all },
            Meant::Kind(kind) => Filter { kind: Some(kind.into()), ..all },
            Meant::Prefix(prefix) => Filter { prefix: Some(prefix.into()), ..all },
            Meant::State(state, at) => Filter { state: Some((states[state], self.time(at))), ..all },
            Meant::Created { from, before } => Filter {
                created_from: from.map(|from| self.time(from)),
                created_before: before.map(|before| self.time(before)),
                ..all
            },
            Meant::RevokedBefore(at) => Filter { revoked_before: Some(self.time(at)), ..all },
            Meant::Both(owner, prefix) => Filter { owner: Some(owner.into()), prefix: Some(prefix.into()), ..all },
        }
    }

    fn list(&self, meant: &Meant, page: usize) -> Outcome {
        let filter = self.filter(meant);
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let records = wait(self.keys()?.list(&filter, after, page))?;
            holds("a page has at most as many records as were asked for", records.len() <= page)?;
            let Some(last) = records.last() else { break };
            holds("pages go on", after.is_none_or(|after| last.id > after))?;
            after = Some(last.id);
            listed.extend(records.iter().map(|record| Seen::of(record)));
        }
        same("what is listed", self.model.listed(&filter), listed)
    }

    /// A record is as the model has it; its epoch is a new one, or not.
    fn compare_record(&mut self, record: &Record, changes_epoch: bool) -> Outcome {
        let expected = self.model.there().find(|key| key.seen.id == record.id);
        let expected = expected.ok_or_else(|| Problem::new("there is a record that the model does not know"))?;
        same("the record", &expected.seen, &Seen::of(record))?;
        if let Some(before) = self.epochs.insert(record.id, record.epoch) {
            holds(
                "what ends what was derived changes the epoch, and nothing else does",
                (before != record.epoch) == changes_epoch,
            )?;
        }
        Ok(())
    }

    /// Every key that ever was is answered as the model says.
    fn compare_answers(&mut self) -> Outcome {
        let handle = self.bench.handle()?;
        ask_all(handle, &mut self.model, &mut self.calls, Expected::admits)
    }

    /// The same elsewhere: at once where it is opened just now, else after the longest time that a revocation may take.
    fn ask_elsewhere(&mut self) -> Outcome {
        if matches!(self.bench.subject.shared, Ability::No(_)) {
            return Ok(());
        }
        let elsewhere = match self.elsewhere.take() {
            Some(elsewhere) => {
                self.pass(self.bench.store()?.revocation_bound() + Duration::from_nanos(1));
                elsewhere
            }
            None => self.bench.second_untold()?,
        };
        // That a prefix was bound is news, too, and nobody is let in or kept out by it: until it is heard of, a damaged key is unknown.
        let asked = ask_all(&elsewhere, &mut self.model.clone(), &mut 0, Expected::admits_without_prefixes);
        self.elsewhere = Some(elsewhere);
        asked.map_err(|problem| problem.while_doing("asking elsewhere"))
    }

    fn compare_all(&mut self) -> Outcome {
        self.list(&Meant::All, 3)?;
        for key in self.model.keys.clone() {
            let id = key.seen.id;
            let record = wait(self.keys()?.get(&id))?;
            same("whether the record is there", !key.purged, record.is_some())?;
            if let Some(record) = record {
                self.compare_record(&record, false)?;
            }
        }
        self.compare_usage()?;
        self.compare_journal()
    }

    fn compare_usage(&self) -> Outcome {
        let ids: Vec<KeyId> = self.model.keys.iter().map(|key| key.seen.id).collect();
        let mut got: Vec<_> = wait(self.keys()?.usage(&ids))?
            .into_iter()
            .map(|usage| {
                let days = usage.days.iter().map(|(day, count)| (day.number(), count)).collect();
                let last = (usage.last_used.unix_nanoseconds(), usage.network, usage.source);
                (usage.id, usage.number, usage.count, days, last)
            })
            .collect();
        got.sort_by_key(|(id, number, ..)| (*id, *number));
        let used = self.model.there().flat_map(|key| key.usage.iter().map(|(number, usage)| (key.seen.id, *number, usage)));
        let mut expected: Vec<_> = used
            .map(|(id, number, usage)| {
                let last = (usage.last, network_of(usage.caller), Some(usage.caller.source));
                (id, number, usage.count, usage.latest_days(), last)
            })
            .collect();
        expected.sort_by_key(|(id, number, ..)| (*id, *number));
        same("usage", expected, got)
    }

    fn compare_journal(&self) -> Outcome {
        let rows = self.bench.journal()?;
        let mut last: BTreeMap<KeyId, Value> = BTreeMap::new();
        for row in &rows {
            let is_first = row.action.as_ref() == "create";
            same("whether a row tells what was before", !is_first, row.before.is_some())?;
            same("whether a row tells what became", row.action.as_ref() != "purge", row.after.is_some())?;
            if let (Some(before), Some(known)) = (&row.before, last.get(&row.key)) {
                same("what was before, and what became of it by the row before", without_state(known), without_state(before))?;
            }
            last.extend(row.after.clone().map(|after| (row.key, after)));
        }
        for key in self.model.there() {
            let told = last.get(&key.seen.id).map(|told| (told["name"].clone(), told["owner"].clone(), told["disabled"].clone()));
            same("the last row of a key", Some((json!(key.seen.name), json!(key.seen.owner), json!(key.seen.disabled))), told)?;
        }
        // A store may put secrets under a newer pepper whenever they are used.
        let of_people = rows.iter().filter(|row| row.action.as_ref() != "rehash");
        let mut got: Vec<_> =
            of_people.map(|row| (row.at.unix_nanoseconds(), row.key, row.action.to_string(), row.actor.to_string())).collect();
        let mut expected: Vec<_> =
            self.model.rows.iter().map(|row| (row.at, row.key, row.action.to_owned(), row.actor.clone())).collect();
        // Those of one batch are in the order of the batch, and their ids are random.
        got.sort();
        expected.sort();
        same("the journal", expected, got)
    }
}

impl ModelImport {
    /// Whether a record may be what became of this import, as far as can be seen.
    fn is_of(&self, record: &Record) -> bool {
        let shown = match &self.imported_as {
            ImportedAs::Plain => super::model::shown(&self.text),
            ImportedAs::Sha256 => String::new(),
            ImportedAs::Hash(handle) => handle.clone(),
        };
        let is_its_secret = match (&record.current.secret, &self.imported_as) {
            (keyward::key::StoredSecret::Argon2(hash), ImportedAs::Hash(handle)) => hash.handle() == handle,
            (keyward::key::StoredSecret::Digest(digest), ImportedAs::Sha256 | ImportedAs::Plain) => {
                let version = digest.pepper();
                super::bench::peppers_up_to(version).is_ok_and(|peppers| peppers.digest(self.text.as_bytes()) == *digest)
            }
            _ => false,
        };
        is_its_secret && *record.current.prefix == *shown
    }
}

/// An id that no key has, for trying out what would be.
fn unlike(model: &Model, place: usize) -> Result<KeyId, Refused> {
    format!("not-made-{place}-{}", model.keys.len()).parse().map_err(|_| Refused::NotFound)
}

fn ask_all(
    handle: &Handle,
    model: &mut Model,
    calls: &mut usize,
    admits: impl Fn(&Expected, Result<KeyId, keyward::Kind>) -> bool,
) -> Outcome {
    let texts: Vec<String> = model.texts.iter().cloned().collect();
    for text in texts {
        *calls += 1;
        let caller = caller(*calls);
        let answered = handle.ask_as(&text, caller)?;
        let expected = model.answer(&text);
        if !admits(&expected, answered) {
            let owner = model.keys.iter().find(|key| key.current.text == text).map(|key| &key.seen);
            return Err(Problem::new(format!("{text}: expected {expected:?}, got {answered:?} (currently of {owner:?})")));
        }
        if answered.is_ok() {
            model.used(&text, caller);
        }
    }
    Ok(())
}

/// Callers come from these networks, and ask for this path.
const NETWORKS: [&str; 2] = ["192.0.2.0/24", "2001:db8::/32"];
const RESOURCES: &str = "/";
const LIMITS: [&str; 2] = ["1000000/second", "2000000/hour"];

/// Callers in turn, all of them within [`NETWORKS`].
fn caller(number: usize) -> Caller {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    let last = u8::try_from(number % 200).unwrap_or_default();
    let address = if number.is_multiple_of(3) {
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, u16::from(last), 1, 2, 3, 4, 5))
    } else {
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))
    };
    Caller { address: Some(address), source: if number.is_multiple_of(2) { SourceKind::Header } else { SourceKind::Bearer } }
}

/// What was refused; a fault is a problem.
fn outcome<T>(result: &Result<T, KeysError>) -> Result<Result<(), Refused>, Problem> {
    match result {
        Ok(_) => Ok(Ok(())),
        Err(error) => Ok(Err(refusal(error)?)),
    }
}

fn refusal(error: &KeysError) -> Result<Refused, Problem> {
    match error {
        KeysError::Refused(refused) => Ok(refused.clone()),
        other => Err(Problem::new(other.to_string())),
    }
}

fn without_state(told: &Value) -> Value {
    let mut told = told.clone();
    if let Some(told) = told.as_object_mut() {
        told.remove("state");
    }
    told
}
