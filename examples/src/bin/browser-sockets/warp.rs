//! warp, by `keyward-warp`.

use std::io;
use std::net::TcpListener;

use bytes::Bytes;
use http::{StatusCode, header};
use keyward_warp::{Authenticated, HeldSocket, LiveSocket, authenticated, live_socket};
use warp::ws::{Message, Ws};
use warp::{Filter, Reply, path, reply};

use crate::{CHAT, PAGE, Service, cookie, greeting};

pub(crate) async fn serve(service: Service, listener: TcpListener) -> io::Result<()> {
    let page = path::end().and(warp::get()).map(|| reply::html(PAGE));
    let cookie =
        path!("cookie").and(warp::post()).and(warp::body::content_length_limit(1024)).and(warp::body::bytes()).map(set_cookie);
    let ticket = path!("auth" / "token").and(warp::post()).and(keyward_warp::ticket());
    let socket = path!("socket")
        .and(warp::get())
        .and(authenticated())
        .and(live_socket())
        .and(warp::header::optional("sec-websocket-protocol"))
        .and(warp::ws())
        .map(open);
    let keys = service.keys;
    let revoke = path!("key").and(warp::delete()).and(authenticated()).then(move |who: Authenticated| {
        let keys = keys.clone();
        async move {
            match who.key_id() {
                Some(id) if keys.revoke(&id).await.is_ok() => StatusCode::NO_CONTENT,
                _ => StatusCode::SERVICE_UNAVAILABLE,
            }
        }
    });
    let routes = page.or(cookie).or(ticket).or(socket).or(revoke);
    keyward_warp::serve(service.guard, routes).incoming(tokio::net::TcpListener::from_std(listener)?).run().await;
    Ok(())
}

fn open(who: Authenticated, live: LiveSocket, offered: Option<String>, handshake: Ws) -> reply::Response {
    let answer = handshake.on_upgrade(move |socket| live.run(socket, move |socket| talk(who, socket)));
    // warp selects no subprotocol by itself.
    let offers_chat = offered.is_some_and(|offered| offered.split(',').any(|offer| offer.trim() == CHAT));
    match offers_chat {
        true => reply::with_header(answer, header::SEC_WEBSOCKET_PROTOCOL, CHAT).into_response(),
        false => answer.into_response(),
    }
}

async fn talk(who: Authenticated, mut socket: HeldSocket) {
    if socket.send(Message::text(greeting(&who))).await.is_err() {
        return;
    }
    while let Some(Ok(message)) = socket.recv().await {
        if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
            return;
        }
    }
}

fn set_cookie(key: Bytes) -> reply::Response {
    match cookie(&key) {
        Some(cookie) => reply::with_header(StatusCode::NO_CONTENT, header::SET_COOKIE, cookie).into_response(),
        None => StatusCode::BAD_REQUEST.into_response(),
    }
}
