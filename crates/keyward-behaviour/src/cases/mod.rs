//! The named cases: one list for every adapter.
//!
//! A case is data: a policy file, keys, an environment, and steps, each with a raw request, the peer that sends it,
//! the clock, and what must come back. Each case is named after the rule that it holds to. An adapter brings a
//! harness and nothing else, so none can leave a case out or bend what it expects.

mod answers;
mod candidates;
mod choosing;
mod client_address;
mod closed_handshakes;
mod failures;
mod faults;
mod limits;
mod nested;
mod networks;
mod open_access;
mod origins;
mod quotas;
mod request;
mod scopes;
mod spoofing;
mod verifying;
mod websockets;

use std::{net::IpAddr, time::Duration};

use serde_json::Value;

use crate::{
    model::{
        answer::ModelDenial,
        happening::Happening,
        request::ModelRequest,
        time::{Moment, SECOND},
    },
    service::Away,
};

/// When each case begins: 2024-01-01T00:00:00Z.
pub const START: Moment = 1_704_067_200 * SECOND;

/// Every case, in the order of the rules.
pub fn all() -> Vec<Case> {
    let groups = [
        request::cases(),
        client_address::cases(),
        failures::cases(),
        networks::cases(),
        candidates::cases(),
        choosing::cases(),
        verifying::cases(),
        scopes::cases(),
        limits::cases(),
        quotas::cases(),
        spoofing::cases(),
        answers::cases(),
        websockets::cases(),
        closed_handshakes::cases(),
        origins::cases(),
        open_access::cases(),
        faults::cases(),
        nested::cases(),
    ];
    groups.into_iter().flatten().collect()
}

/// One named case.
#[derive(Clone, Debug)]
pub struct Case {
    /// The rule's number and what it means here.
    pub name: &'static str,
    /// The policy file.
    pub policy: &'static str,
    /// The lines of the keys file.
    pub keys: Vec<String>,
    /// The variables of the environment.
    pub environment: Vec<(&'static str, &'static str)>,
    /// What the service cannot reach.
    pub away: Away,
    /// Whether it asks for a guard within another.
    pub nests: bool,
    /// What is sent, one after the other.
    pub steps: Vec<Step>,
    now: Moment,
    peer: Option<IpAddr>,
    happenings: Vec<Happening>,
}

/// One request of a case and what must come back.
#[derive(Clone, Debug)]
pub struct Step {
    /// What is sent, and by whom.
    pub request: ModelRequest,
    /// What happens before it.
    pub happenings: Vec<Happening>,
    /// What the guard's clock says, the one that never steps.
    pub now: Moment,
    /// What must come back.
    pub expected: Expected,
}

