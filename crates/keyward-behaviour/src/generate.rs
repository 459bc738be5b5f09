//! Worlds for the model and an adapter to disagree about: a policy, keys, and a few requests with a clock.
//!
//! Everything is drawn from small alphabets, so that conflicts, duplicates, names that nearly match, odd spellings of
//! paths, spent quotas and the moments around an expiry are likely and not a matter of luck.

use std::{collections::BTreeMap, fmt, ops::RangeInclusive};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::{
    option,
    prelude::*,
    sample::{select, subsequence},
};

use crate::{
    cases::START,
    model::{
        happening::Happening,
        key::{self, ModelKey},
        policy::{
            Access, AuthenticatorName, BodyShape, ConfiguredKeys, Limits, ModelPolicy, Network, OnDenial, Place, Preflight,
            RateLimitHeaders, Resolution, Response, Route, Source, WebSocket,
        },
        request::ModelRequest,
        time::{Moment, SECOND},
    },
};

/// A service, and what is asked of it.
#[derive(Clone)]
pub struct World {
    /// The policy.
    pub policy: ModelPolicy,
    /// The stored keys.
    pub keys: Vec<ModelKey>,
    /// The variables of the environment.
    pub environment: BTreeMap<String, String>,
    /// What is asked, one after the other.
    pub steps: Vec<Asked>,
}

impl World {
    /// Every credential that the service knows.
    pub fn secrets(&self) -> Vec<String> {
        let stored = self.keys.iter().map(|key| key.key.clone());
        let configured = self.environment.values().flat_map(|value| value.split(',').map(|key| key.trim().to_owned()));
        stored.chain(configured).collect()
    }
}

/// One request, and how much later it comes.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Nanoseconds since the step before.
    pub wait: Moment,
    /// What happens before it.
    pub happenings: Vec<Happening>,
    /// The request.
    pub request: ModelRequest,
}

/// Worlds of 1 to 12 requests.
pub fn worlds() -> impl Strategy<Value = World> {
    worlds_of(1..=8, 12)
}

/// Worlds of very many requests each, where a service has to be started for every world.
pub fn large_worlds() -> impl Strategy<Value = World> {
    worlds_of(150..=150, 300)
}

fn worlds_of(groups: RangeInclusive<usize>, requests: usize) -> impl Strategy<Value = World> {
    (policies(), keys(), prop::collection::vec(steps(), groups)).prop_map(move |(policy, keys, steps)| {
        let mut steps: Vec<Asked> = steps.into_iter().flatten().take(requests).collect();
        let is_stored = |credential: &String| keys.iter().any(|stored: &ModelKey| stored.key == *credential);
        for step in &mut steps {
            step.happenings.retain(|happening| !matches!(happening, Happening::Limits { key, .. } if !is_stored(key)));
        }
        World { environment: environment_of(&policy), policy, keys, steps }
    })
}

/// Worlds in which some requests come from nobody, as no socket can have it.
pub fn worlds_without_some_peers() -> impl Strategy<Value = World> {
    (worlds(), prop::collection::vec(prop::bool::weighted(0.3), 12)).prop_map(|(mut world, without_peer)| {
        for (step, without_peer) in world.steps.iter_mut().zip(without_peer) {
            if without_peer {
                step.request.peer = None;
            }
        }
        world
    })
}

/// What a person needs in order to see it happen again: the files, and the requests as they go over the wire.
impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n--- policy\n{}", self.policy.to_toml())?;
        writeln!(f, "--- keys")?;
        for key in &self.keys {
            writeln!(f, "{}", key.to_json_line())?;
        }
        for (name, value) in &self.environment {
            writeln!(f, "--- environment: {name}={value}")?;
        }
        let mut now = START;
        for (number, step) in self.steps.iter().enumerate() {
            now += step.wait;
            for happening in &step.happenings {
                writeln!(f, "--- {happening:?}")?;
            }
            writeln!(f, "--- request {} at {}, {:?}", number + 1, crate::model::time::as_rfc3339(now), step.request)?;
        }
        Ok(())
    }
}

const SECRET: &str = "0123456789abcdefghijABCDEFGHIJ01";

/// What may stand in the place of a credential: good ones, bad ones, and ones that nearly are.
fn credentials() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => select(vec!["alpha", "beta", "gamma", "delta", "root", "customer"]).prop_map(str::to_owned),
        1 => Just(key::generated("kw", SECRET)),
        1 => Just(format!("kw_{SECRET}zzzzzz")),
        2 => Just("wrong".to_owned()),
        1 => select(vec!["", "Alpha", "alpha ", " alpha", "al pha", "alph", "\"alpha\"", "alph\u{e4}", "a,b"]).prop_map(str::to_owned),
        1 => select(vec![1_024_usize, 1_025]).prop_map(|length| "k".repeat(length)),
    ]
}

