//! R2, R3, R5, R9: what clients send to be taken for somebody else.

use std::time::Duration;

use serde_json::json;

use super::{Case, Expected, allowed, anonymous, case, denied};

/// Headers in which some proxy, somewhere, names the client.
const SPOOFED: [&str; 24] = [
    "X-Forwarded-For",
    "X-Real-IP",
    "Forwarded",
    "CF-Connecting-IP",
    "CF-Connecting-IPv6",
    "CF-Pseudo-IPv4",
    "True-Client-IP",
    "X-Client-IP",
    "X-Cluster-Client-IP",
    "Fastly-Client-IP",
    "X-Forwarded",
    "Forwarded-For",
    "X-Original-Forwarded-For",
    "X-Originating-IP",
    "X-Remote-IP",
    "X-Remote-Addr",
    "X-ProxyUser-Ip",
    "X-Azure-ClientIP",
    "X-Appengine-User-IP",
    "X-Envoy-External-Address",
    "Client-IP",
    "Remote-Addr",
    "Via",
    "X-Host",
];

/// Values of a list of hops that cannot be read at their right end.
const UNREADABLE: [&str; 30] = [
    "a",
    "",
    ",",
    ", ,",
    " ",
    "unknown",
    "_hidden",
    "203.0.113",
    "203.0.113.9.1",
    "203.0.113.256",
    "203.0.113.09",
    "0x7f.0.0.1",
    "2130706433",
    "127.1",
    "0.0.0.0",
    "::",
    ":::1",
    "[::1",
    "::1]",
    "[::1]x",
    "127.0.0.1:",
    "127.0.0.1:99999",
    "127.0.0.1:80:80",
    "127.0.0.1/32",
    "127.0.0.1;203.0.113.9",
    "\"127.0.0.1",
    "127.0.0.1 203.0.113.9",
    "localhost",
    "\u{661}27.0.0.1",
    "127.0.0.1%eth0",
];

const ALL_SOURCES: &str = "
sources = [
  { bearer = true },
  { header = 'X-API-Key' },
  { header = 'Authorization', scheme = 'ApiKey' },
  { cookie = 'api-key' },
  { query = 'api_key' },
  { subprotocol = 'base64url.auth' },
]
[limits]
per_key = ['1/minute']
failures = '100/minute'
[[routes]]
path = '/restricted'
scopes = ['a:b']
[[routes]]
path = '/admin'
kinds = ['admin']
[[routes]]
path = '/inside'
allow = ['203.0.113.0/24']
";

const BEHIND_PROXY: &str = "
[network]
trusted_proxies = ['127.0.0.9']
client_address_header = 'X-Forwarded-For'
";

const NETWORKS_BEHIND_PROXY: [&str; 3] = [
    "[limits]\nper_address = ['1/hour']\nfailures = '1/hour'\n[network]\ntrusted_proxies = ['127.0.0.9']\nclient_address_header = 'X-Forwarded-For'",
    "[limits]\nper_address = ['1/hour']\nfailures = '1/hour'\n[network]\ntrusted_proxies = ['127.0.0.9']\nclient_address_header = 'X-Real-IP'",
    "[limits]\nper_address = ['1/hour']\nfailures = '1/hour'\n[network]\ntrusted_proxies = ['127.0.0.9']\nclient_address_header = 'Forwarded'",
];

