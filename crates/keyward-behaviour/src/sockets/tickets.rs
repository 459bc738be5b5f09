//! R14: a key is exchanged for a ticket, and the ticket opens one WebSocket.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{
    SocketCase,
    client::{Opened, after, denied, handshake, open, open_with, request, same, start, start_at, told, written},
};
use crate::{
    cases::START,
    harness::Adapter,
    service::{Place, Service},
    wire::{self, Protocol, Received, Upgraded},
};

const POLICY: &str = "
    sources = [{ header = 'X-API-Key' }, { bearer = true }, { query = 'api_key' }, { cookie = 'k' }]
    [tickets]
    query = 'token'
";

pub(super) fn cases() -> Vec<SocketCase> {
    vec![
        SocketCase::new("R14.1 a key in a header is exchanged for a ticket", exchanged),
        SocketCase::new("R14.1 a key from elsewhere gets no ticket", from_elsewhere),
        SocketCase::new("R14.1 a policy without tickets makes none", not_taken),
        SocketCase::new("R14.1 a ticket opens one socket", opens_once),
        SocketCase::new("R14.1 a ticket opens one socket where each decision waits", opens_once_while_waiting),
        SocketCase::new("R14.1 a ticket that was used is closed, where the policy says so", closed_when_used),
        SocketCase::new("R14.1 a ticket may be used again, where the policy says so", opens_twice),
        SocketCase::new("R14.1 a ticket is good until its last nanosecond", expires),
        SocketCase::new("R14.1 a ticket lives as long as the policy says", lifetime_of_the_policy),
        SocketCase::new("R14.2 a ticket ends with its key", ends_with_its_key),
        SocketCase::new("R14.2 a ticket ends with the grace of the secret that asked for it", ends_with_a_grace),
        SocketCase::new("R14.2 a ticket counts on handshakes alone, and is stripped everywhere", on_handshakes_alone),
        SocketCase::new("R14.2 a ticket is no key, and a key is no ticket", no_key),
        SocketCase::new("R14.2 a ticket that was changed opens nothing", changed),
        SocketCase::new("R14.2 a ticket may do what its key may", as_its_key),
        SocketCase::new("R3.1 bad tickets are charged to the failure budget", charged),
        SocketCase::new("R6.3 a ticket that nobody can judge is 503", store_away),
    ]
}

async fn exchanged(adapter: Adapter) -> Result<(), String> {
    let mut service = start(adapter, POLICY).await?;
    for header in ["X-API-Key: alpha", "Authorization: Bearer alpha"] {
        let asked = request("POST /auth/token", &format!("{header}\nX-Request-ID: of-the-client"));
        let (received, events) = service.ask(&asked, START).await?;
        let ticket = ticket_in(&received)?;
        same("events", &1, &events.len())?;
        same("whether the event holds the ticket", &false, &events[0].to_string().contains(&ticket))?;
        judge_answer(&received, &service)?;
    }
    if adapter.http2 {
        let address = service.address().ok_or("an adapter has an address")?;
        let asked = request("POST /auth/token", "X-API-Key: alpha\nX-Request-ID: of-the-client");
        judge_answer(&wire::send(address, &asked, Protocol::Http2).await.map_err(told)?, &service)?;
    }
    Ok(())
}