fn keys() -> impl Strategy<Value = Vec<ModelKey>> {
    let known = vec![
        "alpha".to_owned(),
        "beta".to_owned(),
        "gamma".to_owned(),
        "delta".to_owned(),
        "k".repeat(1_024),
        key::generated("kw", SECRET),
    ];
    subsequence(known, 2..=6).prop_flat_map(|credentials| credentials.into_iter().map(key_with_conditions).collect::<Vec<_>>())
}

fn key_with_conditions(credential: String) -> impl Strategy<Value = ModelKey> {
    let moments = || option::weighted(0.2, select(vec![START - 1, START, START + 1, START + 5 * SECOND, START + 30 * SECOND]));
    (
        option::of(select(vec!["service", "admin", "user"])),
        option::of(select(vec!["olga", "omar"])),
        subsequence(vec!["reports:read", "reports:*", "jobs:run", "jobs:run:now"], 0..=3),
        moments(),
        moments(),
        (prop::bool::weighted(0.08), prop::bool::weighted(0.08)),
        prop_oneof![
            6 => Just(vec![]),
            1 => select(vec!["127.0.0.1", "127.0.0.0/30", "203.0.113.0/24", "::/0"]).prop_map(|network| vec![network]),
        ],
        option::weighted(0.06, select(vec!["/*", "/", "/a", "/jobs/*", "/reports/1", "/jobs:purge", "/healthz"])),
        prop_oneof![4 => Just(Vec::new()), 1 => own_limits()],
    )
        .prop_map(move |(kind, owner, scopes, not_before, expires_at, (revoked, disabled), allowed_ips, pattern, limits)| {
            ModelKey {
                name: Some(format!("named {}", &credential[..1])),
                key: credential.clone(),
                kind: kind.map(str::to_owned),
                owner: owner.map(str::to_owned),
                scopes: owned(&scopes),
                not_before,
                expires_at: expires_at.filter(|end| not_before.is_none_or(|start| start < *end)),
                revoked,
                disabled,
                allowed_ips: owned(&allowed_ips),
                resource_pattern: pattern.map(str::to_owned),
                limits: owned(&limits),
            }
        })
}

/// A key's own quotas.
fn own_limits() -> impl Strategy<Value = Vec<&'static str>> {
    select(vec![
        vec!["1/10s"],
        vec!["2/minute"],
        vec!["2/minute", "4/hour"],
        vec!["own=2/minute"],
        vec!["own=2/10s", "everybody=4/hour"],
    ])
}

fn policies() -> impl Strategy<Value = ModelPolicy> {
    (
        option::weighted(0.8, sources()),
        select(vec![Resolution::RejectConflict, Resolution::FirstPresent, Resolution::FirstValid]),
        authenticators(),
        access(),
        networks(),
        limits(),
        routes(),
        responses(),
        websockets(),
    )
        .prop_map(
            |(sources, resolution, (authenticators, configured_keys), access, network, limits, routes, response, websocket)| {
                ModelPolicy {
                    sources,
                    resolution,
                    authenticators,
                    configured_keys,
                    access,
                    network,
                    limits,
                    routes,
                    response,
                    websocket,
                    audit: toml::Table::new(),
                }
            },
        )
}

fn sources() -> impl Strategy<Value = Vec<Source>> {
    let pool = vec![
        Source::everywhere(Place::Bearer),
        Source::everywhere(Place::header("X-API-Key")),
        Source::everywhere(Place::Header { name: "Authorization".to_owned(), scheme: Some("ApiKey".to_owned()) }),
        Source::everywhere(Place::Cookie("k".to_owned())),
        Source::everywhere(Place::Query("api_key".to_owned())),
        Source { only_websocket: true, ..Source::everywhere(Place::Query("ws_key".to_owned())) },
        Source { paths: vec!["/jobs/*".to_owned()], ..Source::everywhere(Place::header("X-Job-Key")) },
        Source::everywhere(Place::Subprotocol("auth".to_owned())),
    ];
    prop_oneof![1 => subsequence(pool.clone(), 1..=3), 3 => subsequence(pool, 4..=8)].prop_shuffle()
}

