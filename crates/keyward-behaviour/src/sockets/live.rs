//! Open WebSockets end with the key that opened them (R7.4), and count against it until they do (R12).

use std::time::Duration;

use futures_util::future::try_join_all;
use serde_json::Value;
use tokio::time::sleep;

use super::{
    SocketCase,
    client::{Socket, after, denied, open, open_soon, open_with, request, same, start, told, written},
    tickets::exchange,
};
use crate::{
    cases::START,
    harness::Adapter,
    service::Service,
    wire::{Received, Upgraded},
};

/// The close code of a connection whose key has ended, and of one whose key nobody could ask for.
const ENDED: u16 = 1008;
const UNCONFIRMED: u16 = 1013;

pub(super) fn cases() -> Vec<SocketCase> {
    vec![
        SocketCase::new("R7.4 connections end within a second when their key is revoked, and no others do", revoked),
        SocketCase::new("R7.4 connections end when their key is disabled", disabled),
        SocketCase::new("R7.4 connections end when their key is purged", purged),
        SocketCase::new("R7.4 connections end when their key expires", expired),
        SocketCase::new("R7.4 connections of a secret that was rotated end with its grace", rotated),
        SocketCase::new("R7.4 connections of a secret end at once when it is rotated twice", rotated_twice),
        SocketCase::new("R14.2 a connection that a ticket opened ends with the ticket's key, not with the ticket", by_ticket),
        SocketCase::new("R7.4 a connection that is busy ends like any other", busy),
        SocketCase::new("R7.4 connections end one after the other, each with its key", in_turn),
        SocketCase::new("R6.3 connections end when for five seconds nobody can say whether their key is good", unconfirmed),
        SocketCase::new("R7.4 connections of nobody, and of keys that no store has, stay open", without_a_stored_key),
        SocketCase::new("R12 a key has so many connections and no more", counted),
        SocketCase::new("R12.4 what only some frameworks take for a handshake counts, too", counted_by_its_key),
        SocketCase::new("R12 a connection more is closed, where the policy says so", counted_and_closed),
        SocketCase::new("R12 a handshake that comes to nothing counts no longer", given_back),
        SocketCase::new("R12 a connection that breaks off counts no longer", broken_off),
        SocketCase::new("R12 connections that were ended count no longer", ended_and_counted),
    ]
}

async fn revoked(adapter: Adapter) -> Result<(), String> {
    let mut service = start(adapter, "").await?;
    let mut ending = [open_with(&service, "alpha").await?, open_with(&service, "alpha").await?];
    let mut other = open_with(&service, "beta").await?;
    for socket in ending.iter_mut().chain([&mut other]) {
        socket.stays().await?;
    }
    service.events()?;
    service.keys().revoke(&service.id("alpha")?).await.map_err(told)?;
    all_end(&mut ending, ENDED).await?;
    other.stays().await?;
    denied(&mut service, &written("/ws/a", "X-API-Key: alpha"), START, 401, "revoked").await?;
    other.close().await
}

async fn disabled(adapter: Adapter) -> Result<(), String> {
    let service = start(adapter, "").await?;
    let mut socket = open_with(&service, "alpha").await?;
    service.keys().set_disabled(&service.id("alpha")?, true).await.map_err(told)?;
    socket.ends(ENDED).await?;
    service.keys().set_disabled(&service.id("alpha")?, false).await.map_err(told)?;
    open_with(&service, "alpha").await?.stays().await
}

async fn purged(adapter: Adapter) -> Result<(), String> {
    let service = start(adapter, "").await?;
    let mut socket = open_with(&service, "alpha").await?;
    let id = service.id("alpha")?;
    service.keys().revoke(&id).await.map_err(told)?;
    service.keys().purge(&id).await.map_err(told)?;
    socket.ends(ENDED).await
}

async fn expired(adapter: Adapter) -> Result<(), String> {
    let mut service = start(adapter, "").await?;
    let (mut brief, mut other) = (open_with(&service, "brief").await?, open_with(&service, "alpha").await?);
    service.wait_until(START + after(60) - 1);
    brief.stays().await?;
    service.wait_until(START + after(60));
    brief.ends(ENDED).await?;
    other.stays().await
}

async fn rotated(adapter: Adapter) -> Result<(), String> {
    let mut service = start(adapter, "").await?;
    let mut of_old = open_with(&service, "alpha").await?;
    let made = service.keys().rotate(&service.id("alpha")?, Duration::from_secs(60)).await.map_err(told)?;
    let mut of_new = open_with(&service, made.secret().expose()).await?;
    // Within the grace the old one opens, too.
    let mut late = open_with(&service, "alpha").await?;
    service.wait_until(START + after(60) - 1);
    of_old.stays().await?;
    late.echoes().await?;
    service.wait_until(START + after(60));
    all_end(&mut [of_old, late], ENDED).await?;
    of_new.stays().await
}

