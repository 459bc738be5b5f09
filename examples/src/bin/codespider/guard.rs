//! All that this service says about keys.

use std::io::Stderr;
use std::sync::Arc;

use keyward::audit::{LineFormat, Lines};
use keyward::policy::Source;
use keyward::{ConfigError, Guard, Policy};
use keyward_admin::{Admin, Registration};
use keyward_examples::failure::Failure;

use crate::kept::Kept;
use crate::settings::{ADMIN_API_KEY, Settings, VALID_API_KEYS};

/// What generated keys begin with.
pub(crate) const KEY_PREFIX: &str = "cs_key";

fn policy(settings: &Settings) -> Result<Policy, ConfigError> {
    let policy = Policy::builder()
        // Who is signed in to the dashboard; keys that were generated there; the administrator's key; the clients'.
        .authenticators(["session", "store", "configured"])
        .configured_keys(ADMIN_API_KEY, None, Some("admin"), &["admin"])
        .configured_keys(VALID_API_KEYS, Some(","), Some("client"), &[])
        .sources([Source::header("X-API-Key"), Source::bearer()])
        .realm("codespider")
        .open_paths(["/"])
        // No page of another origin is served here.
        .preflight("guard")
        .per_key([settings.rate.to_string()])
        .failures("60/minute")
        .body("error")
        .text_unauthorized("Invalid API key")
        .text_forbidden_address("Access denied from this IP address")
        .text_limited("Rate limit exceeded")
        .trusted_proxies(settings.trusted_proxies.clone());
    // Without a list, everybody: an empty one would be a mistake.
    let policy = if settings.allowed.is_empty() { policy } else { policy.allow(settings.allowed.clone()) };
    // Only a proxy that is named is believed about who is behind it.
    let policy = if settings.trusted_proxies.is_empty() { policy } else { policy.client_address_header("X-Forwarded-For") };
    policy.build()
}

/// The guard of the API, and what looks after accounts and keys beside it. Both tell every attempt to authenticate on standard error.
pub(crate) fn build(settings: &Settings, public_url: &str, kept: &Kept) -> Result<(Guard, Admin), Failure> {
    let policy = policy(settings).map_err(Failure::configuration)?;
    let policy = policy.with_default_public_url(public_url).map_err(|_| {
        Failure::configuration("PUBLIC_URL: write where browsers find the service, like https://codespider.example.com")
    })?;
    let audit: Arc<Lines<Stderr>> = Arc::new(Lines::new(std::io::stderr(), LineFormat::Json));
    let admin = Admin::builder(kept.keys(), kept.accounts())
        .policy(policy.clone())
        // A session is let in by the API, so that not everybody may make an account.
        .registration(Registration::Closed)
        .key_prefix(KEY_PREFIX)
        .map_err(Failure::configuration)?
        // The document knows no scopes.
        .account_scopes([""; 0])
        .map_err(Failure::configuration)?
        .audit(audit.clone())
        .workers(|job: keyward::Job| drop(tokio::task::spawn_blocking(job)));
    let guard = kept.keys().guarding(Guard::builder(policy)).authenticator(admin.sessions()).audit(audit);
    let guard = guard.environment(|name| std::env::var_os(name)).build().map_err(Failure::configuration)?;
    let admin = admin.sharing(&guard).build().map_err(Failure::fault)?;
    Ok((guard, admin))
}
