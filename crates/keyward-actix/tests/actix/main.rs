//! keyward-actix against real servers and real sockets.

mod closes;
mod hostile;
mod http2;
mod live;
mod router;
mod sockets;
mod support;
mod tickets;
mod websocket;
