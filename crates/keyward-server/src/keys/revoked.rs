//! How soon it holds that keys were revoked.

use std::time::Duration;

use crate::time_span::spelled;

pub(crate) fn holds(within: Duration) -> String {
    if within.is_zero() {
        "it holds at once".to_owned()
    } else {
        format!("it holds here at once, and everywhere within {}", spelled(within))
    }
}

/// Never less than it is.
pub(crate) fn whole_seconds(within: Duration) -> u64 {
    within.as_secs().saturating_add(u64::from(within.subsec_nanos() > 0))
}
