//! Where keys stand, and who is asked about them.

use http::HeaderName;

use super::Checker;
use crate::policy::ConfiguredKeys;
use crate::policy::file::Source;
use crate::source::{self, Place, is_token_byte};

/// Headers of HTTP and of proxies, which can be neither a credential's nor an id's.
pub(super) const MEANS_SOMETHING_ELSE: [&str; 22] = [
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "origin",
    "proxy-connection",
    "sec-websocket-accept",
    "sec-websocket-extensions",
    "sec-websocket-key",
    "sec-websocket-protocol",
    "sec-websocket-version",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-for",
    "x-real-ip",
];

impl Checker {
    pub(super) fn sources(&mut self, written: &[Source]) -> Vec<source::Source> {
        if written.is_empty() {
            self.fault(
                "sources",
                "no key could ever be found",
                "name at least one source, or leave `sources` out for Bearer and X-API-Key",
            );
        }
        let mut sources: Vec<source::Source> = Vec::new();
        for (index, source) in written.iter().enumerate() {
            let field = format!("sources[{index}]");
            let Some(place) = self.place(&field, source) else { continue };
            self.clashes(&field, &place, &sources);
            let only_websocket =
                source.only.is_some() && self.word(&format!("{field}.only"), source.only.as_deref(), &[("websocket", true)]);
            let paths = self.each(&format!("{field}.paths"), &source.paths, Self::pattern);
            sources.push(source::Source { place, only_websocket, holds_tickets: false, paths });
        }
        sources
    }

