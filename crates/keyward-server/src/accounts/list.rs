//! `keyward accounts list`.

use std::process::ExitCode;

use keyward::Timestamp;
use keyward::account::{AccountId, AccountTold};

use super::arguments::List;
use super::{Call, Session, failed, show};
use crate::database::Access;
use crate::failure::Failure;
use crate::listing::{Columns, Listing, text};

/// How many accounts are asked for at once.
const PAGE: usize = 500;

const COLUMNS: Columns<6> =
    Columns { items: "accounts", headings: ["id", "e-mail", "name", "administrator", "state", "made"], shrinkable: &[1, 2] };

pub(super) async fn run(call: &Call<'_>, arguments: &List) -> Result<ExitCode, Failure> {
    call.with(Access::Read, async |session| list(call, session, arguments).await).await
}

async fn list(call: &Call<'_>, session: &Session, arguments: &List) -> Result<ExitCode, Failure> {
    let mut listing = Listing::new(&COLUMNS, call.json);
    let limit = arguments.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let (mut after, mut left) = (arguments.after, limit);
    while left > 0 {
        // One more than is shown, to know whether there is a next page.
        let wanted = left.min(PAGE);
        let mut accounts = session.accounts.list(after, wanted + 1).await.map_err(failed)?;
        let is_last = accounts.len() <= wanted;
        accounts.truncate(wanted);
        let page: Vec<AccountTold> = accounts.iter().map(|account| AccountTold::of(account)).collect();
        left -= page.len();
        after = accounts.last().map(|account| account.id).or(after);
        if listing.page(&page, fields)?.is_break() {
            return Ok(ExitCode::SUCCESS);
        }
        if is_last {
            after = None;
            break;
        }
    }
    listing.end(after.as_ref().map(AccountId::as_str))?;
    Ok(ExitCode::SUCCESS)
}

fn fields(told: &AccountTold, time: &dyn Fn(&Timestamp) -> String) -> [String; 6] {
    [
        told.id.clone(),
        told.email.clone(),
        text(format!("{} {}", told.first_name, told.last_name).trim()),
        if told.is_admin { "yes" } else { "no" }.to_owned(),
        show::state(told.disabled).to_owned(),
        time(&told.created_at),
    ]
}
