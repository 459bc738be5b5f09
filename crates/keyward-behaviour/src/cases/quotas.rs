//! R9: several quotas at once, what they are called, what a request costs, quotas that change, and clocks that step.

use std::time::Duration;

use serde_json::json;

use super::{Case, Expected, allowed, anonymous, case, denied};

const ALPHA: &str = "GET /a\nX-API-Key: alpha";

const BETA: &str = "GET /a\nX-API-Key: beta";

const SEVERAL: &str = "
[limits]
per_key = ['burst=2/10s', 'long=4/hour']
per_owner = ['team=5/hour']
per_address = ['near=6/hour']
per_policy = ['everybody=8/hour']
";

const SEVERAL_POLICY: &str =
    r#""burst";q=2;w=10, "long";q=4;w=3600, "team";q=5;w=3600, "near";q=6;w=3600, "everybody";q=8;w=3600"#;

const COSTS: &str = "
[limits]
per_key = ['4/minute']
[[routes]]
path = '/dear'
cost = 3
[[routes]]
path = '/dearest/*'
cost = 1000
[[routes]]
path = '/costing/*'
cost = 2
[[routes]]
path = '/front'
optional = true
cost = 4
[[routes]]
path = '/written'
methods = ['POST']
cost = 2
[[routes]]
path = '/written'
";

const EVERY_HEADER: &str = "
[limits]
per_key = ['5/minute']
per_address = ['9/minute']
failures = '9/minute'
[network]
deny = ['127.0.0.2']
[response]
rate_limit_headers = ['draft', 'legacy']
";

const NANOSECOND: Duration = Duration::from_nanos(1);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Refused by these quotas, and by no other.
fn limited(wait: &str, by: &[&str]) -> Expected {
    denied("limited")
        .header("Retry-After", wait)
        .header("Content-Type", "application/problem+json")
        .body("/type", "https://iana.org/assignments/http-problem-types#quota-exceeded")
        .body("/title", "Request cannot be satisfied as assigned quota has been exceeded")
        .body("/status", 429)
        .body("/code", "limited")
        .body("/violated-policies", json!(by))
}

fn left(standings: &str) -> Expected {
    allowed().header("RateLimit", standings)
}

