//! The journals that a listing is made of, and how a place in one is found.

use std::sync::atomic::{AtomicU64, Ordering};

use super::entry::{Entry, Subject};
use super::sign_ins::SignIns;
use crate::admin::Parts;
use crate::fault::Refusal;

/// What is kept for listings.
#[derive(Debug, Default)]
pub(crate) struct Journals {
    pub(super) sign_ins: SignIns,
    /// The last row that was seen in the journals of keys and of accounts: the end is looked for from there.
    ends: [AtomicU64; 2],
}

impl Parts {
    /// Rows of one journal behind a number, the oldest first.
    pub(super) async fn rows_behind(&self, subject: Subject, after: u64, limit: usize) -> Result<Vec<Entry>, Refusal> {
        Ok(match subject {
            Subject::Key => {
                let rows = self.keys.journal(after, limit).await?;
                rows.into_iter().map(|row| Entry::of_key(row, &self.key_ids)).collect()
            }
            Subject::Account => {
                self.accounts.account_journal(after, limit).wait().await?.into_iter().map(Entry::of_account).collect()
            }
            Subject::SignIn => self.journals.sign_ins.behind(after, limit),
        })
    }

    /// Up to so many rows of one journal before a number, the newest first. Where the numbers just before it are not there, the nearest
    /// that are.
    pub(super) async fn rows_before(&self, subject: Subject, before: u64, limit: usize) -> Result<Vec<Entry>, Refusal> {
        if subject == Subject::SignIn {
            return Ok(self.journals.sign_ins.before(before, limit));
        }
        let window = limit as u64;
        let mut end = before.saturating_sub(1);
        let mut found = Vec::new();
        // Nobody is that far, and there is no use in looking.
        if before < u64::MAX {
            found = self.rows_behind(subject, end.saturating_sub(window), limit).await?;
            found.retain(|row| row.number < before);
        }
        if found.is_empty() {
            end = self.last_while(subject, |row| row.number < before).await?;
            if end == 0 {
                return Ok(Vec::new());
            }
            found = self.rows_behind(subject, end.saturating_sub(window), limit).await?;
            found.retain(|row| row.number <= end);
        }
        found.reverse();
        Ok(found)
    }

    /// The number of the last row that something holds for, if it holds for all rows before that; 0 if it holds for none. Looks at some
    /// dozens of rows, however many there are.
    pub(super) async fn last_while(&self, subject: Subject, holds: impl Fn(&Entry) -> bool) -> Result<u64, Refusal> {
        let next = async |after: u64| -> Result<Option<u64>, Refusal> {
            let rows = self.rows_behind(subject, after, 1).await?;
            Ok(rows.first().filter(|row| holds(row)).map(|row| row.number))
        };
        let hint = match subject {
            Subject::Key => Some(&self.journals.ends[0]),
            Subject::Account => Some(&self.journals.ends[1]),
            Subject::SignIn => None,
        };
        let known = hint.map_or(0, |hint| hint.load(Ordering::Relaxed));
        let mut last = if known > 0 { next(known - 1).await?.unwrap_or(0) } else { 0 };
        let mut step = 0_u64;
        // Nothing behind it does.
        let mut end = loop {
            let after = last.saturating_add(step);
            match next(after).await? {
                Some(number) => (last, step) = (number, step.saturating_mul(2).max(1)),
                None => break after,
            }
        };
        while last < end {
            let middle = last + (end - last) / 2;
            match next(middle).await? {
                Some(number) => last = number,
                None => end = middle,
            }
        }
        if let Some(hint) = hint {
            hint.fetch_max(last, Ordering::Relaxed);
        }
        Ok(last)
    }
}
