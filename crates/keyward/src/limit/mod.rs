//! Limits (R9) and the failure budget (R3).

mod failures;
mod local;
mod quota;
mod table;

pub(crate) use failures::{Debtor, FailureBudget};
pub use local::LocalLimits;
pub use quota::{BadQuota, Quota};

use std::net::IpAddr;
use std::time::Duration;

use smallvec::SmallVec;

use crate::answer::Answer;
use crate::clock::Now;
use crate::key::KeyId;

/// Where quotas are counted.
///
/// `take` must be all or nothing: either every quota of every bucket gives one permission, or none does. An implementation
/// that cannot tell answers with a fault, and the request is 503; admitting is never the safe wrong answer.
pub trait Limits: Send + Sync {
    /// Takes one permission of each quota of each bucket, or none.
    fn take(&self, taking: &Taking<'_>) -> Answer<Charge>;
}

/// What one request would take.
#[derive(Debug)]
pub struct Taking<'a> {
    /// The time of the decision.
    pub now: Now,
    /// Everything that is counted for this request; never empty.
    pub buckets: &'a [Bucket<'a>],
    /// Tell what would happen, take nothing: `explain`.
    pub peek: bool,
}

/// One counter of quotas.
#[derive(Debug, Clone, Copy)]
pub struct Bucket<'a> {
    /// Whose counter it is.
    pub whose: Whose<'a>,
    /// The quotas counted there, each of another window.
    pub quotas: &'a [Quota],
}

/// Whose counter a bucket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose<'a> {
    /// One key's, through every rotation.
    Key(KeyId),
    /// One of your own authenticators' principals, by authenticator and id.
    Identity(&'a str, &'a str),
    /// All keys' of one owner.
    Owner(&'a str),
    /// One client's address; IPv6 by /64.
    Address(IpAddr),
    /// Everybody's under this policy.
    Policy,
}

impl Whose<'_> {
    /// How the bucket's quotas are named in `RateLimit` fields.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Key(_) | Self::Identity(..) => "key",
            Self::Owner(_) => "owner",
            Self::Address(_) => "address",
            Self::Policy => "policy",
        }
    }
}

/// What came of taking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// `None`: admitted. Else nothing was taken, and this is how long until every quota has a permission again.
    pub refused_for: Option<Duration>,
    /// How each quota stands now, in the order of the buckets.
    pub standings: SmallVec<[QuotaStanding; 1]>,
}

/// How one quota stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaStanding {
    /// Whose: see [`Whose::name`].
    pub whose: &'static str,
    /// The quota.
    pub quota: Quota,
    /// How many permissions are left at this instant.
    pub remaining: u32,
    /// How long until all of them are back, if nothing is taken.
    pub full_in: Duration,
}
