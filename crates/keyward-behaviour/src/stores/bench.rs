//! A store on trial, with those who look after its keys and those who ask about them.

use std::{net::IpAddr, time::Duration};

use http::Request;
use keyward::{
    Decision, Guard, Keys, Kind, NewKey, Peer, Policy, SourceKind, Timestamp,
    clock::ManualClock,
    import::{ImportedKey, from_json_lines},
    key::{KeyId, Pepper, Peppers, Record},
    store::Journalled,
};
use serde_json::{Value, json};

use super::{
    any::AnyStore,
    harness::{Opened, Subject},
    problem::{Problem, holds},
    runtime::wait,
};

/// When every trial begins. Not a whole second: times are kept to the nanosecond.
pub(crate) const BEGINNING: i64 = 1_767_225_600_123_456_789;

/// What a guard says of a key: whose it is, or why it is denied.
pub(crate) type Answered = Result<KeyId, Kind>;

/// A store on trial.
pub(crate) struct Bench {
    pub(crate) subject: Subject,
    pub(crate) clock: ManualClock,
    /// How many peppers there are.
    peppers: u16,
    opened: Option<Box<dyn Opened>>,
    handle: Option<Handle>,
}

/// One way into a store, as a process has it.
pub(crate) struct Handle {
    pub(crate) store: AnyStore,
    pub(crate) keys: Keys,
    pub(crate) guard: Guard,
    /// What keeps the store open, where it is not the bench that does.
    _opened: Option<Box<dyn Opened>>,
}

/// Who asks, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) address: Option<IpAddr>,
    pub(crate) source: SourceKind,
}

impl Caller {
    pub(crate) fn from(address: &str) -> Result<Caller, Problem> {
        Ok(Caller { address: Some(address.parse()?), source: SourceKind::Header })
    }

    pub(crate) fn by_bearer(self) -> Caller {
        Caller { source: SourceKind::Bearer, ..self }
    }
}

impl Bench {
    /// An empty store, without peppers.
    pub(crate) fn new(subject: &Subject) -> Result<Bench, Problem> {
        let clock = ManualClock::at(Timestamp::from_unix_nanoseconds(BEGINNING));
        let opened = subject.open_new(&clock)?;
        let mut bench = Bench { subject: subject.clone(), clock, peppers: 0, opened: None, handle: None };
        bench.take(opened)?;
        Ok(bench)
    }

    fn take(&mut self, opened: Box<dyn Opened>) -> Result<(), Problem> {
        self.handle = Some(Handle::new(opened.store(), &self.clock, self.peppers)?);
        self.opened = Some(opened);
        Ok(())
    }

    pub(crate) fn handle(&self) -> Result<&Handle, Problem> {
        self.handle.as_ref().ok_or_else(|| Problem::new("the store was closed and could not be opened again"))
    }

    pub(crate) fn keys(&self) -> Result<&Keys, Problem> {
        Ok(&self.handle()?.keys)
    }

    pub(crate) fn store(&self) -> Result<&AnyStore, Problem> {
        Ok(&self.handle()?.store)
    }

    /// Asks about a key, from nowhere.
    pub(crate) fn ask(&self, key: &str) -> Result<Answered, Problem> {
        self.ask_as(key, Caller { address: None, source: SourceKind::Header })
    }

    pub(crate) fn ask_as(&self, key: &str, caller: Caller) -> Result<Answered, Problem> {
        self.handle()?.ask_as(key, caller)
    }

    /// Lets time pass, for keys and guards alike.
    pub(crate) fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    pub(crate) fn now(&self) -> Timestamp {
        use keyward::clock::Clock as _;
        self.clock.now().wall
    }

    /// The store once more, as another process has it.
    pub(crate) fn second(&self) -> Result<Handle, Problem> {
        let opened = self.opened.as_ref().ok_or_else(|| Problem::new("the store is closed"))?;
        let second = opened.second(&self.clock)?;
        let mut handle = Handle::new(second.store(), &self.clock, self.peppers)?;
        handle._opened = Some(second);
        Ok(handle)
    }

    /// Closes the store and opens it again.
    pub(crate) fn reopen(&mut self) -> Result<(), Problem> {
        // Whoever holds a clone of the store would keep it open.
        self.handle = None;
        let opened = self.opened.take().ok_or_else(|| Problem::new("the store is closed"))?;
        let closed = opened.close().map_err(|problem| problem.while_doing("closing"))?;
        self.take(closed.open(&self.clock).map_err(|problem| problem.while_doing("opening again"))?)
    }

    /// The store once more, which is not told whom it lets in, so that no count changes.
    pub(crate) fn second_untold(&self) -> Result<Handle, Problem> {
        let second = self.second()?;
        let untold = Handle::new(second.store.untold(), &self.clock, self.peppers)?;
        Ok(Handle { _opened: second._opened, ..untold })
    }

