//! R13: credentials that a browser attaches by itself.

use super::{
    policy::{ModelPolicy, Place, Source},
    request::ModelRequest,
};

/// R13: whether a credential from this source may do what the request asks.
pub fn allows(policy: &ModelPolicy, request: &ModelRequest, source: &Source) -> bool {
    if !matches!(source.place, Place::Cookie(_)) {
        return true;
    }
    let handshake = request.may_open_socket();
    let safe = ["GET", "HEAD", "OPTIONS"].contains(&request.method.as_str());
    if safe && !handshake {
        return true;
    }
    let origins = request.values("Origin");
    let from_another_site = request.values("Sec-Fetch-Site").iter().any(|site| site.eq_ignore_ascii_case(b"cross-site"));
    match origins.as_slice() {
        // Whoever allows another site's page to open sockets allows what its browser says about that.
        [origin] if handshake && is_allowed_for_handshakes(policy, origin) => true,
        [origin] => is_own(policy, origin) && !from_another_site,
        [] => !handshake && !from_another_site,
        // A browser sends one: of several none is believed.
        _ => false,
    }
}

fn is_allowed_for_handshakes(policy: &ModelPolicy, origin: &[u8]) -> bool {
    policy.websocket.allowed_origins.iter().any(|allowed| origin_of(allowed).as_bytes().eq_ignore_ascii_case(origin))
}

fn is_own(policy: &ModelPolicy, origin: &[u8]) -> bool {
    policy.access.public_url.as_deref().map(origin_of).is_some_and(|own| own.as_bytes().eq_ignore_ascii_case(origin))
}

/// Scheme and authority of a URL, without the port that the scheme has anyway: as browsers write origins.
fn origin_of(url: &str) -> String {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let end = url[after_scheme..].find('/').map_or(url.len(), |at| after_scheme + at);
    let origin = url[..end].to_ascii_lowercase();
    let default_port = if origin.starts_with("https:") { ":443" } else { ":80" };
    origin.strip_suffix(default_port).unwrap_or(&origin).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_need_the_own_origin_where_it_matters() {
        let policy = ModelPolicy::from_toml(
            "[access]\npublic_url = 'https://own.test/base'\n[websocket]\nallowed_origins = ['https://friend.test']",
        )
        .unwrap();
        let cookie = Source::everywhere(Place::Cookie("k".to_owned()));
        let handshake = "Upgrade: websocket\nConnection: Upgrade\n";
        for (text, expected) in [
            ("GET /\nOrigin: https://evil.test\n\n".to_owned(), true),
            ("POST /\nOrigin: https://evil.test\n\n".to_owned(), false),
            ("POST /\nOrigin: https://own.test\n\n".to_owned(), true),
            ("POST /\nOrigin: https://friend.test\n\n".to_owned(), false),
            ("POST /\nOrigin: https://own.test\nOrigin: https://own.test\n\n".to_owned(), false),
            ("POST /\nOrigin: null\n\n".to_owned(), false),
            ("POST /\nSec-Fetch-Site: cross-site\n\n".to_owned(), false),
            ("POST /\nSec-Fetch-Site: same-site\n\n".to_owned(), true),
            ("POST /\n\n".to_owned(), true),
            (format!("GET /\n{handshake}\n"), false),
            (format!("GET /\n{handshake}Origin: https://own.test\n\n"), true),
            (format!("GET /\n{handshake}Origin: https://friend.test\n\n"), true),
            (format!("GET /\n{handshake}Origin: https://evil.test\n\n"), false),
            (format!("GET /\n{handshake}Origin: https://friend.test\nSec-Fetch-Site: cross-site\n\n"), true),
            (format!("GET /\n{handshake}Origin: https://own.test\nSec-Fetch-Site: cross-site\n\n"), false),
        ] {
            let request = ModelRequest::parse(&text, None);
            assert_eq!(allows(&policy, &request, &cookie), expected, "{text}");
            assert!(allows(&policy, &request, &Source::everywhere(Place::Bearer)));
        }
        let unnamed = ModelPolicy::default();
        let own = ModelRequest::parse("POST /\nOrigin: https://api.test\n\n", None);
        assert!(!allows(&unnamed, &own, &cookie), "Host is no input, so no origin is the own one");
    }
}
