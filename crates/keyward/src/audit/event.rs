//! The event: made from the decision, after it. Nothing in it can hold a secret: it has no query, no header and no credential.

use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;

use crate::clock::Timestamp;
use crate::decision::Kind;
use crate::guard::Parts;
use crate::head::Head;
use crate::proof::Allowed;
use crate::trail::Trail;

/// One decision, told; or a password that somebody gave ([`AuditEvent::of_password`]), or what happened to the program itself
/// ([`AuditEvent::of_limits`], [`AuditEvent::of_audit`]). Serialises to the fields of the JSON audit line.
#[derive(Debug, Clone, Copy, Serialize)]
#[non_exhaustive]
pub struct AuditEvent<'a> {
    /// When the decision began.
    pub timestamp: Timestamp,
    /// How urgent it is.
    pub level: Level,
    /// `api_key_accepted`, `api_key_rejected`, `anonymous_accepted`, or `open_access` where no key is looked at; `limits_away`,
    /// `limits_back`, `audit_started`, `audit_stopped`, `sign_in_accepted`, `sign_in_rejected`, `password_rejected`.
    pub event: &'static str,
    /// `allow` or `deny`; where nobody asked for anything, `away` or `back`, `started` or `stopped`.
    pub outcome: &'static str,
    /// The denial's kind, or `valid`, `anonymous`, `open-access`; for limits, what holds while they are away.
    pub reason: &'static str,
    /// The status of a denial; 200 stands for "it goes on", 0 for what is no request.
    pub status: u16,
    /// The request's id.
    pub request_id: &'a str,
    /// The event's own id, in hexadecimal digits.
    #[serde(serialize_with = "hexadecimal")]
    pub event_id: u128,
    /// The method, as sent.
    pub method: &'a str,
    /// The path, as sent, without the query. What has the shape of a generated key, a session or a ticket ends in `***`.
    pub path: &'a str,
    /// The client's address, through the trusted proxies.
    pub client_ip: Option<IpAddr>,
    /// Whether the way to the client could not be read to its end.
    pub client_ip_flagged: bool,
    /// `present` or `absent`.
    pub key_status: &'static str,
    /// The key's id, where the key is known.
    pub key_id: Option<&'a str>,
    /// What may be shown of the key, where it is known.
    pub key_prefix: Option<&'a str>,
    /// The principal's or the record's name for people.
    pub name: Option<&'a str>,
    /// Whose key it is.
    pub owner: Option<&'a str>,
    /// Which authenticator knew it.
    pub authenticator: Option<&'a str>,
    /// Where the credential stood.
    pub source: Option<&'static str>,
    /// A rule that would have denied, were it enforced.
    pub report_only: Option<&'static str>,
    /// How long the decision took, where the sink wants to know.
    #[serde(serialize_with = "microseconds", rename = "latency_us")]
    pub latency: Option<Duration>,
}

/// How urgent an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// For finding faults.
    Debug,
    /// An allowed request.
    Info,
    /// A denied one; or one that was allowed because no key is configured.
    Warning,
    /// One that could not be decided.
    Error,
}

impl Level {
    /// The name in audit lines.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
        }
    }
}

impl std::str::FromStr for Level {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let levels = [Self::Debug, Self::Info, Self::Warning, Self::Error];
        levels
            .into_iter()
            .find(|level| level.as_str().eq_ignore_ascii_case(text))
            .ok_or("a level is DEBUG, INFO, WARNING or ERROR")
    }
}

