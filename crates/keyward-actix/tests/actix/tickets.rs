//! The token endpoint, and tickets in the URL of a handshake (R14).

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::{App, web};

use crate::sockets::{World, closed, connect, echoes, next_text};
use crate::support::{Store, send, serve, status};

const POLICY: &str = "[tickets]\nquery = 'token'\n";

async fn exchange(address: SocketAddr, key: &str) -> String {
    let head =
        format!("POST /auth/token HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    send(address, head).await
}

fn ticket_in(answer: &str) -> String {
    assert_eq!(status(answer), 200, "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let told: serde_json::Value = serde_json::from_str(body).unwrap();
    told["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_key_is_exchanged_for_a_ticket_that_opens_one_connection_and_ends_with_the_key() {
    for store in [Store::InMemory, Store::Slow(Duration::from_millis(20))] {
        let world = World::of(POLICY, store);
        let address = world.serve();
        let (id, key) = world.key().await;
        let answer = exchange(address, &key).await;
        for line in ["content-type: application/json", "cache-control: no-store", "x-request-id: "] {
            assert!(answer.contains(&format!("\r\n{line}")), "{line} is not in {answer}");
        }
        assert!(answer.contains(r#""expires_in":300"#), "{answer}");

        let target = format!("/ws/echoes?a=1&token={}&b", ticket_in(&answer));
        let (mut client, _) = connect(address, &target, &[]).await.unwrap();
        assert_eq!(next_text(&mut client).await, "a=1&b", "what the handler sees of the query");
        assert!(echoes(&mut client).await);
        assert_eq!(connect(address, &target, &[]).await.map(drop), Err(401), "it was used");
        assert_eq!(world.tally.opened(), 1);

        world.keys.revoke(&id).await.unwrap();
        let (code, _) = closed(&mut client).await.unwrap();
        assert_eq!(code, 1008);
        assert_eq!(status(&exchange(address, &key).await), 401);
    }
}

#[tokio::test]
async fn a_used_ticket_is_closed_where_the_policy_says_so() {
    let world = World::of(&format!("{POLICY}\n[websocket]\non_denial = 'close'"), Store::InMemory);
    let address = world.serve();
    let ticket = ticket_in(&exchange(address, &world.key().await.1).await);
    let target = format!("/ws/echoes?token={ticket}");
    let (mut first, _) = connect(address, &target, &[]).await.unwrap();
    assert_eq!(next_text(&mut first).await, "");
    let (mut second, _) = connect(address, &target, &[]).await.unwrap();
    assert_eq!(closed(&mut second).await.map(|(code, _)| code), Some(1008));
    assert!(echoes(&mut first).await);
    assert_eq!(world.tally.opened(), 1);
}

#[tokio::test]
async fn a_token_endpoint_gives_no_ticket_without_a_policy_for_them_and_fails_closed_without_a_guard() {
    let world = World::of("", Store::InMemory);
    assert_eq!(status(&exchange(world.serve(), &world.key().await.1).await), 404);
    let bare = serve(|| App::new().route("/auth/token", web::post().to(keyward_actix::ticket)));
    assert_eq!(status(&exchange(bare, "anything").await), 500);
}
