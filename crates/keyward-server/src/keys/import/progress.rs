//! How far a long import is, for whoever waits at a terminal.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use keyward::store::Progress;

static WAS_TOLD: AtomicBool = AtomicBool::new(false);

/// `None` where nobody watches.
pub(super) fn on_terminal(all: usize) -> Option<Progress> {
    if !io::stderr().is_terminal() {
        return None;
    }
    // Told twice: while keys are prepared, and while they are stored.
    let before = AtomicUsize::new(0);
    let is_storing = AtomicBool::new(false);
    Some(Progress::new(move |done| {
        if done < before.swap(done, Ordering::Relaxed) {
            is_storing.store(true, Ordering::Relaxed);
        }
        let deed = if is_storing.load(Ordering::Relaxed) { "stored" } else { "prepared" };
        WAS_TOLD.store(true, Ordering::Relaxed);
        // Nothing is lost where it cannot be told.
        let _ = write!(io::stderr().lock(), "\r{deed} {done} of {all} keys ");
    }))
}

/// Leaves the line on which progress was told.
pub(super) fn end() {
    if WAS_TOLD.swap(false, Ordering::Relaxed) {
        let _ = writeln!(io::stderr().lock());
    }
}
