//! Points in time, for people: the day and the minute, and how far away that is.

use std::time::Duration;

use askama::Template;
use askama::filters::HtmlSafe;
use keyward::Timestamp;

/// A point in time, told to the minute.
#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<time datetime="{{ exact }}">{{ shown }}</time> <span class="distance">{{ distance }}</span>"#
)]
pub(super) struct Moment {
    exact: String,
    shown: String,
    distance: String,
}

/// The same for a list, where how far away it is tells more than the minute.
#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<time datetime="{{ moment.exact }}" title="{{ moment.shown }}">{{ moment.distance }}</time> <span class="distance">{{ day }}</span>"#
)]
pub(super) struct Brief<'m> {
    moment: &'m Moment,
    day: &'m str,
}

/// How long until something ends. The script counts on from there; without it, that is what it was when the page was made.
#[derive(Template)]
#[template(ext = "html", source = r#"<time datetime="{{ until }}" data-seconds="{{ seconds }}">{{ left }}</time>"#)]
pub(super) struct Countdown {
    until: String,
    seconds: u64,
    left: String,
}

impl HtmlSafe for Moment {}
impl HtmlSafe for Brief<'_> {}
impl HtmlSafe for Countdown {}

impl Moment {
    pub(super) fn at(time: Timestamp, now: Timestamp) -> Self {
        let exact = time.to_string();
        let distance = if time > now {
            format!("in {}", span(time.since(now).as_secs()))
        } else {
            match now.since(time).as_secs() {
                0..60 => "just now".to_owned(),
                seconds => format!("{} ago", span(seconds)),
            }
        };
        Self { shown: shown(&exact), exact, distance }
    }

    pub(super) fn brief(&self) -> Brief<'_> {
        Brief { moment: self, day: self.shown.split(',').next().unwrap_or_default() }
    }

    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    pub(super) fn distance(&self) -> &str {
        &self.distance
    }
}

impl Countdown {
    pub(super) fn to(end: Timestamp, now: Timestamp) -> Self {
        let seconds = whole_seconds(end.since(now));
        let left = if seconds == 0 { "ended".to_owned() } else { format!("{} left", in_two_units(seconds)) };
        Self { until: end.to_string(), seconds, left }
    }
}

/// Rounded up: nothing is over before it is.
pub(super) fn whole_seconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos().div_ceil(1_000_000_000)).unwrap_or(u64::MAX)
}

/// `29 Nov 2026, 07:15 UTC` of `2026-11-29T07:15:41.123Z`.
fn shown(exact: &str) -> String {
    format!("{}, {} UTC", day_shown(exact), exact.get(11..16).unwrap_or_default())
}

/// `29 Nov 2026` of what begins with `2026-11-29`.
pub(super) fn day_shown(exact: &str) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let part = |range: std::ops::Range<usize>| exact.get(range).unwrap_or_default();
    let month = part(5..7).parse::<usize>().ok().and_then(|month| MONTHS.get(month.wrapping_sub(1))).unwrap_or(&"");
    format!("{} {month} {}", part(8..10).trim_start_matches('0'), part(0..4))
}

fn span(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3_600 => (seconds / 60, "minute"),
        3_600..86_400 => (seconds / 3_600, "hour"),
        86_400..5_184_000 => (seconds / 86_400, "day"),
        5_184_000..63_072_000 => (seconds / 2_592_000, "month"),
        _ => (seconds / 31_536_000, "year"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// In its two largest units, as the script writes it as well.
pub(super) fn in_two_units(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_minutes_and_distances() {
        let now: Timestamp = "2026-11-29T07:15:41.123Z".parse().unwrap();
        for (time, shown, distance) in [
            ("2026-11-29T07:15:41.123Z", "29 Nov 2026, 07:15 UTC", "just now"),
            ("2026-11-29T07:14:42Z", "29 Nov 2026, 07:14 UTC", "just now"),
            ("2026-11-29T07:14:41Z", "29 Nov 2026, 07:14 UTC", "1 minute ago"),
            ("2026-11-29T08:15:41.123Z", "29 Nov 2026, 08:15 UTC", "in 1 hour"),
            ("2026-12-06T07:15:41.123Z", "6 Dec 2026, 07:15 UTC", "in 7 days"),
            ("2029-01-01T00:00:00Z", "1 Jan 2029, 00:00 UTC", "in 2 years"),
        ] {
            let moment = Moment::at(time.parse().unwrap(), now);
            assert_eq!((moment.shown.as_str(), moment.distance.as_str()), (shown, distance), "{time}");
        }
        let brief = Moment::at("2026-11-28T07:00:00Z".parse().unwrap(), now).brief().render().unwrap();
        assert!(brief.contains(">1 day ago<") && brief.contains(">28 Nov 2026<"), "{brief}");
    }

    #[test]
    fn a_countdown_is_over_when_it_is_over() {
        let now: Timestamp = "2026-11-29T07:15:41Z".parse().unwrap();
        for (end, left) in [
            ("2026-12-01T10:15:41Z", "2 d 3 h left"),
            ("2026-11-30T07:15:41Z", "1 d 0 h left"),
            ("2026-11-30T07:15:40Z", "23 h 59 min left"),
            ("2026-11-29T07:16:41Z", "1 min 0 s left"),
            ("2026-11-29T07:15:41.000000001Z", "1 s left"),
            ("2026-11-29T07:15:41Z", "ended"),
        ] {
            assert_eq!(Countdown::to(end.parse().unwrap(), now).left, left, "{end}");
        }
    }
}
