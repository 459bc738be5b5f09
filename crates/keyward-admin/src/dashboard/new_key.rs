//! Generating a key.

use askama::Template;
use http::StatusCode;
use serde_json::{Map, Value};

use super::field::{Choice, Faults, Field};
use super::page;
use super::visit::{Frame, Visit};
use crate::actor::Actor;
use crate::admin::Parts;
use crate::answer::Answer;
use crate::fault::Refusal;
use crate::form::Form;
use crate::keys::Collection;

#[derive(Template)]
#[template(path = "new_key.html")]
struct NewKeyPage<'v> {
    frame: Frame<'v>,
    name: Field,
    scopes: Vec<Scope>,
    scopes_fault: Option<String>,
    more_scopes: Field,
    spans: Vec<Choice>,
    span_fault: Option<String>,
    networks: Field,
    limits: Field,
    kind: Field,
    faults: Faults,
}

/// A scope that can be ticked.
struct Scope {
    name: String,
    is_chosen: bool,
}

/// How long keys last, in days.
const SPANS: [(&str, &str); 6] =
    [("7", "7 days"), ("30", "30 days"), ("90", "90 days"), ("180", "180 days"), ("365", "1 year"), ("", "Never")];
const USUAL_SPAN: &str = "90";

impl Parts {
    pub(super) async fn new_key_page(&self, visit: &Visit<'_>, actor: &Actor) -> Result<Answer, Refusal> {
        self.demand_keys(actor).await?;
        self.page_of_new_key(visit, actor, None, StatusCode::OK, Faults::default())
    }

    /// The answer to the form is the page with the key: a redirect would have to carry it in an address.
    pub(super) async fn create_key_by_form(&self, visit: &Visit<'_>, actor: &Actor) -> Result<Answer, Refusal> {
        self.demand_keys(actor).await?;
        let form = visit.request.form()?;
        let refusal = match self.create_own_key(Collection::All, actor, &self.object_of(actor, &form)).await {
            Ok(made) => return self.shown_key_page(visit, StatusCode::CREATED, &made),
            Err(refusal) => refusal,
        };
        let Some(faults) = Faults::of(&refusal) else { return Err(refusal) };
        self.page_of_new_key(visit, actor, Some(&form), refusal.status(), faults)
    }

    /// The form as the API would have it, so that the same rules read it.
    fn object_of(&self, actor: &Actor, form: &Form) -> Map<String, Value> {
        let words = |name: &str| form.get(name).split_whitespace().map(Value::from).collect::<Vec<_>>();
        let mut object = Map::new();
        object.insert("name".to_owned(), form.get("name").trim().into());
        let chosen = self.scopes_to_give(actor).into_iter().filter(|scope| form.has(&format!("scope {scope}")));
        object.insert("scopes".to_owned(), chosen.map(Value::from).chain(words("more_scopes")).collect());
        match form.get("expires_in_days").trim() {
            "" => {}
            days => {
                let days = days.parse::<u64>().map_or_else(|_| Value::from(days), Value::from);
                object.insert("expires_in_days".to_owned(), days);
            }
        }
        for list in ["allowed_ips", "limits"] {
            let entries = words(list);
            if !entries.is_empty() {
                object.insert(list.to_owned(), entries.into());
            }
        }
        if !form.get("kind").trim().is_empty() {
            object.insert("kind".to_owned(), form.get("kind").trim().into());
        }
        object
    }

    /// What the form offers. Whether it may be given is asked again when it is.
    fn scopes_to_give(&self, actor: &Actor) -> Vec<String> {
        let mut scopes: Vec<String> = actor.scopes.iter().map(ToString::to_string).collect();
        scopes.push(Actor::MANAGES_KEYS.to_owned());
        scopes.retain(|scope| scope.parse().is_ok_and(|scope| actor.may_give(&scope)));
        let mut seen = std::collections::BTreeSet::new();
        scopes.retain(|scope| seen.insert(scope.clone()));
        scopes
    }

    fn page_of_new_key(
        &self,
        visit: &Visit<'_>,
        actor: &Actor,
        given: Option<&Form>,
        status: StatusCode,
        faults: Faults,
    ) -> Result<Answer, Refusal> {
        let text = |name: &str| given.map_or("", |form| form.get(name));
        let scope = |name: String| Scope { is_chosen: given.is_some_and(|form| form.has(&format!("scope {name}"))), name };
        let page = NewKeyPage {
            frame: visit.frame("keys"),
            name: Field::new("name", "Name", "text", &faults)
                .value(text("name"))
                .hint("What the key is for, such as \u{201c}Nightly export\u{201d}.")
                .required(),
            scopes: self.scopes_to_give(actor).into_iter().map(scope).collect(),
            scopes_fault: faults.about("scopes", "Scopes"),
            more_scopes: Field::new("more_scopes", "Further scopes", "text", &faults)
                .value(text("more_scopes"))
                .hint("Separated by spaces. Administrators may give any."),
            spans: Choice::of(&SPANS, given.map_or(USUAL_SPAN, |form| form.get("expires_in_days").trim())),
            span_fault: faults.about("expires_in_days", "Expiry"),
            networks: Field::new("allowed_ips", "Allowed networks (optional)", "lines", &faults)
                .value(text("allowed_ips"))
                .hint("One address or network a line, like 203.0.113.0/24. Left empty, the key works from anywhere."),
            limits: Field::new("limits", "Quotas (optional)", "lines", &faults)
                .value(text("limits"))
                .hint("One a line, like 100/minute. They take the place of the policy\u{2019}s."),
            kind: Field::new("kind", "Kind (optional)", "text", &faults)
                .value(text("kind"))
                .hint("A label that routes may demand."),
            faults,
        };
        page::page(visit, status, &page)
    }
}