/// Lists that let the proxy itself not in, so that whoever could not be told from it must not come in either.
const UNREADABLE_POLICIES: [(&str, &str, &str); 6] = [
    (
        "R2.2 no unreadable X-Forwarded-For gives what is not given without it, to an allow-list",
        "X-Forwarded-For",
        "[network]\nallow = ['10.0.0.0/8']\ntrusted_proxies = ['127.0.0.9']\nclient_address_header = 'X-Forwarded-For'",
    ),
    (
        "R2.2 no unreadable X-Forwarded-For gives what is not given without it, to a deny-list",
        "X-Forwarded-For",
        "[network]\ndeny = ['127.0.0.9']\ntrusted_proxies = ['127.0.0.9']\nclient_address_header = 'X-Forwarded-For'",
    ),
    (
        "R2.2 no unreadable X-Real-IP gives what is not given without it, to an allow-list",
        "X-Real-IP",
        "[network]\nallow = ['10.0.0.0/8']\ntrusted_proxies = ['127.0.0.9']\nclient_address_header = 'X-Real-IP'",
    ),
    (
        "R2.2 no unreadable X-Real-IP gives what is not given without it, to a deny-list",
        "X-Real-IP",
        "[network]\ndeny = ['127.0.0.9']\ntrusted_proxies = ['127.0.0.9']\nclient_address_header = 'X-Real-IP'",
    ),
    (
        "R2.2 no unreadable Forwarded gives what is not given without it, to an allow-list",
        "Forwarded",
        "[network]\nallow = ['10.0.0.0/8']\ntrusted_proxies = ['127.0.0.9']\nclient_address_header = 'Forwarded'",
    ),
    (
        "R2.2 no unreadable Forwarded gives what is not given without it, to a deny-list",
        "Forwarded",
        "[network]\ndeny = ['127.0.0.9']\ntrusted_proxies = ['127.0.0.9']\nclient_address_header = 'Forwarded'",
    ),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![rotating_limit(), rotating_failures(), rotating_host(), one_address(), chosen_parts()];
    cases.extend(unreadable());
    cases.extend(allow_list());
    cases.extend(disagreeing());
    cases.extend(connection_lists());
    cases.extend(aliases());
    cases.extend(sources());
    cases
}

/// CVE-2024-47070: a hop that cannot be read must not skip a rule.
fn unreadable() -> Vec<Case> {
    let of = |(name, header, policy): (&'static str, &str, &'static str)| {
        let mut case = case(name, policy).key("alpha").from("127.0.0.9").ask("GET /a\nX-API-Key: alpha", denied("address"));
        for value in UNREADABLE {
            let value = if header == "Forwarded" { format!("for={value}") } else { value.to_owned() };
            case = case.ask(&format!("GET /a\nX-API-Key: alpha\n{header}: {value}"), denied("address"));
        }
        case
    };
    UNREADABLE_POLICIES.map(of).into()
}

/// GHSA-9g5q-2w5x-hmxf and its like: whoever nobody trusts is counted by the address that it has.
fn rotating_limit() -> Case {
    let policy = "[limits]\nper_address = ['5/hour']\n[network]\ntrusted_proxies = ['127.0.0.9']\nclient_address_header = 'X-Forwarded-For'";
    let mut case = case("R9.2 who rotates headers at an untrusted peer passes as often as its limit says", policy).key("alpha");
    for (number, header) in (0..40).zip(SPOOFED.iter().cycle()) {
        let expected = if number < 5 { allowed().body("/client_ip", "127.0.0.1") } else { denied("limited") };
        case = case.ask(&format!("GET /a\nX-API-Key: alpha\n{header}: {}", spoofed(header, number)), expected);
    }
    case.wait(Duration::from_secs(720)).ask("GET /a\nX-API-Key: alpha\nX-Forwarded-For: 203.0.113.9", allowed())
}

fn rotating_failures() -> Case {
    let policy = "[limits]\nfailures = '5/hour'\n[network]\ntrusted_proxies = ['127.0.0.9']\nclient_address_header = 'X-Real-IP'";
    let mut case = case("R3.1 who rotates headers at an untrusted peer tries as many keys as its budget says", policy);
    for (number, header) in (0..40).zip(SPOOFED.iter().cycle()) {
        let expected = denied(if number < 5 { "unknown" } else { "failures-limited" });
        case = case.ask(&format!("GET /a\nX-API-Key: wrong{number}\n{header}: {}", spoofed(header, number)), expected);
    }
    case
}

fn spoofed(header: &str, number: u8) -> String {
    let address = format!("203.0.113.{number}");
    if header == "Forwarded" { format!("for={address}") } else { address }
}

/// zulip#21544: a customer who has a /64 has one bucket, and the next one has another.
fn rotating_host() -> Case {
    let policy = "[limits]\nper_address = ['3/hour']\nfailures = '3/hour'\n[network]\ntrusted_proxies = ['127.0.0.9']\nclient_address_header = 'X-Forwarded-For'";
    let mut case = case("R9.2 who rotates through an IPv6 network of 64 bits passes as often as one address", policy)
        .key("alpha")
        .from("127.0.0.9");
    let hosts = [
        ":1",
        ":2",
        "ffff:ffff:ffff:ffff",
        "8000:0:0:0",
        "dead:beef:0:1",
        "0:0:203.0.113.9",
        "0:ffff:203.0.113.9",
        ":203.0.113.9",
    ];
    for (number, host) in hosts.into_iter().enumerate() {
        // What looks like IPv4 behind other 64 bits is part of the network, too.
        let address = format!("2001:db8:0:7:{host}");
        let good = if number < 3 { allowed().body("/client_ip", canonical(&address)) } else { denied("limited") };
        let bad = denied(if number < 3 { "unknown" } else { "failures-limited" });
        case = case
            .ask(&format!("GET /a\nX-API-Key: alpha\nX-Forwarded-For: {address}"), good)
            .ask(&format!("GET /a\nX-API-Key: wrong\nX-Forwarded-For: {address}"), bad);
    }
    case.ask("GET /a\nX-API-Key: alpha\nX-Forwarded-For: 2001:db8:0:8::1", allowed())
        .ask("GET /a\nX-API-Key: wrong\nX-Forwarded-For: 2001:db8:0:6::1", denied("unknown"))
}

