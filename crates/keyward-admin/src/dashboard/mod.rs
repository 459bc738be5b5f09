//! What people see in a browser (R16): pages made here, that work without a script.
//!
//! A page asks the same functions as the API, so that no rule is written twice.

mod account;
mod account_action;
mod accounts;
mod agent;
mod all_keys;
mod assets;
mod audit;
mod confirm;
mod field;
mod key;
mod key_action;
mod key_row;
mod keys;
mod moment;
mod new_key;
mod one_account;
pub(crate) mod page;
mod quotas;
mod refused;
mod register;
mod sessions;
mod shown_key;
mod sign_in;
mod usage;
mod visit;

pub(crate) use refused::{denied, refused_unread};

use http::Method;
use keyward::Pass;

use crate::actor::{Actor, Who};
use crate::admin::{FOREIGN, Parts};
use crate::answer::{self, Answer};
use crate::fault::Refusal;
use crate::incoming::Incoming;
use crate::sessions::FormToken;
use account_action::AccountAction;
use key_action::KeyAction;
use visit::Visit;

/// Where the pages are.
pub(crate) const PLACE: &str = "/dashboard";

/// What the style sheet and the script are asked for by.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

const NOT_FOR_KEYS: Refusal = Refusal::Forbidden("The dashboard is for people who signed in, and not for keys.");

/// Whether a path is one of a page.
pub(crate) fn is_below(path: &str) -> bool {
    path.strip_prefix(PLACE).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Parts {
    pub(crate) async fn answer_page(&self, request: &Incoming, pass: &Pass) -> Answer {
        if let Some(asset) = assets::answer(request) {
            return asset;
        }
        let visit = match Visit::of(self, request, pass) {
            Ok(visit) => visit,
            Err(refusal) => return refused_unread(&refusal),
        };
        match self.visit(&visit).await {
            Ok(answer) => page::secured(answer),
            Err(refusal) => refused::page(&visit, refusal),
        }
    }

    async fn visit(&self, visit: &Visit<'_>) -> Result<Answer, Refusal> {
        let is_post = match visit.request.head.method {
            Method::GET | Method::HEAD => false,
            Method::POST => true,
            _ => return Err(Refusal::Method("GET, HEAD, POST")),
        };
        // Whatever the guard saw in the cookie: signing in and up have none.
        if is_post && self.is_foreign(visit.request) {
            return Err(FOREIGN);
        }
        let path = visit.request.path().strip_prefix(PLACE).unwrap_or_default();
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        match (&segments[..], &visit.actor) {
            (["login" | "register" | "logout"], _) if !self.has_accounts => Err(Refusal::NotFound),
            // A browser whose session ended meanwhile is signed out already, and its form out of date.
            (["logout"], None) if is_post => self.sign_out(None).await,
            (["login"], _) => self.visit_sign_in(visit, is_post).await,
            (["register"], _) => self.visit_register(visit, is_post).await,
            (_, None) => self.lead_to_sign_in(visit, is_post),
            (_, Some(Actor { who: Who::Key, .. })) => Err(NOT_FOR_KEYS),
            (segments, Some(actor)) => {
                if is_post {
                    demand_token(visit)?;
                }
                self.visit_own(segments, is_post, visit, actor).await
            }
        }
    }

    /// What is there for somebody who signed in. The token of the form was right.
    async fn visit_own(&self, segments: &[&str], is_post: bool, visit: &Visit<'_>, actor: &Actor) -> Result<Answer, Refusal> {
        match (segments, is_post) {
            ([] | [""], false) => Ok(answer::see_other("/dashboard/keys")),
            (["keys"], false) => self.keys_page(visit, actor).await,
            (["keys"], true) => self.create_key_by_form(visit, actor).await,
            (["keys", "new"], false) => self.new_key_page(visit, actor).await,
            (["keys", id], false) => self.key_page(visit, actor, id).await,
            (["keys", _, "rotate"], false) => Err(Refusal::Method("POST")),
            (["keys", id, "rotate"], true) => self.rotate_key_by_form(visit, actor, id).await,
            (["keys", id, action], false) => self.ask_about_key(visit, actor, id, KeyAction::at(action)?).await,
            (["keys", id, action], true) => self.act_on_key_by_form(actor, id, KeyAction::at(action)?).await,
            (["all-keys"], false) => self.all_keys_page(visit, actor).await,
            (["audit"], false) => self.audit_page(visit, actor).await,
            ([] | [""] | ["keys", _] | ["all-keys"] | ["audit"], true) => Err(Refusal::Method("GET, HEAD")),
            (segments, is_post) if self.has_accounts => self.visit_account(segments, is_post, visit, actor).await,
            _ => Err(Refusal::NotFound),
        }
    }

    async fn visit_account(&self, segments: &[&str], is_post: bool, visit: &Visit<'_>, actor: &Actor) -> Result<Answer, Refusal> {
        match (segments, is_post) {
            (["logout"], true) => self.sign_out(Some(actor)).await,
            (["sessions"], false) => self.sessions_page(visit, actor).await,
            (["sessions", "end-others"], true) => {
                self.end_other_sessions(actor).await?;
                Ok(answer::see_other("/dashboard/sessions?done=ended-others"))
            }
            (["sessions", id, "end"], true) => {
                self.end_own_session(actor, id).await?;
                Ok(answer::see_other("/dashboard/sessions?done=ended"))
            }
            (["account"], false) => self.account_page(visit, actor).await,
            (["account", "name"], true) => self.rename_by_form(visit, actor).await,
            (["account", "password"], true) => self.change_password_by_form(visit, actor).await,
            (["account", "delete"], true) => self.delete_account_by_form(visit, actor).await,
            (["accounts"], false) => self.accounts_page(visit, actor).await,
            (["accounts"], true) => self.create_account_by_form(visit, actor).await,
            (["accounts", "new"], false) => self.new_account_page(visit, actor),
            (["accounts", id], false) => self.one_account_page(visit, actor, id).await,
            (["accounts", id, action], false) => self.ask_about_account(visit, actor, id, AccountAction::at(action)?).await,
            (["accounts", id, action], true) => self.act_on_account_by_form(actor, id, AccountAction::at(action)?).await,
            (["sessions"] | ["account"] | ["accounts", _], true) => Err(Refusal::Method("GET, HEAD")),
            (["logout"] | ["sessions", "end-others"] | ["sessions", _, "end"], false) => Err(Refusal::Method("POST")),
            (["account", "name" | "password" | "delete"], false) => Err(Refusal::Method("POST")),
            _ => Err(Refusal::NotFound),
        }
    }

    fn lead_to_sign_in(&self, visit: &Visit<'_>, is_post: bool) -> Result<Answer, Refusal> {
        let sign_in = &*self.settings.sign_in_page;
        if !self.has_accounts && is_below(sign_in) {
            // There is no such page, and leading there would lead here again.
            return Err(Refusal::NotFound);
        }
        // What was to be sent is gone: nothing is changed by signing in.
        let next = if is_post { PLACE } else { visit.request.head.uri.path_and_query().map_or(PLACE, |path| path.as_str()) };
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
        Ok(answer::see_other(&format!("{sign_in}{}{query}", if sign_in.contains('?') { '&' } else { '?' })))
    }
}

/// R13: every form carries the token of who it was made for, whatever the browser says about where it comes from.
fn demand_token(visit: &Visit<'_>) -> Result<(), Refusal> {
    let form = visit.request.form().map_err(|_| FOREIGN)?;
    if visit.is_own_token(form.get(FormToken::FIELD)) { Ok(()) } else { Err(FOREIGN) }
}
