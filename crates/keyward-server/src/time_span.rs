//! Times as people write them on a command line: a span like `90d`, or a point in time.

use std::str::FromStr;
use std::time::Duration;

use keyward::Timestamp;

/// A number and a unit: `90d`, `12h`, `30m`, `5s`, `2w`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

/// What was written is no span.
#[derive(Debug, thiserror::Error)]
#[error("write a number and a unit, like 90d or 12h; units are s, m, h, d and w")]
pub(crate) struct NotASpan;

impl FromStr for Span {
    type Err = NotASpan;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (count, unit) = text.split_at(text.find(|character: char| !character.is_ascii_digit()).ok_or(NotASpan)?);
        let seconds: u64 = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            "w" => 604_800,
            _ => return Err(NotASpan),
        };
        let count: u64 = count.parse().map_err(|_| NotASpan)?;
        count.checked_mul(seconds).map(|seconds| Self(Duration::from_secs(seconds))).ok_or(NotASpan)
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
#[error("write a span like 90d or 12h (units are s, m, h, d and w), or a time like 2026-01-31T12:00:00Z")]
pub(crate) struct NotATime;

impl When {
    /// With spans counted into the future.
    pub(crate) fn ahead(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::Away(span) => now.after(span),
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
            Err(NotASpan) => text.parse().map(Self::At).map_err(|_| NotATime),
        }
    }
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
        for bad in ["", "d", "90", "90 d", "-1d", "1.5h", "1y", "1D", "99999999999999999999d", "18446744073709551615w", "soon"] {
            assert!(bad.parse::<Span>().is_err() && bad.parse::<When>().is_err(), "{bad}");
        }
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        assert_eq!("1d".parse::<When>().unwrap().ahead(now).to_string(), "2026-02-01T12:00:00.000Z");
        assert_eq!("1d".parse::<When>().unwrap().ago(now).to_string(), "2026-01-30T12:00:00.000Z");
        let then: When = "2020-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(then.ahead(now), then.ago(now));
        assert_eq!("4000000w".parse::<When>().unwrap().ahead(now), Timestamp::from_unix_nanoseconds(i64::MAX));
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
