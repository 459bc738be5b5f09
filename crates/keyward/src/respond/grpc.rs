//! A denial as gRPC says it.
//!
//! gRPC clients read a call's status from trailers, or, where there is nothing before them, from the one block of headers that
//! is called Trailers-Only. The HTTP status of such an answer is 200: with any other, a client makes a status up, and 429
//! becomes `UNAVAILABLE`, which many try again at once. See "Responses" in
//! <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>, and the codes in
//! <https://grpc.github.io/grpc/core/md_doc_statuscodes.html>.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::Denial;
use crate::decision::Kind;

/// Everything but `%x20-%x24 / %x26-%x7E`. What is not ASCII is always encoded.
const NOT_PLAIN: &AsciiSet = &CONTROLS.add(b'%');

impl Denial {
    /// The answer to a gRPC call: Trailers-Only, with a status and no body.
    ///
    /// `grpc-message` is the policy's text. The other headers are those of [`Denial::into_response`]; clients see them as the
    /// metadata of the status.
    ///
    /// The HTTP status is 200, as gRPC has it. So this is for what serves gRPC alone, and nothing that the request says may
    /// choose it: else whoever is denied could ask for a denial that caches, proxies and logs take for a success.
    pub fn into_grpc_response(self) -> http::Response<Bytes> {
        let mut headers = self.0.headers;
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(HeaderName::from_static("grpc-status"), HeaderValue::from_static(code(self.0.kind)));
        let message = utf8_percent_encode(&self.0.detail, NOT_PLAIN).to_string();
        super::insert(&mut headers, HeaderName::from_static("grpc-message"), &message);
        let mut response = http::Response::new(Bytes::new());
        *response.headers_mut() = headers;
        response
    }
}

/// The status code that means the same as the HTTP status of R10's table.
fn code(kind: Kind) -> &'static str {
    match kind {
        // UNAUTHENTICATED
        Kind::Missing | Kind::Malformed | Kind::Unknown | Kind::Expired | Kind::NotYetValid | Kind::Revoked | Kind::Disabled => {
            "16"
        }
        // INVALID_ARGUMENT
        Kind::Duplicate | Kind::Conflict | Kind::Path => "3",
        // PERMISSION_DENIED
        Kind::Address | Kind::Kind | Kind::Route | Kind::Origin | Kind::Scope => "7",
        // RESOURCE_EXHAUSTED
        Kind::Limited | Kind::FailuresLimited => "8",
        // UNAVAILABLE
        Kind::Unavailable => "14",
    }
}

#[cfg(test)]
mod tests {
    use crate::{Decision, Denial, Guard, MemoryStore, Policy};

    fn denied(policy: &str, request: http::request::Builder) -> Denial {
        let guard = Guard::builder(Policy::from_toml("p", policy).unwrap()).store(MemoryStore::new()).build().unwrap();
        match guard.decide_blocking(&request.body(()).unwrap()) {
            Decision::Denied(denial) => denial,
            Decision::Allowed(pass) => panic!("{pass:?}"),
        }
    }

    #[test]
    fn a_text_is_encoded_so_that_its_bytes_come_back() {
        let denial = denied("[response]\nmissing = 'Schlüssel: 100 %, \"~\"\t!'", http::Request::post("/a.B/C"));
        assert_eq!(denial.detail(), "Schlüssel: 100 %, \"~\"\t!");
        let response = denial.into_grpc_response();
        assert_eq!(response.headers()["grpc-message"], "Schl%C3%BCssel: 100 %25, \"~\"%09!");
    }

    #[test]
    fn whatever_the_method_nothing_is_left_of_a_body() {
        for method in ["POST", "HEAD", "GET"] {
            let request = || http::Request::builder().method(method).uri("/").header("x-request-id", "r");
            let (http, grpc) = (denied("", request()).into_response(), denied("", request()).into_grpc_response());
            assert_eq!(grpc.status(), 200);
            assert!(grpc.body().is_empty());
            let mut rest = grpc.headers().clone();
            assert_eq!(rest.remove("grpc-status").unwrap(), "16");
            assert_eq!(rest.remove("grpc-message").unwrap(), "This request needs an API key.");
            assert_eq!(rest.remove("content-type").unwrap(), "application/grpc");
            let mut expected = http.headers().clone();
            expected.remove("content-type");
            expected.remove("content-length");
            assert_eq!(rest, expected);
            assert_eq!(rest["www-authenticate"], "Bearer realm=\"api\"");
        }
    }
}
