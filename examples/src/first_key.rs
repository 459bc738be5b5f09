//! The key of a first start, with which the administrator's account is made.

use std::fmt::Display;
use std::io::{self, Write};

use keyward::{Keys, Made, NewKey};

/// Makes the key, unless it was made before for these keys, and shows it on standard error: who sees that runs the program, which
/// listens on this machine alone. `who` makes it, in the journal; `prefix` is what keys begin with.
///
/// # Errors
/// What is to be told: it could not be made, or not be shown.
pub async fn make(keys: &Keys, who: &str, prefix: &str, public_url: &str) -> Result<(), String> {
    let told = |error: &dyn Display| format!("cannot make the bootstrap key: {error}");
    let new = NewKey::named("bootstrap key").prefix(prefix).map_err(|error| told(&error))?;
    let new = new.scope("keys:manage").map_err(|error| told(&error))?;
    let made = keys.acting_as(who).create_once("bootstrap", new).await.map_err(|error| told(&error))?;
    let Some(made) = made else { return Ok(()) };
    // A key that was told to nobody is lost.
    writeln!(io::stderr(), "{}", text(&made, public_url)).map_err(|error| format!("cannot show the bootstrap key: {error}"))
}

fn text(made: &Made, public_url: &str) -> String {
    let key = made.secret().expose();
    format!(
        "bootstrap key, shown this once: {key}\n\
         Make the administrator's account with it, while there is no account at all:\n  \
         curl {public_url}/api/v1/accounts -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \
         -d '{{\"email\":\"you@example.com\",\"password\":\"a long password of your own\"}}'"
    )
}
