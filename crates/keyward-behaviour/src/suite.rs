//! The suite itself: what is asked of every adapter.

use std::collections::BTreeMap;

use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::Value;

use crate::{
    cases::{Case, Expected, HeaderExpectation, START},
    compare::{Differences, differences, leaks},
    demands::{answers_otherwise, demands_of, own_cache_control},
    generate::{World, worlds, worlds_without_some_peers},
    model::{Model, answer::ModelAnswer, key::ModelKey, policy::ModelPolicy, request::ModelRequest, target, time::Moment},
    service::{Away, Place, Service},
    wire::{Received, Upgraded},
};

/// Runs one named case: each step must be what the case expects, and what the model says.
///
/// # Errors
/// Every difference of the first step that has one.
pub async fn run_case(place: Place, case: &Case) -> Result<(), String> {
    let environment: BTreeMap<String, String> =
        case.environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let policy = place.in_force(ModelPolicy::from_toml(case.policy).map_err(|error| error.to_string())?);
    let keys = case.keys.iter().map(|line| ModelKey::from_json_line(line)).collect::<Result<_, _>>()?;
    let mut model = Model::new(policy, keys, environment.clone());
    let mut service = Service::start(place, case.policy, &case.keys.join("\n"), &environment, case.away).await?;
    let mut before = None;
    for (number, step) in case.steps.iter().enumerate() {
        for happening in &step.happenings {
            model.happen(happening);
            service.happen(happening).await?;
        }
        let before_answered = service.answered();
        let (received, events) = match service.ask(&step.request, step.now).await {
            Err(_) if step.expected.parsers_may_refuse => continue,
            asked => asked?,
        };
        let mut found = unexpected(&step.expected, &received, &events, before.as_ref());
        let answer = decide(&mut model, &step.request, step.now);
        if step.expected.modelled {
            found.extend(differences(model.policy(), &step.request, &answer, &received, &events));
        }
        let is_denial = |status: &u16| *status == 101 || *status >= 400;
        let is_denied = step.expected.statuses.iter().all(is_denial) && !answers_otherwise(&step.request);
        if is_denied && service.answered() != before_answered {
            found.push("a handler saw the request, which is denied".to_owned());
        }
        if !found.is_empty() {
            let report = report(number, &step.request, &received, &events, &found);
            return Err(format!("{report}\n--- policy\n{}\n--- keys\n{}", case.policy, case.keys.join("\n")));
        }
        before = Some(received);
    }
    Ok(())
}

/// Steps generated worlds through an adapter and the model, and shrinks the first in which they differ.
///
/// # Errors
/// The smallest world found in which they differ, with every difference.
pub fn run_worlds(place: Place, cases: u32, runtime: &tokio::runtime::Runtime) -> Result<(), String> {
    // What was found once is kept in the repository as a named case, where people can read it.
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    let step = |world: World| {
        let agreed = runtime.block_on(run_world(place, &world));
        agreed.map(drop).map_err(|disagreement| TestCaseError::fail(disagreement.report))
    };
    let mut runner = TestRunner::new(config);
    match place {
        Place::Adapter(..) | Place::Waiting(_) => runner.run(&worlds(), step).map_err(|failure| failure.to_string()),
        Place::InProcess => runner.run(&worlds_without_some_peers(), step).map_err(|failure| failure.to_string()),
    }
}

/// How many requests of a world agreed with the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Agreed {
    /// Let through.
    pub allowed: u64,
    /// Denied.
    pub denied: u64,
}

/// A request on which a service and the model differ.
#[derive(Clone, Debug)]
pub struct Disagreement {
    /// The model's status.
    pub expected: u16,
    /// The service's; `None` if it gave no answer.
    pub got: Option<u16>,
    /// Every difference, the request and the answer, for people.
    pub report: String,
}

