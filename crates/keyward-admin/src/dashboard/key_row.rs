//! One key as lists and pages show it.

use std::time::Duration;

use askama::Template;
use askama::filters::HtmlSafe;
use keyward::Timestamp;
use keyward::key::Record;
use keyward::store::{RecordTold, SlotUsage};

use super::moment::{Countdown, Moment};
use super::usage::Plot;
use crate::keys::KeyIds;

/// How a key stands: in words, with a colour beside them.
#[derive(Template)]
#[template(ext = "html", source = r#"<span class="badge badge-{{ state }}">{{ label }}</span>"#)]
pub(super) struct Badge {
    state: &'static str,
    label: &'static str,
}

impl HtmlSafe for Badge {}

impl Badge {
    /// A key that ends within this time had better be replaced.
    const SOON: Duration = Duration::from_secs(7 * 86_400);

    fn of(told: &RecordTold, now: Timestamp) -> Self {
        let ends_soon = told.expires_at.is_some_and(|end| end <= now.after(Self::SOON));
        let (state, label) = match told.state {
            "live" if ends_soon => ("expiring", "Expiring"),
            "live" => ("live", "Active"),
            "not-yet-valid" => ("not-yet-valid", "Not yet valid"),
            "expired" => ("expired", "Expired"),
            "disabled" => ("disabled", "Disabled"),
            "revoked" => ("revoked", "Revoked"),
            other => (other, other),
        };
        Self { state, label }
    }
}

/// One key.
pub(super) struct KeyRow {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) key_prefix: String,
    pub(super) badge: Badge,
    pub(super) owner: Option<Owner>,
    pub(super) scopes: Vec<String>,
    pub(super) last_used: Option<Moment>,
    pub(super) expires: Option<Moment>,
    /// Until the end of the secret before, while it is accepted.
    pub(super) grace: Option<Countdown>,
    pub(super) plot: Plot,
}

/// Whose key it is.
pub(super) struct Owner {
    pub(super) id: String,
    /// The account's address, if it is an account.
    pub(super) address: Option<String>,
}

impl KeyRow {
    pub(super) fn of(record: &Record, usage: &[SlotUsage], ids: &KeyIds, now: Timestamp) -> Self {
        let told = RecordTold::of(record, now, usage);
        let moment = |time: Timestamp| Moment::at(time, now);
        let is_used = matches!(told.state, "live" | "disabled" | "not-yet-valid");
        let grace = told.previous.as_ref().and_then(|slot| slot.grace_ends_at).filter(|end| *end > now && is_used);
        Self {
            badge: Badge::of(&told, now),
            last_used: told.last_used_at.map(moment),
            expires: told.expires_at.map(moment),
            grace: grace.map(|end| Countdown::to(end, now)),
            plot: Plot::of(record.id, usage, now),
            owner: told.owner.map(|id| Owner { id, address: None }),
            id: ids.shown(&told.id).to_string(),
            name: told.name,
            key_prefix: told.key_prefix,
            scopes: told.scopes,
        }
    }
}
