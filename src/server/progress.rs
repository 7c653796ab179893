//! A connection's bytes, watched: when the first of a head come, and whether what is written is read.
//!
//! Closing waits a little for a client that is still sending a body which was refused: if bytes that nobody has
//! read were left, the kernel would take the answer back.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::activity::Activity;

/// How long a client that is still sending is given to read its answer, and how much it may send meanwhile.
const LINGER: (Duration, usize) = (Duration::from_secs(1), 4 * 1024 * 1024);

/// A connection that tells what it does.
pub(super) struct Progress {
    stream: TcpStream,
    activity: Arc<Activity>,
    /// It takes no more for now.
    blocked: bool,
    closing: Option<Closing>,
}

struct Closing {
    until: Pin<Box<Sleep>>,
    left: usize,
}

impl Progress {
    pub(super) fn new(stream: TcpStream, activity: Arc<Activity>) -> Self {
        Self { stream, activity, blocked: false, closing: None }
    }

    fn note(&mut self, written: Poll<io::Result<usize>>, wanted: usize) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Pending if !self.blocked => {
                self.blocked = true;
                self.activity.blocked();
            }
            Poll::Ready(Ok(bytes)) if self.blocked => {
                self.blocked = *bytes < wanted;
                self.activity.went_through(*bytes, !self.blocked);
            }
            _ => {}
        }
        written
    }
}

impl AsyncRead for Progress {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.activity.heard();
        }
        read
    }
}

impl AsyncWrite for Progress {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note(written, bytes.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.note(written, pieces.iter().map(|piece| piece.len()).sum())
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let own = &mut *self;
        if own.closing.is_none() {
            ready!(Pin::new(&mut own.stream).poll_shutdown(cx))?;
            let (time, left) = LINGER;
            own.closing = Some(Closing { until: Box::pin(tokio::time::sleep(time)), left });
        }
        let Some(closing) = own.closing.as_mut().filter(|_| own.activity.may_still_send()) else {
            return Poll::Ready(Ok(()));
        };
        while closing.left > 0 && closing.until.as_mut().poll(cx).is_pending() {
            let mut waste = [0; 8 * 1024];
            let mut waste = ReadBuf::new(&mut waste);
            match ready!(Pin::new(&mut own.stream).poll_read(cx, &mut waste)) {
                Ok(()) if !waste.filled().is_empty() => {
                    closing.left = closing.left.saturating_sub(waste.filled().len())
                }
                _ => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}
