//! The quick start for WebSockets: a page that exchanges a key for a ticket, and opens a connection with it.

use axum::extract::WebSocketUpgrade;
use axum::response::{Html, Response};
use axum::routing::{get, post};
use axum::{Router, serve};
use keyward::ticket::{ServerSecret, Tickets};
use keyward::{Guard, Keys, MemoryStore, NewKey, Policy, SystemRandom};
use keyward_axum::{Authenticated, HeldSocket, LiveSocket};
use tokio::net::TcpListener;

const POLICY: &str = "
[access]
open_paths = ['/']        # the page itself

[websocket]
on_denial = 'close'       # so that the page sees why: of a refusal it sees nothing

[tickets]
query = 'token'           # ws://…/ws?token=TICKET
";

const PAGE: &str = "<!DOCTYPE html><title>WebSocket</title>
<label>Key <input id=key size=50></label> <button onclick=connect()>Connect</button> <pre id=log></pre>
<script>
async function connect() {
  const answer = await fetch('/auth/token', { method: 'POST', headers: { 'X-API-Key': key.value } });
  const { token } = await answer.json();
  const socket = new WebSocket(`ws://${location.host}/ws?token=${token}`);
  socket.onmessage = event => log.append(event.data, '\\n');
  socket.onclose = event => log.append(`closed: ${event.code} ${event.reason}\\n`);
}
</script>";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = MemoryStore::new();
    let key = Keys::new(store.clone()).create(NewKey::named("me")).await?;
    let tickets = Tickets::new(ServerSecret::generate(&SystemRandom)?);
    let guard = Guard::builder(Policy::from_toml("policy.toml", POLICY)?).store(store).tickets(tickets).build()?;

    let routes = Router::new()
        .route("/", get(async || Html(PAGE)))
        .route("/auth/token", post(keyward_axum::ticket)) // a key in, a ticket out
        .route("/ws", get(open));

    let port = std::env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    eprintln!("open http://{}/ and give it the key {}", listener.local_addr()?, key.secret().expose());
    serve(listener, keyward_axum::guarded(routes, guard)).await?;
    Ok(())
}

async fn open(who: Authenticated, live: LiveSocket, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(|socket| live.run(socket, |socket| talk(who, socket)))
}

/// Runs until it returns, the client goes, or the key ends.
async fn talk(who: Authenticated, mut socket: HeldSocket) {
    if socket.send(format!("hello, {}", who.name()).into()).await.is_ok() {
        while let Some(Ok(_)) = socket.recv().await {}
    }
}
