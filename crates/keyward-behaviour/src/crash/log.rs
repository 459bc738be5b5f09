//! The lines that the workload prints.
//!
//! ```text
//! opened
//! try 1 {"action":"create", …}
//! ack 1 {"action":"create","id":…,"secret":…}
//! try 2 {"action":"revoke","key":"1.0"}
//! settled 2 made
//! ```
//!
//! `settled` is not the workload's: a check adds it after a kill, once it has seen what became of the change that was under way.

use std::fmt;

use keyward::key::KeyId;
use serde::{Deserialize, Serialize};

use super::{attempt::Attempt, expected::Expected};
use crate::stores::Problem;

/// One line, without its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// The store is open.
    Opened,
    /// A change will be made.
    Try(u64, Attempt),
    /// The store has acknowledged it.
    Acknowledged(u64, Acknowledgement),
    /// It was under way when the workload was killed, and was found to be made, or not.
    Settled(u64, bool),
}

/// What came of a change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Acknowledgement {
    pub(super) action: String,
    /// The key's, where the change made one or changed one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<KeyId>,
    /// The secret that is accepted from now on, where it is a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) secret: Option<String>,
    /// The one that it took the place of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) previous_secret: Option<String>,
    /// What is done once had been done before: nothing was changed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) done_before: bool,
}

impl Line {
    pub(super) fn read(text: &str) -> Result<Line, Problem> {
        let mut words = text.splitn(3, ' ');
        let (kind, number, rest) = (words.next().unwrap_or_default(), words.next(), words.next());
        let number = || number.and_then(|number| number.parse::<u64>().ok()).ok_or_else(|| Problem::new("no number"));
        let rest = rest.unwrap_or_default();
        Ok(match (kind, rest) {
            ("opened", _) => Line::Opened,
            ("try", _) => Line::Try(number()?, serde_json::from_str(rest)?),
            ("ack", _) => Line::Acknowledged(number()?, serde_json::from_str(rest)?),
            ("settled", "made") => Line::Settled(number()?, true),
            ("settled", "not-made") => Line::Settled(number()?, false),
            _ => return Err(Problem::new("neither `opened`, `try`, `ack` nor `settled`")),
        })
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = |value: serde_json::Result<String>| value.map_err(|_| fmt::Error);
        match self {
            Line::Opened => f.write_str("opened"),
            Line::Try(number, attempt) => write!(f, "try {number} {}", json(serde_json::to_string(attempt))?),
            Line::Acknowledged(number, acknowledgement) => {
                write!(f, "ack {number} {}", json(serde_json::to_string(acknowledgement))?)
            }
            Line::Settled(number, true) => write!(f, "settled {number} made"),
            Line::Settled(number, false) => write!(f, "settled {number} not-made"),
        }
    }
}

/// All that was attempted on a store.
#[derive(Debug, Default)]
pub(super) struct History {
    /// What has to be there, the change that was under way left aside.
    pub(super) known: Expected,
    /// The change that was under way when the log ends.
    pub(super) under_way: Option<(u64, Attempt)>,
    /// How many changes were acknowledged.
    pub(super) acknowledged: u64,
    /// The number of the last change, whatever became of it.
    pub(super) last: u64,
}

impl History {
    /// Reads a log: all of it, or as far as the acknowledgement of the change `count`; the change after that may have been under
    /// way. A line without an end was not printed whole, and so was not acknowledged.
    pub(super) fn read(log: &str, count: Option<u64>) -> Result<History, Problem> {
        let mut history = History::default();
        let whole = log.rfind('\n').map_or("", |end| &log[..end]);
        for (index, text) in whole.lines().enumerate() {
            let in_line = |problem: Problem| problem.while_doing(format!("line {} of the log", index + 1));
            let line = Line::read(text).map_err(in_line)?;
            if let (Line::Acknowledged(number, _) | Line::Settled(number, _), Some(count)) = (&line, count)
                && *number > count
            {
                break;
            }
            history.add(line).map_err(in_line)?;
        }
        match count {
            Some(count) if count > history.last - u64::from(history.under_way.is_some()) => Err(Problem::new(format!(
                "the log ends before change {count} was acknowledged: give the whole output of the run"
            ))),
            _ => Ok(history),
        }
    }

    fn add(&mut self, line: Line) -> Result<(), Problem> {
        match (line, self.under_way.take()) {
            (Line::Opened, None) => {}
            (Line::Try(number, attempt), None) if number == self.last + 1 => {
                self.last = number;
                self.under_way = Some((number, attempt));
            }
            (Line::Acknowledged(number, acknowledgement), Some((tried, attempt))) if number == tried => {
                self.acknowledged += 1;
                self.known.apply(number, &attempt, Some(&acknowledgement))?;
            }
            (Line::Settled(number, is_made), Some((tried, attempt))) if number == tried => {
                if is_made {
                    self.known.apply(number, &attempt, None)?;
                }
            }
            (Line::Opened | Line::Try(..), Some((tried, _))) => {
                return Err(Problem::new(format!("change {tried} is not settled: check the store before it is changed again")));
            }
            _ => return Err(Problem::new("it does not follow from the lines before it")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "opened\n\
        try 1 {\"action\":\"import\",\"keys\":[]}\n\
        ack 1 {\"action\":\"import\"}\n\
        try 2 {\"action\":\"import\",\"keys\":[]}\n\
        settled 2 made\n\
        opened\n\
        try 3 {\"action\":\"import\",\"keys\":[]}\n\
        ack 3 {\"action\":\"import\"}\n";

    #[test]
    fn lines_are_read_as_they_were_written() {
        for line in LOG.lines() {
            assert_eq!(Line::read(line).unwrap().to_string(), line);
        }
        for wrong in ["", "ack", "ack x {}", "ack 1", "settled 1", "settled 1 perhaps", "made 1"] {
            assert!(Line::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_log_can_be_read_up_to_an_acknowledgement() {
        let read = |count| {
            let history = History::read(LOG, count).unwrap();
            (history.last, history.acknowledged, history.under_way.map(|(number, _)| number))
        };
        assert_eq!(read(None), (3, 2, None));
        assert_eq!(read(Some(3)), (3, 2, None));
        assert_eq!(read(Some(2)), (3, 1, Some(3)));
        assert_eq!(read(Some(0)), (1, 0, Some(1)));
        assert!(History::read(LOG, Some(4)).is_err());
    }

    #[test]
    fn a_line_that_was_not_printed_whole_is_none() {
        let history = History::read(LOG.trim_end(), None).unwrap();
        assert_eq!((history.acknowledged, history.under_way.map(|(number, _)| number)), (1, Some(3)));
        assert_eq!(History::read("open", None).unwrap().last, 0);
    }

    #[test]
    fn a_log_that_contradicts_itself_is_no_log() {
        let attempt = "{\"action\":\"import\",\"keys\":[]}";
        for (log, problem) in [
            (format!("try 2 {attempt}\n"), "does not follow"),
            ("ack 1 {\"action\":\"import\"}\n".to_owned(), "does not follow"),
            (format!("try 1 {attempt}\nack 2 {{\"action\":\"import\"}}\n"), "does not follow"),
            (format!("try 1 {attempt}\nopened\n"), "change 1 is not settled"),
            (format!("try 1 {attempt}\ntry 2 {attempt}\n"), "change 1 is not settled"),
        ] {
            let told = History::read(&log, None).unwrap_err();
            assert!(told.text().contains(problem), "{log}: {told:?}");
        }
    }
}
