//! What a guard makes and verifies tickets with, and the answer of its token endpoint.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use serde::Serialize;
use zeroize::Zeroizing;

use super::keyed::{self, Holder, Terms, Through};
use super::{LocalUsedTickets, ServerSecret, UsedTickets, doubt_of_key, plain, weakness_of_key};
use crate::answer::Fault;
use crate::configured::OnlyKey;
use crate::decision::{Kind, Pass};
use crate::key::Record;
use crate::policy::{ConfigError, TicketRules};
use crate::proof::AuthenticatorName;
use crate::random::Random;
use crate::respond;
use crate::source::SourceKind;

/// What a guard signs tickets of stored keys with, and where it is noted which were used.
///
/// ```
/// use keyward::ticket::{ServerSecret, Tickets};
/// use keyward::{Guard, MemoryStore, Policy, SystemRandom};
///
/// let policy = Policy::from_toml("policy.toml", "[tickets]\nquery = \"token\"")?;
/// let tickets = Tickets::new(ServerSecret::generate(&SystemRandom)?);
/// let guard = Guard::builder(policy).store(MemoryStore::new()).tickets(tickets).build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Tickets {
    secrets: Vec<ServerSecret>,
    used: Option<Arc<dyn UsedTickets>>,
}

impl Tickets {
    /// Tickets that are signed with this secret. Several servers have to have the same, and one place where used tickets are
    /// noted. A secret that is made anew at each start ends the tickets of the time before.
    pub fn new(secret: ServerSecret) -> Self {
        Self { secrets: vec![secret], used: None }
    }

    /// Accepts tickets of an older secret, too: while the secret is changed, for the lifetime of a ticket.
    #[must_use]
    pub fn previous(mut self, secret: ServerSecret) -> Self {
        self.secrets.push(secret);
        self
    }

    /// Where used tickets are noted. Without: in this process, which is right for one server alone.
    #[must_use]
    pub fn used(mut self, used: impl UsedTickets + 'static) -> Self {
        self.used = Some(Arc::new(used));
        self
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tickets(hidden)")
    }
}

/// How this guard's tickets are signed.
pub(crate) enum Signing {
    /// R14.1. `used` is `None` where they may be used until they expire.
    Keyed { secrets: Vec<ServerSecret>, used: Option<Arc<dyn UsedTickets>> },
    /// R14.3.
    Plain { key: Zeroizing<Vec<u8>>, record: Arc<Record> },
}

impl Signing {
    /// `None`: the policy takes no tickets, or the key that would sign them is not set.
    pub(crate) fn new(
        rules: Option<&TicketRules>,
        tickets: Option<Tickets>,
        only: Option<OnlyKey>,
        random: &Arc<dyn Random>,
        before: Option<&Self>,
    ) -> Result<Option<Self>, ConfigError> {
        let Some(rules) = rules else { return Ok(None) };
        if rules.plain {
            let Some(OnlyKey { variable, key, record }) = only else { return Ok(None) };
            if let Some(weakness) = weakness_of_key(&key) {
                return Err(ConfigError::one(
                    variable,
                    format!("signs tickets, and {weakness}"),
                    "use 32 random bytes or more: `openssl rand -base64 32`, or `keyward generate`",
                ));
            }
            if let Some(doubt) = doubt_of_key(&key) {
                tracing::warn!(
                    target: "keyward",
                    "{variable} signs tickets, and {doubt}: whoever has seen one of its tickets can try guesses against it, as many as \
                     they like. `openssl rand -base64 32` makes a better one"
                );
            }
            return Ok(Some(Self::Plain { key, record }));
        }
        let Some(Tickets { secrets, used }) = tickets else {
            return Err(ConfigError::one(
                "tickets",
                "the policy takes tickets, and the guard has no secret to sign them with",
                "call `GuardBuilder::tickets`, or leave [tickets] out of the policy",
            ));
        };
        let used = match used {
            _ if !rules.single_use => None,
            Some(used) => Some(used),
            // A guard that takes over from another one goes on with its tickets.
            None if let Some(Self::Keyed { used: Some(used), .. }) = before => Some(used.clone()),
            None => {
                let local = LocalUsedTickets::with(random.clone(), LocalUsedTickets::MOST);
                Some(Arc::new(local.map_err(|fault| ConfigError::one("", fault.to_string(), ""))?) as Arc<dyn UsedTickets>)
            }
        };
        Ok(Some(Self::Keyed { secrets, used }))
    }
}

impl TicketRules {
    pub(crate) fn terms(&self) -> Terms<'_> {
        Terms { issuer: &self.issuer, lifetime: self.lifetime }
    }
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct TicketTold<'t> {
    token: &'t str,
    /// In seconds.
    expires_in: u64,
}

impl Pass {
    /// The answer of a token endpoint: exchanges the key that the request came with for a ticket, which opens one WebSocket (R14).
    ///
    /// 200 with `{"token": …, "expires_in": …}`. The policy's 401 for nobody; its 403 for whoever has no stored key (or, for
    /// plain tickets, not the one configured), or did not send it in a header: a ticket must not beget tickets, and a key in a
    /// URL is known to too many. 404 where the policy takes no tickets. The policy's 503 while used tickets cannot be noted (R10);
    /// 500 without any detail where a ticket could not be signed.
    ///
    /// `path` is the one that the client sent, for a [`Renderer`](crate::Renderer).
    pub async fn ticket(&self, path: &str) -> Response<Bytes> {
        let deny = |kind| respond::deny_later(self, kind, path).into_response();
        let (Some(rules), Some(signing)) = (&self.guard.policy.tickets, &self.guard.signing) else {
            return respond::plain_status(self, http::StatusCode::NOT_FOUND);
        };
        let Some(principal) = self.principal() else { return deny(Kind::Missing) };
        let by_header = matches!(principal.source(), Some(SourceKind::Bearer | SourceKind::Header));
        let (Some(record), true) = (principal.record(), by_header) else { return deny(Kind::Kind) };
        let now = self.guard.clock.now();
        let minted: Result<String, Fault> = match signing {
            Signing::Plain { key, record: signer } if signer.id == record.id => Ok(plain::mint(key, rules.lifetime, now.wall)),
            Signing::Keyed { secrets, used } if principal.authenticator() == AuthenticatorName::Store.as_str() => {
                let through = if principal.is_by_previous_secret() { Through::Previous } else { Through::Current };
                let holder = Holder { key: record.id, epoch: record.epoch, through };
                // The id is there to tell tickets apart, whether or not it is noted that they were used.
                let id = match used {
                    Some(used) => match used.issue(now).wait().await {
                        Ok(id) => Ok(id),
                        Err(fault) => {
                            tracing::error!(target: "keyward", %fault, request_id = self.request_id.as_str(), "a ticket could not be made");
                            return deny(Kind::Unavailable);
                        }
                    },
                    None => super::TicketId::random(&*self.guard.random),
                };
                id.and_then(|id| {
                    let secret = secrets.first().ok_or_else(|| Fault::new("there is no secret to sign tickets with"))?;
                    Ok(keyed::mint(secret, rules.terms(), holder, &id, now.wall))
                })
            }
            Signing::Plain { .. } | Signing::Keyed { .. } => return deny(Kind::Kind),
        };
        match minted {
            Ok(token) => {
                let told = TicketTold { token: &token, expires_in: rules.lifetime.as_secs() };
                let mut answer = Response::new(respond::as_json(&told));
                let headers = answer.headers_mut();
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
                answer
            }
            Err(fault) => {
                tracing::error!(target: "keyward", %fault, "a ticket could not be signed");
                respond::plain_status(self, http::StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }
}
