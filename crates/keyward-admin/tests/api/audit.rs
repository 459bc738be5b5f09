//! What happened, as a listing: who sees what of it, filters, pages, exports; and sign-ins among it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyward::audit::{AuditEvent, AuditSink};
use keyward::{Answer, Fault, Policy};
use serde_json::{Value, json};

use crate::client::{ACCOUNTS, AUDIT, Caller, KEYS, ORIGIN, PASSWORD, Reply, SESSIONS, Service, USER};

const WRONG: &str = "canary missed 13 operas";

fn items(reply: &Reply) -> Vec<Value> {
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.document()["items"].as_array().unwrap().clone()
}

/// `subject action outcome` of each, in order.
fn told(items: &[Value]) -> Vec<String> {
    let text = |item: &Value, field: &str| item[field].as_str().unwrap().to_owned();
    items.iter().map(|item| format!("{} {} {}", text(item, "subject"), text(item, "action"), text(item, "outcome"))).collect()
}

fn query(fields: &[(&str, &str)]) -> String {
    format!("{AUDIT}?{}", form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish())
}

/// Ada, Bob and an administrator, each with a key, and what was done to them.
struct Told {
    service: Service,
    root: Caller,
    ada: Caller,
    bob: Caller,
    ada_key: (String, Caller),
    bob_key: (String, Caller),
}

