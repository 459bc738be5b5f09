//! A store of one's own: keys in one document. `docs/your-own-store.md` goes through it.
//!
//! `document.rs` is the whole of it.

#![allow(clippy::print_stdout, reason = "it says what came of it")]

mod document;

use document::{DocumentStore, Shelf};
use keyward::{Decision, Guard, Keys, NewKey, Policy};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let shelf = Shelf::default();
    let store = DocumentStore::open(shelf.clone())?;
    let made = Keys::new(store.clone()).create(NewKey::named("nightly export")).await?;
    store.flush()?;

    let again = DocumentStore::open(shelf)?;
    let guard = Guard::builder(Policy::from_toml("policy.toml", "")?).store(again).build()?;
    let request = http::Request::get("/").header("X-API-Key", made.secret().expose()).body(())?;
    match guard.decide(&request).await {
        Decision::Allowed(_) => println!("the key is known when the store is opened again"),
        Decision::Denied(denial) => return Err(format!("denied: {}", denial.kind().as_str()).into()),
    }
    Ok(())
}
