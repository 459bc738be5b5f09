//! `keyward serve`: decides for a proxy, until it is told to stop.

mod administration;
mod audit;
mod bootstrap;
mod connections;
mod described;
mod forward_auth;
mod metrics;
mod places;
mod problem;
mod routes;
mod shared_limits;
mod shared_tickets;
mod shutdown;
mod stalled;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use keyward::audit::AuditSink;
use keyward_admin::FailedAttempts;
use tokio::net::TcpListener;

use crate::arguments::Serve;
use crate::configuration::Configuration;
use crate::database::Access;
use crate::failure::Failure;
use crate::output;
use places::Places;

pub(crate) fn run(arguments: &Serve) -> Result<ExitCode, Failure> {
    let (listen, connections) = (arguments.listen()?, arguments.max_connections()?);
    tokio::runtime::Runtime::new().map_err(|error| Failure::Fault(format!("cannot start: {error}")))?.block_on(serve(
        &listen,
        connections,
        arguments,
    ))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(listen: &str, connections: usize, arguments: &Serve) -> Result<(), Failure> {
    let mut configuration = Configuration::read(&arguments.deciding, Access::Create).await?;
    // Before anything is shown: whoever reads that we listen may stop us.
    let mut signals = shutdown::Signals::listen()?;
    let audit = audit::Audit::start(configuration.policy(), arguments)?;
    let served = serve_by(&mut configuration, &audit, listen, connections, arguments, &mut signals).await;
    // Uses that were counted lately are written now. Audit events come last: closing may take its time.
    let closed = configuration.database.close().await;
    audit.finish();
    served.and(closed)
}

async fn serve_by(
    configuration: &mut Configuration,
    audit: &audit::Audit,
    listen: &str,
    connections: usize,
    arguments: &Serve,
    signals: &mut shutdown::Signals,
) -> Result<(), Failure> {
    let started = SystemTime::now();
    let limits = shared_limits::connect(arguments, audit.sink()).await?;
    let tickets = shared_tickets::connect(arguments, configuration).await?;
    if let Some(used) = &tickets {
        configuration.note_used_tickets_in(used.clone());
    }
    let (attempts, decisions) = (FailedAttempts::new(), metrics::Decisions::default());
    let sink: Arc<dyn AuditSink> = Arc::new((audit.sink(), decisions.clone()));
    let guard = configuration.guard(|builder| {
        let builder =
            builder.audit((sink.clone(), attempts.clone())).workers(|job: keyward::Job| drop(tokio::task::spawn_blocking(job)));
        match &limits {
            Some(limits) => builder.limits(limits.clone()),
            None => builder,
        }
    })?;
    configuration.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
    let listener = TcpListener::bind(listen).await.map_err(|error| cannot_listen(listen, &error))?;
    let address = listener.local_addr().map_err(|error| cannot_listen(listen, &error))?;
    // Where the store is not asked, it would be a secret that never works.
    if configuration.imported == 0 && configuration.asks_the_store() {
        bootstrap::make(configuration, &guard, address).await?;
    }
    let admin = administration::open(configuration, &guard, (sink.clone(), attempts.clone()), address)?;
    let places = Places::new(connections::within_open_files(connections));
    let page = metrics::Page {
        decisions,
        guard: guard.clone(),
        audit: audit.counts(),
        places: places.clone(),
        cache: configuration.database.cache(),
        limits,
        tickets,
        started,
    };
    let metrics = metrics::router(configuration, (sink, attempts), page)?;
    let described = described::Described::of(configuration.policy(), &admin);
    let router = routes::router(guard, described).merge(metrics).merge(keyward_axum::admin(admin));
    match configuration.imported {
        0 => tracing::info!("keys: {}", configuration.database),
        count => tracing::info!("keys: {count}, in memory"),
    }
    tracing::info!(%address, "listening");
    output::print(|out| writeln!(out, "listening on {address}"))?;
    connections::serve(listener, router, places, signals).await;
    Ok(())
}

fn cannot_listen(listen: &str, error: &std::io::Error) -> Failure {
    use std::io::ErrorKind::{AddrInUse, AddrNotAvailable, PermissionDenied};
    let mend = match error.kind() {
        AddrInUse => "; choose another port with `--listen`, 0 for one that is free",
        AddrNotAvailable => "; `--listen` takes an address of this machine, or 0.0.0.0 for all of them",
        PermissionDenied => "; choose a port above 1023 with `--listen`",
        _ => "",
    };
    Failure::Fault(format!("cannot listen on {listen}: {error}{mend}"))
}
