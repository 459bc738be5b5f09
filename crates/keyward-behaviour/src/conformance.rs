//! What every conformance server answers, whatever framework carries it.

use std::net::IpAddr;

use keyward::{Guard, Pass, Requirement};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    demands::{demands_of_path, tells_headers},
    model::{
        candidates::{holds_header_credential, holds_query_credential},
        policy::{ModelPolicy, Source},
        request::{ModelRequest, trim},
        target::Target,
    },
};

/// A guard with what the handlers behind it tell.
#[derive(Clone, Debug)]
pub struct Conformance {
    guard: Guard,
    sources: Vec<Source>,
}

/// A request as a handler sees it, in types that every framework can make.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The query.
    pub query: Option<String>,
    /// The header lines.
    pub headers: Vec<(String, Vec<u8>)>,
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
        }
        let written: OnlySources = toml::from_str(policy)?;
        let policy = ModelPolicy { sources: written.sources, ..ModelPolicy::default() };
        Ok(Conformance { guard, sources: policy.sources() })
    }

    /// The guard of a path, by its first segment; `None` for a path that demands what no key can hold.
    pub fn guard_for(&self, path: &str) -> Option<Guard> {
        let demands = demands_of_path(path);
        if demands.optional {
            return Some(self.guard.optional());
        }
        if demands.scopes.is_empty() {
            return Some(self.guard.clone());
        }
        Requirement::all_of(&demands.scopes).ok().map(|requirement| self.guard.requiring(requirement))
    }

    /// What the handler answers to a request that was let through.
    pub fn answer(&self, pass: &Pass, seen: Seen) -> Value {
        let target = Target { path: seen.path, query: seen.query };
        let request = ModelRequest {
            method: seen.method,
            target: target.path.clone().into_bytes(),
            headers: seen.headers,
            body: Vec::new(),
            peer: None,
        };
        let saw_credential = holds_header_credential(&self.sources, &request) || holds_query_credential(&self.sources, &target);
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
        answer
    }
}

/// What stands in a header, over all its lines, taken apart at a separator.
fn elements(request: &ModelRequest, name: &str, separator: Option<u8>) -> Vec<String> {
    let lines = request.values(name);
    let parts = lines.iter().flat_map(|line| line.split(|byte| Some(*byte) == separator));
    parts.map(|part| String::from_utf8_lossy(trim(part)).into_owned()).collect()
}
