//! What a browser sees of guarded WebSockets: a page that tries every way in which a browser can send a key, with a good one and a bad
//! one, on any of three frameworks.
//!
//! ```text
//! cargo run -p keyward-examples --bin browser-sockets -- --framework axum
//! cargo run -p keyward-examples --bin browser-sockets -- --framework warp --on-denial refuse
//! ```
//!
//! It prints an address with a key behind the `#`, which browsers keep to themselves. Open it. `PORT` is the port on 127.0.0.1, 8000 if
//! it is not set; `0` picks one. The page can try another server, as a page of a foreign origin does: put
//! `&target=127.0.0.1:PORT` behind the key.
//!
//! | path | |
//! | --- | --- |
//! | `GET /` | the page; open |
//! | `POST /cookie` | puts the body into the cookie of keys, as a login does; open |
//! | `POST /auth/token` | exchanges the key for a ticket |
//! | `GET /socket` | the WebSocket: says who it is and from where the key came, then echoes |
//! | `DELETE /key` | revokes the key, and with it ends the WebSockets that it has opened |

mod actix;
mod axum;
mod warp;

use std::io::{self, Write};
use std::net::TcpListener;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use keyward::audit::{LineFormat, Lines};
use keyward::policy::Source;
use keyward::ticket::{ServerSecret, Tickets};
use keyward::{Guard, Keys, MemoryStore, NewKey, Policy, Principal, SystemRandom};
use serde_json::json;

const PAGE: &str = include_str!("page.html");
/// The real subprotocol that the page offers beside the one that holds a key.
const CHAT: &str = "chat";
const COOKIE: &str = "X-API-KEY";

#[derive(Parser)]
struct Arguments {
    /// What serves.
    #[arg(long)]
    framework: Framework,
    /// What becomes of a denied handshake.
    #[arg(long, default_value = "close")]
    on_denial: OnDenial,
}

#[derive(Clone, Copy, ValueEnum)]
enum Framework {
    Axum,
    Actix,
    Warp,
}

#[derive(Clone, Copy, ValueEnum)]
enum OnDenial {
    Close,
    Refuse,
}

/// What every framework serves.
#[derive(Clone)]
struct Service {
    guard: Guard,
    keys: Keys,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("browser-sockets: {error}");
            ExitCode::from(3)
        }
    }
}

async fn run(Arguments { framework, on_denial }: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::var("PORT").unwrap_or_else(|_| "8000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}"))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;

    let store = MemoryStore::new();
    let keys = Keys::new(store.clone());
    let made = keys.create(NewKey::named("browser")).await?;
    let policy = policy(&format!("http://{address}"), on_denial)?;
    let guard = Guard::builder(policy)
        .store(store)
        .tickets(Tickets::new(ServerSecret::generate(&SystemRandom)?))
        .audit(Lines::new(io::stderr(), LineFormat::Json))
        .build()?;
    let service = Service { guard, keys };

    writeln!(io::stdout(), "listening on {address}")?;
    eprintln!("open http://{address}/#key={}", made.secret().expose());
    match framework {
        Framework::Axum => axum::serve(service, listener).await?,
        Framework::Actix => actix::serve(service, listener).await?,
        Framework::Warp => warp::serve(service, listener).await?,
    }
    Ok(())
}

fn policy(own_origin: &str, on_denial: OnDenial) -> Result<Policy, keyward::ConfigError> {
    Policy::builder()
        .sources([
            Source::header("X-API-Key"),
            Source::query("api_key").only_websocket(),
            Source::cookie(COOKIE),
            Source::subprotocol("base64url.bearer.authorization.keyward"),
        ])
        .ticket_query("token")
        .open_paths(["/", "/cookie"])
        // Cookies go with handshakes of every page that a browser shows. Those of this origin count.
        .public_url(own_origin)
        .websocket_on_denial(match on_denial {
            OnDenial::Close => "close",
            OnDenial::Refuse => "refuse",
        })
        .build()
}

/// The first message on a socket.
fn greeting(who: &Principal) -> String {
    json!({ "hello": who.name(), "source": who.source().map(keyward::SourceKind::as_str) }).to_string()
}

/// The value of `Set-Cookie` for what was posted. `None` if no cookie can hold it.
///
/// Whether the key is any good is the guard's to say, when the cookie comes back: the page wants bad ones, too.
fn cookie(key: &[u8]) -> Option<String> {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    let key = std::str::from_utf8(key).ok().filter(|key| key.len() <= 1024 && key.bytes().all(|byte| is_plain(&byte)))?;
    let life = if key.is_empty() { "; Max-Age=0" } else { "" };
    Some(format!("{COOKIE}={key}; Path=/; HttpOnly; SameSite=Strict{life}"))
}
