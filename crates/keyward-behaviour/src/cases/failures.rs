//! R3: the failure budget.

use std::time::Duration;

use super::{Case, Expected, allowed, case, denied};

const TWO: &str = "[limits]\nfailures = '2/minute'";

const ONE: &str = "[limits]\nfailures = '1/minute'";

const ONE_FIRST_VALID: &str = "resolution = 'first-valid'\n[limits]\nfailures = '1/minute'";

const ONE_BEHIND_PROXIES: &str = "
[limits]
failures = '1/minute'
[network]
trusted_proxies = ['127.0.0.9', '10.0.0.0/8']
client_address_header = 'X-Forwarded-For'
";

const BAD: &str = "GET /a\nX-API-Key: wrong";

fn spent(seconds: &str) -> Expected {
    denied("failures-limited").header("Retry-After", seconds).without_header("WWW-Authenticate").without_header("RateLimit")
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        case("R3.1 the budget is spent after its count, and fills again one by one", TWO)
            .ask_times(2, BAD, &denied("unknown"))
            .ask(BAD, spent("30"))
            .wait(Duration::from_secs(30) - Duration::from_nanos(1))
            .ask(BAD, spent("1"))
            .wait(Duration::from_nanos(1))
            .ask(BAD, denied("unknown"))
            .ask(BAD, spent("30"))
            .wait(Duration::from_secs(60))
            .ask_times(2, BAD, &denied("unknown"))
            .ask(BAD, spent("30")),
        case("R3.1 by default there is no budget", "").ask_times(80, BAD, &denied("unknown")),
        case("R3.1 off is no budget", "[limits]\nfailures = 'off'").ask_times(3, BAD, &denied("unknown")),
        case("R3.1 each address has its own budget", ONE)
            .ask(BAD, denied("unknown"))
            .ask(BAD, spent("60"))
            .from("127.0.0.2")
            .ask(BAD, denied("unknown"))
            .ask(BAD, spent("60")),
        case("R3.1 an IPv6 network of 64 bits shares one budget", ONE_BEHIND_PROXIES)
            .from("127.0.0.9")
            .ask("GET /a\nX-API-Key: wrong\nX-Forwarded-For: 2001:db8:0:1::1", denied("unknown"))
            .ask("GET /a\nX-API-Key: wrong\nX-Forwarded-For: 2001:db8:0:1:ffff:ffff:ffff:ffff", spent("60"))
            .ask("GET /a\nX-API-Key: wrong\nX-Forwarded-For: 2001:db8:0:2::1", denied("unknown"))
            .ask("GET /a\nX-API-Key: wrong\nX-Forwarded-For: 2001:db8::1", denied("unknown")),
        case("R3.1 a mapped address shares the budget of the address", ONE_BEHIND_PROXIES)
            .from("127.0.0.9")
            .ask("GET /a\nX-API-Key: wrong\nX-Forwarded-For: ::ffff:203.0.113.9", denied("unknown"))
            .ask("GET /a\nX-API-Key: wrong\nX-Forwarded-For: 203.0.113.9", spent("60"))
            .ask("GET /a\nX-API-Key: wrong\nX-Forwarded-For: ::ffff:203.0.113.8", denied("unknown")),
        case("R3.1 a trusted proxy's own address is never charged", ONE_BEHIND_PROXIES)
            .from("127.0.0.9")
            .ask_times(3, BAD, &denied("unknown"))
            .ask_times(3, "GET /a\nX-API-Key: wrong\nX-Forwarded-For: 10.1.1.1", &denied("unknown")),
        case("R3.1 whoever hides behind an unreadable hop is charged all the same", ONE_BEHIND_PROXIES)
            .from("127.0.0.9")
            .ask("GET /a\nX-API-Key: wrong\nX-Forwarded-For: rubbish", denied("unknown"))
            .ask("GET /a\nX-API-Key: wrong\nX-Forwarded-For: 203.0.113.9, unknown", spent("60"))
            .ask_times(3, BAD, &denied("unknown"))
            .ask("GET /a\nX-API-Key: wrong\nX-Forwarded-For: 203.0.113.9", denied("unknown")),
        case("R3.1 under first-valid a bad candidate is charged although a later one wins", ONE_FIRST_VALID)
            .key("alpha")
            .ask("GET /a\nAuthorization: Bearer wrong\nX-API-Key: alpha", allowed())
            .ask(BAD, spent("60")),
        case("R3.1 under first-valid candidates after the winner are not charged", ONE_FIRST_VALID)
            .key("alpha")
            .ask("GET /a\nAuthorization: Bearer alpha\nX-API-Key: wrong", allowed())
            .ask(BAD, denied("unknown"))
            .ask(BAD, spent("60")),
        case(
            "R3.1 under first-valid each bad candidate is charged",
            "resolution = 'first-valid'\n[limits]\nfailures = '2/minute'",
        )
        .ask("GET /a\nAuthorization: Bearer wrong\nX-API-Key: bad", denied("unknown"))
        .ask(BAD, spent("30")),
        case("R3.2 a spent budget does not stop a key that is in memory", ONE)
            .key("alpha")
            .ask(BAD, denied("unknown"))
            .ask(BAD, spent("60"))
            .ask("GET /a\nX-API-Key: alpha", allowed()),
        case("R3.2 with a spent budget a missing key is still 401 and a conflict 400", ONE)
            .ask(BAD, denied("unknown"))
            .ask(BAD, spent("60"))
            .ask("GET /a", denied("missing"))
            .ask("GET /a\nX-API-Key: a\nAuthorization: Bearer b", denied("conflict"))
            .ask("GET /a\nX-API-Key: a\nX-API-Key: b", denied("duplicate")),
        case("R3.2 what is refused by a spent budget is not charged", ONE)
            .ask(BAD, denied("unknown"))
            .ask_times(20, BAD, &spent("60"))
            .wait(Duration::from_secs(60))
            .ask(BAD, denied("unknown")),
    ];
    for (name, request, kind) in [
        ("R3.1 a malformed credential is charged", "GET /a\nX-API-Key: a b", "malformed"),
        ("R3.1 an empty credential is charged", "GET /a\nAuthorization: Bearer", "malformed"),
        ("R3.1 an unknown key is charged", "GET /a\nX-API-Key: nobody", "unknown"),
        ("R3.1 an expired key is charged", "GET /a\nX-API-Key: old", "expired"),
        ("R3.1 a key before its time is charged", "GET /a\nX-API-Key: young", "not-yet-valid"),
        ("R3.1 a revoked key is charged", "GET /a\nX-API-Key: revoked", "revoked"),
        ("R3.1 a disabled key is charged", "GET /a\nX-API-Key: disabled", "disabled"),
    ] {
        cases.push(states(case(name, ONE)).ask(request, denied(kind)).ask(request, spent("60")));
    }
    for (name, policy, request, kind) in [
        ("R3.1 a missing key is not charged", ONE, "GET /a", "missing"),
        ("R3.1 a conflict is not charged", ONE, "GET /a\nX-API-Key: a\nAuthorization: Bearer b", "conflict"),
        ("R3.1 a duplicate is not charged", ONE, "GET /a\nX-API-Key: a\nX-API-Key: b", "duplicate"),
        ("R3.1 a missing scope is not charged", ONE, "GET /scoped/x:y/a\nX-API-Key: alpha", "scope"),
        ("R3.1 a refused address of the key is not charged", ONE, "GET /a\nX-API-Key: elsewhere", "address"),
        (
            "R3.1 a refused path is not charged",
            "[access]\nopen_paths = ['/open']\n[limits]\nfailures = '1/minute'",
            "GET /a//b\nX-API-Key: wrong",
            "path",
        ),
    ] {
        cases.push(
            states(case(name, policy)).ask_times(3, request, &denied(kind)).ask(BAD, denied("unknown")).ask(BAD, spent("60")),
        );
    }
    cases
}

fn states(case: Case) -> Case {
    case.key("alpha")
        .record(r#"{"key":"old","expires_at":"2023-12-31T23:59:59Z"}"#)
        .record(r#"{"key":"young","not_before":"2025-01-01T00:00:00Z"}"#)
        .record(r#"{"key":"revoked","revoked":true}"#)
        .record(r#"{"key":"disabled","disabled":true}"#)
        .record(r#"{"key":"elsewhere","allowed_ips":["203.0.113.0/24"]}"#)
}
