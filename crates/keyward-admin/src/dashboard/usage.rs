//! How often a key was used lately: a picture, and the same in numbers.

use std::fmt::{self, Write as _};

use askama::Template;
use askama::filters::HtmlSafe;
use keyward::Timestamp;
use keyward::key::KeyId;
use keyward::store::{DailyCounts, Day, SlotUsage};

use super::moment::day_shown;

/// The uses of all secrets of a key on each of the latest days.
///
/// Drawn here, as rectangles with attributes and classes: the pages' policy lets no style stand in the markup, and no script is needed
/// to look at a picture.
#[derive(Template)]
#[template(path = "usage.html")]
pub(super) struct Plot {
    bars: Vec<Bar>,
    /// On all these days.
    total: Count,
    today: Count,
    most: Count,
    /// All that ever were.
    ever: Count,
}

/// The plot in a list: no numbers beside it but their sum.
#[derive(Template)]
#[template(path = "usage_small.html")]
pub(super) struct Small<'p> {
    plot: &'p Plot,
}

/// Of uses. Prints as `1,234,567`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Count(u64);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                f.write_char(',')?;
            }
            f.write_char(digit)?;
        }
        Ok(())
    }
}

impl HtmlSafe for Plot {}
impl HtmlSafe for Small<'_> {}

/// One day.
struct Bar {
    day: String,
    count: Count,
    /// From the left, of [`Plot::WIDTH`].
    x: u32,
    /// From the top, of [`Plot::HEIGHT`].
    y: u32,
    height: u32,
}

impl Plot {
    const STEP: u32 = 10;
    const BAR: u32 = 7;
    const WIDTH: u32 = DailyCounts::DAYS * Self::STEP;
    const HEIGHT: u32 = 100;

    pub(super) fn of(key: KeyId, usage: &[SlotUsage], now: Timestamp) -> Self {
        let of_key = || usage.iter().filter(|usage| usage.id == key);
        let today = Day::of(now);
        let on = |day: Day| {
            let of_day = |usage: &SlotUsage| usage.days.iter().find(|(counted, _)| *counted == day).map_or(0, |(_, count)| count);
            of_key().map(of_day).fold(0, u64::saturating_add)
        };
        let counts: Vec<(Day, u64)> =
            (0..DailyCounts::DAYS).rev().map(|past| today.before(past)).map(|day| (day, on(day))).collect();
        let most = counts.iter().map(|(_, count)| *count).max().unwrap_or(0);
        let bars = (0..).zip(&counts).map(|(place, &(day, count))| {
            let height = height(count, most);
            Bar { day: day_shown(&day.to_string()), count: Count(count), x: place * Self::STEP, y: Self::HEIGHT - height, height }
        });
        Self {
            bars: bars.collect(),
            total: Count(counts.iter().map(|(_, count)| *count).fold(0, u64::saturating_add)),
            today: Count(counts.last().map_or(0, |(_, count)| *count)),
            most: Count(most),
            ever: Count(of_key().map(|usage| usage.count).fold(0, u64::saturating_add)),
        }
    }

    pub(super) fn small(&self) -> Small<'_> {
        Small { plot: self }
    }

    /// The first day and the last.
    fn ends(&self) -> (&str, &str) {
        fn day(bar: Option<&Bar>) -> &str {
            bar.map_or("", |bar| &bar.day)
        }
        (day(self.bars.first()), day(self.bars.last()))
    }
}

/// Of the most that there was. One use is seen, however many there were on another day.
fn height(count: u64, most: u64) -> u32 {
    if count == 0 {
        return 0;
    }
    let share = u128::from(count) * u128::from(Plot::HEIGHT) / u128::from(most.max(1));
    u32::try_from(share).unwrap_or(Plot::HEIGHT).max(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(number: u32, days: &[(&str, u64)]) -> SlotUsage {
        let mut counts = DailyCounts::default();
        days.iter().for_each(|(day, count)| counts.add(day.parse().unwrap(), *count));
        SlotUsage {
            id: "k".parse().unwrap(),
            number,
            count: 1_000,
            days: counts,
            last_used: Timestamp::EPOCH,
            network: None,
            source: None,
            better_digest: None,
        }
    }

    #[test]
    fn the_latest_days_of_all_secrets_together() {
        let now = "2026-11-30T00:00:00Z".parse().unwrap();
        let usage = [used(0, &[("2026-10-31", 70), ("2026-11-01", 4), ("2026-11-29", 90)]), used(1, &[("2026-11-29", 10)])];
        let plot = Plot::of("k".parse().unwrap(), &usage, now);
        assert_eq!((plot.bars.len(), plot.total.0, plot.today.0, plot.most.0, plot.ever.0), (30, 104, 0, 100, 2_000));
        assert_eq!(plot.ends(), ("1 Nov 2026", "30 Nov 2026"));
        let bar = |place: usize| (plot.bars[place].x, plot.bars[place].y, plot.bars[place].height);
        assert_eq!((bar(0), bar(1), bar(28), bar(29)), ((0, 96, 4), (10, 100, 0), (280, 0, 100), (290, 100, 0)));
        assert_eq!(Plot::of("other".parse().unwrap(), &usage, now).ever, Count(0));
    }

    #[test]
    fn heights_are_seen_and_stay_within() {
        assert_eq!(
            [(0, 0), (0, 9), (1, u64::MAX), (u64::MAX, u64::MAX)].map(|(count, most)| height(count, most)),
            [0, 0, 3, 100]
        );
    }

    #[test]
    fn thousands_are_told_apart() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(|count| Count(count).to_string()), ["0", "999", "1,000", "1,234,567"]);
    }
}
