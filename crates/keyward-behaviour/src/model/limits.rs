//! R9: quotas, counted permission by permission.
//!
//! A ledger remembers of each permission when it comes back. That is slow, and it shares no formula with a limiter that keeps
//! one number.

use std::{collections::HashMap, net::IpAddr};

use super::time::{Moment, SECOND};

/// So many permissions in so long a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// What it is called, if it has a name.
    pub name: Option<String>,
    /// How many at once, and how many come back in one window.
    pub count: Moment,
    /// The window, in nanoseconds.
    pub window: Moment,
}

impl Quota {
    /// R9.1: `COUNT/unit` or `COUNT/NUMBERunit`, with `NAME=` before it or without.
    pub fn parse(written: &str) -> Quota {
        let (name, quota) = match written.split_once('=') {
            Some((name, quota)) => (Some(name.to_owned()), quota),
            None => (None, written),
        };
        let (count, window) = quota.split_once('/').expect("a quota has a slash");
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
        Quota { name, count: count.parse().expect("a count is a number"), window: number * unit }
    }

    fn gives_like(&self, other: &Quota) -> bool {
        (self.count, self.window) == (other.count, other.window)
    }
}

/// What a quota says about one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What the quota is called in answers.
    pub name: String,
    /// The quota.
    pub quota: Quota,
    /// How many more would pass at this very moment.
    pub remaining: Moment,
    /// How long until all of them are back, in nanoseconds.
    pub full_in: Moment,
    /// How long until there is what the request costs, in nanoseconds; zero if there is, and for a request that was let through.
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

impl Subject {
    fn word(&self) -> &'static str {
        match self {
            Subject::Key(_) => "key",
            Subject::Owner(_) => "owner",
            Subject::Address(_) => "address",
            Subject::Policy => "policy",
            Subject::Failures { .. } => "failures",
        }
    }
}

/// When each permission of a quota that was taken comes back, in `1/count` nanoseconds, so that every count is exact: they come
/// back one by one, a `count`th part of the window after each other.
#[derive(Clone, Debug)]
struct Ledger {
    quota: Quota,
    back_at: Vec<Moment>,
}

impl Ledger {
    fn new(quota: &Quota) -> Ledger {
        Ledger { quota: quota.clone(), back_at: Vec::new() }
    }

    fn out(&self, now: Moment) -> Vec<Moment> {
        self.back_at.iter().copied().filter(|at| *at > now * self.quota.count).collect()
    }

    fn left(&self, now: Moment) -> Moment {
        self.quota.count - length(&self.out(now))
    }

    /// R9.1: never more than there are.
    fn cost(&self, cost: Moment) -> Moment {
        cost.min(self.quota.count)
    }

    fn wait(&self, cost: Moment, now: Moment) -> Moment {
        let lacking = self.cost(cost) - self.left(now);
        match usize::try_from(lacking) {
            Ok(lacking) if lacking > 0 => divide_up(self.out(now)[lacking - 1] - now * self.quota.count, self.quota.count),
            _ => 0,
        }
    }

    fn take(&mut self, cost: Moment, now: Moment) {
        self.back_at = self.out(now);
        for _ in 0..self.cost(cost) {
            let last = self.back_at.last().copied().unwrap_or(now * self.quota.count);
            self.back_at.push(last + self.quota.window);
        }
    }

    fn standing(&self, subject: &Subject, wait: Moment, now: Moment) -> Standing {
        let seconds = divide_up(self.quota.window, SECOND);
        let last = self.out(now).last().map_or(0, |last| last - now * self.quota.count);
        Standing {
            name: self.quota.name.clone().unwrap_or_else(|| format!("{}-{seconds}s", subject.word())),
            quota: self.quota.clone(),
            remaining: self.left(now),
            full_in: divide_up(last, self.quota.count),
            wait,
        }
    }
}

