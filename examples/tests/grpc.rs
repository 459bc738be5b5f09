//! What tonic's own client makes of a guarded service: over sockets, against the example and against servers of this file.

mod support;

#[path = "../src/bin/grpc/reports.rs"]
mod reports;

use std::sync::Arc;
use std::time::Duration;

use keyward::key::Record;
use keyward::policy::Route;
use keyward::store::Presented;
use keyward::{Answer, Fault, Guard, KeyStore, Keys, MemoryStore, NewKey, Pass, Peer, Policy, scopes};
use keyward_tower::grpc_guard;
use tokio_stream::StreamExt as _;
use tonic::client::Grpc;
use tonic::metadata::MetadataValue;
use tonic::service::interceptor::InterceptedService;
use tonic::service::{LayerExt as _, Routes};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use reports::{Report, ReportName, Reports};
use support::{Server, command};

const READER: &str = "the-key-of-a-reader";
const EDITOR: &str = "the-key-of-an-editor";

/// What tonic's generator would make, in short.
struct Client(Grpc<Channel>);

impl Client {
    async fn connect(address: std::net::SocketAddr) -> Self {
        Self(Grpc::new(Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()))
    }

    async fn unary(&mut self, method: &'static str, metadata: &[(&'static str, &str)]) -> Result<Response<Report>, Status> {
        self.0.ready().await.unwrap();
        self.0.unary(asking(metadata), method.parse().unwrap(), ProstCodec::default()).await
    }

    async fn stream(&mut self, metadata: &[(&'static str, &str)]) -> Result<Response<Streaming<Report>>, Status> {
        self.0.ready().await.unwrap();
        let method = "/reports.v1.Reports/Watch".parse().unwrap();
        self.0.server_streaming(asking(metadata), method, ProstCodec::default()).await
    }
}

fn asking(metadata: &[(&'static str, &str)]) -> Request<ReportName> {
    let mut request = Request::new(ReportName { name: "may".to_owned() });
    for (name, value) in metadata {
        request.metadata_mut().append(*name, MetadataValue::try_from(*value).unwrap());
    }
    request
}

const READ: &str = "/reports.v1.Reports/Read";
const PUBLISH: &str = "/reports.v1.Reports/Publish";

fn started() -> Server {
    Server::start(env!("CARGO_BIN_EXE_grpc"), &[("READER_API_KEY", READER), ("EDITOR_API_KEY", EDITOR)])
}

fn metadata<'s>(status: &'s Status, name: &str) -> Option<&'s str> {
    status.metadata().get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn whoever_may_is_let_through_and_known_to_the_handlers() {
    let server = started();
    let mut client = Client::connect(server.address).await;
    let read = client.unary(READ, &[("x-api-key", READER), ("x-request-id", "one")]).await.unwrap();
    assert_eq!(read.metadata().get("x-request-id").unwrap(), "one");
    assert_eq!(read.metadata().get("cache-control").unwrap(), "private");
    assert_eq!(read.metadata().get("ratelimit").unwrap(), "\"key-60s\";r=9;t=6");
    assert_eq!(read.into_inner(), Report { name: "may".to_owned(), told_to: "READER_API_KEY".to_owned(), revision: 1 });

    let published = client.unary(PUBLISH, &[("authorization", &format!("Bearer {EDITOR}"))]).await.unwrap();
    assert_eq!(published.into_inner().told_to, "EDITOR_API_KEY");

    let watched = client.stream(&[("x-api-key", READER), ("x-request-id", "two")]).await.unwrap();
    assert_eq!(watched.metadata().get("x-request-id").unwrap(), "two");
    let mut watched = watched.into_inner();
    let mut revisions = Vec::new();
    while let Some(report) = watched.next().await {
        revisions.push(report.unwrap().revision);
    }
    assert_eq!(revisions, [1, 2, 3]);
    assert!(watched.trailers().await.unwrap().is_some(), "the trailers that end a stream pass the layer");

    // What the service says itself stays, and only who has a key gets to hear it.
    let status = client.unary("/reports.v1.Reports/Delete", &[("x-api-key", READER)]).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unimplemented, "there is no such method"));
    let status = client.unary("/other.v1.Other/Read", &[("x-api-key", READER)]).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    let status = client.unary("/other.v1.Other/Read", &[]).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn denials_are_statuses_with_the_text_and_the_headers_of_the_policy() {
    let server = started();
    let mut client = Client::connect(server.address).await;
    let bearer = format!("Bearer {EDITOR}");
    for (method, sent, code, message, challenge) in [
        (READ, &[][..], Code::Unauthenticated, "This request needs an API key.", Some("Bearer realm=\"api\"")),
        (
            READ,
            &[("x-api-key", "wrong")],
            Code::Unauthenticated,
            "The API key is not valid.",
            Some("Bearer realm=\"api\", error=\"invalid_token\""),
        ),
        (
            PUBLISH,
            &[("x-api-key", READER)],
            Code::PermissionDenied,
            "The API key lacks a scope that this needs.",
            Some("Bearer realm=\"api\", error=\"insufficient_scope\", scope=\"reports:write\""),
        ),
        (
            READ,
            &[("x-api-key", READER), ("x-api-key", READER)],
            Code::InvalidArgument,
            "The request holds more than one API key: send one, once.",
            Some("Bearer realm=\"api\", error=\"invalid_request\""),
        ),
        (
            READ,
            &[("x-api-key", READER), ("authorization", &bearer)],
            Code::InvalidArgument,
            "The request holds more than one API key: send one, once.",
            Some("Bearer realm=\"api\", error=\"invalid_request\""),
        ),
        (
            "/reports.v1.Reports//Read",
            &[("x-api-key", READER)],
            Code::InvalidArgument,
            "The request's path can be read in more than one way: send it in its plain spelling.",
            None,
        ),
    ] {
        let sent: Vec<_> = sent.iter().copied().chain([("x-request-id", "three")]).collect();
        let status = client.unary(method, &sent).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (code, message), "{method} {sent:?}");
        assert_eq!(metadata(&status, "www-authenticate"), challenge, "{status:?}");
        assert_eq!(metadata(&status, "x-request-id"), Some("three"));
        assert_eq!(metadata(&status, "cache-control"), Some("no-store"));
        assert_eq!(metadata(&status, "content-type"), Some("application/grpc"));
        assert_eq!(metadata(&status, "content-length"), None);
    }
    // A stream is denied before it begins.
    let status = client.stream(&[("x-api-key", "wrong")]).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unauthenticated, "The API key is not valid."));
}

