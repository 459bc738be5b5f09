//! WebSockets through `warp::ws()`.

use futures_util::{SinkExt, StreamExt};
use http::Request;
use keyward::Guard;
use keyward_warp::{Authenticated, authenticated};
use tokio::net::TcpStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use warp::Filter;
use warp::ws::Ws;

use crate::support::{Service, guard, start_with};

const POLICY: &str = r#"
sources = [{ header = "X-API-Key" }, { query = "api_key", only = "websocket" }]
[limits]
per_key = ["100/hour"]
"#;

async fn start(slow: bool) -> Service {
    let routes = |_: Guard| {
        let raw = warp::query::raw().or(warp::any().map(String::new)).unify();
        warp::path!("socket").and(authenticated()).and(raw).and(warp::ws()).map(|who: Authenticated, query: String, ws: Ws| {
            ws.on_upgrade(move |mut socket| async move {
                let first = format!("{} {query}", who.name());
                if socket.send(warp::ws::Message::text(first)).await.is_err() {
                    return;
                }
                while let Some(Ok(message)) = socket.next().await {
                    if message.is_text() && socket.send(message).await.is_err() {
                        return;
                    }
                }
            })
        })
    };
    start_with(guard(POLICY, slow).await, routes).await
}

fn handshake(target: &str) -> Request<()> {
    format!("ws://localhost{target}").into_client_request().unwrap()
}

#[tokio::test]
async fn a_socket_opens_with_a_key() {
    for slow in [false, true] {
        let service = start(slow).await;
        let stream = TcpStream::connect(service.address).await.unwrap();
        let (mut socket, answer) =
            client_async(handshake(&format!("/socket?api_key={}&a=1", service.plain)), stream).await.unwrap();
        assert_eq!(answer.status(), 101);
        for header in ["x-request-id", "ratelimit", "ratelimit-policy"] {
            assert!(answer.headers().contains_key(header), "{answer:?}");
        }
        assert_eq!(answer.headers()["cache-control"], "no-store");
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("plain a=1"));
        socket.send(Message::text("echo me")).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("echo me"));
    }
}

#[tokio::test]
async fn a_handshake_without_a_good_key_is_answered_with_the_denial() {
    let service = start(false).await;
    for target in ["/socket", "/socket?api_key=wrong"] {
        let stream = TcpStream::connect(service.address).await.unwrap();
        match client_async(handshake(target), stream).await {
            Err(Error::Http(answer)) => {
                assert_eq!(answer.status(), 401, "{target}");
                assert_eq!(answer.headers()["content-type"], "application/problem+json");
            }
            other => panic!("{target}: {other:?}"),
        }
    }
}
