//! Signing in and out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::Ordering;

use http::header;
use keyward::account::{Account, AccountRefused, EmailAddress, Session, SessionDigest};
use keyward::clock::Now;
use keyward::{Pass, Secret, Timestamp};

use super::PasswordRules;
use crate::actor::{Actor, Who};
use crate::admin::Parts;
use crate::answer::{self, Answer};
use crate::audit::{Attempt, Given, GivenFor};
use crate::fault::Refusal;
use crate::form::Form;
use crate::incoming::Incoming;
use crate::sessions::{self, SESSION_COOKIE};

const WRONG: Refusal = Refusal::Unauthenticated("The e-mail address or the password is wrong.");

impl Parts {
    /// `POST /api/v1/auth/login`.
    pub(crate) async fn sign_in(&self, request: &Incoming, pass: &Pass) -> Result<Answer, Refusal> {
        let form = request.form()?;
        let token = self.sign_in_by(&form, request, pass).await?;
        Ok(self.signed_in(&token, form.get("next")))
    }

    /// On to where somebody wanted to go, with the new session.
    pub(crate) fn signed_in(&self, token: &Secret, next: &str) -> Answer {
        let mut answer = answer::see_other(if is_local(next) { next } else { &self.settings.start_page });
        answer.headers_mut().insert(header::SET_COOKIE, sessions::set_cookie(token.expose()));
        answer
    }

    /// A new session for who knows the password. One that the browser had before ends: it may have been planted there.
    pub(crate) async fn sign_in_by(&self, form: &Form, request: &Incoming, pass: &Pass) -> Result<Secret, Refusal> {
        // What is no address is nobody's, and costs as much.
        let address = form.get("email").trim().parse::<EmailAddress>().ok();
        let nobodys = || "nobody@invalid".parse().ok();
        let Some(counted_as) = address.clone().or_else(nobodys) else { return Err(WRONG) };
        let attempt = Attempt { given_for: GivenFor::SignIn, email: address.as_ref(), account: None, request, pass };
        let guess = match pass.failures_spent() {
            Some(wait) => Err(wait),
            None => self.lockout.guess(pass.client(), &counted_as, self.clock.now().steady),
        };
        let guess = match guess {
            Ok(guess) => guess,
            Err(wait) => {
                // A denial keeps its status, whether it could be told or not (R11.1).
                let _ = self.note_attempt(&attempt, Given::LockedOut).await;
                return Err(Refusal::LockedOut(wait));
            }
        };
        let account = match &address {
            Some(address) => self.accounts.account_at(address).wait().await?,
            None => None,
        };
        let attempt = Attempt { account: account.as_ref().map(|account| account.id), ..attempt };
        let wrong = match &account {
            None => Given::UnknownAccount,
            Some(account) if account.is_disabled => Given::DisabledAccount,
            Some(_) => Given::Wrong,
        };
        let account = account.filter(|account| !account.is_disabled);
        let password = PasswordRules::normal(form.get("password"));
        let is_right = self.hashing.verify(account.as_ref().map(|account| &account.password), &password).await?;
        let Some(account) = account.filter(|_| is_right) else {
            let _ = self.note_attempt(&attempt, wrong).await;
            return Err(pass.charge_bad_login().await?.map_or(WRONG, Refusal::LockedOut));
        };
        let token = self.open_session(&account, request, pass).await?;
        if let Err(fault) = self.note_attempt(&attempt, Given::Right).await
            && self.guard.policy().audit_is_required()
        {
            // Nobody is signed in whom the audit does not know of.
            if let Some(session) = SessionDigest::of(token.expose()) {
                self.accounts.end_session(&session).wait().await?;
            }
            return Err(fault.into());
        }
        guess.was_right();
        if let Some(old) = sessions::cookie(request.headers(), SESSION_COOKIE).and_then(SessionDigest::of) {
            self.accounts.end_session(&old).wait().await?;
        }
        Ok(token)
    }

