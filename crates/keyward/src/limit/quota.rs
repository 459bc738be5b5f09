//! One quota and its arithmetic: the generic cell rate algorithm (ITU-T I.371), as a virtual clock.
//!
//! A cell is one number, the theoretical arrival time: the instant at which all permissions are back. Every permission
//! taken moves it one interval into the future; it may lie at most `COUNT` intervals ahead of now.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `COUNT/unit` or `COUNT/NUMBERunit`: so many permissions at once, and one back every window/COUNT (R9.1). `NAME=` before it
/// names it in answers, as in `burst=100/minute`.
///
/// Up to `2·COUNT − 1` can fall into one window of that length: COUNT at its start, and those that came back during it.
///
/// ```
/// let quota: keyward::limit::Quota = "100/hour".parse()?;
/// assert_eq!(quota, "100/60m".parse()?);
/// let named: keyward::limit::Quota = "burst=100/hour".parse()?;
/// assert_eq!(named.name(), Some("burst"));
/// # Ok::<(), keyward::limit::BadQuota>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quota {
    count: u32,
    /// In nanoseconds.
    window: u64,
    /// Zeros behind it. In place: quotas are copied with every request.
    name: [u8; MOST_NAME],
}

/// How long a quota's name may be, in bytes.
const MOST_NAME: usize = 20;

/// What was written is no quota.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{told}` {problem}")]
pub struct BadQuota {
    told: String,
    problem: Problem,
}

impl BadQuota {
    fn new(told: &str, problem: Problem) -> Self {
        Self { told: told.chars().take(64).collect(), problem }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Problem {
    #[error(
        "is no quota: write COUNT/unit or COUNT/NUMBERunit with second, minute, hour or day (s, m, h, d), like 100/hour or 5/10s; COUNT from 1 to 1000000000, over at most 366 days; with a name: burst=100/minute"
    )]
    Form,
    #[error("is no number of requests an hour: write a whole number from 1 to 1000000000, like 100, and no unit")]
    NumberAnHour,
    #[error("gives nothing: write a COUNT of at least 1, like 1/hour")]
    Nothing,
    #[error("is reserved: a quota without a name is called so; write another name, like burst=100/minute")]
    ReservedName,
}

impl Quota {
    const MOST: u32 = 1_000_000_000;
    const LONGEST: u64 = 366 * 86_400 * 1_000_000_000;

    /// `count` permissions over `window`. `None` unless both are positive and within the limits that [`BadQuota`] names, and a
    /// permission comes back at most once a nanosecond.
    pub fn new(count: u32, window: Duration) -> Option<Self> {
        let window = u64::try_from(window.as_nanos()).ok()?;
        let good = (1..=Self::MOST).contains(&count) && (u64::from(count)..=Self::LONGEST).contains(&window);
        good.then_some(Self { count, window, name: [0; MOST_NAME] })
    }

    /// `count` permissions an hour. `None` unless there is at least one, and at most 1,000,000,000.
    ///
    /// ```
    /// # use keyward::limit::Quota;
    /// assert_eq!(Quota::per_hour(100).map(|quota| quota.to_string()).as_deref(), Some("100/hour"));
    /// assert_eq!(Quota::per_hour(0), None);
    /// ```
    pub fn per_hour(count: u32) -> Option<Self> {
        Self::new(count, Duration::from_secs(3_600))
    }

