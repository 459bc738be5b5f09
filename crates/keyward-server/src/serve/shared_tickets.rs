//! Single use of tickets among several servers, in Redis.

use keyward_redis::RedisTickets;

use super::shared_limits::{cannot_open, url};
use crate::arguments::Serve;
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::setting::Setting;

/// Connects to what was named for limits. A server that is not there yet is no reason not to serve: as long as it is away no ticket is
/// made or used, and all else goes on.
pub(super) async fn connect(arguments: &Serve, configuration: &Configuration) -> Result<Option<RedisTickets>, Failure> {
    let Some(Setting { value, name }) = arguments.redis() else { return Ok(None) };
    if configuration.makes_tickets_for_itself() {
        tracing::warn!(
            "no server secret is set, so this server signs tickets with one of its own, and others that share its Redis refuse them: give \
             all of them the same KEYWARD_SERVER_SECRET_FILE, with the output of `openssl rand -base64 32`"
        );
    }
    if !configuration.notes_used_tickets() {
        return Ok(None);
    }
    let mut builder = RedisTickets::builder(url(&value, name)?).may_start_away();
    if let Some(Setting { value, .. }) = arguments.redis_namespace() {
        builder = builder.namespace(value.to_string_lossy());
    }
    let used = builder.connect().await.map_err(|error| cannot_open(name, &error))?;
    tracing::info!(away = used.is_away(), "used tickets: in Redis");
    Ok(Some(used))
}