/// What an answer with a ticket tells, and what the ticket does.
fn judge_answer(received: &Received, service: &Service) -> Result<(), String> {
    let ticket = ticket_in(received)?;
    same("answer", &Some(json!({ "token": ticket, "expires_in": 300 })), &received.json())?;
    same("Content-Type", &vec!["application/json"], &received.values("Content-Type"))?;
    same("Cache-Control", &vec!["no-store"], &received.values("Cache-Control"))?;
    same("X-Request-ID", &vec!["of-the-client"], &received.values("X-Request-ID"))?;
    let parts: Vec<&str> = ticket.split('.').collect();
    let [header, claims, _] = parts.as_slice() else { return Err(format!("{ticket} has not three parts")) };
    let read = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).map_err(told)?).map_err(told);
    let (header, claims): (Value, Value) = (read(header)?, read(claims)?);
    let id = service.id("alpha")?.to_string();
    same("alg", &json!("HS256"), &header["alg"])?;
    same("kid", &json!(id), &header["kid"])?;
    same("sub", &json!(id), &claims["sub"])?;
    same("iss", &json!("keyward"), &claims["iss"])?;
    let now = u64::try_from(START / after(1)).map_err(told)?;
    same("iat and exp", &(json!(now), json!(now + 300)), &(claims["iat"].clone(), claims["exp"].clone()))?;
    for (part, name) in [(&header, "typ"), (&claims, "aud"), (&claims, "jti")] {
        same(name, &true, &part[name].as_str().is_some_and(|text| !text.is_empty()))?;
    }
    Ok(())
}

async fn from_elsewhere(adapter: Adapter) -> Result<(), String> {
    let policy = &format!("authenticators = ['store', 'configured']\n{POLICY}\n[[configured_keys]]\nenv = 'CONFIGURED_KEY'\n");
    let mut service = start(adapter, policy).await?;
    for (target, header, status, events) in [
        ("/auth/token?api_key=alpha", "", 403, "allow"),
        ("/auth/token", "Cookie: k=alpha", 403, "allow"),
        ("/auth/token", "X-API-Key: configured", 403, "allow"),
        ("/auth/token", "", 401, "deny"),
        ("/auth/token", "X-API-Key: wrong", 401, "deny"),
        ("/auth/token?token=a.b.c", "", 401, "deny"),
    ] {
        let (received, left) = service.ask(&request(&format!("POST {target}"), header), START).await?;
        let context = |problem| format!("{target} {header}: {problem}\n{received:?}");
        same("status", &status, &received.status).map_err(context)?;
        same("Cache-Control", &vec!["no-store"], &received.values("Cache-Control")).map_err(context)?;
        same("whether it has a challenge", &(status == 401), &!received.values("WWW-Authenticate").is_empty())
            .map_err(context)?;
        same("request ids", &1, &received.values("X-Request-ID").len()).map_err(context)?;
        let outcomes: Vec<&str> = left.iter().filter_map(|event| event["outcome"].as_str()).collect();
        same("outcomes", &vec![events], &outcomes).map_err(context)?;
        same("token", &None, &received.json().as_ref().and_then(|body| body.get("token"))).map_err(context)?;
    }
    Ok(())
}

async fn not_taken(adapter: Adapter) -> Result<(), String> {
    let mut service = start(adapter, "").await?;
    let (received, _) = service.ask(&request("POST /auth/token", "X-API-Key: alpha"), START).await?;
    same("status", &404, &received.status)?;
    let handshake = written("/ws/a?token=a.b.c", "");
    denied(&mut service, &handshake, START, 401, "missing").await.map(drop)
}

async fn opens_once(adapter: Adapter) -> Result<(), String> {
    once(start(adapter, POLICY).await?).await
}

async fn opens_once_while_waiting(adapter: Adapter) -> Result<(), String> {
    once(start_at(Place::Waiting(adapter), POLICY).await?).await
}

async fn once(mut service: Service) -> Result<(), String> {
    let ticket = exchange(&mut service, "alpha").await?;
    let mut socket = open(&service, &format!("/ws/a?b=1&token={ticket}&c"), &[]).await?;
    same("principal's name", &json!("alpha"), &socket.told["principal"]["name"])?;
    same("query", &json!("b=1&c"), &socket.told["query"])?;
    same("saw_credential", &json!(false), &socket.told["saw_credential"])?;
    same("Cache-Control", &Some(&b"no-store"[..]), &socket.answer.headers().get("cache-control").map(|value| value.as_bytes()))?;
    same("whether the handler was told the ticket", &false, &socket.told.to_string().contains(&ticket))?;
    socket.echoes().await?;
    let events = service.events()?;
    same("sources", &vec![Some("query")], &events.iter().map(|event| event["source"].as_str()).collect())?;
    same("whether the event holds the ticket", &false, &events[0].to_string().contains(&ticket))?;
    let again = written(&format!("/ws/a?token={ticket}"), "");
    let received = denied(&mut service, &again, START, 401, "revoked").await?;
    same("whether the denial holds the ticket", &false, &String::from_utf8_lossy(&received.body).contains(&ticket))?;
    socket.echoes().await
}

