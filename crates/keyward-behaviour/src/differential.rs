//! The same bytes to several adapters at once: what one answers, all answer.
//!
//! The model says what an answer must be; this says that nothing it has no opinion on differs either: wordings, the order of
//! header lines, lengths. It also pins what each framework's parser refuses by itself, before any guard sees it.

mod malformed;

pub use malformed::{Malformed, malformed};

use std::{collections::BTreeMap, io};

use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::Value;

use crate::{
    cases::{Case, START},
    generate::{World, worlds},
    harness::Adapter,
    model::{key::ModelKey, request::ModelRequest},
    service::{Away, Place, Service},
    wire::{Connection, Protocol, Received, Upgraded, can_be_said_in_http2},
};

/// How requests get to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// A connection for each.
    Apart,
    /// One connection, the next request after the last answer.
    KeptAlive,
    /// One connection, all requests before the first answer.
    Pipelined,
    /// HTTP/2.
    Http2,
}

/// An answer without what may differ from one service to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Normalised {
    status: u16,
    headers: BTreeMap<String, Vec<String>>,
    body: Value,
    upgraded: Option<Upgraded>,
}

/// Runs one named case on every adapter, in HTTP/1.1 and HTTP/2.
///
/// # Errors
/// The first answer or event that is not the first adapter's.
pub async fn run_case(adapters: &[Adapter], case: &Case) -> Result<(), String> {
    let environment = case.environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut services = Vec::new();
    for place in places(adapters) {
        services.push((place, Service::start(place, case.policy, &case.keys.join("\n"), &environment, case.away).await?));
    }
    for step in &case.steps {
        let mut first: Option<(String, Outcome)> = None;
        for (place, service) in &mut services {
            for happening in &step.happenings {
                service.happen(happening).await?;
            }
            if !place.can_run(case) || step.expected.parsers_may_refuse {
                continue;
            }
            let (answer, events) = service.ask(&step.request, step.now).await?;
            agree(&mut first, place.name(), outcome(&answer, events), &step.request)?;
        }
    }
    Ok(())
}

/// An answer, and the events that it left.
type Outcome = (Normalised, Vec<Value>);

fn places(adapters: &[Adapter]) -> Vec<Place> {
    let http1 = adapters.iter().map(|adapter| Place::Adapter(*adapter, Protocol::Http1));
    let http2 = adapters.iter().filter(|adapter| adapter.http2).map(|adapter| Place::Adapter(*adapter, Protocol::Http2));
    // The core by itself first, so that one adapter alone has somebody to agree with.
    std::iter::once(Place::InProcess).chain(http1).chain(http2).collect()
}

fn outcome(answer: &Received, events: Vec<Value>) -> Outcome {
    (normalise(answer), events.into_iter().map(normalise_event).collect())
}

fn agree(first: &mut Option<(String, Outcome)>, name: String, outcome: Outcome, request: &ModelRequest) -> Result<(), String> {
    match first {
        None => *first = Some((name, outcome)),
        Some((_, expected)) if *expected == outcome => {}
        Some((other, expected)) => {
            return Err(format!("--- sent\n{request:?}\n--- {other}\n{expected:#?}\n--- {name}\n{outcome:#?}"));
        }
    }
    Ok(())
}

/// Sends generated requests to every adapter: each over a connection of its own, one after the other over one that is kept,
/// pipelined, and over HTTP/2.
///
/// # Errors
/// The smallest world found in which two answers differ.
pub fn run_worlds(adapters: &[Adapter], cases: u32, runtime: &tokio::runtime::Runtime) -> Result<(), String> {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 2_000, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let step = |world: World| runtime.block_on(run_world(adapters, &world)).map_err(TestCaseError::fail);
    runner.run(&worlds(), step).map_err(|failure| failure.to_string())
}

async fn run_world(adapters: &[Adapter], world: &World) -> Result<(), String> {
    let requests: Vec<ModelRequest> = world.steps.iter().filter_map(|step| on_one_connection(&step.request)).collect();
    let mut first: Option<(String, Outcomes)> = None;
    for adapter in adapters {
        for way in [Way::Apart, Way::KeptAlive, Way::Pipelined, Way::Http2] {
            let possible = match way {
                Way::Apart | Way::KeptAlive => true,
                Way::Pipelined => requests.iter().all(adapter.pipelined),
                Way::Http2 => adapter.http2 && requests.iter().all(can_be_said_in_http2),
            };
            if !possible {
                continue;
            }
            let name = format!("{} {way:?}", adapter.name);
            let got = ask(*adapter, way, world, &requests).await.map_err(|problem| format!("{name}: {problem}"))?;
            let Some((other, expected)) = &first else {
                first = Some((name, got));
                continue;
            };
            if let Some(at) = (0..requests.len()).find(|&at| expected.answers[at] != got.answers[at]) {
                let (request, expected, got) = (&requests[at], &expected.answers[at], &got.answers[at]);
                return Err(format!("--- sent\n{request:?}\n--- {other}\n{expected:#?}\n--- {name}\n{got:#?}"));
            }
            if expected.events != got.events {
                return Err(format!("--- events, {other}\n{:#?}\n--- {name}\n{:#?}", expected.events, got.events));
            }
        }
    }
    Ok(())
}

