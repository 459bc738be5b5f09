//! WebSockets that end when the key that opened them does.
//!
//! The middleware sees a connection open, and no more of it. What holds one afterwards is a [`LiveSocket`]: it runs the handler for
//! as long as the key is good.
//!
//! Refused: a socket that tells the handler to end. One that waits for something else, or that only sends, would not hear it.

use std::cell::Ref;
use std::future::{Ready, ready};
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::rt;
use actix_web::rt::time::{Instant, sleep_until, timeout};
use actix_web::{FromRequest, HttpRequest};
use actix_ws::{CloseReason, MessageStream, Session};
use futures_util::future::{Either, select};
use keyward::{Pass, SocketEnd, Sweeper};

use crate::Unauthenticated;
use crate::authenticated::pass;
use crate::connection::Connection;

/// A client has so long to take in what it was sent before the close frame, and as long again to take that and say so.
const CLOSED_WITHIN: Duration = Duration::from_secs(1);

/// After a handler has returned, a client has so long to take in what is left for it. The key is still good: it may be slow.
const TAKEN_IN_WITHIN: Duration = Duration::from_secs(10);

/// How often a connection looks whether anybody looks after the keys. Whoever did may have ended with its worker.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(1);

/// An open WebSocket and the key that opened it, as an argument of the handler that accepts the handshake.
///
/// ```
/// use actix_web::{Error, HttpRequest, HttpResponse, rt, web};
/// use keyward_actix::LiveSocket;
///
/// async fn echo(live: LiveSocket, request: HttpRequest, body: web::Payload) -> Result<HttpResponse, Error> {
///     let (answer, session, messages) = actix_ws::handle(&request, body)?;
///     rt::spawn(live.run(session, messages, async |mut session, mut messages| {
///         while let Some(Ok(message)) = messages.recv().await {
///             if let actix_ws::Message::Text(text) = message
///                 && session.text(text).await.is_err()
///             {
///                 break;
///             }
///         }
///     }));
///     Ok(answer)
/// }
/// ```
///
/// The connection counts against the policy's `connections_per_key` until it has ended. One of these that is dropped without
/// [`run`](Self::run) watches nothing.
///
/// A route that no guard is around answers 500 and tells the log why.
#[derive(Debug)]
#[must_use = "a connection ends with its key only while this runs it"]
pub struct LiveSocket {
    live: keyward::LiveSocket,
    connection: Option<Connection>,
}

impl LiveSocket {
    /// Runs a handler on the WebSocket until it returns, or the key ends. Spawn it: the handshake's answer is sent by the server once
    /// it is returned.
    ///
    /// When the key ends, the handler is dropped wherever it stands, and the client is sent a close frame with the
    /// [`SocketEnd`]'s code and reason, behind at most 32 messages that wait for it. When the handler returns, or this future is
    /// dropped, the client is sent a close frame without a code, unless it was sent one already. In any case it is the last that is
    /// sent: clones of the session that are left elsewhere, in other tasks, fail from then on with [`actix_ws::Closed`].
    ///
    /// On a server with [`on_connect`](crate::on_connect), a client that does not take in what it is sent is disconnected: a second
    /// after the close frame of a key that has ended, ten after a handler that has returned. On others it stays for as long as it
    /// likes, and counts against `connections_per_key` while more than actix-web buffers waits for it.
    ///
    /// # Errors
    /// Why the connection had to end before the handler returned.
    ///
    /// # Panics
    /// Outside of actix-web's runtime.
    pub async fn run<T>(
        mut self,
        session: Session,
        messages: MessageStream,
        handler: impl AsyncFnOnce(Session, MessageStream) -> T,
    ) -> Result<T, SocketEnd> {
        let held = Held { session: Some(session.clone()), connection: self.connection.take() };
        let ran = {
            let handled = pin!(handler(session, messages));
            match select(pin!(self.ended()), handled).await {
                Either::Left((end, _)) => Err(end),
                Either::Right((returned, _)) => Ok(returned),
            }
        };
        held.close(ran.as_ref().err().map(close_reason)).await;
        ran
    }

    /// Waits until the connection has to end, for WebSockets of other crates than `actix-ws`: whoever waits has to end it then, with
    /// the [`SocketEnd`]'s code and reason. For a principal without a stored key: for ever.
    ///
    /// # Panics
    /// Outside of actix-web's runtime.
    pub async fn ended(&mut self) -> SocketEnd {
        loop {
            if let Some(sweeper) = self.live.sweeper() {
                rt::spawn(sweep(sweeper));
            }
            if let Ok(end) = timeout(TAKEN_OVER_WITHIN, self.live.ended()).await {
                return end;
            }
        }
    }

    /// The core's part of it.
    pub fn into_inner(self) -> keyward::LiveSocket {
        self.live
    }
}

impl FromRequest for LiveSocket {
    type Error = Unauthenticated;
    type Future = Ready<Result<Self, Unauthenticated>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let live = |pass: Ref<'_, Pass>| Self { live: pass.live_socket(), connection: Connection::of(request) };
        ready(pass(request, "LiveSocket").map(live))
    }
}

/// Looks after all keys of the guard that hold connections open, on whatever worker.
async fn sweep(mut sweeper: Sweeper) {
    loop {
        // Not a pause after each sweep: a store that takes its time would put off the next one by that.
        let next = Instant::now() + Sweeper::INTERVAL;
        if timeout(Sweeper::INTERVAL, sweeper.sweep()).await == Ok(false) {
            return;
        }
        sleep_until(next).await;
    }
}

fn close_reason(end: &SocketEnd) -> CloseReason {
    CloseReason { code: end.code().into(), description: Some(end.reason().to_owned()) }
}

/// A connection that nobody may use any more after this is gone.
struct Held {
    session: Option<Session>,
    connection: Option<Connection>,
}

impl Held {
    async fn close(mut self, reason: Option<CloseReason>) {
        let Some(session) = self.session.take() else { return };
        if reason.is_none() {
            self.end_after(TAKEN_IN_WITHIN);
        }
        // A task of its own, which goes on where the client does not read: the frame is for when it does.
        let _ = timeout(CLOSED_WITHIN, rt::spawn(session.close(reason))).await;
    }

    fn end_after(&mut self, patience: Duration) {
        if let Some(connection) = self.connection.take() {
            connection.end_after(patience);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // The handler has panicked, or was aborted.
        if let Some(session) = self.session.take() {
            // The first poll ends all clones at once, and sends the frame if there is room for it. There may be no runtime left to
            // wait for more.
            let _ = pin!(session.close(None)).poll(&mut Context::from_waker(Waker::noop()));
        }
        self.end_after(CLOSED_WITHIN);
    }
}