#[tokio::test]
async fn limits_are_resource_exhausted_and_say_when_to_come_back() {
    let server = started();
    let mut client = Client::connect(server.address).await;
    let reader = [("x-api-key", READER)];
    for _ in 0..10 {
        client.unary(READ, &reader).await.unwrap();
    }
    let status = client.unary(READ, &reader).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, "Too many requests: try again later."));
    assert_eq!(metadata(&status, "ratelimit-policy"), Some("\"key-60s\";q=10;w=60"));
    let wait: u64 = metadata(&status, "retry-after").unwrap().parse().unwrap();
    assert!((1..=6).contains(&wait), "{status:?}");
    let watched = client.stream(&reader).await.unwrap_err();
    assert_eq!(watched.code(), Code::ResourceExhausted);

    // The failure budget is by address, which tonic has told.
    for _ in 0..5 {
        let status = client.unary(READ, &[("x-api-key", "wrong")]).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated);
    }
    let status = client.unary(READ, &[("x-api-key", "wrong")]).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(metadata(&status, "retry-after").is_some() && metadata(&status, "ratelimit").is_none(), "{status:?}");
    let status = client.unary(READ, &[]).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    client.unary(READ, &[("x-api-key", EDITOR)]).await.unwrap();
}

#[test]
fn without_any_key_the_example_says_which_variables_to_set() {
    let output = command(env!("CARGO_BIN_EXE_grpc"), &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("READER_API_KEY or EDITOR_API_KEY is not set"), "{text}");
}

/// A server of this test, with a layer around all of its services.
async fn serve<L, S, R>(layer: L, routes: Routes) -> Client
where
    L: tower::Layer<Routes, Service = S> + Clone + Send + 'static,
    S: tower::Service<http::Request<tonic::body::Body>, Response = http::Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    R: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    R::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tonic::transport::Server::builder().layer(layer).add_routes(routes);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    Client::connect(address).await
}

/// A store at a distance, which can be away.
struct Distant {
    store: MemoryStore,
    is_away: bool,
}

impl KeyStore for Distant {
    fn find(&self, presented: &Presented<'_>) -> Answer<Option<Arc<Record>>> {
        let (found, is_away) = (self.store.find(presented), self.is_away);
        Answer::Pending(Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            if is_away { Err(Fault::new("the database is away")) } else { found.wait().await }
        }))
    }
}

