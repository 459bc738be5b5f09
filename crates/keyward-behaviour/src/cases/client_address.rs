//! R2: the client's address. The suite's clients connect from addresses of the loopback network; 127.0.0.9 and
//! 10.0.0.0/8 are the trusted proxies.

use super::{Case, allowed, anonymous, case, denied};

const FORWARDED_FOR: &str = "
[network]
trusted_proxies = ['127.0.0.9', '10.0.0.0/8']
client_address_header = 'X-Forwarded-For'
";

const FORWARDED: &str = "
[network]
trusted_proxies = ['127.0.0.9', '10.0.0.0/8']
client_address_header = 'Forwarded'
";

const REAL_IP: &str = "
[network]
trusted_proxies = ['127.0.0.9', '10.0.0.0/8']
client_address_header = 'X-Real-IP'
";

const TRUST_ALL: &str = "
[network]
insecure_trust_all_proxies = true
client_address_header = 'X-Forwarded-For'
";

const TRUST_ALL_WITH_BUDGET: &str = "
[limits]
failures = '1/minute'
[network]
insecure_trust_all_proxies = true
client_address_header = 'X-Forwarded-For'
";

const TWO_HOPS: &str = "
[network]
trusted_hops = 2
client_address_header = 'X-Forwarded-For'
";

const TWO_HOPS_FORWARDED: &str = "
[network]
trusted_hops = 2
client_address_header = 'Forwarded'
";

const ONE_HOP: &str = "
[network]
trusted_hops = 1
client_address_header = 'X-Real-IP'
";

const TWO_HOPS_ALLOWING: &str = "
[network]
allow = ['203.0.113.0/24', '127.0.0.0/8']
trusted_hops = 2
client_address_header = 'X-Forwarded-For'
";

const TWO_HOPS_WITH_LIMITS: &str = "
[limits]
per_address = ['1/minute']
failures = '1/minute'
[network]
trusted_hops = 2
client_address_header = 'X-Forwarded-For'
";

const ALLOWING: &str = "
[network]
allow = ['203.0.113.0/24', '127.0.0.0/8', '10.0.0.0/8']
trusted_proxies = ['127.0.0.9', '10.0.0.0/8']
client_address_header = 'X-Forwarded-For'
";

