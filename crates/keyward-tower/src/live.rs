//! WebSockets that end when the key that opened them does.
//!
//! A layer sees a connection open, and no more of it. So the handler's own part of it is a [`HeldSocket`], which can be taken away
//! from it at any time: [`run`] holds the connection, and the handler for as long as the key is good. Adapters of frameworks have
//! this under a name of their own; it is for servers on hyper, and for WebSockets of other crates.
//!
//! Refused: a socket that tells the handler to end. One that waits for something else, or that only sends, would not hear it.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use keyward::{LiveSocket, SocketEnd, Sweeper};
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};

/// A client has so long to take the close frame, behind what else it was sent, and as long again to say that it has.
const CLOSED_WITHIN: Duration = Duration::from_secs(1);

/// How often a connection looks whether anybody looks after the keys. Whoever did may have ended with its runtime, or by a panic of
/// the store.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(1);

/// Runs a handler on an open WebSocket until it ends, or the key does.
///
/// When the key ends, the handler is dropped wherever it stands, the message that `close` makes is sent, and the connection is read to
/// its end, for a second at most each. Parts of the socket that the handler has given to other tasks say from then on that
/// the connection has ended.
///
/// When the handler returns, and no part of the socket is left in another task, the connection is dropped, as if there were no key.
/// It counts against the policy's `connections_per_key` until then.
///
/// A WebSocket is whatever is a stream of what comes in and a sink of messages. For `tokio-tungstenite` on hyper:
///
/// ```
/// use futures_util::StreamExt;
/// use hyper::upgrade::Upgraded;
/// use hyper_util::rt::TokioIo;
/// use keyward::{LiveSocket, SocketEnd};
/// use tokio_tungstenite::WebSocketStream;
/// use tokio_tungstenite::tungstenite::{Message, protocol::CloseFrame};
///
/// /// `live` is `pass.live_socket()` of the handshake's `Pass`.
/// async fn echo(live: LiveSocket, socket: WebSocketStream<TokioIo<Upgraded>>) {
///     let close = |end: SocketEnd| Message::Close(Some(CloseFrame { code: end.code().into(), reason: end.reason().into() }));
///     keyward_tower::live::run(live, socket, close, async |mut socket| {
///         while let Some(Ok(message)) = socket.recv().await {
///             if !message.is_close() && socket.send(message).await.is_err() {
///                 return;
///             }
///         }
///     })
///     .await;
/// }
/// ```
///
/// # Panics
/// Outside of Tokio, and in one without its timer.
pub async fn run<S, M, F, Fut>(live: LiveSocket, socket: S, close: impl FnOnce(SocketEnd) -> M, handler: F)
where
    S: Stream + Sink<M> + Unpin,
    F: FnOnce(HeldSocket<S>) -> Fut,
    Fut: Future<Output = ()>,
{
    let (given_back, is_given_back) = oneshot::channel();
    let shared = Arc::new(Shared::of(socket));
    let held = HeldSocket { shared: shared.clone(), _given_back: given_back };
    let mut holder = Holder { shared, live };
    let end = {
        let handled = pin!(async {
            handler(held).await;
            // Other tasks may have parts of the socket. Nothing is ever sent: the sender is dropped with the last of them.
            let _ = is_given_back.await;
        });
        match select(pin!(ended(&mut holder.live)), handled).await {
            Either::Left((end, _)) => Some(end),
            Either::Right(_) => None,
        }
    };
    if let (Some(end), Some(socket)) = (end, holder.shared.take()) {
        say_farewell(socket, close(end)).await;
    }
}

async fn say_farewell<M>(mut socket: impl Stream + Sink<M> + Unpin, message: M) {
    if timeout(CLOSED_WITHIN, socket.send(message)).await.is_err() {
        // It does not read. What it would send cannot matter.
        return;
    }
    let until = Instant::now() + CLOSED_WITHIN;
    // The clock is looked at as well: a stream that always has something more never lets the time run out by itself.
    while Instant::now() < until && matches!(timeout_at(until, socket.next()).await, Ok(Some(_))) {}
}

async fn ended(live: &mut LiveSocket) -> SocketEnd {
    loop {
        sweep_for(live);
        if let Ok(end) = timeout(TAKEN_OVER_WITHIN, live.ended()).await {
            return end;
        }
    }
}

/// Looks after all keys of the guard that hold connections open, if nobody does yet.
fn sweep_for(live: &LiveSocket) {
    let Some(mut sweeper) = live.sweeper() else { return };
    tokio::spawn(async move {
        let mut ticks = interval(Sweeper::INTERVAL);
        // Not a pause after each sweep: a store that takes its time would put off the next one by that.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            if timeout(Sweeper::INTERVAL, sweeper.sweep()).await == Ok(false) {
                return;
            }
        }
    });
}

