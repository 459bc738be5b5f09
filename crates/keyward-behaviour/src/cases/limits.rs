//! R9: limits.

use std::time::Duration;

use super::{Case, Expected, allowed, anonymous, case, denied};

const ALPHA: &str = "GET /a\nX-API-Key: alpha";

const BETA: &str = "GET /a\nX-API-Key: beta";

const PER_ADDRESS: &str = "
[limits]
per_address = ['1/minute']
[network]
trusted_proxies = ['127.0.0.9']
client_address_header = 'X-Forwarded-For'
";

fn limited(seconds: &str) -> Expected {
    denied("limited").header("Retry-After", seconds).without_header("WWW-Authenticate")
}

pub(super) fn cases() -> Vec<Case> {
    let nanosecond = Duration::from_nanos(1);
    let seconds = Duration::from_secs;
    vec![
        case("R9.1 a burst of the count, then one for each interval", "[limits]\nper_key = ['3/minute']")
            .key("alpha")
            .ask_times(3, ALPHA, &allowed())
            .ask(ALPHA, limited("20"))
            .wait(seconds(20) - nanosecond)
            .ask(ALPHA, limited("1"))
            .wait(nanosecond)
            .ask(ALPHA, allowed())
            .ask(ALPHA, limited("20"))
            .wait(seconds(40))
            .ask_times(2, ALPHA, &allowed())
            .ask(ALPHA, limited("20"))
            .wait(seconds(3_600))
            .ask_times(3, ALPHA, &allowed())
            .ask(ALPHA, limited("20")),
        case("R9.1 a window of several units", "[limits]\nper_key = ['2/30s']")
            .key("alpha")
            .ask_times(2, ALPHA, &allowed())
            .ask(ALPHA, limited("15"))
            .wait(seconds(15))
            .ask(ALPHA, allowed()),
        case("R9.1 hours and days", "[limits]\nper_key = ['1/hour']")
            .key("alpha")
            .record(r#"{"key":"beta","limit":"1/day"}"#)
            .ask(ALPHA, allowed())
            .ask(ALPHA, limited("3600"))
            .ask(BETA, allowed())
            .ask(BETA, limited("86400")),
        case("R9.1 nearly twice the count falls into one window", "[limits]\nper_key = ['2/minute']")
            .key("alpha")
            .ask_times(2, ALPHA, &allowed())
            .wait(seconds(30))
            .ask(ALPHA, allowed())
            .wait(seconds(30) - nanosecond)
            .ask(ALPHA, limited("1")),
        case("R9.1 a key's own limit replaces the policy's", "[limits]\nper_key = ['1/minute']")
            .key("beta")
            .record(r#"{"key":"alpha","limit":"3/minute"}"#)
            .ask_times(3, ALPHA, &allowed())
            .ask(ALPHA, limited("20"))
            .ask(BETA, allowed())
            .ask(BETA, limited("60")),
        case("R9.1 a key's own limit needs none of the policy's", "")
            .record(r#"{"key":"alpha","limit":"1/minute"}"#)
            .ask(ALPHA, allowed())
            .ask(ALPHA, limited("60")),
        case("R9.2 each key has its own quota", "[limits]\nper_key = ['1/minute']")
            .key("alpha")
            .key("beta")
            .ask(ALPHA, allowed())
            .ask(BETA, allowed())
            .ask(ALPHA, limited("60"))
            .ask(BETA, limited("60")),
        case("R9.2 a key's quota follows it from address to address", "[limits]\nper_key = ['1/minute']")
            .key("alpha")
            .ask(ALPHA, allowed())
            .from("127.0.0.2")
            .ask(ALPHA, limited("60")),
        case("R9.2 a key has one quota in all sources", "[limits]\nper_key = ['1/minute']")
            .key("alpha")
            .ask("GET /a\nAuthorization: Bearer alpha", allowed())
            .ask(ALPHA, limited("60")),
        case(
            "R9.2 configured keys have quotas, too",
            "[limits]\nper_key = ['1/minute']\n[[configured_keys]]\nenv = 'KEYS'\nseparator = ','",
        )
        .environment("KEYS", "alpha,beta")
        .ask(ALPHA, allowed())
        .ask(ALPHA, limited("60"))
        .ask(BETA, allowed()),
        case("R9.2 keys of one owner share the owner's quota", "[limits]\nper_owner = ['2/minute']")
            .record(r#"{"key":"alpha","owner":"o"}"#)
            .record(r#"{"key":"beta","owner":"o"}"#)
            .record(r#"{"key":"gamma","owner":"p"}"#)
            .ask(ALPHA, allowed())
            .ask(BETA, allowed())
            .ask(ALPHA, limited("30"))
            .ask(BETA, limited("30"))
            .ask("GET /a\nX-API-Key: gamma", allowed()),
        case("R9.2 keys without an owner share nothing", "[limits]\nper_owner = ['1/minute']")
            .key("alpha")
            .key("beta")
            .ask_times(3, ALPHA, &allowed())
            .ask_times(3, BETA, &allowed()),
        case("R9.2 keys at one address share the address's quota", PER_ADDRESS)
            .key("alpha")
            .key("beta")
            .ask(ALPHA, allowed())
            .ask(BETA, limited("60"))
            .from("127.0.0.2")
            .ask(BETA, allowed()),
        case("R9.2 all keys share the policy's quota", "[limits]\nper_policy = ['2/minute']")
            .key("alpha")
            .record(r#"{"key":"beta","limit":"9/minute"}"#)
            .ask(ALPHA, allowed())
            .from("127.0.0.2")
            .ask(BETA, allowed())
            .ask(ALPHA, limited("30"))
            .ask(BETA, limited("30")),
        case("R9.2 an IPv6 network of 64 bits is one address", PER_ADDRESS)
            .key("alpha")
            .from("127.0.0.9")
            .ask("GET /a\nX-API-Key: alpha\nX-Forwarded-For: 2001:db8::1", allowed())
            .ask("GET /a\nX-API-Key: alpha\nX-Forwarded-For: 2001:db8::ffff:1", limited("60"))
            .ask("GET /a\nX-API-Key: alpha\nX-Forwarded-For: 2001:db8:0:1::1", allowed()),
        case("R9.2 what one quota refuses is charged to none", "[limits]\nper_key = ['2/minute']\nper_address = ['1/minute']")
            .key("alpha")
            .ask(ALPHA, allowed())
            .ask_times(5, ALPHA, &limited("60"))
            .from("127.0.0.2")
            .ask(ALPHA, allowed())
            .from("127.0.0.3")
            .ask(ALPHA, limited("30"))
            .wait(seconds(30))
            .ask(ALPHA, allowed()),
        case("R9.3 of several quotas the longest wait is told", "[limits]\nper_key = ['1/minute', '2/hour']")
            .key("alpha")
            .ask(ALPHA, allowed())
            .ask(ALPHA, limited("60"))
            .wait(seconds(60))
            .ask(ALPHA, allowed())
            .ask(ALPHA, limited("1740"))
            .wait(seconds(60))
            .ask(ALPHA, limited("1680")),
        case("R9.2 who is refused charges nothing", "[limits]\nper_key = ['1/minute']\nper_address = ['1/minute']")
            .key("alpha")
            .record(r#"{"key":"beta","revoked":true}"#)
            .ask_times(3, "GET /scoped/a:b/x\nX-API-Key: alpha", &denied("scope").without_header("RateLimit"))
            .ask_times(3, BETA, &denied("revoked").without_header("RateLimit"))
            .ask_times(3, "GET /a", &denied("missing"))
            .ask(ALPHA, allowed()),
        case("R9.2 anonymous requests charge nothing", "[limits]\nper_address = ['1/minute']")
            .key("alpha")
            .ask_times(3, "GET /optional/a", &anonymous().without_header("RateLimit"))
            .ask(ALPHA, allowed())
            .ask("GET /optional/a", anonymous())
            .ask(ALPHA, limited("60")),
        case("R9.3 a wait is rounded up to whole seconds", "[limits]\nper_key = ['1/10s']")
            .key("alpha")
            .ask(ALPHA, allowed())
            .wait(Duration::from_millis(8_999))
            .ask(ALPHA, limited("2"))
            .wait(Duration::from_millis(1))
            .ask(ALPHA, limited("1"))
            .wait(Duration::from_millis(999))
            .ask(ALPHA, limited("1"))
            .wait(Duration::from_millis(1))
            .ask(ALPHA, allowed()),
        case("R9.3 without a quota nothing is told about one", "")
            .key("alpha")
            .ask(ALPHA, allowed().without_header("RateLimit").without_header("RateLimit-Policy")),
        case(
            "R9.3 the policy can keep silent about quotas",
            "[limits]\nper_key = ['1/minute']\n[response]\nrate_limit_headers = []",
        )
        .key("alpha")
        .ask(ALPHA, allowed().without_header("RateLimit").without_header("RateLimit-Policy"))
        .ask(ALPHA, limited("60").without_header("RateLimit")),
        case("R9.3 quotas are told on allowed and limited answers", "[limits]\nper_key = ['2/minute']")
            .key("alpha")
            .ask(ALPHA, allowed().another_header("RateLimit", "").another_header("RateLimit-Policy", ""))
            .ask(ALPHA, allowed())
            .ask(ALPHA, limited("30").another_header("RateLimit", "").another_header("RateLimit-Policy", "")),
        case(
            "R9.3 the older header names are sent if asked for",
            "[limits]\nper_key = ['2/minute']\n[response]\nrate_limit_headers = ['legacy']",
        )
        .key("alpha")
        .ask(ALPHA, allowed().header("X-RateLimit-Limit", "2").header("X-RateLimit-Remaining", "1").without_header("RateLimit"))
        .ask(ALPHA, allowed().header("X-RateLimit-Remaining", "0"))
        .ask(ALPHA, limited("30").header("X-RateLimit-Limit", "2").header("X-RateLimit-Remaining", "0")),
    ]
}