const DENYING: &str = "
[network]
deny = ['198.51.100.1']
trusted_proxies = ['127.0.0.9', '10.0.0.0/8']
client_address_header = 'X-Forwarded-For'
";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        case("R2.1 without a trusted proxy no header is read", "").ask(
            "GET /optional/a\nX-Forwarded-For: 203.0.113.9\nX-Real-IP: 203.0.113.9\nForwarded: for=203.0.113.9",
            anonymous().body("/client_ip", "127.0.0.1"),
        ),
        case("R2.1 an untrusted peer's word does not count", FORWARDED_FOR)
            .from("127.0.0.2")
            .ask("GET /optional/a\nX-Forwarded-For: 203.0.113.9", anonymous().body("/client_ip", "127.0.0.2")),
        case(
            "R2.1 a trusted peer counts for nothing while the policy names no header",
            "[network]\ntrusted_proxies = ['127.0.0.9']",
        )
        .from("127.0.0.9")
        .ask("GET /optional/a\nX-Forwarded-For: 203.0.113.9", anonymous().body("/client_ip", "127.0.0.9")),
        case("R2.1 only the one named header is read", FORWARDED).from("127.0.0.9").ask(
            "GET /optional/a\nX-Forwarded-For: 203.0.113.1\nX-Real-IP: 203.0.113.2\nForwarded: for=203.0.113.9",
            anonymous().body("/client_ip", "203.0.113.9"),
        ),
        case("R2.4 whoever trusts everybody believes the leftmost address", TRUST_ALL)
            .ask("GET /optional/a\nX-Forwarded-For: 203.0.113.9, 198.51.100.1", anonymous().body("/client_ip", "203.0.113.9"))
            .from("127.0.0.2")
            .ask("GET /optional/a\nX-Forwarded-For: 203.0.113.9, rubbish", anonymous().body("/client_ip", "127.0.0.2"))
            .ask("GET /optional/a", anonymous().body("/client_ip", "127.0.0.2")),
        case("R2.4 whoever trusts everybody has a failure budget all the same", TRUST_ALL_WITH_BUDGET)
            .ask("GET /a\nX-API-Key: wrong", denied("unknown"))
            .ask("GET /a\nX-API-Key: wrong", denied("failures-limited"))
            .ask("GET /a\nX-API-Key: wrong\nX-Forwarded-For: 203.0.113.9", denied("unknown"))
            .ask("GET /a\nX-API-Key: wrong\nX-Forwarded-For: 203.0.113.9", denied("failures-limited")),
        case("R2.5 who is behind fewer proxies than are trusted passes no list", TWO_HOPS_ALLOWING)
            .ask("GET /optional/a\nX-Forwarded-For: 203.0.113.9, 10.0.0.1", anonymous().body("/client_ip", "203.0.113.9"))
            .ask("GET /optional/a\nX-Forwarded-For: 203.0.113.9", denied("address"))
            .ask("GET /optional/a\nX-Forwarded-For: 203.0.113.9, rubbish, 10.0.0.1", denied("address"))
            .ask("GET /optional/a", denied("address"))
            .ask("GET /optional/a\nX-Forwarded-For: 198.51.100.7, 10.0.0.1", denied("address")),
        case("R2.5 whatever the peer's address, it is the last of the proxies", TWO_HOPS)
            .from("127.0.0.2")
            .ask("GET /optional/a\nX-Forwarded-For: 203.0.113.9, 10.0.0.1", anonymous().body("/client_ip", "203.0.113.9"))
            .from("127.0.0.9")
            .ask("GET /optional/a\nX-Forwarded-For: 203.0.113.9, 10.0.0.1", anonymous().body("/client_ip", "203.0.113.9")),
        case("R2.5 who cannot be told from others behind a hop shares a budget with them", TWO_HOPS_WITH_LIMITS)
            .ask("GET /a\nX-API-Key: wrong", denied("unknown"))
            .ask("GET /a\nX-API-Key: wrong\nX-Forwarded-For: 203.0.113.9", denied("failures-limited"))
            .ask("GET /a\nX-API-Key: wrong\nX-Forwarded-For: 203.0.113.9, 10.0.0.1", denied("unknown"))
            .ask("GET /a\nX-API-Key: wrong\nX-Forwarded-For: 203.0.113.9, 10.0.0.2", denied("failures-limited")),
        invented_hops(),
        aliases(),
        listed_by_connection(),
        case("R2.2 an unreadable hop fails an allow-list", ALLOWING)
            .from("127.0.0.9")
            .ask("GET /optional/a\nX-Forwarded-For: rubbish", denied("address"))
            .ask("GET /optional/a\nX-Forwarded-For: 203.0.113.9, rubbish, 10.0.0.1", denied("address"))
            .ask("GET /optional/a\nX-Forwarded-For: rubbish, 203.0.113.9", anonymous())
            .ask("GET /optional/a", anonymous()),
        case("R2.2 an unreadable hop fails a deny-list", DENYING)
            .from("127.0.0.9")
            .ask("GET /optional/a\nX-Forwarded-For: rubbish", denied("address"))
            .ask("GET /optional/a\nX-Forwarded-For: 198.51.100.1", denied("address"))
            .ask("GET /optional/a\nX-Forwarded-For: 198.51.100.2", anonymous()),
        case("R2.2 an unreadable hop fails a key's own networks", FORWARDED_FOR)
            .from("127.0.0.9")
            .record(r#"{"key":"alpha","allowed_ips":["0.0.0.0/0","::/0"]}"#)
            .ask("GET /a\nX-API-Key: alpha\nX-Forwarded-For: rubbish", denied("address"))
            .ask("GET /a\nX-API-Key: alpha\nX-Forwarded-For: 203.0.113.9", allowed()),
        case("R2.2 a mapped network is the network that it maps", "[network]\nallow = ['::ffff:127.0.0.0/127']")
            .ask("GET /optional/a", anonymous())
            .from("127.0.0.2")
            .ask("GET /optional/a", denied("address")),
    ];
    for (name, policy, lines, expected) in [
        (
            "R2.1 the address that a trusted proxy names is the client",
            FORWARDED_FOR,
            "X-Forwarded-For: 203.0.113.9",
            "203.0.113.9",
        ),
        (
            "R2.1 of several addresses the rightmost untrusted counts",
            FORWARDED_FOR,
            "X-Forwarded-For: 198.51.100.7, 203.0.113.9",
            "203.0.113.9",
        ),
        ("R2.1 trusted proxies are skipped", FORWARDED_FOR, "X-Forwarded-For: 203.0.113.9, 10.1.2.3, 10.4.5.6", "203.0.113.9"),
        (
            "R2.1 several lines are one list",
            FORWARDED_FOR,
            "X-Forwarded-For: 198.51.100.7\nX-Forwarded-For: 203.0.113.9\nX-Forwarded-For: 10.1.2.3",
            "203.0.113.9",
        ),
        ("R2.1 if all are trusted the leftmost counts", FORWARDED_FOR, "X-Forwarded-For: 10.1.1.1, 10.2.2.2", "10.1.1.1"),
        ("R2.1 without the header the peer counts", FORWARDED_FOR, "X-Other: 1", "127.0.0.9"),
        (
            "R2.2 an unreadable element stops the walk",
            FORWARDED_FOR,
            "X-Forwarded-For: 203.0.113.9, rubbish, 10.1.1.1",
            "10.1.1.1",
        ),
        ("R2.2 an unreadable last element leaves the peer", FORWARDED_FOR, "X-Forwarded-For: 203.0.113.9, rubbish", "127.0.0.9"),
        (
            "R2.2 what stands left of the client is not read",
            FORWARDED_FOR,
            "X-Forwarded-For: rubbish, 203.0.113.9",
            "203.0.113.9",
        ),
        ("R2.2 a port is dropped", FORWARDED_FOR, "X-Forwarded-For: 203.0.113.9:4711", "203.0.113.9"),
        ("R2.2 brackets and a port are dropped", FORWARDED_FOR, "X-Forwarded-For: [2001:db8::7]:443", "2001:db8::7"),
        ("R2.2 brackets alone are dropped", FORWARDED_FOR, "X-Forwarded-For: [2001:db8::7]", "2001:db8::7"),
        ("R2.2 an IPv6 address needs no brackets", FORWARDED_FOR, "X-Forwarded-For: 2001:db8::7", "2001:db8::7"),
        ("R2.2 a zone is dropped", FORWARDED_FOR, "X-Forwarded-For: fe80::7%eth0", "fe80::7"),
        (
            "R2.2 a zone that is no name cannot be read",
            FORWARDED_FOR,
            "X-Forwarded-For: 203.0.113.9, fe80::7%eth0: x",
            "127.0.0.9",
        ),
        (
            "R2.2 an obfuscated port is dropped in every header",
            FORWARDED_FOR,
            "X-Forwarded-For: 203.0.113.9:_port",
            "203.0.113.9",
        ),
        (
            "R2.2 a port of six digits cannot be read",
            FORWARDED_FOR,
            "X-Forwarded-For: 198.51.100.1, 203.0.113.9:000080",
            "127.0.0.9",
        ),
        (
            "R2.2 a mapped address is the address that it maps",
            FORWARDED_FOR,
            "X-Forwarded-For: ::ffff:203.0.113.9",
            "203.0.113.9",
        ),
        ("R2.2 a mapped address in hexadecimal is the same", FORWARDED_FOR, "X-Forwarded-For: ::ffff:cb00:7109", "203.0.113.9"),
        ("R2.2 a mapped trusted proxy is trusted", FORWARDED_FOR, "X-Forwarded-For: 203.0.113.9, ::ffff:10.1.1.1", "203.0.113.9"),
        ("R2.2 0.0.0.0 cannot be read", FORWARDED_FOR, "X-Forwarded-For: 203.0.113.9, 0.0.0.0", "127.0.0.9"),
        ("R2.2 :: cannot be read", FORWARDED_FOR, "X-Forwarded-For: 203.0.113.9, ::", "127.0.0.9"),
        ("R2.2 unknown cannot be read", FORWARDED_FOR, "X-Forwarded-For: 203.0.113.9, unknown", "127.0.0.9"),
        (
            "R2.2 a number with leading zeros cannot be read",
            FORWARDED_FOR,
            "X-Forwarded-For: 203.0.113.9, 203.0.113.010",
            "127.0.0.9",
        ),
        ("R2.2 a short number cannot be read", FORWARDED_FOR, "X-Forwarded-For: 203.0.113.9, 203.113", "127.0.0.9"),
        (
            "R2.1 Forwarded names the client in for",
            FORWARDED,
            "Forwarded: proto=https;for=203.0.113.9;by=10.0.0.1",
            "203.0.113.9",
        ),
        ("R2.1 the names in Forwarded have any case", FORWARDED, "Forwarded: FOR=203.0.113.9", "203.0.113.9"),
        ("R2.1 Forwarded quotes an IPv6 address", FORWARDED, "Forwarded: for=\"[2001:db8::7]:443\"", "2001:db8::7"),
        (
            "R2.1 Forwarded is split outside quotes only",
            FORWARDED,
            "Forwarded: for=203.0.113.9;by=\"a,for=198.51.100.1;for=198.51.100.2\"",
            "203.0.113.9",
        ),
        (
            "R2.1 an escaped quote does not end a quoted text",
            FORWARDED,
            "Forwarded: for=203.0.113.9;by=\"a\\\",for=198.51.100.1\"",
            "203.0.113.9",
        ),
        (
            "R2.1 the walk skips trusted elements of Forwarded",
            FORWARDED,
            "Forwarded: for=198.51.100.7, for=203.0.113.9\nForwarded: for=10.1.1.1",
            "203.0.113.9",
        ),
        (
            "R2.2 an obfuscated name cannot be read",
            FORWARDED,
            "Forwarded: for=203.0.113.9, for=_hidden, for=10.1.1.1",
            "10.1.1.1",
        ),
        (
            "R2.2 an element of Forwarded without for cannot be read",
            FORWARDED,
            "Forwarded: for=203.0.113.9, proto=https",
            "127.0.0.9",
        ),
        (
            "R2.2 a quote that does not end cannot be read",
            FORWARDED,
            "Forwarded: for=203.0.113.9, for=\"198.51.100.1",
            "127.0.0.9",
        ),
        (
            "R2.1 a quote that does not end ends with its line",
            FORWARDED,
            "Forwarded: for=\"198.51.100.1\nForwarded: for=\"203.0.113.9\"",
            "203.0.113.9",
        ),
        ("R2.2 Forwarded may leave the quotes around a port out", FORWARDED, "Forwarded: for=203.0.113.9:80", "203.0.113.9"),
        (
            "R2.2 blanks before the sign in Forwarded cannot be read",
            FORWARDED,
            "Forwarded: for=198.51.100.1, for =203.0.113.9",
            "127.0.0.9",
        ),
        ("R2.2 an obfuscated port is dropped", FORWARDED, "Forwarded: for=\"203.0.113.9:_port\"", "203.0.113.9"),
        ("R2.1 X-Real-IP names the client", REAL_IP, "X-Real-IP: 203.0.113.9", "203.0.113.9"),
        (
            "R2.1 of two X-Real-IP lines the first does not win",
            REAL_IP,
            "X-Real-IP: 198.51.100.7\nX-Real-IP: 203.0.113.9",
            "203.0.113.9",
        ),
        ("R2.5 one element fewer than proxies leaves the peer", TWO_HOPS, "X-Forwarded-For: 203.0.113.9", "127.0.0.9"),
        (
            "R2.5 of as many elements as proxies the leftmost counts",
            TWO_HOPS,
            "X-Forwarded-For: 203.0.113.9, 10.0.0.1",
            "203.0.113.9",
        ),
        (
            "R2.5 of one element more than proxies the second from the left counts",
            TWO_HOPS,
            "X-Forwarded-For: 198.51.100.7, 203.0.113.9, 10.0.0.1",
            "203.0.113.9",
        ),
        ("R2.5 without the header the peer counts", TWO_HOPS, "X-Other: 1", "127.0.0.9"),
        (
            "R2.5 hops are counted through all lines",
            TWO_HOPS,
            "X-Forwarded-For: 198.51.100.7\nX-Forwarded-For: 203.0.113.9\nX-Forwarded-For: 10.0.0.1",
            "203.0.113.9",
        ),
        (
            "R2.5 what the inner proxies wrote is counted and not read",
            TWO_HOPS,
            "X-Forwarded-For: 203.0.113.9, unknown",
            "203.0.113.9",
        ),
        ("R2.5 an empty element is one", TWO_HOPS, "X-Forwarded-For: 203.0.113.9,", "203.0.113.9"),
        (
            "R2.5 an element that cannot be read in the client's place leaves the peer",
            TWO_HOPS,
            "X-Forwarded-For: 198.51.100.7, unknown, 10.0.0.1",
            "127.0.0.9",
        ),
        (
            "R2.5 hops of Forwarded are counted outside quotes",
            TWO_HOPS_FORWARDED,
            "Forwarded: for=203.0.113.9, by=\"a, for=198.51.100.1\"",
            "203.0.113.9",
        ),
        (
            "R2.5 a quote that does not end leaves nothing to be counted",
            TWO_HOPS_FORWARDED,
            "Forwarded: for=203.0.113.9, for=\"198.51.100.1",
            "127.0.0.9",
        ),
        (
            "R2.5 a quote that does not end ends with its line, beyond the client's",
            TWO_HOPS_FORWARDED,
            "Forwarded: for=\"198.51.100.1\nForwarded: for=203.0.113.9, for=10.0.0.1",
            "203.0.113.9",
        ),
        ("R2.5 X-Real-IP has one hop", ONE_HOP, "X-Real-IP: 203.0.113.9", "203.0.113.9"),
    ] {
        cases.push(
            case(name, policy)
                .from("127.0.0.9")
                .ask(&format!("GET /optional/a\n{lines}"), anonymous().body("/client_ip", expected)),
        );
    }
    cases
}