fn authenticators() -> impl Strategy<Value = (Option<Vec<AuthenticatorName>>, Vec<ConfiguredKeys>)> {
    use AuthenticatorName::{Configured, Store};
    let lists = prop_oneof![
        3 => Just(vec![Store]),
        1 => Just(vec![Configured]),
        2 => Just(vec![Store, Configured]),
        2 => Just(vec![Configured, Store]),
    ];
    lists.prop_map(|list| {
        let configured_keys = if list.contains(&Configured) {
            vec![
                ConfiguredKeys {
                    env: "ROOT_KEY".to_owned(),
                    kind: Some("admin".to_owned()),
                    scopes: vec!["reports:*".to_owned()],
                    ..ConfiguredKeys::default()
                },
                ConfiguredKeys { env: "CUSTOMER_KEYS".to_owned(), separator: Some(",".to_owned()), ..ConfiguredKeys::default() },
            ]
        } else {
            Vec::new()
        };
        (Some(list), configured_keys)
    })
}

/// `delta` is a stored key as well, so that the order of the authenticators shows.
fn environment_of(policy: &ModelPolicy) -> BTreeMap<String, String> {
    let values = [("ROOT_KEY", "root"), ("CUSTOMER_KEYS", "customer, delta")];
    values
        .into_iter()
        .filter(|(name, _)| policy.configured_keys.iter().any(|keys| keys.env == *name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn access() -> impl Strategy<Value = Access> {
    (
        subsequence(vec!["/healthz", "/docs/*"], 0..=2),
        select(vec![Preflight::Pass, Preflight::Guard]),
        option::of(Just("https://own.test".to_owned())),
    )
        .prop_map(|(open_paths, preflight, public_url)| Access {
            open_paths: owned(&open_paths),
            preflight,
            public_url,
            ..Access::default()
        })
}

fn networks() -> impl Strategy<Value = Network> {
    let allow = prop_oneof![
        5 => Just(None),
        1 => Just(Some(vec!["*"])),
        1 => Just(Some(vec!["127.0.0.0/30", "10.0.0.0/8"])),
        1 => Just(Some(vec!["203.0.113.0/24", "127.0.0.1", "2001:db8::/32"])),
    ];
    let deny = prop_oneof![5 => Just(vec![]), 1 => Just(vec!["127.0.0.2"]), 1 => Just(vec!["198.51.100.0/24", "2001:db8::/64"])];
    let header = option::weighted(0.5, select(vec!["X-Forwarded-For", "Forwarded", "X-Real-IP"]));
    let trust = prop_oneof![6 => Just(Trust::Named), 1 => Just(Trust::Everybody), 2 => (1..=3_usize).prop_map(Trust::Hops)];
    (allow, deny, header, trust).prop_map(|(allow, deny, header, trust)| {
        let mut network = Network {
            allow: allow.map(|list| owned(&list)),
            deny: owned(&deny),
            client_address_header: header.map(str::to_owned),
            ..Network::default()
        };
        match (header, trust) {
            (None, _) => {}
            (_, Trust::Named) => network.trusted_proxies = owned(&["127.0.0.3/32", "10.0.0.0/8"]),
            (_, Trust::Everybody) => network.insecure_trust_all_proxies = true,
            // No proxy adds to what it holds.
            (Some("X-Real-IP"), Trust::Hops(_)) => network.trusted_hops = Some(1),
            (_, Trust::Hops(hops)) => network.trusted_hops = Some(hops),
        }
        network
    })
}

#[derive(Clone, Copy, Debug)]
enum Trust {
    Named,
    Everybody,
    Hops(usize),
}

/// Counts that divide their window: whether the fraction of a nanosecond counts is no rule's business.
fn limits() -> impl Strategy<Value = Limits> {
    let none_or = |one: Vec<Vec<&'static str>>| prop_oneof![2 => Just(vec![]), 1 => select(one)];
    (
        none_or(vec![
            vec!["1/minute"],
            vec!["2/minute"],
            vec!["burst=2/10s"],
            vec!["1/10s", "3/hour"],
            vec!["burst=4/10s", "long=6/hour"],
        ]),
        none_or(vec![vec!["2/minute"], vec!["team=3/minute"]]),
        none_or(vec![vec!["3/minute"], vec!["1/s", "near=5/minute"]]),
        prop_oneof![4 => Just(vec![]), 1 => Just(vec!["4/minute"]), 1 => Just(vec!["everybody=6/minute"])],
        option::of(select(vec!["1/minute", "2/minute", "2/10s", "off"])),
    )
        .prop_map(|(per_key, per_owner, per_address, per_policy, failures)| Limits {
            per_key: owned(&per_key),
            per_owner: owned(&per_owner),
            per_address: owned(&per_address),
            per_policy: owned(&per_policy),
            failures: failures.map(str::to_owned),
        })
}

fn routes() -> impl Strategy<Value = Vec<Route>> {
    let route = |path: &str| Route { path: path.to_owned(), ..Route::default() };
    let pool = vec![
        Route { cost: Some(3), ..route("/a") },
        Route { methods: owned(&["GET"]), scopes: owned(&["reports:read"]), cost: Some(2), ..route("/reports/*") },
        Route { methods: owned(&["POST", "PUT"]), any_scope: owned(&["reports:write", "jobs:run"]), ..route("/reports/*") },
        Route { scopes: owned(&["reports:read", "jobs:run"]), kinds: owned(&["service", "admin"]), ..route("/jobs/1") },
        Route { methods: owned(&["GET"]), deny: owned(&["127.0.0.2", "2001:db8::/64"]), ..route("/jobs/2") },
        Route { kinds: owned(&["service"]), ..route("/jobs/*") },
        Route {
            optional: true,
            cost: Some(9),
            allow: Some(owned(&["127.0.0.0/31", "203.0.113.0/24"])),
            deny: owned(&["203.0.113.9"]),
            ..route("/front")
        },
        Route { allow: Some(owned(&["*"])), ..route("/costing/2/a") },
        Route { methods: owned(&["POST"]), ..route("/docs/*") },
    ];
    prop_oneof![1 => Just(vec![]), 2 => subsequence(pool, 0..=9)]
}

fn responses() -> impl Strategy<Value = Response> {
    (
        select(vec![BodyShape::Problem, BodyShape::Detail, BodyShape::Error]),
        option::weighted(0.3, select(vec!["own text".to_owned(), "a".repeat(123), "a".repeat(124)])),
        option::weighted(0.3, select(vec!["own text of missing".to_owned(), "\u{fc}".repeat(62)])),
        option::weighted(0.3, select(vec!["own text of all else".to_owned(), "\u{20ac}".repeat(50)])),
        prop_oneof![
            3 => Just(None),
            1 => Just(Some(vec![])),
            1 => Just(Some(vec![RateLimitHeaders::Draft, RateLimitHeaders::Legacy])),
        ],
        prop::bool::weighted(0.8),
        option::weighted(0.2, Just("APIKey".to_owned())),
    )
        .prop_map(|(body, unauthorized, missing, all_else, rate_limit_headers, strip_credentials, challenge)| Response {
            body,
            challenge,
            unauthorized,
            missing,
            forbidden_address: all_else.clone(),
            forbidden_scope: all_else.clone(),
            limited: all_else.clone(),
            conflict: all_else.clone(),
            unavailable: all_else,
            rate_limit_headers,
            strip_credentials,
            ..Response::default()
        })
}

fn websockets() -> impl Strategy<Value = WebSocket> {
    (
        subsequence(vec!["https://friend.test"], 0..=1),
        prop::bool::weighted(0.7),
        option::weighted(0.3, select(vec![1000, 1013, 3000, 4001])),
    )
        .prop_map(|(allowed_origins, closes, close_code)| WebSocket {
            allowed_origins: owned(&allowed_origins),
            on_denial: if closes { OnDenial::Close } else { OnDenial::Refuse },
            close_code,
            connections_per_key: None,
        })
}

/// The same request a few times in a row, as clients do, which is what spends a quota.
fn steps() -> impl Strategy<Value = Vec<Asked>> {
    let waits = prop_oneof![
        6 => Just(0),
        4 => select(vec![1, 5 * SECOND - 1, 5 * SECOND, 10 * SECOND - 1, 10 * SECOND, 30 * SECOND - 1, 30 * SECOND, 60 * SECOND]),
    ];
    let requests = prop_oneof![requests(), tame_requests()];
    let asked = (waits, happenings());
    (requests, prop_oneof![2 => prop::collection::vec(asked.clone(), 1), 1 => prop::collection::vec(asked, 2..=5)]).prop_map(
        |(request, asked)| {
            asked.into_iter().map(|(wait, happenings)| Asked { wait, happenings, request: request.clone() }).collect()
        },
    )
}

/// Mostly nothing; else a key's quotas change, or civil time steps.
fn happenings() -> impl Strategy<Value = Vec<Happening>> + Clone {
    let keys = select(vec!["alpha", "alpha", "beta", "gamma", "delta"]);
    let limits = prop_oneof![1 => Just(Vec::new()), 3 => own_limits()];
    let changes =
        (keys, limits).prop_map(|(key, limits)| Happening::Limits { key: key.to_owned(), limits: owned(&limits) }).boxed();
    let steps = select(vec![-3_600 * SECOND, -10 * SECOND, 10 * SECOND, 3_600 * SECOND]).prop_map(Happening::ClockStep);
    prop_oneof![
        16 => Just(Vec::new()),
        4 => changes.prop_map(|change| vec![change]),
        1 => steps.prop_map(|step| vec![step]),
    ]
}

/// One credential in one place, most likely a good one, and seldom a second: requests that get beyond R7.
fn tame_requests() -> impl Strategy<Value = ModelRequest> {
    let credentials = select(vec!["alpha", "alpha", "beta", "gamma", "delta", "root", "wrong"]);
    let places = prop_oneof![
        6 => Just("X-API-Key: "),
        6 => Just("Authorization: Bearer "),
        6 => Just("Cookie: k="),
        3 => Just("?api_key="),
        3 => select(vec!["Sec-WebSocket-Protocol: auth.", "Sec-WebSocket-Protocol: chat, auth.", "Sec-WebSocket-Protocol: auth."]),
    ];
    let seconds = prop_oneof![14 => Just(""), 1 => Just("\nX-API-Key: beta")];
    let methods = prop_oneof![4 => Just("GET"), 3 => Just("POST"), 1 => Just("HEAD")];
    let paths = prop_oneof![
        4 => Just("/a"),
        4 => select(vec!["/scoped/reports:read/a", "/scoped/jobs:run:now/a"]),
        2 => Just("/costing/2/a"),
        4 => select(vec!["/reports/1", "/jobs/1", "/jobs/2", "/front"]),
    ];
    let origins = prop_oneof![
        1 => Just(""),
        1 => select(vec!["\nOrigin: https://own.test", "\nOrigin: https://evil.test", "\nSec-Fetch-Site: cross-site"]),
    ];
    let peers = prop_oneof![3 => Just([127, 0, 0, 1]), 1 => Just([127, 0, 0, 2])];
    let handshakes = prop_oneof![5 => Just(Headers::new()), 3 => spellings()];
    (credentials, places, seconds, methods, paths, origins, handshakes, peers).prop_map(
        |(credential, place, second, method, path, origin, handshake, peer)| {
            let method = if handshake.is_empty() { method } else { "GET" };
            let credential = if place.ends_with("auth.") { URL_SAFE_NO_PAD.encode(credential) } else { credential.to_owned() };
            let text = match place.strip_prefix('?') {
                Some(parameter) => format!("{method} {path}?{parameter}{credential}{second}{origin}"),
                None => format!("{method} {path}\n{place}{credential}{second}{origin}"),
            };
            let mut request = ModelRequest::parse(&text, Some(peer.into()));
            request.headers.extend(handshake);
            request
        },
    )
}

fn requests() -> impl Strategy<Value = ModelRequest> {
    let methods = prop_oneof![
        6 => Just("GET"),
        2 => Just("POST"),
        1 => select(vec!["HEAD", "OPTIONS", "PUT", "get"]),
    ];
    let peers = prop_oneof![3 => Just([127, 0, 0, 1]), 1 => Just([127, 0, 0, 2]), 2 => Just([127, 0, 0, 3])];
    (methods, targets(), prop::collection::vec(header_groups(), 0..=4), handshakes(), peers).prop_map(
        |(method, target, groups, handshake, peer)| {
            let mut headers = vec![("Host".to_owned(), b"api.test".to_vec())];
            headers.extend(groups.into_iter().flatten());
            // Two lengths are for parsers to judge, too.
            let mut lengths = 0;
            headers.retain(|(name, _)| {
                name != "Content-Length" || {
                    lengths += 1;
                    lengths == 1
                }
            });
            // What is half a handshake is for parsers to judge, not for a guard.
            if method == "GET" {
                headers.extend(handshake);
            }
            let body = if headers.iter().any(|(name, _)| name == "Content-Length") { b"x".to_vec() } else { Vec::new() };
            ModelRequest { method: method.to_owned(), target, headers, body, peer: Some(peer.into()) }
        },
    )
}

fn targets() -> impl Strategy<Value = Vec<u8>> {
    let paths = prop_oneof![
        3 => Just("/"),
        10 => select(vec![
            "/a",
            "/healthz",
            "/docs/a",
            "/reports/1",
            "/jobs/1",
            "/jobs/2",
            "/front",
            "/optional/a",
            "/scoped/reports:read/a",
            "/scoped/jobs:run:now/a",
            "/costing/2/a",
        ]),
        4 => select(vec![
            "/healthz/",
            "/health%7a",
            "/Healthz",
            "/docs",
            "/docs/",
            "/docs/../a",
            "/docs/%2e%2e/a",
            "/docs//a",
            "/docs%2Fa",
            "/docs/a%5cb",
            "/docs/a%00",
            "/docs\\a",
            "/%72eports/1",
            "/reports/1/",
            "/reports",
            "/%2572eports/1",
            "/jobs/%31",
            "/jobs/%",
            "/jobs/%3",
            "/jobs/%3g",
            "/jobs/%zz",
            "/%6zobs/1",
            "/jobs/1//",
            "//a",
            "/.",
            "http://api.test/reports/1",
            "http://api.test",
        ]),
    ];
    (paths, prop::collection::vec(parameters(), 0..=3)).prop_map(|(path, parameters)| {
        if parameters.is_empty() { path.to_owned() } else { format!("{path}?{}", parameters.join("&")) }.into_bytes()
    })
}

fn parameters() -> impl Strategy<Value = String> {
    let names = prop_oneof![5 => Just("api_key"), 2 => select(vec!["%61pi_key", "API_KEY", "ws_key", "api_key2"])];
    prop_oneof![
        2 => (names, credentials()).prop_map(|(name, credential)| format!("{name}={}", percent_encoded(&credential))),
        2 => select(vec!["a=1", "b", "", "c=%7E+", "%zz=1", "d=%zz"]).prop_map(str::to_owned),
        1 => select(vec!["api_key", "api_key=", "api_key=%zz", "api_key=al+pha", "api_key=%61lpha"]).prop_map(str::to_owned),
    ]
}

fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(
            |byte| {
                if byte.is_ascii_alphanumeric() || byte == b'_' { char::from(byte).to_string() } else { format!("%{byte:02X}") }
            },
        )
        .collect()
}

type Headers = Vec<(String, Vec<u8>)>;

fn header_groups() -> BoxedStrategy<Headers> {
    let one = |name: &str, value: String| vec![(name.to_owned(), value.into_bytes())];
    let authorization = (
        prop_oneof![
            4 => Just("Bearer "),
            2 => select(vec!["bearer   ", "ApiKey ", "apikey ", "Basic ", "Bearer", "Bearer\t", "Bearer,", "Bearers "]),
        ],
        credentials(),
    );
    let header_names =
        prop_oneof![4 => Just("X-API-Key"), 1 => Just("x-api-key"), 1 => Just("X-Job-Key"), 1 => Just("X_API_Key")];
    let pairs = prop::collection::vec(
        prop_oneof![
            3 => credentials().prop_filter("a cookie's value has no separator", |text| !text.contains([' ', ';'])).prop_map(|c| format!("k={c}")),
            1 => credentials().prop_filter("a cookie's value has no separator", |text| !text.contains([' ', ';'])).prop_map(|c| format!("K={c}")),
            1 => Just("other=1".to_owned()),
        ],
        1..=2,
    );
    let hops = prop::collection::vec(
        select(vec![
            "203.0.113.9",
            "198.51.100.7",
            "198.51.100.7:80",
            "10.1.1.1",
            "::ffff:203.0.113.9",
            "2001:db8::1",
            "2001:db8::2",
            "[2001:db8:0:1::1]:443",
            "fe80::1%eth0",
            "127.0.0.1",
            "127.0.0.3",
            "0.0.0.0",
            "::ffff:0.0.0.0",
            "unknown",
            "rubbish",
            "203.0.113.09",
            "",
        ]),
        1..=3,
    );
    prop_oneof![
        6 => authorization.prop_map(move |(scheme, credential)| one("Authorization", format!("{scheme}{credential}"))),
        6 => (header_names, credentials()).prop_map(move |(name, credential)| one(name, credential)),
        4 => (pairs, select(vec!["; ", ";", " ; "])).prop_map(move |(pairs, between)| one("Cookie", pairs.join(between))),
        3 => (select(vec!["X-Forwarded-For", "X-Real-IP"]), hops.clone(), select(vec![", ", ",", " , ", ",\t"]))
            .prop_map(move |(name, hops, between)| one(name, hops.join(between))),
        2 => hops.prop_map(move |hops| {
            let elements: Vec<String> = hops.iter().map(|hop| format!("for=\"{hop}\";proto=https")).collect();
            one("Forwarded", elements.join(","))
        }),
        1 => select(vec![
            "for=203.0.113.9",
            "FOR=203.0.113.9;by=10.0.0.1",
            "for=203.0.113.9, for=10.1.1.1",
            "for=203.0.113.9;by=\"a,for=198.51.100.1\"",
            "for=203.0.113.9, for=\"198.51.100.1",
            "for=1.1.1.1;for=203.0.113.9",
            "by=203.0.113.9",
            "for=_hidden",
            "for=\"_hidden\"",
            "for=\"203.0.113.9:_port\"",
            "for=\"203.0.113.9:_p!\"",
            "for=\"203.0.113.9:_\"",
            "for=\"203.0.113.9:99999\"",
            "for=\"203.0.113.9:80a\"",
            "=203.0.113.9",
            "=;for=203.0.113.9",
            "a b=c;for=203.0.113.9",
            "for=203.0.113.9;b@=c",
            "for=203.0.113.9;by=\"a\"b",
            "for=203.0.113.9;by",
            "for=\"20\\3.0.113.9\"",
            "for",
            "",
        ])
        .prop_map(move |line| one("Forwarded", line.to_owned())),
        3 => select(vec!["https://own.test", "https://friend.test", "https://evil.test", "null"])
            .prop_map(move |origin| one("Origin", origin.to_owned())),
        1 => select(vec!["cross-site", "same-site", "same-origin", "none"])
            .prop_map(move |site| one("Sec-Fetch-Site", site.to_owned())),
        2 => select(vec!["GET", "PUT, GET"]).prop_map(move |method| one("Access-Control-Request-Method", method.to_owned())),
        1 => select(vec!["good-id", "bad id", ""]).prop_map(move |id| one("X-Request-ID", id.to_owned())),
        1 => Just(one("Content-Length", "1".to_owned())),
    ]
    .boxed()
}

/// Mostly none; else a good one, in one of its spellings, or one that nearly is.
fn handshakes() -> impl Strategy<Value = Headers> {
    let offers = option::of(select(vec![
        "chat",
        "chat, auth.YWxwaGE",
        "auth.YmV0YQ, chat",
        "auth.YWxwaGE",
        "chat, auth.%",
        "chat, auth.YQ, auth.Yg",
        "auth.YWxwaGE, a b, a/b, talk, chat",
        "auth.d3Jvbmc, auth, chat",
    ]));
    let valid = (spellings(), offers).prop_map(|(mut headers, offer)| {
        headers.extend(offer.map(|offer| ("Sec-WebSocket-Protocol".to_owned(), offer.as_bytes().to_vec())));
        headers
    });
    prop_oneof![
        8 => Just(Vec::new()),
        4 => valid.clone(),
        1 => (valid, flaws()).prop_map(|(mut headers, (name, value))| {
            match value {
                // The header is there a second time, or not at all.
                Some("twice") => {
                    let again = headers.iter().find(|(written, _)| written == name).cloned();
                    headers.extend(again);
                }
                None => headers.retain(|(written, _)| written != name),
                Some(value) => {
                    for (_, written) in headers.iter_mut().filter(|(written, _)| written == name) {
                        *written = value.as_bytes().to_vec();
                    }
                }
            }
            headers
        }),
    ]
}

/// The headers of a handshake that a server may complete.
fn spellings() -> impl Strategy<Value = Headers> + Clone {
    let upgrades = prop_oneof![4 => Just("websocket"), 1 => Just("WebSocket")];
    let connections = prop_oneof![3 => Just("Upgrade"), 2 => select(vec!["keep-alive, Upgrade", "upgrade", "close ,\tUPGRADE"])];
    let keys = select(vec!["dGhlIHNhbXBsZSBub25jZQ==", "AAAAAAAAAAAAAAAAAAAAAA==", "////////////////////+w=="]);
    (upgrades, connections, keys).prop_map(|(upgrade, connection, key)| {
        [("Upgrade", upgrade), ("Connection", connection), ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", key)]
            .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()))
            .to_vec()
    })
}

/// What keeps a handshake from being completed: a header, and what stands there; `None` if it is missing.
fn flaws() -> impl Strategy<Value = (&'static str, Option<&'static str>)> {
    select(vec![
        ("Upgrade", None),
        ("Upgrade", Some("h2c")),
        ("Upgrade", Some("websockets")),
        ("Connection", None),
        ("Connection", Some("keep-alive")),
        ("Connection", Some("upgrades")),
        ("Sec-WebSocket-Version", None),
        ("Sec-WebSocket-Version", Some("8")),
        ("Sec-WebSocket-Version", Some("013")),
        ("Sec-WebSocket-Version", Some("13, 8")),
        ("Sec-WebSocket-Version", Some("twice")),
        ("Sec-WebSocket-Key", None),
        ("Sec-WebSocket-Key", Some("")),
        ("Sec-WebSocket-Key", Some("twice")),
        ("Sec-WebSocket-Key", Some("AAAAAAAAAAAAAAAAAAAAAB==")),
        ("Sec-WebSocket-Key", Some("AAAAAAAAAAAAAAAAAAAAAAA=")),
        ("Sec-WebSocket-Key", Some("AAAAAAAAAAAAAAAAAAAAAA")),
        ("Sec-WebSocket-Key", Some("____________________-w==")),
    ])
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::{strategy::ValueTree, test_runner::TestRunner};

    use super::*;
    use crate::{
        demands::demands_of,
        model::{Model, answer::ModelAnswer, limits::Standing, websocket::is_valid_handshake},
    };

    /// What a request shows of R12.
    fn handshakes_in(policy: &ModelPolicy, request: &ModelRequest, answer: &ModelAnswer) -> Vec<&'static str> {
        let mut seen = Vec::new();
        let names_one = !request.values("Upgrade").is_empty() || !request.values("Sec-WebSocket-Key").is_empty();
        let closes = policy.websocket.on_denial == OnDenial::Close;
        let Some(close) = &answer.close else {
            seen.extend(match (is_valid_handshake(request), answer.status) {
                (true, 200) => Some("a handshake passes"),
                (true, _) => Some("a handshake is refused by policy"),
                (false, 400..) if names_one && closes => Some("nearly a handshake"),
                _ => None,
            });
            return seen;
        };
        let offers = request.values("Sec-WebSocket-Protocol").concat();
        let offers = String::from_utf8_lossy(&offers);
        seen.push("closed");
        seen.push(match answer.kind().unwrap_or_default() {
            "missing" => "closed: missing",
            "limited" => "closed: limited",
            "origin" => "closed: origin",
            "scope" => "closed: scope",
            "conflict" => "closed: conflict",
            "duplicate" => "closed: duplicate",
            "path" => "closed: path",
            "address" => "closed: address",
            "malformed" | "unknown" | "expired" | "not-yet-valid" | "revoked" | "disabled" => "closed: a bad key",
            _ => "closed: another kind",
        });
        for (what, is_so) in [
            ("closed by another code", close.code != 1008),
            ("closed with a subprotocol", close.subprotocol.is_some()),
            ("closed with a subprotocol beside a credential", close.subprotocol.is_some() && offers.contains("auth.")),
            ("closed without a subprotocol that was offered", close.subprotocol.is_none() && !offers.is_empty()),
            ("closed with the policy's text", close.reason.is_some()),
            ("closed with a text that is cut", close.reason.as_ref().is_some_and(|reason| (121..=123).contains(&reason.len()))),
        ] {
            seen.extend(is_so.then_some(what));
        }
        seen
    }

    /// A generator that hardly ever reaches a rule proves nothing about it.
    #[test]
    fn every_outcome_is_likely() {
        let mut runner = TestRunner::deterministic();
        let strategy = worlds();
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for _ in 0..1_500 {
            let world = strategy.new_tree(&mut runner).expect("worlds have no filter that gives up").current();
            let mut model = Model::new(world.policy, world.keys, world.environment);
            let mut now = START;
            for step in world.steps {
                now += step.wait;
                for happening in &step.happenings {
                    model.happen(happening);
                    let what = if matches!(happening, Happening::Limits { .. }) { "quotas change" } else { "the clock steps" };
                    *seen.entry(what).or_default() += 1;
                }
                let answer = model.decide_demanding(&step.request, &demands_of(&step.request), now);
                *seen.entry(answer.kind().unwrap_or("passed")).or_default() += 1;
                for what in handshakes_in(model.policy(), &step.request, &answer) {
                    *seen.entry(what).or_default() += 1;
                }
                if answer.principal.is_some() {
                    *seen.entry("principal").or_default() += 1;
                }
                let standings = &answer.rate_limits;
                let is_spent = |standing: &Standing| standing.wait > 0;
                for (what, is_so) in [
                    ("a quota of a name", standings.iter().any(|standing| standing.quota.name.is_some())),
                    ("several quotas", standings.len() > 1),
                    ("one of several refuses", standings.iter().any(is_spent) && !standings.iter().all(is_spent)),
                    ("refuses with some left", standings.iter().any(|standing| is_spent(standing) && standing.remaining > 0)),
                ] {
                    *seen.entry(what).or_default() += usize::from(is_so);
                }
            }
        }
        for kind in [
            "passed",
            "principal",
            "missing",
            "malformed",
            "duplicate",
            "conflict",
            "unknown",
            "expired",
            "not-yet-valid",
            "disabled",
            "revoked",
            "path",
            "route",
            "address",
            "kind",
            "scope",
            "origin",
            "limited",
            "failures-limited",
            "quotas change",
            "the clock steps",
            "a quota of a name",
            "several quotas",
            "one of several refuses",
            "refuses with some left",
            "a handshake passes",
            "a handshake is refused by policy",
            "nearly a handshake",
            "closed",
            "closed: missing",
            "closed: a bad key",
            "closed: limited",
            "closed: origin",
            "closed: scope",
            "closed: conflict",
            "closed: duplicate",
            "closed: path",
            "closed: address",
            "closed by another code",
            "closed with a subprotocol",
            "closed with a subprotocol beside a credential",
            "closed without a subprotocol that was offered",
            "closed with the policy's text",
            "closed with a text that is cut",
        ] {
            assert!(seen.get(kind).copied().unwrap_or_default() >= 20, "{kind}: {seen:?}");
        }
    }
}
