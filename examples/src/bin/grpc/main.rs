//! A gRPC service on tonic: one unary method for readers, one for editors, and a stream.
//!
//! ```text
//! READER_API_KEY=a-key-of-your-own cargo run -p keyward-examples --bin grpc
//! ```
//!
//! `docs/tower.md` goes through it.

mod reports;

use std::error::Error;
use std::io::Write;
use std::net::IpAddr;

use http::Extensions;
use keyward::{Guard, Policy, Strip};
use keyward_tower::{Framework, GuardLayer};
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::{TcpConnectInfo, TcpIncoming};

use reports::Reports;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let policy = Policy::from_toml("policy.toml", include_str!("policy.toml"))?;
    let guard = Guard::builder(policy).environment(|name| std::env::var_os(name)).build()?;

    let port = std::env::var("PORT").unwrap_or_else(|_| "50051".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    writeln!(std::io::stdout(), "listening on {}", listener.local_addr()?)?;
    Server::builder()
        .layer(GuardLayer::<Tonic>::new(guard).for_grpc())
        .add_service(Reports)
        .serve_with_incoming(TcpIncoming::from(listener))
        .await?;
    Ok(())
}

/// What tonic keeps beside a request.
#[derive(Clone, Copy)]
struct Tonic;

impl Framework for Tonic {
    /// tonic puts this there for every connection over TCP, with TLS and without.
    fn peer(extensions: &Extensions) -> Option<IpAddr> {
        Some(extensions.get::<TcpConnectInfo>()?.remote_addr()?.ip())
    }

    /// Nothing is cut off a method's path.
    fn original_uri(_: &Extensions) -> Option<&http::Uri> {
        None
    }

    /// There are no copies of the URI.
    fn strip(_: &mut Extensions, _: Strip<'_>) {}
}
