//! Whatever is done, the file says the same as a store in memory to which the same is done.

mod support;

use std::fs;
use std::time::Duration;

use keyward::clock::ManualClock;
use keyward::import::from_json_lines;
use keyward::key::KeyId;
use keyward::store::{RecordStore, Update, WhereRefused};
use keyward::{Guard, Keys, KeysError, MemoryStore, NewKey};
use keyward_file::FileStore;
use proptest::prelude::*;

use support::{Counting, Folder, ask, clock, guard, wait};

#[derive(Debug, Clone)]
enum Step {
    Create { once: bool, foreign: bool },
    Rotate { which: usize, grace: u64 },
    Revoke { which: usize },
    Disable { which: usize, off: bool },
    Rename { which: usize, name: String },
    Purge { which: usize },
    Import { which: usize },
    Use { which: usize },
    Pass { nanoseconds: u64 },
    OpenAgain,
}

fn step() -> impl Strategy<Value = Step> {
    let which = 0..5_usize;
    prop_oneof![
        4 => (any::<bool>(), any::<bool>()).prop_map(|(once, foreign)| Step::Create { once, foreign }),
        3 => (which.clone(), 0..3_u64).prop_map(|(which, grace)| Step::Rotate { which, grace }),
        2 => which.clone().prop_map(|which| Step::Revoke { which }),
        1 => (which.clone(), any::<bool>()).prop_map(|(which, off)| Step::Disable { which, off }),
        1 => (which.clone(), any::<String>()).prop_map(|(which, name)| Step::Rename { which, name }),
        2 => which.clone().prop_map(|which| Step::Purge { which }),
        2 => which.clone().prop_map(|which| Step::Import { which }),
        3 => which.prop_map(|which| Step::Use { which }),
        3 => (0..3_000_000_001_u64).prop_map(|nanoseconds| Step::Pass { nanoseconds }),
        2 => Just(Step::OpenAgain),
    ]
}

/// A store, and who asks it.
struct Side {
    keys: Keys,
    guard: Guard,
}

impl Side {
    fn of(store: &(impl RecordStore + Clone + 'static), clock: &ManualClock, random: &Counting) -> Self {
        Self { keys: Keys::new(store.clone()).clock(clock.clone()).random(random.clone()), guard: guard(store, clock) }
    }

    /// What comes of a step, in words, and a secret that it made.
    fn run(&self, step: &Step, ids: &[KeyId], secrets: &[String]) -> (String, Option<(KeyId, String)>) {
        let nobody = "nobody".parse().unwrap();
        let id = |which: &usize| ids.get(*which).copied().unwrap_or(nobody);
        let secret = |which: &usize| secrets.get(*which).map_or("never-made-0123456789abcdef", String::as_str);
        let made = match step {
            Step::Create { once, foreign } => {
                let new = NewKey::named("k").prefix(if *foreign { "acme" } else { "kw" }).unwrap();
                let made = if *once { wait(self.keys.create_once("first", new)) } else { wait(self.keys.create(new)).map(Some) };
                made.map(|made| made.map(|made| (made.record().id, made.secret().expose().to_owned())))
            }
            Step::Rotate { which, grace } => wait(self.keys.rotate(&id(which), Duration::from_secs(*grace)))
                .map(|made| Some((made.record().id, made.secret().expose().to_owned()))),
            Step::Revoke { which } => wait(self.keys.revoke(&id(which))).map(|_| None),
            Step::Disable { which, off } => wait(self.keys.set_disabled(&id(which), *off)).map(|_| None),
            Step::Rename { which, name } => {
                let update = Update { name: Some(name.as_str().into()), ..Update::default() };
                wait(self.keys.update(&id(which), update)).map(|_| None)
            }
            Step::Purge { which } => wait(self.keys.purge(&id(which))).map(|()| None),
            Step::Import { which } => self.import(&[secret(which), "acme_from-elsewhere-0123456789"]),
            Step::Use { which } => return (format!("{:?}", ask(&self.guard, secret(which))), None),
            Step::Pass { .. } | Step::OpenAgain => Ok(None),
        };
        (format!("{:?}", made.as_ref().map(|made| made.is_some())), made.ok().flatten())
    }

    fn import(&self, keys: &[&str]) -> Result<Option<(KeyId, String)>, KeysError> {
        let rows: Vec<String> = keys.iter().map(|key| format!(r#"{{"key":"{key}","entropy_bits":128}}"#)).collect();
        let rows = from_json_lines(&rows.join("\n")).collect::<Result<Vec<_>, _>>().unwrap();
        wait(self.keys.import_all(rows, WhereRefused::AddOthers, None)).map(|_| None)
    }
}

fn content(folder: &Folder) -> serde_json::Value {
    let mut content: serde_json::Value = serde_json::from_slice(&fs::read(folder.keys()).unwrap()).unwrap();
    let fields = content.as_object_mut().unwrap();
    for head in ["format", "version", "checksum"] {
        fields.remove(head).unwrap();
    }
    content
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn the_file_opened_again_is_the_store_that_was_closed(steps in prop::collection::vec(step(), 1..40)) {
        let (folder, clock, memory) = (Folder::new(), clock(), MemoryStore::new());
        let open = || FileStore::open(folder.keys()).unwrap();
        let model = Side::of(&memory, &clock, &Counting::default());
        let random = Counting::default();
        let mut real = Some(Side::of(&open(), &clock, &random));
        let (mut ids, mut secrets) = (Vec::new(), Vec::new());
        for step in steps {
            match &step {
                Step::Pass { nanoseconds } => clock.advance(Duration::from_nanos(*nanoseconds)),
                Step::OpenAgain => {
                    drop(real.take());
                    prop_assert_eq!(content(&folder), serde_json::to_value(memory.snapshot()).unwrap());
                    real = Some(Side::of(&open(), &clock, &random));
                }
                _ => {}
            }
            let (by_model, made) = model.run(&step, &ids, &secrets);
            let (by_real, _) = real.as_ref().unwrap().run(&step, &ids, &secrets);
            prop_assert_eq!(by_real, by_model, "{:?}", step);
            if let Some((id, secret)) = made {
                if !ids.contains(&id) {
                    ids.push(id);
                }
                secrets.push(secret);
            }
        }
        drop(real);
        prop_assert_eq!(content(&folder), serde_json::to_value(memory.snapshot()).unwrap());
    }
}
