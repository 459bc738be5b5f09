//! How requests are answered: headers, texts, WebSockets, tickets.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};

use super::Checker;
use super::sources::MEANS_SOMETHING_ELSE;
use crate::policy::file::{ConfiguredKeysFile, ResponseFile, TicketsFile, WebSocketFile};
use crate::policy::{BodyStyle, ResponseRules, Texts, TicketRules, WebSocketRules};
use crate::ticket::keyed::LONGEST_ISSUER;

/// Ids are echoed and logged, so no header that may hold a secret, nor one that the answer needs, can carry one.
fn may_carry_an_id(name: &HeaderName) -> bool {
    const HOLDS_OR_ANSWERS: [&str; 14] = [
        "authorization",
        "cache-control",
        "content-security-policy",
        "location",
        "permissions-policy",
        "proxy-authorization",
        "ratelimit",
        "ratelimit-policy",
        "referrer-policy",
        "retry-after",
        "set-cookie",
        "strict-transport-security",
        "vary",
        "www-authenticate",
    ];
    let name = name.as_str();
    !MEANS_SOMETHING_ELSE.contains(&name) && !HOLDS_OR_ANSWERS.contains(&name) && !name.starts_with("x-ratelimit-")
}

impl Checker {
    pub(super) fn response(&mut self, written: &ResponseFile) -> ResponseRules {
        let style = [("problem", BodyStyle::Problem), ("detail", BodyStyle::Detail), ("error", BodyStyle::Error)];
        let request_id_header = match written.request_id_header.as_deref() {
            None => HeaderName::from_static("x-request-id"),
            Some(name) => HeaderName::try_from(name).ok().filter(may_carry_an_id).unwrap_or_else(|| {
                self.fault(
                    "response.request_id_header",
                    format!("`{name}` is no header for ids"),
                    "write a name that means nothing else, like \"X-Request-ID\": its value is echoed and logged",
                );
                HeaderName::from_static("x-request-id")
            }),
        };
        let mut fixed_headers = Vec::new();
        if written.security_headers {
            for (name, value) in [
                ("x-content-type-options", "nosniff"),
                ("x-frame-options", "DENY"),
                ("referrer-policy", "no-referrer"),
                ("permissions-policy", "geolocation=(), microphone=(), camera=()"),
                ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ] {
                fixed_headers.push((HeaderName::from_static(name), HeaderValue::from_static(value)));
            }
        }
        if let Some(hsts) = &written.hsts
            && let Some(value) = self.header_value("response.hsts", hsts)
        {
            fixed_headers.push((http::header::STRICT_TRANSPORT_SECURITY, value));
        }
        let (mut draft, mut legacy) = (written.rate_limit_headers.is_none(), false);
        for (index, name) in written.rate_limit_headers.iter().flatten().enumerate() {
            match name.as_str() {
                "draft" => draft = true,
                "legacy" => legacy = true,
                other => self.fault(
                    format!("response.rate_limit_headers[{index}]"),
                    format!("`{other}` is not known"),
                    "write \"draft\", \"legacy\", both or none",
                ),
            }
        }
        let text = |text: &Option<String>| text.as_deref().map(Into::into);
        ResponseRules {
            body: self.word("response.body", written.body.as_deref(), &style),
            texts: Texts {
                missing: text(&written.missing),
                unauthorized: text(&written.unauthorized),
                forbidden_address: text(&written.forbidden_address),
                forbidden_scope: text(&written.forbidden_scope),
                limited: text(&written.limited),
                conflict: text(&written.conflict),
                unavailable: text(&written.unavailable),
            },
            challenge: written.challenge.as_deref().and_then(|written| self.challenge("response.challenge", written)),
            request_id_header,
            fixed_headers,
            draft_rate_limit: draft,
            legacy_rate_limit: legacy,
            strip_credentials: written.strip_credentials.unwrap_or(true),
        }
    }

    pub(super) fn header_value(&mut self, field: &str, written: &str) -> Option<HeaderValue> {
        let value = HeaderValue::from_str(written).ok().filter(|value| !value.is_empty());
        if value.is_none() {
            self.fault(field, "cannot stand in a header", "write visible ASCII");
        }
        value
    }

