//! What every conformance server answers, whatever framework carries it.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use http::{HeaderValue, header};
use keyward::{Guard, MemoryStore, Pass, Policy, Requirement};
use serde::Deserialize;
use serde_json::json;

use crate::{
    demands::{InnerDemand, demands_of_path, inner_demand_of_path, own_cache_control, own_headers, own_status, tells_headers},
    model::{
        candidates::{holds_header_credential, holds_query_credential},
        policy::{ModelPolicy, Place, Source},
        request::{ModelRequest, trim},
        target::Target,
    },
};

/// A guard with what the handlers behind it tell.
#[derive(Clone, Debug)]
pub struct Conformance {
    guard: Guard,
    /// Of another policy, which knows nobody.
    stranger: Guard,
    sources: Vec<Source>,
    answered: Arc<AtomicU64>,
}

/// A request as a handler sees it, in types that every framework can make. [`Seen::of`] takes it from types of `http`.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The query.
    pub query: Option<String>,
    /// The header lines, with names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Further copies of the target that the framework keeps, where handlers can find them.
    pub copies: Vec<String>,
}

impl Seen {
    /// What a handler sees in a request of `http`.
    pub fn of<B>(request: &http::Request<B>) -> Seen {
        Seen {
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().map(str::to_owned),
            headers: request.headers().iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect(),
            copies: Vec::new(),
        }
    }

    /// The subprotocol that a WebSocket on `/ws/…` selects: the first that is offered.
    pub fn subprotocol(&self) -> Option<String> {
        let (_, offered) = self.headers.iter().find(|(name, _)| name == "sec-websocket-protocol")?;
        let first = offered.split(|byte| *byte == b',').next()?;
        Some(String::from_utf8_lossy(trim(first)).into_owned())
    }
}

impl Conformance {
    /// Puts a guard behind handlers that look for what the policy's sources read.
    ///
    /// The sources are read from the policy's text once more, because the guard's own view of them is what is tested.
    ///
    /// # Errors
    /// If the text's sources cannot be read.
    pub fn new(guard: Guard, policy: &str) -> Result<Conformance, toml::de::Error> {
        #[derive(Deserialize)]
        struct OnlySources {
            sources: Option<Vec<Source>>,
            tickets: Option<OnlyParameter>,
        }
        #[derive(Deserialize)]
        struct OnlyParameter {
            query: Option<String>,
        }
        let written: OnlySources = toml::from_str(policy)?;
        let mut sources = ModelPolicy { sources: written.sources, ..ModelPolicy::default() }.sources();
        // A ticket is a credential, too.
        let parameter = written.tickets.map(|tickets| tickets.query.unwrap_or_else(|| "token".to_owned()));
        sources.extend(parameter.map(|parameter| Source::everywhere(Place::Query(parameter))));
        let stranger = Guard::builder(Policy::builder().build().expect("an empty policy is a good one"))
            .store(MemoryStore::new())
            .build()
            .expect("a store is all that it needs");
        Ok(Conformance { guard, stranger, sources, answered: Arc::default() })
    }

    /// How many requests the handlers have seen.
    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Ordering::SeqCst)
    }

    /// The guard of a path, by its first segment; `None` for a path that demands what no key can hold.
    pub fn guard_for(&self, path: &str) -> Option<Guard> {
        let demands = demands_of_path(path);
        if demands.optional {
            return Some(self.guard.optional());
        }
        if demands.cost > 0 {
            return Some(self.guard.requiring(Requirement::default().costing(demands.cost)));
        }
        if demands.scopes.is_empty() {
            return Some(self.guard.clone());
        }
        Requirement::all_of(&demands.scopes).ok().map(|requirement| self.guard.requiring(requirement))
    }

    /// The guard that stands within the first one, on the way to the handler: one that demands more for `/within/{scope}/…`,
    /// and one of another policy for `/other/…`. `None` for other paths.
    pub fn guard_within(&self, path: &str) -> Option<Guard> {
        match inner_demand_of_path(path)? {
            InnerDemand::Scope(scope) => Requirement::all_of([scope]).ok().map(|requirement| self.guard.requiring(requirement)),
            InnerDemand::Stranger => Some(self.stranger.clone()),
        }
    }

    /// What the handler answers to a request that was let through; nothing of it is added by a guard.
    pub fn answer(&self, pass: &Pass, seen: Seen) -> http::Response<String> {
        // Not every server takes the body of an answer to HEAD away.
        let is_head = seen.method == "HEAD";
        let (own_cache_control, own_status, own_headers) =
            (own_cache_control(&seen.path), own_status(&seen.path), own_headers(&seen.path));
        let text = self.told(pass, seen);
        let mut answer = http::Response::new(if is_head { String::new() } else { text });
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(own) = own_cache_control {
            answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(own));
        }
        *answer.status_mut() = own_status;
        for (name, value) in own_headers {
            answer.headers_mut().insert(*name, HeaderValue::from_static(value));
        }
        answer
    }

    /// What the handler tells, as JSON: the body of its answer, and the first message of a WebSocket.
    pub fn told(&self, pass: &Pass, seen: Seen) -> String {
        self.answered.fetch_add(1, Ordering::SeqCst);
        let copies = seen.copies.iter().filter_map(|copy| {
            let request = ModelRequest::parse(&format!("GET {copy}"), None);
            crate::model::target::target(&request)
        });
        let in_a_copy = copies.into_iter().any(|copy| holds_query_credential(&self.sources, &copy));
        let target = Target { path: seen.path, query: seen.query };
        let request = ModelRequest {
            method: seen.method,
            target: target.path.clone().into_bytes(),
            headers: seen.headers,
            body: Vec::new(),
            peer: None,
        };
        let saw_credential =
            holds_header_credential(&self.sources, &request) || holds_query_credential(&self.sources, &target) || in_a_copy;
        let mut answer = json!({
            "principal": pass.principal().map(|principal| json!({
                "id": principal.id().to_string(),
                "name": principal.name(),
                "kind": principal.kind(),
                "owner": principal.owner(),
                "scopes": principal.scopes().iter().map(ToString::to_string).collect::<Vec<_>>(),
                "key_prefix": principal.key_prefix(),
                "authenticator": principal.authenticator(),
            })),
            "request_id": pass.request_id().as_str(),
            "client_ip": pass.client().as_ref().map(IpAddr::to_string),
            "path": target.path,
            "query": target.query,
            "saw_credential": saw_credential,
        });
        if tells_headers(&target.path) {
            answer["headers"] = json!({
                "authorization": elements(&request, "Authorization", None),
                "cookie": elements(&request, "Cookie", Some(b';')),
                "sec-websocket-protocol": elements(&request, "Sec-WebSocket-Protocol", Some(b',')),
                "x-api-key": elements(&request, "X-API-Key", None),
            });
        }
        answer.to_string()
    }
}

/// What stands in a header, over all its lines, taken apart at a separator.
fn elements(request: &ModelRequest, name: &str, separator: Option<u8>) -> Vec<String> {
    let lines = request.values(name);
    let parts = lines.iter().flat_map(|line| line.split(|byte| Some(*byte) == separator));
    parts.map(|part| String::from_utf8_lossy(trim(part)).into_owned()).collect()
}
