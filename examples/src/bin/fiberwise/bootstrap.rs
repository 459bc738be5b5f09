//! The first administrator: a key that is made once for a database makes the account.

use std::io::{self, Write};

use keyward::{Keys, Made, NewKey};

use crate::Failure;
use crate::service::KEY_PREFIX;

/// Makes the key, unless it was made before for this database, and shows it on standard error: who sees that runs the program, since it
/// listens on this machine alone.
pub(crate) async fn tell(keys: &Keys, public_url: &str) -> Result<(), Failure> {
    let new = NewKey::named("bootstrap key").prefix(KEY_PREFIX).map_err(Failure::fault)?;
    let new = new.scope("keys:manage").map_err(Failure::fault)?;
    let made = keys.acting_as("fiberwise").create_once("bootstrap", new).await.map_err(Failure::fault)?;
    let Some(made) = made else { return Ok(()) };
    let text = text(&made, public_url);
    // A key that was told to nobody is lost.
    writeln!(io::stderr(), "{text}").map_err(|error| Failure::fault(format!("cannot show the bootstrap key: {error}")))
}

fn text(made: &Made, public_url: &str) -> String {
    format!(
        "bootstrap key, shown this once: {}\n\
         Make the administrator's account with it, before anybody else signs up:\n  \
         curl {public_url}/api/v1/accounts -H 'Authorization: Bearer {}' -H 'Content-Type: application/json' \
         -d '{{\"email\":\"you@example.com\",\"password\":\"a long password of your own\"}}'",
        made.secret().expose(),
        made.secret().expose(),
    )
}
