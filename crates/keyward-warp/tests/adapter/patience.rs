//! How long a connection may stay, and whom a graceful end waits for. The clock is paused: it jumps to the next timer whenever no
//! task has anything to do.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::Request;
use http_body_util::Empty;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use warp::Filter;
use warp::ws::Ws;

use crate::support::{guard, start, status};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// An empty SETTINGS frame, and `GET / HTTP/2` with `:authority: a`.
const REQUEST: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x06\x01\x05\0\0\0\x01\x82\x86\x84\x41\x01a";

/// What clients send who then say no more.
fn beginnings() -> [(&'static str, Vec<u8>); 6] {
    [
        ("nothing", Vec::new()),
        ("what may become a preface", b"P".to_vec()),
        ("most of a preface", PREFACE[..20].to_vec()),
        ("a preface", PREFACE.to_vec()),
        ("a request in HTTP/2, and no answer to pings", [PREFACE, REQUEST].concat()),
        ("half a head of HTTP/1", b"GET /x HTTP/1.1\r\nHost: a\r\nX-API-".to_vec()),
    ]
}

#[tokio::test(start_paused = true)]
async fn clients_that_say_no_more_are_given_up() {
    let service = start("", |_| warp::path!("x").map(|| "in")).await;
    for (name, sent) in beginnings() {
        let mut stream = TcpStream::connect(service.address).await.unwrap();
        stream.write_all(&sent).await.unwrap();
        let mut answer = Vec::new();
        let ended = timeout(Duration::from_secs(90), stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "still open: {name}");
        assert_ne!(status(&String::from_utf8_lossy(&answer)), 200, "{name}");
    }
}

/// A server with slow routes, and what ends it.
async fn with_an_end() -> (std::net::SocketAddr, String, oneshot::Sender<()>, JoinHandle<()>) {
    let service = guard("", false).await;
    let slow = warp::path!("slow").and(warp::get()).then(|| async {
        sleep(Duration::from_secs(150)).await;
        "done"
    });
    let socket = warp::path!("socket").and(warp::ws()).map(|handshake: Ws| {
        handshake.on_upgrade(|mut socket| async move {
            while let Some(Ok(message)) = socket.next().await {
                if message.is_text() && socket.send(message).await.is_err() {
                    return;
                }
            }
        })
    });
    // A paused clock jumps while a ping or its answer is on its way through the kernel: so every second of it takes some real time.
    tokio::spawn(async {
        loop {
            sleep(Duration::from_secs(1)).await;
            std::thread::sleep(Duration::from_millis(2));
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = keyward_warp::serve(service.guard, slow.or(socket)).incoming(listener);
    let server = tokio::spawn(server.graceful(async { drop(stopped.await) }).run());
    (address, service.plain, stop, server)
}

#[tokio::test(start_paused = true)]
async fn clients_that_say_no_more_hold_up_no_end() {
    for (name, sent) in beginnings() {
        let (address, _, stop, server) = with_an_end().await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&sent).await.unwrap();
        sleep(Duration::from_millis(50)).await;
        stop.send(()).unwrap();
        assert!(timeout(Duration::from_secs(90), server).await.is_ok(), "not ended: {name}");
        drop(stream);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_under_way_is_not_cut() {
    for ends in [false, true] {
        let (address, key, stop, server) = with_an_end().await;
        let mut first = TcpStream::connect(address).await.unwrap();
        first
            .write_all(format!("GET /slow HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\nConnection: close\r\n\r\n").as_bytes())
            .await
            .unwrap();
        let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
        let (mut second, connection) =
            hyper::client::conn::http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        let request = Request::get(format!("http://{address}/slow")).header("x-api-key", &key).body(Empty::new()).unwrap();
        let second = tokio::spawn(second.send_request(request));
        sleep(Duration::from_millis(50)).await;
        if ends {
            stop.send(()).unwrap();
        }
        let mut answer = String::new();
        first.read_to_string(&mut answer).await.unwrap();
        assert_eq!(status(&answer), 200);
        assert_eq!(second.await.unwrap().unwrap().status(), 200);
        server.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_socket_stays_open() {
    let (address, key, _stop, server) = with_an_end().await;
    let mut handshake = format!("ws://{address}/socket").into_client_request().unwrap();
    handshake.headers_mut().insert("x-api-key", key.parse().unwrap());
    let (mut socket, _) = client_async(handshake, TcpStream::connect(address).await.unwrap()).await.unwrap();
    sleep(Duration::from_secs(150)).await;
    socket.send(Message::text("still here")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("still here"));
    server.abort();
}
