//! One key: what is known of it, a new secret for it, and its end.

use askama::Template;
use http::StatusCode;
use keyward::Timestamp;
use keyward::store::{RecordTold, SlotTold};
use serde_json::{Map, Value};

use super::field::{Choice, Faults};
use super::key_action::KeyAction;
use super::key_row::KeyRow;
use super::moment::{Countdown, Moment};
use super::page;
use super::quotas::QuotaRow;
use super::visit::{Frame, Visit};
use crate::actor::Actor;
use crate::admin::Parts;
use crate::answer::Answer;
use crate::fault::Refusal;
use crate::keys::Collection;

#[derive(Template)]
#[template(path = "key.html")]
struct KeyPage<'v> {
    frame: Frame<'v>,
    row: KeyRow,
    notice: Option<&'static str>,
    kind: Option<String>,
    created: Moment,
    not_before: Option<Moment>,
    revoked: Option<Moment>,
    is_disabled: bool,
    networks: Vec<String>,
    resource_pattern: Option<String>,
    metadata: Vec<(String, String)>,
    /// Its own quotas, as written.
    limits: Option<Vec<String>>,
    quotas: Option<Vec<QuotaRow>>,
    secrets: Vec<Secret>,
    /// Whether the actor may get hold of a new secret, or change what the key can do.
    may_change: bool,
    graces: Vec<Choice>,
    grace_fault: Option<String>,
}

/// One secret of the key. Never the secret itself.
struct Secret {
    key_prefix: String,
    /// Until when it is accepted.
    standing: Standing,
    uses: u64,
    last_used: Option<Moment>,
    network: Option<String>,
    source: Option<&'static str>,
}

enum Standing {
    Current,
    Until(Moment, Countdown),
    Ended,
}

/// How long the secret in use goes on beside a new one, in seconds.
const GRACES: [(&str, &str); 4] =
    [("0", "None \u{2013} it ends at once"), ("3600", "1 hour"), ("86400", "24 hours"), ("604800", "7 days")];
const USUAL_GRACE: &str = "86400";

impl Parts {
    pub(super) async fn key_page(&self, visit: &Visit<'_>, actor: &Actor, id: &str) -> Result<Answer, Refusal> {
        self.page_of_key(visit, actor, id, StatusCode::OK, USUAL_GRACE, &Faults::default()).await
    }

    pub(super) async fn rotate_key_by_form(&self, visit: &Visit<'_>, actor: &Actor, id: &str) -> Result<Answer, Refusal> {
        self.demand_keys(actor).await?;
        let form = visit.request.form()?;
        let grace = form.get("grace_seconds");
        let seconds = grace.parse::<u64>().map_or_else(|_| Value::from(grace), Value::from);
        let object = Map::from_iter([("grace_seconds".to_owned(), seconds)]);
        let refusal = match self.rotate_own_key(Collection::All, actor, id, &object).await {
            Ok(made) => return self.shown_key_page(visit, StatusCode::OK, &made),
            Err(refusal) => refusal,
        };
        let Some(faults) = Faults::of(&refusal) else { return Err(refusal) };
        self.page_of_key(visit, actor, id, refusal.status(), grace, &faults).await
    }

    async fn page_of_key(
        &self,
        visit: &Visit<'_>,
        actor: &Actor,
        id: &str,
        status: StatusCode,
        grace: &str,
        faults: &Faults,
    ) -> Result<Answer, Refusal> {
        self.demand_keys(actor).await?;
        let record = self.own_key(Collection::All, actor, id).await?;
        let usage = self.keys.usage(&[record.id]).await?;
        let now = self.clock.now().wall;
        let told = RecordTold::of(&record, now, &usage);
        let moment = |time: Timestamp| Moment::at(time, now);
        let mut row = KeyRow::of(&record, &usage, &self.key_ids, now);
        if actor.is_admin() {
            self.name_owners(std::slice::from_mut(&mut row)).await?;
        }
        let is_revoked = record.is_revoked();
        let secrets = std::iter::once(&told.current)
            .chain(&told.previous)
            .enumerate()
            .map(|(place, slot)| Secret::of(slot, place == 0 && !is_revoked, is_revoked, now))
            .collect();
        let page = KeyPage {
            frame: visit.frame("keys"),
            notice: KeyAction::done(visit.request.query()?.get("done"), &record),
            kind: told.kind,
            created: moment(told.created_at),
            not_before: told.not_before.map(moment),
            revoked: told.revoked_at.map(moment),
            is_disabled: told.disabled,
            networks: told.allowed_ips.unwrap_or_default(),
            resource_pattern: told.resource_pattern,
            metadata: told.metadata.into_iter().collect(),
            limits: told.limits,
            quotas: self.quota_rows(&record).await?,
            secrets,
            may_change: !is_revoked && actor.demand_no_more_than_own(&record).is_ok(),
            graces: Choice::of(&GRACES, grace),
            grace_fault: faults.about("grace_seconds", "Grace"),
            row,
        };
        page::page(visit, status, &page)
    }
}

impl Secret {
    fn of(slot: &SlotTold, is_current: bool, is_revoked: bool, now: Timestamp) -> Self {
        let usage = slot.usage.as_ref();
        let standing = match slot.grace_ends_at {
            _ if is_current => Standing::Current,
            Some(end) if end > now && !is_revoked => Standing::Until(Moment::at(end, now), Countdown::to(end, now)),
            _ => Standing::Ended,
        };
        Self {
            key_prefix: slot.key_prefix.clone(),
            standing,
            uses: usage.map_or(0, |usage| usage.count),
            last_used: usage.map(|usage| Moment::at(usage.last_used_at, now)),
            network: usage.and_then(|usage| usage.network.clone()),
            source: usage.and_then(|usage| usage.source),
        }
    }
}
