//! All that this service says about keys.

use std::io::Stderr;

use keyward::audit::{LineFormat, Lines};
use keyward::policy::Source;
use keyward::{ConfigError, Guard, Policy};

use crate::errors::V1Errors;
use crate::settings::{API_KEY, LogFormat, Settings};

pub(crate) fn build(settings: &Settings) -> Result<Guard, ConfigError> {
    Guard::builder(policy(settings)?).environment(|name| std::env::var_os(name)).audit(audit(settings)).renderer(V1Errors).build()
}

fn policy(settings: &Settings) -> Result<Policy, ConfigError> {
    let rate = settings.rate.to_string();
    Policy::builder()
        .configured_keys(API_KEY, Some(","), None, &[])
        .insecure_allow_without_keys(settings.development)
        // A wrong key in a higher source does not hide a right one in a lower.
        .sources([Source::bearer(), Source::header("X-API-Key"), Source::query("api_key")])
        .resolution("first-valid")
        .realm("glowback")
        // Browsers do not tell a page of a handshake that was refused; of a close frame they do.
        .websocket_on_denial("close")
        .websocket_close_code(1008)
        .open_paths(["/healthz", "/v1/healthz"])
        // Everything but the health check needs a key, and no page of another origin is served here.
        .preflight("guard")
        // The system that runs counts every request of an address, whoever sent it. Here, as everywhere in Keyward, requests
        // with a good key are counted by one quota and bad keys by another of the same size, so neither can starve the other;
        // a request without any key costs nothing, and so does everything in development mode.
        .per_address([rate.as_str()])
        .failures(rate.as_str())
        .rate_limit_headers(["legacy"])
        .body("detail")
        .text_unauthorized("Invalid or missing API key")
        .text_limited("Rate limit exceeded")
        .security_headers(true)
        .hsts("max-age=63072000; includeSubDomains; preload")
        .build()
}

fn audit(settings: &Settings) -> Lines<Stderr> {
    let logger = "glowback.api.auth".to_owned();
    let format = match settings.log_format {
        LogFormat::Json => LineFormat::JsonMessage { logger },
        LogFormat::Text => LineFormat::TextMessage { logger },
    };
    Lines::new(std::io::stderr(), format).at_least(settings.log_level)
}