fn canonical(address: &str) -> String {
    address.parse::<std::net::IpAddr>().expect("it is an address").to_string()
}

/// CVE-2025-66508: an allow-list of this machine, and everything that claims to come from it.
fn allow_list() -> Vec<Case> {
    let policies = [
        ("R4 no header brings anybody into an allow-list of this machine", "[network]\nallow = ['127.0.0.1', '::1']"),
        (
            "R4 no header of an untrusted peer brings it into an allow-list of this machine",
            "[network]\nallow = ['127.0.0.1', '::1']\ntrusted_proxies = ['127.0.0.9']\nclient_address_header = 'X-Forwarded-For'",
        ),
    ];
    let of = |(name, policy): (&'static str, &'static str)| {
        let mut case = case(name, policy).key("alpha").ask("GET /a\nX-API-Key: alpha", allowed()).from("127.0.0.2");
        for header in SPOOFED {
            for address in ["127.0.0.1", "[::1]"] {
                let value = if header == "Forwarded" { format!("for=\"{address}\"") } else { address.to_owned() };
                case = case.ask(&format!("GET /a\nX-API-Key: alpha\n{header}: {value}"), denied("address"));
            }
        }
        let every: String = SPOOFED.iter().map(|header| format!("\n{header}: 127.0.0.1")).collect();
        case.ask(&format!("GET /a\nHost: localhost\nX-API-Key: alpha{every}"), denied("address"))
    };
    policies.map(of).into()
}

/// Symfony's and Rails's conflicting headers: the one that the policy names is read, whatever others say.
fn disagreeing() -> Vec<Case> {
    let cases = [
        (
            "R2.1 X-Forwarded-For alone is read where the policy names it",
            BEHIND_PROXY,
            "X-Forwarded-For: 203.0.113.1\nX-Real-IP: 203.0.113.2\nForwarded: for=203.0.113.3",
            "203.0.113.1",
        ),
        (
            "R2.1 X-Real-IP alone is read where the policy names it",
            "[network]\ntrusted_proxies = ['127.0.0.9']\nclient_address_header = 'X-Real-IP'",
            "X-Forwarded-For: 203.0.113.1\nX-Real-IP: 203.0.113.2\nForwarded: for=203.0.113.3",
            "203.0.113.2",
        ),
        (
            "R2.1 another header is no substitute for the one that is missing",
            "[network]\ntrusted_proxies = ['127.0.0.9']\nclient_address_header = 'Forwarded'",
            "X-Forwarded-For: 203.0.113.1\nX-Real-IP: 203.0.113.2",
            "127.0.0.9",
        ),
        (
            "R2.2 another header is no substitute for the one that cannot be read",
            BEHIND_PROXY,
            "X-Forwarded-For: rubbish\nX-Real-IP: 203.0.113.2\nForwarded: for=203.0.113.3",
            "127.0.0.9",
        ),
        (
            "R2.1 of three X-Real-IP lines the first does not win",
            "[network]\ntrusted_proxies = ['127.0.0.9']\nclient_address_header = 'X-Real-IP'",
            "X-Real-IP: 127.0.0.1\nx-real-ip: 127.0.0.1\nX-REAL-IP: 203.0.113.2",
            "203.0.113.2",
        ),
    ];
    cases
        .map(|(name, policy, lines, expected)| {
            case(name, policy)
                .from("127.0.0.9")
                .ask(&format!("GET /optional/a\n{lines}"), anonymous().body("/client_ip", expected))
        })
        .into()
}

