//! The named cases of real WebSockets: opened through the guard, or refused by it (R12).

use std::collections::BTreeMap;

use futures_util::{SinkExt as _, StreamExt as _};
use http::{Request, header::SEC_WEBSOCKET_PROTOCOL};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    client_async,
    tungstenite::{Error, Message, client::IntoClientRequest as _},
};

use crate::{
    harness::Adapter,
    service::{Away, Place, Service},
    wire::Protocol,
};

/// A handshake and what must come of it.
#[derive(Clone, Copy, Debug)]
pub struct SocketCase {
    /// The rule's number and what it means here.
    pub name: &'static str,
    policy: &'static str,
    target: &'static str,
    headers: &'static [(&'static str, &'static str)],
    expected: Expected,
}

#[derive(Clone, Copy, Debug)]
enum Expected {
    /// It opens with this subprotocol, and the handler saw this query.
    Opens { subprotocol: Option<&'static str>, query: Option<&'static str> },
    /// It is answered with this status.
    Refused(u16),
}

const QUERY: &str = "sources = [{ header = 'X-API-Key' }, { query = 'api_key', only = 'websocket' }]";

const SUBPROTOCOL: &str = "sources = [{ subprotocol = 'base64url.auth' }]";

/// Every case of a socket. The one key is `alpha`; `YWxwaGE` is that in base64url.
pub fn all() -> Vec<SocketCase> {
    let opens = |subprotocol, query| Expected::Opens { subprotocol, query };
    vec![
        SocketCase {
            name: "R12 a socket with a key opens",
            policy: "",
            target: "/ws/a?b=1",
            headers: &[("X-API-Key", "alpha")],
            expected: opens(None, Some("b=1")),
        },
        SocketCase {
            name: "R12.1 a handshake without a key is answered with the denial",
            policy: "",
            target: "/ws/a",
            headers: &[],
            expected: Expected::Refused(401),
        },
        SocketCase {
            name: "R12.1 a handshake with a bad key is answered with the denial",
            policy: "",
            target: "/ws/a",
            headers: &[("X-API-Key", "wrong")],
            expected: Expected::Refused(401),
        },
        SocketCase {
            name: "R10.3 a key in the query of a handshake is gone",
            policy: QUERY,
            target: "/ws/a?b=1&api_key=alpha",
            headers: &[],
            expected: opens(None, Some("b=1")),
        },
        SocketCase {
            name: "R12 a subprotocol is selected as without a guard",
            policy: "",
            target: "/ws/a",
            headers: &[("X-API-Key", "alpha"), ("Sec-WebSocket-Protocol", "chat, superchat")],
            expected: opens(Some("chat"), None),
        },
        SocketCase {
            name: "R12.2 the real subprotocol is selected, and the credential is not echoed",
            policy: SUBPROTOCOL,
            target: "/ws/a",
            headers: &[("Sec-WebSocket-Protocol", "base64url.auth.YWxwaGE, chat")],
            expected: opens(Some("chat"), None),
        },
        SocketCase {
            name: "R12.2 a credential as the only subprotocol is refused",
            policy: SUBPROTOCOL,
            target: "/ws/a",
            headers: &[("Sec-WebSocket-Protocol", "base64url.auth.YWxwaGE")],
            expected: Expected::Refused(400),
        },
        SocketCase {
            name: "R12.3 a cookie without an origin opens no socket",
            policy: "sources = [{ cookie = 'k' }]",
            target: "/ws/a",
            headers: &[("Cookie", "k=alpha")],
            expected: Expected::Refused(403),
        },
        SocketCase {
            name: "R12.3 a cookie from an allowed origin opens a socket",
            policy: "sources = [{ cookie = 'k' }]\n[websocket]\nallowed_origins = ['https://friend.test']",
            target: "/ws/a",
            headers: &[("Cookie", "k=alpha"), ("Origin", "https://friend.test")],
            expected: opens(None, None),
        },
    ]
}

/// Runs one case on an adapter.
///
/// # Errors
/// What came instead.
pub async fn run(adapter: Adapter, case: &SocketCase) -> Result<(), String> {
    let keys = json!({ "key": "alpha", "name": "alpha" }).to_string();
    let place = Place::Adapter(adapter, Protocol::Http1);
    let service = Service::start(place, case.policy, &keys, &BTreeMap::new(), Away::Nothing).await?;
    let address = service.address().ok_or("a socket needs a server")?;
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let opened = client_async(handshake(case)?, stream).await;
    match (case.expected, opened) {
        (Expected::Refused(status), Err(Error::Http(answer))) if answer.status() == status => Ok(()),
        (Expected::Refused(status), other) => Err(format!("expected {status}, got {other:?}")),
        (Expected::Opens { .. }, Err(error)) => Err(format!("expected a socket, got {error:?}")),
        (Expected::Opens { subprotocol, query }, Ok((mut socket, answer))) => {
            let selected = answer.headers().get(SEC_WEBSOCKET_PROTOCOL).and_then(|selected| selected.to_str().ok());
            same("subprotocol", &subprotocol, &selected)?;
            same("whether there is a request id", &true, &answer.headers().contains_key("x-request-id"))?;
            let told: Value = serde_json::from_str(&next_text(&mut socket).await?).map_err(|error| error.to_string())?;
            same("principal's name", &json!("alpha"), &told["principal"]["name"])?;
            same("query", &json!(query), &told["query"])?;
            same("saw_credential", &json!(false), &told["saw_credential"])?;
            socket.send(Message::text("echo me")).await.map_err(|error| error.to_string())?;
            same("echo", &"echo me".to_owned(), &next_text(&mut socket).await?)
        }
    }
}

fn handshake(case: &SocketCase) -> Result<Request<()>, String> {
    let mut request = format!("ws://api.test{}", case.target).into_client_request().map_err(|error| error.to_string())?;
    for (name, value) in case.headers {
        let value = value.parse().map_err(|_| format!("{value:?} is no header's value"))?;
        request.headers_mut().insert(*name, value);
    }
    Ok(request)
}

async fn next_text<S>(socket: &mut S) -> Result<String, String>
where
    S: futures_util::Stream<Item = Result<Message, Error>> + Unpin,
{
    match socket.next().await {
        Some(Ok(Message::Text(text))) => Ok(text.to_string()),
        other => Err(format!("expected a text, got {other:?}")),
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, expected: &T, got: &T) -> Result<(), String> {
    if expected == got { Ok(()) } else { Err(format!("{what}: expected {expected:?}, got {got:?}")) }
}