/// What a client writes stands left of what the proxies add.
fn invented_hops() -> Case {
    let mut invented = case("R2.5 elements that a client makes up change nothing", TWO_HOPS);
    for made_up in ["127.0.0.1", "198.51.100.7, 198.51.100.8", "rubbish", "", ",,,", "\"", "203.0.113.1, unknown, ::1"] {
        for between in [", ", "\nX-Forwarded-For: "] {
            invented = invented.ask(
                &format!("GET /optional/a\nX-Forwarded-For: {made_up}{between}203.0.113.9, 10.0.0.1"),
                anonymous().body("/client_ip", "203.0.113.9"),
            );
        }
    }
    invented
}

fn aliases() -> Case {
    let mut spelt = case("R2.1 an alias of the header is another header", FORWARDED_FOR).from("127.0.0.9");
    for name in [
        "X_Forwarded_For",
        "X-Forwarded_For",
        "X.Forwarded.For",
        "X-Forwarded-For-",
        "XForwardedFor",
        "X-ForwardedFor",
        "X-Forwarded",
        "Forwarded-For",
        "HTTP_X_FORWARDED_FOR",
        "X-Original-Forwarded-For",
        "X-Client-IP",
        "True-Client-IP",
        "CF-Connecting-IP",
        "X-Cluster-Client-IP",
        "Fastly-Client-IP",
        "X-Real-IP",
    ] {
        spelt = spelt.ask(&format!("GET /optional/a\n{name}: 203.0.113.9"), anonymous().body("/client_ip", "127.0.0.9"));
    }
    spelt
}

/// A client that has a proxy drop the header, or tries to, must not gain by it.
fn listed_by_connection() -> Case {
    let mut listed = case("R2.1 a header that Connection lists is read all the same", FORWARDED_FOR).from("127.0.0.9");
    for list in ["X-Forwarded-For", "x-forwarded-for", "close, X-Forwarded-For", "X-FORWARDED-FOR, keep-alive"] {
        listed = listed.ask(
            &format!("GET /optional/a\nConnection: {list}\nX-Forwarded-For: 203.0.113.9"),
            anonymous().body("/client_ip", "203.0.113.9"),
        );
    }
    listed
}
