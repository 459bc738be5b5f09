//! Where a credential may stand, and finding it there (R5).
//!
//! In the order of evaluation, for each source in the policy's order:
//!
//! 1. A source limited to WebSocket upgrades or to paths is looked at only there.
//! 2. Every value of its name is counted, before schemes are looked at: more than one is `duplicate`.
//! 3. What the one value holds is a candidate, well shaped or malformed. No value, or another scheme: no candidate.

mod cookie;
mod header;
mod query;
mod subprotocol;

pub(crate) use cookie::{each_cookie, without_cookie};
pub(crate) use header::{is_token_byte, scheme_matches, trim_blanks};
pub(crate) use query::{holds_parameter, without_parameters};

use std::fmt;

use http::HeaderName;
use smallvec::SmallVec;

use crate::credential::Credential;
use crate::head::{Head, Wanted};
use crate::path::{PathPattern, RulePath};
use crate::plan::Handshaking;

/// One place where a credential may stand, as the policy writes it.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) place: Place,
    pub(crate) only_websocket: bool,
    /// What stands there is a ticket, not a key (R14.2).
    pub(crate) holds_tickets: bool,
    /// Empty: everywhere.
    pub(crate) paths: Vec<PathPattern>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Header { name: HeaderName, scheme: Option<Box<str>>, is_bearer: bool },
    Cookie { name: Box<str> },
    Query { name: Box<str> },
    Subprotocol { prefix: Box<str> },
}

/// What kind of place a credential came from, as `explain` and audit events name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SourceKind {
    /// `Authorization: Bearer`.
    Bearer,
    /// Another header.
    Header,
    /// A cookie.
    Cookie,
    /// A query parameter.
    Query,
    /// A WebSocket subprotocol.
    Subprotocol,
}

impl SourceKind {
    /// The name in audit events and `explain --json`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Header => "header",
            Self::Cookie => "cookie",
            Self::Query => "query",
            Self::Subprotocol => "subprotocol",
        }
    }
}

impl std::str::FromStr for SourceKind {
    type Err = NotASource;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Self::Bearer, Self::Header, Self::Cookie, Self::Query, Self::Subprotocol];
        all.into_iter().find(|kind| kind.as_str() == text).ok_or(NotASource)
    }
}

/// What was written is no kind of source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a source is `bearer`, `header`, `cookie`, `query` or `subprotocol`")]
pub struct NotASource;

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Source {
    /// Where tickets stand: a parameter of handshakes, behind all other sources.
    /// Where keys stand unless a policy says otherwise: `Authorization: Bearer`, then `X-API-Key`.
    pub(crate) fn usual() -> Vec<Self> {
        let header = |name: HeaderName, scheme: Option<&str>| Self {
            place: Place::Header { name, scheme: scheme.map(Into::into), is_bearer: scheme.is_some() },
            only_websocket: false,
            holds_tickets: false,
            paths: Vec::new(),
        };
        vec![header(http::header::AUTHORIZATION, Some("Bearer")), header(HeaderName::from_static("x-api-key"), None)]
    }

    pub(crate) fn of_tickets(parameter: Box<str>) -> Self {
        Self { place: Place::Query { name: parameter }, only_websocket: true, holds_tickets: true, paths: Vec::new() }
    }

    pub(crate) fn kind(&self) -> SourceKind {
        match &self.place {
            Place::Header { is_bearer: true, .. } => SourceKind::Bearer,
            Place::Header { .. } => SourceKind::Header,
            Place::Cookie { .. } => SourceKind::Cookie,
            Place::Query { .. } => SourceKind::Query,
            Place::Subprotocol { .. } => SourceKind::Subprotocol,
        }
    }

    /// The header, cookie, parameter or subprotocol that is looked for.
    pub(crate) fn name(&self) -> &str {
        match &self.place {
            Place::Header { name, .. } => name.as_str(),
            Place::Cookie { name } | Place::Query { name } => name,
            Place::Subprotocol { prefix } => prefix,
        }
    }

    /// Whether the source is looked at for this request (R5.5).
    pub(crate) fn applies(&self, path: &RulePath<'_>, handshaking: Handshaking) -> bool {
        let needed = match self {
            // R14.2: it opens a connection and is used up, so that it must not be good for a request that never becomes one.
            Self { holds_tickets: true, .. } => Handshaking::Completely,
            Self { only_websocket: true, .. } => Handshaking::Asks,
            _ => Handshaking::No,
        };
        handshaking >= needed && (self.paths.is_empty() || self.paths.iter().any(|pattern| pattern.matches(path)))
    }

    pub(crate) fn holds_anything<H: Head + ?Sized>(&self, head: &H, header: Option<Wanted<'_>>) -> bool {
        !matches!(self.look(head, header), Found::Nothing)
    }

    /// Looks into the source. `header` is where it finds its header; a query source has none.
    pub(crate) fn look<'r, H: Head + ?Sized>(&self, head: &'r H, header: Option<Wanted<'_>>) -> Found<'r> {
        let Some(wanted) = header else {
            return match &self.place {
                Place::Query { name } => query::look(head.query(), name),
                _ => Found::Nothing,
            };
        };
        if let Place::Header { scheme, .. } = &self.place {
            // The most common source by far: no list is made of its one value.
            let (mut first, mut count) = (None, 0_usize);
            head.header(wanted, &mut |value| {
                first.get_or_insert(value);
                count += 1;
            });
            return match (first, count) {
                (Some(value), 1) => header::read(value, scheme.as_deref()).map_or(Found::Nothing, Found::One),
                (None, _) => Found::Nothing,
                (Some(_), _) => Found::Duplicate,
            };
        }
        let mut lines: SmallVec<[&'r [u8]; 2]> = SmallVec::new();
        head.header(wanted, &mut |line| lines.push(line));
        match &self.place {
            Place::Cookie { name } => cookie::look(&lines, name),
            Place::Subprotocol { prefix } => subprotocol::look(&lines, prefix),
            Place::Header { .. } | Place::Query { .. } => Found::Nothing,
        }
    }
}

/// What one source held.
#[derive(Debug)]
pub(crate) enum Found<'r> {
    Nothing,
    One(Credential<'r>),
    Duplicate,
    /// A subprotocol credential without a real subprotocol beside it (R12.2).
    Alone,
}

impl<'r> Found<'r> {
    /// One value is looked at; two are refused, even if they are equal (R5.1).
    fn of<T>(mut values: impl Iterator<Item = T>, read: impl FnOnce(T) -> Option<Credential<'r>>) -> Self {
        match (values.next(), values.next()) {
            (None, _) => Self::Nothing,
            (Some(value), None) => read(value).map_or(Self::Nothing, Self::One),
            (Some(_), Some(_)) => Self::Duplicate,
        }
    }
}
