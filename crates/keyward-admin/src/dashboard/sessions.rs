//! Where somebody is signed in.

use askama::Template;
use http::StatusCode;
use keyward::Timestamp;

use super::agent;
use super::moment::Moment;
use super::page;
use super::visit::{Frame, Visit};
use crate::accounts::SessionTold;
use crate::actor::Actor;
use crate::admin::Parts;
use crate::answer::Answer;
use crate::fault::Refusal;

#[derive(Template)]
#[template(path = "sessions.html")]
struct Sessions<'v> {
    frame: Frame<'v>,
    notice: Option<&'static str>,
    sessions: Vec<SessionRow>,
    has_others: bool,
}

/// One session, as lists show it.
pub(super) struct SessionRow {
    pub(super) told: SessionTold,
    /// The browser and the system, as people call them.
    pub(super) agent: String,
    pub(super) began: Moment,
    pub(super) last_seen: Moment,
    pub(super) ends: Moment,
}

impl SessionRow {
    pub(super) fn of(told: SessionTold, now: Timestamp) -> Self {
        Self {
            agent: agent::called(&told.agent),
            began: Moment::at(told.created_at, now),
            last_seen: Moment::at(told.last_seen_at, now),
            ends: Moment::at(told.expires_at, now),
            told,
        }
    }
}

impl Parts {
    pub(super) async fn sessions_page(&self, visit: &Visit<'_>, actor: &Actor) -> Result<Answer, Refusal> {
        let told = self.sessions_of(actor).await?;
        let now = self.clock.now().wall;
        let page = Sessions {
            frame: visit.frame("sessions"),
            notice: match visit.request.query()?.get("done") {
                "ended" => Some("The session has ended."),
                "ended-others" => Some("All other sessions have ended."),
                _ => None,
            },
            has_others: told.iter().any(|told| !told.current),
            sessions: told.into_iter().map(|told| SessionRow::of(told, now)).collect(),
        };
        page::page(visit, StatusCode::OK, &page)
    }
}
