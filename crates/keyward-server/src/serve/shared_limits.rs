//! Limits that several servers share, in Redis.

use std::ffi::OsStr;
use std::sync::Arc;

use keyward::audit::{AuditEvent, AuditSink};
use keyward::{Answer, Random as _, SystemRandom};
use keyward_redis::{AwayMode, OpenError, OpenErrorKind, RedisLimits};

use crate::arguments::Serve;
use crate::failure::Failure;
use crate::output::visible;
use crate::setting::Setting;

/// Connects to what was named. A server that is not there yet is no reason not to serve: it is as if it went away later.
pub(super) async fn connect(arguments: &Serve, sink: Arc<dyn AuditSink>) -> Result<Option<RedisLimits>, Failure> {
    let (mode, nodes) = (away_mode(arguments.redis_away())?, nodes(arguments.redis_nodes())?);
    let Some(Setting { value, name }) = arguments.redis() else {
        // Whoever says how limits are shared, and not where, would find out that they are not when it matters.
        let said = [arguments.redis_away(), arguments.redis_nodes(), arguments.redis_namespace()];
        return match said.into_iter().flatten().next() {
            Some(Setting { name, .. }) => Err(Failure::Configuration(format!(
                "{name}: it says how limits are shared in Redis, and none is named: add --redis or KEYWARD_REDIS, or leave it out"
            ))),
            None => {
                tracing::info!("limits: counted in this process, and forgotten when it ends; `--redis` keeps and shares them");
                Ok(None)
            }
        };
    };
    let url = url(&value, name)?;
    let mut builder = RedisLimits::builder(url).mode(mode).nodes(nodes).may_start_away().on_switch(move |switch| {
        let mode = match switch.mode {
            AwayMode::Local => "local",
            AwayMode::Deny => "deny",
            AwayMode::Open => "open",
        };
        let event = AuditEvent::of_limits(switch.away, mode, switch.at, SystemRandom.identifier());
        match sink.record(&event) {
            Answer::Ready(Ok(())) => {}
            Answer::Ready(Err(fault)) => tracing::error!(%fault, "an audit event was not recorded"),
            Answer::Pending(later) => drop(tokio::spawn(later)),
        }
    });
    if let Some(Setting { value, .. }) = arguments.redis_namespace() {
        builder = builder.namespace(value.to_string_lossy());
    }
    let limits = builder.connect().await.map_err(|error| cannot_open(name, &error))?;
    if arguments.deciding.keys.is_some() {
        tracing::warn!(
            "the keys of `--keys` get new ids in each process, and limits are counted by id: each server counts its own"
        );
    }
    tracing::info!(%mode, nodes, away = limits.statistics().away, "limits: in Redis");
    Ok(Some(limits))
}

pub(super) fn url<'v>(value: &'v OsStr, name: &str) -> Result<&'v str, Failure> {
    value.to_str().ok_or_else(|| Failure::Configuration(format!("{name}: it is no text")))
}

pub(super) fn cannot_open(name: &str, error: &OpenError) -> Failure {
    match error.kind() {
        OpenErrorKind::Address => Failure::Configuration(format!("{name}: {error}")),
        OpenErrorKind::Namespace => Failure::Configuration(format!("--redis-namespace: {error}")),
        _ => Failure::Fault(format!("{name}: {error}")),
    }
}

fn away_mode(setting: Option<Setting>) -> Result<AwayMode, Failure> {
    let Some(Setting { value, name }) = setting else { return Ok(AwayMode::Local) };
    match value.to_str() {
        Some("local") => Ok(AwayMode::Local),
        Some("deny") => Ok(AwayMode::Deny),
        Some("open") => Ok(AwayMode::Open),
        _ => {
            let written = value.to_string_lossy();
            Err(Failure::Configuration(format!("{name}: `{}` is no mode: write local, deny or open", visible(&written))))
        }
    }
}

fn nodes(setting: Option<Setting>) -> Result<u32, Failure> {
    let Some(Setting { value, name }) = setting else { return Ok(1) };
    let written = value.to_string_lossy();
    written.parse().ok().filter(|nodes| *nodes > 0).ok_or_else(|| {
        Failure::Configuration(format!("{name}: `{}` is no number of nodes: write one from 1 to {}", visible(&written), u32::MAX))
    })
}