    pub(super) fn place(&mut self, field: &str, source: &Source) -> Option<Place> {
        let named = [
            source.bearer.is_some(),
            source.header.is_some(),
            source.cookie.is_some(),
            source.query.is_some(),
            source.subprotocol.is_some(),
        ];
        if named.iter().filter(|&&named| named).count() != 1 {
            self.fault(field, "does not name exactly one place", "write one of bearer, header, cookie, query, subprotocol");
            return None;
        }
        if source.scheme.is_some() && source.header.is_none() {
            self.fault(format!("{field}.scheme"), "only a header has a scheme", "leave it out");
        }
        let token = |text: &str| !text.is_empty() && text.bytes().all(is_token_byte);
        if source.bearer == Some(false) {
            self.fault(format!("{field}.bearer"), "`false` names no place", "leave the source out");
            return None;
        }
        if source.bearer.is_some() {
            return Some(Place::Header { name: http::header::AUTHORIZATION, scheme: Some("Bearer".into()), is_bearer: true });
        }
        if let Some(header) = &source.header {
            let name = self.credential_header(&format!("{field}.header"), header)?;
            let scheme = source.scheme.as_deref();
            if scheme.is_some_and(|scheme| !token(scheme)) {
                self.fault(format!("{field}.scheme"), "is no scheme", "write a token of RFC 9110, like \"ApiKey\"");
                return None;
            }
            let is_bearer =
                name == http::header::AUTHORIZATION && scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("Bearer"));
            return Some(Place::Header { name, scheme: scheme.map(Into::into), is_bearer });
        }
        if let Some(cookie) = &source.cookie {
            if !token(cookie) {
                self.fault(
                    format!("{field}.cookie"),
                    format!("`{cookie}` is no cookie name"),
                    "write a token of RFC 6265, like \"X-API-KEY\"",
                );
                return None;
            }
            return Some(Place::Cookie { name: cookie.as_str().into() });
        }
        if let Some(query) = &source.query {
            if query.is_empty() {
                self.fault(format!("{field}.query"), "is empty", "name the parameter, like \"api_key\"");
                return None;
            }
            return Some(Place::Query { name: query.as_str().into() });
        }
        let subprotocol = source.subprotocol.as_deref().unwrap_or_default();
        if !token(subprotocol) {
            self.fault(
                format!("{field}.subprotocol"),
                "is no subprotocol name",
                "write a token, like \"base64url.bearer.authorization.keyward\"",
            );
            return None;
        }
        Some(Place::Subprotocol { prefix: subprotocol.into() })
    }

    pub(super) fn credential_header(&mut self, field: &str, written: &str) -> Option<HeaderName> {
        let Ok(name) = HeaderName::try_from(written) else {
            self.fault(field, format!("`{written}` is no header name"), "write a token of RFC 9110, like \"X-API-Key\"");
            return None;
        };
        if MEANS_SOMETHING_ELSE.contains(&name.as_str()) {
            self.fault(
                field,
                format!("`{written}` means something else in HTTP"),
                "choose a header of your own, or a cookie or subprotocol source",
            );
            return None;
        }
        Some(name)
    }

    pub(super) fn tickets_apart_from_credentials(&mut self, parameter: Option<&str>, sources: &[source::Source]) {
        let is_it = |source: &source::Source| matches!(&source.place, Place::Query { name } if Some(&**name) == parameter);
        if let Some(index) = sources.iter().position(is_it) {
            self.fault(format!("sources[{index}].query"), "is the parameter of tickets", "give keys a parameter of their own");
        }
    }

    pub(super) fn ids_apart_from_credentials(&mut self, ids: &HeaderName, sources: &[source::Source]) {
        let holds = |source: &source::Source| matches!(&source.place, Place::Header { name, .. } if name == ids);
        if let Some(index) = sources.iter().position(holds) {
            self.fault(
                format!("sources[{index}].header"),
                format!("`{ids}` carries request ids, which are echoed and logged"),
                "give credentials a header of their own",
            );
        }
    }

    pub(super) fn clashes(&mut self, field: &str, place: &Place, earlier: &[source::Source]) {
        for other in earlier {
            let clash = match (place, &other.place) {
                (Place::Header { name, scheme, .. }, Place::Header { name: other, scheme: before, .. }) if name == other => {
                    match (scheme, before) {
                        (Some(scheme), Some(before)) => scheme.eq_ignore_ascii_case(before),
                        // One of them takes the whole value: it would take the other's scheme for a part of the credential.
                        _ => true,
                    }
                }
                // Neither could be the real subprotocol beside the other (R12.2).
                (Place::Subprotocol { .. }, Place::Subprotocol { .. }) => true,
                (place, other) => place == other,
            };
            if clash {
                self.fault(field, "is read by an earlier source already", "leave one of them out, or give each its own scheme");
                return;
            }
        }
    }

    pub(super) fn authenticators(&mut self, written: Option<Vec<String>>) -> Option<Vec<String>> {
        let names = written?;
        if names.is_empty() {
            self.fault(
                "authenticators",
                "nobody could ever be authenticated",
                "leave it out for [\"session\", \"store\", \"configured\"]",
            );
        }
        for (index, name) in names.iter().enumerate().filter(|(index, name)| names[..*index].contains(name)) {
            self.fault(format!("authenticators[{index}]"), format!("`{name}` is asked twice"), "name each once");
        }
        Some(names)
    }

    pub(super) fn configured_keys(&mut self, written: &[super::file::ConfiguredKeysFile]) -> Vec<ConfiguredKeys> {
        let mut all = Vec::new();
        for (index, keys) in written.iter().enumerate() {
            let field = format!("configured_keys[{index}]");
            if keys.env.is_empty() || keys.env.contains(['=', '\0']) {
                self.fault(format!("{field}.env"), "names no environment variable", "write its name, like \"ADMIN_API_KEY\"");
            }
            if written[..index].iter().any(|earlier| earlier.env == keys.env) {
                self.fault(format!("{field}.env"), format!("`{}` is read already", keys.env), "name each variable once");
            }
            if keys.separator.as_deref() == Some("") {
                self.fault(format!("{field}.separator"), "is empty", "write \",\" or leave it out for a single key");
            }
            all.push(ConfiguredKeys {
                variable: keys.env.clone(),
                kind: keys.kind.as_deref().map(Into::into),
                scopes: self.each(&format!("{field}.scopes"), &keys.scopes, Self::scope),
                separator: keys.separator.clone(),
            });
        }
        all
    }
}
