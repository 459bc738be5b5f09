//! WebSockets of actix-ws behind the guard.

use std::net::SocketAddr;

use actix_web::{App, HttpRequest, HttpResponse, rt, web};
use actix_ws::Message;
use base64::Engine as _;
use futures_util::{SinkExt as _, StreamExt as _};
use keyward_actix::Authenticated;
use tokio::net::TcpStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::{self, client::IntoClientRequest as _};

use crate::support::{Guarded, Store, guarded, serve};

const POLICY: &str = "sources = [{ header = 'X-API-Key' }, { subprotocol = 'auth' }, { query = 'api_key', only = 'websocket' }]";

/// Says who it is and with what query, then echoes.
async fn socket(who: Authenticated, request: HttpRequest, body: web::Payload) -> Result<HttpResponse, actix_web::Error> {
    let (answer, mut session, mut messages) = actix_ws::handle_with_protocols(&request, body, &["chat"])?;
    let first = format!("{} {}", who.name(), request.query_string());
    rt::spawn(async move {
        let mut sent = session.text(first).await;
        while let (Ok(()), Some(Ok(Message::Text(text)))) = (&sent, messages.recv().await) {
            sent = session.text(text).await;
        }
    });
    Ok(answer)
}

async fn start() -> (SocketAddr, Guarded) {
    let guarded = guarded(POLICY, Store::InMemory).await;
    let guard = guarded.guard.clone();
    let address = serve(move || App::new().route("/ws", web::get().to(socket)).wrap(keyward_actix::guard(guard.clone())));
    (address, guarded)
}

async fn open(address: SocketAddr, target: &str, headers: &[(&'static str, String)]) -> Result<(String, Option<String>), u16> {
    let mut request = format!("ws://localhost{target}").into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut socket, answer) = match client_async(request, stream).await {
        Ok(opened) => opened,
        Err(tungstenite::Error::Http(answer)) => return Err(answer.status().as_u16()),
        Err(error) => panic!("{error}"),
    };
    assert!(answer.headers().contains_key("x-request-id"));
    let chosen = answer.headers().get("sec-websocket-protocol").map(|chosen| chosen.to_str().unwrap().to_owned());
    let first = socket.next().await.unwrap().unwrap().into_text().unwrap().to_string();
    socket.send("echo".into()).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap().into_text().unwrap().as_str(), "echo");
    Ok((first, chosen))
}

#[tokio::test]
async fn a_socket_opens_with_a_key_and_with_none_it_is_answered_with_the_denial() {
    let (address, guarded) = start().await;
    let key = &guarded.plain;
    let said = |name| Ok((format!("plain {name}"), None));
    assert_eq!(open(address, "/ws", &[("X-API-Key", key.clone())]).await, said(""));
    assert_eq!(open(address, &format!("/ws?a=1&api_key={key}&b"), &[]).await, said("a=1&b"));
    let offered = format!("auth.{}, other, chat", base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(key));
    let chosen = Ok(("plain ".to_owned(), Some("chat".to_owned())));
    assert_eq!(open(address, "/ws", &[("Sec-WebSocket-Protocol", offered)]).await, chosen);
    assert_eq!(open(address, "/ws", &[]).await, Err(401));
    assert_eq!(open(address, "/ws", &[("X-API-Key", "wrong".to_owned())]).await, Err(401));
    assert_eq!(open(address, &format!("/ws?api_key={key}&api_key=x"), &[]).await, Err(400));
}
