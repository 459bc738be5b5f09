//! The runs, in memory: the newest so many, since nothing that clients send may make memory grow without bound.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keyward::clock::{Clock, SystemClock};
use keyward::{Random, SystemRandom, Timestamp};
use serde::Serialize;

use crate::backtest::{Day, Order, Outcome};

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

/// A message of a run's stream.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Update<'r> {
    /// How far it is, from 0 to 1, and how it stood then.
    Progress {
        run_id: &'r str,
        progress: f64,
        #[serde(flatten)]
        day: Day,
    },
    /// How it ended. The last message.
    Completed { run_id: &'r str, metrics: &'r Outcome },
}

impl Run {
    /// The run from its first day on: as runs are over as soon as they are asked for, it is shown again. A long one is shown in as many
    /// steps as a short one.
    pub(crate) fn updates(&self) -> impl Iterator<Item = Update<'_>> {
        const STEPS: usize = 50;
        let days = self.order.days();
        let count = days.len();
        let step = count.div_ceil(STEPS).max(1);
        let is_shown = move |number: usize| number.is_multiple_of(step) || number == count;
        let progress = (1..).zip(days).filter(move |(number, _)| is_shown(*number)).map(move |(number, day)| Update::Progress {
            run_id: &self.run_id,
            progress: number as f64 / count as f64,
            day,
        });
        progress.chain([Update::Completed { run_id: &self.run_id, metrics: &self.metrics }])
    }
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