/// The connection's owner. Whatever becomes of the handler, nothing uses the connection after this is gone, and it no longer counts.
struct Holder<S> {
    shared: Arc<Shared<S>>,
    /// Dropped after the connection is.
    live: LiveSocket,
}

impl<S> Drop for Holder<S> {
    fn drop(&mut self) {
        drop(self.shared.take());
    }
}

struct Shared<S>(Mutex<State<S>>);

struct State<S> {
    /// `None`: it was taken away.
    socket: Option<S>,
    /// Who has to hear of that, beside whom the socket itself wakes.
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl<S> Shared<S> {
    fn of(socket: S) -> Self {
        Self(Mutex::new(State { socket: Some(socket), reader: None, writer: None }))
    }

    /// Locked for one poll of the socket at a time, never while anybody waits. Nothing here is left half done by a panic.
    fn state(&self) -> MutexGuard<'_, State<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the socket away from whoever has a part of it.
    fn take(&self) -> Option<S> {
        let mut state = self.state();
        let taken = state.socket.take();
        let waiting = [state.reader.take(), state.writer.take()];
        drop(state);
        waiting.into_iter().flatten().for_each(Waker::wake);
        taken
    }
}

/// A WebSocket on loan: a stream and a sink like the socket itself, until the key ends.
///
/// It can be split (`StreamExt::split`), and its halves can go to other tasks. When the key has ended, reading it is over, as if the
/// client had gone, and writing fails with [`SocketError::Ended`].
pub struct HeldSocket<S> {
    shared: Arc<Shared<S>>,
    _given_back: oneshot::Sender<Infallible>,
}

impl<S> HeldSocket<S> {
    /// The next message, as the socket has it; `None` when the connection has ended.
    pub async fn recv(&mut self) -> Option<S::Item>
    where
        S: Stream + Unpin,
    {
        self.next().await
    }

    /// Sends a message, and waits until it is on its way.
    ///
    /// # Errors
    /// The socket's own, and [`SocketError::Ended`] when the key has ended.
    pub async fn send<M>(&mut self, message: M) -> Result<(), SocketError<S::Error>>
    where
        S: Sink<M> + Unpin,
    {
        SinkExt::send(self, message).await
    }

    fn poll_sink<E>(
        &self,
        context: &mut Context<'_>,
        poll: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<Result<(), E>>,
    ) -> Poll<Result<(), SocketError<E>>>
    where
        S: Unpin,
    {
        let mut state = self.shared.state();
        let Some(socket) = &mut state.socket else { return Poll::Ready(Err(SocketError::Ended)) };
        let polled = poll(Pin::new(socket), context);
        if polled.is_pending() {
            remember(&mut state.writer, context);
        }
        polled.map_err(SocketError::Socket)
    }
}

fn remember(waiting: &mut Option<Waker>, context: &Context<'_>) {
    match waiting {
        Some(waker) => waker.clone_from(context.waker()),
        None => *waiting = Some(context.waker().clone()),
    }
}

impl<S: Stream + Unpin> Stream for HeldSocket<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut state = self.shared.state();
        let Some(socket) = &mut state.socket else { return Poll::Ready(None) };
        let polled = Pin::new(socket).poll_next(context);
        if polled.is_pending() {
            remember(&mut state.reader, context);
        }
        polled
    }
}

impl<S: Sink<M> + Unpin, M> Sink<M> for HeldSocket<S> {
    type Error = SocketError<S::Error>;

    fn poll_ready(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.poll_sink(context, S::poll_ready)
    }

    fn start_send(self: Pin<&mut Self>, message: M) -> Result<(), Self::Error> {
        match &mut self.shared.state().socket {
            Some(socket) => Pin::new(socket).start_send(message).map_err(SocketError::Socket),
            None => Err(SocketError::Ended),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.poll_sink(context, S::poll_flush)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.poll_sink(context, S::poll_close)
    }
}

impl<S> fmt::Debug for HeldSocket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeldSocket")
    }
}

/// Why nothing could be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SocketError<E> {
    /// The connection was ended from here, because its key was.
    Ended,
    /// What the socket itself says.
    Socket(E),
}

impl<E: fmt::Display> fmt::Display for SocketError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => f.write_str("the connection was ended, because the API key that opened it was"),
            Self::Socket(error) => error.fmt(f),
        }
    }
}

impl<E: Error> Error for SocketError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Ended => None,
            Self::Socket(error) => error.source(),
        }
    }
}