async fn rotated_twice(adapter: Adapter) -> Result<(), String> {
    let service = start(adapter, "").await?;
    let mut of_first = open_with(&service, "alpha").await?;
    let id = service.id("alpha")?;
    let second = service.keys().rotate(&id, Duration::from_secs(60)).await.map_err(told)?;
    let mut of_second = open_with(&service, second.secret().expose()).await?;
    of_first.stays().await?;
    service.keys().rotate(&id, Duration::from_secs(60)).await.map_err(told)?;
    of_first.ends(ENDED).await?;
    of_second.stays().await
}

async fn by_ticket(adapter: Adapter) -> Result<(), String> {
    let mut service = start(adapter, "[tickets]\nquery = 'token'").await?;
    let ticket = exchange(&mut service, "alpha").await?;
    let mut socket = open(&service, &format!("/ws/a?token={ticket}"), &[]).await?;
    service.wait_until(START + after(3_600));
    socket.stays().await?;
    service.keys().revoke(&service.id("alpha")?).await.map_err(told)?;
    socket.ends(ENDED).await
}

async fn busy(adapter: Adapter) -> Result<(), String> {
    let service = start(adapter, "").await?;
    let mut socket = open_with(&service, "alpha").await?;
    service.keys().revoke(&service.id("alpha")?).await.map_err(told)?;
    // Nobody reads what comes back meanwhile.
    for number in 0..200 {
        if socket.say(&format!("message {number}")).await.is_err() {
            break;
        }
    }
    socket.ends_in_the_midst(ENDED).await
}

async fn in_turn(adapter: Adapter) -> Result<(), String> {
    let service = start(adapter, "").await?;
    for key in ["alpha", "beta"] {
        let mut socket = open_with(&service, key).await?;
        service.keys().revoke(&service.id(key)?).await.map_err(told)?;
        socket.ends(ENDED).await?;
        // Long enough for whoever looks after connections to find none left.
        sleep(Duration::from_millis(700)).await;
    }
    Ok(())
}

async fn unconfirmed(adapter: Adapter) -> Result<(), String> {
    let mut service = start(adapter, "").await?;
    let mut sockets = [open_with(&service, "alpha").await?, open_with(&service, "beta").await?];
    service.take_store_away(true);
    service.wait_until(START + after(5));
    for socket in &mut sockets {
        socket.stays().await?;
    }
    service.wait_until(START + after(10) + 1);
    all_end(&mut sockets, UNCONFIRMED).await?;
    service.take_store_away(false);
    open_with(&service, "alpha").await?.stays().await
}

async fn without_a_stored_key(adapter: Adapter) -> Result<(), String> {
    let policy = "
        authenticators = ['store', 'configured']
        [[configured_keys]]
        env = 'CONFIGURED_KEY'
        [access]
        open_paths = ['/ws/open']
        [[routes]]
        path = '/ws/optional'
        optional = true
    ";
    let mut service = start(adapter, policy).await?;
    let mut sockets = [
        open(&service, "/ws/open", &[("X-API-Key", "alpha")]).await?,
        open(&service, "/ws/optional", &[]).await?,
        open_with(&service, "configured").await?,
    ];
    let names: Vec<&Value> = sockets.iter().map(|socket| &socket.told["principal"]["name"]).collect();
    same("principals", &vec![&Value::Null, &Value::Null, &Value::from("CONFIGURED_KEY")], &names)?;
    let mut stored = open_with(&service, "alpha").await?;
    service.keys().revoke(&service.id("alpha")?).await.map_err(told)?;
    service.take_store_away(true);
    service.wait_until(START + after(3_600));
    stored.ends(UNCONFIRMED).await?;
    for socket in &mut sockets {
        socket.stays().await?;
    }
    Ok(())
}

async fn counted(adapter: Adapter) -> Result<(), String> {
    let mut service = start(adapter, "[websocket]\nconnections_per_key = 2\n[limits]\nper_key = ['9/hour']").await?;
    let (mut first, mut second) = (open_with(&service, "alpha").await?, open_with(&service, "alpha").await?);
    service.events()?;
    let received = third(&mut service, 429).await?;
    same("Retry-After", &1, &received.values("Retry-After").len())?;
    // Each key has its own, and a request that is no handshake none.
    open_with(&service, "beta").await?.echoes().await?;
    let (received, _) = service.ask(&request("GET /a", "X-API-Key: alpha"), START).await?;
    same("status", &200, &received.status)?;
    same("what is told of the quota", &vec!["\"key-3600s\";r=6;t=1200"], &received.values("RateLimit"))?;
    first.stays().await?;
    second.echoes().await?;
    first.close().await?;
    open_soon(&service, "alpha").await?.echoes().await?;
    second.echoes().await
}

