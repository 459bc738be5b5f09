//! Times as people write them on a command line: a span like `90d`, or a point in time.

use std::str::FromStr;
use std::time::Duration;

use keyward::Timestamp;

/// A number and a unit: `90d`, `12h`, `30m`, `5s`, `2w`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

/// What was written is no span.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotASpan {
    #[error("write a number and a unit, like 90d or 12h; units are s, m, h, d and w")]
    Form,
    #[error(transparent)]
    TooFar(#[from] TooFar),
}

/// It is written well, and lies where no time is kept.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("that is too far away: times end in April 2262")]
pub(crate) struct TooFar;

impl FromStr for Span {
    type Err = NotASpan;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unit_at = text.find(|character: char| !character.is_ascii_digit()).ok_or(NotASpan::Form)?;
        let (count, unit) = text.split_at(unit_at);
        let seconds: u64 = match unit {
            _ if count.is_empty() => return Err(NotASpan::Form),
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            "w" => 604_800,
            _ => return Err(NotASpan::Form),
        };
        // Digits only, so what is no number of 64 bits is one of more.
        let span = count.parse::<u64>().ok().and_then(|count| count.checked_mul(seconds)).map(Duration::from_secs);
        Ok(Self(span.filter(|span| i64::try_from(span.as_nanos()).is_ok()).ok_or(TooFar)?))
    }
}

/// A point in time: written out, or so far from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    At(Timestamp),
    Away(Duration),
}

/// What was written is neither.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotATime {
    #[error("write a span like 90d or 12h (units are s, m, h, d and w), or a time like 2026-01-31T12:00:00Z")]
    Form,
    #[error(transparent)]
    TooFar(#[from] TooFar),
}

impl When {
    /// With spans counted into the future. Not cut short where it lies beyond what can be kept: nobody meant the end of all times.
    pub(crate) fn ahead(self, now: Timestamp) -> Result<Timestamp, TooFar> {
        match self {
            Self::At(time) => Ok(time),
            Self::Away(span) => {
                let end = now.after(span);
                if end.since(now) == span { Ok(end) } else { Err(TooFar) }
            }
        }
    }

    /// With spans counted into the past: `90d` is 90 days ago.
    pub(crate) fn ago(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::Away(span) => {
                let nanoseconds = i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
                Timestamp::from_unix_nanoseconds(now.unix_nanoseconds().saturating_sub(nanoseconds))
            }
        }
    }
}

impl FromStr for When {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<Span>() {
            Ok(Span(span)) => Ok(Self::Away(span)),
            Err(NotASpan::TooFar(too_far)) => Err(too_far.into()),
            Err(NotASpan::Form) => text.parse().map(Self::At).map_err(|_| match is_a_late_time(text) {
                true => TooFar.into(),
                false => NotATime::Form,
            }),
        }
    }
}

/// Whether it would be a time, were it not for its year.
fn is_a_late_time(text: &str) -> bool {
    let Some((year, rest)) = text.split_once('-') else { return false };
    let is_late = year.len() == 4 && year.parse::<u16>().is_ok_and(|year| year >= 2262);
    // A leap year, so that no day is missing.
    is_late && format!("2000-{rest}").parse::<Timestamp>().is_ok()
}

/// A duration for people, in its largest whole unit.
pub(crate) fn spelled(span: Duration) -> String {
    // Never less than it is.
    let seconds = span.as_secs().saturating_add(u64::from(span.subsec_nanos() > 0));
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let (length, unit) = units.into_iter().find(|(length, _)| seconds >= *length && seconds % length == 0).unwrap_or((1, "s"));
    format!("{} {unit}", seconds / length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_times() {
        for (text, seconds) in [("0s", 0), ("5s", 5), ("30m", 1_800), ("12h", 43_200), ("90d", 7_776_000), ("2w", 1_209_600)] {
            assert_eq!(text.parse::<Span>().unwrap().0.as_secs(), seconds, "{text}");
        }
        for bad in
            ["", "d", "90", "90 d", "-1d", "1.5h", "1y", "1D", "99999999999999999999y", "soon", "9999", "9999-13-01T00:00:00Z"]
        {
            assert!(matches!(bad.parse::<Span>(), Err(NotASpan::Form)), "{bad}");
            assert!(matches!(bad.parse::<When>(), Err(NotATime::Form)), "{bad}");
        }
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        assert_eq!("1d".parse::<When>().unwrap().ahead(now).unwrap().to_string(), "2026-02-01T12:00:00.000Z");
        assert_eq!("1d".parse::<When>().unwrap().ago(now).to_string(), "2026-01-30T12:00:00.000Z");
        let then: When = "2020-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(then.ahead(now).unwrap(), then.ago(now));
    }

    #[test]
    fn what_is_too_far_away_is_told_as_that() {
        // 2^63 nanoseconds are 9,223,372,036.85 seconds.
        for (good, bad) in [("9223372036s", "9223372037s"), ("106751d", "106752d"), ("15250w", "15251w")] {
            assert!(good.parse::<Span>().is_ok(), "{good}");
            assert!(matches!(bad.parse::<Span>(), Err(NotASpan::TooFar(_))), "{bad}");
            assert!(matches!(bad.parse::<When>(), Err(NotATime::TooFar(_))), "{bad}");
        }
        for bad in ["99999999999999999999d", "18446744073709551615w", "9999-01-01T00:00:00Z", "2262-04-12T00:00:00Z"] {
            assert!(matches!(bad.parse::<When>(), Err(NotATime::TooFar(_))), "{bad}");
        }
        // The last instant is 2262-04-11T23:47:16.854775807Z.
        let now: Timestamp = "2262-04-11T23:47:06.854775807Z".parse().unwrap();
        assert_eq!("10s".parse::<When>().unwrap().ahead(now), Ok(Timestamp::from_unix_nanoseconds(i64::MAX)));
        assert_eq!("11s".parse::<When>().unwrap().ahead(now), Err(TooFar));
    }

    #[test]
    fn spans_are_spelled_without_getting_shorter() {
        for (milliseconds, text) in
            [(0, "0 s"), (1, "1 s"), (5_000, "5 s"), (90_000, "90 s"), (7_200_000, "2 h"), (86_400_000, "1 d")]
        {
            assert_eq!(spelled(Duration::from_millis(milliseconds)), text);
        }
    }
}
