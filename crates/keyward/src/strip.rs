//! Taking credentials out of a request before a handler sees it (R10.3).

use crate::policy::Policy;
use crate::source::{Place, holds_parameter, scheme_matches, without_cookie, without_parameters};

/// What a policy takes out. Query credentials always; headers and cookies of every source unless `strip_credentials` is off.
#[derive(Debug, Clone, Copy)]
pub struct Strip<'p> {
    policy: &'p Policy,
}

/// What becomes of one header line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderLine {
    /// It stays as it is.
    Keep,
    /// It goes.
    Remove,
    /// This stays of it.
    Replace(Vec<u8>),
}

impl<'p> Strip<'p> {
    pub(crate) fn new(policy: &'p Policy) -> Self {
        Self { policy }
    }

    /// Whether any query parameter is a credential's.
    pub fn touches_queries(&self) -> bool {
        self.places().any(|place| matches!(place, Place::Query { .. }))
    }

    /// The query without credentials, all other bytes untouched. The outer `None`: nothing to take out. The inner: nothing is
    /// left.
    pub fn query(&self, query: &str) -> Option<Option<String>> {
        without_parameters(query, |name| self.is_ours(name))
    }

    /// Whether a query holds any credential, used or not.
    pub(crate) fn query_holds_any(&self, query: &str) -> bool {
        self.touches_queries() && holds_parameter(query, |name| self.is_ours(name))
    }

    fn is_ours(&self, parameter: &[u8]) -> bool {
        self.places().any(|place| matches!(place, Place::Query { name } if name.as_bytes() == parameter))
    }

    /// What becomes of one line of a header. Names in lower case.
    pub fn header(&self, name: &str, line: &[u8]) -> HeaderLine {
        if !self.policy.response.strip_credentials {
            return HeaderLine::Keep;
        }
        if name == "cookie" {
            let ours =
                |cookie: &[u8]| self.places().any(|place| matches!(place, Place::Cookie { name } if name.as_bytes() == cookie));
            return match without_cookie(line, ours) {
                None => HeaderLine::Keep,
                Some(rest) if rest.is_empty() => HeaderLine::Remove,
                Some(rest) => HeaderLine::Replace(rest),
            };
        }
        let goes = self.places().any(|place| match place {
            // A line of another scheme is not ours: the handler may want it.
            Place::Header { name: ours, scheme, .. } => {
                ours.as_str() == name && scheme.as_deref().is_none_or(|scheme| scheme_matches(line, scheme))
            }
            _ => false,
        });
        if goes {
            return HeaderLine::Remove;
        }
        if name == "sec-websocket-protocol" { self.subprotocols(line) } else { HeaderLine::Keep }
    }

    fn subprotocols(&self, line: &[u8]) -> HeaderLine {
        let ours = |offer: &[u8]| {
            let offer = crate::source::trim_blanks(offer);
            self.places().any(|place| {
                matches!(place, Place::Subprotocol { prefix } if offer.strip_prefix(prefix.as_bytes()).is_some_and(|rest| rest.starts_with(b".")))
            })
        };
        let offers = || line.split(|&byte| byte == b',');
        if !offers().any(ours) {
            return HeaderLine::Keep;
        }
        let kept: Vec<&[u8]> = offers().filter(|offer| !ours(offer)).collect();
        let kept = kept.join(&b',');
        let kept = crate::source::trim_blanks(&kept);
        if kept.is_empty() { HeaderLine::Remove } else { HeaderLine::Replace(kept.to_vec()) }
    }

    fn places(&self) -> impl Iterator<Item = &'p Place> {
        self.policy.sources.iter().map(|source| &source.place)
    }

    /// Takes credentials out of headers of `http`.
    pub fn headers(&self, headers: &mut http::HeaderMap) {
        for name in self.header_names() {
            let Some(first) = headers.get(name) else { continue };
            let several = headers.get_all(name).iter().nth(1).is_some();
            if !several && self.header(name.as_str(), first.as_bytes()) == HeaderLine::Remove {
                headers.remove(name);
                continue;
            }
            let lines: Vec<HeaderLine> =
                headers.get_all(name).iter().map(|value| self.header(name.as_str(), value.as_bytes())).collect();
            if lines.iter().all(|line| *line == HeaderLine::Keep) {
                continue;
            }
            let before: Vec<http::HeaderValue> = headers.get_all(name).iter().cloned().collect();
            headers.remove(name);
            for (line, value) in lines.into_iter().zip(before) {
                match line {
                    HeaderLine::Keep => drop(headers.append(name, value)),
                    HeaderLine::Remove => {}
                    HeaderLine::Replace(rest) => {
                        if let Ok(value) = http::HeaderValue::from_bytes(&rest) {
                            headers.append(name, value);
                        }
                    }
                }
            }
        }
    }

    fn header_names(&self) -> impl Iterator<Item = &'p http::HeaderName> {
        let on = self.policy.response.strip_credentials;
        self.places().filter(move |_| on).filter_map(|place| match place {
            Place::Header { name, .. } => Some(name),
            Place::Cookie { .. } => Some(&http::header::COOKIE),
            Place::Subprotocol { .. } => Some(&http::header::SEC_WEBSOCKET_PROTOCOL),
            Place::Query { .. } => None,
        })
    }

    /// The URI without credentials, if it had any.
    pub fn uri(&self, uri: &http::Uri) -> Option<http::Uri> {
        let stripped = self.query(uri.query()?)?;
        let target = match stripped {
            Some(query) => format!("{}?{query}", uri.path()),
            None => uri.path().to_owned(),
        };
        let mut parts = uri.clone().into_parts();
        // What was a query and is a part of it now is a query still; should it not be, nothing may be left of it.
        parts.path_and_query = Some(target.parse().unwrap_or_else(|_| http::uri::PathAndQuery::from_static("/")));
        Some(http::Uri::from_parts(parts).unwrap_or_default())
    }
}
