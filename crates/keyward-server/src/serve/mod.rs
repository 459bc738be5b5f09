//! `keyward serve`: decides for a proxy, until it is told to stop.

mod audit;
mod bootstrap;
mod connections;
mod forward_auth;
mod problem;
mod routes;
mod shutdown;

use std::process::ExitCode;

use keyward::Keys;
use tokio::net::TcpListener;

use crate::arguments::Serve;
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::output;

pub(crate) fn run(arguments: &Serve) -> Result<ExitCode, Failure> {
    let configuration = Configuration::read(&arguments.deciding)?;
    tokio::runtime::Runtime::new()
        .map_err(|error| Failure::Fault(format!("cannot start: {error}")))?
        .block_on(serve(arguments, configuration))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(arguments: &Serve, configuration: Configuration) -> Result<(), Failure> {
    // Before anything is shown: whoever reads that we listen may stop us.
    let mut signals = shutdown::Signals::listen()?;
    let audit = audit::Audit::start(configuration.policy())?;
    let guard = configuration
        .guard(|builder| builder.audit(audit.sink()).workers(|job: keyward::Job| drop(tokio::task::spawn_blocking(job))))?;
    let cannot_listen = |error: std::io::Error| Failure::Fault(format!("cannot listen on {}: {error}", arguments.listen));
    let listener = TcpListener::bind(&arguments.listen).await.map_err(cannot_listen)?;
    let address = listener.local_addr().map_err(cannot_listen)?;
    if configuration.imported == 0 {
        bootstrap::make(&Keys::new(configuration.store.clone()), &guard, address).await?;
    }
    tracing::info!(%address, keys = configuration.imported, "listening");
    output::print(|out| writeln!(out, "listening on {address}"))?;
    connections::serve(listener, routes::router(guard), &mut signals).await;
    audit.finish();
    Ok(())
}
