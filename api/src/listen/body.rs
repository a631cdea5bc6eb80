//! A request's body that does not wait forever for its next piece.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

/// What became of the body, for who has to answer.
#[derive(Default)]
pub(super) struct Watch {
    stalled: AtomicBool,
    finished: AtomicBool,
}

impl Watch {
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
    watch: Arc<Watch>,
}

impl Watched {
    pub(super) fn new(inner: Incoming, idle: Duration, watch: Arc<Watch>) -> Self {
        watch.finished.store(inner.is_end_stream(), Relaxed);
        Self { inner, idle, timer: None, running: false, watch }
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
            if frame.is_none() || this.inner.is_end_stream() {
                this.watch.finished.store(true, Relaxed);
            }
            return Poll::Ready(frame.map(|f| f.map_err(Into::into)));
        }
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep(this.idle)));
        if !this.running {
            timer.as_mut().reset(Instant::now() + this.idle);
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