async fn counted_by_its_key(adapter: Adapter) -> Result<(), String> {
    let mut service = start(adapter, "[websocket]\nconnections_per_key = 2").await?;
    let (mut first, mut second) = (open_with(&service, "alpha").await?, open_with(&service, "alpha").await?);
    service.events()?;
    let words = "Upgrade: websocket\nConnection: Upgrade";
    for others in [
        "Upgrade: websocket\nConnection: x-upgrade",
        "Upgrade: websocket\nConnection: upgrades",
        "Upgrade: xwebsocket\nConnection: Upgrade",
        "Upgrade: websocket/13\nConnection: Upgrade",
        "Upgrade: WEBSOCKET\nConnection: UPGRADE",
        "Upgrade: h2c, websocket\nConnection: Upgrade",
        "Upgrade: websocket, h2c\nConnection: keep-alive, Upgrade",
        "Upgrade: h2c\nUpgrade: websocket\nConnection: Upgrade",
        "Upgrade: websocket\nUpgrade: websocket\nConnection: keep-alive\nConnection: Upgrade",
        "Upgrade: websocket\nConnection: Upgrade, close",
        "Upgrade: no-websocket-here\nConnection: Upgrade",
        "Upgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "Upgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 8",
        "Connection: keep-alive",
    ] {
        let text = format!("GET /ws/a\n{words}\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==");
        denied(&mut service, &request(&text.replace(words, others), "X-API-Key: alpha"), START, 429, "limited").await?;
    }
    first.echoes().await?;
    second.echoes().await
}

async fn counted_and_closed(adapter: Adapter) -> Result<(), String> {
    let policy = "[websocket]\nconnections_per_key = 2\non_denial = 'close'\n[response]\nlimited = 'two are open'";
    let mut service = start(adapter, policy).await?;
    let (mut first, mut second) = (open_with(&service, "alpha").await?, open_with(&service, "alpha").await?);
    service.events()?;
    let received = third(&mut service, 101).await?;
    same("close", &Some(Upgraded::Closed { code: 1008, reason: "two are open".to_owned() }), &received.upgraded)?;
    first.echoes().await?;
    second.echoes().await
}

async fn given_back(adapter: Adapter) -> Result<(), String> {
    let mut service = start(adapter, "[websocket]\nconnections_per_key = 2").await?;
    let mut first = open_with(&service, "alpha").await?;
    // The handler of this path opens no socket.
    for _ in 0..4 {
        let (received, _) = service.ask(&written("/a", "X-API-Key: alpha"), START).await?;
        same("status", &200, &received.status)?;
    }
    let mut second = open_soon(&service, "alpha").await?;
    service.events()?;
    third(&mut service, 429).await?;
    first.echoes().await?;
    second.echoes().await
}

async fn broken_off(adapter: Adapter) -> Result<(), String> {
    let mut service = start(adapter, "[websocket]\nconnections_per_key = 2").await?;
    let (first, mut second) = (open_with(&service, "alpha").await?, open_with(&service, "alpha").await?);
    first.vanish()?;
    let mut another = open_soon(&service, "alpha").await?;
    service.events()?;
    third(&mut service, 429).await?;
    second.echoes().await?;
    another.echoes().await
}

async fn ended_and_counted(adapter: Adapter) -> Result<(), String> {
    let mut service = start(adapter, "[websocket]\nconnections_per_key = 2").await?;
    let id = service.id("alpha")?;
    for _ in 0..2 {
        let mut sockets = [open_soon(&service, "alpha").await?, open_soon(&service, "alpha").await?];
        service.events()?;
        third(&mut service, 429).await?;
        service.keys().set_disabled(&id, true).await.map_err(told)?;
        all_end(&mut sockets, ENDED).await?;
        service.keys().set_disabled(&id, false).await.map_err(told)?;
    }
    Ok(())
}

/// One handshake more than the policy's two, for the same key.
async fn third(service: &mut Service, status: u16) -> Result<Received, String> {
    let now = service.now();
    denied(service, &written("/ws/a", "X-API-Key: alpha"), now, status, "limited").await
}

async fn all_end(sockets: &mut [Socket], code: u16) -> Result<(), String> {
    try_join_all(sockets.iter_mut().map(|socket| socket.ends(code))).await.map(drop)
}
