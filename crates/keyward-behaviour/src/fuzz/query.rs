//! Query strings: what is found in them, and what is left of them when credentials are taken out.
//!
//! Two judges: the model, and the `form_urlencoded` parser of the URL Standard's authors, who know nothing of credentials.

use super::{sources::Observed, step::at_once, written};
use crate::model::{candidates, request::ModelRequest, target::Target};

/// What each source reads, decoded: one name with a byte that is always encoded.
const NAMES: [&str; 2] = ["api_key", "ws key"];

thread_local! {
    static OBSERVED: Observed = Observed::new("resolution = 'first-valid'\nsources = [{ query = 'api_key' }, { query = 'ws key' }]");
}

/// Runs one input: the query, without its question mark.
pub fn run(data: &[u8]) {
    let Ok(query) = std::str::from_utf8(data) else { return };
    if !written::is_kept(format!("/?{query}").as_bytes()) {
        return;
    }
    OBSERVED.with(|observed| {
        let request = request(query);
        if let Some(asked) = observed.compare(&request) {
            compare_found(query, &asked);
            compare_stripped(observed, query);
        }
    });
}

/// Whatever the guard asks about is the decoded value of the only parameter of that name.
fn compare_found(query: &str, asked: &[String]) {
    let mut values: Vec<String> = Vec::new();
    for name in NAMES {
        let mut of_that_name = form_urlencoded::parse(query.as_bytes()).filter(|(parsed, _)| parsed == name);
        if let (Some((_, value)), None) = (of_that_name.next(), of_that_name.next()) {
            values.push(value.into_owned());
        }
    }
    for credential in asked {
        assert!(values.contains(credential), "{query:?}: {credential:?} is asked about, and WHATWG reads {values:?}");
    }
}

fn compare_stripped(observed: &Observed, query: &str) {
    let strip = observed.guard.strip();
    let stripped = strip.query(query);
    let left = match &stripped {
        None => Some(query),
        Some(left) => left.as_deref(),
    };
    let target = Target { path: "/".to_owned(), query: Some(query.to_owned()) };
    let modelled = candidates::query_without_credentials(&observed.policy.sources(), &target);
    assert_eq!(modelled.as_deref(), left, "expected and left query of {query:?}");

    let others: Vec<_> = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| !NAMES.contains(&name.as_ref())).collect();
    let parsed: Vec<_> = form_urlencoded::parse(left.unwrap_or_default().as_bytes()).collect();
    assert_eq!(others, parsed, "other parameters of {query:?}, before and after");

    if let Some(left) = left {
        assert_eq!(strip.query(left), None, "a second time takes out more of {query:?}");
        let head = crate::in_process::in_http_types(&request(left)).expect("what is left of a query is a query");
        let explanation = at_once(observed.guard.explain(&head));
        assert!(explanation.candidates.is_empty(), "a credential is left of {query:?}: {left:?}");
        // R1.2: a target in anything but ASCII is refused before a credential is looked for.
        let expected = if left.is_ascii() { "missing" } else { "path" };
        assert_eq!(explanation.denial, Some(expected), "{query:?}: {left:?}");
    }
    let uri: http::Uri = format!("/path?{query}").parse().expect("the request had the same query");
    let expected = match &stripped {
        None => None,
        Some(None) => Some("/path".to_owned()),
        Some(Some(left)) => Some(format!("/path?{left}")),
    };
    assert_eq!(strip.uri(&uri).map(|uri| uri.to_string()), expected, "the URI of {query:?}");
}

fn request(query: &str) -> ModelRequest {
    let target = format!("/?{query}").into_bytes();
    ModelRequest { method: "GET".to_owned(), target, headers: Vec::new(), body: Vec::new(), peer: None }
}
