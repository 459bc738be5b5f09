//! How often somebody failed, by address: bad keys and wrong passwords.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keyward::audit::{AuditEvent, AuditSink, Level};
use keyward::{Answer, Timestamp};
use serde::Serialize;

/// Counts failures by address, for administrators. It is an audit sink beside another one, `(sink, attempts)`, and clones share the
/// counts: give it to the application's guard and to [`AdminBuilder::failed_attempts`](crate::AdminBuilder::failed_attempts).
///
/// Of each address it is known how often it failed within the last day, in this process. There are at most 1,024 addresses; where there
/// are more, the one with the fewest failures is forgotten, the oldest of them first. An IPv6 client has a /64, as for the failure
/// budget (R3.1).
#[derive(Clone, Default)]
pub struct FailedAttempts(Arc<Mutex<HashMap<IpAddr, Count>>>);

#[derive(Debug, Clone, Copy)]
struct Count {
    bad_keys: u64,
    bad_passwords: u64,
    first: Timestamp,
    last: Timestamp,
}

/// How often one address failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = FailedAttempts))]
#[non_exhaustive]
pub struct FailedAttemptsOf {
    /// `192.0.2.1`, or `2001:db8::/64`.
    pub address: String,
    /// Keys that were malformed, unknown, expired, not yet valid, revoked or disabled, and those that were refused untried.
    pub bad_keys: u64,
    /// Passwords that were wrong, or given for an account that is not there, and those that were refused unseen.
    pub bad_passwords: u64,
    /// When this began.
    pub first_at: Timestamp,
    /// When it was last.
    pub last_at: Timestamp,
}

impl FailedAttempts {
    const MOST: usize = 1_024;
    /// As long as an address is remembered that does not fail again.
    const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

    /// Nobody has failed yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Those who failed within the last day, the most failures first.
    pub fn latest(&self, limit: usize, now: Timestamp) -> Vec<FailedAttemptsOf> {
        let mut counts: Vec<(IpAddr, Count)> = self
            .counts()
            .iter()
            .filter(|(_, count)| now.since(count.last) < Self::REMEMBERED)
            .map(|(address, count)| (*address, *count))
            .collect();
        counts.sort_by_key(|(address, count)| (std::cmp::Reverse((count.in_all(), count.last)), *address));
        let told = |(address, count): (IpAddr, Count)| FailedAttemptsOf {
            address: match address {
                IpAddr::V4(address) => address.to_string(),
                IpAddr::V6(network) => format!("{network}/64"),
            },
            bad_keys: count.bad_keys,
            bad_passwords: count.bad_passwords,
            first_at: count.first,
            last_at: count.last,
        };
        counts.into_iter().take(limit).map(told).collect()
    }

    fn count(&self, client: IpAddr, at: Timestamp, add: impl FnOnce(&mut Count)) {
        let address = network(client);
        let mut counts = self.counts();
        if counts.len() >= Self::MOST && !counts.contains_key(&address) {
            make_room(&mut counts, at);
        }
        let fresh = Count { bad_keys: 0, bad_passwords: 0, first: at, last: at };
        let count = counts.entry(address).or_insert(fresh);
        if at.since(count.last) >= Self::REMEMBERED {
            *count = fresh;
        }
        count.last = count.last.max(at);
        add(count);
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, Count>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Count {
    fn in_all(&self) -> u64 {
        self.bad_keys.saturating_add(self.bad_passwords)
    }
}

/// Who fails from ever new addresses pushes out only others who failed as seldom.
fn make_room(counts: &mut HashMap<IpAddr, Count>, now: Timestamp) {
    counts.retain(|_, count| now.since(count.last) < FailedAttempts::REMEMBERED);
    if counts.len() >= FailedAttempts::MOST
        && let Some(least) = counts.iter().min_by_key(|(_, count)| (count.in_all(), count.last)).map(|(address, _)| *address)
    {
        counts.remove(&least);
    }
}

fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

/// What the failure budget is charged for (R3.1), and what is refused because it is spent.
fn is_of_a_bad_key(reason: &str) -> bool {
    matches!(reason, "malformed" | "unknown" | "expired" | "not-yet-valid" | "revoked" | "disabled" | "failures-limited")
}

impl AuditSink for FailedAttempts {
    fn may_drop(&self) -> bool {
        true
    }

    fn wants_latency(&self) -> bool {
        false
    }

    fn record(&self, event: &AuditEvent<'_>) -> Answer<()> {
        // Nearly every event, and at the cost of a comparison.
        if event.level == Level::Info {
            return Answer::ready(());
        }
        if let Some(client) = event.client_ip {
            match event.event {
                "api_key_rejected" if is_of_a_bad_key(event.reason) => {
                    self.count(client, event.timestamp, |count| count.bad_keys += 1);
                }
                "sign_in_rejected" | "password_rejected" => {
                    self.count(client, event.timestamp, |count| count.bad_passwords += 1);
                }
                _ => {}
            }
        }
        Answer::ready(())
    }
}

impl fmt::Debug for FailedAttempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FailedAttempts({} addresses)", self.counts().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(attempts: &FailedAttempts, client: impl Into<IpAddr>, second: i64) {
        attempts.count(client.into(), Timestamp::from_unix_seconds(second), |count| count.bad_keys += 1);
    }

    fn told(attempts: &FailedAttempts, second: i64) -> Vec<(String, u64)> {
        let told = attempts.latest(5_000, Timestamp::from_unix_seconds(second));
        told.into_iter().map(|told| (told.address, told.bad_keys)).collect()
    }

    #[test]
    fn a_flood_of_addresses_pushes_out_nobody_who_fails_often() {
        let attempts = FailedAttempts::new();
        for _ in 0..3 {
            fail(&attempts, [192, 0, 2, 1], 0);
        }
        for number in 0..20_000_u32 {
            fail(&attempts, (0x0a00_0000 + number).to_be_bytes(), 1 + i64::from(number));
        }
        let told = told(&attempts, 20_001);
        assert_eq!((told.len(), &told[0]), (FailedAttempts::MOST, &("192.0.2.1".to_owned(), 3)));
        // Those that are left are the latest.
        let address = |number: u32| IpAddr::from((0x0a00_0000 + number).to_be_bytes()).to_string();
        assert_eq!(told[1].0, address(19_999));
    }

    #[test]
    fn a_day_later_it_is_forgotten_and_ipv6_is_counted_by_64() {
        let attempts = FailedAttempts::new();
        for address in ["2001:db8::1", "2001:db8::ffff", "2001:db8:0:1::1", "::ffff:192.0.2.7"] {
            fail(&attempts, address.parse::<IpAddr>().unwrap(), 0);
        }
        assert_eq!(
            told(&attempts, 86_399),
            [("2001:db8::/64".to_owned(), 2), ("192.0.2.7".to_owned(), 1), ("2001:db8:0:1::/64".to_owned(), 1)]
        );
        assert_eq!(told(&attempts, 86_400), []);
        fail(&attempts, [192, 0, 2, 7], 86_400);
        assert_eq!(told(&attempts, 86_400), [("192.0.2.7".to_owned(), 1)], "it begins anew");
    }
}