async fn closed_when_used(adapter: Adapter) -> Result<(), String> {
    let policy = format!("{POLICY}\n[response]\nunauthorized = 'ask for another'\n[websocket]\non_denial = 'close'\n");
    let mut service = start(adapter, &policy).await?;
    let ticket = exchange(&mut service, "alpha").await?;
    let target = format!("/ws/a?token={ticket}");
    open(&service, &target, &[]).await?.echoes().await?;
    service.events()?;
    let received = denied(&mut service, &written(&target, ""), START, 101, "revoked").await?;
    same("close", &Some(Upgraded::Closed { code: 1008, reason: "ask for another".to_owned() }), &received.upgraded)
}

async fn opens_twice(adapter: Adapter) -> Result<(), String> {
    let mut service = start(adapter, &format!("{POLICY}\nsingle_use = false")).await?;
    let ticket = exchange(&mut service, "alpha").await?;
    let mut first = open(&service, &format!("/ws/a?token={ticket}"), &[]).await?;
    let mut second = open(&service, &format!("/ws/b?token={ticket}"), &[]).await?;
    first.echoes().await?;
    second.echoes().await
}

async fn expires(adapter: Adapter) -> Result<(), String> {
    let mut service = start(adapter, POLICY).await?;
    let (early, late) = (exchange(&mut service, "alpha").await?, exchange(&mut service, "alpha").await?);
    service.wait_until(START + after(300) - 1);
    open(&service, &format!("/ws/a?token={early}"), &[]).await?.echoes().await?;
    service.events()?;
    let handshake = written(&format!("/ws/a?token={late}"), "");
    denied(&mut service, &handshake, START + after(300), 401, "expired").await.map(drop)
}

async fn lifetime_of_the_policy(adapter: Adapter) -> Result<(), String> {
    let mut service = start(adapter, &format!("{POLICY}\nlifetime = '10s'")).await?;
    let (received, _) = service.ask(&request("POST /auth/token", "X-API-Key: alpha"), START).await?;
    let ticket = ticket_in(&received)?;
    same("answer", &Some(json!({ "token": ticket, "expires_in": 10 })), &received.json())?;
    let handshake = written(&format!("/ws/a?token={ticket}"), "");
    denied(&mut service, &handshake, START + after(10), 401, "expired").await.map(drop)
}

async fn ends_with_its_key(adapter: Adapter) -> Result<(), String> {
    let mut service = start(adapter, POLICY).await?;
    let [revoked, disabled, rotated] =
        [exchange(&mut service, "alpha").await?, exchange(&mut service, "beta").await?, exchange(&mut service, "brief").await?];
    service.keys().revoke(&service.id("alpha")?).await.map_err(told)?;
    service.keys().set_disabled(&service.id("beta")?, true).await.map_err(told)?;
    service.keys().rotate(&service.id("brief")?, Duration::from_secs(30)).await.map_err(told)?;
    for ticket in [&revoked, &disabled, &rotated] {
        denied(&mut service, &written(&format!("/ws/a?token={ticket}"), ""), START, 401, "unknown").await?;
    }
    // Switched on again, it is the same key, and its tickets stay what they are: over.
    service.keys().set_disabled(&service.id("beta")?, false).await.map_err(told)?;
    denied(&mut service, &written(&format!("/ws/a?token={disabled}"), ""), START, 401, "unknown").await?;
    let ticket = exchange(&mut service, "beta").await?;
    open(&service, &format!("/ws/a?token={ticket}"), &[]).await?.echoes().await
}

