//! The Fiberwise API, by its published document, on axum: people sign up and in, make keys, and call the API with a session or a key.
//!
//! ```text
//! cargo run -p keyward-examples --bin fiberwise
//! ```
//!
//! Then open `http://localhost:5757/`, or:
//!
//! ```text
//! curl -i http://localhost:5757/api/v1/auth/register -d email=ada@example.com -d 'password=a dozen mauve geese' -d 'confirm_password=a dozen mauve geese'
//! curl -i http://localhost:5757/api/v1/auth/login -d email=ada@example.com -d 'password=a dozen mauve geese'
//! curl http://localhost:5757/api/v1/user/api-keys -H 'Authorization: Bearer kws_…' -H 'Content-Type: application/json' -d '{"name":"My Integration Key","scopes":["read:all","write:all"]}'
//! curl http://localhost:5757/api/v1/agents -H 'Authorization: Bearer fw_key_…'
//! ```
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `DATABASE_URL` | `sqlite:fiberwise.db` | where accounts, sessions and keys are: `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/DATABASE` |
//! | `PUBLIC_URL` | `http://localhost:PORT` | where browsers find the service; forms from anywhere else are refused |
//! | `PORT` | `5757` | on 127.0.0.1; `0` picks one |
//!
//! Standard output says `listening on ADDRESS` when the server is ready; logs go to standard error. Exit status: 2 for a wrong variable, 3
//! where the port or the database cannot be had.
//!
//! **The administrator.** Everybody may sign up, and nobody becomes an administrator by being the first. The first start on a database
//! prints a key, once, and the command that makes the administrator's account with it, which works while there is no account at all. Later on
//! it is `keyward accounts make-admin ADDRESS --database sqlite:fiberwise.db`. An administrator gives the scope `admin` to keys, and sees everybody's.
//!
//! Agents are kept in memory: this is about keys. A key's id is its number, as in the document; the key of the first start, which no
//! document shows, has one of Keyward's own.
//!
//! What needs which scope is in `policy.toml`; accounts, keys and the dashboard are four lines of `service.rs`.

mod agents;
mod api;
mod database;
mod service;
mod settings;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use keyward_examples::failure::{Failure, ended};
use keyward_examples::first_key;
use tokio::net::TcpListener;

use crate::database::Database;
use crate::settings::Settings;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(false).init();
    let settings = Settings::read(|name| std::env::var_os(name)).map_err(Failure::configuration);
    ended(
        "fiberwise",
        match settings {
            Ok(settings) => serve(&settings).await,
            Err(failure) => Err(failure),
        },
    )
}

async fn serve(settings: &Settings) -> Result<(), Failure> {
    let database = Database::open(&settings.database).await?;
    let listener = TcpListener::bind(settings.address).await.map_err(|error| {
        Failure::fault(format!("cannot listen on {}: {error}; set PORT to another one, or to 0 for a free one", settings.address))
    })?;
    let address = listener.local_addr().map_err(Failure::fault)?;
    let public_url = settings.public_url.clone().unwrap_or_else(|| format!("http://localhost:{}", address.port()));
    let router = service::router(&database, &public_url)?;
    first_key::make(&database.keys(), "fiberwise", service::KEY_PREFIX, &public_url).await.map_err(Failure::fault)?;
    writeln!(io::stdout(), "listening on {address}").map_err(Failure::fault)?;
    // With the peers' addresses: bad keys and guesses at passwords are counted by them.
    let served = axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(keyward_examples::asked_to_stop())
        .await;
    database.close().await?;
    served.map_err(Failure::fault)
}
