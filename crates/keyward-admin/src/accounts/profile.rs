//! What people do with their own account: names, password, sessions, and its end.

use http::{StatusCode, header};
use keyward::account::{Account, AccountChange, AccountId, AccountTold, Session, SessionDigest};
use keyward::store::Attribution;
use keyward::{Pass, Secret, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{PasswordRules, fields};
use crate::actor::{Actor, Who};
use crate::admin::Parts;
use crate::answer::{self, Answer};
use crate::audit::{Attempt, Given, GivenFor};
use crate::fault::{FieldFault, Refusal};
use crate::incoming::Incoming;
use crate::sessions;

/// A session, as its owner sees it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Session))]
pub(crate) struct SessionTold {
    pub(crate) id: String,
    pub(crate) created_at: Timestamp,
    pub(crate) last_seen_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) network: Option<String>,
    pub(crate) agent: String,
    /// Whether it is the one that asks.
    pub(crate) current: bool,
}

#[derive(Serialize)]
struct Sessions {
    items: Vec<SessionTold>,
}

impl Actor {
    /// The account that is signed in: what concerns an account itself is no key's business.
    pub(crate) fn account(&self) -> Result<(AccountId, Option<SessionDigest>), Refusal> {
        match &self.who {
            Who::Person { account: Some(account), session, .. } => Ok((*account, *session)),
            _ => Err(Refusal::Forbidden("This is for people who signed in, and not for keys.")),
        }
    }

    pub(crate) fn attribution(&self, at: Timestamp) -> Attribution {
        Attribution { actor: self.name.as_str().into(), at }
    }
}

impl Parts {
    /// `GET /api/v1/user`.
    pub(crate) async fn own_account(&self, actor: &Actor) -> Result<Answer, Refusal> {
        Ok(answer::json(StatusCode::OK, &AccountTold::of(&*self.account_of(actor).await?)))
    }

    pub(crate) async fn account_of(&self, actor: &Actor) -> Result<std::sync::Arc<Account>, Refusal> {
        let (id, _) = actor.account()?;
        self.accounts.account(&id).wait().await?.ok_or(Refusal::NotFound)
    }

    /// `PATCH /api/v1/user`.
    pub(crate) async fn rename_own_account(&self, actor: &Actor, fields: &Map<String, Value>) -> Result<Answer, Refusal> {
        let account = self.account_of(actor).await?;
        let mut faults = Vec::new();
        let mut name = |field: &str, now: &str| match fields.get(field) {
            None => now.into(),
            Some(Value::String(text)) => {
                Account::name(text).map_err(|bad| faults.push(FieldFault::new(field, bad.to_string()))).unwrap_or_default()
            }
            Some(_) => {
                faults.push(FieldFault::new(field, "is no text"));
                Box::default()
            }
        };
        let (first_name, last_name) = (name("first_name", &account.first_name), name("last_name", &account.last_name));
        unknown_fields(fields, &fields::NAMES, &mut faults);
        if !faults.is_empty() {
            return Err(Refusal::Fields(faults));
        }
        let account = self.rename_account(actor, first_name, last_name).await?;
        Ok(answer::json(StatusCode::OK, &AccountTold::of(&account)))
    }

    pub(crate) async fn rename_account(
        &self,
        actor: &Actor,
        first_name: Box<str>,
        last_name: Box<str>,
    ) -> Result<std::sync::Arc<Account>, Refusal> {
        let (id, _) = actor.account()?;
        let change = AccountChange::Rename { first_name, last_name };
        Ok(self.accounts.change_account(&id, change, actor.attribution(self.clock.now().wall)).wait().await??)
    }

    /// `POST /api/v1/user/password`.
    pub(crate) async fn change_own_password(
        &self,
        actor: &Actor,
        fields: &Map<String, Value>,
        request: &Incoming,
        pass: &Pass,
    ) -> Result<Answer, Refusal> {
        let mut faults = Vec::new();
        let (current, new) = (secret(fields, "current_password", &mut faults), secret(fields, "new_password", &mut faults));
        unknown_fields(fields, &fields::PASSWORDS, &mut faults);
        if !faults.is_empty() {
            return Err(Refusal::Fields(faults));
        }
        let mut answer = answer::empty(StatusCode::NO_CONTENT);
        if actor.is_by_cookie {
            let token = self.change_password(actor, &current, &new, request, pass).await?;
            answer.headers_mut().insert(header::SET_COOKIE, sessions::set_cookie(token.expose()));
        } else {
            // Who came with a token has no place for a cookie: nobody would hold a session that began here.
            self.set_password(actor, &current, &new, request, pass).await?;
        }
        Ok(answer)
    }

    /// Ends every session of the account, and begins a new one in place of the one that asked.
    pub(crate) async fn change_password(
        &self,
        actor: &Actor,
        current: &str,
        new: &str,
        request: &Incoming,
        pass: &Pass,
    ) -> Result<Secret, Refusal> {
        let account = self.set_password(actor, current, new, request, pass).await?;
        self.open_session(&account, request, pass).await
    }

    /// Ends every session of the account.
    async fn set_password(
        &self,
        actor: &Actor,
        current: &str,
        new: &str,
        request: &Incoming,
        pass: &Pass,
    ) -> Result<std::sync::Arc<Account>, Refusal> {
        let account = self.account_of(actor).await?;
        let new = PasswordRules::normal(new);
        let upkeep = self.upkeep.acting_as(actor.name.as_str());
        upkeep.check_password(&account, &new, "new_password")?;
        self.confirm_password(&account, ("current_password", current), request, pass).await?;
        let hash = self.hashing.hash(&new).await?;
        Ok(upkeep.replace_password(&account, hash).await?)
    }

