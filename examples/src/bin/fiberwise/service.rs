//! The service: the API behind its guard, and beside it accounts, keys and the dashboard with their own.

use axum::Router;
use keyward::{Guard, Policy};
use keyward_admin::{Admin, AdminError};
use keyward_examples::failure::Failure;

use crate::api;
use crate::database::Database;

/// What keys begin with.
pub(crate) const KEY_PREFIX: &str = "fw_key";

pub(crate) fn router(database: &Database, public_url: &str) -> Result<Router, Failure> {
    let policy = Policy::from_toml("policy.toml", include_str!("policy.toml")).map_err(Failure::configuration)?;
    let policy = policy.with_default_public_url(public_url).map_err(|_| {
        Failure::configuration("PUBLIC_URL: write where browsers find the service, like https://fiberwise.example.com")
    })?;
    let admin = Admin::builder(database.keys(), database.accounts())
        .policy(policy.clone())
        .key_prefix(KEY_PREFIX)
        .map_err(Failure::configuration)?
        .numbered_keys()
        .pages("/dashboard/login", "/")
        .workers(|job: keyward::Job| drop(tokio::task::spawn_blocking(job)));
    let guard = Guard::builder(policy).store(database.store()).authenticator(admin.sessions());
    let guard = guard.build().map_err(Failure::configuration)?;
    let admin = admin.sharing(&guard).build().map_err(|error| match error {
        AdminError::Policy(error) => Failure::configuration(error),
        other => Failure::fault(other),
    })?;
    Ok(keyward_axum::guarded(api::routes(), guard).merge(keyward_axum::admin(admin)))
}