fn everyday() -> Told {
    let service = Service::new();
    let root = Caller::bearer(&service.first_administrator("root@example.com"));
    let minute = || service.clock.advance(Duration::from_secs(60));
    let people = ["ada", "bob"].map(|name| {
        minute();
        let caller = Caller::bearer(&service.sign_up(&format!("{name}@example.com")));
        minute();
        let (id, key) = service.make_key(&caller, r#"{"name":"nightly","scopes":["keys:manage","read:all"]}"#);
        (caller, (id, Caller::bearer(&key)))
    });
    let [(ada, ada_key), (bob, bob_key)] = people;
    minute();
    assert_eq!(service.json("PATCH", &format!("{KEYS}/{}", ada_key.0), &ada, r#"{"name":"hourly"}"#).status, 200);
    minute();
    assert_eq!(service.json("PATCH", USER, &ada, r#"{"first_name":"Ada"}"#).status, 200);
    minute();
    service.come_from([198, 51, 100, 7]);
    assert_eq!(service.log_in("ada@example.com", WRONG).status, 401);
    minute();
    let (spare, _) = service.make_key(&bob_key.1, r#"{"name":"spare"}"#);
    minute();
    assert_eq!(service.delete(&format!("{KEYS}/{spare}"), &root).status, 200);
    Told { service, root, ada, bob, ada_key, bob_key }
}

#[test]
fn administrators_see_all_and_others_what_concerns_their_own_keys_and_account() {
    let told_to = everyday();
    let see = |caller: &Caller| items(&told_to.service.get(AUDIT, caller));
    let ada = see(&told_to.ada);
    assert_eq!(
        told(&ada),
        [
            "sign-in sign-in failure",
            "account rename success",
            "key update success",
            "key create success",
            "sign-in sign-in success",
            "account create success",
        ]
    );
    let own = told_to.service.id_of(&told_to.ada);
    assert!(ada.iter().all(|item| item["owner"] == own.as_str() || item["account_id"] == own.as_str()), "{ada:?}");
    let failed = &ada[0];
    assert_eq!(
        (&failed["email"], &failed["address"], &failed["reason"], &failed["actor"]),
        (&json!("ada@example.com"), &json!("198.51.100.7"), &json!("wrong-password"), &Value::Null)
    );
    assert_eq!(ada[1]["changes"], json!([{"field": "first_name", "before": "", "after": "Ada"}]));
    assert_eq!(ada[2]["changes"], json!([{"field": "name", "before": "nightly", "after": "hourly"}]));
    assert_eq!((&ada[2]["key_id"], &ada[2]["actor"]), (&json!(told_to.ada_key.0), &json!(format!("account {own}"))));
    assert!(ada[3]["changes"].as_array().unwrap().contains(&json!({
        "field": "scopes", "before": null, "after": ["keys:manage", "read:all"]
    })));

    // Bob's spare key was made by his key, and ended by an administrator.
    let bob = see(&told_to.bob);
    let told_bob = told(&bob);
    assert_eq!(told_bob[..3], ["key revoke success", "key create success", "key create success"], "{bob:?}");
    assert_eq!(bob[0]["actor"], format!("account {}", told_to.service.id_of(&told_to.root)));
    assert_eq!(bob[1]["actor"], format!("key {}", told_to.bob_key.0));
    // A key sees its owner's keys, and nothing of the account.
    assert_eq!(told(&see(&told_to.bob_key.1)), told_bob[..3]);
    assert_eq!(told(&see(&told_to.ada_key.1)), ["key update success", "key create success"]);
    // Nobody's key sees nobody's keys: the two that were made with it.
    let nobodys = Caller::bearer(&told_to.service.ownerless_key(&["keys:manage"]));
    assert_eq!(told(&see(&nobodys)), ["key create success", "key create success"]);

    let all = see(&told_to.root);
    for (person, seen) in [("ada", &ada), ("bob", &bob)] {
        assert!(seen.iter().all(|item| all.contains(item)), "{person}");
    }
    assert!(all.len() > ada.len() + bob.len());
}

#[test]
fn filters_are_met_all_at_once() {
    let told_to = everyday();
    let (service, root) = (&told_to.service, &told_to.root);
    let all = items(&service.get(&query(&[("limit", "200")]), root));
    let own = service.id_of(&told_to.ada);
    let meets = |fields: &[(&str, &str)], meets: &dyn Fn(&Value) -> bool| {
        let found = items(&service.get(&query(fields), root));
        let expected: Vec<Value> = all.iter().filter(|item| meets(item)).cloned().collect();
        assert!(!expected.is_empty(), "{fields:?}");
        assert_eq!(told(&found), told(&expected), "{fields:?}");
    };
    let is = |item: &Value, field: &str, value: &str| item[field].as_str() == Some(value);
    for subject in ["key", "account", "sign-in"] {
        meets(&[("subject", subject)], &|item| is(item, "subject", subject));
    }
    for outcome in ["success", "failure"] {
        meets(&[("outcome", outcome)], &|item| is(item, "outcome", outcome));
    }
    meets(&[("key", &told_to.ada_key.0)], &|item| is(item, "key_id", &told_to.ada_key.0));
    meets(&[("account", &own)], &|item| is(item, "account_id", &own));
    let actor = format!("account {own}");
    meets(&[("actor", &actor)], &|item| is(item, "actor", &actor));
    meets(&[("actor", &own)], &|item| is(item, "actor", &actor));
    meets(&[("actor", &own), ("subject", "key")], &|item| is(item, "actor", &actor) && is(item, "subject", "key"));
    meets(&[("actor", "registration")], &|item| is(item, "actor", "registration"));

    // From is in it, and to is not, to the millisecond.
    let at = |item: &Value| item["at"].as_str().unwrap().to_owned();
    let (newest, oldest) = (at(&all[0]), at(all.last().unwrap()));
    let middle = at(&all[all.len() / 2]);
    meets(&[("from", &middle)], &|item| at(item) >= middle);
    meets(&[("to", &middle)], &|item| at(item) < middle);
    meets(&[("from", &oldest), ("to", &newest)], &|item| at(item) < newest);
    assert!(items(&service.get(&query(&[("to", &oldest)]), root)).is_empty());
    assert!(items(&service.get(&query(&[("from", "2030-01-01T00:00:00Z")]), root)).is_empty());

    // What is somebody else's is not found by naming it.
    assert!(items(&service.get(&query(&[("key", &told_to.ada_key.0)]), &told_to.bob)).is_empty());
    assert!(items(&service.get(&query(&[("account", &own)]), &told_to.bob)).is_empty());
    let wrong =
        [("key", "?"), ("account", "?"), ("outcome", "ok"), ("from", "today"), ("limit", "201"), ("owner", "me"), ("after", "1")];
    let wrong_fields: BTreeSet<String> = service.get(&query(&wrong), root).wrong_fields().into_iter().collect();
    assert_eq!(wrong_fields, wrong.iter().map(|(field, _)| (*field).to_owned()).collect());
}

/// Whatever the order, the page's size and what happens meanwhile: each entry is on one page.
#[test]
fn pages_hold_every_entry_once() {
    let told_to = everyday();
    let (service, root) = (&told_to.service, &told_to.root);
    let ids = |items: &[Value]| items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let all = ids(&items(&service.get(&query(&[("limit", "200")]), root)));
    let mut begun = all.len();
    for order in ["newest", "oldest"] {
        for limit in ["1", "2", "7"] {
            let (mut seen, mut after) = (Vec::new(), String::new());
            loop {
                let page = service.get(&query(&[("order", order), ("limit", limit), ("after", &after)]), root);
                let entries = items(&page);
                assert!(entries.len() <= limit.parse().unwrap());
                seen.extend(ids(&entries));
                // While somebody turns pages, life goes on.
                if limit == "2" && seen.len() == 2 {
                    service.make_key(&told_to.ada, r#"{"name":"meanwhile"}"#);
                    assert_eq!(service.log_in("bob@example.com", WRONG).status, 401);
                    begun += 2;
                }
                match page.document()["next"].as_str() {
                    Some(next) => next.clone_into(&mut after),
                    None => break,
                }
            }
            let unique: BTreeSet<&String> = seen.iter().collect();
            assert_eq!(unique.len(), seen.len(), "{order} {limit}: {seen:?}");
            assert!(all.iter().all(|id| unique.contains(id)), "{order} {limit}");
            if order == "newest" {
                // What is added after the first page is newer than the listing.
                let expected = if limit == "2" { begun - 2 } else { begun };
                assert_eq!(seen.len(), expected, "{order} {limit}");
            } else {
                assert_eq!(seen.len(), begun, "{order} {limit}");
            }
        }
    }
    let entries = items(&service.get(&query(&[("limit", "200")]), root));
    assert!(entries.windows(2).all(|two| two[0]["at"].as_str() >= two[1]["at"].as_str()), "{entries:?}");
}

/// Of a journal whose first rows are gone, and of which most is somebody else's.
#[test]
fn a_request_looks_at_a_bounded_number_of_rows_and_the_next_one_goes_on() {
    let service = Service::new();
    let root = Caller::bearer(&service.first_administrator("root@example.com"));
    let ada = Caller::bearer(&service.sign_up("ada@example.com"));
    let (first, _) = service.make_key(&ada, r#"{"name":"first"}"#);
    let busy = Caller::bearer(&service.ownerless_key(&["keys:manage"]));
    let (id, _) = service.make_key(&busy, r#"{"name":"busy"}"#);
    // The journal in memory has the latest thousand rows.
    for number in 0..1_050 {
        let name = json!({ "name": format!("busy {number}") }).to_string();
        assert_eq!(service.json("PATCH", &format!("{KEYS}/{id}"), &busy, &name).status, 200);
        if number == 900 {
            assert_eq!(service.json("PATCH", &format!("{KEYS}/{first}"), &ada, r#"{"name":"renamed"}"#).status, 200);
        }
    }
    let (mut found, mut after, mut requests) = (Vec::new(), String::new(), 0);
    loop {
        let page = service.get(&query(&[("after", &after), ("subject", "key")]), &ada);
        found.extend(told(&items(&page)));
        requests += 1;
        match page.document()["next"].as_str() {
            Some(next) => next.clone_into(&mut after),
            None => break,
        }
    }
    assert_eq!(found, ["key update success"]);
    assert!(requests <= 3, "{requests}");
    let newest = items(&service.get(&query(&[("limit", "1"), ("subject", "key")]), &root));
    assert_eq!(newest[0]["key_name"], "busy 1049");
    let oldest = items(&service.get(&query(&[("limit", "1"), ("order", "oldest"), ("subject", "key")]), &root));
    assert!(oldest[0]["key_name"].as_str().unwrap().starts_with("busy "), "{oldest:?}");
}

#[test]
fn a_table_is_safe_to_open_and_lines_of_json_are_entries() {
    let service = Service::new();
    let root = Caller::bearer(&service.first_administrator("root@example.com"));
    let names = ["=HYPERLINK(\"https://evil.example\")", "+1", "-1", "@SUM(A1)", "\u{ff1d}1", "a,\"b\"\nc", "plain"];
    for name in names {
        service.make_key(&root, &json!({ "name": name }).to_string());
    }
    let table = service.get(&query(&[("format", "csv"), ("subject", "key"), ("order", "oldest")]), &root);
    assert_eq!((table.status, table.header("content-type")), (200, "text/csv; charset=utf-8; header=present"));
    assert_eq!(table.header("content-disposition"), "attachment; filename=\"keyward-audit.csv\"");
    assert_eq!((table.header("x-content-type-options"), table.header("link")), ("nosniff", ""));
    let mut reader = csv::Reader::from_reader(table.text().as_bytes());
    let column = reader.headers().unwrap().iter().position(|name| name == "key_name").unwrap();
    let cells: Vec<Vec<String>> = reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect();
    let shown: Vec<&str> = cells.iter().map(|row| row[column].as_str()).filter(|name| *name != "first").collect();
    let expected: Vec<String> =
        names.iter().enumerate().map(|(place, name)| if place < 5 { format!("'{name}") } else { (*name).to_owned() }).collect();
    assert_eq!(shown, expected);
    let begins_a_formula = |cell: &String| cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}']);
    assert!(!cells.iter().flatten().any(begins_a_formula), "{cells:?}");

    let lines = service.get(&query(&[("format", "jsonl"), ("limit", "200")]), &root);
    assert_eq!(lines.header("content-type"), "application/jsonl");
    let entries: Vec<Value> = lines.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(entries, items(&service.get(&query(&[("limit", "200")]), &root)));

    // In pieces, each of which says where the next one is.
    let (mut path, mut pieces) = (query(&[("format", "jsonl"), ("limit", "4"), ("subject", "key")]), Vec::new());
    loop {
        let piece = service.get(&path, &root);
        assert!(piece.text().lines().count() <= 4);
        pieces.extend(piece.text().lines().map(str::to_owned).collect::<Vec<_>>());
        let Some(link) = piece.headers.get("link") else { break };
        let (target, rest) = link.to_str().unwrap().strip_prefix('<').unwrap().split_once('>').unwrap();
        assert_eq!(rest, "; rel=\"next\"");
        path = target.to_owned();
    }
    assert_eq!(pieces.len(), names.len() + 1);
    assert_eq!(service.get(&query(&[("format", "csv"), ("limit", "10001")]), &root).wrong_fields(), ["limit"]);
    let bob = Caller::bearer(&service.sign_up("bob@example.com"));
    assert!(!service.get(&query(&[("format", "csv")]), &bob).text().contains("HYPERLINK"));
}

/// Rows that hold as much as a key can: one answer does not grow with them.
#[test]
fn an_answer_has_a_size() {
    let service = Service::new();
    let root = Caller::bearer(&service.first_administrator("root@example.com"));
    let (id, _) = service.make_key(&root, r#"{"name":"large"}"#);
    let scopes =
        |letter: &str| -> Vec<String> { (0..200).map(|number| format!("{letter}{number}:{}", "a".repeat(240))).collect() };
    for number in 0..60 {
        let body = json!({ "scopes": scopes(["a", "b"][number % 2]) }).to_string();
        assert_eq!(service.json("PATCH", &format!("{KEYS}/{id}"), &root, &body).status, 200);
    }
    let (mut path, mut found) = (query(&[("format", "jsonl"), ("subject", "key"), ("limit", "10000")]), 0);
    loop {
        let piece = service.get(&path, &root);
        assert!(piece.body.len() < 5 * 1024 * 1024, "{}", piece.body.len());
        found += piece.text().lines().count();
        let Some(link) = piece.headers.get("link") else { break };
        path = link.to_str().unwrap().strip_prefix('<').unwrap().split_once('>').unwrap().0.to_owned();
    }
    assert_eq!(found, 62);
}

/// Events as they come, for as long as they are taken.
#[derive(Clone, Default)]
struct Sink {
    events: Arc<Mutex<Vec<Value>>>,
    is_full: Arc<AtomicBool>,
}

impl AuditSink for Sink {
    fn record(&self, event: &AuditEvent<'_>) -> Answer<()> {
        if self.is_full.load(Ordering::SeqCst) {
            return Answer::fault(Fault::new("the disk is full"));
        }
        self.events.lock().unwrap().push(serde_json::to_value(event).unwrap());
        Answer::ready(())
    }
}

impl Sink {
    /// Of passwords that were given.
    fn passwords(&self) -> Vec<Value> {
        let of_passwords =
            |event: &&Value| ["sign_in", "password"].iter().any(|begin| event["event"].as_str().unwrap().starts_with(begin));
        self.events.lock().unwrap().iter().filter(of_passwords).cloned().collect()
    }
}

#[test]
fn each_password_that_is_given_is_an_event_and_never_the_password() {
    let sink = Sink::default();
    let service = Service::with(|builder| builder.audit(sink.clone()));
    let root = service.first_administrator("root@example.com");
    let root_id = service.id_of(&Caller::bearer(&root));
    service.come_from([198, 51, 100, 7]);
    assert_eq!(service.log_in("root@example.com", WRONG).status, 401);
    assert_eq!(service.log_in("nobody@example.com", WRONG).status, 401);
    assert_eq!(service.log_in(WRONG, WRONG).status, 401);
    let body = json!({"current_password": WRONG, "new_password": "seven teal walruses"}).to_string();
    assert_eq!(service.json("POST", "/api/v1/user/password", &Caller::bearer(&root), &body).status, 400);
    for _ in 0..9 {
        service.log_in("root@example.com", WRONG);
    }
    let made = json!({"email": "off@example.com", "password": PASSWORD}).to_string();
    let off = service.json("POST", ACCOUNTS, &Caller::bearer(&root), &made).at("id");
    let off = format!("{ACCOUNTS}/{off}");
    assert_eq!(service.json("PATCH", &off, &Caller::bearer(&root), r#"{"disabled":true}"#).status, 200);
    assert_eq!(service.log_in("off@example.com", PASSWORD).status, 401);

    let events = sink.passwords();
    let told: Vec<(&str, &str, u64, &str)> = events
        .iter()
        .map(|event| {
            let text = |field: &str| event[field].as_str().unwrap_or("-");
            (text("event"), text("reason"), event["status"].as_u64().unwrap(), text("name"))
        })
        .collect();
    let root_name = "root@example.com";
    assert_eq!(
        (told[0], told[1], told[2], told[3], told[4]),
        (
            ("sign_in_accepted", "valid", 200, root_name),
            ("sign_in_rejected", "wrong-password", 401, root_name),
            ("sign_in_rejected", "unknown-account", 401, "nobody@example.com"),
            ("sign_in_rejected", "unknown-account", 401, "-"),
            ("password_rejected", "wrong-password", 401, root_name),
        )
    );
    assert_eq!(told[13], ("sign_in_rejected", "locked-out", 429, root_name), "{told:?}");
    assert_eq!(*told.last().unwrap(), ("sign_in_rejected", "disabled-account", 401, "off@example.com"));
    let wrong = &events[1];
    assert_eq!(
        (&wrong["owner"], &wrong["client_ip"], &wrong["path"], &wrong["outcome"], &wrong["level"]),
        (&json!(root_id), &json!("198.51.100.7"), &json!("/api/v1/auth/login"), &json!("deny"), &json!("WARNING"))
    );
    assert!(wrong["request_id"].as_str().unwrap().len() > 8);
    // Neither there nor in a listing, and also where it was written into the field for the address.
    let all = format!("{:?}", sink.events.lock().unwrap());
    let listed = service.get(&query(&[("limit", "200")]), &Caller::bearer(&root)).text().to_owned();
    for text in [&all, &listed] {
        assert!(!text.contains("canary") && !text.contains(PASSWORD), "{text}");
    }
    // Attempts that were not looked at would push the others out of a listing.
    assert!(!listed.contains("locked-out"));
}

#[test]
fn nobody_is_signed_in_whom_a_required_audit_does_not_know_of() {
    let sink = Sink::default();
    let policy = |mode: &str| {
        Policy::from_toml("policy.toml", &format!("[access]\npublic_url = \"{ORIGIN}\"\n[audit]\nmode = \"{mode}\"")).unwrap()
    };
    let service = Service::with(|builder| builder.policy(policy("required")).audit(OnlyPasswords(sink.clone())));
    let root = service.first_administrator("root@example.com");
    let sessions = || items(&service.get(SESSIONS, &Caller::bearer(&root))).len();
    assert_eq!(sessions(), 1);
    sink.is_full.store(true, Ordering::SeqCst);
    let refused = service.log_in("root@example.com", PASSWORD);
    assert_eq!((refused.status, refused.headers.get("set-cookie"), sessions()), (503, None, 1));
    // A denial keeps its status.
    assert_eq!(service.log_in("root@example.com", WRONG).status, 401);
    sink.is_full.store(false, Ordering::SeqCst);
    assert_eq!((service.log_in("root@example.com", PASSWORD).status, sessions()), (303, 2));

    let service = Service::with(|builder| builder.policy(policy("best-effort")).audit(OnlyPasswords(sink.clone())));
    service.first_administrator("root@example.com");
    sink.is_full.store(true, Ordering::SeqCst);
    assert_eq!(service.log_in("root@example.com", PASSWORD).status, 303);
}

/// A sink that fails for passwords alone: the guard's own events come first, and would be denied.
struct OnlyPasswords(Sink);

impl AuditSink for OnlyPasswords {
    fn record(&self, event: &AuditEvent<'_>) -> Answer<()> {
        if event.event.starts_with("sign_in") { self.0.record(event) } else { Answer::ready(()) }
    }
}

#[test]
fn failed_attempts_are_counted_by_address_for_administrators() {
    let service = Service::new();
    let root = Caller::bearer(&service.first_administrator("root@example.com"));
    service.come_from([198, 51, 100, 7]);
    for _ in 0..3 {
        assert_eq!(service.get(KEYS, &Caller::bearer("no-such-key")).status, 401);
    }
    assert_eq!(service.get(KEYS, &Caller::nobody()).status, 401);
    assert_eq!(service.log_in("root@example.com", WRONG).status, 401);
    service.come_from("2001:db8::7".parse::<std::net::IpAddr>().unwrap());
    assert_eq!(service.get(KEYS, &Caller::bearer("no-such-key")).status, 401);
    let attempts = format!("{AUDIT}/failed-attempts");
    let told = items(&service.get(&attempts, &root));
    let counts = |item: &Value| (item["address"].clone(), item["bad_keys"].clone(), item["bad_passwords"].clone());
    assert_eq!(
        told.iter().map(counts).collect::<Vec<_>>(),
        [(json!("198.51.100.7"), json!(3), json!(1)), (json!("2001:db8::/64"), json!(1), json!(0))]
    );
    assert_eq!(items(&service.get(&format!("{attempts}?limit=1"), &root)).len(), 1);
    assert_eq!(service.get(&format!("{attempts}?after=x"), &root).wrong_fields(), ["after"]);
    service.clock.advance(Duration::from_secs(24 * 60 * 60));
    let root = Caller::bearer(&service.token("root@example.com"));
    assert!(items(&service.get(&attempts, &root)).is_empty(), "a day later");
}
