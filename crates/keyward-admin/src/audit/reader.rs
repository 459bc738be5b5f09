//! Several journals read as one, in the order of time.

use std::collections::VecDeque;
use std::time::Duration;

use keyward::Timestamp;

use super::cursor::{Cursor, Order};
use super::entry::{Entry, Subject};
use super::query::Query;
use crate::actor::{Actor, Who};
use crate::admin::Parts;
use crate::fault::Refusal;

/// How many rows are read at once.
const CHUNK: usize = 100;

/// Rows of a journal are in the order of their numbers, and in that of time as far as the clocks of several servers agree: they may
/// differ by so much.
const CLOCKS_DIFFER_BY: Duration = Duration::from_secs(10 * 60);

/// All journals that somebody sees, on the way through them.
pub(super) struct Reading<'p> {
    parts: &'p Parts,
    cursor: Cursor,
    readers: Vec<Reader>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    looked_at: usize,
}

/// One journal, read ahead.
struct Reader {
    subject: Subject,
    rows: VecDeque<Entry>,
    /// Whether the journal has no more rows behind those.
    is_over: bool,
}

impl<'p> Reading<'p> {
    pub(super) async fn begin(parts: &'p Parts, query: &Query, actor: &Actor) -> Result<Self, Refusal> {
        let sees = |subject: Subject| match subject {
            Subject::Key => true,
            // What concerns accounts is no key's business.
            Subject::Account | Subject::SignIn => parts.has_accounts && matches!(actor.who, Who::Person { .. }),
        };
        let wanted = |subject: Subject| query.subject.is_none_or(|wanted| wanted == subject);
        let subjects = Subject::ALL.into_iter().filter(|subject| sees(*subject) && wanted(*subject));
        let readers = subjects.map(|subject| Reader { subject, rows: VecDeque::new(), is_over: false }).collect();
        // Times within a little of the first and the last that there can be, as those are.
        let moved = |time: Timestamp, by: i64| {
            let margin = i64::try_from(CLOCKS_DIFFER_BY.as_nanos()).unwrap_or(i64::MAX);
            Timestamp::from_unix_nanoseconds(time.unix_nanoseconds().saturating_add(margin.saturating_mul(by)))
        };
        let (from, to) = (query.from.map(|from| moved(from, -1)), query.to.map(|to| moved(to, 1)));
        let mut reading = Self { parts, cursor: query.from_cursor, readers, from, to, looked_at: 0 };
        reading.skip_to_time().await?;
        Ok(reading)
    }

    /// Over all rows that are too old, or too new, for the time that is asked for.
    async fn skip_to_time(&mut self) -> Result<(), Refusal> {
        for reader in &self.readers {
            let position = &mut self.cursor.positions[reader.subject as usize];
            match (self.cursor.order, self.from, self.to) {
                (Order::Oldest, Some(from), _) => {
                    *position = (*position).max(self.parts.last_while(reader.subject, |row| row.at < from).await?);
                }
                (Order::Newest, _, Some(to)) => {
                    let last = self.parts.last_while(reader.subject, |row| row.at < to).await?;
                    *position = (*position).min(last.saturating_add(1));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Where the next request goes on.
    pub(super) fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// How many rows were looked at.
    pub(super) fn looked_at(&self) -> usize {
        self.looked_at
    }

    /// The next of all of them in the order of time.
    pub(super) async fn next_entry(&mut self) -> Result<Option<Entry>, Refusal> {
        for reader in &mut self.readers {
            reader.fill(self.parts, &mut self.cursor).await?;
            let is_out_of_time = |row: &Entry| match self.cursor.order {
                Order::Newest => self.from.is_some_and(|from| row.at < from),
                Order::Oldest => self.to.is_some_and(|to| row.at >= to),
            };
            if reader.rows.front().is_some_and(is_out_of_time) {
                reader.rows.clear();
                reader.is_over = true;
            }
        }
        let next = self.readers.iter_mut().filter(|reader| !reader.rows.is_empty());
        let at = |reader: &&mut Reader| reader.rows.front().map(|row| row.at);
        let next = match self.cursor.order {
            // Of two at one time it is the same one on every page.
            Order::Newest => next.max_by_key(at),
            Order::Oldest => next.min_by_key(at),
        };
        let Some(row) = next.and_then(|reader| reader.rows.pop_front()) else { return Ok(None) };
        self.cursor.positions[row.subject as usize] = row.number;
        self.looked_at += 1;
        Ok(Some(row))
    }
}

impl Reader {
    async fn fill(&mut self, parts: &Parts, cursor: &mut Cursor) -> Result<(), Refusal> {
        if self.is_over || !self.rows.is_empty() {
            return Ok(());
        }
        let position = &mut cursor.positions[self.subject as usize];
        let rows = match cursor.order {
            Order::Oldest => parts.rows_behind(self.subject, *position, CHUNK).await?,
            Order::Newest => parts.rows_before(self.subject, *position, CHUNK).await?,
        };
        if *position == Order::Newest.beginning() && cursor.order == Order::Newest {
            // What is added from now on is newer than this listing.
            *position = rows.first().map_or(1, |row| row.number.saturating_add(1));
        }
        self.is_over = rows.is_empty();
        self.rows = rows.into();
        Ok(())
    }
}
