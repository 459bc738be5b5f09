//! One take, in the script's words: what is sent, and what its reply means.

use std::time::Duration;

use keyward::clock::Now;
use keyward::key::KeyId;
use keyward::limit::{Bucket, Charge, Quota, QuotaStanding, Taking, Whose};
use redis::Cmd;
use smallvec::SmallVec;
use std::net::IpAddr;

use crate::name::Namespace;

/// What one request would take. It owns what it needs, since it outlives the call that asked for it.
pub(crate) struct Request {
    buckets: SmallVec<[Counted; 2]>,
    now: Now,
    cost: u32,
    peek: bool,
}

struct Counted {
    whose: Owned,
    key: String,
    quotas: SmallVec<[Quota; 2]>,
}

enum Owned {
    Key(KeyId),
    Identity(Box<str>, Box<str>),
    Owner(Box<str>),
    Address(IpAddr),
    Policy,
    Failures { address: IpAddr, flagged: bool },
}

impl Request {
    pub(crate) fn of(taking: &Taking<'_>, namespace: &Namespace) -> Self {
        let counted = |bucket: &Bucket<'_>| Counted {
            whose: Owned::of(bucket.whose),
            key: namespace.key(bucket.whose),
            quotas: bucket.quotas.into(),
        };
        let buckets = taking.buckets.iter().map(counted).collect();
        Self { buckets, now: taking.now, cost: taking.cost, peek: taking.peek }
    }

    /// The same for whoever else is to be asked.
    pub(crate) fn with_taking<T>(&self, ask: impl FnOnce(&Taking<'_>) -> T) -> T {
        let bucket = |counted| {
            let Counted { whose, quotas, .. }: &Counted = counted;
            Bucket { whose: whose.lend(), quotas }
        };
        let buckets: SmallVec<[Bucket<'_>; 2]> = self.buckets.iter().map(bucket).collect();
        ask(&Taking { now: self.now, buckets: &buckets, cost: self.cost, peek: self.peek })
    }

    /// `command` is `EVALSHA` with a hash, or `EVAL` with the script itself.
    pub(crate) fn command(&self, command: &str, script: &str) -> Cmd {
        let mut sent = redis::cmd(command);
        sent.arg(script).arg(self.buckets.len());
        for bucket in &self.buckets {
            sent.arg(&bucket.key);
        }
        sent.arg(u8::from(self.peek)).arg(self.cost);
        for bucket in &self.buckets {
            sent.arg(bucket.quotas.len());
            for &quota in &bucket.quotas {
                let Scale { unit, window, interval, span } = Scale::of(quota);
                let cost = interval * u64::from(self.cost.min(quota.count()));
                sent.arg(quota.count()).arg(window).arg(1_000 / unit).arg(interval).arg(cost).arg(span);
            }
        }
        sent
    }

    /// What the script's reply means; `None` if it is no reply of this script.
    pub(crate) fn charge(&self, reply: &[u64]) -> Option<Charge> {
        let (&[given, _now], debts) = reply.split_at_checked(2)? else { return None };
        let mut charge = Charge { refused_for: None, standings: SmallVec::new() };
        let mut debts = debts.iter();
        for bucket in &self.buckets {
            for &quota in &bucket.quotas {
                let (scale, debt) = (Scale::of(quota), *debts.next()?);
                let cost = scale.interval * u64::from(self.cost.min(quota.count()));
                // The script keeps no debt that would not be paid off within two windows.
                if debt > 2 * scale.span {
                    return None;
                }
                let missing = if given == 1 { 0 } else { debt.checked_add(cost)?.saturating_sub(scale.span) };
                if missing > 0 {
                    charge.refused_for = charge.refused_for.max(Some(scale.time(missing)));
                }
                charge.standings.push(QuotaStanding {
                    whose: bucket.whose.lend().name(),
                    quota,
                    is_violated: missing > 0,
                    remaining: scale.permissions(scale.span.saturating_sub(debt)),
                    full_in: scale.time(debt),
                });
            }
        }
        // Refused, and none of them refused, is no answer.
        (debts.next().is_none() && (given == 1) == charge.refused_for.is_none()).then_some(charge)
    }
}

impl Owned {
    fn of(whose: Whose<'_>) -> Self {
        match whose {
            Whose::Key(id) => Self::Key(id),
            Whose::Identity(authenticator, id) => Self::Identity(authenticator.into(), id.into()),
            Whose::Owner(owner) => Self::Owner(owner.into()),
            Whose::Address(address) => Self::Address(address),
            Whose::Policy => Self::Policy,
            Whose::Failures { address, flagged } => Self::Failures { address, flagged },
        }
    }

    fn lend(&self) -> Whose<'_> {
        match self {
            Self::Key(id) => Whose::Key(*id),
            Self::Identity(authenticator, id) => Whose::Identity(authenticator, id),
            Self::Owner(owner) => Whose::Owner(owner),
            Self::Address(address) => Whose::Address(*address),
            Self::Policy => Whose::Policy,
            &Self::Failures { address, flagged } => Whose::Failures { address, flagged },
        }
    }
}