    /// Reads a plain number of permissions an hour, as services are often configured: by a variable like `API_RATE_LIMIT=100`.
    /// Blanks around it do not count. Everything else is refused, `100/hour` too: what such a variable means by a unit, its
    /// service has not said.
    ///
    /// # Errors
    /// [`BadQuota`], without the variable's name, which only you know.
    ///
    /// ```
    /// use keyward::Policy;
    /// use keyward::limit::Quota;
    ///
    /// let written = std::env::var("API_RATE_LIMIT").unwrap_or_else(|_| "100".to_owned());
    /// let hourly = Quota::per_hour_from(&written).map_err(|bad| format!("API_RATE_LIMIT: {bad}"))?;
    /// let policy = Policy::builder().per_key([hourly.to_string()]).build()?;
    /// # drop(policy);
    ///
    /// assert!(Quota::per_hour_from("a hundred").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn per_hour_from(number: &str) -> Result<Self, BadQuota> {
        let count = plain_number(number.trim()).and_then(|count| u32::try_from(count).ok());
        count.and_then(Self::per_hour).ok_or_else(|| BadQuota::new(number, Problem::NumberAnHour))
    }

    /// The same under a name: a letter, then at most 19 more letters, digits, `-` and `_`. `None` if it is none, or looks like what
    /// quotas without a name are called: `key-60s`.
    pub fn named(self, name: &str) -> Option<Self> {
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let good = name.len() <= MOST_NAME && name.starts_with(|first: char| first.is_ascii_alphabetic());
        if !good || is_reserved(name) || !name.bytes().all(letters) {
            return None;
        }
        let mut kept = [0; MOST_NAME];
        kept.iter_mut().zip(name.bytes()).for_each(|(kept, byte)| *kept = byte);
        Some(Self { name: kept, ..self })
    }

    /// Whether both give the same, whatever they are called.
    pub(crate) fn gives_like(self, other: Self) -> bool {
        (self.count, self.window) == (other.count, other.window)
    }

    pub(crate) fn unnamed(self) -> Self {
        Self { name: [0; MOST_NAME], ..self }
    }

    /// The name under which it is told, if it has one of its own.
    pub fn name(&self) -> Option<&str> {
        let length = self.name.iter().position(|byte| *byte == 0).unwrap_or(MOST_NAME);
        std::str::from_utf8(&self.name[..length]).ok().filter(|name| !name.is_empty())
    }

    /// How many permissions there are at most.
    pub fn count(self) -> u32 {
        self.count
    }

    /// The time over which all of them come back.
    pub fn window(self) -> Duration {
        Duration::from_nanos(self.window)
    }

    pub(crate) fn nanoseconds(self) -> u64 {
        self.window
    }

    fn interval(self) -> u64 {
        self.window / u64::from(self.count)
    }

    /// How far ahead of now a cell can lie: all permissions taken.
    fn span(self) -> u64 {
        self.interval() * u64::from(self.count)
    }

    /// A cell with so many permissions more taken, whether there were as many or not. What costs more than there ever are costs
    /// all of them: it waits until none is taken, instead of being refused for ever.
    pub(crate) fn charged(self, cell: u64, now: u64, cost: u32) -> u64 {
        cell.max(now).saturating_add(self.interval() * u64::from(cost.min(self.count)))
    }

    /// Takes permissions from a cell: its new value, or how many nanoseconds until there are as many.
    pub(crate) fn take(self, cell: u64, now: u64, cost: u32) -> Result<u64, u64> {
        let next = self.charged(cell, now, cost);
        match next.saturating_sub(now).checked_sub(self.span()) {
            None | Some(0) => Ok(next),
            Some(wait) => Err(wait),
        }
    }

    /// A cell with so many permissions more taken, or all of them: of a quota that is not asked for.
    pub(crate) fn noted(self, cell: u64, now: u64, cost: u32) -> u64 {
        self.charged(cell, now, cost).min(self.latest(now))
    }

    /// A cell with so many permissions more taken, be they more than there are.
    pub(crate) fn owing(self, cell: u64, now: u64, taken: u64) -> u64 {
        cell.max(now).saturating_add(self.interval().saturating_mul(taken))
    }

    /// A cell of which all permissions are taken.
    pub(crate) fn latest(self, now: u64) -> u64 {
        now.saturating_add(self.span())
    }

    /// A cell that gives nothing for so long, and for no longer than one that was spent by taking.
    pub(crate) fn refusing_for(self, wait: Duration, now: u64) -> u64 {
        let wait = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX).min(self.interval());
        now.saturating_add(wait + self.span() - self.interval())
    }

    pub(crate) fn remaining(self, cell: u64, now: u64) -> u32 {
        let free = self.span().saturating_sub(cell.saturating_sub(now));
        u32::try_from(free / self.interval()).unwrap_or(self.count)
    }

    pub(crate) fn full_in(self, cell: u64, now: u64) -> Duration {
        Duration::from_nanos(cell.saturating_sub(now))
    }

    /// How many permissions are taken, counting a part of one as one.
    pub(crate) fn taken(self, cell: u64, now: u64) -> u64 {
        cell.saturating_sub(now).div_ceil(self.interval())
    }

    /// A cell with so many permissions taken (R9.4): a changed limit forgets nothing, and locks nobody out for longer than its
    /// window.
    pub(crate) fn cell_with(self, taken: u64, now: u64) -> u64 {
        now.saturating_add(taken.min(u64::from(self.count)) * self.interval())
    }
}

impl FromStr for Quota {
    type Err = BadQuota;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, quota) = text.split_once('=').map_or((None, text), |(name, quota)| (Some(name), quota));
        if let Some(reserved) = name.filter(|name| is_reserved(name)) {
            return Err(BadQuota::new(reserved, Problem::ReservedName));
        }
        let read = || {
            let (count, window) = quota.split_once('/')?;
            let digits = window.bytes().take_while(u8::is_ascii_digit).count();
            let (number, unit) = window.split_at(digits);
            let number: u64 = if number.is_empty() { 1 } else { plain_number(number)? };
            let seconds = match unit {
                "s" | "second" | "seconds" => 1,
                "m" | "minute" | "minutes" => 60,
                "h" | "hour" | "hours" => 3_600,
                "d" | "day" | "days" => 86_400,
                _ => return None,
            };
            Some((u32::try_from(plain_number(count)?).ok()?, Duration::from_secs(number.checked_mul(seconds)?)))
        };
        let (count, window) = read().ok_or_else(|| BadQuota::new(text, Problem::Form))?;
        if count == 0 {
            return Err(BadQuota::new(text, Problem::Nothing));
        }
        let quota = Self::new(count, window);
        let named = |quota: Self| name.map_or(Some(quota), |name| quota.named(name));
        quota.and_then(named).ok_or_else(|| BadQuota::new(text, Problem::Form))
    }
}

