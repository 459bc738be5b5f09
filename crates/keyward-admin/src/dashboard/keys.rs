//! The tab Account Security: one's own keys; and everybody's, for administrators.

use askama::Template;
use http::StatusCode;
use keyward::key::{KeyId, State};
use keyward::store::Filter;

use super::field::Choice;
use super::key_row::KeyRow;
use super::page;
use super::visit::{Frame, Visit};
use crate::actor::Actor;
use crate::admin::Parts;
use crate::answer::Answer;
use crate::fault::{FieldFault, Refusal};
use crate::form::Form;
use crate::page::Page;

#[derive(Template)]
#[template(path = "keys.html")]
struct KeysPage<'v> {
    frame: Frame<'v>,
    keys: Vec<KeyRow>,
    is_first: bool,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "all_keys.html")]
struct AllKeys<'v> {
    frame: Frame<'v>,
    keys: Vec<KeyRow>,
    states: Vec<Choice>,
    owner: &'v str,
    /// The query of the next page.
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

    pub(super) async fn all_keys_page(&self, visit: &Visit<'_>, actor: &Actor) -> Result<Answer, Refusal> {
        actor.demand_admin()?;
        let query = visit.request.query()?;
        let page = self.page_after_key(&query, &["state", "owner"])?;
        let (keys, next) = self.rows_of_keys(actor, &self.chosen(&query)?, &page).await?;
        let state = query.get("state");
        let all = AllKeys {
            frame: visit.frame("all-keys"),
            keys,
            states: Choice::of(
                &[
                    ("", "Any"),
                    ("live", "Active"),
                    ("not-yet-valid", "Not yet valid"),
                    ("expired", "Expired"),
                    ("disabled", "Disabled"),
                    ("revoked", "Revoked"),
                ],
                state,
            ),
            owner: query.get("owner"),
            next: next.map(|after| {
                let mut next = form_urlencoded::Serializer::new(String::new());
                next.append_pair("after", &after).append_pair("state", state).append_pair("owner", query.get("owner")).finish()
            }),
        };
        page::page(visit, StatusCode::OK, &all)
    }

    /// A form sends what is not chosen as empty.
    fn chosen(&self, query: &Form) -> Result<Filter, Refusal> {
        let state = match query.get("state") {
            "" => None,
            text => match text.parse::<State>() {
                Ok(state) => Some((state, self.clock.now().wall)),
                Err(bad) => return Err(Refusal::Fields(vec![FieldFault::new("state", bad.to_string())])),
            },
        };
        let owner = Some(query.get("owner").trim()).filter(|owner| !owner.is_empty()).map(Into::into);
        Ok(Filter { owner, state, ..Filter::default() })
    }

    async fn rows_of_keys(
        &self,
        actor: &Actor,
        filter: &Filter,
        page: &Page<KeyId>,
    ) -> Result<(Vec<KeyRow>, Option<String>), Refusal> {
        let (told, next) = self.page_of_keys(actor, filter, page, filter.owner.is_none()).await?;
        let now = self.clock.now().wall;
        Ok((told.into_iter().map(|told| KeyRow::of(told, &self.key_ids, now)).collect(), next))
    }
}