fn silent(expected: Expected) -> Expected {
    ["RateLimit", "RateLimit-Policy", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"]
        .into_iter()
        .fold(expected, Expected::without_header)
}

pub(super) fn cases() -> Vec<Case> {
    [several(), each_subject(), answers(), costs(), changes(), clocks()].into_iter().flatten().collect()
}

fn several() -> Vec<Case> {
    vec![
        case("R9.2 several named quotas are charged together, and each is told by its name", SEVERAL)
            .record(r#"{"key":"alpha","owner":"o"}"#)
            .ask(
                ALPHA,
                left(r#""burst";r=1;t=5, "long";r=3;t=900, "team";r=4;t=720, "near";r=5;t=600, "everybody";r=7;t=450"#)
                    .header("RateLimit-Policy", SEVERAL_POLICY),
            )
            .ask(
                ALPHA,
                left(r#""burst";r=0;t=10, "long";r=2;t=1800, "team";r=3;t=1440, "near";r=4;t=1200, "everybody";r=6;t=900"#),
            )
            .ask_times(
                3,
                ALPHA,
                &limited("5", &["burst"])
                    .header(
                        "RateLimit",
                        r#""burst";r=0;t=10, "long";r=2;t=1800, "team";r=3;t=1440, "near";r=4;t=1200, "everybody";r=6;t=900"#,
                    )
                    .header("RateLimit-Policy", SEVERAL_POLICY),
            )
            .wait(seconds(5) - NANOSECOND)
            .ask(ALPHA, limited("1", &["burst"]))
            .wait(NANOSECOND)
            .ask(
                ALPHA,
                left(r#""burst";r=0;t=10, "long";r=1;t=2695, "team";r=2;t=2155, "near";r=3;t=1795, "everybody";r=5;t=1345"#),
            )
            .wait(seconds(10))
            .ask(
                ALPHA,
                left(r#""burst";r=1;t=5, "long";r=0;t=3585, "team";r=1;t=2865, "near";r=2;t=2385, "everybody";r=4;t=1785"#),
            )
            .ask(
                ALPHA,
                limited("885", &["long"]).header(
                    "RateLimit",
                    r#""burst";r=1;t=5, "long";r=0;t=3585, "team";r=1;t=2865, "near";r=2;t=2385, "everybody";r=4;t=1785"#,
                ),
            )
            .wait(seconds(885) - NANOSECOND)
            .ask(ALPHA, limited("1", &["long"]))
            .wait(NANOSECOND)
            .ask(ALPHA, allowed()),
        case("R9.2 what the owner's quota refuses is charged to no other", SEVERAL)
            .record(r#"{"key":"alpha","owner":"o"}"#)
            .record(r#"{"key":"beta","owner":"o"}"#)
            .record(r#"{"key":"gamma","owner":"o"}"#)
            .key("delta")
            .ask_times(2, ALPHA, &allowed())
            .ask_times(2, BETA, &allowed())
            .ask("GET /a\nX-API-Key: gamma", allowed())
            .ask_times(
                3,
                "GET /a\nX-API-Key: gamma",
                &limited("720", &["team"]).header(
                    "RateLimit",
                    r#""burst";r=1;t=5, "long";r=3;t=900, "team";r=0;t=3600, "near";r=1;t=3000, "everybody";r=3;t=2250"#,
                ),
            )
            .ask(
                "GET /a\nX-API-Key: delta",
                left(r#""burst";r=1;t=5, "long";r=3;t=900, "near";r=0;t=3600, "everybody";r=2;t=2700"#),
            )
            .ask("GET /a\nX-API-Key: delta", limited("600", &["near"]))
            .ask("GET /a\nX-API-Key: gamma", limited("720", &["team", "near"]))
            .from("127.0.0.2")
            .ask(
                "GET /a\nX-API-Key: delta",
                left(r#""burst";r=0;t=10, "long";r=2;t=1800, "near";r=5;t=600, "everybody";r=1;t=3150"#),
            ),
        case(
            "R9.2 several quotas can refuse at once, and the longest wait is told",
            "[limits]\nper_key = ['a=1/10s', 'b=1/minute', 'c=5/hour']",
        )
        .key("alpha")
        .ask(ALPHA, allowed())
        .ask(ALPHA, limited("60", &["a", "b"]))
        .wait(seconds(10) - NANOSECOND)
        .ask(ALPHA, limited("51", &["a", "b"]))
        .wait(NANOSECOND)
        .ask(ALPHA, limited("50", &["b"]))
        .wait(seconds(50))
        .ask(ALPHA, allowed()),
        case(
            "R9.1 several quotas of a key's own replace the policy's",
            "[limits]\nper_key = ['1/minute']\nper_policy = ['all=9/minute']",
        )
        .record(r#"{"key":"alpha","limit":["mine=2/minute","3/hour"]}"#)
        .key("beta")
        .ask(ALPHA, left(r#""mine";r=1;t=30, "key-3600s";r=2;t=1200, "all";r=8;t=7"#))
        .ask(ALPHA, allowed())
        .ask(ALPHA, limited("30", &["mine"]))
        .ask(BETA, left(r#""key-60s";r=0;t=60, "all";r=6;t=20"#))
        .wait(seconds(30))
        .ask(ALPHA, allowed())
        .ask(ALPHA, limited("1170", &["mine", "key-3600s"])),
        case(
            "R9.3 a key's own quota that is called like one of the policy's is told as one without a name",
            "[limits]\nper_address = ['near=9/minute']\nper_policy = ['all=9/minute']",
        )
        .record(r#"{"key":"alpha","limit":["all=2/minute","own=3/hour","near=9/day"]}"#)
        .ask(ALPHA, left(r#""key-60s";r=1;t=30, "own";r=2;t=1200, "key-86400s";r=8;t=9600, "near";r=8;t=7, "all";r=8;t=7"#))
        .ask(ALPHA, allowed())
        .ask(ALPHA, limited("30", &["key-60s"])),
    ]
}

/// The same exact boundary, whoever is counted.
fn each_subject() -> Vec<Case> {
    [
        ("R9.1 three in a minute for a key, to the nanosecond", "[limits]\nper_key = ['3/minute']", "key-60s"),
        ("R9.1 three in a minute for an owner, to the nanosecond", "[limits]\nper_owner = ['3/minute']", "owner-60s"),
        ("R9.1 three in a minute for an address, to the nanosecond", "[limits]\nper_address = ['3/minute']", "address-60s"),
        ("R9.1 three in a minute for everybody, to the nanosecond", "[limits]\nper_policy = ['3/minute']", "policy-60s"),
        ("R9.1 three in a minute under a name, to the nanosecond", "[limits]\nper_key = ['hot=3/minute']", "hot"),
    ]
    .map(|(name, policy, quota)| {
        let told = |left: u32, full_in: u32| format!("\"{quota}\";r={left};t={full_in}");
        let gives = |left: u32, full_in: u32| {
            self::left(&told(left, full_in)).header("RateLimit-Policy", &format!("\"{quota}\";q=3;w=60"))
        };
        let refuses = |wait: &str, full_in: u32| limited(wait, &[quota]).header("RateLimit", &told(0, full_in));
        case(name, policy)
            .record(r#"{"key":"alpha","owner":"o"}"#)
            .wait(NANOSECOND)
            .ask(ALPHA, gives(2, 20))
            .ask(ALPHA, gives(1, 40))
            .ask(ALPHA, gives(0, 60))
            .ask(ALPHA, refuses("20", 60))
            .wait(NANOSECOND)
            .ask(ALPHA, refuses("20", 60))
            .wait(seconds(1) - NANOSECOND)
            .ask(ALPHA, refuses("19", 59))
            .wait(seconds(19) - NANOSECOND)
            .ask(ALPHA, refuses("1", 41))
            .wait(NANOSECOND)
            .ask(ALPHA, gives(0, 60))
            .ask(ALPHA, refuses("20", 60))
            .wait(seconds(40) - NANOSECOND)
            .ask(ALPHA, gives(0, 41))
            .wait(NANOSECOND)
            .ask(ALPHA, gives(0, 60))
            .ask(ALPHA, refuses("20", 60))
            .wait(seconds(60) - NANOSECOND)
            .ask(ALPHA, gives(1, 21))
            .wait(seconds(3_600))
            .ask(ALPHA, gives(2, 20))
    })
    .into()
}

fn answers() -> Vec<Case> {
    let mut cases = vec![
        case("R9.3 quotas are told to nobody before the key was found good", EVERY_HEADER)
            .key("alpha")
            .record(r#"{"key":"old","expires_at":"2023-12-31T23:59:59Z"}"#)
            .record(r#"{"key":"young","not_before":"2025-01-01T00:00:00Z"}"#)
            .record(r#"{"key":"revoked","revoked":true}"#)
            .record(r#"{"key":"disabled","disabled":true}"#)
            .record(r#"{"key":"elsewhere","allowed_ips":["203.0.113.0/24"]}"#)
            .ask("GET /a", silent(denied("missing")))
            .ask("GET /optional/a", silent(anonymous()))
            .ask("GET /a\nX-API-Key: wrong", silent(denied("unknown")))
            .ask("GET /a\nX-API-Key: a b", silent(denied("malformed")))
            .ask("GET /a\nX-API-Key: old", silent(denied("expired")))
            .ask("GET /a\nX-API-Key: young", silent(denied("not-yet-valid")))
            .ask("GET /a\nX-API-Key: revoked", silent(denied("revoked")))
            .ask("GET /a\nX-API-Key: disabled", silent(denied("disabled")))
            .ask("GET /a\nX-API-Key: a\nX-API-Key: b", silent(denied("duplicate")))
            .ask("GET /a\nX-API-Key: a\nAuthorization: Bearer b", silent(denied("conflict")))
            .ask("GET /a\nX-API-Key: elsewhere", silent(denied("address")))
            .ask("GET /scoped/a:b/x\nX-API-Key: alpha", silent(denied("scope")))
            .ask_times(3, "GET /a\nX-API-Key: wrong", &silent(denied("unknown")))
            .ask("GET /a\nX-API-Key: wrong", silent(denied("failures-limited")))
            .from("127.0.0.2")
            .ask("GET /a\nX-API-Key: alpha", silent(denied("address")))
            .from("127.0.0.1")
            .ask(ALPHA, left(r#""key-60s";r=4;t=12, "address-60s";r=8;t=7"#)),
        case("R10.1 a spent failure budget is no quota that anybody was assigned", "[limits]\nper_key = ['1/minute']\nfailures = 'bad=1/minute'")
            .ask("GET /a\nX-API-Key: wrong", denied("unknown"))
            .ask(
                "GET /a\nX-API-Key: wrong",
                silent(denied("failures-limited"))
                    .header("Retry-After", "60")
                    .body("/type", "about:blank")
                    .body("/title", "Too Many Requests"),
            ),
        case(
            "R9.3 the older headers tell the quota of which the least is left",
            "[limits]\nper_key = ['long=3/hour', '2/minute']\nper_policy = ['4/minute']\n[response]\nrate_limit_headers = ['legacy']",
        )
        .key("alpha")
        .key("beta")
        .ask(ALPHA, legacy(allowed(), "2", "1", "30"))
        .ask(ALPHA, legacy(allowed(), "2", "0", "60"))
        .ask(ALPHA, legacy(limited("30", &["key-60s"]), "2", "0", "60"))
        .wait(seconds(30) - NANOSECOND)
        .ask(ALPHA, legacy(limited("1", &["key-60s"]), "2", "0", "31"))
        .wait(NANOSECOND)
        .ask(BETA, legacy(allowed(), "2", "1", "30"))
        .wait(seconds(60))
        .ask(ALPHA, legacy(allowed(), "3", "0", "3510"))
        .ask(ALPHA, legacy(limited("1110", &["long"]), "3", "0", "3510")),
        case(
            "R9.3 both families of headers can be sent",
            "[limits]\nper_key = ['hot=2/minute']\n[response]\nrate_limit_headers = ['legacy', 'draft']",
        )
        .key("alpha")
        .ask(
            ALPHA,
            left(r#""hot";r=1;t=30"#)
                .header("X-RateLimit-Limit", "2")
                .header("X-RateLimit-Remaining", "1")
                .header("X-RateLimit-Reset", "30"),
        ),
        case("R9.3 the policy's silence about quotas is kept in every header", "[limits]\nper_key = ['hot=1/minute']\n[response]\nrate_limit_headers = []")
            .key("alpha")
            .ask(ALPHA, silent(allowed()))
            .ask(ALPHA, silent(limited("60", &["hot"]))),
    ];
    for (name, policy, pointer) in [
        (
            "R10.1 another shape of body does not name the quotas, in detail",
            "[limits]\nper_key = ['1/minute']\n[response]\nbody = 'detail'\nlimited = 'later'",
            "/detail",
        ),
        (
            "R10.1 another shape of body does not name the quotas, in error",
            "[limits]\nper_key = ['1/minute']\n[response]\nbody = 'error'\nlimited = 'later'",
            "/error",
        ),
    ] {
        let whole = json!({ pointer[1..]: "later" });
        cases.push(case(name, policy).key("alpha").ask(ALPHA, allowed()).ask(ALPHA, denied("limited").body("", whole)));
    }
    cases
}

fn legacy(expected: Expected, limit: &str, remaining: &str, reset: &str) -> Expected {
    expected
        .header("X-RateLimit-Limit", limit)
        .header("X-RateLimit-Remaining", remaining)
        .header("X-RateLimit-Reset", reset)
        .without_header("RateLimit")
        .without_header("RateLimit-Policy")
}

fn costs() -> Vec<Case> {
    let dear = "GET /dear\nX-API-Key: alpha";
    let quota = |left: u32, full_in: u32| format!("\"key-60s\";r={left};t={full_in}");
    vec![
        case("R9.1 a dear request takes several permissions, or none", COSTS)
            .key("alpha")
            .ask(dear, left(&quota(1, 45)))
            .ask_times(2, dear, &limited("30", &["key-60s"]).header("RateLimit", &quota(1, 45)))
            .ask(ALPHA, left(&quota(0, 60)))
            .wait(seconds(45) - NANOSECOND)
            .ask(dear, limited("1", &["key-60s"]).header("RateLimit", &quota(2, 16)))
            .wait(NANOSECOND)
            .ask(dear, left(&quota(0, 60)))
            .ask(ALPHA, limited("15", &["key-60s"])),
        case("R9.1 a cost beyond the quota is all of it", COSTS)
            .key("alpha")
            .ask("GET /dearest/a\nX-API-Key: alpha", left(&quota(0, 60)))
            .ask("GET /dearest/a\nX-API-Key: alpha", limited("60", &["key-60s"]))
            .wait(seconds(60) - NANOSECOND)
            .ask("GET /dearest/a\nX-API-Key: alpha", limited("1", &["key-60s"]).header("RateLimit", &quota(3, 1)))
            .wait(NANOSECOND)
            .ask("GET /dearest/a\nX-API-Key: alpha", allowed()),
        case("R9.1 of several costs the largest counts", COSTS)
            .key("alpha")
            .ask("GET /costing/3/a\nX-API-Key: alpha", left(&quota(1, 45)))
            .wait(seconds(60))
            .ask("GET /costing/1/a\nX-API-Key: alpha", left(&quota(2, 30)))
            .wait(seconds(60))
            .ask("GET /costing/many/a\nX-API-Key: alpha", left(&quota(2, 30))),
        case("R9.1 a cost belongs to its route and method", COSTS)
            .key("alpha")
            .ask("POST /written\nX-API-Key: alpha", left(&quota(2, 30)))
            .ask("GET /written\nX-API-Key: alpha", left(&quota(1, 45)))
            .ask("GET /elsewhere\nX-API-Key: alpha", left(&quota(0, 60))),
        case("R9.2 who is nobody pays nothing on a dear route", COSTS)
            .key("alpha")
            .ask_times(2, "GET /front", &silent(anonymous()))
            .ask("GET /front\nX-API-Key: alpha", left(&quota(0, 60)))
            .ask("GET /front\nX-API-Key: alpha", limited("60", &["key-60s"]))
            .ask("GET /front", silent(anonymous())),
        case(
            "R9.2 a dear request costs the same of every quota, or nothing of any",
            "[limits]\nper_key = ['a=6/minute', 'b=5/hour']\nper_address = ['c=3/minute']\n[[routes]]\npath = '/dear'\ncost = 3",
        )
        .key("alpha")
        .ask(dear, left(r#""a";r=3;t=30, "b";r=2;t=2160, "c";r=0;t=60"#))
        .ask(dear, limited("720", &["b", "c"]).header("RateLimit", r#""a";r=3;t=30, "b";r=2;t=2160, "c";r=0;t=60"#))
        .from("127.0.0.2")
        .ask(dear, limited("720", &["b"]).header("RateLimit", r#""a";r=3;t=30, "b";r=2;t=2160, "c";r=3;t=0"#))
        .ask(ALPHA, left(r#""a";r=2;t=40, "b";r=1;t=2880, "c";r=2;t=20"#)),
        case(
            "R3.1 a bad key costs one failure, however dear the route",
            "[limits]\nfailures = '2/minute'\n[[routes]]\npath = '/dear'\ncost = 2",
        )
        .ask_times(2, "GET /dear\nX-API-Key: wrong", &denied("unknown"))
        .ask("GET /dear\nX-API-Key: wrong", denied("failures-limited").header("Retry-After", "30")),
    ]
}

fn changes() -> Vec<Case> {
    vec![
        case("R9.4 another limit of a key holds with the next request and forgets nothing", "[limits]\nper_key = ['3/minute']")
            .key("alpha")
            .key("beta")
            .ask_times(2, ALPHA, &allowed())
            .limits("alpha", &["wide=10/minute"])
            .ask(ALPHA, left(r#""wide";r=7;t=18"#))
            .limits("alpha", &["2/minute"])
            .ask(ALPHA, limited("30", &["key-60s"]).header("RateLimit", r#""key-60s";r=0;t=60"#))
            .ask(BETA, left(r#""key-60s";r=2;t=20"#))
            .limits("alpha", &[])
            .ask(ALPHA, limited("20", &["key-60s"]).header("RateLimit", r#""key-60s";r=0;t=60"#)),
        case("R9.4 another window begins with what was taken", "")
            .record(r#"{"key":"alpha","limit":"5/minute"}"#)
            .ask_times(3, ALPHA, &allowed())
            .limits("alpha", &["long=4/hour"])
            .ask(ALPHA, left(r#""long";r=0;t=3600"#))
            .ask(ALPHA, limited("900", &["long"]))
            .limits("alpha", &["5/minute"])
            .ask(ALPHA, left(r#""key-60s";r=0;t=60"#))
            .ask(ALPHA, limited("12", &["key-60s"])),
        case("R9.4 a limit that is taken away and given back is no way to a full one", "")
            .record(r#"{"key":"alpha","limit":"2/hour"}"#)
            .ask_times(2, ALPHA, &allowed())
            .ask(ALPHA, limited("1800", &["key-3600s"]))
            .limits("alpha", &[])
            .ask_times(2, ALPHA, &silent(allowed()))
            .limits("alpha", &["2/hour"])
            .ask(ALPHA, limited("1800", &["key-3600s"]))
            .limits("alpha", &["1/second"])
            .ask(ALPHA, limited("1", &["key-1s"]))
            .limits("alpha", &["2/hour"])
            .ask(ALPHA, limited("1800", &["key-3600s"])),
        case("R9.4 two counts that take turns give what the larger has", "")
            .record(r#"{"key":"alpha","limit":"4/hour"}"#)
            .ask_times(4, ALPHA, &allowed())
            .limits("alpha", &["3/hour"])
            .ask(ALPHA, limited("1200", &["key-3600s"]).header("RateLimit", r#""key-3600s";r=0;t=3600"#))
            .limits("alpha", &["4/hour"])
            .ask(ALPHA, limited("900", &["key-3600s"]))
            .wait(seconds(900))
            .limits("alpha", &["3/hour"])
            .ask(ALPHA, limited("300", &["key-3600s"]))
            .limits("alpha", &["4/hour"])
            .ask(ALPHA, left(r#""key-3600s";r=0;t=3600"#))
            .limits("alpha", &["3/hour"])
            .ask(ALPHA, limited("1200", &["key-3600s"])),
        case("R9.4 a limit that is lowered and raised again gives nothing anew", "")
            .record(r#"{"key":"alpha","limit":"5/day"}"#)
            .ask_times(5, ALPHA, &allowed())
            .limits("alpha", &["1/day"])
            .ask(ALPHA, limited("86400", &["key-86400s"]))
            .limits("alpha", &["5/day"])
            .ask(ALPHA, limited("17280", &["key-86400s"]))
            .limits("alpha", &["1/minute"])
            .ask(ALPHA, limited("60", &["key-60s"]))
            .limits("alpha", &["2/minute"])
            .ask(ALPHA, limited("30", &["key-60s"]))
            .limits("alpha", &["4/2d"])
            .ask(ALPHA, limited("43200", &["key-172800s"])),
        case("R9.4 a quota whose window has another count now is remembered for a window", "")
            .record(r#"{"key":"alpha","limit":"2/minute"}"#)
            .ask(ALPHA, allowed())
            .limits("alpha", &["4/minute"])
            .ask(ALPHA, left(r#""key-60s";r=2;t=30"#))
            .wait(seconds(60) - NANOSECOND)
            .ask(ALPHA, left(r#""key-60s";r=3;t=15"#))
            .limits("alpha", &["2/minute"])
            .ask(ALPHA, limited("30", &["key-60s"]))
            .limits("alpha", &["4/minute"])
            .wait(seconds(60))
            .ask(ALPHA, left(r#""key-60s";r=3;t=15"#))
            .limits("alpha", &["2/minute"])
            .ask(ALPHA, left(r#""key-60s";r=0;t=60"#)),
        case("R9.4 a limit that changes locks nobody out for longer than its window", "")
            .record(r#"{"key":"alpha","limit":"9/day"}"#)
            .ask_times(9, ALPHA, &allowed())
            .limits("alpha", &["3/minute"])
            .ask(ALPHA, limited("20", &["key-60s"]))
            .wait(seconds(20) - NANOSECOND)
            .ask(ALPHA, limited("1", &["key-60s"]))
            .wait(NANOSECOND)
            .ask(ALPHA, allowed()),
        case("R9.4 a quota that stays goes on as it was when another comes or goes, or it gets a name", "")
            .record(r#"{"key":"alpha","limit":"2/minute"}"#)
            .ask_times(2, ALPHA, &allowed())
            .wait(seconds(29))
            .limits("alpha", &["2/minute", "9/hour"])
            .ask(ALPHA, limited("1", &["key-60s"]))
            .limits("alpha", &["hot=2/minute"])
            .ask(ALPHA, limited("1", &["hot"]))
            .wait(seconds(1))
            .ask(ALPHA, left(r#""hot";r=0;t=60"#)),
    ]
}

fn clocks() -> Vec<Case> {
    let two = "[limits]\nper_key = ['2/minute']\nper_address = ['3/minute']\nfailures = '1/minute'";
    vec![
        case("R9.1 a clock that is put forward by an hour gives nothing", two)
            .key("alpha")
            .ask_times(2, ALPHA, &allowed())
            .ask("GET /a\nX-API-Key: wrong", denied("unknown"))
            .clock_steps(3_600)
            .ask(ALPHA, limited("30", &["key-60s"]))
            .ask("GET /a\nX-API-Key: wrong", denied("failures-limited").header("Retry-After", "60"))
            .wait(seconds(30) - NANOSECOND)
            .ask(ALPHA, limited("1", &["key-60s"]))
            .wait(NANOSECOND)
            .ask(ALPHA, allowed()),
        case("R9.1 a clock that is put back by an hour locks nobody out", two)
            .key("alpha")
            .ask_times(2, ALPHA, &allowed())
            .ask("GET /a\nX-API-Key: wrong", denied("unknown"))
            .clock_steps(-3_600)
            .ask(ALPHA, limited("30", &["key-60s"]))
            .ask("GET /a\nX-API-Key: wrong", denied("failures-limited").header("Retry-After", "60"))
            .wait(seconds(30))
            .ask(ALPHA, allowed())
            .wait(seconds(30) - NANOSECOND)
            .ask("GET /a\nX-API-Key: wrong", denied("failures-limited").header("Retry-After", "1"))
            .wait(NANOSECOND)
            .ask("GET /a\nX-API-Key: wrong", denied("unknown"))
            .ask(ALPHA, allowed()),
        jitter(case("R9.1 a clock that trembles changes no limit", two).key("alpha")),
        case("R7.4 keys live by civil time, wherever it steps", "")
            .record(r#"{"key":"alpha","not_before":"2024-01-01T00:00:00Z","expires_at":"2024-01-01T01:00:00Z"}"#)
            .ask(ALPHA, allowed())
            .clock_steps(3_600)
            .ask(ALPHA, denied("expired"))
            .clock_steps(-3_601)
            .ask(ALPHA, denied("not-yet-valid"))
            .clock_steps(1)
            .ask(ALPHA, allowed()),
    ]
}

/// Ten seconds to and fro, with every request.
fn jitter(mut case: Case) -> Case {
    for round in 0..3 {
        for back_and_forth in [-10, 10] {
            case = case.clock_steps(back_and_forth).ask(ALPHA, if round == 0 { allowed() } else { limited("30", &["key-60s"]) });
        }
    }
    case.wait(seconds(30)).clock_steps(-10).ask(ALPHA, allowed())
}