impl AuditEvent<'static> {
    /// Limits that several processes share are away, or back: what holds of them has changed for every request. `mode` is what
    /// holds while they are away. Nothing else is known of such an event, so its other fields are empty.
    pub fn of_limits(away: bool, mode: &'static str, timestamp: Timestamp, event_id: u128) -> Self {
        let (level, event, outcome) =
            if away { (Level::Warning, "limits_away", "away") } else { (Level::Info, "limits_back", "back") };
        Self::of_the_program(level, event, outcome, mode, timestamp, event_id)
    }

    /// A file of audit events begins, or goes on, with this event; or it ends with it. A beginning that follows no end tells of a
    /// program that was killed. `reason` says how: `new`, `continued`, `torn`; `asked` for an end.
    pub fn of_audit(begins: bool, reason: &'static str, timestamp: Timestamp, event_id: u128) -> Self {
        let (event, outcome) = if begins { ("audit_started", "started") } else { ("audit_stopped", "stopped") };
        let level = if reason == "torn" { Level::Warning } else { Level::Info };
        Self::of_the_program(level, event, outcome, reason, timestamp, event_id)
    }

    /// Somebody gave a password. `event` says what for and what became of it, like `sign_in_accepted`, `sign_in_rejected` or
    /// `password_rejected`. Who it was, from where and in which request is for the caller to fill in: `name` is the e-mail address, and
    /// `owner` the account's id. There is no field for the password.
    pub fn of_password(event: &'static str, accepted: bool, reason: &'static str, timestamp: Timestamp, event_id: u128) -> Self {
        let (level, outcome) = if accepted { (Level::Info, "allow") } else { (Level::Warning, "deny") };
        let status = if accepted { 200 } else { 401 };
        Self { status, ..Self::of_the_program(level, event, outcome, reason, timestamp, event_id) }
    }

    fn of_the_program(
        level: Level,
        event: &'static str,
        outcome: &'static str,
        reason: &'static str,
        timestamp: Timestamp,
        event_id: u128,
    ) -> Self {
        Self {
            timestamp,
            level,
            event,
            outcome,
            reason,
            status: 0,
            request_id: "",
            event_id,
            method: "",
            path: "",
            client_ip: None,
            client_ip_flagged: false,
            key_status: "absent",
            key_id: None,
            key_prefix: None,
            name: None,
            owner: None,
            authenticator: None,
            source: None,
            report_only: None,
            latency: None,
        }
    }
}

impl<'a> AuditEvent<'a> {
    /// `path` is what may be shown of it.
    pub(crate) fn of<H: Head + ?Sized>(
        guard: &Parts,
        trail: &'a Trail<'_, H>,
        path: &'a str,
        end: &'a Result<Allowed, Kind>,
    ) -> Self {
        let principal = match end {
            Ok(allowed) => allowed.principal(),
            Err(_) => trail.denied.as_ref(),
        };
        let dead = trail.dead.as_deref().filter(|_| principal.is_none());
        let level = match end {
            Err(Kind::Unavailable) => Level::Error,
            Err(_) => Level::Warning,
            Ok(_) if trail.open_access => Level::Warning,
            Ok(_) => Level::Info,
        };
        let latency = || Duration::from_nanos(guard.clock.now().steady.saturating_sub(trail.now.steady));
        Self {
            timestamp: trail.now.wall,
            level,
            event: match end {
                Err(_) => "api_key_rejected",
                Ok(_) if trail.open_access => "open_access",
                Ok(allowed) if allowed.principal().is_none() => "anonymous_accepted",
                Ok(_) => "api_key_accepted",
            },
            outcome: if end.is_ok() { "allow" } else { "deny" },
            reason: match end {
                Ok(allowed) => allowed.reason(),
                Err(kind) => kind.as_str(),
            },
            status: match end {
                Ok(_) => 200,
                Err(kind) => crate::respond::status(*kind).as_u16(),
            },
            request_id: trail.request_id.as_str(),
            event_id: guard.random.identifier(),
            method: trail.head.method(),
            path,
            client_ip: trail.client.address,
            client_ip_flagged: trail.client.flagged,
            key_status: if trail.has_presented(guard) { "present" } else { "absent" },
            key_id: principal
                .and_then(|principal| principal.record())
                .map(|record| record.id.as_str())
                .or_else(|| dead.map(|record| record.id.as_str())),
            key_prefix: principal
                .and_then(|principal| principal.key_prefix())
                .or_else(|| dead.map(|record| &*record.current.prefix)),
            name: principal.map(|principal| principal.name()).or_else(|| dead.map(|record| &*record.name)),
            owner: principal.and_then(|principal| principal.owner()).or_else(|| dead.and_then(|record| record.owner.as_deref())),
            authenticator: principal.map(|principal| principal.authenticator()),
            source: trail.source.map(crate::source::SourceKind::as_str),
            report_only: trail.report.map(Kind::as_str),
            latency: guard.sink.wants_latency().then(latency),
        }
    }
}

fn hexadecimal<S: serde::Serializer>(id: &u128, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{id:032x}"))
}

#[expect(clippy::ref_option, reason = "the shape that serde asks for")]
fn microseconds<S: serde::Serializer>(latency: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match latency {
        Some(latency) => serializer.serialize_f64(latency.as_nanos() as f64 / 1_000.0),
        None => serializer.serialize_none(),
    }
}
