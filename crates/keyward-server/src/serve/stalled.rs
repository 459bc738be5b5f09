//! A stream that gives up on whoever does not read.
//!
//! A client that sends request upon request and reads no answer would hold its connection for ever, and with it one of the places
//! there are. hyper has a time for heads that do not come, and none for answers that do not go. Refused: a time for each byte, which
//! whoever reads one now and then never uses up.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Writing fails where for this long there was always something left to write.
pub(super) struct UntilStalled<S> {
    stream: S,
    within: Duration,
    /// Since writing could not go on. Until all is written, a part of it changes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> UntilStalled<S> {
    pub(super) fn new(stream: S, within: Duration) -> Self {
        Self { stream, within, stalled: None }
    }

    fn timed<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let within = self.within;
        if written.is_pending() {
            self.stalled.get_or_insert_with(|| Box::pin(sleep(within)));
        }
        if self.stalled.as_mut().is_some_and(|stalled| stalled.as_mut().poll(context).is_ready()) {
            let told = "the other end does not read what is sent to it, or not in time";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, told)));
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for UntilStalled<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for UntilStalled<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.timed(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.timed(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        let flushed = self.timed(context, flushed);
        // Asked for once all is written.
        if flushed.is_ready() {
            self.stalled = None;
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        self.timed(context, shut)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const WITHIN: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn whoever_does_not_read_is_given_up() {
        let (near, _far) = duplex(16);
        let mut near = UntilStalled::new(near, WITHIN);
        near.write_all(&[0; 16]).await.unwrap();
        let started = std::time::Instant::now();
        assert_eq!(near.write(&[0]).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(started.elapsed() >= WITHIN);
    }

    async fn read_slowly(mut far: tokio::io::DuplexStream) -> usize {
        let (mut read, mut byte) = (0, [0]);
        while far.read(&mut byte).await.unwrap() > 0 {
            read += 1;
            tokio::time::sleep(WITHIN / 4).await;
        }
        read
    }

    #[tokio::test]
    async fn whoever_reads_slowly_gains_no_time_by_it() {
        let (near, far) = duplex(1);
        let mut near = UntilStalled::new(near, WITHIN);
        let reader = tokio::spawn(read_slowly(far));
        assert_eq!(near.write_all(&[0; 12]).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(near);
        assert!((2..12).contains(&reader.await.unwrap()));
    }

    #[tokio::test]
    async fn each_answer_has_its_own_time() {
        let (near, far) = duplex(1);
        let mut near = UntilStalled::new(near, WITHIN);
        let reader = tokio::spawn(read_slowly(far));
        for _ in 0..6 {
            near.write_all(&[0; 2]).await.unwrap();
            near.flush().await.unwrap();
        }
        drop(near);
        assert_eq!(reader.await.unwrap(), 12, "over twice as long in all");
    }

    #[tokio::test]
    async fn nothing_to_write_is_nothing_to_wait_for() {
        let (near, mut far) = duplex(16);
        let mut near = UntilStalled::new(near, WITHIN);
        near.write_all(b"a").await.unwrap();
        tokio::time::sleep(WITHIN * 2).await;
        far.write_all(b"b").await.unwrap();
        assert_eq!(near.read_u8().await.unwrap(), b'b');
        near.write_all(b"c").await.unwrap();
    }
}
