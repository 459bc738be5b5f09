//! The server: whose address a request carries, HTTP/2, stores that have to be waited for, listeners, and the way to an end.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Version};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use keyward::Guard;
use keyward_warp::{authenticated, client_address};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use warp::Filter;

use crate::support::{body, guard, start, start_with, status};

/// Two rules that need the peer: without it they answer 503.
const POLICY: &str = "[limits]\nper_address = ['1000/hour']\nfailures = '3/minute'\n";

#[tokio::test]
async fn requests_carry_the_address_of_their_connection() {
    let routes = |_: Guard| warp::path!("me").and(client_address()).map(|address: Option<_>| format!("{address:?}"));
    let service = start(POLICY, routes).await;
    let answer = service.get("/me", &service.plain).await;
    assert_eq!((status(&answer), body(&answer)), (200, "Some(127.0.0.1)"));
    for expected in [401, 401, 401, 429] {
        assert_eq!(status(&service.get("/me", "wrong").await), expected);
    }
    // Another address has a budget of its own.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 9], 0).into()).unwrap();
    let mut stream = socket.connect(service.address).await.unwrap();
    stream.write_all(b"GET /me HTTP/1.1\r\nHost: a\r\nX-API-Key: wrong\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(status(&answer), 401);
}

#[tokio::test]
async fn http2_with_prior_knowledge() {
    for slow in [false, true] {
        let routes =
            |_: Guard| warp::path!("who").and(authenticated()).map(|who: keyward_warp::Authenticated| who.name().to_owned());
        let service = start_with(guard(POLICY, slow).await, routes).await;
        let stream = TokioIo::new(TcpStream::connect(service.address).await.unwrap());
        let (mut client, connection) =
            hyper::client::conn::http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        let uri = format!("http://{}/who", service.address);
        for (key, expected, text) in [(service.plain.as_str(), 200, Some("plain")), ("wrong", 401, None), ("", 401, None)] {
            let mut request = Request::get(&uri).version(Version::HTTP_2);
            if !key.is_empty() {
                request = request.header("x-api-key", key);
            }
            let answer = client.send_request(request.body(Empty::new()).unwrap()).await.unwrap();
            assert_eq!((answer.status().as_u16(), answer.version()), (expected, Version::HTTP_2));
            assert!(answer.headers().contains_key("x-request-id"));
            let bytes = answer.into_body().collect().await.unwrap().to_bytes();
            assert!(text.is_none_or(|text| text == bytes), "{bytes:?}");
        }
        // hyper leaves the body of such an answer to others; a client that gets one calls the answer broken.
        for (key, expected) in [(service.plain.as_str(), 200), ("wrong", 401)] {
            let request = Request::head(&uri).header("x-api-key", key).body(Empty::new()).unwrap();
            let answer = client.send_request(request).await.unwrap();
            assert_eq!(answer.status().as_u16(), expected);
            assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "");
        }
        // What HTTP/2 calls `CONNECT` has no path.
        let request =
            Request::connect(service.address.to_string()).header("x-api-key", &service.plain).body(Empty::new()).unwrap();
        assert_eq!(client.send_request(request).await.unwrap().status(), 400);
        assert_eq!(client.send_request(Request::get(&uri).body(Empty::new()).unwrap()).await.unwrap().status(), 401);
    }
}

#[tokio::test]
async fn a_store_that_has_to_be_waited_for() {
    let service =
        start_with(guard(POLICY, true).await, |_| warp::any().and(warp::body::bytes()).map(|body: Bytes| body.to_vec())).await;
    for (key, expected) in [(&service.plain, 200), (&"wrong".to_owned(), 401)] {
        let request =
            format!("POST / HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody");
        let answer = service.send(request).await;
        assert_eq!(status(&answer), expected);
        assert!(expected == 401 || body(&answer) == "body", "{answer}");
    }
}

#[tokio::test]
async fn a_graceful_end_waits_for_requests_under_way() {
    let service = guard("", false).await;
    let (entered, mut inside) = tokio::sync::mpsc::unbounded_channel();
    let (leave, left) = tokio::sync::watch::channel(false);
    let routes = warp::path!("slow").and_then(move || {
        let (entered, mut left) = (entered.clone(), left.clone());
        async move {
            entered.send(()).unwrap();
            left.wait_for(|left| *left).await.unwrap();
            Ok::<_, warp::Rejection>("done")
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = keyward_warp::serve(service.guard.clone(), routes).incoming(listener);
    let server = tokio::spawn(server.graceful(async { drop(stopped.await) }).run());
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /slow HTTP/1.1\r\nHost: a\r\nX-API-Key: {}\r\n\r\n", service.plain);
    stream.write_all(request.as_bytes()).await.unwrap();
    inside.recv().await.unwrap();
    stop.send(()).unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!server.is_finished());
    assert!(TcpStream::connect(address).await.is_err(), "the listener is still open");
    leave.send(true).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!((status(&answer), body(&answer)), (200, "done"));
    tokio::time::timeout(Duration::from_secs(5), server).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_address_is_bound_as_warp_binds_it() {
    let service = guard("", false).await;
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let server = || keyward_warp::serve(service.guard.clone(), warp::any().map(|| "in"));
    let panicked = tokio::spawn(server().run(address)).await.unwrap_err().into_panic();
    assert!(panicked.downcast_ref::<String>().unwrap().starts_with(&format!("cannot listen on {address}: ")));
    drop(taken);
    let running = tokio::spawn(server().bind(address).await.run());
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(status(&answer), 401);
    running.abort();
}

/// R2.3. A socket in the file system has no address, and a rule that needs one says so instead of sharing a budget.
#[cfg(unix)]
#[tokio::test]
async fn connections_without_an_address_pass_no_rule_that_needs_one() {
    for (policy, expected) in [("", 200), (POLICY, 503)] {
        let service = guard(policy, false).await;
        let file = std::env::temp_dir().join(format!("keyward-warp-{}-{expected}.socket", std::process::id()));
        let _ = std::fs::remove_file(&file);
        let listener = tokio::net::UnixListener::bind(&file).unwrap();
        let server = keyward_warp::serve(service.guard.clone(), warp::any().map(|| "in")).incoming(listener);
        let running = tokio::spawn(server.run());
        let mut stream = tokio::net::UnixStream::connect(&file).await.unwrap();
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nX-API-Key: {}\r\nConnection: close\r\n\r\n", service.plain);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(status(&answer), expected);
        running.abort();
        std::fs::remove_file(&file).unwrap();
    }
}
