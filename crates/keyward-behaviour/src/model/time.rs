//! Moments, as nanoseconds since the Unix epoch.

use jiff::Timestamp;

/// Nanoseconds since the Unix epoch.
pub type Moment = i128;

/// Nanoseconds in a second.
pub const SECOND: Moment = 1_000_000_000;

/// The moment in RFC 3339, to the nanosecond.
pub fn as_rfc3339(moment: Moment) -> String {
    Timestamp::from_nanosecond(moment).expect("the moment lies within jiff's range").to_string()
}

/// Reads an RFC 3339 moment.
///
/// # Errors
/// Says why the text is no moment.
pub fn from_rfc3339(text: &str) -> Result<Moment, String> {
    text.parse::<Timestamp>().map(Timestamp::as_nanosecond).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_survives_being_written() {
        for moment in [0, 1, SECOND, 1_700_000_000 * SECOND + 999_999_999] {
            assert_eq!(from_rfc3339(&as_rfc3339(moment)), Ok(moment));
        }
    }
}
