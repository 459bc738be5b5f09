//! Taking credentials out of what a handler sees (R10.3), on actix-web's types.

use actix_web::dev::ServiceRequest;
use actix_web::http::Uri;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::http::uri::PathAndQuery;
use keyward::{HeaderLine, Strip};

use crate::names::Names;

/// Takes them out of the headers, the URI, and the router's copy of it.
pub(crate) fn strip(request: &mut ServiceRequest, strip: Strip<'_>, names: &Names) {
    if strip.touches_queries()
        && let Some(uri) = without_credentials(request.uri(), strip)
    {
        request.match_info_mut().get_mut().update(&uri);
        request.head_mut().uri = uri;
    }
    for name in names.stripped() {
        strip_header(request.headers_mut(), name, strip);
    }
}

fn without_credentials(uri: &Uri, strip: Strip<'_>) -> Option<Uri> {
    let target = match strip.query(uri.query()?)? {
        Some(query) => format!("{}?{query}", uri.path()),
        None => uri.path().to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    // What was a query and is a part of it now is a query still; should it not be, nothing may be left of it.
    parts.path_and_query = Some(target.parse().unwrap_or_else(|_| PathAndQuery::from_static("/")));
    Some(Uri::from_parts(parts).unwrap_or_default())
}

fn strip_header(headers: &mut HeaderMap, name: &HeaderName, strip: Strip<'_>) {
    let become_of = |value: &HeaderValue| strip.header(name.as_str(), value.as_bytes());
    if headers.get_all(name).all(|value| become_of(value) == HeaderLine::Keep) {
        return;
    }
    let lines = headers.remove(name);
    for value in lines {
        match become_of(&value) {
            HeaderLine::Keep => headers.append(name.clone(), value),
            HeaderLine::Remove => {}
            HeaderLine::Replace(rest) => {
                if let Ok(rest) = HeaderValue::from_bytes(&rest) {
                    headers.append(name.clone(), rest);
                }
            }
        }
    }
}
