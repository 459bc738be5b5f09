//! What holds while the server is away.

use std::fmt;

use keyward::limit::{Bucket, Charge, Limits, LocalLimits, Quota, Taking, Whose};
use keyward::{Answer, Fault};
use smallvec::SmallVec;

/// What becomes of a request that cannot be counted, because Redis does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AwayMode {
    /// Counted in this process, each quota divided by the number of nodes: see
    /// [`RedisBuilder::nodes`](crate::RedisBuilder::nodes). Bad keys are counted by the guard alone, undivided.
    #[default]
    Local,
    /// Denied with 503.
    Deny,
    /// Admitted uncounted, and nothing is told of its limits.
    Open,
}

impl fmt::Display for AwayMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "local",
            Self::Deny => "deny",
            Self::Open => "open",
        })
    }
}

/// Answers in the server's place.
pub(crate) struct Substitute {
    pub(crate) mode: AwayMode,
    pub(crate) nodes: u32,
    pub(crate) local: LocalLimits,
}

impl Substitute {
    pub(crate) fn answer(&self, taking: &Taking<'_>, why: impl FnOnce() -> String) -> Result<Charge, Fault> {
        match self.mode {
            AwayMode::Local => self.count(taking),
            AwayMode::Deny => Err(Fault::new(format!(
                "limits cannot be counted and the mode is `deny`: {}; bring Redis back, or choose the mode `local`",
                why()
            ))),
            // No standing: one that tells of permissions which nobody counts would be a lie.
            AwayMode::Open => Ok(uncounted()),
        }
    }

    fn count(&self, taking: &Taking<'_>) -> Result<Charge, Fault> {
        // Of bad keys the guard has counted its own already, before it came here.
        let counted = || taking.buckets.iter().filter(|bucket| !matches!(bucket.whose, Whose::Failures { .. }));
        let share = |bucket: &Bucket<'_>| bucket.quotas.iter().map(|&quota| self.share(quota)).collect();
        let quotas: SmallVec<[SmallVec<[Quota; 2]>; 2]> = counted().map(share).collect();
        let buckets: SmallVec<[Bucket<'_>; 2]> =
            counted().zip(&quotas).map(|(bucket, quotas)| Bucket { whose: bucket.whose, quotas }).collect();
        if buckets.is_empty() {
            return Ok(uncounted());
        }
        match self.local.take(&Taking { buckets: &buckets, ..*taking }) {
            Answer::Ready(charge) => charge,
            Answer::Pending(_) => Err(Fault::new("limits counted in memory answer at once")),
        }
    }

    /// Rounded up, so that at least one permission is left.
    fn share(&self, quota: Quota) -> Quota {
        let share = Quota::new(quota.count().div_ceil(self.nodes), quota.window()).unwrap_or(quota);
        quota.name().and_then(|name| share.named(name)).unwrap_or(share)
    }
}

fn uncounted() -> Charge {
    Charge { refused_for: None, standings: SmallVec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_up_and_keeps_its_name() {
        let substitute = Substitute { mode: AwayMode::Local, nodes: 4, local: LocalLimits::new() };
        for (quota, share) in [("100/hour", "25/hour"), ("burst=10/s", "burst=3/second"), ("1/day", "1/day")] {
            assert_eq!(substitute.share(quota.parse().unwrap()).to_string(), share);
        }
    }
}
