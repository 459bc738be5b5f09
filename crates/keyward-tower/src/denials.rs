//! In which of its forms a denial leaves.

use bytes::Bytes;
use http::Response;
use keyward::Denial;

/// Said once for a layer by whoever writes the program. A request has no word in it: a denial that looks like a success has to
/// stay with clients that look at `grpc-status`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Denials {
    Http,
    Grpc,
}

impl Denials {
    pub(crate) fn answer(self, denial: Denial) -> Response<Bytes> {
        match self {
            Self::Http => denial.into_response(),
            Self::Grpc => denial.into_grpc_response(),
        }
    }
}
