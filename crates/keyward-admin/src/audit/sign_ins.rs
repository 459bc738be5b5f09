//! Passwords that were given lately: by whom, from where, and what became of it. Never the password.
//!
//! They are told to the audit sink, where they last, and the latest are kept in memory for listings: whoever guesses passwords must not
//! fill a database. Those that were wrong take no place from those that were right.

use std::collections::VecDeque;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use keyward::account::{AccountId, EmailAddress};
use keyward::audit::{AuditEvent, AuditSink as _};
use keyward::{Fault, Pass, Timestamp};

use super::entry::Entry;
use crate::admin::Parts;
use crate::incoming::Incoming;

/// What a password was given for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GivenFor {
    SignIn,
    /// To confirm a change, by somebody who is signed in. Only wrong ones are told: a right one is followed by the change.
    Confirmation,
}

impl GivenFor {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign-in",
            Self::Confirmation => "confirm-password",
        }
    }
}

/// What became of a password that was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Given {
    Right,
    Wrong,
    /// There is no such account, or what was written is no e-mail address.
    UnknownAccount,
    DisabledAccount,
    /// It was not looked at: there were too many before.
    LockedOut,
}

impl Given {
    pub(super) fn is_accepted(self) -> bool {
        self == Self::Right
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Right => "valid",
            Self::Wrong => "wrong-password",
            Self::UnknownAccount => "unknown-account",
            Self::DisabledAccount => "disabled-account",
            Self::LockedOut => "locked-out",
        }
    }
}

/// Who gave a password, and in which request.
pub(crate) struct Attempt<'r> {
    pub(crate) given_for: GivenFor,
    pub(crate) email: Option<&'r EmailAddress>,
    pub(crate) account: Option<AccountId>,
    pub(crate) request: &'r Incoming,
    pub(crate) pass: &'r Pass,
}

impl Parts {
    /// Tells it to the audit, and keeps it for listings.
    pub(crate) async fn note_attempt(&self, attempt: &Attempt<'_>, given: Given) -> Result<(), Fault> {
        let now = self.clock.now().wall;
        let client = attempt.pass.client();
        // Each of these costs an outsider nothing, and would push the others out.
        if given != Given::LockedOut {
            let (email, account) = (attempt.email.cloned(), attempt.account);
            self.journals.sign_ins.add(SignIn { at: now, given_for: attempt.given_for, given, email, account, client });
        }
        let name = match (attempt.given_for, given.is_accepted()) {
            (GivenFor::SignIn, true) => "sign_in_accepted",
            (GivenFor::SignIn, false) => "sign_in_rejected",
            (GivenFor::Confirmation, _) => "password_rejected",
        };
        let mut event = AuditEvent::of_password(name, given.is_accepted(), given.as_str(), now, self.random.identifier());
        if given == Given::LockedOut {
            event.status = 429;
        }
        event.request_id = attempt.pass.request_id().as_str();
        event.method = attempt.request.head.method.as_str();
        event.path = attempt.request.path();
        event.client_ip = client;
        event.name = attempt.email.map(EmailAddress::as_str);
        event.owner = attempt.account.as_ref().map(AccountId::as_str);
        let recorded = self.sink.record(&event).wait().await;
        if let Err(fault) = &recorded {
            tracing::error!(target: "keyward::admin", %fault, "an audit event was not recorded");
        }
        recorded
    }
}

/// One password that was given.
#[derive(Debug, Clone)]
pub(super) struct SignIn {
    pub(super) at: Timestamp,
    pub(super) given_for: GivenFor,
    pub(super) given: Given,
    pub(super) email: Option<EmailAddress>,
    pub(super) account: Option<AccountId>,
    pub(super) client: Option<IpAddr>,
}

/// The latest of them.
#[derive(Default)]
pub(crate) struct SignIns(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    last: u64,
    accepted: VecDeque<(u64, SignIn)>,
    rejected: VecDeque<(u64, SignIn)>,
}

impl SignIns {
    /// How many are kept of those that were right, and of the others.
    const EACH: usize = 4_096;

    /// Numbers are microseconds, so that they grow across restarts, too.
    fn add(&self, sign_in: SignIn) {
        let mut kept = self.kept();
        let now = u64::try_from(sign_in.at.unix_nanoseconds() / 1_000).unwrap_or(0);
        kept.last = now.max(kept.last.saturating_add(1));
        let number = kept.last;
        let those = if sign_in.given.is_accepted() { &mut kept.accepted } else { &mut kept.rejected };
        if those.len() == Self::EACH {
            those.pop_front();
        }
        those.push_back((number, sign_in));
    }

    /// Behind a number, the oldest first.
    pub(super) fn behind(&self, after: u64, limit: usize) -> Vec<Entry> {
        let kept = self.kept();
        let behind = |those: &VecDeque<(u64, SignIn)>| -> Vec<Entry> {
            let first = those.partition_point(|(number, _)| *number <= after);
            those.range(first..).take(limit).map(|(number, sign_in)| Entry::of_sign_in(*number, sign_in)).collect()
        };
        let mut found = [behind(&kept.accepted), behind(&kept.rejected)].concat();
        found.sort_by_key(|entry| entry.number);
        found.truncate(limit);
        found
    }

    /// Before a number, the newest first.
    pub(super) fn before(&self, before: u64, limit: usize) -> Vec<Entry> {
        let kept = self.kept();
        let before = |those: &VecDeque<(u64, SignIn)>| -> Vec<Entry> {
            let end = those.partition_point(|(number, _)| *number < before);
            those.range(..end).rev().take(limit).map(|(number, sign_in)| Entry::of_sign_in(*number, sign_in)).collect()
        };
        let mut found = [before(&kept.accepted), before(&kept.rejected)].concat();
        found.sort_by_key(|entry| std::cmp::Reverse(entry.number));
        found.truncate(limit);
        found
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SignIns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = self.kept();
        write!(f, "SignIns({} accepted, {} rejected)", kept.accepted.len(), kept.rejected.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign_in(at: i64, given: Given) -> SignIn {
        let at = Timestamp::from_unix_seconds(at);
        SignIn { at, given_for: GivenFor::SignIn, given, email: None, account: None, client: None }
    }

    #[test]
    fn wrong_ones_take_no_place_from_right_ones() {
        let sign_ins = SignIns::default();
        sign_ins.add(sign_in(1, Given::Right));
        for second in 0..5_000 {
            sign_ins.add(sign_in(10 + second, Given::Wrong));
        }
        let all = sign_ins.behind(0, 100_000);
        assert_eq!((all.len(), all[0].at), (4_097, Timestamp::from_unix_seconds(1)));
        assert_eq!(all[1].at, Timestamp::from_unix_seconds(10 + 5_000 - 4_096));
        let mut reversed = sign_ins.before(u64::MAX, 100_000);
        reversed.reverse();
        let numbers = |entries: &[Entry]| entries.iter().map(|entry| entry.number).collect::<Vec<_>>();
        assert_eq!(numbers(&reversed), numbers(&all));
    }

    #[test]
    fn numbers_grow_whatever_the_clock_does() {
        let sign_ins = SignIns::default();
        for second in [5, 5, 4, 9] {
            sign_ins.add(sign_in(second, Given::Right));
        }
        let numbers: Vec<u64> = sign_ins.behind(0, 10).iter().map(|entry| entry.number).collect();
        assert_eq!(numbers, [5_000_000, 5_000_001, 5_000_002, 9_000_000]);
        assert_eq!(sign_ins.behind(5_000_001, 1)[0].number, 5_000_002);
        assert_eq!(sign_ins.before(5_000_001, 1)[0].number, 5_000_000);
    }
}
