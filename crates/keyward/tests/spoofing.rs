//! Requests that claim to come from elsewhere: nobody passes more often for it, or where they could not.
//!
//! A hundred thousand of each kind in a release build (`cargo test --release -p keyward --test spoofing`), fewer in a debug build.

use std::net::{IpAddr, Ipv6Addr};

use http::{HeaderName, HeaderValue, Request};
use keyward::audit::{AuditEvent, AuditSink};
use keyward::import::keys_file;
use keyward::{Answer, Decision, Guard, Keys, Kind, MemoryStore, Peer, Policy};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const MANY: u32 = if cfg!(debug_assertions) { 10_000 } else { 100_000 };

struct Silent;

impl AuditSink for Silent {
    fn record(&self, _: &AuditEvent<'_>) -> Answer<()> {
        Answer::ready(())
    }
}

fn guard(policy: &str) -> Guard {
    let store = MemoryStore::new();
    let row = keys_file(r#"{"key":"good-key"}"#).next().unwrap().unwrap();
    pollster::block_on(Keys::new(store.clone()).import(row)).unwrap();
    Guard::builder(Policy::from_toml("policy.toml", policy).unwrap()).store(store).audit(Silent).build().unwrap()
}

fn ask(guard: &Guard, peer: IpAddr, key: &str, path: &str, headers: &[(&str, &str)]) -> Option<Kind> {
    let mut request = Request::get(path).extension(Peer(peer)).body(()).unwrap();
    request.headers_mut().insert("x-api-key", HeaderValue::from_str(key).unwrap());
    for (name, value) in headers {
        request
            .headers_mut()
            .append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    match guard.try_decide(&request).expect("all in memory") {
        Decision::Allowed(_) => None,
        Decision::Denied(denial) => Some(denial.kind()),
    }
}

fn address(random: &mut StdRng) -> String {
    let four: [u8; 4] = random.random();
    match random.random_range(0..6) {
        0 => format!("[{}]:443", Ipv6Addr::from(random.random::<u128>())),
        1 => Ipv6Addr::from(random.random::<u128>()).to_string(),
        2 => format!("::ffff:{}", IpAddr::from(four)),
        3 => format!("{}:80", IpAddr::from(four)),
        4 => "192.0.2.1".to_owned(),
        _ => IpAddr::from(four).to_string(),
    }
}

/// A list of hops whose last cannot be an address, as it has a character that stands in none.
fn unreadable(random: &mut StdRng, header: &str) -> String {
    let hops = random.random_range(0..3);
    let mut list: Vec<String> = (0..=hops).map(|_| address(random)).collect();
    let last = list.last_mut().unwrap();
    match random.random_range(0..12) {
        0 => last.clear(),
        1 => "unknown".clone_into(last),
        2 => "_hidden".clone_into(last),
        3 => *last = format!("\"{last}"),
        _ => {
            // Some bytes go, and one comes that is in no address.
            for _ in 0..random.random_range(0..3) {
                let at = random.random_range(0..last.len().max(1));
                if at < last.len() {
                    last.remove(at);
                }
            }
            let foreign = ["!", "@", "#", "$", "^", "&", "(", "{", "\\", "\u{e4}", "\u{661}", "g h", "/8"];
            let at = random.random_range(0..=last.len());
            last.insert_str(at, foreign[random.random_range(0..foreign.len())]);
        }
    }
    if header != "Forwarded" {
        return list.join(", ");
    }
    let named = ["for=", "For=", "proto=https;for=", "for=\"", "by="];
    list.iter().map(|hop| format!("{}{hop}", named[random.random_range(0..named.len())])).collect::<Vec<_>>().join(", ")
}

#[test]
fn what_cannot_be_read_is_never_more_permissive_than_nothing() {
    let proxy: IpAddr = [10, 0, 0, 1].into();
    for header in ["X-Forwarded-For", "X-Real-IP", "Forwarded"] {
        let network = format!("[network]\ntrusted_proxies = ['10.0.0.1']\nclient_address_header = '{header}'\n");
        let allowing = guard(&format!("{network}allow = ['192.0.2.0/24', '2001:db8::/32']"));
        let denying = guard(&format!("{network}deny = ['10.0.0.1']"));
        let route = guard(&format!("{network}[[routes]]\npath = '/a'\nallow = ['192.0.2.0/24']"));
        let budget = guard(&format!("{network}[limits]\nfailures = '3/day'\nper_address = ['3/day']"));
        for (guard, path) in [(&allowing, "/"), (&denying, "/"), (&route, "/a")] {
            assert_eq!(ask(guard, proxy, "good-key", path, &[]), Some(Kind::Address), "without the header");
        }
        let mut random = StdRng::seed_from_u64(4_711);
        let (mut tried, mut admitted) = (0, 0);
        for _ in 0..MANY {
            let value = unreadable(&mut random, header);
            let lines = [(header, value.as_str())];
            for (guard, path) in [(&allowing, "/"), (&denying, "/"), (&route, "/a")] {
                assert_eq!(ask(guard, proxy, "good-key", path, &lines), Some(Kind::Address), "{header}: {value}");
            }
            tried += u32::from(ask(&budget, proxy, "wrong", "/", &lines) == Some(Kind::Unknown));
            admitted += u32::from(ask(&budget, proxy, "good-key", "/", &lines).is_none());
        }
        assert_eq!((tried, admitted), (3, 3), "{header}");
    }
}

#[test]
fn whoever_rotates_what_it_may_choose_passes_as_often_as_one() {
    let policy = "[limits]\nper_address = ['7/day']\nfailures = '5/day'\n[network]\ntrusted_proxies = ['10.0.0.0/8']\nclient_address_header = 'X-Forwarded-For'";
    let guard = guard(policy);
    let names = [
        "X-Forwarded-For",
        "X-Real-IP",
        "Forwarded",
        "CF-Connecting-IP",
        "True-Client-IP",
        "X_Forwarded_For",
        "User-Agent",
        "Cookie",
    ];
    let mut random = StdRng::seed_from_u64(11);
    let (mut tried, mut admitted) = (0, 0);
    for number in 0..MANY {
        let (name, value) = (names[number as usize % names.len()], address(&mut random));
        let value = if name == "Forwarded" { format!("for={value}") } else { value };
        let agent = format!("agent {number}");
        let lines = [(name, value.as_str()), ("Accept", agent.as_str()), ("X-Request-ID", "chosen")];
        let path = format!("/{}?{number}", number % 97);
        tried +=
            u32::from(ask(&guard, [203, 0, 113, 9].into(), &format!("wrong-{number}"), &path, &lines) == Some(Kind::Unknown));
        admitted += u32::from(ask(&guard, [203, 0, 113, 9].into(), "good-key", &path, &lines).is_none());
    }
    assert_eq!((tried, admitted), (5, 7));
}

#[test]
fn a_network_of_64_bits_passes_as_often_as_one_address() {
    let guard = guard("[limits]\nper_address = ['7/day']\nfailures = '5/day'");
    let of_the_network = |network: u128, host: u64| IpAddr::from(Ipv6Addr::from(network << 64 | u128::from(host)));
    let mut random = StdRng::seed_from_u64(64);
    let (mut tried, mut admitted) = (0, 0);
    for _ in 0..MANY {
        let peer = of_the_network(0x2001_0db8_0000_0007, random.random());
        tried += u32::from(ask(&guard, peer, "wrong", "/", &[]) == Some(Kind::Unknown));
        admitted += u32::from(ask(&guard, peer, "good-key", "/", &[]).is_none());
    }
    assert_eq!((tried, admitted), (5, 7));
    // A /56 has 256 of them and a /48 65,536: each is another, and none is more than one.
    for (bits, most) in [(56_u32, 256_u64), (48, 1_000)] {
        let mut admitted = 0;
        let base = 0x2001_0db8_00ff_0000 >> (64 - bits) << (64 - bits);
        for network in 1..=most {
            for host in 0..8 {
                admitted +=
                    u64::from(ask(&guard, of_the_network(base | u128::from(network - 1), host), "good-key", "/", &[]).is_none());
            }
        }
        assert!(admitted <= 7 * most, "/{bits}: {admitted}");
    }
}
