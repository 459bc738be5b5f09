//! The guard without a server: what an adapter would do with a decision, and nothing between.
//!
//! It is many times faster than a socket, and it can leave out the peer, which no socket can.

use http::{HeaderName, HeaderValue, Method, Request};
use keyward::{Decision, Peer};

use crate::{
    conformance::{Conformance, Seen},
    model::request::ModelRequest,
    wire::{Received, Upgraded},
};

/// Decides a request and answers it. What cannot be said in types of `http` is 400, as every server's parser has it.
pub async fn answer(conformance: &Conformance, request: &ModelRequest) -> Received {
    let bare = |status| Received { status, headers: Vec::new(), body: Vec::new(), upgraded: None };
    let Some(asked) = in_http_types(request) else { return bare(400) };
    let Some(guard) = conformance.guard_for(asked.uri().path()) else { return bare(404) };
    let pass = match guard.decide(&asked).await {
        Decision::Denied(denial) => {
            if let Some(close) = denial.websocket_close() {
                let (parts, ()) = close.response().into_parts();
                let upgraded = Some(Upgraded::of(&close.frame()));
                return Received { headers: lines(&parts.headers), upgraded, ..bare(parts.status.as_u16()) };
            }
            let body = if request.method == "HEAD" { Vec::new() } else { denial.body().to_vec() };
            return Received { headers: lines(denial.headers()), body, ..bare(denial.status().as_u16()) };
        }
        Decision::Allowed(pass) => pass,
    };
    let mut asked = asked;
    guard.strip().headers(asked.headers_mut());
    if let Some(uri) = guard.strip().uri(asked.uri()) {
        *asked.uri_mut() = uri;
    }
    let (mut parts, body) = conformance.answer(&pass, Seen::of(&asked)).into_parts();
    pass.headers().apply(&mut parts.headers);
    Received { headers: lines(&parts.headers), body: body.into_bytes(), ..bare(parts.status.as_u16()) }
}

pub(crate) fn in_http_types(request: &ModelRequest) -> Option<Request<()>> {
    let mut asked = Request::builder()
        .method(Method::from_bytes(request.method.as_bytes()).ok()?)
        .uri(request.target.as_slice())
        .body(())
        .ok()?;
    for (name, value) in &request.headers {
        // Parsers take the blanks around a value away before anybody sees it.
        let value = HeaderValue::from_bytes(crate::model::request::trim(value)).ok()?;
        asked.headers_mut().append(HeaderName::from_bytes(name.as_bytes()).ok()?, value);
    }
    if let Some(peer) = request.peer {
        asked.extensions_mut().insert(Peer(peer));
    }
    Some(asked)
}

fn lines(headers: &http::HeaderMap) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())).collect()
}
