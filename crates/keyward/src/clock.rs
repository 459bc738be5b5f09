//! Time as the rules see it. Nothing below [`Guard`](crate::Guard) reads a clock: every rule is handed a [`Now`].

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A point in civil time, in nanoseconds since 1970-01-01T00:00:00Z.
///
/// Parses and prints RFC 3339. The range ends in the year 2262; arithmetic saturates there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The Unix epoch.
    pub const EPOCH: Self = Self(0);

    /// From whole seconds since the epoch.
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000_000))
    }

    /// From nanoseconds since the epoch.
    pub const fn from_unix_nanoseconds(nanoseconds: i64) -> Self {
        Self(nanoseconds)
    }

    /// Nanoseconds since the epoch.
    pub const fn unix_nanoseconds(self) -> i64 {
        self.0
    }

    /// This much later; the end of the range when it would lie behind it.
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(wait.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// How long ago `earlier` was; zero when it lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The current civil time of this machine, for programs; rules are handed a [`Now`].
    pub fn from_system(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self(i64::try_from(after.as_nanos()).unwrap_or(i64::MAX)),
            Err(before) => Self(i64::try_from(before.duration().as_nanos()).map(|nanoseconds| -nanoseconds).unwrap_or(i64::MIN)),
        }
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC, with milliseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => Err(fmt::Error),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What was written is no RFC 3339 time between the years 1677 and 2262.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time like 2026-01-31T12:00:00Z (RFC 3339)")]
pub struct NotATimestamp(String);

impl FromStr for Timestamp {
    type Err = NotATimestamp;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NotATimestamp(text.chars().take(64).collect());
        let time: jiff::Timestamp = text.parse().map_err(|_| wrong())?;
        i64::try_from(time.as_nanosecond()).map(Self).map_err(|_| wrong())
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// One reading of the clock, taken once for each decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Civil time: expiry, grace and audit events.
    pub wall: Timestamp,
    /// Nanoseconds of a clock that never steps: limits. Only differences mean anything.
    pub steady: u64,
}

/// Where a [`Guard`](crate::Guard) reads the time.
pub trait Clock: Send + Sync {
    /// The time now. The steady part must never go back.
    fn now(&self) -> Now;
}

impl<C: Clock + ?Sized> Clock for std::sync::Arc<C> {
    fn now(&self) -> Now {
        (**self).now()
    }
}

/// The clock of the machine.
///
/// Reads only the monotonic clock for most decisions and looks at civil time again after at most a tenth of a second, so a
/// step of the system's clock takes hold within that time, and a decision costs one reading instead of two.
#[derive(Debug)]
pub struct SystemClock {
    origin: Instant,
    civil_minus_steady: AtomicI64,
    looked_at: AtomicU64,
}

fn nanoseconds_since(origin: Instant) -> u64 {
    u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

impl SystemClock {
    const LOOK_AGAIN: u64 = 100_000_000;

    /// The clock. The steady part of all of them counts from one instant of the process, so that guards can share limits.
    pub fn new() -> Self {
        static ORIGIN: OnceLock<Instant> = OnceLock::new();
        let origin = *ORIGIN.get_or_init(Instant::now);
        let (civil, steady) = (Timestamp::from_system(SystemTime::now()).0, nanoseconds_since(origin));
        // Right from the start: two threads may read before either has looked again.
        let offset = civil.saturating_sub(i64::try_from(steady).unwrap_or(i64::MAX));
        Self { origin, civil_minus_steady: AtomicI64::new(offset), looked_at: AtomicU64::new(steady) }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let steady = nanoseconds_since(self.origin);
        let as_civil = i64::try_from(steady).unwrap_or(i64::MAX);
        let mut offset = self.civil_minus_steady.load(Ordering::Relaxed);
        if steady.saturating_sub(self.looked_at.load(Ordering::Relaxed)) > Self::LOOK_AGAIN {
            offset = Timestamp::from_system(SystemTime::now()).0.saturating_sub(as_civil);
            self.civil_minus_steady.store(offset, Ordering::Relaxed);
            self.looked_at.store(steady, Ordering::Relaxed);
        }
        Now { wall: Timestamp(offset.saturating_add(as_civil)), steady }
    }
}

/// A clock that stands still until it is told otherwise, for tests and for `explain --now`. Clones share one time.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<(AtomicI64, AtomicU64)>);

impl ManualClock {
    /// Stands at `wall`.
    pub fn at(wall: Timestamp) -> Self {
        Self(Arc::new((AtomicI64::new(wall.0), AtomicU64::new(0))))
    }

    /// Sets civil time alone, as a step of the system's clock would: the steady part is unmoved.
    pub fn set(&self, wall: Timestamp) {
        self.0.0.store(wall.0, Ordering::SeqCst);
    }

    /// Lets time pass, on both parts.
    pub fn advance(&self, by: Duration) {
        let nanoseconds = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.0.0.fetch_add(i64::try_from(nanoseconds).unwrap_or(i64::MAX), Ordering::SeqCst);
        self.0.1.fetch_add(nanoseconds, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Now {
        Now { wall: Timestamp(self.0.0.load(Ordering::SeqCst)), steady: self.0.1.load(Ordering::SeqCst) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_3339_is_read_and_printed() {
        let time: Timestamp = "2026-01-31T13:00:00.25+01:00".parse().unwrap();
        assert_eq!(time.to_string(), "2026-01-31T12:00:00.250Z");
        assert!("yesterday".parse::<Timestamp>().is_err());
        assert!("9999-01-01T00:00:00Z".parse::<Timestamp>().is_err());
    }

    #[test]
    fn clocks_of_one_process_agree() {
        let first = SystemClock::new();
        std::thread::sleep(Duration::from_millis(2));
        let (one, two) = (first.now(), SystemClock::new().now());
        assert!(two.steady.abs_diff(one.steady) < 1_000_000_000 && two.steady >= one.steady);
        assert!(two.wall.since(one.wall) < Duration::from_secs(1) && one.wall > Timestamp::from_unix_seconds(1_700_000_000));
    }

    #[test]
    fn a_step_of_civil_time_leaves_the_steady_part_alone() {
        let clock = ManualClock::at(Timestamp::EPOCH);
        clock.advance(Duration::from_secs(5));
        clock.set(Timestamp::EPOCH);
        assert_eq!(clock.now(), Now { wall: Timestamp::EPOCH, steady: 5_000_000_000 });
    }
}
