//! How the quotas of a key stand, where the application's guard is known.

use askama::Template;
use askama::filters::HtmlSafe;
use keyward::key::Record;
use keyward::limit::QuotaStanding;

use super::moment::{in_two_units, whole_seconds};
use crate::admin::Parts;
use crate::fault::Refusal;

/// One quota.
#[derive(Template)]
#[template(path = "quota.html")]
pub(super) struct QuotaRow {
    place: usize,
    /// Like `60/minute`.
    quota: String,
    /// Whether all keys of the owner take from it.
    is_owners: bool,
    remaining: u32,
    count: u32,
    /// How long until all of it is back.
    full_in: Option<String>,
}

impl HtmlSafe for QuotaRow {}

impl Parts {
    /// `None`: nobody told which guard lets the key in, and so its quotas are unknown but for those of its own.
    pub(super) async fn quota_rows(&self, record: &Record) -> Result<Option<Vec<QuotaRow>>, Refusal> {
        let Some(guard) = &self.application else { return Ok(None) };
        let standings = guard.quotas_of(record).await?;
        Ok(Some(standings.iter().enumerate().map(|(place, standing)| QuotaRow::of(place, standing)).collect()))
    }
}

impl QuotaRow {
    fn of(place: usize, standing: &QuotaStanding) -> Self {
        let seconds = whole_seconds(standing.full_in);
        Self {
            place,
            quota: standing.quota.to_string(),
            is_owners: standing.whose == "owner",
            remaining: standing.remaining,
            count: standing.quota.count(),
            full_in: (seconds > 0).then(|| in_two_units(seconds)),
        }
    }
}