/// What became of all requests of a world.
struct Outcomes {
    answers: Vec<Normalised>,
    events: Vec<Value>,
}

/// A request that leaves its connection open for the next, from the one address that a connection has.
fn on_one_connection(request: &ModelRequest) -> Option<ModelRequest> {
    let mut request = request.clone();
    request.peer = Some([127, 0, 0, 1].into());
    let of_the_connection = ["Connection", "Upgrade", "Transfer-Encoding"];
    request.headers.retain(|(name, _)| !of_the_connection.iter().any(|other| name.eq_ignore_ascii_case(other)));
    // What parsers refuse ends the connection; the table of malformed requests has it.
    let plain = request.target.starts_with(b"/") && request.target.is_ascii();
    (plain && http::Uri::try_from(request.target.as_slice()).is_ok() && request.method != "CONNECT").then_some(request)
}

async fn ask(adapter: Adapter, way: Way, world: &World, requests: &[ModelRequest]) -> Result<Outcomes, String> {
    let keys: Vec<String> = world.keys.iter().map(ModelKey::to_json_line).collect();
    let protocol = if way == Way::Http2 { Protocol::Http2 } else { Protocol::Http1 };
    let place = Place::Adapter(adapter, protocol);
    let mut service = Service::start(place, &world.policy.to_toml(), &keys.join("\n"), &world.environment, Away::Nothing).await?;
    let address = service.address().ok_or("an adapter has an address")?;
    let told = |error: io::Error| error.to_string();
    let (mut answers, mut events) = (Vec::new(), Vec::new());
    if matches!(way, Way::Apart | Way::Http2) {
        for request in requests {
            let (answer, left) = service.ask(request, START).await?;
            answers.push(normalise(&answer));
            events.extend(left);
        }
    } else {
        let mut connection: Option<Connection> = None;
        for (number, request) in requests.iter().enumerate() {
            let open = match &mut connection {
                Some(open) if way == Way::Pipelined => open,
                Some(open) => {
                    open.send(&request.to_bytes()).await.map_err(told)?;
                    open
                }
                none => {
                    let open = none.insert(Connection::open(address, Some([127, 0, 0, 1].into())).await.map_err(told)?);
                    let sent = if way == Way::Pipelined { &requests[number..] } else { &requests[number..=number] };
                    let bytes: Vec<u8> = sent.iter().flat_map(ModelRequest::to_bytes).collect();
                    open.send(&bytes).await.map_err(told)?;
                    open
                }
            };
            let answer = open.receive(&request.method).await.map_err(told)?;
            answers.push(normalise(&answer));
            // actix-web ends a connection whose request had a body that nobody read. What stood behind it is sent anew, as any
            // client does.
            if answer.values("connection").iter().any(|told| told.eq_ignore_ascii_case("close")) {
                connection = None;
            }
        }
        events = service.events()?;
    }
    Ok(Outcomes { answers, events: events.into_iter().map(normalise_event).collect() })
}

/// Sends one malformed request to every adapter.
///
/// # Errors
/// What an adapter did that the table does not say.
pub async fn run_malformed(adapters: &[Adapter], case: &Malformed) -> Result<(), String> {
    let mut found = Vec::new();
    for adapter in adapters {
        let place = Place::Adapter(*adapter, Protocol::Http1);
        let service = Service::start(place, "", "", &BTreeMap::new(), Away::Nothing).await?;
        let address = service.address().ok_or("an adapter has an address")?;
        let what = malformed::send(address, &service, &case.bytes).await?;
        if let Some(expected) = case.unexpected(adapter.name, what) {
            found.push(format!("{}: expected {expected}, got {what:?}", adapter.name));
        }
    }
    if found.is_empty() { Ok(()) } else { Err(found.join("\n")) }
}

fn normalise(answer: &Received) -> Normalised {
    // `Date` is the server's clock; the others are of one connection, and HTTP/2 has none of them.
    let of_the_connection = ["date", "connection", "keep-alive", "transfer-encoding", "content-length"];
    let made = answer.values("x-request-id").first().filter(|id| id.len() == 36).map(|id| (*id).to_owned());
    let without_made = |text: &str| match &made {
        Some(made) => text.replace(made.as_str(), "(made)"),
        None => text.to_owned(),
    };
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in answer.headers.iter().filter(|(name, _)| !of_the_connection.contains(&name.as_str())) {
        headers.entry(name.clone()).or_default().push(without_made(value));
    }
    let body = without_made(&String::from_utf8_lossy(&answer.body));
    let mut body = serde_json::from_str(&body).unwrap_or(Value::String(body));
    if let Some(id) = body.pointer_mut("/principal/id") {
        *id = Value::String("(id)".to_owned());
    }
    Normalised { status: answer.status, headers, body, upgraded: answer.upgraded.clone() }
}

fn normalise_event(mut event: Value) -> Value {
    for made in ["event_id", "key_id", "request_id", "latency_us"] {
        if let Some(value) = event.get_mut(made).filter(|value| !value.is_null()) {
            *value = Value::String("(made)".to_owned());
        }
    }
    event
}
