//! The runs, in memory: the newest so many, since nothing that clients send may make memory grow without bound.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keyward::clock::{Clock, SystemClock};
use keyward::{Random, SystemRandom, Timestamp};
use serde::Serialize;

use crate::backtest::{Order, Outcome};

const KEPT: usize = 1_000;

/// One backtest that was asked for, and what came of it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Run {
    pub(crate) run_id: String,
    status: &'static str,
    created_at: Timestamp,
    #[serde(flatten)]
    order: Order,
    metrics: Outcome,
}

/// Clones share the runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Runs(Arc<Mutex<VecDeque<Run>>>);

impl Runs {
    pub(crate) fn run(&self, order: Order) -> Run {
        let metrics = order.run();
        let run = Run {
            run_id: format!("{:032x}", SystemRandom.identifier()),
            status: "completed",
            created_at: SystemClock::new().now().wall,
            order,
            metrics,
        };
        let mut runs = self.lock();
        runs.push_front(run.clone());
        runs.truncate(KEPT);
        run
    }

    pub(crate) fn get(&self, run_id: &str) -> Option<Run> {
        self.lock().iter().find(|run| run.run_id == run_id).cloned()
    }

    /// The newest first.
    pub(crate) fn list(&self) -> Vec<Run> {
        self.lock().iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Run>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
