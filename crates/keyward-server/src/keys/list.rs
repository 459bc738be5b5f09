//! `keyward keys list`: page by page, so that a million keys need no more memory than a few hundred.

use std::process::ExitCode;

use keyward::Timestamp;
use keyward::key::KeyId;
use keyward::store::{Filter, RecordTold};

use super::arguments::List;
use super::{Call, Session, failed};
use crate::database::Access;
use crate::failure::Failure;
use crate::listing::{Columns, Listing, none, text};
use crate::output::visible;

/// How many keys are asked for at once.
const PAGE: usize = 500;

const COLUMNS: Columns<9> = Columns {
    items: "keys",
    headings: ["id", "name", "key", "owner", "scopes", "state", "made", "last used", "expires"],
    shrinkable: &[1, 3, 4],
};

pub(super) async fn run(call: &Call<'_>, arguments: &List) -> Result<ExitCode, Failure> {
    call.with(Access::Read, async |session| list(call, session, arguments).await).await
}

async fn list(call: &Call<'_>, session: &Session, arguments: &List) -> Result<ExitCode, Failure> {
    let filter = Filter { state: arguments.state.map(|state| (state, call.now)), ..arguments.which.filter(call.now) };
    let mut listing = Listing::new(&COLUMNS, call.json);
    let limit = arguments.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let (mut after, mut left) = (arguments.after, limit);
    while left > 0 {
        // One more than is shown, to know whether there is a next page.
        let wanted = left.min(PAGE);
        let mut records = session.keys.list(&filter, after, wanted + 1).await.map_err(failed)?;
        let is_last = records.len() <= wanted;
        records.truncate(wanted);
        let ids: Vec<KeyId> = records.iter().map(|record| record.id).collect();
        let usage = session.keys.usage(&ids).await.map_err(failed)?;
        let page: Vec<RecordTold> = records.iter().map(|record| RecordTold::of(record, call.now, &usage)).collect();
        left -= page.len();
        after = ids.last().copied().or(after);
        if listing.page(&page, fields)?.is_break() {
            return Ok(ExitCode::SUCCESS);
        }
        if is_last {
            after = None;
            break;
        }
    }
    listing.end(after.as_ref().map(KeyId::as_str))?;
    Ok(ExitCode::SUCCESS)
}

fn fields(told: &RecordTold, time: &dyn Fn(&Timestamp) -> String) -> [String; 9] {
    let maybe = |at: &Option<Timestamp>| at.as_ref().map_or_else(none, time);
    [
        told.id.clone(),
        text(&told.name),
        if told.key_prefix.is_empty() { none() } else { format!("{}…", visible(&told.key_prefix)) },
        told.owner.as_deref().map_or_else(none, text),
        text(&told.scopes.join(" ")),
        told.state.to_owned(),
        time(&told.created_at),
        maybe(&told.last_used_at),
        maybe(&told.expires_at),
    ]
}