async fn ends_with_a_grace(adapter: Adapter) -> Result<(), String> {
    let mut service = start(adapter, POLICY).await?;
    let made = service.keys().rotate(&service.id("alpha")?, Duration::from_secs(60)).await.map_err(told)?;
    let new = made.secret().expose().to_owned();
    let old = [exchange(&mut service, "alpha").await?, exchange(&mut service, "alpha").await?];
    let of_new = exchange(&mut service, &new).await?;
    service.wait_until(START + after(60) - 1);
    open(&service, &format!("/ws/a?token={}", old[0]), &[]).await?.echoes().await?;
    service.wait_until(START + after(60));
    match handshake(&service, &format!("/ws/a?token={}", old[1]), &[]).await? {
        Opened::Refused(answer) => same("status", &401, &answer.status().as_u16())?,
        Opened::Open(_) => return Err("a ticket of a secret whose grace is over opens a socket".to_owned()),
    }
    open(&service, &format!("/ws/a?token={of_new}"), &[]).await?.echoes().await
}

async fn on_handshakes_alone(adapter: Adapter) -> Result<(), String> {
    let policy = format!("{POLICY}\n[access]\nopen_paths = ['/open/*']");
    let mut service = start(adapter, &policy).await?;
    let ticket = exchange(&mut service, "alpha").await?;
    for method in ["GET", "POST"] {
        denied(&mut service, &request(&format!("{method} /a?token={ticket}"), ""), START, 401, "missing").await?;
        for (path, key) in [("/a", "X-API-Key: beta"), ("/open/a", "")] {
            let (received, _) = service.ask(&request(&format!("{method} {path}?b=1&token={ticket}"), key), START).await?;
            let context = |problem| format!("{method} {path}: {problem}\n{received:?}");
            same("status", &200, &received.status).map_err(context)?;
            let seen = received.json().unwrap_or_default();
            same("query", &json!("b=1"), &seen["query"]).map_err(context)?;
            same("saw_credential", &json!(false), &seen["saw_credential"]).map_err(context)?;
            same("Cache-Control", &vec!["no-store"], &received.values("Cache-Control")).map_err(context)?;
        }
    }
    // What asks for a WebSocket and cannot become one is no handshake here.
    let target = format!("/ws/a?token={ticket}");
    for incomplete in [
        format!("GET {target}\nUpgrade: websocket\nConnection: Upgrade"),
        format!("GET {target}\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: x"),
        format!(
            "GET {target}\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 8\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
        ),
    ] {
        denied(&mut service, &request(&incomplete, ""), START, 401, "missing").await?;
    }
    // None of these has used it up.
    open(&service, &format!("/ws/a?token={ticket}"), &[]).await?.echoes().await
}

async fn no_key(adapter: Adapter) -> Result<(), String> {
    let mut service = start(adapter, POLICY).await?;
    let ticket = exchange(&mut service, "alpha").await?;
    for (target, more, status, reason) in [
        ("/ws/a".to_owned(), format!("X-API-Key: {ticket}"), 401, "unknown"),
        ("/ws/a".to_owned(), format!("Authorization: Bearer {ticket}"), 401, "unknown"),
        (format!("/ws/a?api_key={ticket}"), String::new(), 401, "unknown"),
        ("/ws/a?token=alpha".to_owned(), String::new(), 401, "malformed"),
        (format!("/ws/a?token={ticket}"), "X-API-Key: alpha".to_owned(), 400, "conflict"),
        (format!("/ws/a?token={ticket}&token={ticket}"), String::new(), 400, "duplicate"),
        (format!("/ws/a?token={ticket}&%74oken={ticket}"), String::new(), 400, "duplicate"),
    ] {
        denied(&mut service, &written(&target, &more), START, status, reason).await?;
    }
    open(&service, &format!("/ws/a?token={ticket}"), &[]).await?.echoes().await
}

