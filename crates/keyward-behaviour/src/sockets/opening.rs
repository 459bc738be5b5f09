//! Handshakes with a key: opened through the guard, or refused by it (R12).

use http::header::SEC_WEBSOCKET_PROTOCOL;
use serde_json::json;

use super::{
    SocketCase,
    client::{Opened, handshake, same, start},
};
use crate::harness::Adapter;

/// A handshake and what must come of it.
#[derive(Clone, Copy, Debug)]
struct Opening {
    name: &'static str,
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

pub(super) fn cases() -> Vec<SocketCase> {
    OPENINGS.into_iter().map(|opening| SocketCase::new(opening.name, move |adapter| run(adapter, opening))).collect()
}

const QUERY: &str = "sources = [{ header = 'X-API-Key' }, { query = 'api_key', only = 'websocket' }]";

const SUBPROTOCOL: &str = "sources = [{ subprotocol = 'base64url.auth' }]";

const fn opens(subprotocol: Option<&'static str>, query: Option<&'static str>) -> Expected {
    Expected::Opens { subprotocol, query }
}

/// The one key is `alpha`; `YWxwaGE` is that in base64url.
const OPENINGS: [Opening; 9] = [
    Opening {
        name: "R12 a socket with a key opens",
        policy: "",
        target: "/ws/a?b=1",
        headers: &[("X-API-Key", "alpha")],
        expected: opens(None, Some("b=1")),
    },
    Opening {
        name: "R12.1 a handshake without a key is answered with the denial",
        policy: "",
        target: "/ws/a",
        headers: &[],
        expected: Expected::Refused(401),
    },
    Opening {
        name: "R12.1 a handshake with a bad key is answered with the denial",
        policy: "",
        target: "/ws/a",
        headers: &[("X-API-Key", "wrong")],
        expected: Expected::Refused(401),
    },
    Opening {
        name: "R10.3 a key in the query of a handshake is gone",
        policy: QUERY,
        target: "/ws/a?b=1&api_key=alpha",
        headers: &[],
        expected: opens(None, Some("b=1")),
    },
    Opening {
        name: "R12 a subprotocol is selected as without a guard",
        policy: "",
        target: "/ws/a",
        headers: &[("X-API-Key", "alpha"), ("Sec-WebSocket-Protocol", "chat, superchat")],
        expected: opens(Some("chat"), None),
    },
    Opening {
        name: "R12.2 the real subprotocol is selected, and the credential is not echoed",
        policy: SUBPROTOCOL,
        target: "/ws/a",
        headers: &[("Sec-WebSocket-Protocol", "base64url.auth.YWxwaGE, chat")],
        expected: opens(Some("chat"), None),
    },
    Opening {
        name: "R12.2 a credential as the only subprotocol is refused",
        policy: SUBPROTOCOL,
        target: "/ws/a",
        headers: &[("Sec-WebSocket-Protocol", "base64url.auth.YWxwaGE")],
        expected: Expected::Refused(400),
    },
    Opening {
        name: "R12.3 a cookie without an origin opens no socket",
        policy: "sources = [{ cookie = 'k' }]",
        target: "/ws/a",
        headers: &[("Cookie", "k=alpha")],
        expected: Expected::Refused(403),
    },
    Opening {
        name: "R12.3 a cookie from an allowed origin opens a socket",
        policy: "sources = [{ cookie = 'k' }]\n[websocket]\nallowed_origins = ['https://friend.test']",
        target: "/ws/a",
        headers: &[("Cookie", "k=alpha"), ("Origin", "https://friend.test")],
        expected: opens(None, None),
    },
];

async fn run(adapter: Adapter, opening: Opening) -> Result<(), String> {
    let service = start(adapter, opening.policy).await?;
    match (opening.expected, handshake(&service, opening.target, opening.headers).await?) {
        (Expected::Refused(status), Opened::Refused(answer)) => same("status", &status, &answer.status().as_u16()),
        (Expected::Refused(status), Opened::Open(_)) => Err(format!("expected {status}, got a socket")),
        (Expected::Opens { .. }, Opened::Refused(answer)) => Err(format!("expected a socket, got {answer:?}")),
        (Expected::Opens { subprotocol, query }, Opened::Open(mut socket)) => {
            let selected = socket.answer.headers().get(SEC_WEBSOCKET_PROTOCOL).and_then(|selected| selected.to_str().ok());
            same("subprotocol", &subprotocol, &selected)?;
            same("whether there is a request id", &true, &socket.answer.headers().contains_key("x-request-id"))?;
            same("principal's name", &json!("alpha"), &socket.told["principal"]["name"])?;
            same("query", &json!(query), &socket.told["query"])?;
            same("saw_credential", &json!(false), &socket.told["saw_credential"])?;
            socket.echoes().await
        }
    }
}
