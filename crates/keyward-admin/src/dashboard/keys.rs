//! The tab Account Security: one's own keys.

use askama::Template;
use http::StatusCode;
use keyward::key::KeyId;
use keyward::store::Filter;

use super::key_row::KeyRow;
use super::page;
use super::visit::{Frame, Visit};
use crate::actor::Actor;
use crate::admin::Parts;
use crate::answer::Answer;
use crate::fault::Refusal;
use crate::page::Page;

#[derive(Template)]
#[template(path = "keys.html")]
struct KeysPage<'v> {
    frame: Frame<'v>,
    keys: Vec<KeyRow>,
    is_first: bool,
    next: Option<String>,
}

impl Parts {
    pub(super) async fn keys_page(&self, visit: &Visit<'_>, actor: &Actor) -> Result<Answer, Refusal> {
        self.demand_keys(actor).await?;
        let page = self.page_after_key(&visit.request.query()?, &[])?;
        let filter = Filter { owner: actor.owner.clone(), ..Filter::default() };
        let (keys, next) = self.rows_of_keys(actor, &filter, &page).await?;
        let is_first = page.after.is_none();
        page::page(visit, StatusCode::OK, &KeysPage { frame: visit.frame("keys"), keys, is_first, next })
    }

    pub(super) async fn rows_of_keys(
        &self,
        actor: &Actor,
        filter: &Filter,
        page: &Page<KeyId>,
    ) -> Result<(Vec<KeyRow>, Option<String>), Refusal> {
        let (records, next) = self.page_of_records(actor, filter, page, filter.owner.is_none()).await?;
        let ids: Vec<KeyId> = records.iter().map(|record| record.id).collect();
        let usage = self.keys.usage(&ids).await?;
        let now = self.clock.now().wall;
        Ok((records.iter().map(|record| KeyRow::of(record, &usage, &self.key_ids, now)).collect(), next))
    }
}