/// What must come back.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The statuses that are right; more than one only where the rules leave a choice.
    pub statuses: Vec<u16>,
    /// The kind of the denial, as the audit event names it.
    pub kind: Option<&'static str>,
    /// What is expected of header lines.
    pub headers: Vec<(&'static str, HeaderExpectation)>,
    /// JSON pointers into the body, with the value that must stand there.
    pub body: Vec<(&'static str, Value)>,
    /// How the handshake is closed, if it is.
    pub close: Option<ExpectedClose>,
    /// How many audit events the request leaves; `None` if no rule says so.
    pub events: Option<usize>,
    /// Whether the answer equals that of the step before, but for its date.
    pub same_as_before: bool,
    /// Whether the model has an opinion on this step, too.
    pub modelled: bool,
    /// Whether a framework's parser may refuse it by itself, in its own way, even by ending the connection.
    pub parsers_may_refuse: bool,
}

/// How a denied handshake is closed: with one frame, and nothing else.
#[derive(Clone, Debug)]
pub struct ExpectedClose {
    /// The status code.
    pub code: u16,
    /// The reason; `None` for some text.
    pub reason: Option<String>,
}

/// What is expected of one header.
#[derive(Clone, Debug)]
pub enum HeaderExpectation {
    /// It is there once, with exactly this value.
    Is(String),
    /// It is there once, with any value but this.
    IsNot(String),
    /// It is not there.
    Absent,
}

/// Begins a case.
pub(crate) fn case(name: &'static str, policy: &'static str) -> Case {
    Case {
        name,
        policy,
        keys: Vec::new(),
        environment: Vec::new(),
        away: Away::Nothing,
        nests: false,
        steps: Vec::new(),
        now: START,
        peer: Some(IpAddr::from([127, 0, 0, 1])),
        happenings: Vec::new(),
    }
}

impl Case {
    /// Stores a key that has no conditions.
    pub(crate) fn key(self, credential: &str) -> Case {
        let line = serde_json::json!({ "key": credential }).to_string();
        self.record(&line)
    }

    /// Stores a key as a keys file writes it.
    pub(crate) fn record(mut self, line: &str) -> Case {
        self.keys.push(line.to_owned());
        self
    }

    /// Sets a variable.
    pub(crate) fn environment(mut self, name: &'static str, value: &'static str) -> Case {
        self.environment.push((name, value));
        self
    }

    /// Takes something away from the service.
    pub(crate) fn without(mut self, away: Away) -> Case {
        self.away = away;
        self
    }

    /// Asks for a guard within another.
    pub(crate) fn nested(mut self) -> Case {
        self.nests = true;
        self
    }

    /// Sends the following requests so much later.
    pub(crate) fn wait(mut self, duration: Duration) -> Case {
        self.now += i128::try_from(duration.as_nanos()).expect("a wait in a case is short");
        self
    }

    /// Sends the following requests from this address of the loopback network.
    pub(crate) fn from(mut self, peer: &str) -> Case {
        self.peer = Some(peer.parse().expect("a peer is an address"));
        self
    }

    /// Sends the following requests without telling who sends them, which no socket can.
    pub(crate) fn without_peer(mut self) -> Case {
        self.peer = None;
        self
    }

    /// Gives a stored key other quotas before the next request; with none, it goes by the policy's.
    pub(crate) fn limits(mut self, key: &str, limits: &[&str]) -> Case {
        let limits = limits.iter().map(|limit| (*limit).to_owned()).collect();
        self.happenings.push(Happening::Limits { key: key.to_owned(), limits });
        self
    }

    /// Lets civil time step before the next request, by so many seconds, forward or back.
    pub(crate) fn clock_steps(mut self, seconds: i32) -> Case {
        self.happenings.push(Happening::ClockStep(Moment::from(seconds) * SECOND));
        self
    }

    /// Sends a request, written in lines.
    pub(crate) fn ask(mut self, request: &str, expected: Expected) -> Case {
        let happenings = std::mem::take(&mut self.happenings);
        self.steps.push(Step { request: ModelRequest::parse(request, self.peer), happenings, now: self.now, expected });
        self
    }

    /// Sends the same request several times.
    pub(crate) fn ask_times(mut self, times: usize, request: &str, expected: &Expected) -> Case {
        for _ in 0..times {
            self = self.ask(request, expected.clone());
        }
        self
    }
}

/// The request reaches the handler, and one event says so.
pub(crate) fn allowed() -> Expected {
    Expected {
        statuses: vec![200],
        kind: None,
        headers: Vec::new(),
        body: Vec::new(),
        close: None,
        events: Some(1),
        same_as_before: false,
        modelled: true,
        parsers_may_refuse: false,
    }
}

/// The request reaches the handler as anonymous, and one event says so.
pub(crate) fn anonymous() -> Expected {
    allowed().body("/principal", Value::Null)
}

/// The request reaches the handler without being guarded, and no event says so.
pub(crate) fn unguarded() -> Expected {
    Expected { events: Some(0), ..anonymous() }
}

/// The request is denied, with the status of R10's table.
pub(crate) fn denied(kind: &'static str) -> Expected {
    Expected { statuses: vec![ModelDenial::of(kind).status()], kind: Some(kind), ..allowed() }.header("Cache-Control", "no-store")
}

/// The handshake is denied, which is told by closing it.
pub(crate) fn closed(kind: &'static str) -> Expected {
    let close = ExpectedClose { code: 1008, reason: None };
    let expected = Expected { statuses: vec![101], kind: Some(kind), close: Some(close), ..allowed() };
    ["WWW-Authenticate", "Cache-Control", "Retry-After", "RateLimit", "RateLimit-Policy", "Content-Type", "Content-Length"]
        .into_iter()
        .fold(expected.header("Upgrade", "websocket"), Expected::without_header)
}

/// Whoever refuses the request, the framework's parser or the guard, it does not reach the handler.
pub(crate) fn not_let_through() -> Expected {
    Expected { statuses: (400..600).collect(), events: None, modelled: false, parsers_may_refuse: true, ..allowed() }
}

impl Expected {
    /// A header has exactly this value.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Expected {
        self.headers.push((name, HeaderExpectation::Is(value.to_owned())));
        self
    }

    /// A header is there, with another value.
    pub(crate) fn another_header(mut self, name: &'static str, value: &str) -> Expected {
        self.headers.push((name, HeaderExpectation::IsNot(value.to_owned())));
        self
    }

    /// A header is not there.
    pub(crate) fn without_header(mut self, name: &'static str) -> Expected {
        self.headers.push((name, HeaderExpectation::Absent));
        self
    }

    /// The body has this value at a JSON pointer.
    pub(crate) fn body(mut self, pointer: &'static str, value: impl Into<Value>) -> Expected {
        self.body.push((pointer, value.into()));
        self
    }

    /// The close frame has this code.
    pub(crate) fn code(mut self, code: u16) -> Expected {
        self.close.as_mut().expect("only what is closed has a code").code = code;
        self
    }

    /// The close frame has this reason.
    pub(crate) fn reason(mut self, reason: &str) -> Expected {
        self.close.as_mut().expect("only what is closed has a reason").reason = Some(reason.to_owned());
        self
    }

    /// The handler sees the principal of this name.
    pub(crate) fn principal(self, name: &str) -> Expected {
        self.body("/principal/name", name)
    }

    /// The answer equals that of the step before.
    pub(crate) fn same_as_before(mut self) -> Expected {
        self.same_as_before = true;
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::{
        model::{Model, key::ModelKey, policy::ModelPolicy},
        suite,
    };

    #[test]
    fn every_case_has_a_name_of_its_own_with_a_rule() {
        let cases = all();
        let names: BTreeSet<&str> = cases.iter().map(|case| case.name).collect();
        assert_eq!(names.len(), cases.len());
        for name in names {
            let rule = name.strip_prefix('R').and_then(|rest| rest.split([' ', '.']).next());
            assert!(rule.is_some_and(|number| number.parse::<u8>().is_ok()), "{name}");
        }
        assert!(cases.len() >= 150, "{} cases", cases.len());
    }

    /// The cases were written by hand, from the rules; so was the model. Here they judge each other.
    #[test]
    fn the_model_agrees_with_every_case() {
        for case in all() {
            let keys = case.keys.iter().map(|line| ModelKey::from_json_line(line).expect(case.name)).collect();
            let environment: BTreeMap<String, String> =
                case.environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let policy = ModelPolicy::from_toml(case.policy).unwrap_or_else(|error| panic!("{}: {error}", case.name));
            let mut model = Model::new(policy, keys, environment);
            for step in &case.steps {
                step.happenings.iter().for_each(|happening| model.happen(happening));
                let answer = suite::decide(&mut model, &step.request, step.now);
                if !step.expected.modelled {
                    continue;
                }
                let told = format!("{}\n{:?}\n{answer:#?}", case.name, step.request);
                assert!(step.expected.statuses.contains(&answer.status), "{told}");
                assert!(step.expected.kind.is_none_or(|kind| answer.kinds.contains(&kind)), "{told}");
                assert_eq!(step.expected.events, Some(usize::from(answer.event.is_some())), "{told}");
                assert_eq!(step.expected.close.is_some(), answer.close.is_some(), "{told}");
                if let (Some(expected), Some(close)) = (&step.expected.close, &answer.close) {
                    assert_eq!(expected.code, close.code, "{told}");
                    // A text that is not the policy's own is nothing that the model knows.
                    assert!(close.reason.is_none() || expected.reason.is_none() || expected.reason == close.reason, "{told}");
                }
                for (name, expectation) in &step.expected.headers {
                    let modelled = match name.to_ascii_lowercase().as_str() {
                        "www-authenticate" => Some(answer.www_authenticate.clone()),
                        "cache-control" => Some(answer.cache_control.map(str::to_owned)),
                        "x-request-id" => answer.request_id.clone().map(Some),
                        "sec-websocket-protocol" => Some(answer.close.clone().and_then(|close| close.subprotocol)),
                        "sec-websocket-accept" => Some(answer.close.clone().map(|close| close.accept)),
                        _ => None,
                    };
                    match (modelled, expectation) {
                        (None, _) => {}
                        (Some(value), HeaderExpectation::Is(expected)) => assert_eq!(value.as_ref(), Some(expected), "{told}"),
                        (Some(value), HeaderExpectation::IsNot(other)) => {
                            assert!(value.is_some_and(|value| value != *other), "{told}");
                        }
                        (Some(value), HeaderExpectation::Absent) => assert_eq!(value, None, "{told}"),
                    }
                }
                for (pointer, expected) in &step.expected.body {
                    let modelled = match *pointer {
                        "/principal/name" => answer.principal.clone().map(|principal| Value::from(principal.name)),
                        "/principal/kind" => answer.principal.clone().map(|principal| Value::from(principal.kind)),
                        "/principal/authenticator" => {
                            answer.principal.clone().map(|principal| Value::from(principal.authenticator))
                        }
                        "/principal" => answer.principal.is_none().then_some(Value::Null),
                        "/client_ip" => answer.client_ip.map(|address| Value::from(address.to_string())),
                        "/query" => Some(Value::from(answer.query.clone())),
                        _ => continue,
                    };
                    assert_eq!(modelled.as_ref(), Some(expected), "{pointer} {told}");
                }
            }
        }
    }
}