    /// Whoever is at somebody's open browser still has to guess, and no more often than at the sign-in page.
    async fn confirm_password(
        &self,
        account: &Account,
        (field, password): (&str, &str),
        request: &Incoming,
        pass: &Pass,
    ) -> Result<(), Refusal> {
        let now = self.clock.now().steady;
        let (email, account_id) = (Some(&account.address), Some(account.id));
        let attempt = Attempt { given_for: GivenFor::Confirmation, email, account: account_id, request, pass };
        let guess = match self.lockout.guess(pass.client(), &account.address, now) {
            Ok(guess) => guess,
            Err(wait) => {
                // A denial keeps its status, whether it could be told or not (R11.1).
                let _ = self.note_attempt(&attempt, Given::LockedOut).await;
                return Err(Refusal::LockedOut(wait));
            }
        };
        if !self.hashing.verify(Some(&account.password), &PasswordRules::normal(password)).await? {
            // A right one is told by what it confirms.
            let _ = self.note_attempt(&attempt, Given::Wrong).await;
            return Err(Refusal::Fields(vec![FieldFault::new(field, "is not this account's")]));
        }
        guess.was_right();
        Ok(())
    }

    /// `DELETE /api/v1/user`.
    pub(crate) async fn delete_own_account(
        &self,
        actor: &Actor,
        fields: &Map<String, Value>,
        request: &Incoming,
        pass: &Pass,
    ) -> Result<Answer, Refusal> {
        let mut faults = Vec::new();
        let password = secret(fields, "password", &mut faults);
        unknown_fields(fields, &fields::FAREWELL, &mut faults);
        if !faults.is_empty() {
            return Err(Refusal::Fields(faults));
        }
        self.delete_account_of(actor, &password, request, pass).await?;
        let mut answer = answer::empty(StatusCode::NO_CONTENT);
        answer.headers_mut().insert(header::SET_COOKIE, sessions::forget_cookie());
        Ok(answer)
    }

    pub(crate) async fn delete_account_of(
        &self,
        actor: &Actor,
        password: &str,
        request: &Incoming,
        pass: &Pass,
    ) -> Result<(), Refusal> {
        let account = self.account_of(actor).await?;
        self.confirm_password(&account, ("password", password), request, pass).await?;
        self.upkeep.acting_as(actor.name.as_str()).delete(&account.id).await?;
        Ok(())
    }

    /// `GET /api/v1/user/sessions`.
    pub(crate) async fn own_sessions(&self, actor: &Actor) -> Result<Answer, Refusal> {
        Ok(answer::json(StatusCode::OK, &Sessions { items: self.sessions_of(actor).await? }))
    }

    pub(crate) async fn sessions_of(&self, actor: &Actor) -> Result<Vec<SessionTold>, Refusal> {
        let (account, own) = actor.account()?;
        self.live_sessions_of(&account, own).await
    }

    /// Those that are live, the latest first.
    pub(crate) async fn live_sessions_of(
        &self,
        account: &AccountId,
        own: Option<SessionDigest>,
    ) -> Result<Vec<SessionTold>, Refusal> {
        let now = self.clock.now().wall;
        let mut sessions = self.accounts.sessions_of(account).wait().await?;
        sessions.retain(|session| session.is_live(now, self.settings.idle));
        sessions.sort_by_key(|session| std::cmp::Reverse(session.last_seen));
        Ok(sessions.iter().map(|session| told(session, own)).collect())
    }

    /// `DELETE /api/v1/user/sessions/{id}`.
    pub(crate) async fn end_own_session(&self, actor: &Actor, id: &str) -> Result<Answer, Refusal> {
        let (account, _) = actor.account()?;
        let sessions = self.accounts.sessions_of(&account).wait().await?;
        let session = sessions.iter().find(|session| session.digest.id().to_string() == id).ok_or(Refusal::NotFound)?;
        self.accounts.end_session(&session.digest).wait().await?;
        Ok(answer::empty(StatusCode::NO_CONTENT))
    }

    /// `DELETE /api/v1/user/sessions`: all but the one that asks.
    pub(crate) async fn end_other_sessions(&self, actor: &Actor) -> Result<Answer, Refusal> {
        let (account, own) = actor.account()?;
        self.accounts.end_sessions_of(&account, own).wait().await?;
        Ok(answer::empty(StatusCode::NO_CONTENT))
    }
}

fn told(session: &Session, own: Option<SessionDigest>) -> SessionTold {
    SessionTold {
        id: session.digest.id().to_string(),
        created_at: session.created,
        last_seen_at: session.last_seen,
        expires_at: session.expires,
        network: session.network.map(|network| format!("{network}/{}", if network.is_ipv4() { 24 } else { 48 })),
        agent: session.agent.to_string(),
        current: own == Some(session.digest),
    }
}

/// A demanded text that is wiped.
fn secret(fields: &Map<String, Value>, field: &str, faults: &mut Vec<FieldFault>) -> Zeroizing<String> {
    match fields.get(field) {
        Some(Value::String(text)) => Zeroizing::new(text.clone()),
        other => {
            faults.push(FieldFault::new(field, if other.is_none() { "is missing" } else { "is no text" }));
            Zeroizing::default()
        }
    }
}

/// What nobody reads, somebody misspelt.
pub(crate) fn unknown_fields(fields: &Map<String, Value>, known: &[&str], faults: &mut Vec<FieldFault>) {
    let unknown = fields.keys().filter(|field| !known.contains(&field.as_str()));
    // What an outsider called a field is repeated shortened.
    faults.extend(unknown.map(|field| FieldFault::new(field.chars().take(64).collect::<String>(), "is not known here")));
}
