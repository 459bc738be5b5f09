//! Denied handshakes are completed and closed where the policy says so (R12.1).

use tokio_tungstenite::tungstenite::Error;

use crate::support::{Store, body, closed, start, status};

const CLOSE: &str =
    "sources = [{ header = 'X-API-Key' }, { subprotocol = 'base64url.auth' }]\n[websocket]\non_denial = 'close'\n";

const STORES: [Store; 2] = [Store::Memory, Store::Cached];

#[tokio::test]
async fn a_bad_key_sees_the_code_and_the_reason() {
    for store in STORES {
        for (code, line) in [(1008, ""), (4001, "close_code = 4001\n")] {
            let service = start(&format!("{CLOSE}{line}"), store).await;
            let (mut client, answer) = service.connect("/ws", &[("x-api-key", "wrong")]).await.unwrap();
            assert_eq!(answer.status(), 101);
            assert_eq!(closed(&mut client).await.unwrap(), (code, service.told("/ws", "wrong").await), "{store:?}");
            assert_eq!(service.handled(), 0);
        }
    }
}

#[tokio::test]
async fn the_real_subprotocol_is_selected_and_the_token_is_not_echoed() {
    let service = start(CLOSE, Store::Memory).await;
    let offered = "base64url.auth.d3Jvbmc, chat, talk";
    let (mut client, answer) = service.connect("/ws", &[("sec-websocket-protocol", offered)]).await.unwrap();
    assert_eq!(answer.headers()["sec-websocket-protocol"], "chat");
    assert!(!format!("{answer:?}").contains("d3Jvbmc"), "{answer:?}");
    assert_eq!(closed(&mut client).await.unwrap().0, 1008);
}

fn handshake(lines: &str) -> String {
    let fixed = "Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
    format!("GET /ws HTTP/1.1\r\n{fixed}{lines}\r\n")
}

const VALID: &str = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[tokio::test]
async fn nothing_that_was_sent_along_gets_anywhere() {
    let service = start(CLOSE, Store::Memory).await;
    let reason = service.told("/ws", "wrong").await;
    let frames = [&b"\x81\x85maskhello".repeat(100)[..], b"\x88\x82mask\x6e\x89"].concat();
    let answer = service.send([handshake(&format!("{VALID}X-API-Key: wrong\r\n")).as_bytes(), &frames].concat()).await.unwrap();
    assert_eq!(status(&answer), 101);
    // As text: what is no UTF-8 of the frame's head is replaced.
    let head = String::from_utf8_lossy(&[0x88, 2 + reason.len() as u8, 0x03, 0xf0]).into_owned();
    assert_eq!(body(&answer), head + &reason);
    assert_eq!(service.handled(), 0);
}

#[tokio::test]
async fn a_guard_within_another_closes_too() {
    for store in STORES {
        let service = start(CLOSE, store).await;
        let (_, key) = service.key().await;
        let (mut client, _) = service.connect("/admin/ws", &[("x-api-key", &key)]).await.unwrap();
        assert_eq!(closed(&mut client).await.unwrap(), (1008, service.told("/admin/ws", &key).await));
        assert_eq!(service.handled(), 0);
    }
}

#[tokio::test]
async fn limits_close_too() {
    let service = start(&format!("{CLOSE}connections_per_key = 1\n[limits]\nper_key = ['3/hour']\n"), Store::Memory).await;
    let (_, key) = service.key().await;
    let _first = service.open("/ws", &key).await;
    // One connection is open, and costs more than all the others: those are not charged.
    for _ in 0..5 {
        let (mut client, _) = service.connect("/ws", &[("x-api-key", &key)]).await.unwrap();
        assert_eq!(closed(&mut client).await.unwrap().0, 1008);
    }
    assert_eq!(status(&service.ask("GET", "/nothing", &key).await), 404);
    assert_eq!(status(&service.ask("GET", "/nothing", &key).await), 404);
    assert_eq!(status(&service.ask("GET", "/nothing", &key).await), 429);
    assert_eq!(service.handled(), 1);
}

#[tokio::test]
async fn without_the_policys_word_the_denial_is_the_answer() {
    for policy in ["", "[websocket]\non_denial = 'refuse'"] {
        let service = start(policy, Store::Memory).await;
        match service.connect("/ws", &[("x-api-key", "wrong")]).await {
            Err(Error::Http(answer)) => {
                assert_eq!(answer.status(), 401);
                assert_eq!(answer.headers()["content-type"], "application/problem+json");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn what_is_no_valid_handshake_gets_the_denial() {
    let service = start(CLOSE, Store::Memory).await;
    let valid = handshake(&format!("{VALID}Connection: close\r\n"));
    for request in [
        valid.replace("Version: 13", "Version: 12"),
        valid.replace("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j"),
        valid.replace("GET", "POST"),
        valid.replace("HTTP/1.1", "HTTP/1.0"),
    ] {
        assert_eq!(status(&service.send(&request).await.unwrap()), 401, "{request}");
    }
    assert_eq!(service.handled(), 0);
}
