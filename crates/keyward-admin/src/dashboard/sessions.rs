//! Where somebody is signed in.

use askama::Template;
use http::StatusCode;

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
    sessions: Vec<Row>,
    has_others: bool,
}

struct Row {
    told: SessionTold,
    began: Moment,
    last_seen: Moment,
    ends: Moment,
}

impl Parts {
    pub(super) async fn sessions_page(&self, visit: &Visit<'_>, actor: &Actor) -> Result<Answer, Refusal> {
        let told = self.sessions_of(actor).await?;
        let now = self.clock.now().wall;
        let row = |told: SessionTold| Row {
            began: Moment::at(told.created_at, now),
            last_seen: Moment::at(told.last_seen_at, now),
            ends: Moment::at(told.expires_at, now),
            told,
        };
        let page = Sessions {
            frame: visit.frame("sessions"),
            notice: match visit.request.query()?.get("done") {
                "ended" => Some("The session has ended."),
                "ended-others" => Some("All other sessions have ended."),
                _ => None,
            },
            has_others: told.iter().any(|told| !told.current),
            sessions: told.into_iter().map(row).collect(),
        };
        page::page(visit, StatusCode::OK, &page)
    }
}
