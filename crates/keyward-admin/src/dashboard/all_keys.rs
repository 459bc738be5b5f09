//! Everybody's keys, for administrators.

use std::collections::HashMap;

use askama::Template;
use http::StatusCode;
use keyward::account::{AccountId, EmailAddress};
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
#[template(path = "all_keys.html")]
struct AllKeys<'v> {
    frame: Frame<'v>,
    keys: Vec<KeyRow>,
    states: Vec<Choice>,
    owner: &'v str,
    is_first: bool,
    /// The query of the first page, and of the next one.
    first: String,
    next: Option<String>,
}

impl Parts {
    pub(super) async fn all_keys_page(&self, visit: &Visit<'_>, actor: &Actor) -> Result<Answer, Refusal> {
        actor.demand_admin()?;
        let query = visit.request.query()?;
        let page = Page::<KeyId>::read(&query, &["state", "owner"])?;
        let (mut keys, next) = self.rows_of_keys(actor, &self.chosen(&query).await?, &page).await?;
        self.name_owners(&mut keys).await?;
        let (state, owner) = (query.get("state"), query.get("owner"));
        let query_of = |after: Option<&str>| {
            let mut query = form_urlencoded::Serializer::new(String::new());
            after.map(|after| query.append_pair("after", after));
            query.append_pair("state", state).append_pair("owner", owner).finish()
        };
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
            owner,
            is_first: page.after.is_none(),
            first: query_of(None),
            next: next.map(|after| query_of(Some(&after))),
        };
        page::page(visit, StatusCode::OK, &all)
    }

    /// People know each other by address, and not by id.
    pub(super) async fn name_owners(&self, keys: &mut [KeyRow]) -> Result<(), Refusal> {
        let mut addresses: HashMap<String, Option<String>> = HashMap::new();
        for owner in keys.iter_mut().filter_map(|key| key.owner.as_mut()) {
            owner.address = match addresses.get(&owner.id) {
                Some(address) => address.clone(),
                None => {
                    let address = self.address_of(&owner.id).await?;
                    addresses.insert(owner.id.clone(), address.clone());
                    address
                }
            };
        }
        Ok(())
    }

    async fn address_of(&self, owner: &str) -> Result<Option<String>, Refusal> {
        let Some(id) = owner.parse::<AccountId>().ok().filter(|_| self.has_accounts) else { return Ok(None) };
        Ok(self.accounts.account(&id).wait().await?.map(|account| account.address.to_string()))
    }

    /// A form sends what is not chosen as empty.
    async fn chosen(&self, query: &Form) -> Result<Filter, Refusal> {
        let state = match query.get("state") {
            "" => None,
            text => match text.parse::<State>() {
                Ok(state) => Some((state, self.clock.now().wall)),
                Err(bad) => return Err(Refusal::Fields(vec![FieldFault::new("state", bad.to_string())])),
            },
        };
        let owner = match query.get("owner").trim() {
            "" => None,
            text => Some(self.owner_called(text).await?),
        };
        Ok(Filter { owner, state, ..Filter::default() })
    }

    /// The id of an account with this address; or what was given, which is an id then.
    async fn owner_called(&self, text: &str) -> Result<Box<str>, Refusal> {
        let account = match text.parse::<EmailAddress>() {
            Ok(address) if self.has_accounts => self.accounts.account_at(&address).wait().await?,
            _ => None,
        };
        Ok(account.map_or_else(|| text.into(), |account| account.id.as_str().into()))
    }
}