    pub(crate) async fn open_session(&self, account: &Account, request: &Incoming, pass: &Pass) -> Result<Secret, Refusal> {
        let now = self.clock.now();
        self.sweep(now).await?;
        let now = now.wall;
        let (token, digest) = Session::token(&*self.random)?;
        let session = Session {
            digest,
            account: account.id,
            created: now,
            last_seen: now,
            expires: now.after(self.settings.longest_session),
            network: pass.client().map(network),
            agent: agent(request),
        };
        match self.accounts.add_session(session, account.password.clone()).wait().await? {
            Ok(()) => Ok(token),
            // Removed, switched off or given another password since this one was looked at.
            Err(AccountRefused::NotFound | AccountRefused::PasswordChanged) => Err(WRONG),
            Err(refused) => Err(refused.into()),
        }
    }

    /// Removes sessions that are over, once an hour at most: by whoever signs in, since a library has no timers.
    async fn sweep(&self, now: Now) -> Result<(), Refusal> {
        const EVERY: u64 = 3_600_000_000_000;
        let swept = self.swept.load(Ordering::Relaxed);
        let is_due = swept == 0 || now.steady.saturating_sub(swept) >= EVERY;
        // Whoever comes second sees that it is being done.
        if !is_due || self.swept.compare_exchange(swept, now.steady.max(1), Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return Ok(());
        }
        let idle = i64::try_from(self.settings.idle.as_nanos()).unwrap_or(i64::MAX);
        let unseen_since = Timestamp::from_unix_nanoseconds(now.wall.unix_nanoseconds().saturating_sub(idle));
        self.accounts.sweep_sessions(now.wall, unseen_since).wait().await?;
        Ok(())
    }

    /// `POST /api/v1/auth/logout`. Whoever is not signed in is signed out already.
    pub(crate) async fn sign_out(&self, actor: Option<&Actor>) -> Result<Answer, Refusal> {
        if let Some(Actor { who: Who::Person { session: Some(session), .. }, .. }) = actor {
            self.accounts.end_session(session).wait().await?;
        }
        let mut answer = answer::see_other(&self.settings.sign_in_page);
        answer.headers_mut().insert(header::SET_COOKIE, sessions::forget_cookie());
        Ok(answer)
    }
}

/// A path of this host and nothing else: browsers take `//host` and `/\host` for another one, and drop tabs and line ends.
pub(crate) fn is_local(next: &str) -> bool {
    next.starts_with('/')
        && !next[1..].starts_with(['/', '\\'])
        && next.len() <= 2_048
        && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

/// As much of an address as people need to recognise their own.
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & 0xffff_ff00).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 80 << 80).into(),
    }
}

fn agent(request: &Incoming) -> Box<str> {
    let agent = request.headers().get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // `to_str` lets ASCII through alone, so that every place is one between characters.
    agent[..agent.len().min(Session::LONGEST_AGENT)].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_is_one_local_path() {
        for (next, local) in [
            ("/", true),
            ("/dashboard/keys?after=1", true),
            ("/a//b", true),
            ("", false),
            ("dashboard", false),
            ("//evil.example", false),
            ("/\\evil.example", false),
            ("/a\\b", false),
            ("https://evil.example/", false),
            ("javascript:alert(1)", false),
            ("/\t/evil.example", false),
            ("/\n/evil.example", false),
            ("/a b", false),
            ("/\u{e9}", false),
        ] {
            assert_eq!(is_local(next), local, "{next:?}");
        }
        assert!(is_local(&format!("/{}", "a".repeat(2_047))) && !is_local(&format!("/{}", "a".repeat(2_048))));
    }

    #[test]
    fn networks_and_not_addresses_are_kept() {
        let told = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(told("192.0.2.77"), "192.0.2.0");
        assert_eq!(told("::ffff:192.0.2.77"), "192.0.2.0");
        assert_eq!(told("2001:db8:1:2:3::4"), "2001:db8:1::");
    }
}
