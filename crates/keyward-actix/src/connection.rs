//! The TCP connection beneath a WebSocket: what counts for as long as it lives, and ending it by force.
//!
//! To actix-web a WebSocket is an answer's body. The body may be over, and what is left of it wait for a client that never reads:
//! nothing can then be told to the server, which keeps the connection for as long as that client cares to. Only whoever has the
//! socket can end it, and the server lends it once, when the connection begins.
//!
//! Refused: an error as the end of the body, which has the server drop the connection. While too much waits to be sent, the body is
//! not asked.

use std::any::Any;
use std::error::Error;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, EitherBody, MessageBody};
use actix_web::dev::{Extensions, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::rt::net::TcpStream;
use actix_web::web::Bytes;
use actix_web::{HttpMessage as _, HttpRequest};
use keyward::Pass;
use pin_project_lite::pin_project;
use socket2::{SockRef, Socket};
use tokio::runtime::Handle;
use tokio::time::sleep;

/// Lets [`LiveSocket::run`](crate::LiveSocket::run) end the connection of a client that does not read. For `HttpServer::on_connect`:
///
/// ```no_run
/// # use actix_web::{App, HttpServer};
/// # fn serve() -> std::io::Result<()> {
/// HttpServer::new(|| App::new()).on_connect(keyward_actix::on_connect).bind("127.0.0.1:3000")?;
/// # Ok(())
/// # }
/// ```
///
/// Without it, actix-web keeps such a connection for as long as the client does. Each connection of the server takes one more file
/// descriptor with it. It is for servers without TLS of their own; for others, see [`remember_socket`].
pub fn on_connect(io: &dyn Any, connection: &mut Extensions) {
    if let Some(socket) = io.downcast_ref::<TcpStream>() {
        remember_socket(socket, connection);
    }
}

/// [`on_connect`] for servers with TLS, where the connection lies within a stream of another type: of `tokio-rustls`, it is
/// `tls.get_ref().0`. For a closure in `HttpServer::on_connect` that finds it there.
pub fn remember_socket(socket: &TcpStream, connection: &mut Extensions) {
    match SockRef::from(socket).try_clone() {
        Ok(socket) => {
            connection.insert(Connection(Arc::new(Beneath { socket, handshake: Mutex::default() })));
        }
        Err(error) => {
            tracing::error!(target: "keyward", %error, "a connection cannot be ended by force: no file descriptor is left for it");
        }
    }
}

/// The connection of a request, where the server lends it.
#[derive(Debug, Clone)]
pub(crate) struct Connection(Arc<Beneath>);

#[derive(Debug)]
struct Beneath {
    socket: Socket,
    /// Of a connection that has become a WebSocket. It counts while this is here: until the server has dropped the connection.
    handshake: Mutex<Option<Pass>>,
}

impl Connection {
    pub(crate) fn of(request: &HttpRequest) -> Option<Self> {
        request.conn_data::<Self>().cloned()
    }

    /// Ends it, unless the server has ended it by then.
    pub(crate) fn end_after(self, patience: Duration) {
        let Ok(runtime) = Handle::try_current() else { return self.0.end() };
        let beneath = Arc::downgrade(&self.0);
        runtime.spawn(async move {
            sleep(patience).await;
            if let Some(beneath) = beneath.upgrade() {
                beneath.end();
            }
        });
    }

    fn is_of(&self, pass: Pass) {
        *self.0.handshake.lock().unwrap_or_else(PoisonError::into_inner) = Some(pass);
    }
}

impl Beneath {
    fn end(&self) {
        // A handshake that its handler has refused after all: the connection may go on with other requests.
        if self.handshake.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
            return;
        }
        // What is left to send is for nobody: without this the system would go on trying. It fails where the connection is gone.
        let _ = self.socket.set_linger(Some(Duration::ZERO));
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

/// Lets a WebSocket count until its connection has ended, or, where the server does not lend it, its body has.
pub(crate) fn counted<B: MessageBody + 'static>(answer: ServiceResponse<B>) -> ServiceResponse<EitherBody<B>> {
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        return answer.map_into_left_body();
    }
    let Some(pass) = answer.request().extensions().get::<Pass>().cloned() else { return answer.map_into_left_body() };
    match Connection::of(answer.request()) {
        Some(connection) => {
            connection.is_of(pass);
            answer.map_into_left_body()
        }
        None => answer.map_body(|_, body| EitherBody::right(BoxBody::new(Counted { body, _handshake: pass }))),
    }
}

pin_project! {
    struct Counted<B> {
        #[pin]
        body: B,
        _handshake: Pass,
    }
}

impl<B: MessageBody> MessageBody for Counted<B> {
    type Error = Box<dyn Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.project().body.poll_next(context).map_err(Into::into)
    }
}
