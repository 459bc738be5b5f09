//! A request of actix-web, lent to the guard.

use std::cell::{Ref, RefCell};
use std::net::IpAddr;

use actix_web::dev::{Extensions, Payload, RequestHead, ServiceRequest};
use actix_web::http::{Method, Version};
use actix_web::{HttpMessage as _, HttpRequest};
use futures_util::{FutureExt as _, StreamExt as _, stream};
use keyward::{ConnectionIdentity, Head, Pass, Peer, Wanted};

use crate::names::Names;

/// The head as it came: actix-web's router and its scopes cut nothing off it, and decode another copy of the path.
pub(crate) struct Lent<'r> {
    request: &'r HttpRequest,
    head: &'r RequestHead,
    extensions: Ref<'r, Extensions>,
    payload: RefCell<&'r mut Payload>,
    names: &'r Names,
}

impl<'r> Lent<'r> {
    pub(crate) fn of(request: &'r mut ServiceRequest, names: &'r Names) -> Self {
        let (request, payload) = request.parts_mut();
        let request = &*request;
        Self { request, head: request.head(), extensions: request.extensions(), payload: RefCell::new(payload), names }
    }

    /// What a guard around this one has decided.
    pub(crate) fn pass(&self) -> Option<&Pass> {
        self.extensions.get()
    }
}

/// What the request's own extensions say counts before what those of its connection say.
fn extension<'r, T: 'static>(request: &'r HttpRequest, extensions: &'r Extensions) -> Option<&'r T> {
    extensions.get::<T>().or_else(|| request.conn_data::<T>())
}

/// The socket's. `ConnectionInfo::realip_remote_addr` believes `Forwarded` of anybody.
pub(crate) fn peer(request: &HttpRequest, extensions: &Extensions) -> Option<IpAddr> {
    let connected = || request.peer_addr().map(|address| address.ip());
    extension::<Peer>(request, extensions).map(|peer| peer.0).or_else(connected)
}

impl Head for Lent<'_> {
    fn method(&self) -> &str {
        self.head.method.as_str()
    }

    fn path(&self) -> &str {
        self.head.uri.path()
    }

    fn query(&self) -> Option<&str> {
        self.head.uri.query()
    }

    fn header<'a>(&'a self, which: Wanted<'_>, each: &mut dyn FnMut(&'a [u8])) {
        if let Some(name) = self.names.wanted(which.index()) {
            self.head.headers.get_all(name).for_each(|value| each(value.as_bytes()));
        }
    }

    fn peer(&self) -> Option<IpAddr> {
        peer(self.request, &self.extensions)
    }

    /// HTTP/1 announces a body in headers, which the guard reads itself. Over HTTP/2, actix-web tells nobody whether the stream
    /// has ended, so it is asked for its first piece; preflights alone depend on the answer.
    fn has_body(&self) -> bool {
        if self.head.version < Version::HTTP_2 || self.head.method != Method::OPTIONS {
            return false;
        }
        let mut payload = self.payload.borrow_mut();
        match payload.next().now_or_never() {
            Some(None) => false,
            None => true,
            Some(Some(first)) => {
                let rest = payload.take();
                **payload = Payload::Stream { payload: stream::iter([first]).chain(rest).boxed_local() };
                true
            }
        }
    }

    fn connection_identity(&self) -> Option<&str> {
        extension::<ConnectionIdentity>(self.request, &self.extensions).map(|identity| identity.0.as_str())
    }
}
