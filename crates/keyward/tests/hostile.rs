//! What an outsider may send: every byte everywhere, too much of everything. A clear denial, no panic, bounded memory.

use http::{HeaderValue, Request};
use keyward::audit::{AuditEvent, AuditSink};
use keyward::import::keys_file;
use keyward::{Answer, Decision, Guard, Head, Keys, Kind, MemoryStore, Peer, Policy, Wanted};

const POLICY: &str = r#"
sources = [
  { bearer = true }, { header = "X-API-Key" }, { cookie = "key" }, { query = "api_key" },
  { subprotocol = "base64url.bearer.authorization.keyward" }]
[access]
open_paths = ["/open"]
[network]
trusted_proxies = ["10.0.0.0/8"]
client_address_header = "HEADER"
"#;

struct Silent;

impl AuditSink for Silent {
    fn record(&self, _: &AuditEvent<'_>) -> Answer<()> {
        Answer::ready(())
    }
}

fn guard(header: &str) -> Guard {
    let store = MemoryStore::new();
    let row = keys_file(r#"{"key":"good-key"}"#).next().unwrap().unwrap();
    pollster::block_on(Keys::new(store.clone()).import(row)).unwrap();
    Guard::builder(Policy::from_toml("policy.toml", &POLICY.replace("HEADER", header)).unwrap())
        .store(store)
        .audit(Silent)
        .build()
        .unwrap()
}

fn kind(guard: &Guard, head: &dyn Head) -> Option<Kind> {
    match guard.try_decide(head).expect("all in memory") {
        Decision::Allowed(_) => None,
        Decision::Denied(denial) => Some(denial.kind()),
    }
}

/// A head that lends whatever it is given, as an adapter of a framework with laxer types may.
struct Raw<'a> {
    path: &'a str,
    query: Option<&'a str>,
    headers: &'a [(&'a str, &'a [u8])],
}

impl Head for Raw<'_> {
    fn method(&self) -> &str {
        "GET"
    }
    fn path(&self) -> &str {
        self.path
    }
    fn query(&self) -> Option<&str> {
        self.query
    }
    fn header<'a>(&'a self, which: Wanted<'_>, each: &mut dyn FnMut(&'a [u8])) {
        self.headers.iter().filter(|(name, _)| *name == which.name().as_str()).for_each(|(_, value)| each(value));
    }
    fn peer(&self) -> Option<std::net::IpAddr> {
        Some([10, 0, 0, 1].into())
    }
}

#[test]
fn every_byte_in_every_source() {
    let guard = guard("X-Forwarded-For");
    for byte in 0..=255_u8 {
        let good = [b"good".as_slice(), &[byte], b"key"].concat();
        for (name, value) in [
            ("authorization", [b"Bearer ".as_slice(), &good].concat()),
            ("authorization", [b"Bearer".as_slice(), &[byte], b"good-key"].concat()),
            ("x-api-key", good.clone()),
            ("cookie", [b"key=".as_slice(), &good].concat()),
            ("sec-websocket-protocol", [b"chat, base64url.bearer.authorization.keyward.".as_slice(), &good].concat()),
        ] {
            let decided = kind(&guard, &Raw { path: "/", query: None, headers: &[(name, &value)] });
            let is_the_key = (byte == b'-' && !name.starts_with("sec-") && !value.ends_with(b"Bearer-good-key"))
                || value == b"Bearer good-key";
            assert_eq!(decided.is_none(), is_the_key, "{name}: {value:?} {decided:?}");
        }
        let query = format!("api_key=good%{byte:02x}key");
        assert_eq!(kind(&guard, &Raw { path: "/", query: Some(&query), headers: &[] }).is_none(), byte == b'-', "{query}");
        let path = format!("/{}", char::from(byte));
        let open = kind(&guard, &Raw { path: &path, query: None, headers: &[] });
        assert!(matches!(open, Some(Kind::Path | Kind::Missing)), "{path:?}: {open:?}");
        for spelling in [format!("/open{}", char::from(byte)), format!("/ope%{byte:02x}"), format!("/open%{byte:02x}")] {
            let opened = kind(&guard, &Raw { path: &spelling, query: None, headers: &[] });
            assert_eq!(opened.is_none(), spelling == "/open/", "{spelling:?}");
        }
    }
}