/// A quota in numbers that the script can reckon with: its doubles hold whole numbers up to 2^53 exactly.
struct Scale {
    /// How many nanoseconds are one unit. A divisor of a microsecond, which is what the server's clock tells.
    unit: u64,
    /// In nanoseconds.
    window: u64,
    /// In units.
    interval: u64,
    /// In units.
    span: u64,
}

impl Scale {
    /// A nanosecond, as everywhere else. Only windows over 104 days have too many of them, and 4 are exact enough there: a
    /// permission of the largest quota comes back every 9 milliseconds.
    fn of(quota: Quota) -> Self {
        let window = u64::try_from(quota.window().as_nanos()).unwrap_or(u64::MAX);
        let unit = if window < 1 << 53 { 1 } else { 4 };
        let interval = window / unit / u64::from(quota.count());
        Self { unit, window, interval, span: interval * u64::from(quota.count()) }
    }

    fn time(&self, units: u64) -> Duration {
        Duration::from_nanos(units.saturating_mul(self.unit))
    }

    fn permissions(&self, units: u64) -> u32 {
        u32::try_from(units / self.interval).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_quota_fits_the_scripts_numbers() {
        let day = Duration::from_secs(86_400);
        for (count, window) in [
            (1, Duration::from_nanos(1)),
            (1_000_000_000, Duration::from_secs(1)),
            (7, Duration::from_secs(1)),
            (1, 104 * day),
            (1, 105 * day),
            (1_000_000_000, 366 * day),
            (999_999_937, 366 * day),
        ] {
            let quota = Quota::new(count, window).unwrap();
            let Scale { unit, window: nanoseconds, interval, span } = Scale::of(quota);
            assert!(interval > 0 && span <= 1 << 53 && 1_000 % unit == 0, "{quota}");
            assert_eq!(u128::from(nanoseconds), window.as_nanos());
            assert_eq!(interval, nanoseconds / unit / u64::from(count), "{quota}");
        }
    }

    #[test]
    fn what_is_no_reply_of_the_script_is_none() {
        let quotas = ["10/second".parse().unwrap()];
        let buckets = [Bucket { whose: Whose::Policy, quotas: &quotas }];
        let now = Now { wall: keyward::Timestamp::EPOCH, steady: 0 };
        let namespace = Namespace::new("test").unwrap();
        let request = Request::of(&Taking { now, buckets: &buckets, cost: 1, peek: false }, &namespace);
        for reply in [
            &[][..],
            &[1],
            &[1, 5],
            &[1, 5, 0, 0],
            &[0, 5, 0],
            &[0, 5, 900_000_000],
            // More than two windows, and more than a number holds with the cost.
            &[0, 5, 2_000_000_001],
            &[1, 5, 2_000_000_001],
            &[0, 5, u64::MAX],
            &[0, 5, (1 << 63) - 1],
        ] {
            assert_eq!(request.charge(reply), None, "{reply:?}");
        }
        assert_eq!(request.charge(&[0, 5, 2_000_000_000]).unwrap().refused_for, Some(Duration::from_millis(1_100)));
        let admitted = request.charge(&[1, 5, 100_000_000]).unwrap();
        assert_eq!((admitted.refused_for, admitted.standings[0].remaining), (None, 9));
        let refused = request.charge(&[0, 5, 1_000_000_000]).unwrap();
        assert_eq!(refused.refused_for, Some(Duration::from_millis(100)));
        assert!(refused.standings[0].is_violated);
    }
}