/// What is counted for one subject.
#[derive(Clone, Debug, Default)]
struct Account {
    ledgers: Vec<Ledger>,
    /// Those that were in force before, with what had been charged by then.
    earlier: Vec<(Ledger, Moment)>,
    charged: Moment,
    /// When something was charged last, or other quotas came into force.
    active_at: Moment,
    changed_at: Moment,
    /// Until when what is out of a ledger in force may be less than what was charged.
    cut_until: Moment,
}

impl Account {
    /// R9.4: puts quotas in force and forgets nothing.
    fn put_in_force(&mut self, quotas: &[Quota], now: Moment) {
        let earlier = std::mem::take(&mut self.earlier);
        self.earlier = earlier.into_iter().filter(|(ledger, then)| self.matters(ledger, *then, now)).collect();
        if self.ledgers.iter().map(|ledger| &ledger.quota).eq(quotas) {
            return;
        }
        let is_another = self.ledgers.len() != quotas.len()
            || self.ledgers.iter().zip(quotas).any(|(before, quota)| !before.quota.gives_like(quota));
        let mut known: Vec<(Ledger, Moment)> = self.ledgers.drain(..).map(|ledger| (ledger, self.charged)).collect();
        known.append(&mut self.earlier);
        let out = |(ledger, then): &(Ledger, Moment)| length(&ledger.out(now)) + self.charged - then;
        let most = |window: Option<Moment>| {
            known.iter().filter(|(ledger, _)| window.is_none_or(|window| ledger.quota.window == window)).map(out).max()
        };
        let mut is_cut = false;
        for quota in quotas {
            let mut ledger = Ledger::new(quota);
            let owed = match known.iter().find(|(before, _)| before.quota.gives_like(quota)) {
                // It goes on from where it stood, with what was charged since.
                Some((before, then)) => {
                    ledger.back_at.clone_from(&before.back_at);
                    self.charged - then
                }
                None => most(Some(quota.window)).filter(|_| now >= self.cut_until).or_else(|| most(None)).unwrap_or(0),
            };
            if length(&ledger.out(now)) + owed > quota.count {
                // All of it is out, and no more.
                is_cut = true;
                ledger = Ledger::new(quota);
                ledger.take(quota.count, now);
            } else {
                ledger.take(owed, now);
            }
            self.ledgers.push(ledger);
        }
        if is_cut {
            let windows = known.iter().map(|(before, _)| before.quota.window).chain(quotas.iter().map(|quota| quota.window));
            self.cut_until = self.cut_until.max(now + windows.max().unwrap_or(0));
        }
        known.retain(|known| out(known) > 0 && quotas.iter().all(|quota| !known.0.quota.gives_like(quota)));
        // The eight of which most is out.
        known.sort_by_key(|known| (-out(known), known.0.quota.window, known.0.quota.count));
        known.truncate(8);
        self.earlier = known;
        if is_another {
            (self.changed_at, self.active_at) = (now, now);
        }
    }

    /// Whether a ledger that is not in force has something to tell: some of it is out, or would be if what was charged since
    /// had been charged to it; unless another of its window has been in force for as long as that is.
    fn matters(&self, ledger: &Ledger, then: Moment, now: Moment) -> bool {
        let window = ledger.quota.window;
        let is_out = !ledger.out(now).is_empty() || self.charged > then && now < self.active_at + window;
        is_out && (now < self.changed_at + window || self.ledgers.iter().all(|other| other.quota.window != window))
    }
}

/// Every quota's state.
#[derive(Clone, Debug, Default)]
pub struct Quotas {
    accounts: HashMap<Subject, Account>,
}

/// All quotas of one subject.
pub type Charge = (Subject, Vec<Quota>);