#[test]
fn broken_encodings_of_a_parameter() {
    let guard = guard("X-Forwarded-For");
    for query in
        ["api_key=%", "api_key=%2", "api_key=%zz", "api_key=good-key%", "api_key=%00good-key", "api_key=good-key+", "api_key"]
    {
        assert_eq!(kind(&guard, &Raw { path: "/", query: Some(query), headers: &[] }), Some(Kind::Malformed), "{query}");
    }
}

#[test]
fn too_much_of_everything_takes_no_more_memory_than_it_is_long() {
    let guard = guard("Forwarded");
    let long = "k".repeat(64 * 1024);
    let cookies = (0..1_000).map(|number| format!("c{number}=v; ")).collect::<String>() + "key=good-key";
    let hops = "for=10.0.0.1,".repeat(5_000) + "for=10.0.0.2";
    let dots = "for=\"".repeat(10_000);
    let parameters = "a=%zz&".repeat(10_000) + "api_key=good-key";
    for (name, value, expected) in [
        ("authorization", format!("Bearer {long}"), Some(Kind::Malformed)),
        ("x-api-key", long.clone(), Some(Kind::Malformed)),
        ("cookie", cookies, None),
        ("cookie", "key=x; ".repeat(10_000), Some(Kind::Duplicate)),
        ("sec-websocket-protocol", "a,".repeat(30_000), Some(Kind::Missing)),
        ("forwarded", hops, Some(Kind::Missing)),
        ("forwarded", dots, Some(Kind::Missing)),
        ("x-request-id", long.clone(), Some(Kind::Missing)),
    ] {
        let headers = [(name, value.as_bytes())];
        let head = Raw { path: "/", query: None, headers: &headers };
        let mut decided = None;
        let counted = allocation_counter::measure(|| decided = kind(&guard, &head));
        assert_eq!(decided, expected, "{name}");
        assert!(
            counted.bytes_max < 64 * 1024 + 8 * value.len() as u64,
            "{name}: {} bytes for {}",
            counted.bytes_max,
            value.len()
        );
    }
    assert_eq!(kind(&guard, &Raw { path: "/", query: Some(&parameters), headers: &[] }), None);
    let many: Vec<(&str, &[u8])> = (0..5_000).map(|_| ("x-api-key", b"good-key".as_slice())).collect();
    assert_eq!(kind(&guard, &Raw { path: "/", query: None, headers: &many }), Some(Kind::Duplicate));
}

#[test]
fn a_million_new_addresses_take_a_fixed_amount_of_memory_and_free_nobody() {
    let policy = Policy::from_toml("policy.toml", "[limits]\nfailures = \"2/day\"").unwrap();
    let new_guard = || Guard::builder(policy.clone()).store(MemoryStore::new()).audit(Silent).build().unwrap();
    let ask_of = |guard: &Guard, peer: std::net::IpAddr| {
        let mut request = Request::get("/").extension(Peer(peer)).body(()).unwrap();
        request.headers_mut().insert("x-api-key", HeaderValue::from_static("wrong"));
        kind(guard, &request)
    };
    let guard = new_guard();
    let ask = |peer| ask_of(&guard, peer);
    let victim = [192, 0, 2, 1].into();
    assert_eq!([ask(victim), ask(victim), ask(victim)], [Some(Kind::Unknown), Some(Kind::Unknown), Some(Kind::FailuresLimited)]);
    let counted = allocation_counter::measure(|| {
        for number in 0..1_000_000_u32 {
            ask(std::net::Ipv4Addr::from(0x0a00_0000 + number).into());
        }
    });
    assert!(counted.bytes_current < 1024 * 1024, "{} bytes stayed", counted.bytes_current);
    assert_eq!(ask(victim), Some(Kind::FailuresLimited));
    // One customer has a whole /64.
    let of_the_64 = |host: u64| std::net::Ipv6Addr::from(0x2001_0db8_u128 << 96 | u128::from(host));
    let passed =
        |guard: &Guard| (0..100_000).filter(|&host| ask_of(guard, of_the_64(host).into()) == Some(Kind::Unknown)).count();
    assert_eq!(passed(&new_guard()), 2);
    // After the flood, it is counted with what others took.
    assert!(passed(&guard) <= 2);
}
