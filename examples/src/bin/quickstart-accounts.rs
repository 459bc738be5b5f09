//! The program that docs/accounts.md begins with.

use std::net::SocketAddr;

use axum::{Router, routing::get};
use keyward::{Guard, Keys, Policy};
use keyward_admin::Admin;
use keyward_axum::Authenticated;
use keyward_sql::SqliteStore;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    let origin = format!("http://{}", listener.local_addr()?);

    let store = SqliteStore::open("keyward.db").await?; // keys, accounts and sessions
    let policy = Policy::builder().public_url(origin.as_str()).build()?; // where browsers find it
    let admin = Admin::builder(Keys::new(store.clone()), store.clone()).policy(policy.clone());
    // Who is signed in is somebody to the application, too.
    let guard = Guard::builder(policy).store(store).authenticator(admin.sessions()).build()?;
    let admin = admin.sharing(&guard).build()?; // bad keys are counted once for both

    let routes = Router::new().route("/reports", get(|who: Authenticated| async move { format!("hello, {}\n", who.name()) }));
    let app = keyward_axum::guarded(routes, guard).merge(keyward_axum::admin(admin)); // which has a guard of its own
    eprintln!("open {origin}/dashboard/register");
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}
