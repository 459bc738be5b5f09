//! What a framework built on tower keeps beside a request.

use std::net::IpAddr;

use http::{Extensions, Uri};
use keyward::{Peer, Strip};

/// Where a framework keeps the peer's address, and its copies of the URI.
pub trait Framework: Clone + Copy + Send + Sync + 'static {
    /// The address of the connection's other end.
    fn peer(extensions: &Extensions) -> Option<IpAddr>;

    /// The URI as the client sent it, where routing cuts a prefix off the request's own.
    fn original_uri(extensions: &Extensions) -> Option<&Uri>;

    /// Takes query credentials out of every copy of the URI.
    fn strip(extensions: &mut Extensions, strip: Strip<'_>);
}

/// No framework: plain `http` types. The peer is a [`keyward::Peer`] among the extensions.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Plain;

impl Framework for Plain {
    fn peer(extensions: &Extensions) -> Option<IpAddr> {
        extensions.get::<Peer>().map(|peer| peer.0)
    }

    fn original_uri(_: &Extensions) -> Option<&Uri> {
        None
    }

    fn strip(_: &mut Extensions, _: Strip<'_>) {}
}
