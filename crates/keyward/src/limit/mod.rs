//! Limits (R9) and the failure budget (R3).

mod addresses;
mod atomic;
mod cells;
mod counters;
mod failures;
mod local;
mod quota;
mod table;

pub(crate) use failures::{Debtor, FailureBudget};
pub use local::LocalLimits;
pub use quota::{BadQuota, Quota};

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use smallvec::SmallVec;

use crate::answer::Answer;
use crate::clock::Now;
use crate::key::KeyId;

/// Where quotas are counted.
///
/// `take` must be all or nothing: either every quota of every bucket gives what the request costs, or none gives anything. An implementation
/// that cannot tell answers with a fault, and the request is 503; admitting is never the safe wrong answer.
pub trait Limits: Send + Sync {
    /// Takes permissions of each quota of each bucket, as many as the request costs, or none.
    fn take(&self, taking: &Taking<'_>) -> Answer<Charge>;

    /// Whether failure budgets (R3) are counted here too, as [`Whose::Failures`], beside the guard's own count: for limits that
    /// several processes share. Each bad key is one permission then, taken before it is answered.
    fn counts_failures(&self) -> bool {
        false
    }
}

impl<L: Limits + ?Sized> Limits for std::sync::Arc<L> {
    fn take(&self, taking: &Taking<'_>) -> Answer<Charge> {
        (**self).take(taking)
    }

    fn counts_failures(&self) -> bool {
        (**self).counts_failures()
    }
}

/// What one request would take.
#[derive(Debug)]
pub struct Taking<'a> {
    /// The time of the decision.
    pub now: Now,
    /// Everything that is counted for this request; never empty.
    pub buckets: &'a [Bucket<'a>],
    /// How many permissions it takes of each quota: at least 1. Where a quota never has as many, all that it has.
    pub cost: u32,
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
    /// One client's address; IPv6 by /64: see [`Whose::network`].
    Address(IpAddr),
    /// Everybody's under this policy.
    Policy,
    /// Bad keys from one client's address; IPv6 by /64.
    Failures {
        /// The address.
        address: IpAddr,
        /// Somebody behind that address who cannot be told from others, because the way to them could not be read: they share
        /// a budget of their own.
        flagged: bool,
    },
}

impl Whose<'_> {
    /// What an address is counted by: all of an IPv4 address, the first 64 bits of an IPv6 one, since one customer has them all.
    /// A mapped address (`::ffff:a.b.c.d`) is the IPv4 one. The rest is zero.
    pub fn network(address: IpAddr) -> IpAddr {
        crate::network::network(address)
    }

    /// How the bucket's quotas are named in `RateLimit` fields.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Key(_) | Self::Identity(..) => "key",
            Self::Owner(_) => "owner",
            Self::Address(_) => "address",
            Self::Policy => "policy",
            Self::Failures { .. } => "failures",
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
    /// Whether this one refused: it had too few permissions left.
    pub is_violated: bool,
    /// How many permissions are left at this instant.
    pub remaining: u32,
    /// How long until all of them are back, if nothing is taken.
    pub full_in: Duration,
}

impl QuotaStanding {
    /// How the quota is called in answers: by its own name, or by whose it is and its window, like `key-3600s`.
    pub fn name(&self) -> impl fmt::Display {
        Named(*self)
    }
}

struct Named(QuotaStanding);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.0.quota.name() {
            return f.write_str(name);
        }
        let window = self.0.quota.window();
        let seconds = window.as_secs() + u64::from(window.subsec_nanos() > 0);
        write!(f, "{}-{seconds}s", self.0.whose)
    }
}
