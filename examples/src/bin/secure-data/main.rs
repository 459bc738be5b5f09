//! One policy, and four frameworks that enforce it alike: a key in a header, in a cookie, or in the query, each on a path of its
//! own.
//!
//! ```text
//! SECURE_DATA_KEY=a-key-of-your-own cargo run -p keyward-examples --bin secure-data -- --framework axum
//! curl -H 'X-API-Key: a-key-of-your-own' http://127.0.0.1:8000/secure-data
//! curl -b 'X-API-KEY=a-key-of-your-own' http://127.0.0.1:8000/secure-data/cookie
//! curl 'http://127.0.0.1:8000/secure-data/query?x-api-key=a-key-of-your-own'
//! ```

mod actix;
mod answers;
mod axum;
mod hyper;
mod warp;

use std::io::{self, Write};
use std::net::TcpListener;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use keyward::{ConfigError, Guard, Policy};

const WRONG_CONFIGURATION: u8 = 2;
const FAULT: u8 = 3;

#[derive(Parser)]
struct Arguments {
    /// What serves.
    #[arg(long)]
    framework: Framework,
}

#[derive(Clone, Copy, ValueEnum)]
enum Framework {
    Axum,
    Actix,
    Warp,
    Hyper,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let Arguments { framework } = Arguments::parse();
    let (status, error) = match guard() {
        Err(error) => (WRONG_CONFIGURATION, error.to_string()),
        Ok(guard) => match serve(framework, guard).await {
            Ok(()) => return ExitCode::SUCCESS,
            Err(error) => (FAULT, error.to_string()),
        },
    };
    eprintln!("secure-data: {error}");
    ExitCode::from(status)
}

fn guard() -> Result<Guard, ConfigError> {
    let policy = Policy::from_toml("policy.toml", include_str!("policy.toml"))?;
    Guard::builder(policy).environment(|name| std::env::var_os(name)).build()
}

async fn serve(framework: Framework, guard: Guard) -> io::Result<()> {
    let port = std::env::var("PORT").unwrap_or_else(|_| "8000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}"))?;
    listener.set_nonblocking(true)?;
    writeln!(io::stdout(), "listening on {}", listener.local_addr()?)?;
    match framework {
        Framework::Axum => axum::serve(guard, listener).await,
        Framework::Actix => actix::serve(guard, listener).await,
        Framework::Warp => warp::serve(guard, listener).await,
        Framework::Hyper => hyper::serve(guard, listener).await,
    }
}