/// express-rate-limit PR 667: a mapped address is the IPv4 one, and no two IPv4 addresses share a bucket.
fn one_address() -> Case {
    let mut case = case("R9.2 every spelling of an address is one, and two addresses are two", NETWORKS_BEHIND_PROXY[0])
        .key("alpha")
        .from("127.0.0.9");
    let ask = |case: Case, address: &str, is_first: bool| {
        case.ask(
            &format!("GET /a\nX-API-Key: alpha\nX-Forwarded-For: {address}"),
            if is_first { allowed() } else { denied("limited") },
        )
        .ask(
            &format!("GET /a\nX-API-Key: wrong\nX-Forwarded-For: {address}"),
            denied(if is_first { "unknown" } else { "failures-limited" }),
        )
    };
    for (number, address) in [
        "::ffff:1.2.3.4",
        "::ffff:102:304",
        "1.2.3.4",
        "::FFFF:1.2.3.4",
        "[::ffff:1.2.3.4]:80",
        "1.2.3.4:4711",
        "0:0:0:0:0:ffff:0102:0304",
    ]
    .into_iter()
    .enumerate()
    {
        case = ask(case, address, number == 0);
    }
    // Not mapped: these are IPv6, of one network.
    for (number, address) in ["2001:db8::1.2.3.4", "2001:db8::102:304", "2001:db8::1.2.3.5"].into_iter().enumerate() {
        case = ask(case, address, number == 0);
    }
    for address in ["1.2.3.5", "::ffff:1.2.3.6", "::1.2.3.4", "64:ff9b::1.2.3.4", "2001:db8:0:1::1.2.3.4"] {
        case = ask(case, address, true);
    }
    case
}

/// What a client chooses is no part of what it is counted by.
fn chosen_parts() -> Case {
    let mut case =
        case("R9.2 nothing that a client chooses is part of what it is counted by", NETWORKS_BEHIND_PROXY[1]).key("alpha");
    for (number, chosen) in [
        "GET /a",
        "GET /b",
        "POST /a",
        "GET /a?x=1",
        "GET /a\nUser-Agent: one",
        "GET /a\nUser-Agent: two\nAccept: */*",
        "GET /a\nX-Request-ID: another",
        "GET /a\nHost: other.test",
        "GET /a\nCookie: session=other",
        "GET /a\nOrigin: https://other.test",
        "GET /a\nX-Real-IP: 203.0.113.9",
        "GET /a\nForwarded: for=203.0.113.9;host=other.test",
        "GET /a\nAccept-Language: de",
        "GET /a\nReferer: https://other.test/",
    ]
    .into_iter()
    .enumerate()
    {
        let (good, bad) =
            if number == 0 { (allowed(), denied("unknown")) } else { (denied("limited"), denied("failures-limited")) };
        case = case.ask(&format!("{chosen}\nX-API-Key: alpha"), good).ask(&format!("{chosen}\nX-API-Key: wrong{number}"), bad);
    }
    case
}

/// CVE-2024-45410 and CVE-2026-29054: a client that has the next hop drop a header must not gain by it.
fn connection_lists() -> Vec<Case> {
    let addresses = [
        ("R2.1 X-Forwarded-For is read although Connection lists it", "X-Forwarded-For", "203.0.113.9", NETWORKS_BEHIND_PROXY[0]),
        ("R2.1 X-Real-IP is read although Connection lists it", "X-Real-IP", "203.0.113.9", NETWORKS_BEHIND_PROXY[1]),
        ("R2.1 Forwarded is read although Connection lists it", "Forwarded", "for=203.0.113.9", NETWORKS_BEHIND_PROXY[2]),
    ];
    let mut cases: Vec<Case> = addresses
        .into_iter()
        .map(|(name, header, value, policy)| {
            let mut case = case(name, policy).from("127.0.0.9");
            for list in casings(header) {
                case = case.ask(
                    &format!("GET /optional/a\nConnection: {list}\n{header}: {value}"),
                    anonymous().body("/client_ip", "203.0.113.9"),
                );
            }
            case
        })
        .collect();
    let credentials = [
        ("R5.3 Authorization is read although Connection lists it", "Authorization", "Bearer alpha"),
        ("R5.3 X-API-Key is read although Connection lists it", "X-API-Key", "alpha"),
        ("R5.3 Cookie is read although Connection lists it", "Cookie", "api-key=alpha"),
    ];
    cases.extend(credentials.map(|(name, header, value)| {
        let policy =
            "sources = [{ bearer = true }, { header = 'X-API-Key' }, { cookie = 'api-key' }]\n[network]\ndeny = ['127.0.0.2']";
        let mut case = case(name, policy).key("alpha");
        for list in casings(header) {
            case = case.ask(&format!("GET /a\nConnection: {list}\n{header}: {value}"), allowed());
            if header != "Cookie" {
                case =
                    case.ask(&format!("GET /a\nConnection: {list}\n{header}: {value}\n{header}: {value}"), denied("duplicate"));
            }
        }
        let list = casings(header).join(", ");
        case.from("127.0.0.2").ask(&format!("GET /a\nConnection: {list}\n{header}: {value}"), denied("address"))
    }));
    cases
}