impl Quotas {
    /// R9.2: charges all or nothing, and says how each quota stands afterwards.
    ///
    /// # Errors
    /// The standings without any charge, if one of them has less left than the request costs.
    pub fn take(&mut self, charges: &[Charge], cost: Moment, now: Moment) -> Result<Vec<Standing>, Vec<Standing>> {
        for (subject, quotas) in charges {
            self.accounts.entry(subject.clone()).or_default().put_in_force(quotas, now);
        }
        let before = self.standings(charges, now, |ledger| ledger.wait(cost, now));
        if before.iter().any(|standing| standing.wait > 0) {
            return Err(before);
        }
        for (subject, _) in charges {
            let account = self.accounts.get_mut(subject).expect("every subject has an account by now");
            account.ledgers.iter_mut().for_each(|ledger| ledger.take(cost, now));
            account.charged += cost;
            account.active_at = account.active_at.max(now);
        }
        Ok(self.standings(charges, now, |_| 0))
    }

    fn standings(&self, charges: &[Charge], now: Moment, wait: impl Fn(&Ledger) -> Moment) -> Vec<Standing> {
        // A key's own quota that is called like one of the policy's is told as one without a name.
        let of_the_policy: Vec<&String> =
            charges.iter().skip(1).flat_map(|(_, quotas)| quotas).filter_map(|quota| quota.name.as_ref()).collect();
        let standing = |index: usize, subject: &Subject, ledger: &Ledger| {
            let mut ledger = ledger.clone();
            if index == 0 && ledger.quota.name.as_ref().is_some_and(|name| of_the_policy.contains(&name)) {
                ledger.quota.name = None;
            }
            ledger.standing(subject, wait(&ledger), now)
        };
        let each = charges.iter().enumerate();
        each.flat_map(|(index, (subject, _))| self.accounts[subject].ledgers.iter().map(move |ledger| (index, subject, ledger)))
            .map(|(index, subject, ledger)| standing(index, subject, ledger))
            .collect()
    }
}

/// R9.3: whole seconds, rounded up, at least 1; of several waits the longest.
pub fn retry_after(standings: &[Standing]) -> u64 {
    let longest = standings.iter().map(|standing| standing.wait).max().unwrap_or(0);
    u64::try_from(seconds(longest).max(1)).expect("a wait is positive and short")
}

/// Whole seconds, rounded up.
pub fn seconds(nanoseconds: Moment) -> Moment {
    divide_up(nanoseconds, SECOND)
}

fn length(permissions: &[Moment]) -> Moment {
    Moment::try_from(permissions.len()).expect("nobody holds as many permissions")
}

