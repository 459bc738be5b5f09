//! `keyward keys rotate`.

use std::process::ExitCode;

use keyward::KeysError;
use keyward::store::Refused;

use super::arguments::Rotate;
use super::{Call, Session, failed, identifier, made};
use crate::database::Access;
use crate::failure::Failure;

pub(super) async fn run(call: &Call<'_>, arguments: &Rotate) -> Result<ExitCode, Failure> {
    let id = identifier::read(&arguments.id)?;
    let rotate = async |session: &Session| {
        session.check_peppers()?;
        session.keys.rotate(&id, arguments.grace.0).await.map_err(|error| match error {
            KeysError::Refused(Refused::NotFound) => Failure::Refused(identifier::not_found(&id)),
            error => failed(error),
        })
    };
    let made = call.with(Access::Change, rotate).await?;
    let until = made.record().previous.as_ref().and_then(|previous| previous.grace_ends);
    let lines = match until {
        Some(_) if arguments.grace.0.is_zero() => vec!["the old secret is not accepted any more".to_owned()],
        Some(time) => vec![
            format!("the old secret is accepted until {time}"),
            format!("`keyward keys show {id}` tells when it was last used"),
        ],
        None => Vec::new(),
    };
    made::show(call, &made, &lines, &format!("rotate it once more: `keyward keys rotate {id}`"))?;
    Ok(ExitCode::SUCCESS)
}
