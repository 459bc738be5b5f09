//! The guard around warp's real routes, over real sockets.

mod answers;
mod connections;
mod hostile;
#[cfg(feature = "websocket")]
mod live;
mod patience;
mod rejections;
mod support;
mod targets;
mod unguarded;
mod websockets;
