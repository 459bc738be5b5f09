//! What the conformance servers demand beyond the policy, by the path's first segment.

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