    pub(super) fn origin(&mut self, field: &str, written: &str) -> Option<Box<str>> {
        let origin = written.parse::<Uri>().ok().and_then(|url| {
            let scheme = url.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"))?.to_owned();
            let authority = url.authority().filter(|authority| !authority.as_str().contains('@'))?.as_str().to_ascii_lowercase();
            let default_port = if scheme == "https" { ":443" } else { ":80" };
            let authority = authority.strip_suffix(default_port).unwrap_or(&authority);
            (matches!(url.path(), "" | "/") && url.query().is_none()).then(|| format!("{scheme}://{authority}").into())
        });
        if origin.is_none() {
            self.fault(
                field,
                format!("`{written}` is no origin"),
                "write scheme and host alone, like \"https://api.example.com\"",
            );
        }
        origin
    }

    pub(super) fn websocket(&mut self, written: &WebSocketFile) -> WebSocketRules {
        let close_code = written.close_code.unwrap_or(1008);
        // RFC 6455 §7.4: what an endpoint may send; 1005, 1006 and 1015 never stand in a frame.
        if !matches!(close_code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
            self.fault(
                "websocket.close_code",
                format!("{close_code} cannot be sent"),
                "write 1008, or 3000 to 4999 for a code of your own",
            );
        }
        if written.connections_per_key == Some(0) {
            self.fault(
                "websocket.connections_per_key",
                "is 0, so that nobody could connect",
                "write at least 1, or leave it out",
            );
        }
        let closes = self.word("websocket.on_denial", written.on_denial.as_deref(), &[("refuse", false), ("close", true)]);
        WebSocketRules {
            close_code: closes.then_some(close_code),
            origins: self.each("websocket.allowed_origins", &written.allowed_origins, Self::origin),
            connections_per_key: written.connections_per_key,
        }
    }

    pub(super) fn tickets(&mut self, written: &TicketsFile, configured: &[ConfiguredKeysFile]) -> Option<TicketRules> {
        let lifetime = written.lifetime.as_deref().unwrap_or("300s");
        let seconds = lifetime
            .strip_suffix('s')
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|digits| digits.parse::<u64>().ok());
        let seconds = seconds.filter(|seconds| (1..=300).contains(seconds));
        if seconds.is_none() {
            self.fault(
                "tickets.lifetime",
                format!("`{lifetime}` is no lifetime of a ticket"),
                "write whole seconds, from \"1s\" to \"300s\"",
            );
        }
        if written.query.as_deref() == Some("") {
            self.fault("tickets.query", "is empty", "name the parameter, like \"token\"");
        }
        let issuer = written.issuer.as_deref().unwrap_or("keyward");
        let is_telling = |byte: u8| byte.is_ascii_graphic() && !b"\"\\".contains(&byte);
        if issuer.is_empty() || issuer.len() > LONGEST_ISSUER || !issuer.bytes().all(is_telling) {
            self.fault(
                "tickets.issuer",
                "cannot stand in a ticket",
                format!("write 1 to {LONGEST_ISSUER} visible ASCII characters without quotes and backslashes"),
            );
        }
        if written.plain {
            // R14.3: nothing is kept of what others sign, so nothing can be used once only.
            if written.single_use != Some(false) {
                self.fault(
                    "tickets.plain",
                    "needs `single_use = false`",
                    "write it beside: plain tickets can be used until they expire",
                );
            }
            if !matches!(configured, [one] if one.separator.is_none()) {
                self.fault(
                    "tickets.plain",
                    "needs one configured key, which signs the tickets",
                    "name one variable in [[configured_keys]], without `separator`",
                );
            }
        }
        let named = written.query.is_some()
            || written.lifetime.is_some()
            || written.issuer.is_some()
            || written.single_use.is_some()
            || written.plain;
        named.then(|| TicketRules {
            parameter: written.query.as_deref().unwrap_or("token").into(),
            lifetime: Duration::from_secs(seconds.unwrap_or(1)),
            issuer: issuer.into(),
            single_use: written.single_use.unwrap_or(true),
            plain: written.plain,
        })
    }
}