/// `key-60s`: what answers call a quota that has no name.
fn is_reserved(name: &str) -> bool {
    name.rsplit_once('-').is_some_and(|(whose, window)| {
        let seconds = window.strip_suffix('s').unwrap_or_default();
        ["key", "owner", "address", "policy"].contains(&whose) && seconds.parse::<u64>().is_ok()
    })
}

/// Digits only: `+5` and an empty text are no numbers here.
fn plain_number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.name() {
            write!(f, "{name}=")?;
        }
        let seconds = self.window / 1_000_000_000;
        match [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")]
            .iter()
            .find(|(unit, _)| seconds.is_multiple_of(*unit))
        {
            Some((unit, name)) if seconds == *unit => write!(f, "{}/{name}", self.count),
            Some((unit, name)) => write!(f, "{}/{}{name}s", self.count, seconds / unit),
            None => write!(f, "{}/{:?}", self.count, self.window()),
        }
    }
}

impl Serialize for Quota {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Quota {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_quota() {
        for (text, printed) in [
            ("100/hour", "100/hour"),
            ("5/10s", "5/10seconds"),
            ("1/d", "1/day"),
            ("7/90m", "7/90minutes"),
            ("60/120seconds", "60/2minutes"),
            ("burst=60/m", "burst=60/minute"),
            ("key-s=60/m", "key-s=60/minute"),
            ("a-name_of20character=1/s", "a-name_of20character=1/second"),
        ] {
            assert_eq!(text.parse::<Quota>().unwrap().to_string(), printed);
        }
        for bad in [
            "",
            "100",
            "100/",
            "/hour",
            "0/hour",
            "-1/hour",
            "+1/hour",
            "1/0s",
            "1/week",
            "1000000001/day",
            "1/367d",
            "1 /hour",
            "1/hour ",
            "99999999999/s",
            "1/99999999999999999999d",
            "=1/s",
            "9=1/s",
            "a b=1/s",
            "a\"=1/s",
            "a=b=1/s",
            "key-60s=1/s",
            "owner-3600s=1/s",
            "a-name_of21characters=1/s",
        ] {
            assert!(bad.parse::<Quota>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_plain_number_is_so_many_an_hour() {
        for (text, printed) in [("100", "100/hour"), (" 1\n", "1/hour"), ("007", "7/hour"), ("1000000000", "1000000000/hour")] {
            assert_eq!(Quota::per_hour_from(text).unwrap().to_string(), printed);
        }
        for bad in [
            "",
            " ",
            "0",
            "-1",
            "+1",
            "1.5",
            "1e3",
            "1_000",
            "1,000",
            "100/hour",
            "100/h",
            "unlimited",
            "1000000001",
            "4294967297",
        ] {
            let refused = Quota::per_hour_from(bad).unwrap_err().to_string();
            assert!(refused.starts_with(&format!("`{bad}` is no number")), "{refused}");
        }
    }

    #[test]
    fn the_burst_then_one_each_interval() {
        let quota: Quota = "3/3s".parse().unwrap();
        let second = 1_000_000_000;
        let mut cell = 0;
        for remaining in [2, 1, 0] {
            cell = quota.take(cell, 5 * second, 1).unwrap();
            assert_eq!(quota.remaining(cell, 5 * second), remaining);
        }
        assert_eq!(quota.take(cell, 5 * second, 1), Err(second));
        assert_eq!(quota.take(cell, 5 * second, 3), Err(3 * second));
        assert_eq!(quota.take(cell, 8 * second, 3), quota.take(cell, 8 * second, 4));
        assert_eq!(quota.take(cell, 8 * second - 1, 4), Err(1));
        assert_eq!(quota.take(cell, 6 * second - 1, 1), Err(1));
        assert!(quota.take(cell, 6 * second, 1).is_ok());
        assert_eq!(quota.full_in(cell, 5 * second), Duration::from_secs(3));
    }

    #[test]
    fn a_changed_limit_forgets_nothing_and_locks_nobody_out() {
        let (hourly, tighter): (Quota, Quota) = ("100/hour".parse().unwrap(), "10/hour".parse().unwrap());
        let used_five = (0..5).fold(0, |cell, _| hourly.take(cell, 0, 1).unwrap());
        assert_eq!(tighter.remaining(tighter.cell_with(hourly.taken(used_five, 0), 0), 0), 5);
        let used_fifty = (0..50).fold(0, |cell, _| hourly.take(cell, 0, 1).unwrap());
        let moved = tighter.cell_with(hourly.taken(used_fifty, 0), 0);
        assert_eq!(tighter.remaining(moved, 0), 0);
        assert_eq!(tighter.take(moved, 0, 1), Err(360 * 1_000_000_000));
    }
}
