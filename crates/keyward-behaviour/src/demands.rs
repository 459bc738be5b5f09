//! What the conformance servers do beyond the policy, by the path's first segment.

use crate::model::{authorize::Demands, request::ModelRequest, target};

/// The demands of a path: `/optional/…` lets a missing key through, `/scoped/{scope}/…` demands the scope.
pub fn demands_of_path(path: &str) -> Demands {
    let mut segments = path.split('/').skip(1);
    match (segments.next(), segments.next()) {
        (Some("optional"), Some(_)) => Demands { optional: true, ..Demands::default() },
        (Some("scoped"), Some(scope)) if !scope.is_empty() => Demands { scopes: vec![scope.to_owned()], ..Demands::default() },
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
        for path in ["/optional", "/scoped", "/scoped/", "/a/optional/b", "/%6fptional/a"] {
            assert_eq!(demands_of_path(path), Demands::default(), "{path}");
        }
    }
}
