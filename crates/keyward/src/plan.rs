//! Which headers a guard reads, prepared once, and what it reads from them beside credentials.

use http::{HeaderName, header};
use smallvec::SmallVec;

use crate::authenticator::{Ambient, Authenticator};
use crate::browser::{Sender, is_origin, only};
use crate::clock::Now;
use crate::head::{Head, Wanted};
use crate::network::ClientHeader;
use crate::policy::Policy;
use crate::source::{Place, is_token_byte, trim_blanks};
use crate::websocket::{Handshake, is_key};

/// The wanted headers, and at which place each stands.
pub(crate) struct HeaderPlan {
    names: Vec<HeaderName>,
    sources: Vec<Option<usize>>,
    request_id: usize,
    client: Option<usize>,
    cookie: usize,
    origin: usize,
    fetch_site: usize,
    upgrade: usize,
    connection: usize,
    request_method: usize,
    content_length: usize,
    transfer_encoding: usize,
    websocket_key: usize,
    websocket_version: usize,
    /// `None`: no handshake is ever completed here.
    subprotocols: Option<usize>,
    /// Whether any source is limited to WebSocket handshakes.
    asks_for_websocket: bool,
}

/// How much of a WebSocket handshake a request is, for what a handshake is permitted. What is forbidden on handshakes is by
/// [`HeaderPlan::may_open_websocket`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Handshaking {
    No,
    /// Its `Upgrade` and `Connection` ask for a WebSocket.
    Asks,
    /// A server may complete it (RFC 6455 §4.2.1).
    Completely,
}

