//! Over HTTP/2, which need not announce a body.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use actix_web::web::Bytes;
use actix_web::{App, web};
use futures_util::stream;
use http_body_util::{BodyExt, Empty, StreamBody, combinators::BoxBody};
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::support::{Guarded, Store, guarded, serve};

type Body = BoxBody<Bytes, Infallible>;

async fn ask(address: SocketAddr, request: http::request::Builder, body: Body) -> (http::response::Parts, String) {
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let (parts, body) = sender.send_request(request.body(body).unwrap()).await.unwrap().into_parts();
    (parts, String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap())
}

async fn start(store: Store) -> (SocketAddr, Guarded) {
    let guarded = guarded("", store).await;
    let guard = guarded.guard.clone();
    let address = serve(move || {
        App::new().default_service(web::to(async |body: String| format!("IN {body}"))).wrap(keyward_actix::guard(guard.clone()))
    });
    (address, guarded)
}

fn preflight() -> http::request::Builder {
    let request = http::Request::builder().method("OPTIONS").uri("http://localhost/x");
    request.header("Origin", "https://page.example").header("Access-Control-Request-Method", "PUT")
}

/// Pieces of a body of which no header speaks; each comes a while after the one before.
fn unannounced(pieces: &'static [&'static str]) -> Body {
    let pieces = stream::unfold(0, move |at: usize| async move {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Some((Ok::<_, Infallible>(Frame::data(Bytes::from_static(pieces.get(at)?.as_bytes()))), at + 1))
    });
    StreamBody::new(pieces).boxed()
}

fn at_once(piece: &'static str) -> Body {
    StreamBody::new(stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from_static(piece.as_bytes())))])).boxed()
}

#[tokio::test]
async fn a_preflight_has_no_body_announced_or_not() {
    for store in [Store::InMemory, Store::Slow(Duration::from_millis(1))] {
        let (address, guarded) = start(store).await;
        let (parts, body) = ask(address, preflight(), Empty::new().boxed()).await;
        assert_eq!((parts.status.as_u16(), body.as_str()), (200, "IN "));
        for body in [unannounced(&["a", "b"]), at_once("a")] {
            let (parts, body) = ask(address, preflight(), body).await;
            assert_eq!(parts.status.as_u16(), 401, "{body}");
        }
        // What the guard has looked at is still there for the handler.
        for (sent, expected) in [(unannounced(&["a", "b", "c"]), "IN abc"), (at_once("abc"), "IN abc")] {
            let (parts, body) = ask(address, preflight().header("X-API-Key", &guarded.plain), sent).await;
            assert_eq!((parts.status.as_u16(), body.as_str()), (200, expected));
        }
    }
}

#[tokio::test]
async fn many_streams_of_one_connection_are_each_decided() {
    let (address, guarded) = start(Store::Slow(Duration::from_millis(5))).await;
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let answers = futures_util::future::join_all((0..50).map(|number| {
        let (mut sender, key) = (sender.clone(), if number % 2 == 0 { guarded.plain.clone() } else { "wrong".to_owned() });
        async move {
            let request = http::Request::post("http://localhost/x").header("X-API-Key", key).body(at_once("body")).unwrap();
            let answer = sender.send_request(request).await.unwrap();
            assert!(answer.headers().contains_key("x-request-id"));
            (number, answer.status().as_u16())
        }
    }));
    for (number, status) in answers.await {
        assert_eq!(status, if number % 2 == 0 { 200 } else { 401 }, "{number}");
    }
}

#[tokio::test]
async fn two_lines_of_a_credential_are_two_over_http2_and_pieces_of_a_cookie_are_one() {
    let (address, guarded) = start(Store::InMemory).await;
    let get = || http::Request::get("http://localhost/x");
    let two = get().header("X-API-Key", &guarded.plain).header("X-API-Key", &guarded.plain);
    assert_eq!(ask(address, two, Empty::new().boxed()).await.0.status.as_u16(), 400);
    let pieces = get().header("Cookie", "a=1").header("Cookie", "b=2").header("X-API-Key", &guarded.plain);
    assert_eq!(ask(address, pieces, Empty::new().boxed()).await.0.status.as_u16(), 200);
}
