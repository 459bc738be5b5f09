//! Random changes to a place, each beside the same change to accounts in memory; after each, all that can be asked is compared.

use std::sync::Arc;

use keyward::account::{Account, AccountChange, AccountJournalled, MemoryAccounts, Session};
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::{
    any::AnyAccounts,
    bench::{Bench, account, at, by, journal, password, session},
    harness::AccountSubject,
    steps::{Step, sequences},
};
use crate::stores::{Ability, Outcome, Problem, entered, holds, same};

/// How many steps a sequence has at most.
const LONGEST: usize = 40;

/// Tries sequences of steps, and shrinks the first of which something else comes than in memory. `PROPTEST_CASES` sets their number.
pub(crate) fn run(subject: &AccountSubject, cases: u32) -> Result<(), String> {
    let said = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let cases = said.unwrap_or(cases);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 1_000, ..Config::default() };
    let _runtime = entered();
    let tried = TestRunner::new(config).run(&sequences(LONGEST), |sequence| {
        run_sequence(subject, &sequence).map_err(|problem| TestCaseError::fail(problem.text().to_owned()))
    });
    tried.map_err(|failure| failure.to_string())
}

fn run_sequence(subject: &AccountSubject, sequence: &[Step]) -> Outcome {
    let memory = AnyAccounts(Arc::new(MemoryAccounts::new()));
    let mut trial = Trial { bench: Bench::new(subject)?, memory, accounts: Vec::new(), sessions: Vec::new() };
    for (index, step) in sequence.iter().enumerate() {
        let at = |problem: Problem| problem.while_doing(format_args!("step {}, {step:?}", index + 1));
        trial.step(step).map_err(at)?;
        trial.compare().map_err(at)?;
    }
    Ok(())
}

/// A place and accounts in memory, side by side.
struct Trial {
    bench: Bench,
    memory: AnyAccounts,
    /// All that were tried to be made, with their first password.
    accounts: Vec<Account>,
    /// All that were tried to be begun.
    sessions: Vec<Session>,
}

/// One of the latest, if there are so many.
fn latest<T>(all: &[T], which: usize) -> Option<&T> {
    all.iter().rev().nth(which)
}

impl Trial {
    /// The same of both, and the same answer. That somebody fails is no answer, and both have to.
    fn both<T: PartialEq + std::fmt::Debug>(&self, ask: impl Fn(&AnyAccounts) -> Result<T, Problem>) -> Outcome {
        let (expected, got) = (ask(&self.memory), ask(&self.bench.accounts()?));
        match (expected, got) {
            (Ok(expected), Ok(got)) => same("the answer", expected, got),
            (Err(_), Err(_)) => Ok(()),
            (Err(expected), Ok(got)) => Err(Problem::new(format!("expected a fault ({expected:?}), got {got:?}"))),
            (Ok(expected), Err(got)) => Err(Problem::new(format!("expected {expected:?}, got a fault ({got:?})"))),
        }
    }

    fn change(&self, whose: usize, change: &AccountChange) -> Outcome {
        let Some(account) = latest(&self.accounts, whose) else { return Ok(()) };
        self.both(|accounts| accounts.change(&account.id, change.clone(), by("ada")))
    }

    fn digest(&self, which: Option<usize>) -> Option<keyward::account::SessionDigest> {
        which.and_then(|which| latest(&self.sessions, which)).map(|session| session.digest)
    }

    fn step(&mut self, step: &Step) -> Outcome {
        match *step {
            Step::Add { address, again, only_as_first } => {
                let mut account = account(&format!("n{address}"))?;
                if again && let Some(other) = self.accounts.last() {
                    account.id = other.id;
                }
                self.accounts.push(account.clone());
                self.both(|accounts| accounts.add(&account, only_as_first, by("ada")))
            }
            Step::Rename { whose, text } => {
                self.change(whose, &AccountChange::Rename { first_name: text.into(), last_name: text.into() })
            }
            Step::Password { whose, old, new, keeps } => {
                let keeps = self.digest(keeps);
                let (instead_of, hash) = (password(old)?, password(new)?);
                self.change(whose, &AccountChange::Password { instead_of, hash, keeps })
            }
            Step::Admin { whose, value } => self.change(whose, &AccountChange::Admin(value)),
            Step::Disabled { whose, value } => self.change(whose, &AccountChange::Disabled(value)),
            Step::Remove { whose } => {
                let Some(account) = latest(&self.accounts, whose) else { return Ok(()) };
                self.both(|accounts| accounts.remove(&account.id, by("ada")))
            }
            Step::Begin { whose, which, again, seen, expires } => {
                let Some(account) = latest(&self.accounts, whose) else { return Ok(()) };
                let mut session = Session { last_seen: at(seen), expires: at(expires), ..session(account)? };
                if again && let Some(other) = self.sessions.last() {
                    session.digest = other.digest;
                }
                self.sessions.push(session.clone());
                let verified = password(which)?;
                self.both(|accounts| accounts.begin(&session, &verified))
            }
            Step::Saw { session, seen } => {
                let Some(digest) = self.digest(Some(session)) else { return Ok(()) };
                self.both(|accounts| accounts.saw(&digest, at(seen)))
            }
            Step::End { session } => {
                let Some(digest) = self.digest(Some(session)) else { return Ok(()) };
                self.both(|accounts| accounts.end(&digest))
            }
            Step::EndAll { whose, but } => {
                let Some(account) = latest(&self.accounts, whose) else { return Ok(()) };
                let but = self.digest(but);
                self.both(|accounts| accounts.end_all(&account.id, but))
            }
            Step::Sweep { over_before, unseen_since } => self.both(|accounts| accounts.sweep(at(over_before), at(unseen_since))),
            Step::Page { after, limit } => {
                let after = after.and_then(|which| latest(&self.accounts, which)).map(|account| account.id);
                self.both(|accounts| accounts.page(after, limit))
            }
            Step::Reopen => match self.bench.subject.lasts {
                Ability::Yes => self.bench.reopen(),
                Ability::No(_) => Ok(()),
            },
        }
    }

    fn compare(&self) -> Outcome {
        self.both(|accounts| accounts.page(None, 1_000))?;
        for account in &self.accounts {
            self.both(|accounts| accounts.account(&account.id))?;
            self.both(|accounts| accounts.account_at(&account.address))?;
            self.both(|accounts| accounts.sessions_of(&account.id))?;
        }
        for session in &self.sessions {
            self.both(|accounts| accounts.session(&session.digest))?;
        }
        // Some numbers may be left out.
        self.both(|accounts| {
            let rows = journal(accounts)?;
            Ok(rows.into_iter().map(|row| AccountJournalled { number: 0, ..row }).collect::<Vec<_>>())
        })?;
        holds("there is no account without an address", self.bench.accounts()?.page(None, 1_000)?.len() <= 4)
    }
}
