//! A decision told step by step: the same order, consuming nothing.

use std::net::IpAddr;

use serde::Serialize;

use crate::decision::{Decision, Kind};
use crate::network::Client;
use crate::source::{Source, SourceKind};

/// What a guard would do with a request, and why.
///
/// Serialises to the document of `keyward explain --json`.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// `allow` or `deny`.
    pub decision: &'static str,
    /// The status of a denial; 200 stands for "it goes on".
    pub status: u16,
    /// Who it is.
    pub principal: Option<PrincipalTold>,
    /// The denial's kind.
    pub denial: Option<&'static str>,
    /// The client's address, through the trusted proxies.
    pub client_ip: Option<IpAddr>,
    /// Whether the way to the client could not be read to its end (R2.2): the address is that of the last good hop, and fails every
    /// allow-list and every deny-list that is not empty.
    pub client_is_flagged: bool,
    /// What the sources held, in their order, and what came of it.
    pub candidates: Vec<CandidateTold>,
    /// The steps, in their order.
    pub steps: Vec<Step>,
    /// The denial's answer; for an allowed request the headers that would be added to the handler's.
    pub response: ResponseTold,
}

/// A principal, as JSON.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Principal))]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are those of Principal")]
pub struct PrincipalTold {
    pub id: String,
    pub name: String,
    pub kind: Option<String>,
    pub owner: Option<String>,
    pub scopes: Vec<String>,
    pub key_prefix: Option<String>,
    pub authenticator: String,
}

impl PrincipalTold {
    /// What may be told of a principal.
    pub fn of(principal: &crate::Principal) -> Self {
        Self {
            id: principal.id().to_owned(),
            name: principal.name().to_owned(),
            kind: principal.kind().map(str::to_owned),
            owner: principal.owner().map(str::to_owned),
            scopes: principal.scopes().iter().map(ToString::to_string).collect(),
            key_prefix: principal.key_prefix().map(str::to_owned),
            authenticator: principal.authenticator().to_owned(),
        }
    }
}

/// One source that held something.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct CandidateTold {
    /// What kind of place.
    #[serde(serialize_with = "by_name")]
    pub source: SourceKind,
    /// Its header, cookie, parameter or subprotocol.
    pub name: String,
    /// What came of it.
    pub outcome: String,
    #[serde(skip)]
    index: usize,
}

impl CandidateTold {
    pub(crate) fn new(source: &Source, index: usize, outcome: &str) -> Self {
        Self { source: source.kind(), name: source.name().to_owned(), outcome: outcome.to_owned(), index }
    }
}

fn by_name<S: serde::Serializer>(kind: &SourceKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.as_str())
}

/// One step of a decision.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Step {
    /// Which.
    pub step: &'static str,
    /// What came of it.
    pub outcome: String,
}

/// An answer, as JSON.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ResponseTold {
    /// The status.
    pub status: u16,
    /// Name and value of each header.
    pub headers: Vec<(String, String)>,
    /// The body: JSON where it is JSON.
    pub body: serde_json::Value,
}

/// What is told while a decision is made.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    candidates: Vec<CandidateTold>,
    steps: Vec<Step>,
}

impl Trace {
    pub(crate) fn step(&mut self, step: &'static str, outcome: String) {
        self.steps.push(Step { step, outcome });
    }

    pub(crate) fn candidate(&mut self, candidate: CandidateTold) {
        self.candidates.push(candidate);
    }

    pub(crate) fn came_to(&mut self, source: usize, outcome: &str) {
        for candidate in self.candidates.iter_mut().filter(|candidate| candidate.index == source) {
            outcome.clone_into(&mut candidate.outcome);
        }
    }
}

impl Explanation {
    pub(crate) fn new(trace: Trace, client: Client, decision: Decision) -> Self {
        let told = |headers: &mut dyn Iterator<Item = (&http::HeaderName, &http::HeaderValue)>| {
            headers
                .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
                .collect::<Vec<_>>()
        };
        let (principal, denial, response) = match &decision {
            Decision::Allowed(pass) => {
                let answer = pass.headers();
                let headers = told(&mut answer.iter().map(|(name, value, _)| (name, value)));
                (
                    pass.principal().map(PrincipalTold::of),
                    None,
                    ResponseTold { status: 200, headers, body: serde_json::Value::Null },
                )
            }
            Decision::Denied(denial) => {
                let body = serde_json::from_slice(denial.body())
                    .unwrap_or_else(|_| String::from_utf8_lossy(denial.body()).into_owned().into());
                let headers = told(&mut denial.headers().iter());
                (None, Some(denial.kind()), ResponseTold { status: denial.status().as_u16(), headers, body })
            }
        };
        Self {
            decision: if denial.is_some() { "deny" } else { "allow" },
            status: response.status,
            principal,
            denial: denial.map(Kind::as_str),
            client_ip: client.address,
            client_is_flagged: client.flagged,
            candidates: trace.candidates,
            steps: trace.steps,
            response,
        }
    }
}
