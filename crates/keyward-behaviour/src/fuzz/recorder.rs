//! An authenticator that knows nobody and remembers everything that it was asked about.

use std::sync::{Arc, Mutex, PoisonError};

use keyward::{Answer, Authenticator, Verdict, clock::Now, store::Presented};

/// What was presented, in the order of the questions. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Recorder(Arc<Mutex<Vec<String>>>);

impl Recorder {
    /// What was presented since the last time.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Authenticator for Recorder {
    fn name(&self) -> &str {
        "recorder"
    }

    fn authenticate(&self, presented: &Presented<'_>, _: Now) -> Answer<Verdict> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(presented.expose().to_owned());
        Answer::ready(Verdict::NotMine)
    }
}