    /// From now on there is one pepper more, for keys and guard.
    pub(crate) fn add_pepper(&mut self) -> Result<(), Problem> {
        self.peppers += 1;
        let store = self.store()?.clone();
        self.handle = Some(Handle::new(store, &self.clock, self.peppers)?);
        Ok(())
    }

    pub(crate) fn create(&self, new: NewKey) -> Result<(KeyId, String), Problem> {
        let made = wait(self.keys()?.create(new))?;
        Ok((made.record().id, made.secret().expose().to_owned()))
    }

    /// The record with this id, which has to be there.
    pub(crate) fn record(&self, id: &KeyId) -> Result<std::sync::Arc<Record>, Problem> {
        wait(self.keys()?.get(id))?.ok_or_else(|| Problem::new(format!("the key {id} is not there")))
    }

    /// The whole journal, by pages.
    pub(crate) fn journal(&self) -> Result<Vec<Journalled>, Problem> {
        let mut rows: Vec<Journalled> = Vec::new();
        loop {
            let after = rows.last().map_or(0, |row| row.number);
            let page = wait(self.keys()?.journal(after, 7))?;
            holds("a page of the journal has at most as many rows as were asked for", page.len() <= 7)?;
            if page.is_empty() {
                return Ok(rows);
            }
            for row in page {
                holds("numbers of rows grow", rows.last().map_or(0, |last| last.number) < row.number)?;
                rows.push(row);
            }
        }
    }
}

impl Handle {
    fn new(store: AnyStore, clock: &ManualClock, peppers: u16) -> Result<Handle, Problem> {
        let peppers = peppers_up_to(peppers)?;
        let keys = Keys::new(store.clone()).clock(clock.clone()).peppers(peppers.clone());
        let guard = guard(&store, clock, peppers)?;
        Ok(Handle { store, keys, guard, _opened: None })
    }

    pub(crate) fn ask(&self, key: &str) -> Result<Answered, Problem> {
        self.ask_as(key, Caller { address: None, source: SourceKind::Header })
    }

    pub(crate) fn ask_as(&self, key: &str, caller: Caller) -> Result<Answered, Problem> {
        answered(wait(self.guard.decide(&request(key, caller)?)))
    }
}

/// A guard over a store, with no rule but that a key is needed.
pub(crate) fn guard(store: &AnyStore, clock: &ManualClock, peppers: Peppers) -> Result<Guard, Problem> {
    let policy = Policy::from_toml("policy.toml", "")?;
    Ok(Guard::builder(policy).store(store.clone()).clock(clock.clone()).peppers(peppers).build()?)
}

pub(crate) fn request(key: &str, caller: Caller) -> Result<Request<()>, Problem> {
    let request = match caller.source {
        SourceKind::Bearer => Request::get("/").header("authorization", format!("Bearer {key}")),
        _ => Request::get("/").header("x-api-key", key),
    };
    Ok(match caller.address {
        Some(address) => request.extension(Peer(address)),
        None => request,
    }
    .body(())?)
}

pub(crate) fn answered(decision: Decision) -> Result<Answered, Problem> {
    match decision {
        Decision::Denied(denial) => Ok(Err(denial.kind())),
        Decision::Allowed(pass) => match pass.principal().and_then(keyward::Principal::key_id) {
            Some(id) => Ok(Ok(id)),
            None => Err(Problem::new("a request was let in without a key")),
        },
    }
}

/// The peppers with the versions 1 to this one.
pub(crate) fn peppers_up_to(newest: u16) -> Result<Peppers, Problem> {
    let peppers = (1..=newest).map(pepper).collect::<Result<Vec<_>, _>>()?;
    Ok(Peppers::new(peppers)?)
}

/// The pepper with this version, the same in each run.
pub(crate) fn pepper(version: u16) -> Result<Pepper, Problem> {
    Ok(Pepper::new(version, &[version.to_be_bytes()[1]; 32])?)
}

/// A row to import, as people write it: `key` with the other names of the row.
pub(crate) fn row(row: Value) -> Result<ImportedKey, Problem> {
    let text = row.to_string();
    match from_json_lines(&text).next() {
        Some(read) => Ok(read?),
        None => Err(Problem::new("the row is empty")),
    }
}

/// A strong key in plain text.
pub(crate) fn plain(key: &str) -> Result<ImportedKey, Problem> {
    row(json!({ "key": key, "entropy_bits": 128 }))
}

/// The SHA-256 of a strong key.
pub(crate) fn hashed(key: &str) -> Result<ImportedKey, Problem> {
    let digits: String =
        keyward::key::KeyDigest::sha256(key.as_bytes()).to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    row(json!({ "sha256": digits, "entropy_bits": 128 }))
}