impl HeaderPlan {
    pub(crate) fn new<'a>(policy: &Policy, own: impl Iterator<Item = &'a dyn Authenticator>) -> Self {
        let mut names = Vec::new();
        let mut place = |name: HeaderName| {
            names.iter().position(|known| *known == name).unwrap_or_else(|| {
                names.push(name);
                names.len() - 1
            })
        };
        let sources = policy.sources.iter().map(|source| match &source.place {
            Place::Header { name, .. } => Some(place(name.clone())),
            Place::Cookie { .. } => Some(place(header::COOKIE)),
            Place::Subprotocol { .. } => Some(place(header::SEC_WEBSOCKET_PROTOCOL)),
            Place::Query { .. } => None,
        });
        let sources = sources.collect();
        for authenticator in own {
            for name in authenticator.headers() {
                place(name.clone());
            }
        }
        let client = policy.client_header.map(|header| {
            place(match header {
                ClientHeader::XForwardedFor => HeaderName::from_static("x-forwarded-for"),
                ClientHeader::XRealIp => HeaderName::from_static("x-real-ip"),
                ClientHeader::Forwarded => header::FORWARDED,
            })
        });
        Self {
            sources,
            request_id: place(policy.response.request_id_header.clone()),
            client,
            cookie: place(header::COOKIE),
            origin: place(header::ORIGIN),
            fetch_site: place(HeaderName::from_static("sec-fetch-site")),
            upgrade: place(header::UPGRADE),
            connection: place(header::CONNECTION),
            request_method: place(header::ACCESS_CONTROL_REQUEST_METHOD),
            content_length: place(header::CONTENT_LENGTH),
            transfer_encoding: place(header::TRANSFER_ENCODING),
            websocket_key: place(header::SEC_WEBSOCKET_KEY),
            websocket_version: place(header::SEC_WEBSOCKET_VERSION),
            subprotocols: policy.websocket.close_code.map(|_| place(header::SEC_WEBSOCKET_PROTOCOL)),
            asks_for_websocket: policy.sources.iter().any(|source| source.only_websocket),
            names,
        }
    }

    pub(crate) fn names(&self) -> &[HeaderName] {
        &self.names
    }

    fn wanted(&self, index: usize) -> Wanted<'_> {
        Wanted::new(index, &self.names[index])
    }

    pub(crate) fn source_header(&self, source: usize) -> Option<Wanted<'_>> {
        self.sources[source].map(|index| self.wanted(index))
    }

    fn values<'r, H: Head + ?Sized>(&self, head: &'r H, index: usize) -> SmallVec<[&'r [u8]; 2]> {
        let mut values = SmallVec::new();
        head.header(self.wanted(index), &mut |value| values.push(value));
        values
    }

    /// The value, if there is exactly one.
    fn only<'r, H: Head + ?Sized>(&self, head: &'r H, index: usize) -> Option<&'r [u8]> {
        let (mut first, mut count) = (None, 0_usize);
        head.header(self.wanted(index), &mut |value| {
            first.get_or_insert(value);
            count += 1;
        });
        first.filter(|_| count == 1).map(trim_blanks)
    }

    pub(crate) fn request_id<'r, H: Head + ?Sized>(&self, head: &'r H) -> Option<&'r [u8]> {
        self.only(head, self.request_id)
    }

    pub(crate) fn client_lines<'r, H: Head + ?Sized>(&self, head: &'r H) -> SmallVec<[&'r [u8]; 2]> {
        self.client.map(|index| self.values(head, index)).unwrap_or_default()
    }

    /// R1.4: OPTIONS with one `Origin`, one token in `Access-Control-Request-Method`, and no body.
    pub(crate) fn is_preflight<H: Head + ?Sized>(&self, head: &H) -> bool {
        let is_token = |value: &[u8]| !value.is_empty() && value.iter().copied().all(is_token_byte);
        head.method() == "OPTIONS"
            && !self.has_body(head)
            && self.only(head, self.origin).is_some_and(|origin| !origin.is_empty())
            && self.only(head, self.request_method).is_some_and(is_token)
    }

    /// Whether a body follows, or is announced.
    fn has_body<H: Head + ?Sized>(&self, head: &H) -> bool {
        head.has_body()
            || !self.values(head, self.transfer_encoding).is_empty()
            || self.values(head, self.content_length).iter().any(|length| trim_blanks(length) != b"0")
    }

    /// Whether some framework may make a WebSocket of it: whatever is forbidden on handshakes is forbidden here.
    ///
    /// Wider than [`HeaderPlan::asks_for_websocket_in`]: axum finds `upgrade` anywhere within `Connection`, and actix-web `websocket`
    /// anywhere within `Upgrade`. To read as they do was refused, since the next version may read otherwise; but there is no
    /// answering a handshake without its key. Over HTTP/2 and HTTP/3 a CONNECT opens one, and it has none (RFC 8441).
    pub(crate) fn may_open_websocket<H: Head + ?Sized>(&self, head: &H) -> bool {
        let has_key = || !self.values(head, self.websocket_key).is_empty();
        match head.method() {
            "CONNECT" => true,
            "GET" => has_key() || self.asks_for_websocket_in(head),
            _ => false,
        }
    }

    fn asks_for_websocket_in<H: Head + ?Sized>(&self, head: &H) -> bool {
        let lists = |index, word: &[u8]| {
            let lines = self.values(head, index);
            lines
                .iter()
                .flat_map(|line| line.split(|&byte| byte == b','))
                .any(|item| trim_blanks(item).eq_ignore_ascii_case(word))
        };
        head.method() == "GET" && lists(self.upgrade, b"websocket") && lists(self.connection, b"upgrade")
    }

    /// For the sources that are limited to handshakes; where there are none, nothing is looked at.
    pub(crate) fn handshaking<H: Head + ?Sized>(&self, head: &H) -> Handshaking {
        if !self.asks_for_websocket || !self.asks_for_websocket_in(head) {
            Handshaking::No
        } else if self.complete_key(head).is_some_and(is_key) {
            Handshaking::Completely
        } else {
            Handshaking::Asks
        }
    }

    /// The key of a handshake that a server may complete, if it is one (RFC 6455 §4.2.1).
    fn complete_key<'r, H: Head + ?Sized>(&self, head: &'r H) -> Option<&'r [u8]> {
        // RFC 9110 allows a list of protocols to upgrade to, and frameworks disagree about whom that lets upgrade; nobody sends one.
        let is_alone = self.only(head, self.upgrade)?.eq_ignore_ascii_case(b"websocket");
        if !self.asks_for_websocket_in(head)
            || !is_alone
            || self.has_body(head)
            || self.only(head, self.websocket_version)? != b"13"
        {
            return None;
        }
        self.only(head, self.websocket_key)
    }

    /// What the answer to a valid handshake depends on; `None` for an invalid one, and where none is answered.
    pub(crate) fn handshake<H: Head + ?Sized>(&self, policy: &Policy, head: &H) -> Option<Handshake> {
        let protocols = self.subprotocols?;
        let key = self.complete_key(head)?;
        let lines = self.values(head, protocols);
        let offers = lines.iter().flat_map(|line| line.split(|&byte| byte == b',')).map(trim_blanks);
        let is_credential = |offer: &[u8]| {
            policy.sources.iter().any(|source| match &source.place {
                Place::Subprotocol { prefix } => offer.strip_prefix(prefix.as_bytes()).is_some_and(|rest| rest.starts_with(b".")),
                _ => false,
            })
        };
        Handshake::new(key, offers, is_credential)
    }

    /// R13: whether a credential that came in a cookie may count for this request.
    ///
    /// The own origin is what the policy says, never `Host`: whoever sends the request chooses that.
    pub(crate) fn cookie_may_count<H: Head + ?Sized>(&self, policy: &Policy, head: &H) -> bool {
        let is_handshake = self.may_open_websocket(head);
        if !is_handshake && matches!(head.method(), "GET" | "HEAD" | "OPTIONS") {
            return true;
        }
        let origins = self.values(head, self.origin);
        let is = |known: &str| matches!(origins[..], [origin] if is_origin(origin, known));
        if is_handshake && policy.websocket.origins.iter().any(|friend| is(friend)) {
            // A friend's page is another site: its handshakes say so.
            return true;
        }
        let sites = self.values(head, self.fetch_site);
        match Sender::told(&origins, sites.iter().copied(), policy.public_origin()) {
            Sender::OwnPage => true,
            Sender::Untold => !is_handshake,
            Sender::OtherPage => false,
        }
    }

    pub(crate) fn ambient<'r, H: Head + ?Sized>(&'r self, own: &dyn Authenticator, head: &'r H, now: Now) -> Ambient<'r> {
        let cookie = own.cookie().and_then(|name| only(self.values(head, self.cookie).iter().copied(), name));
        let mut headers = Vec::new();
        for wanted in own.headers() {
            if let Some(index) = self.names.iter().position(|name| name == wanted) {
                head.header(self.wanted(index), &mut |value| headers.push((&self.names[index], value)));
            }
        }
        Ambient { now, cookie, headers, connection_identity: head.connection_identity() }
    }
}
