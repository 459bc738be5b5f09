//! How often keys were used on each day lately.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smallvec::SmallVec;

use crate::clock::{NotATimestamp, Timestamp};

/// A day in UTC. Prints as `2026-11-29`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i32);

impl Day {
    const NANOSECONDS: i64 = 86_400_000_000_000;

    /// The day of a point in time.
    pub fn of(time: Timestamp) -> Self {
        Self::numbered(time.unix_nanoseconds().div_euclid(Self::NANOSECONDS))
    }

    /// The day that so many others lie between and 1 January 1970, which is 0. Days that no [`Timestamp`] is in become the first or
    /// the last that one is in.
    pub fn numbered(number: i64) -> Self {
        let (first, last) = (i64::MIN.div_euclid(Self::NANOSECONDS), i64::MAX.div_euclid(Self::NANOSECONDS));
        Self(i32::try_from(number.clamp(first, last)).unwrap_or(0))
    }

    /// How many days after 1 January 1970 it is.
    pub fn number(self) -> i64 {
        self.0.into()
    }

    /// So many days before this one.
    #[must_use]
    pub fn before(self, days: u32) -> Self {
        Self::numbered(self.number() - i64::from(days))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Noon: the first day of all has no midnight that is a `Timestamp`.
        let noon = self.number().saturating_mul(Self::NANOSECONDS).saturating_add(Self::NANOSECONDS / 2);
        let text = Timestamp::from_unix_nanoseconds(noon).to_string();
        f.write_str(text.split('T').next().unwrap_or_default())
    }
}

impl FromStr for Day {
    type Err = NotATimestamp;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        format!("{text}T12:00:00Z").parse().map(Self::of)
    }
}

/// How often something happened on each of the latest days: at most [`DailyCounts::DAYS`] of them, whatever happens on how many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DailyCounts(SmallVec<[(Day, u64); 1]>);

impl DailyCounts {
    /// How many days are counted, the latest on which something happened included.
    pub const DAYS: u32 = 30;

    /// Nothing but so much on one day.
    pub fn on(day: Day, count: u64) -> Self {
        Self(SmallVec::from_iter([(day, count)]))
    }

    /// Adds to a day. Days that lie too far behind the latest are forgotten.
    pub fn add(&mut self, day: Day, count: u64) {
        match self.0.binary_search_by_key(&day, |(there, _)| *there) {
            Ok(place) => self.0[place].1 = self.0[place].1.saturating_add(count),
            Err(place) => self.0.insert(place, (day, count)),
        }
        if let Some(&(latest, _)) = self.0.last() {
            let last_forgotten = latest.before(Self::DAYS);
            self.0.retain(|(day, _)| *day > last_forgotten);
        }
    }

    /// Adds all of another's days.
    pub fn add_all(&mut self, other: &Self) {
        other.iter().for_each(|(day, count)| self.add(day, count));
    }

    /// The days on which something happened, the first of them first.
    pub fn iter(&self) -> impl Iterator<Item = (Day, u64)> {
        self.0.iter().copied()
    }

    /// Whether there is no such day.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// As an object of days.
impl Serialize for DailyCounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(day, count)| (day.to_string(), count)))
    }
}

impl<'de> Deserialize<'de> for DailyCounts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut counts = Self::default();
        for (day, count) in BTreeMap::<String, u64>::deserialize(deserializer)? {
            counts.add(day.parse().map_err(D::Error::custom)?, count);
        }
        Ok(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_begins_at_midnight() {
        let of = |text: &str| Day::of(text.parse().unwrap()).to_string();
        assert_eq!(of("2026-11-28T23:59:59.999999999Z"), "2026-11-28");
        assert_eq!(of("2026-11-29T00:00:00Z"), "2026-11-29");
        assert_eq!(of("1969-12-31T23:59:59Z"), "1969-12-31");
        for nanoseconds in [i64::MIN, 0, i64::MAX] {
            let day = Day::of(Timestamp::from_unix_nanoseconds(nanoseconds));
            assert_eq!((Day::numbered(day.number()), day.to_string().parse()), (day, Ok(day)));
        }
    }

    #[test]
    fn thirty_days_are_kept_in_whatever_order_they_come() {
        let latest = day("2026-11-30");
        let mut days: Vec<Day> = (0..60).map(|past| latest.before(past)).collect();
        for _ in 0..2 {
            let mut counts = DailyCounts::default();
            days.iter().for_each(|day| counts.add(*day, 2));
            let kept: Vec<_> = counts.iter().collect();
            assert_eq!((kept.len(), kept[0], kept[29]), (30, (day("2026-11-01"), 2), (latest, 2)));
            days.reverse();
        }
    }

    #[test]
    fn counts_of_a_day_add_up_and_are_written_and_read() {
        let mut counts = DailyCounts::on(day("2026-11-29"), 2);
        counts.add_all(&DailyCounts::on(day("2026-11-28"), 7));
        counts.add(day("2026-11-29"), u64::MAX);
        let text = serde_json::to_string(&counts).unwrap();
        assert_eq!(text, format!(r#"{{"2026-11-28":7,"2026-11-29":{}}}"#, u64::MAX));
        assert_eq!(serde_json::from_str::<DailyCounts>(&text).unwrap(), counts);
        assert!(serde_json::from_str::<DailyCounts>(r#"{"today":1}"#).is_err());
    }
}
