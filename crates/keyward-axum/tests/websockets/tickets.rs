//! A key is exchanged for a ticket, and the ticket opens one WebSocket (R14).

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::WebSocketUpgrade;
use axum::response::Response;
use axum::routing::{get, post};
use http::Request;
use keyward::SocketEnd;
use keyward_axum::LiveSocket;
use serde_json::Value;
use tokio_tungstenite::tungstenite::Error;
use tower::ServiceExt;

use crate::support::{Service, Store, body, closed, is_open, start, status};

const TICKETS: &str = "[tickets]\nquery = 'token'\n";

const STORES: [Store; 2] = [Store::Memory, Store::Cached];

async fn ticket(service: &Service, key: &str) -> String {
    let answer = service.ask("POST", "/auth/token", key).await;
    assert_eq!(status(&answer), 200, "{answer}");
    assert!(answer.contains("cache-control: no-store\r\n"), "{answer}");
    let told: Value = serde_json::from_str(body(&answer)).unwrap();
    assert_eq!(told["expires_in"], 300);
    told["token"].as_str().unwrap().to_owned()
}

async fn refused(service: &Service, target: &str) -> u16 {
    match service.connect(target, &[]).await {
        Err(Error::Http(answer)) => answer.status().as_u16(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_ticket_opens_one_connection_and_is_gone_from_what_the_handler_sees() {
    for store in STORES {
        let service = start(TICKETS, store).await;
        let (id, key) = service.key().await;
        let ticket = ticket(&service, &key).await;
        let target = format!("/ws?a=1&token={ticket}&b=2");
        let (mut client, answer) = service.connect(&target, &[]).await.unwrap();
        assert_eq!(answer.headers()["cache-control"], "no-store");
        assert!(is_open(&mut client).await);
        assert_eq!(refused(&service, &target).await, 401);
        let handled = service.handled.lock().unwrap().clone();
        assert_eq!(handled.len(), 1);
        assert!(handled[0].starts_with("/ws?a=1&b=2 /ws?a=1&b=2 "), "{handled:?}");
        assert!(!handled[0].contains(&ticket), "{handled:?}");

        // The connection is the key's: it ends with it.
        service.keys.revoke(&id).await.unwrap();
        assert_eq!(closed(&mut client).await.unwrap(), (1008, SocketEnd::KeyEnded.reason().to_owned()));
    }
}

#[tokio::test]
async fn a_ticket_is_good_for_its_lifetime_and_on_handshakes_only() {
    let service = start(&format!("{TICKETS}lifetime = '60s'\n"), Store::Memory).await;
    let (_, key) = service.key().await;
    let answer = service.ask("POST", "/auth/token", &key).await;
    let told: Value = serde_json::from_str(body(&answer)).unwrap();
    let target = format!("/ws?token={}", told["token"].as_str().unwrap());
    assert_eq!(
        status(&service.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).await.unwrap()),
        401
    );
    service.clock.advance(Duration::from_secs(60));
    assert_eq!(refused(&service, &target).await, 401);
}

#[tokio::test]
async fn who_has_no_key_gets_no_ticket() {
    let service = start(TICKETS, Store::Memory).await;
    let (_, key) = service.key().await;
    assert_eq!(status(&service.ask("POST", "/auth/token", "wrong").await), 401);
    assert_eq!(status(&service.ask("GET", "/auth/token", &key).await), 405);
    let ticket = ticket(&service, &key).await;
    let begets = format!("POST /auth/token?token={ticket} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(status(&service.send(begets).await.unwrap()), 401);

    let without = start("", Store::Memory).await;
    let (_, key) = without.key().await;
    assert_eq!(status(&without.ask("POST", "/auth/token", &key).await), 404);
}

#[tokio::test]
async fn outside_of_every_guard_nothing_is_trusted() {
    async fn open(live: LiveSocket, upgrade: WebSocketUpgrade) -> Response {
        upgrade.on_upgrade(|socket| live.run(socket, async |_| ()))
    }
    let app = Router::new().route("/ws", get(open)).route("/auth/token", post(keyward_axum::ticket));
    for request in [Request::get("/ws"), Request::post("/auth/token")] {
        let answer = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), 500);
    }
}
