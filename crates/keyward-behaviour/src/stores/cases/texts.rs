//! Texts that people write, and those that nobody should.

use std::collections::BTreeMap;

use keyward::{
    NewKey,
    key::Record,
    store::{Filter, RecordTold, Update},
};

use super::{Case, case};
use crate::stores::{
    bench::Bench,
    model::Seen,
    problem::{Outcome, same},
    runtime::wait,
};

pub(super) const CASES: &[Case] = &[
    case("C1 any text comes back as it was, from creating, updating, getting and listing", any_text),
    case("C1 the longest texts come back, as one and as many", long),
    case("C1 every field comes back as it was", every_field),
];

const TEXTS: &[&str] = &[
    "",
    " ",
    "\0",
    "before\0after",
    "'",
    "\"",
    "\\",
    "'; DROP TABLE keys; --",
    "$1 ?1 :name {} %s %00",
    "\u{1f469}\u{200d}\u{1f4bb}\u{1f511}",
    "\u{202e}\u{5d0}\u{5d1}\u{202c}",
    "e\u{301} \u{e9}",
    "\r\n\t\u{8}\u{1b}[2J",
    "\u{feff}\u{2028}\u{fffd}",
    "\u{10ffff}",
    "null",
    "true",
    "1e999",
    "{\"a\":[",
];

fn any_text(bench: &mut Bench) -> Outcome {
    for text in TEXTS {
        let new = NewKey::named(*text).owner(*text).kind(*text).metadata(*text, *text);
        let (id, key) = bench.create(new)?;
        let metadata = BTreeMap::from([((*text).to_owned(), (*text).to_owned())]);
        let check = |bench: &Bench| {
            let record = bench.record(&id)?;
            let got = (&*record.name, record.owner.as_deref(), record.kind.as_deref(), &record.metadata);
            same("what is kept", (*text, Some(*text), Some(*text), &metadata), got)?;
            let filter = Filter { owner: Some((*text).into()), ..Filter::default() };
            let listed = wait(bench.keys()?.list(&filter, None, 10))?;
            same("what is listed", vec![(id, *text)], listed.iter().map(|record| (record.id, &*record.name)).collect())?;
            same("its answer", Ok(id), bench.ask(&key)?)
        };
        check(bench)?;
        let plain = Update { name: Some("plain".into()), kind: Some(None), metadata: Some(BTreeMap::new()), ..Update::default() };
        let _ = wait(bench.keys()?.update(&id, plain))?;
        let update = Update {
            name: Some((*text).into()),
            kind: Some(Some((*text).into())),
            metadata: Some(metadata.clone()),
            ..Update::default()
        };
        let _ = wait(bench.keys()?.update(&id, update))?;
        check(bench)?;
    }
    same("how many there are", TEXTS.len(), wait(bench.keys()?.list(&Filter::default(), None, 1_000))?.len())?;
    // Nothing of it breaks the journal either.
    same("rows", TEXTS.len() * 3, bench.journal()?.len())
}

fn long(bench: &mut Bench) -> Outcome {
    // Of two, one, one, four and one bytes.
    let long: String = "\u{e4}\0'\u{1f511}k\\".chars().cycle().take(6 * 102).chain("abcd".chars()).collect();
    same("the length", Record::LONGEST_TEXT, long.len())?;
    let mut new = NewKey::named(long.as_str()).owner(long.as_str()).kind(long.as_str()).metadata(long.as_str(), long.as_str());
    for number in 1..Record::MOST_METADATA {
        new = new.metadata(format!("name {number}"), "value");
    }
    let (id, _) = bench.create(new)?;
    let record = bench.record(&id)?;
    same("name", long.as_str(), &*record.name)?;
    same("owner and kind", (Some(long.as_str()), Some(long.as_str())), (record.owner.as_deref(), record.kind.as_deref()))?;
    same("metadata", (Record::MOST_METADATA, Some(&long)), (record.metadata.len(), record.metadata.get(&long)))?;
    let filter = Filter { owner: Some(long.as_str().into()), ..Filter::default() };
    same("listed", 1, wait(bench.keys()?.list(&filter, None, 10))?.len())
}

fn every_field(bench: &mut Bench) -> Outcome {
    let now = bench.now().unix_nanoseconds();
    let new = NewKey::named("a name")
        .prefix("acme_live")?
        .owner("ada")
        .kind("admin")
        .scope("reports:*")?
        .scope("a:b:c")?
        .not_before(bench.now())
        .expires_in_days(90)
        .allow_ips(["10.0.0.0/8", "2001:db8::/32", "::ffff:192.0.2.7"])?
        .resource_pattern("/caf%C3%A9/*".parse()?)
        .limit("5/10s")?
        .limit("1000000/hour")?
        .metadata("b", "2")
        .metadata("a", "1");
    let (id, key) = bench.create(new)?;
    let record = bench.record(&id)?;
    let mut expected = Seen::new(id, "a name", now);
    expected.owner = Some("ada".to_owned());
    expected.kind = Some("admin".to_owned());
    expected.scopes = vec!["reports:*".to_owned(), "a:b:c".to_owned()];
    expected.not_before = Some(now);
    expected.expires = Some(now + 90 * 86_400 * 1_000_000_000);
    expected.networks = Some(vec!["10.0.0.0/8".to_owned(), "2001:db8::/32".to_owned(), "192.0.2.7/32".to_owned()]);
    expected.resource_pattern = Some("/caf%C3%A9/*".to_owned());
    expected.limits = Some(vec!["5/10seconds".to_owned(), "1000000/hour".to_owned()]);
    expected.metadata = BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())]);
    expected.current = (key["acme_live_".len() - 10.."acme_live_".len() + 4].to_owned(), 0);
    same("what is kept", &expected, &Seen::of(&record))?;
    let listed = wait(bench.keys()?.list(&Filter::default(), None, 10))?;
    same("what is listed", vec![expected], listed.iter().map(|record| Seen::of(record)).collect())?;
    let told = RecordTold::of(&record, bench.now(), &[]);
    same("what is told", ("live", "sha256"), (told.state, told.current.stored_as))
}
