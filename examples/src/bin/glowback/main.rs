//! The GlowBack backtesting gateway, by its published document, on axum.
//!
//! ```text
//! GLOWBACK_API_KEY="first-key,second-key" cargo run -p keyward-examples --bin glowback
//! curl -H 'Authorization: Bearer first-key' http://127.0.0.1:8000/backtests
//! ```
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `GLOWBACK_API_KEY` | none: development mode, open to all | the keys, separated by commas |
//! | `GLOWBACK_LOG_FORMAT` | `json` | `json` or `text`, in any case |
//! | `GLOWBACK_LOG_LEVEL` | `INFO` | `DEBUG`, `INFO`, `WARNING` or `ERROR`, in any case; that no key is set is told at each |
//! | `GLOWBACK_RATE_LIMIT` | `100` | requests of one address … |
//! | `GLOWBACK_RATE_WINDOW` | `60` | … in so many seconds |
//! | `GLOWBACK_MAX_BODY_BYTES` | `1048576` | the largest body that is read |
//! | `PORT` | `8000` | on 127.0.0.1; `0` picks one |
//!
//! Standard output says `listening on ADDRESS` when the server is ready; logs go to standard error, one line each. Exit status:
//! 2 for a wrong variable, 3 where the port cannot be had.
//!
//! `ws://127.0.0.1:8000/backtests/RUN_ID/stream` shows a run from its first day to its end. Without a valid key it is closed at once,
//! with 1008; of a run that is not known, with 4404.
//!
//! Otherwise than in the document: requests with a good key and those with a bad one are counted by two quotas of the same size; and
//! what is not counted, which is every request without a key and all in development mode, has no `X-RateLimit-*` headers.
//!
//! Everything about keys is in `guard.rs`; the rest is what the service would have anyway.

mod api;
mod backtest;
mod body_limit;
mod errors;
mod guard;
mod log;
mod runs;
mod settings;
mod stream;

use std::fmt::Display;
use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;

use keyward::Guard;
use tokio::net::TcpListener;

use crate::settings::Settings;

const WRONG_CONFIGURATION: u8 = 2;
const FAULT: u8 = 3;

#[tokio::main]
async fn main() -> ExitCode {
    let settings = match Settings::read(|name| std::env::var_os(name)) {
        Ok(settings) => settings,
        Err(error) => return fail(WRONG_CONFIGURATION, &error),
    };
    log::start(&settings);
    let guard = match guard::build(&settings) {
        Ok(guard) => guard,
        Err(error) => return fail(WRONG_CONFIGURATION, &error),
    };
    if settings.development {
        log::tell_development_mode();
    }
    match serve(&settings, guard).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(FAULT, &error),
    }
}

fn fail(status: u8, error: &dyn Display) -> ExitCode {
    eprintln!("glowback: {error}");
    ExitCode::from(status)
}

async fn serve(settings: &Settings, guard: Guard) -> std::io::Result<()> {
    let listener = TcpListener::bind(settings.address).await.map_err(|error| {
        let text = format!("cannot listen on {}: {error}; set PORT to another one, or to 0 for a free one", settings.address);
        std::io::Error::new(error.kind(), text)
    })?;
    let router = api::router(guard, settings.max_body_bytes);
    writeln!(std::io::stdout(), "listening on {}", listener.local_addr()?)?;
    // With the peers' addresses: limits and logs go by them.
    axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(keyward_examples::asked_to_stop())
        .await
}
