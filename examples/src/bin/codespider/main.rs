//! Questions about a workspace's code, by the published document, on actix-web: for people who signed in to the dashboard, and for
//! programs with a key.
//!
//! ```text
//! VALID_API_KEYS=client-key-1,client-key-2 cargo run -p keyward-examples --bin codespider
//! curl http://localhost:3000/api/ask -H 'Content-Type: application/json' -H 'x-api-key: client-key-1' -d '{"workspaceId":"workspace-123","question":"How does this code work?"}'
//! ```
//!
//! Who asks is looked for in this order: a session of the dashboard, the keys generated there, `ADMIN_API_KEY`, `VALID_API_KEYS`. A key that
//! was revoked in the dashboard stays so, even where a variable names it.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `ADMIN_API_KEY` | none | the administrator's key; 32 characters or more are recommended |
//! | `VALID_API_KEYS` | none | keys of clients, separated by commas |
//! | `API_RATE_LIMIT` | `100` | requests an hour of each client: of a key, or of a person |
//! | `ALLOWED_IPS` | `*`: everybody | addresses and networks, separated by commas; they hold for the dashboard, too |
//! | `TRUSTED_PROXIES` | none | proxies whose `X-Forwarded-For` is believed, in the same way; anybody else's is not |
//! | `WORKSPACES` | `workspaces` | the folder of `api-keys.json`, made if it is not there |
//! | `PUBLIC_URL` | `http://localhost:PORT` | where browsers find the service; forms from anywhere else are refused |
//! | `PORT` | `3000` | on 127.0.0.1; `0` picks one |
//!
//! Keys that are generated in the dashboard (Account Security) are in `api-keys.json`, as digests. A JSON file keeps no accounts, so
//! these are beside it, in `accounts.db`, and survive a restart like the keys. Both are this user's alone. One process at a time has them open.
//!
//! **The first account.** Nobody signs up by themselves, since a session is let in by the API. The first start prints a key, once, and the
//! command that makes the administrator's account with it; administrators make others.
//!
//! Standard output says `listening on ADDRESS` when the server is ready. Standard error has the log, and one line of JSON for each attempt
//! to authenticate, good or bad. Exit status: 2 for a wrong variable, 3 where the port or a file cannot be had.
//!
//! Otherwise than in the document: there is one workspace, which comes with the program (`workspace-123`), and a question is answered by
//! the lines that share its words, with their files and numbers.
//!
//! Everything about keys is in `guard.rs`.

mod ask;
mod guard;
mod kept;
mod search;
mod settings;
mod workspace;

use std::io::{self, Write};
use std::net::TcpListener;
use std::process::ExitCode;

use actix_web::http::{StatusCode, header};
use actix_web::{App, HttpResponse, HttpServer, web};
use keyward::Guard;
use keyward_admin::Admin;
use keyward_examples::failure::{Failure, ended};
use keyward_examples::first_key;

use crate::kept::Kept;
use crate::settings::{ADMIN_API_KEY, Settings};

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(false).init();
    let settings = Settings::read(|name| std::env::var_os(name)).map_err(Failure::configuration);
    ended(
        "codespider",
        match settings {
            Ok(settings) => run(&settings).await,
            Err(failure) => Err(failure),
        },
    )
}

async fn run(settings: &Settings) -> Result<(), Failure> {
    if std::env::var_os(ADMIN_API_KEY).is_some_and(|key| (1..32).contains(&key.len())) {
        tracing::warn!("{ADMIN_API_KEY} has fewer than 32 characters: anybody can guess at it");
    }
    let listener = TcpListener::bind(settings.address).map_err(|error| {
        Failure::fault(format!("cannot listen on {}: {error}; set PORT to another one, or to 0 for a free one", settings.address))
    })?;
    let address = listener.local_addr().map_err(Failure::fault)?;
    let public_url = settings.public_url.clone().unwrap_or_else(|| format!("http://localhost:{}", address.port()));
    let kept = Kept::open(&settings.workspaces).await?;
    let (guard, admin) = guard::build(settings, &public_url, &kept)?;
    first_key::make(&kept.keys(), "codespider", guard::KEY_PREFIX, &public_url).await.map_err(Failure::fault)?;
    writeln!(io::stdout(), "listening on {address}").map_err(Failure::fault)?;
    let served = serve(listener, guard, admin).await;
    kept.close().await?;
    served.map_err(Failure::fault)
}

/// Until somebody stops it: actix-web listens to signals itself.
async fn serve(listener: TcpListener, guard: Guard, admin: Admin) -> io::Result<()> {
    let app = move || {
        let asking = web::resource("/api/ask").route(web::post().to(ask::ask)).default_service(web::to(not_for_this_method));
        App::new()
            .app_data(ask::bodies())
            .service(asking)
            .route("/", web::get().to(front))
            .default_service(web::to(not_found))
            .wrap(keyward_actix::guard(guard.clone()))
            .wrap(keyward_actix::admin(admin.clone()))
    };
    HttpServer::new(app).shutdown_timeout(5).listen(listener)?.run().await
}

async fn front() -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, "/dashboard")).finish()
}

async fn not_for_this_method() -> HttpResponse {
    let mut answer = ask::error(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed");
    answer.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("POST"));
    answer
}

async fn not_found() -> HttpResponse {
    ask::error(StatusCode::NOT_FOUND, "Not found")
}
