//! The quick start: one key, one guarded route.

use axum::{Router, routing::get};
use keyward::{Guard, Keys, MemoryStore, NewKey, Policy};
use keyward_axum::Authenticated;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = MemoryStore::new();
    let key = Keys::new(store.clone()).create(NewKey::named("me")).await?;
    let guard = Guard::builder(Policy::builder().build()?).store(store).build()?;

    let routes = Router::new().route("/reports", get(|who: Authenticated| async move { format!("hello, {}\n", who.name()) }));
    let app = keyward_axum::guarded(routes, guard); // all of it: every route, and what has none

    let port = std::env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    let address = listener.local_addr()?;
    eprintln!("curl -H 'Authorization: Bearer {}' http://{address}/reports", key.secret().expose());
    axum::serve(listener, app).await?;
    Ok(())
}