async fn key(store: &MemoryStore, scope: &str) -> String {
    let made = Keys::new(store.clone()).create(NewKey::named("me").scope(scope).unwrap()).await.unwrap();
    made.secret().expose().to_owned()
}

#[tokio::test]
async fn a_decision_that_waits_and_one_that_cannot_be_made() {
    for is_away in [false, true] {
        let store = MemoryStore::new();
        let key = key(&store, "reports:read").await;
        let guard = Guard::builder(Policy::builder().build().unwrap()).store(Distant { store, is_away }).build().unwrap();
        let mut client = serve(grpc_guard(guard), Routes::new(Reports)).await;
        let (read, watched) = (client.unary(READ, &[("x-api-key", &key)]).await, client.stream(&[("x-api-key", &key)]).await);
        if !is_away {
            assert_eq!(read.unwrap().into_inner().told_to, "me");
            assert_eq!(watched.unwrap().into_inner().collect::<Vec<_>>().await.len(), 3);
            let status = client.unary(READ, &[("x-api-key", "wrong")]).await.unwrap_err();
            assert_eq!((status.code(), status.message()), (Code::Unauthenticated, "The API key is not valid."));
            continue;
        }
        for status in [read.unwrap_err(), watched.unwrap_err()] {
            assert_eq!(status.code(), Code::Unavailable);
            assert_eq!(status.message(), "The request could not be decided: try again later.");
            assert_eq!(metadata(&status, "retry-after"), Some("1"));
        }
    }
}

#[tokio::test]
async fn without_a_peer_that_a_rule_needs_nothing_is_decided() {
    let policy = || Policy::builder().failures("5/minute").build().unwrap();
    let guard = || Guard::builder(policy()).store(MemoryStore::new()).build().unwrap();
    let wrong = [("x-api-key", "wrong")];
    let mut client = serve(grpc_guard(guard()), Routes::new(Reports)).await;
    assert_eq!(client.unary(READ, &wrong).await.unwrap_err().code(), Code::Unavailable);

    let told = tower::util::MapRequestLayer::new(|mut request: http::Request<tonic::body::Body>| {
        request.extensions_mut().insert(Peer([192, 0, 2, 1].into()));
        request
    });
    let layers = tower::ServiceBuilder::new().layer(told).layer(grpc_guard(guard())).into_inner();
    let mut client = serve(layers, Routes::new(Reports)).await;
    assert_eq!(client.unary(READ, &wrong).await.unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn one_service_demands_more_and_interceptors_see_who_it_is() {
    let store = MemoryStore::new();
    let (reader, writer) = (key(&store, "reports:read").await, key(&store, "reports:write").await);
    let guard = Guard::builder(Policy::builder().build().unwrap()).store(store).build().unwrap();
    let intercepted = InterceptedService::new(Reports, |mut request: Request<()>| {
        let who = request.extensions().get::<Pass>().and_then(Pass::principal).map(|who| who.scopes().len());
        assert_eq!(request.metadata().get("x-api-key"), None, "a credential is nobody's business any more");
        request.metadata_mut().insert("scopes", who.unwrap().into());
        Ok(request)
    });
    let within = grpc_guard(guard.requiring(scopes!["reports:write"])).named_layer(intercepted);
    let mut client = serve(grpc_guard(guard), Routes::new(within)).await;
    assert_eq!(client.unary(READ, &[("x-api-key", &writer)]).await.unwrap().into_inner().told_to, "me");
    let status = client.unary(READ, &[("x-api-key", &reader), ("x-request-id", "four")]).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::PermissionDenied, "The API key lacks a scope that this needs."));
    assert_eq!(metadata(&status, "x-request-id"), Some("four"));
}

#[tokio::test]
async fn a_handler_that_demands_somebody_answers_with_the_policys_words() {
    let policy = Policy::builder().routes([Route::new("/reports.v1.Reports/*").optional()]).text_missing("Schlüssel: 100 %");
    let guard = Guard::builder(policy.build().unwrap()).store(MemoryStore::new()).build().unwrap();
    let mut client = serve(grpc_guard(guard), Routes::new(Reports)).await;
    let status = client.unary(READ, &[]).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unauthenticated, "Schlüssel: 100 %"));
    assert_eq!(metadata(&status, "www-authenticate"), Some("Bearer realm=\"api\""));
}