fn divide_up(value: Moment, by: Moment) -> Moment {
    (value + by - 1) / by
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(quotas: &[&str]) -> Charge {
        (Subject::Key("k".to_owned()), quotas.iter().map(|quota| Quota::parse(quota)).collect())
    }

    #[test]
    fn names_units_and_numbers() {
        assert_eq!(Quota::parse("100/hour"), Quota { name: None, count: 100, window: 3_600 * SECOND });
        assert_eq!(Quota::parse("2/30s"), Quota { name: None, count: 2, window: 30 * SECOND });
        assert_eq!(Quota::parse("a=1/2d"), Quota { name: Some("a".to_owned()), count: 1, window: 172_800 * SECOND });
        let told = Quotas::default().take(&[key(&["1/90s", "long=2/hour"])], 1, 0).unwrap();
        assert_eq!([told[0].name.as_str(), &told[1].name], ["key-90s", "long"]);
    }

    #[test]
    fn a_burst_then_one_each_interval() {
        let mut quotas = Quotas::default();
        let charge = [key(&["2/minute"])];
        let start = 1_000 * SECOND;
        assert_eq!(quotas.take(&charge, 1, start).unwrap()[0].remaining, 1);
        let spent = quotas.take(&charge, 1, start).unwrap();
        assert_eq!((spent[0].remaining, spent[0].full_in), (0, 60 * SECOND));
        let refused = quotas.take(&charge, 1, start).unwrap_err();
        assert_eq!(retry_after(&refused), 30);
        let refused = quotas.take(&charge, 1, start + 30 * SECOND - 1).unwrap_err();
        assert_eq!((refused[0].wait, retry_after(&refused)), (1, 1));
        assert!(quotas.take(&charge, 1, start + 30 * SECOND).is_ok());
        assert!(quotas.take(&charge, 1, start + 30 * SECOND).is_err());
        assert_eq!(quotas.take(&charge, 1, start + 1_000 * SECOND).unwrap()[0].remaining, 1);
    }

    #[test]
    fn up_to_twice_the_count_less_one_in_a_window() {
        let mut quotas = Quotas::default();
        let charge = [key(&["3/minute"])];
        let mut passed = 0;
        for second in 0..60 {
            while quotas.take(&charge, 1, second * SECOND).is_ok() {
                passed += 1;
            }
        }
        assert_eq!(passed, 5);
    }

    #[test]
    fn counts_that_do_not_divide_stay_exact() {
        let mut quotas = Quotas::default();
        let charge = [key(&["7/second"])];
        for _ in 0..7 {
            assert!(quotas.take(&charge, 1, 0).is_ok());
        }
        assert!(quotas.take(&charge, 1, SECOND / 7).is_err(), "a seventh of a second is not quite over");
        assert!(quotas.take(&charge, 1, SECOND / 7 + 1).is_ok());
    }

    #[test]
    fn all_or_nothing_and_the_longest_wait() {
        let mut quotas = Quotas::default();
        let owner = (Subject::Owner("o".to_owned()), vec![Quota::parse("1/hour")]);
        let charges = [key(&["5/minute"]), owner];
        assert!(quotas.take(&charges, 1, 0).is_ok());
        let refused = quotas.take(&charges, 1, 0).unwrap_err();
        assert_eq!(refused[0].remaining, 4, "the key was not charged for a refusal");
        assert_eq!(refused.iter().map(|standing| standing.wait > 0).collect::<Vec<_>>(), [false, true]);
        assert_eq!(retry_after(&refused), 3_600);
        assert_eq!(quotas.take(&charges[..1], 1, 0).unwrap()[0].remaining, 3);
    }

    #[test]
    fn a_request_can_cost_more_but_never_more_than_there_is() {
        let mut quotas = Quotas::default();
        let charge = [key(&["4/minute"])];
        assert_eq!(quotas.take(&charge, 3, 0).unwrap()[0].remaining, 1);
        let refused = quotas.take(&charge, 3, 0).unwrap_err();
        assert_eq!((refused[0].remaining, refused[0].wait), (1, 30 * SECOND));
        assert!(quotas.take(&charge, 3, 30 * SECOND - 1).is_err());
        assert!(quotas.take(&charge, 3, 30 * SECOND).is_ok());
        assert_eq!(quotas.take(&charge, 9, 30 * SECOND).unwrap_err()[0].wait, 60 * SECOND);
        assert_eq!(quotas.take(&charge, 9, 90 * SECOND).unwrap()[0].remaining, 0);
    }

    #[test]
    fn changed_quotas_forget_nothing() {
        let left = |quotas: &mut Quotas, written: &[&str], now| match quotas.take(&[key(written)], 1, now) {
            Ok(standings) => standings.iter().map(|standing| standing.remaining).collect::<Vec<_>>(),
            Err(refused) => refused.iter().map(|standing| -standing.wait / SECOND).collect(),
        };
        let mut quotas = Quotas::default();
        assert_eq!(left(&mut quotas, &["4/minute"], 0), [3]);
        assert_eq!(left(&mut quotas, &["4/minute"], 0), [2]);
        assert_eq!(left(&mut quotas, &["10/minute"], 0), [7], "two and one of ten");
        assert_eq!(left(&mut quotas, &["10/minute", "5/hour"], 0), [6, 1], "the hour begins with three");
        assert_eq!(left(&mut quotas, &["2/minute"], 0), [-30], "spent, and no deeper than that");
        assert_eq!(left(&mut quotas, &["a=2/minute"], 29 * SECOND), [-1], "a name is no change of what was charged");
        assert_eq!(left(&mut quotas, &["2/minute"], 30 * SECOND), [0]);
        assert_eq!(left(&mut quotas, &["6/hour"], 2_000 * SECOND), [2], "two are not back, one was charged since, and this one");
    }
}
