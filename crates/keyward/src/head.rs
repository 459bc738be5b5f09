//! The request as an adapter lends it: nothing is copied, nothing is owned.

use std::net::IpAddr;

use http::HeaderName;

/// A header that the guard wants to see: its place in [`Guard::headers`](crate::Guard::headers), and its name.
///
/// An adapter whose framework has other header types prepares its own names once, in that order, and finds them by
/// [`Wanted::index`]; others use [`Wanted::name`].
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'g> {
    index: usize,
    name: &'g HeaderName,
}

impl<'g> Wanted<'g> {
    pub(crate) fn new(index: usize, name: &'g HeaderName) -> Self {
        Self { index, name }
    }

    /// The place in the guard's list.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The header's name, lower case.
    pub fn name(&self) -> &'g HeaderName {
        self.name
    }
}

/// A request's head, lent to the guard.
///
/// What an adapter must keep to: every value of a header is given, in the order received, undecoded and unjoined; `path` is
/// the one the client sent (before any router cut a prefix off), percent-encoded; `peer` is the address of the socket, not
/// of any header. A method, path or header that the framework cannot give as it came must be denied by the adapter.
pub trait Head {
    /// The method, as sent.
    fn method(&self) -> &str;
    /// The path as sent, from its first `/`. Empty for a target without one (`CONNECT host:port`, or `GET nonsense`).
    fn path(&self) -> &str;
    /// What stands after the first `?`, if there is one.
    fn query(&self) -> Option<&str>;
    /// Calls `each` with every value of one header.
    fn header<'a>(&'a self, which: Wanted<'_>, each: &mut dyn FnMut(&'a [u8]));
    /// The address of the other end of the connection, if the framework tells it.
    fn peer(&self) -> Option<IpAddr>;
    /// Whether a body follows, where the framework knows it without the headers' word (HTTP/2 need not announce one).
    fn has_body(&self) -> bool {
        false
    }
    /// Who the connection's own security (mutual TLS) has proved the client to be, for authenticators of yours.
    fn connection_identity(&self) -> Option<&str> {
        None
    }
}

/// The address of the connection's other end, as a request extension: how a server over plain `http` types tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// The client's name as proved by the connection itself (mutual TLS), as a request extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionIdentity(pub String);

macro_rules! lend {
    ($type:ty $(, $generic:ident)?) => {
        impl$(<$generic>)? Head for $type {
            fn method(&self) -> &str {
                lend!(self method $($generic)?).as_str()
            }
            fn path(&self) -> &str {
                lend!(self uri $($generic)?).path()
            }
            fn query(&self) -> Option<&str> {
                lend!(self uri $($generic)?).query()
            }
            fn header<'a>(&'a self, which: Wanted<'_>, each: &mut dyn FnMut(&'a [u8])) {
                for value in lend!(self headers $($generic)?).get_all(which.name()) {
                    each(value.as_bytes());
                }
            }
            fn peer(&self) -> Option<IpAddr> {
                lend!(self extensions $($generic)?).get::<Peer>().map(|peer| peer.0)
            }
            fn connection_identity(&self) -> Option<&str> {
                lend!(self extensions $($generic)?).get::<ConnectionIdentity>().map(|identity| identity.0.as_str())
            }
        }
    };
    ($self:ident $part:ident B) => { $self.$part() };
    ($self:ident $part:ident) => { $self.$part };
}

lend!(http::request::Parts);
lend!(http::Request<B>, B);

/// A copy of what the guard wants of a head, for a decision that has to wait.
#[derive(Clone)]
pub(crate) struct OwnedHead {
    method: String,
    path: String,
    query: Option<String>,
    headers: Vec<Vec<Vec<u8>>>,
    peer: Option<IpAddr>,
    has_body: bool,
    connection_identity: Option<String>,
}

impl OwnedHead {
    /// Copies the wanted headers and no other.
    pub(crate) fn copy(head: &dyn Head, wanted: &[HeaderName]) -> Self {
        let headers = wanted.iter().enumerate().map(|(index, name)| {
            let mut values = Vec::new();
            head.header(Wanted::new(index, name), &mut |value| values.push(value.to_vec()));
            values
        });
        Self {
            method: head.method().to_owned(),
            path: head.path().to_owned(),
            query: head.query().map(str::to_owned),
            headers: headers.collect(),
            peer: head.peer(),
            has_body: head.has_body(),
            connection_identity: head.connection_identity().map(str::to_owned),
        }
    }
}

impl Head for OwnedHead {
    fn method(&self) -> &str {
        &self.method
    }
    fn path(&self) -> &str {
        &self.path
    }
    fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }
    fn header<'a>(&'a self, which: Wanted<'_>, each: &mut dyn FnMut(&'a [u8])) {
        self.headers.get(which.index()).into_iter().flatten().for_each(|value| each(value));
    }
    fn peer(&self) -> Option<IpAddr> {
        self.peer
    }
    fn has_body(&self) -> bool {
        self.has_body
    }
    fn connection_identity(&self) -> Option<&str> {
        self.connection_identity.as_deref()
    }
}

impl std::fmt::Debug for OwnedHead {
    /// Without the query and the headers: they may hold credentials.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnedHead").field("method", &self.method).field("path", &self.path).finish_non_exhaustive()
    }
}