/// Steps one world through an adapter and the model.
///
/// # Errors
/// The first step in which they differ.
pub async fn run_world(place: Place, world: &World) -> Result<Agreed, Disagreement> {
    let keys: Vec<String> = world.keys.iter().map(ModelKey::to_json_line).collect();
    let no_service = |report| Disagreement { expected: 0, got: None, report };
    let started = Service::start(place, &world.policy.to_toml(), &keys.join("\n"), &world.environment, Away::Nothing).await;
    let mut service = started.map_err(no_service)?;
    let secrets = world.secrets();
    let mut model = Model::new(place.in_force(world.policy.clone()), world.keys.clone(), world.environment.clone());
    let (mut now, mut agreed) = (START, Agreed::default());
    for (number, step) in world.steps.iter().enumerate() {
        now += step.wait;
        for happening in &step.happenings {
            model.happen(happening);
            service.happen(happening).await.map_err(no_service)?;
        }
        if !place.can_be_asked(&step.request) {
            continue;
        }
        let before_answered = service.answered();
        let asked = service.ask(&step.request, now).await;
        let answer = decide(&mut model, &step.request, now);
        let expected = answer.status;
        let (received, events) = asked.map_err(|problem| {
            let report = format!("step {}: {problem}\n--- sent\n{:?}", number + 1, step.request);
            Disagreement { expected, got: None, report }
        })?;
        let mut found = differences(model.policy(), &step.request, &answer, &received, &events);
        found.extend(leaks(&secrets, &received, &events));
        if expected != 200 && service.answered() != before_answered {
            found.push("a handler saw the request, which is denied".to_owned());
        }
        if !found.is_empty() {
            let report = report(number, &step.request, &received, &events, &found);
            return Err(Disagreement { expected, got: Some(received.status), report });
        }
        match expected {
            200 => agreed.allowed += 1,
            _ => agreed.denied += 1,
        }
    }
    Ok(agreed)
}

/// What the model says of a request to a conformance server.
pub(crate) fn decide(model: &mut Model, request: &ModelRequest, now: Moment) -> ModelAnswer {
    let mut answer = model.decide_demanding(request, &demands_of(request), now);
    let path = target::target(request).map(|target| target.path).unwrap_or_default();
    // R10.2: a handler's own word yields to `no-store` alone.
    if answer.status == 200 && answer.cache_control != Some("no-store") {
        answer.cache_control = own_cache_control(&path).or(answer.cache_control);
    }
    answer
}

/// Everything in which an answer differs from what a case expects.
fn unexpected(expected: &Expected, received: &Received, events: &[Value], before: Option<&Received>) -> Vec<String> {
    let mut found = Differences::default();
    if !expected.statuses.contains(&received.status) {
        found.note(format!("status: expected one of {:?}, got {}", expected.statuses, received.status));
    }
    if let Some(events_expected) = expected.events {
        found.expect("number of audit events", events_expected, events.len());
    }
    if let Some(kind) = expected.kind {
        found.expect("event's reason", Some(kind), events.first().and_then(|event| event["reason"].as_str()));
    }
    for (name, expectation) in &expected.headers {
        let values = received.values(name);
        match expectation {
            HeaderExpectation::Is(value) => found.expect(name, vec![value.as_str()], values),
            HeaderExpectation::Absent => found.expect(name, vec![], values),
            HeaderExpectation::IsNot(other) => {
                if values.len() != 1 || values[0] == other {
                    found.note(format!("{name}: expected one value that is not {other:?}, got {values:?}"));
                }
            }
        }
    }
    match (&expected.close, &received.upgraded) {
        (None, _) => {}
        (Some(close), Some(Upgraded::Closed { code, reason })) => {
            found.expect("close code", close.code, *code);
            if let Some(expected) = &close.reason {
                found.expect("close reason", expected, reason);
            }
        }
        (Some(_), other) => found.note(format!("expected one close frame and nothing else, got {other:?}")),
    }
    let body = received.json();
    for (pointer, value) in &expected.body {
        let got = body.as_ref().and_then(|body| body.pointer(pointer));
        found.expect(&format!("body at {pointer:?}"), Some(value), got);
    }
    if expected.same_as_before {
        found.expect(
            "answer without its date",
            before.cloned().map(Received::without_date),
            Some(received.clone().without_date()),
        );
    }
    found.found()
}

fn report(number: usize, request: &ModelRequest, received: &Received, events: &[Value], found: &[String]) -> String {
    let headers: String = received.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    format!(
        "step {}: {}\n--- sent\n{request:?}\n--- received\n{}\n{headers}\n{}{}\n--- events\n{events:?}",
        number + 1,
        found.join("\n  and "),
        received.status,
        String::from_utf8_lossy(&received.body),
        received.upgraded.as_ref().map(|upgraded| format!("{upgraded:?}")).unwrap_or_default(),
    )
}
