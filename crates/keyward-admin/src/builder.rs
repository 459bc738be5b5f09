//! What an [`Admin`] is made of.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use keyward::account::AccountStore;
use keyward::audit::{AuditSink, TracingSink};
use keyward::clock::{Clock, SystemClock};
use keyward::key::{BadPrefix, KeyPrefix};
use keyward::scope::{BadScope, Scope};
use keyward::{Authenticator, ConfigError, Fault, Guard, Keys, Policy, Random, SystemRandom, ThreadPerJob, Workers};

use crate::accounts::{Accounts, Hashing, Lockout, PasswordRules, Registration};
use crate::actor::Actor;
use crate::admin::{Admin, Parts, Settings};
use crate::audit::{FailedAttempts, Journals};
use crate::keys::KeyIds;
use crate::sessions::Sessions;

/// Sets up an [`Admin`].
#[must_use]
pub struct AdminBuilder {
    keys: Keys,
    accounts: Arc<dyn AccountStore>,
    policy: Option<Policy>,
    sessions: Option<AddSessions>,
    has_accounts: bool,
    sharing: Option<Guard>,
    key_ids: KeyIds,
    settings: Settings,
    passwords: PasswordRules,
    sink: Arc<dyn AuditSink>,
    attempts: FailedAttempts,
    workers: Arc<dyn Workers>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

/// Somebody else's sessions, on their way into the guard.
type AddSessions = Box<dyn FnOnce(keyward::GuardBuilder) -> keyward::GuardBuilder + Send>;

/// Why there is no [`Admin`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// The policy cannot be used.
    #[error(transparent)]
    Policy(#[from] ConfigError),
    /// The scopes that every account holds would make each an administrator's.
    #[error("`admin` is among the scopes of every account, so that all of them would be administrators: leave it out")]
    AdminForAll,
    /// Something failed.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl AdminBuilder {
    pub(crate) fn new(keys: Keys, accounts: Arc<dyn AccountStore>) -> Self {
        let scopes = ["read:all", "write:all", "app:access"].into_iter().filter_map(|scope| scope.parse().ok());
        Self {
            keys,
            accounts,
            policy: None,
            sessions: None,
            has_accounts: true,
            sharing: None,
            key_ids: KeyIds::Texts,
            settings: Settings {
                registration: Registration::default(),
                idle: Duration::from_secs(60 * 60),
                longest_session: Duration::from_secs(24 * 60 * 60),
                scopes: scopes.collect(),
                key_prefix: KeyPrefix::keyward(),
                sign_in_page: "/dashboard/login".into(),
                start_page: "/dashboard".into(),
            },
            passwords: PasswordRules::USUAL,
            sink: Arc::new(TracingSink::new()),
            attempts: FailedAttempts::new(),
            workers: Arc::new(ThreadPerJob),
            clock: Arc::new(SystemClock::new()),
            random: Arc::new(SystemRandom),
        }
    }

    /// Networks, proxies, failure budget, own origin, texts and look of errors as in this policy, which is the application's. Nothing
    /// else of it holds here ([`Policy::for_management`]). Without an `access.public_url` no browser can sign in.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// Counts bad keys together with the application's guard, and shows how the quotas of keys stand there.
    pub fn sharing(mut self, guard: &Guard) -> Self {
        self.sharing = Some(guard.clone());
        self
    }

    /// Who is signed in, for the application's own guard, before there is an [`Admin`]: so that the two can [share](Self::sharing)
    /// what they count. With the scopes and times that are set by now.
    pub fn sessions(&self) -> Sessions {
        Sessions::new(self.accounts.clone(), self.settings.idle, self.settings.scopes.clone())
    }

    /// Somebody else's sessions in place of our own: an application that has people already. The authenticator is named `session`. An
    /// identity's `owner` owns the keys; who holds the scope `admin` looks after everybody's. Nobody signs up or in here then.
    pub fn sessions_by(mut self, sessions: impl Authenticator + 'static) -> Self {
        self.sessions = Some(Box::new(move |guard| guard.authenticator(sessions)));
        self
    }

    /// Without accounts: nobody signs up or in, and keys are looked after by keys with `keys:manage` alone. For keys in a place that
    /// keeps no accounts.
    pub fn without_accounts(mut self) -> Self {
        self.has_accounts = false;
        self
    }

    /// Who may make an account. Everybody, unless this says otherwise.
    pub fn registration(mut self, registration: Registration) -> Self {
        self.settings.registration = registration;
        self
    }

    /// How many characters a password has at least (8). NIST SP 800-63B-4 asks for 15 where nothing else is asked for.
    pub fn shortest_password(mut self, characters: usize) -> Self {
        self.passwords.shortest = characters;
        self
    }

    /// How long a session lasts that is not used (an hour), and how long one lasts at most (a day): NIST SP 800-63B-4 section 2.2.3.
    pub fn session_times(mut self, idle: Duration, longest: Duration) -> Self {
        self.settings.idle = idle;
        self.settings.longest_session = longest;
        self
    }

    /// The scopes that every account holds, and may give to its keys (`read:all`, `write:all` and `app:access`). Administrators may
    /// give any.
    ///
    /// # Errors
    /// [`BadScope`].
    pub fn account_scopes<S: AsRef<str>>(mut self, scopes: impl IntoIterator<Item = S>) -> Result<Self, BadScope> {
        self.settings.scopes = scopes.into_iter().map(|scope| scope.as_ref().parse()).collect::<Result<Vec<Scope>, _>>()?;
        Ok(self)
    }

    /// What new keys begin with, instead of `kw`.
    ///
    /// # Errors
    /// [`BadPrefix`].
    pub fn key_prefix(mut self, prefix: &str) -> Result<Self, BadPrefix> {
        self.settings.key_prefix = prefix.parse()?;
        Ok(self)
    }

    /// Keys are called by numbers, 1, 2, 3 and so on, instead of by ids that tell nobody how many keys there are: for an API whose
    /// clients take the `id` of a key for an integer. A number is given once for a store, ever. In the store, in logs and to the
    /// command line, key 7 is `000000000007`; keys that are made elsewhere keep the ids that they have.
    pub fn numbered_keys(mut self) -> Self {
        self.key_ids = KeyIds::numbers();
        self
    }

    /// Where people sign in (`/dashboard/login`), and where they are led after it (`/dashboard`): local paths.
    pub fn pages(mut self, sign_in: impl Into<Box<str>>, start: impl Into<Box<str>>) -> Self {
        self.settings.sign_in_page = sign_in.into();
        self.settings.start_page = start.into();
        self
    }

    /// Where audit events of the management go, sign-ins included. Without: to `tracing`, target `keyward::audit`.
    pub fn audit(mut self, sink: impl AuditSink + 'static) -> Self {
        self.sink = Arc::new(sink);
        self
    }

    /// Counts of failures that administrators see, together with those of the application's guard, whose audit sink is
    /// `(sink, attempts)`. Failures of the management itself are added here. Without: only those are counted.
    pub fn failed_attempts(mut self, attempts: FailedAttempts) -> Self {
        self.attempts = attempts;
        self
    }

    /// Where passwords are hashed: `tokio::task::spawn_blocking`, say. Without: a thread for each, two at once.
    pub fn workers(mut self, workers: impl Workers + 'static) -> Self {
        self.workers = Arc::new(workers);
        self
    }

    /// Another clock.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Another source of randomness.
    pub fn random(mut self, random: impl Random + 'static) -> Self {
        self.random = Arc::new(random);
        self
    }

    /// Checks and finishes. Hashes one password, which takes about 20 ms.
    ///
    /// # Errors
    /// [`AdminError`].
    pub fn build(self) -> Result<Admin, AdminError> {
        if self.settings.scopes.iter().any(|scope| scope.covers(Actor::ADMIN)) {
            return Err(AdminError::AdminForAll);
        }
        let own_sessions = self.sessions();
        let has_accounts = self.has_accounts && self.sessions.is_none();
        let policy = match self.policy {
            Some(policy) => policy,
            None => Policy::builder().build()?,
        };
        let sink: Arc<dyn AuditSink> = Arc::new((self.sink, self.attempts.clone()));
        let mut guard = self.keys.guarding(Guard::builder(policy.for_management())).audit(sink.clone()).clock(self.clock.clone());
        guard = match self.sessions {
            Some(add) => add(guard),
            None => guard.authenticator(own_sessions.clone()),
        };
        if let Some(other) = &self.sharing {
            guard = guard.sharing(other);
        }
        let guard = guard.build()?;
        let hashing = Hashing::new(self.workers, self.random.clone())?;
        let upkeep = Accounts {
            passwords: self.passwords,
            clock: self.clock.clone(),
            random: self.random.clone(),
            ..Accounts::new(self.keys.clone(), self.accounts.clone())
        };
        Ok(Admin::new(Parts {
            upkeep,
            optional: guard.optional(),
            guard,
            keys: self.keys,
            accounts: self.accounts,
            own_sessions,
            application: self.sharing,
            has_accounts,
            key_ids: self.key_ids,
            hashing,
            lockout: Lockout::new(),
            settings: self.settings,
            journals: Journals::default(),
            attempts: self.attempts,
            sink,
            swept: AtomicU64::new(0),
            clock: self.clock,
            random: self.random,
        }))
    }
}

impl fmt::Debug for AdminBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminBuilder").field("settings", &self.settings).finish_non_exhaustive()
    }
}
