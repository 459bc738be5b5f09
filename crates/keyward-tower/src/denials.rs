//! In which of its forms a denial leaves.

use bytes::Bytes;
use http::{Method, Response};
use hyper::upgrade::OnUpgrade;
use keyward::Denial;

use crate::denial_response;

/// Said once for a layer by whoever writes the program. No request can ask for the form of gRPC: a denial that looks
/// like a success has to stay with clients that look at `grpc-status`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Denials {
    Http,
    Grpc,
}

impl Denials {
    /// A call of gRPC is a POST. Whatever else comes is none, and a 200 would be more than a look of success to it: to CONNECT,
    /// proxies between open a tunnel. It can only make a denial plainer, so here the request has a word.
    pub(crate) fn to(self, method: &Method) -> Self {
        if method == Method::POST { self } else { Self::Http }
    }

    pub(crate) fn answer(self, denied: Denied) -> Response<Bytes> {
        match self {
            Self::Http => denial_response(denied.denial, denied.upgrade),
            Self::Grpc => denied.denial.into_grpc_response(),
        }
    }
}

/// A denial, and what the denied request would have become if it was a handshake. The request itself is gone by then.
pub(crate) struct Denied {
    pub(crate) denial: Denial,
    pub(crate) upgrade: Option<OnUpgrade>,
}
