//! The quick start: one key, one guarded route.

use keyward::{Guard, Keys, MemoryStore, NewKey, Policy};
use keyward_warp::Authenticated;
use tokio::net::TcpListener;
use warp::Filter;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = MemoryStore::new();
    let key = Keys::new(store.clone()).create(NewKey::named("me")).await?;
    let guard = Guard::builder(Policy::builder().build()?).store(store).build()?;

    let routes =
        warp::path!("reports").and(keyward_warp::authenticated()).map(|who: Authenticated| format!("hello, {}\n", who.name()));

    let port = std::env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    let address = listener.local_addr()?;
    eprintln!("curl -H 'Authorization: Bearer {}' http://{address}/reports", key.secret().expose());
    keyward_warp::serve(guard, routes).incoming(listener).run().await; // around all routes, and what has none
    Ok(())
}
