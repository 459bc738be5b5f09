//! Pages of a listing: what comes behind the last one of the page before.

use std::str::FromStr;

use crate::fault::{FieldFault, Refusal};
use crate::form::Form;

/// Which page is asked for.
#[derive(Debug)]
pub(crate) struct Page<Id> {
    pub(crate) after: Option<Id>,
    pub(crate) limit: usize,
}

impl<Id: FromStr> Page<Id> {
    const USUAL: usize = 50;
    const LARGEST: usize = 200;

    /// Reads `after` and `limit`; `others` are the fields of the listing's own.
    pub(crate) fn read(query: &Form, others: &[&str]) -> Result<Self, Refusal> {
        Self::read_by(query, others, |after| after.parse().ok())
    }

    /// As [`Page::read`], where `after` is written in a way of its own.
    pub(crate) fn read_by(query: &Form, others: &[&str], after: impl Fn(&str) -> Option<Id>) -> Result<Self, Refusal> {
        let mut faults = Vec::new();
        query.unknown(&[&["after", "limit"], others].concat(), &mut faults);
        let after = query.has("after").then(|| after(query.get("after")));
        if let Some(None) = after {
            faults.push(FieldFault::new("after", "is none of the values that `next` has"));
        }
        let limit = if query.has("limit") { query.get("limit").parse().ok() } else { Some(Self::USUAL) };
        let limit = limit.filter(|limit| (1..=Self::LARGEST).contains(limit));
        if limit.is_none() {
            faults.push(FieldFault::new("limit", format!("is no number from 1 to {}", Self::LARGEST)));
        }
        match limit {
            Some(limit) if faults.is_empty() => Ok(Self { after: after.flatten(), limit }),
            _ => Err(Refusal::Fields(faults)),
        }
    }
}

impl<Id> Page<Id> {
    /// The page, and where the next one begins, of what was found: one more than the page holds, if there is more.
    pub(crate) fn cut<T>(&self, mut found: Vec<T>, name: impl Fn(&T) -> String) -> (Vec<T>, Option<String>) {
        let is_more = found.len() > self.limit;
        found.truncate(self.limit);
        let next = found.last().filter(|_| is_more).map(name);
        (found, next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_bounded_and_unknown_names_are_faults() {
        let read = |query: &str| Page::<u64>::read(&Form::read(query.as_bytes()).unwrap(), &["state"]).ok();
        for (query, expected) in [
            ("", Some((None, 50))),
            ("limit=1", Some((None, 1))),
            ("limit=200&after=7&state=x", Some((Some(7), 200))),
            ("limit=0", None),
            ("limit=201", None),
            ("limit=x", None),
            ("after=x", None),
            ("after=", None),
            ("page=2", None),
        ] {
            assert_eq!(read(query).map(|page| (page.after, page.limit)), expected, "{query}");
        }
    }

    #[test]
    fn there_is_a_next_page_only_if_there_is_more() {
        let page = Page::<u64> { after: None, limit: 2 };
        assert_eq!(page.cut(vec![1, 2], u64::to_string), (vec![1, 2], None));
        assert_eq!(page.cut(vec![1, 2, 3], u64::to_string), (vec![1, 2], Some("2".to_owned())));
        assert_eq!(page.cut(Vec::<u64>::new(), u64::to_string), (vec![], None));
    }
}
