//! Keyward's keys in one JSON file, for small services: no server, no database, no runtime.
//!
//! ```
//! use keyward::{Decision, Guard, Keys, NewKey, Policy};
//! use keyward_file::FileStore;
//!
//! # use std::os::unix::fs::DirBuilderExt;
//! # let folder = std::env::temp_dir().join(format!("keyward-file-{}", std::process::id()));
//! # std::fs::DirBuilder::new().mode(0o700).create(&folder)?;
//! # std::env::set_current_dir(&folder)?;
//! let store = FileStore::open("api-keys.json")?; // made if it is not there
//! let guard = Guard::builder(Policy::from_toml("policy.toml", "")?).store(store.clone()).build()?;
//! let keys = Keys::new(store);
//!
//! # pollster::block_on(async {
//! let made = keys.create(NewKey::named("nightly export")).await?; // on the disk from here on
//! let request = http::Request::get("/reports").header("X-API-Key", made.secret().expose()).body(())?;
//! match guard.decide(&request).await {
//!     Decision::Allowed(pass) => assert_eq!(pass.principal().unwrap().name(), "nightly export"),
//!     Decision::Denied(denial) => panic!("{}", denial.status()),
//! }
//! assert!(!std::fs::read_to_string("api-keys.json")?.contains(made.secret().expose()));
//! # Ok::<(), Box<dyn std::error::Error>>(()) })?;
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is promised
//!
//! - **A change that was acknowledged is on the disk**, whatever happens to the process or the power. One that was not leaves the file
//!   as it was.
//! - **Nothing starts empty over a file that cannot be read.** One that is cut off, altered, empty or newer is refused, and left as
//!   it is. While a program runs and its file becomes such a one, every key is answered 503, and none is let in.
//! - **One process writes.** A second one is refused while the first has the file open. Any number may read along with
//!   [`FileStoreBuilder::read_only`].
//! - **A running process never takes a revocation back**, whatever is copied over its file.
//! - **No key is in the file**, only digests and hashes. Yet it decides who is let in, so it is refused where others than its
//!   owner could read it or exchange it.
//!
//! # What is not
//!
//! - Each change writes the whole file, and who only reads it reads all of it again: some 3 ms with a hundred keys, 70 ms with
//!   ten thousand, more than half a second with a hundred thousand. Use a database long before that.
//! - Uses that were not written when a process was killed are lost: see [`FileStoreBuilder::usage_every`].
//! - The journal has the latest thousand rows.
//! - A backup that is restored while nothing runs brings back what was revoked since: revoke it again. Secrets that were rotated
//!   away come back with it in any case.
//! - An edit by hand at the very moment of a change is lost: stop the program first.
//!
//! # Looking into the file
//!
//! It is plain JSON. `sed 4d api-keys.json | sha256sum` tells the checksum that its fourth line has to have; whoever changes
//! the file by hand, on purpose and with the program stopped, writes that one there.

#[cfg(not(unix))]
compile_error!("keyward-file asks who may read and write a file, which it knows how to do on Unix only");

mod builder;
mod content;
mod durable;
mod error;
mod live;
mod lock;
mod place;
mod store;
mod uses;

pub use builder::FileStoreBuilder;
pub use error::{FileError, FileErrorKind};
pub use store::FileStore;
