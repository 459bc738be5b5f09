//! The whole suite of stores, against the store of the `own-store` example.

#[path = "../src/bin/own-store/document.rs"]
mod document;

use std::process::ExitCode;

use document::{DocumentStore, Shelf};
use keyward::clock::ManualClock;
use keyward_behaviour::stores::{self, Ability, Problem, StoreHarness};

fn main() -> ExitCode {
    stores::main::<Document>()
}

struct Document;

impl StoreHarness for Document {
    const NAME: &'static str = "document";
    const SHARED: Ability = Ability::No("two of them would write over each other's document");
    const JOURNAL: u64 = 1_000; // the latest, as in memory
    type Store = DocumentStore;
    type Place = Shelf;

    fn start() -> Result<Self, Problem> {
        Ok(Self)
    }

    fn new_place(&self) -> Result<Shelf, Problem> {
        Ok(Shelf::default())
    }

    async fn open(place: &Shelf, _: ManualClock) -> Result<DocumentStore, Problem> {
        DocumentStore::open(place.clone()).map_err(|error| Problem::new(error.to_string()))
    }

    async fn close(_: &Shelf, store: DocumentStore) -> Result<(), Problem> {
        Ok(store.flush()?)
    }
}
