//! The proofs that a decision is made of. Each is built in one file only, by the check that it proves, from the proof before
//! it: leaving a check out does not compile.
//!
//! [`Gate`](gate::Gate) (the target, the routes, the networks) → [`Verified`](verified::Verified) (whose key) →
//! [`Authorised`](authorised::Authorised) (what it may do) → [`Counted`](counted::Counted) (what it has used) → [`Allowed`].

mod allowed;
mod authorised;
mod counted;
mod gate;
mod verified;

pub(crate) use allowed::Allowed;
pub(crate) use authorised::{Authorised, Unauthorised};
pub(crate) use counted::{Counted, buckets, quotas_of};
pub(crate) use gate::{Gate, Shut};
pub use verified::Principal;
pub(crate) use verified::{AuthenticatorName, Verdict, Verified};
