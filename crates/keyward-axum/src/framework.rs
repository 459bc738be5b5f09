//! What axum keeps beside a request.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, OriginalUri};
use http::{Extensions, Uri};
use keyward::{Peer, Strip};
use keyward_tower::Framework;

/// axum: the peer from `ConnectInfo<SocketAddr>`, the URI from `OriginalUri`.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Axum;

impl Framework for Axum {
    fn peer(extensions: &Extensions) -> Option<IpAddr> {
        let connected = || extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        extensions.get::<Peer>().map(|peer| peer.0).or_else(connected)
    }

    fn original_uri(extensions: &Extensions) -> Option<&Uri> {
        extensions.get::<OriginalUri>().map(|uri| &uri.0)
    }

    fn strip(extensions: &mut Extensions, strip: Strip<'_>) {
        if let Some(original) = extensions.get_mut::<OriginalUri>()
            && let Some(stripped) = strip.uri(&original.0)
        {
            original.0 = stripped;
        }
    }
}
