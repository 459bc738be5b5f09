//! `keyward accounts show`, and what other commands tell of an account that they changed.

use std::process::ExitCode;

use keyward::account::{Account, AccountTold};

use super::Call;
use super::which::Which;
use crate::database::Access;
use crate::failure::Failure;
use crate::output::{self, write_rows};

pub(super) async fn run(call: &Call<'_>, which: &Which) -> Result<ExitCode, Failure> {
    let account = call.with(Access::Read, async |session| which.find(session).await).await?;
    tell(call, &account)?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn tell(call: &Call<'_>, account: &Account) -> Result<(), Failure> {
    let told = AccountTold::of(account);
    if call.json {
        return output::print_json(&told);
    }
    let name = |name: &str| if name.is_empty() { "none".to_owned() } else { name.to_owned() };
    let rows = [
        ("id", told.id),
        ("e-mail", told.email),
        ("first name", name(&told.first_name)),
        ("last name", name(&told.last_name)),
        ("administrator", if told.is_admin { "yes" } else { "no" }.to_owned()),
        ("state", state(told.disabled).to_owned()),
        ("made", told.created_at.to_string()),
    ];
    let rows: Vec<_> = rows.into_iter().map(|(label, value)| (label.to_owned(), value)).collect();
    output::print(|out| write_rows(out, &rows))
}

pub(super) fn state(is_disabled: bool) -> &'static str {
    if is_disabled { "disabled" } else { "live" }
}
