//! The generator of llms.txt files, by its published document, on warp: a key is exchanged for a token, and the token opens a
//! WebSocket.
//!
//! ```text
//! API_KEY="$(openssl rand -base64 32)" cargo run -p keyward-examples --bin llmstxt
//! curl -X POST -H "X-API-Key: $API_KEY" http://127.0.0.1:8000/auth/token
//! ```
//!
//! The token is then for `ws://127.0.0.1:8000/ws/crawl?token=…`, where the client says what to crawl, such as
//! `{"url":"http://127.0.0.1:8000/demo/"}`, and gets `{"type":"log","content":…}`, `{"type":"url","content":…}` for each page that
//! was read, and at the end `{"type":"result","content":…}` with the text of an llms.txt, or `{"type":"error","content":…}`.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `API_KEY` | none: it has to be set | the key, of 32 bytes or more; the tokens are signed with it |
//! | `PORT` | `8000` | on 127.0.0.1; `0` picks one |
//!
//! Standard output says `listening on ADDRESS` when the server is ready. Exit status: 2 for a wrong variable, 3 where the port cannot
//! be had.
//!
//! Otherwise than the system behind the document: what is crawled are the demo pages of this program and nothing else (`site.rs`
//! says how that is made sure of); and a token beside a key is refused, where that system looks at the token alone.
//!
//! Eight crawls go on at once; whoever orders one more is told an error, and is closed with 1013. A key, with all of its tokens, has
//! up to 100 connections.
//!
//! Everything about keys is in `policy.toml` and in three lines of `routes.rs`.

mod crawl;
mod demo;
mod fetch;
mod llms_txt;
mod page;
mod routes;
mod site;
mod socket;

use std::fmt::Display;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use keyward::{ConfigError, Guard, Policy};
use tokio::net::TcpListener;

use crate::site::Site;

const WRONG_CONFIGURATION: u8 = 2;
const FAULT: u8 = 3;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(false).init();
    let guard = match guard() {
        Ok(guard) => guard,
        Err(error) => return fail(WRONG_CONFIGURATION, &error),
    };
    let Some(port) = port() else {
        return fail(WRONG_CONFIGURATION, &"PORT: write a port from 0 to 65535");
    };
    match serve(guard, SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(FAULT, &error),
    }
}

fn guard() -> Result<Guard, ConfigError> {
    let policy = Policy::from_toml("policy.toml", include_str!("policy.toml"))?;
    Guard::builder(policy).environment(|name| std::env::var_os(name)).build()
}

fn port() -> Option<u16> {
    match std::env::var_os("PORT") {
        None => Some(8000),
        Some(port) => port.to_str()?.parse().ok(),
    }
}

fn fail(status: u8, error: &dyn Display) -> ExitCode {
    eprintln!("llmstxt: {error}");
    ExitCode::from(status)
}

async fn serve(guard: Guard, address: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(address).await.map_err(|error| {
        let text = format!("cannot listen on {address}: {error}; set PORT to another one, or to 0 for a free one");
        io::Error::new(error.kind(), text)
    })?;
    let address = listener.local_addr()?;
    let routes = routes::routes(Site::served_at(address));
    writeln!(io::stdout(), "listening on {address}")?;
    keyward_warp::serve(guard, routes).incoming(listener).graceful(keyward_examples::asked_to_stop()).run().await;
    Ok(())
}