/// Six ways to write a header's name in a list of `Connection`.
fn casings(header: &str) -> [String; 6] {
    let swapped = header.chars().map(|c| if c.is_ascii_uppercase() { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() });
    let alternating =
        header.chars().enumerate().map(|(at, c)| if at % 2 == 0 { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() });
    [
        header.to_owned(),
        header.to_ascii_lowercase(),
        header.to_ascii_uppercase(),
        swapped.collect(),
        alternating.collect(),
        format!("keep-alive, {header} ,close"),
    ]
}

/// CVE-2025-64484: two hundred spellings of each header, none of which is the header.
fn aliases() -> Vec<Case> {
    let credentials = [
        ("R5.3 none of two hundred aliases of Authorization is read", "Authorization", "Bearer alpha"),
        ("R5.3 none of two hundred aliases of X-API-Key is read", "X-API-Key", "alpha"),
        ("R5.3 none of two hundred aliases of Cookie is read", "Cookie", "api-key=alpha"),
    ];
    let policy = "sources = [{ bearer = true }, { header = 'X-API-Key' }, { cookie = 'api-key' }]";
    let mut cases: Vec<Case> = credentials
        .map(|(name, header, value)| {
            let ask = |case: Case, lines: &str| case.ask(&format!("GET /a{lines}"), denied("missing"));
            spelt(header, value).iter().fold(case(name, policy).key("alpha"), |case, lines| ask(case, lines))
        })
        .into();
    let addresses = [
        ("R2.1 none of two hundred aliases of X-Forwarded-For is read", "X-Forwarded-For", "127.0.0.1", NETWORKS_BEHIND_PROXY[0]),
        ("R2.1 none of two hundred aliases of X-Real-IP is read", "X-Real-IP", "127.0.0.1", NETWORKS_BEHIND_PROXY[1]),
        ("R2.1 none of two hundred aliases of Forwarded is read", "Forwarded", "for=127.0.0.1", NETWORKS_BEHIND_PROXY[2]),
    ];
    cases.extend(addresses.map(|(name, header, value, policy)| {
        let ask =
            |case: Case, lines: &str| case.ask(&format!("GET /optional/a{lines}"), anonymous().body("/client_ip", "127.0.0.9"));
        spelt(header, value).iter().fold(case(name, policy).from("127.0.0.9"), |case, lines| ask(case, lines))
    }));
    cases
}

/// All aliases, forty to a request, so that no parser's bound on the number of lines is met.
fn spelt(header: &str, value: &str) -> Vec<String> {
    let aliases = aliases_of(header);
    assert!(aliases.len() >= 200, "{} aliases of {header}", aliases.len());
    let lines = |aliases: &[String]| aliases.iter().map(|alias| format!("\n{alias}: {value}")).collect();
    aliases[..200].chunks(40).map(lines).collect()
}

