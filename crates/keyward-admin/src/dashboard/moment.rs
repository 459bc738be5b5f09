//! Points in time, for people: the day and the minute, and how far away that is.

use askama::Template;
use askama::filters::HtmlSafe;
use keyward::Timestamp;

/// A point in time as it is shown.
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

impl HtmlSafe for Moment {}

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
}

/// `29 Nov 2026, 07:15 UTC` of `2026-11-29T07:15:41.123Z`.
fn shown(exact: &str) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let part = |range: std::ops::Range<usize>| exact.get(range).unwrap_or_default();
    let month = part(5..7).parse::<usize>().ok().and_then(|month| MONTHS.get(month.wrapping_sub(1))).unwrap_or(&"");
    format!("{} {month} {}, {} UTC", part(8..10).trim_start_matches('0'), part(0..4), part(11..16))
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
    }
}
