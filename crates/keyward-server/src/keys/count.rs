//! How many keys a command means, before it is done.

use keyward::store::Filter;

use super::failed;
use crate::failure::Failure;

/// How many keys are looked at together.
const PAGE: usize = 500;

/// How many keys a filter means.
pub(crate) async fn of(
    all: &keyward::Keys,
    filter: &Filter,
    but: impl Fn(&keyward::key::Record) -> bool,
) -> Result<usize, Failure> {
    let (mut count, mut after) = (0, None);
    loop {
        let page = all.list(filter, after, PAGE).await.map_err(|error| match failed(error) {
            Failure::Fault(text) => Failure::Fault(format!("the keys cannot be counted: {text}; --yes goes on without that")),
            failure => failure,
        })?;
        let Some(last) = page.last() else { return Ok(count) };
        after = Some(last.id);
        count += page.iter().filter(|record| !but(record)).count();
    }
}

/// `1 key`, `2 keys`.
pub(crate) fn keys(count: usize) -> String {
    if count == 1 { "1 key".to_owned() } else { format!("{count} keys") }
}
