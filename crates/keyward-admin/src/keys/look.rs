//! Looking at keys.

use http::StatusCode;
use keyward::key::{KeyId, Record, State};
use keyward::store::{Filter, RecordTold};
use serde::Serialize;
use std::sync::Arc;

use super::Told;
use super::collection::Collection;
use crate::actor::Actor;
use crate::admin::Parts;
use crate::answer::{self, Answer};
use crate::fault::{FieldFault, Refusal};
use crate::form::Form;
use crate::page::Page;

#[derive(Serialize)]
struct Keys {
    items: Vec<Told>,
    /// Where the next page begins: `after` of the next request.
    next: Option<String>,
}

impl Parts {
    /// `GET`: one's own; administrators may name another `owner`, or all of them by `*`.
    pub(super) async fn list_keys(&self, collection: Collection, actor: &Actor, query: &Form) -> Result<Answer, Refusal> {
        let mut faults = Vec::new();
        let page = match self.page_after_key(query, &["state", "prefix", "owner"]) {
            Ok(page) => Some(page),
            Err(Refusal::Fields(more)) => {
                faults.extend(more);
                None
            }
            Err(refusal) => return Err(refusal),
        };
        let now = self.clock.now().wall;
        let kind = collection.kind().map(Into::into);
        let mut filter = Filter { owner: actor.owner.clone(), kind, ..Filter::default() };
        if query.has("state") {
            match query.get("state").parse::<State>() {
                Ok(state) => filter.state = Some((state, now)),
                Err(bad) => faults.push(FieldFault::new("state", bad.to_string())),
            }
        }
        if query.has("prefix") {
            filter.prefix = Some(query.get("prefix").into());
        }
        if query.has("owner") {
            match query.get("owner") {
                _ if !actor.is_admin() => faults.push(FieldFault::new("owner", "can be named by an administrator alone")),
                "*" => filter.owner = None,
                owner => filter.owner = Some(owner.into()),
            }
        }
        let page = match page {
            Some(page) if faults.is_empty() => page,
            _ => return Err(Refusal::Fields(faults)),
        };
        let (items, next) = self.page_of_keys(actor, &filter, &page, query.get("owner") == "*").await?;
        let items = items.into_iter().map(|told| self.as_json(collection, told)).collect();
        Ok(answer::json(StatusCode::OK, &Keys { items, next }))
    }

    async fn page_of_keys(
        &self,
        actor: &Actor,
        filter: &Filter,
        page: &Page<KeyId>,
        everybodys: bool,
    ) -> Result<(Vec<RecordTold>, Option<String>), Refusal> {
        let (records, next) = self.page_of_records(actor, filter, page, everybodys).await?;
        let ids: Vec<KeyId> = records.iter().map(|record| record.id).collect();
        let usage = self.keys.usage(&ids).await?;
        let now = self.clock.now().wall;
        Ok((records.iter().map(|record| RecordTold::of(record, now, &usage)).collect(), next))
    }

    /// Keys that nobody owns have no filter of their own: they are picked out of all of them, a bounded number of which is looked at.
    pub(crate) async fn page_of_records(
        &self,
        actor: &Actor,
        filter: &Filter,
        page: &Page<KeyId>,
        everybodys: bool,
    ) -> Result<(Vec<Arc<Record>>, Option<String>), Refusal> {
        const LOOKED_AT: usize = 500;
        let is_narrow = filter.owner.is_some() || everybodys;
        let wanted = if is_narrow { page.limit + 1 } else { LOOKED_AT };
        let found = self.keys.list(filter, page.after, wanted).await?;
        if is_narrow {
            return Ok(page.cut(found, |record| self.shown_id(record)));
        }
        let end = (found.len() == LOOKED_AT).then(|| found.last().map(|record| self.shown_id(record))).flatten();
        let own: Vec<Arc<Record>> = found.into_iter().filter(|record| record.owner == actor.owner).collect();
        let is_cut = own.len() > page.limit;
        let (records, next) = page.cut(own, |record| self.shown_id(record));
        Ok((records, if is_cut { next } else { end }))
    }

    /// `GET …/{id}`.
    pub(super) async fn show_key(&self, collection: Collection, actor: &Actor, id: &str) -> Result<Answer, Refusal> {
        let record = self.own_key(collection, actor, id).await?;
        self.show(collection, &record).await
    }

    pub(super) async fn show(&self, collection: Collection, record: &Record) -> Result<Answer, Refusal> {
        Ok(answer::json(StatusCode::OK, &self.as_json(collection, self.told(record).await?)))
    }

    pub(super) async fn told(&self, record: &Record) -> Result<RecordTold, Refusal> {
        let usage = self.keys.usage(&[record.id]).await?;
        Ok(RecordTold::of(record, self.clock.now().wall, &usage))
    }

    /// A page of a listing of keys.
    pub(crate) fn page_after_key(&self, query: &Form, others: &[&str]) -> Result<Page<KeyId>, Refusal> {
        Page::read_by(query, others, |after| self.key_ids.read(after))
    }

    fn shown_id(&self, record: &Arc<Record>) -> String {
        self.key_ids.shown(record.id.as_str()).to_string()
    }

    /// The key that is called so, if it is one of these, and one that the actor looks after.
    pub(crate) async fn own_key(&self, collection: Collection, actor: &Actor, id: &str) -> Result<Arc<Record>, Refusal> {
        let id = self.key_ids.read(id).ok_or(Refusal::NotFound)?;
        let is_there = |record: &Arc<Record>| collection.holds(record) && actor.sees(record);
        self.keys.get(&id).await?.filter(is_there).ok_or(Refusal::NotFound)
    }
}
