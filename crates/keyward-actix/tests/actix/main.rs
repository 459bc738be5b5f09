//! keyward-actix against real servers and real sockets.

mod hostile;
mod http2;
mod router;
mod support;
mod websocket;
