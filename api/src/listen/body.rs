//! A request's body that waits neither forever for its next piece nor for pieces that are next to nothing.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::peer::Peer;

/// Bytes that buy a body another second. Without it one byte now and then would hold all that came before.
const RATE: f64 = 128.0 * 1024.0;

/// What became of the body, for who has to answer.
pub(super) struct Watch {
    stalled: AtomicBool,
    finished: AtomicBool,
    peer: Arc<Peer>,
}

impl Watch {
    pub(super) fn new(peer: Arc<Peer>) -> Self {
        Self { stalled: AtomicBool::new(false), finished: AtomicBool::new(false), peer }
    }

    fn finish(&self) {
        self.finished.store(true, Relaxed);
        self.peer.waits();
    }

    /// Whether the next piece did not come in time.
    pub(super) fn stalled(&self) -> bool {
        self.stalled.load(Relaxed)
    }

    /// Whether all of it has come.
    pub(super) fn finished(&self) -> bool {
        self.finished.load(Relaxed)
    }
}

/// The body under the deadline; missing it is an error of the body.
pub(super) struct Watched {
    inner: Incoming,
    idle: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    running: bool,
    /// Until when it may take as a whole.
    paid: Instant,
    watch: Arc<Watch>,
}

impl Watched {
    pub(super) fn new(inner: Incoming, idle: Duration, watch: Arc<Watch>) -> Self {
        if inner.is_end_stream() {
            watch.finish();
        } else {
            watch.peer.sends_body();
        }
        Self { inner, idle, timer: None, running: false, paid: Instant::now() + idle, watch }
    }

    /// A piece of so many bytes buys time, but never more than there was at the beginning: what came quickly does not pay
    /// for what comes slowly behind it.
    fn pay(&mut self, bytes: usize) {
        let bought = self.paid + Duration::from_secs_f64(bytes as f64 / RATE);
        self.paid = bought.min(Instant::now() + self.idle);
    }
}

/// An answer's body, which tells the peer when it was taken, or given up.
pub(super) struct Answering {
    inner: axum::body::Body,
    peer: Arc<Peer>,
}

impl Answering {
    pub(super) fn new(inner: axum::body::Body, peer: Arc<Peer>) -> Self {
        Self { inner, peer }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.peer.is_answered();
    }
}

impl Body for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            this.running = false;
            if let Some(Ok(frame)) = &frame {
                this.pay(frame.data_ref().map_or(0, Bytes::len));
            }
            if frame.is_none() || this.inner.is_end_stream() {
                this.watch.finish();
            }
            return Poll::Ready(frame.map(|f| f.map_err(Into::into)));
        }
        let due = this.paid;
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if !this.running {
            timer.as_mut().reset(due);
            this.running = true;
        }
        ready!(timer.as_mut().poll(cx));
        this.watch.stalled.store(true, Relaxed);
        Poll::Ready(Some(Err(Box::new(io::Error::new(io::ErrorKind::TimedOut, "the body stalled")))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
