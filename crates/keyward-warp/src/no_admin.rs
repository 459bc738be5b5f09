//! What stands in for `admin` where nothing is answered beside the routes.

/// Nothing is answered beside the routes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Beside;

impl Beside {
    pub(crate) fn around<S>(self, service: S) -> S {
        service
    }
}
