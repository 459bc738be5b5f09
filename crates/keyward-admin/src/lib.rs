//! What the people who own keys see: sign up, sign in, make a key, see it once, watch it being used, rotate it, revoke it.
//!
//! An [`Admin`] is a request in and a response out, and knows no framework:
//!
//! ```
//! use bytes::Bytes;
//! use keyward::account::MemoryAccounts;
//! use keyward::{Keys, MemoryStore, Peer, Policy};
//! use keyward_admin::Admin;
//!
//! # pollster::block_on(async {
//! let policy = Policy::builder().public_url("https://keys.example.com").build()?;
//! let admin = Admin::builder(Keys::new(MemoryStore::new()), MemoryAccounts::new()).policy(policy).build()?;
//!
//! let form = "email=ada%40example.com&password=a+dozen+mauve+geese&confirm_password=a+dozen+mauve+geese";
//! let mut request = http::Request::post("/api/v1/auth/register")
//!     .header("content-type", "application/x-www-form-urlencoded")
//!     .body(Bytes::from(form))?;
//! request.extensions_mut().insert(Peer([127, 0, 0, 1].into()));
//! let answer = admin.answer(request).await;
//! assert_eq!(answer.status(), 303);
//! assert_eq!(answer.headers()["location"], "/dashboard/login");
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```
//!
//! Its guard is its own, and no policy loosens it (R16): keys stand in `Authorization: Bearer` or `X-API-Key`, two different ones are
//! a conflict, and nothing but signing in and up is open.

mod accounts;
mod actor;
mod admin;
mod answer;
mod audit;
mod builder;
mod dashboard;
mod fault;
mod form;
mod incoming;
mod json;
mod keys;
#[cfg(feature = "openapi")]
mod openapi;
mod page;
mod sessions;

pub use accounts::{Accounts, AccountsError, BadPassword, NewAccount, Registration};
pub use admin::Admin;
pub use audit::{FailedAttempts, FailedAttemptsOf};
pub use builder::{AdminBuilder, AdminError};
pub use fault::FieldFault;
#[cfg(feature = "openapi")]
pub use openapi::documentation;
pub use sessions::{SESSION_COOKIE, Sessions};
