//! What the conformance servers do beyond the policy, by the path's first segment.

use http::StatusCode;

use crate::model::{authorize::Demands, request::ModelRequest, target};

/// The demands of a path: `/optional/…` lets a missing key through, `/scoped/{scope}/…` demands the scope, `/costing/{number}/…`
/// takes so many permissions of each quota.
pub fn demands_of_path(path: &str) -> Demands {
    let mut segments = path.split('/').skip(1);
    match (segments.next(), segments.next()) {
        (Some("optional"), Some(_)) => Demands { optional: true, ..Demands::default() },
        (Some("scoped"), Some(scope)) if !scope.is_empty() => Demands { scopes: vec![scope.to_owned()], ..Demands::default() },
        (Some("costing"), Some(number)) => Demands { cost: number.parse().unwrap_or(0), ..Demands::default() },
        _ => Demands::default(),
    }
}

/// The demands of a request's path.
pub fn demands_of(request: &ModelRequest) -> Demands {
    target::target(request).map_or_else(Demands::default, |target| demands_of_path(&target.path))
}

/// The `Cache-Control` that a handler sets by itself: on `/own-cache/…`, so that it shows what the guard does about it.
pub fn own_cache_control(path: &str) -> Option<&'static str> {
    path.starts_with("/own-cache/").then_some("public, max-age=60")
}

/// What a guard within the first one is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InnerDemand<'p> {
    /// It demands one scope more.
    Scope(&'p str),
    /// It has another policy, and decides for itself.
    Stranger,
}

/// What stands within the first guard: on `/within/{scope}/…` and `/other/…`.
pub fn inner_demand_of_path(path: &str) -> Option<InnerDemand<'_>> {
    let mut segments = path.split('/').skip(1);
    match (segments.next(), segments.next()) {
        (Some("within"), Some(scope)) if !scope.is_empty() => Some(InnerDemand::Scope(scope)),
        (Some("other"), Some(_)) => Some(InnerDemand::Stranger),
        _ => None,
    }
}

/// The status that a handler answers with: the number in `/status/{number}/…`, else 200.
pub fn own_status(path: &str) -> StatusCode {
    let number = path.strip_prefix("/status/").and_then(|rest| rest.split('/').next());
    number.and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// Whether the handler of a request answers with another status than 200.
pub fn answers_otherwise(request: &ModelRequest) -> bool {
    target::target(request).is_some_and(|target| own_status(&target.path) != StatusCode::OK)
}

/// Headers that a handler sets by itself, although the guard has some of these names: on `/own-headers/…`.
pub fn own_headers(path: &str) -> &'static [(&'static str, &'static str)] {
    if path.starts_with("/own-headers/") {
        &[
            ("x-request-id", "the handler's"),
            ("x-content-type-options", "the handler's"),
            ("x-frame-options", "the handler's"),
            ("x-own", "the handler's"),
        ]
    } else {
        &[]
    }
}

/// Whether the handler tells what is left of the headers in which credentials may stand: on `/seen/…`.
pub fn tells_headers(path: &str) -> bool {
    path.starts_with("/seen/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_segment_demands() {
        assert!(demands_of_path("/optional/a").optional);
        assert_eq!(demands_of_path("/scoped/a:b/c").scopes, ["a:b"]);
        assert_eq!(demands_of_path("/costing/5/a").cost, 5);
        for path in ["/costing/many/a", "/optional", "/scoped", "/scoped/", "/a/optional/b", "/%6fptional/a"] {
            assert_eq!(demands_of_path(path), Demands::default(), "{path}");
        }
    }
}
