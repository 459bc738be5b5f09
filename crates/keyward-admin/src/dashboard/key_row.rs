//! One key as lists and pages show it.

use askama::Template;
use askama::filters::HtmlSafe;
use keyward::Timestamp;
use keyward::store::RecordTold;

use super::moment::Moment;
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
    pub(super) fn of(state: &'static str) -> Self {
        let label = match state {
            "live" => "Active",
            "not-yet-valid" => "Not yet valid",
            "expired" => "Expired",
            "disabled" => "Disabled",
            "revoked" => "Revoked",
            other => other,
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
    pub(super) owner: Option<String>,
    pub(super) scopes: Vec<String>,
    pub(super) last_used: Option<Moment>,
    pub(super) expires: Option<Moment>,
    /// The end of the secret before, while it is accepted.
    pub(super) grace_ends: Option<Moment>,
    pub(super) limits: Vec<String>,
}

impl KeyRow {
    pub(super) fn of(told: RecordTold, ids: &KeyIds, now: Timestamp) -> Self {
        let moment = |time: Timestamp| Moment::at(time, now);
        let is_over = told.state == "revoked";
        let grace = told.previous.as_ref().and_then(|slot| slot.grace_ends_at).filter(|end| *end > now && !is_over);
        Self {
            badge: Badge::of(told.state),
            last_used: told.last_used_at.map(moment),
            expires: told.expires_at.map(moment),
            grace_ends: grace.map(moment),
            limits: told.limits.unwrap_or_default(),
            id: ids.shown(&told.id).to_string(),
            name: told.name,
            key_prefix: told.key_prefix,
            owner: told.owner,
            scopes: told.scopes,
        }
    }
}