async fn changed(adapter: Adapter) -> Result<(), String> {
    let mut service = start(adapter, POLICY).await?;
    let (of_alpha, of_beta) = (exchange(&mut service, "alpha").await?, exchange(&mut service, "beta").await?);
    let parts = |ticket: &str| ticket.split('.').map(str::to_owned).collect::<Vec<String>>();
    let (alpha, beta) = (parts(&of_alpha), parts(&of_beta));
    for (ticket, reason) in [
        (format!("{}.{}.{}", beta[0], alpha[1], alpha[2]), "unknown"),
        (format!("{}.{}.{}", alpha[0], beta[1], alpha[2]), "unknown"),
        (format!("{}.{}.{}", alpha[0], alpha[1], beta[2]), "unknown"),
        (format!("{}.{}.", alpha[0], alpha[1]), "malformed"),
        (format!("{}.{}", alpha[0], alpha[1]), "malformed"),
        (format!("{}.{}.{}", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), alpha[1], alpha[2]), "malformed"),
        (of_alpha.to_uppercase(), "malformed"),
        (String::new(), "malformed"),
    ] {
        denied(&mut service, &written(&format!("/ws/a?token={ticket}"), ""), START, 401, reason).await?;
    }
    open(&service, &format!("/ws/a?token={of_alpha}"), &[]).await?.echoes().await
}

async fn as_its_key(adapter: Adapter) -> Result<(), String> {
    let policy = format!(
        "{POLICY}\n[limits]\nper_key = ['3/minute']\n[[routes]]\npath = '/ws/admin'\nscopes = ['admin:all']\n\
         [[routes]]\npath = '/ws/near'\ndeny = ['127.0.0.1']"
    );
    let mut service = start(adapter, &policy).await?;
    let ticket = exchange(&mut service, "alpha").await?;
    denied(&mut service, &written(&format!("/ws/near?token={ticket}"), ""), START, 403, "address").await?;
    denied(&mut service, &written(&format!("/ws/admin?token={ticket}"), ""), START, 403, "scope").await?;
    // It has been looked at, which is to be used; its place in the quota was never taken.
    let ticket = exchange(&mut service, "alpha").await?;
    open(&service, &format!("/ws/a?token={ticket}"), &[]).await?.echoes().await?;
    service.events()?;
    let asked = request("POST /auth/token", "X-API-Key: alpha");
    denied(&mut service, &asked, START, 429, "limited").await.map(drop)
}

async fn charged(adapter: Adapter) -> Result<(), String> {
    let mut service = start(adapter, &format!("{POLICY}\n[limits]\nfailures = '1/minute'")).await?;
    let ticket = exchange(&mut service, "alpha").await?;
    let bad = written("/ws/a?token=a.b.c", "");
    denied(&mut service, &bad, START, 401, "malformed").await?;
    denied(&mut service, &bad, START, 429, "failures-limited").await?;
    open(&service, &format!("/ws/a?token={ticket}"), &[]).await?.echoes().await
}

async fn store_away(adapter: Adapter) -> Result<(), String> {
    let mut service = start(adapter, POLICY).await?;
    let ticket = exchange(&mut service, "alpha").await?;
    service.take_store_away(true);
    let handshake = written(&format!("/ws/a?token={ticket}"), "");
    denied(&mut service, &handshake, START, 503, "unavailable").await?;
    service.take_store_away(false);
    open(&service, &format!("/ws/a?token={ticket}"), &[]).await?.echoes().await?;
    open_with(&service, "alpha").await?.echoes().await
}

/// A ticket for a key, and no event is left over.
pub(super) async fn exchange(service: &mut Service, key: &str) -> Result<String, String> {
    let now = service.now();
    let (received, _) = service.ask(&request("POST /auth/token", &format!("X-API-Key: {key}")), now).await?;
    ticket_in(&received)
}

fn ticket_in(received: &Received) -> Result<String, String> {
    let token = received.json().and_then(|body| body["token"].as_str().map(str::to_owned));
    token.filter(|_| received.status == 200).ok_or_else(|| format!("expected a ticket, got {received:?}"))
}