/// Other names that a gateway, CGI's rules or a careless comparison could take for a header's.
fn aliases_of(header: &str) -> Vec<String> {
    let separated = |separator: &str| header.replace('-', separator);
    let mut names: Vec<String> =
        ["_", ".", "~", "+", "!", "#", "$", "%", "&", "'", "*", "^", "`", "|", "", "--", "-_", "_-", "__", ".-"]
            .map(separated)
            .into();
    let places: Vec<usize> = (0..=header.len()).collect();
    for extra in ["_", "-", ".", "0", "s", "~", "!", "x", "'", "|", "+"] {
        for more in ["", "_", "-", "1"] {
            names.extend(places.iter().map(|&at| format!("{}{extra}{more}{}", &header[..at], &header[at..])));
        }
    }
    names.extend((0..header.len()).map(|at| format!("{}{}", &header[..at], &header[at + 1..])));
    for lead in ["HTTP_", "HTTP-", "REDIRECT_", "X-", "X_", "Proxy-", "Original-", "Client-", "My-", "Real-", "Orig-", "Alt-"] {
        names.extend(["-", "_"].map(|separator| format!("{lead}{}", separated(separator))));
    }
    for tail in ["2", "-2", "_2", "-Original", "-Old", "-New", "-Value", ".0", "-Header", "_Header"] {
        names.push(format!("{header}{tail}"));
    }
    // What some other header is called, or the header itself, is no alias.
    let real = ["Authorization", "X-API-Key", "Cookie", "X-Forwarded-For", "X-Real-IP", "Forwarded", "Proxy-Authorization"];
    names.retain(|name| !real.iter().any(|real| real.eq_ignore_ascii_case(name)) && !name.is_empty());
    names.sort_by_key(|name| name.to_ascii_lowercase());
    names.dedup_by(|one, other| one.eq_ignore_ascii_case(other));
    // In an order that leaves none of the kinds out, whichever two hundred are taken.
    names.sort_by_key(|name| name.bytes().fold(7_u64, |hash, byte| hash.wrapping_mul(0x100_0000_01b3) ^ u64::from(byte)));
    names
}

/// GHSA-57q6-fvp4-pqmm: a restriction holds in whatever source the key stands.
fn sources() -> Vec<Case> {
    let restrictions: [(&'static str, &str, &str, &'static str); 10] = [
        ("R8.1 a missing scope is missing in every source", "{}", "/restricted", "scope"),
        ("R8.1 a missing kind is missing in every source", "{}", "/admin", "kind"),
        ("R8.1 a key's own networks hold in every source", r#"{"allowed_ips":["203.0.113.0/24"]}"#, "/a", "address"),
        ("R8.4 a key's own paths hold in every source", r#"{"resource_pattern":"/jobs/*"}"#, "/a", "route"),
        ("R4 a route's networks hold in every source", "{}", "/inside", "address"),
        ("R7.4 an expired key is expired in every source", r#"{"expires_at":"2023-12-31T23:59:59Z"}"#, "/a", "expired"),
        ("R7.4 a key before its time is so in every source", r#"{"not_before":"2025-01-01T00:00:00Z"}"#, "/a", "not-yet-valid"),
        ("R7.4 a revoked key is revoked in every source", r#"{"revoked":true}"#, "/a", "revoked"),
        ("R7.4 a disabled key is disabled in every source", r#"{"disabled":true}"#, "/a", "disabled"),
        ("R9.2 a spent limit is spent in every source", "{}", "/a", "limited"),
    ];
    restrictions
        .into_iter()
        .map(|(name, conditions, path, kind)| {
            let mut record = serde_json::from_str::<serde_json::Value>(conditions).expect("conditions are JSON");
            record["key"] = json!("alpha");
            let mut case = case(name, ALL_SOURCES).record(&record.to_string());
            if kind == "limited" {
                case = case.ask("GET /a\nX-API-Key: alpha", allowed());
            }
            let handshake = "Sec-WebSocket-Protocol: chat, base64url.auth.YWxwaGE\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
            let sources: [(&str, &str); 6] = [
                ("", "Authorization: Bearer alpha"),
                ("", "X-API-Key: alpha"),
                ("", "Authorization: ApiKey alpha"),
                ("", "Cookie: api-key=alpha"),
                ("?api_key=alpha", "Accept: */*"),
                ("", handshake),
            ];
            for (number, (query, lines)) in sources.into_iter().enumerate() {
                let expected: Expected = denied(kind);
                // One id, or no two answers could be the same.
                let request = format!("GET {path}{query}\nX-Request-ID: one\n{lines}");
                // Some frameworks end the connection of a handshake that they refuse, and say so.
                let is_alike = number > 0 && lines != handshake;
                case = case.ask(&request, if is_alike { expected.same_as_before() } else { expected });
            }
            case
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_alias_is_the_header_and_all_differ() {
        for header in ["Authorization", "X-API-Key", "Cookie", "X-Forwarded-For", "X-Real-IP", "Forwarded"] {
            let aliases = aliases_of(header);
            assert!(aliases.len() >= 200, "{} of {header}", aliases.len());
            assert!(
                aliases
                    .iter()
                    .all(|alias| !alias.eq_ignore_ascii_case(header) && alias.bytes().all(crate::model::target::is_token_byte))
            );
        }
    }
}
