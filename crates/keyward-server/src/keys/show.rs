//! `keyward keys show`.

use std::process::ExitCode;

use keyward::store::{RecordTold, SlotTold};

use super::arguments::Show;
use super::{Call, Session, failed, identifier};
use crate::database::Access;
use crate::failure::Failure;
use crate::output::{self, write_rows};

pub(super) async fn run(call: &Call<'_>, arguments: &Show) -> Result<ExitCode, Failure> {
    let id = identifier::read(&arguments.id)?;
    let look = async |session: &Session| {
        let record = session.keys.get(&id).await.map_err(failed)?;
        let record = record.ok_or_else(|| Failure::Refused(identifier::not_found(&id)))?;
        let usage = session.keys.usage(&[id]).await.map_err(failed)?;
        Ok(RecordTold::of(&record, call.now, &usage))
    };
    let told = call.with(Access::Read, look).await?;
    match call.json {
        true => output::print_json(&told)?,
        false => output::print(|out| write_rows(out, &rows(&told)))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What is told to people of a key, label by label.
pub(super) fn rows(told: &RecordTold) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    let mut row = |label: &str, value: String| rows.push((label.to_owned(), value));
    let none = || "none".to_owned();
    let joined = |words: &[String]| if words.is_empty() { none() } else { words.join(" ") };
    row("id", told.id.clone());
    row("name", told.name.clone());
    row("state", told.state.to_owned());
    row("kind", told.kind.clone().unwrap_or_else(none));
    row("owner", told.owner.clone().unwrap_or_else(none));
    row("scopes", joined(&told.scopes));
    row("made", told.created_at.to_string());
    let mut time = |label: &str, time: Option<keyward::Timestamp>, without: &str| {
        row(label, time.map_or_else(|| without.to_owned(), |time| time.to_string()));
    };
    time("accepted from", told.not_before, "the start");
    time("expires", told.expires_at, "never");
    if told.revoked_at.is_some() {
        time("revoked", told.revoked_at, "");
    }
    time("last used", told.last_used_at, "never");
    row("networks", told.allowed_ips.as_deref().map_or_else(|| "any".to_owned(), joined));
    row("paths", told.resource_pattern.clone().unwrap_or_else(|| "any".to_owned()));
    row("quotas", told.limits.as_deref().map_or_else(|| "the policy's".to_owned(), joined));
    for (name, value) in &told.metadata {
        row(&format!("metadata {name}"), value.clone());
    }
    row("current secret", slot(&told.current));
    if let Some(previous) = &told.previous {
        row("previous secret", slot(previous));
    }
    rows
}

fn slot(slot: &SlotTold) -> String {
    let mut text = format!("{}…, stored as {}", slot.key_prefix, slot.stored_as);
    if slot.pepper != 0 {
        text.push_str(&format!(" with pepper {}", slot.pepper));
    }
    if let Some(end) = slot.grace_ends_at {
        text.push_str(&format!(", accepted until {end}"));
    }
    match &slot.usage {
        None => text.push_str(", never used"),
        Some(usage) => {
            let times = if usage.count == 1 { "once".to_owned() } else { format!("{} times", usage.count) };
            text.push_str(&format!(", used {times}, last {}", usage.last_used_at));
            text.extend(usage.network.iter().map(|network| format!(" from {network}")));
            text.extend(usage.source.iter().map(|source| format!(" as {source}")));
        }
    }
    text
}
