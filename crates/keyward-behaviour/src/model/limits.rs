//! R9: quotas, counted exactly.

use std::{collections::HashMap, net::IpAddr};

use super::time::{Moment, SECOND};

/// So many permissions in so long a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// How many at once, and how many come back in one window.
    pub count: Moment,
    /// The window, in nanoseconds.
    pub window: Moment,
}

impl Quota {
    /// R9.1: `COUNT/unit` or `COUNT/NUMBERunit`.
    pub fn parse(written: &str) -> Quota {
        let (count, window) = written.split_once('/').expect("a quota has a slash");
        let digits = window.chars().take_while(char::is_ascii_digit).count();
        let (number, unit) = window.split_at(digits);
        let number: Moment = if number.is_empty() { 1 } else { number.parse().expect("digits are a number") };
        let unit = match unit {
            "s" | "second" | "seconds" => SECOND,
            "m" | "minute" | "minutes" => 60 * SECOND,
            "h" | "hour" | "hours" => 3_600 * SECOND,
            "d" | "day" | "days" => 86_400 * SECOND,
            other => panic!("{other} is no unit"),
        };
        Quota { count: count.parse().expect("a count is a number"), window: number * unit }
    }
}

/// The state of one quota for one subject: the theoretical arrival time, in `1/count` nanoseconds.
///
/// Scaling by the count keeps the emission interval `window / count` exact for every count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    arrival: Moment,
}

/// What a quota says about one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The quota.
    pub quota: Quota,
    /// How many more would pass at this very moment.
    pub remaining: Moment,
    /// How long until one more passes, in nanoseconds; zero if one would now.
    pub wait: Moment,
}

/// Whose quota it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A key, by the credential.
    Key(String),
    /// An owner, by name.
    Owner(String),
    /// A client's address or network.
    Address(IpAddr),
    /// Everybody under the policy.
    Policy,
    /// A client's failures.
    Failures {
        /// Its address or network.
        whose: IpAddr,
        /// Whether that is only the last good hop before something unreadable.
        flagged: bool,
    },
}

/// Every quota's state.
#[derive(Clone, Debug, Default)]
pub struct Quotas {
    cells: HashMap<(Subject, usize), Cell>,
}

/// One quota of one subject; the number tells several quotas of a subject apart.
pub type Charge = (Subject, usize, Quota);

impl Quotas {
    /// R9.2: charges all or nothing, and says how each quota stands afterwards.
    ///
    /// # Errors
    /// The standings without any charge, if one of them has no permission left.
    pub fn take(&mut self, charges: &[Charge], now: Moment) -> Result<Vec<Standing>, Vec<Standing>> {
        let before: Vec<Standing> = charges.iter().map(|charge| self.standing(charge, now)).collect();
        if before.iter().any(|standing| standing.remaining == 0) {
            return Err(before);
        }
        for (subject, number, quota) in charges {
            let cell = self.cells.entry((subject.clone(), *number)).or_insert(Cell { arrival: 0 });
            cell.arrival = cell.arrival.max(now * quota.count) + quota.window;
        }
        Ok(charges.iter().map(|charge| self.standing(charge, now)).collect())
    }

    fn standing(&self, (subject, number, quota): &Charge, now: Moment) -> Standing {
        let now = now * quota.count;
        let arrival = self.cells.get(&(subject.clone(), *number)).map_or(now, |cell| cell.arrival.max(now));
        // What is owed at this moment, out of a burst of `count` intervals of `window` each.
        let owed = arrival - now;
        let free = quota.count * quota.window - owed;
        let lacking = (quota.window - free).max(0);
        Standing { quota: *quota, remaining: free / quota.window, wait: divide_up(lacking, quota.count) }
    }
}

/// R9.3: whole seconds, rounded up, at least 1; of several waits the longest.
pub fn retry_after(standings: &[Standing]) -> u64 {
    let longest = standings.iter().map(|standing| standing.wait).max().unwrap_or(0);
    u64::try_from(divide_up(longest, SECOND).max(1)).expect("a wait is positive and short")
}

fn divide_up(value: Moment, by: Moment) -> Moment {
    (value + by - 1) / by
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(quota: &str) -> Charge {
        (Subject::Key("k".to_owned()), 0, Quota::parse(quota))
    }

    #[test]
    fn units_and_numbers() {
        assert_eq!(Quota::parse("100/hour"), Quota { count: 100, window: 3_600 * SECOND });
        assert_eq!(Quota::parse("2/30s"), Quota { count: 2, window: 30 * SECOND });
        assert_eq!(Quota::parse("1/2d"), Quota { count: 1, window: 172_800 * SECOND });
    }

    #[test]
    fn a_burst_then_one_each_interval() {
        let mut quotas = Quotas::default();
        let charge = [key("2/minute")];
        let start = 1_000 * SECOND;
        assert_eq!(quotas.take(&charge, start).unwrap()[0].remaining, 1);
        assert_eq!(quotas.take(&charge, start).unwrap()[0].remaining, 0);
        let refused = quotas.take(&charge, start).unwrap_err();
        assert_eq!(retry_after(&refused), 30);
        let refused = quotas.take(&charge, start + 30 * SECOND - 1).unwrap_err();
        assert_eq!((refused[0].wait, retry_after(&refused)), (1, 1));
        assert!(quotas.take(&charge, start + 30 * SECOND).is_ok());
        assert!(quotas.take(&charge, start + 30 * SECOND).is_err());
        assert_eq!(quotas.take(&charge, start + 1_000 * SECOND).unwrap()[0].remaining, 1);
    }

    #[test]
    fn up_to_twice_the_count_less_one_in_a_window() {
        let mut quotas = Quotas::default();
        let charge = [key("3/minute")];
        let mut passed = 0;
        for second in 0..60 {
            while quotas.take(&charge, second * SECOND).is_ok() {
                passed += 1;
            }
        }
        assert_eq!(passed, 5);
    }

    #[test]
    fn counts_that_do_not_divide_stay_exact() {
        let mut quotas = Quotas::default();
        let charge = [key("7/second")];
        for _ in 0..7 {
            assert!(quotas.take(&charge, 0).is_ok());
        }
        assert!(quotas.take(&charge, SECOND / 7).is_err(), "a seventh of a second is not quite over");
        assert!(quotas.take(&charge, SECOND / 7 + 1).is_ok());
    }

    #[test]
    fn all_or_nothing_and_the_longest_wait() {
        let mut quotas = Quotas::default();
        let owner = (Subject::Owner("o".to_owned()), 0, Quota::parse("1/hour"));
        let charges = [key("5/minute"), owner.clone()];
        assert!(quotas.take(&charges, 0).is_ok());
        let refused = quotas.take(&charges, 0).unwrap_err();
        assert_eq!(refused[0].remaining, 4, "the key was not charged for a refusal");
        assert_eq!(retry_after(&refused), 3_600);
        assert_eq!(quotas.take(&[key("5/minute")], 0).unwrap()[0].remaining, 3);
    }
}
