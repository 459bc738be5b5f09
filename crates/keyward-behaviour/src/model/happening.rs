//! What happens to a service beside requests.

use super::time::Moment;

/// Something that happens between two requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// Somebody gives a stored key other quotas; with none, it goes by the policy's.
    Limits {
        /// The credential.
        key: String,
        /// The quotas.
        limits: Vec<String>,
    },
    /// Civil time steps, forward or back, by so many nanoseconds. The clock that limits go by does not.
    ClockStep(Moment),
}
