//! The HTTP listener: hyper's own http1 connections under deadlines and a bound.
//!
//! A socket can be slow in four ways and each has its deadline: in sending the head, between two pieces of the body,
//! in all of a request, and in reading the answer. A connection over the bound takes the place of the one that has kept us
//! waiting longest, so that idle sockets cannot keep a probe out; where none waits it is refused with 503, not queued.

mod body;
mod peer;

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::Write as _;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tower::ServiceExt;

use crate::problem::{ErrorKind, Failure, instance};
use body::{Answering, Watch, Watched};
use peer::{Peer, make_room};

/// The most that one connection buffers, each way; a head that is larger is answered 431.
const BUFFER: usize = 64 << 10;

/// Answered to a connection over the bound.
const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n\
content-type: application/problem+json\r\ncontent-length: 127\r\n\r\n\
{\"type\":\"urn:whyd:problem:too-many-connections\",\"title\":\"too many connections\",\"status\":503,\"detail\":\"try again\",\"instance\":\"\"}";

/// How long a connection may take for what, and how many there may be.
#[derive(Debug, Clone)]
pub struct Deadlines {
    /// For a request's head, from the first moment it could be sent: idle connections end by it too.
    pub header: Duration,
    /// Between two pieces of a request's body, and so far it may fall behind 128 KiB a second.
    pub body_idle: Duration,
    /// For a whole request, from its head to its answer. The answer must be taken within [`Deadlines::body_idle`] more.
    pub total: Duration,
    /// For what is in flight at shutdown.
    pub drain: Duration,
    /// How many connections there may be; for one more another has to go, or it is answered 503.
    pub connections: usize,
    /// What happened, for the metrics; clone the handle before serving.
    pub counts: Arc<Counts>,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(10),
            body_idle: Duration::from_secs(10),
            total: Duration::from_secs(30),
            drain: Duration::from_secs(10),
            connections: 2048,
            counts: Arc::default(),
        }
    }
}

/// What a listener counts.
#[derive(Debug, Default)]
pub struct Counts {
    /// Connections that were accepted.
    pub accepted: AtomicU64,
    /// Connections over the bound.
    pub refused: AtomicU64,
    /// Connections that went for others: they had no request, or sent one too slowly.
    pub displaced: AtomicU64,
    /// Connections that missed a deadline: their request's, or the one for reading the answer.
    pub late: AtomicU64,
    /// Connections that ended in an error of their own: cut off, or not HTTP.
    pub broken: AtomicU64,
}

/// Serves `router` until `shutdown` is ready, then lets what is in flight finish within [`Deadlines::drain`].
///
/// Ends when the last connection has. Dropping the future closes everything at once.
pub async fn serve(listener: TcpListener, router: Router, deadlines: Deadlines, shutdown: impl Future<Output = ()>) {
    let mut peers: HashMap<Id, Arc<Peer>> = HashMap::new();
    let (close, closing) = watch::channel(false);
    let mut open = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let socket = tokio::select! {
            () = &mut shutdown => break,
            Some(ended) = open.join_next_with_id() => {
                peers.remove(&ended.as_ref().map_or_else(JoinError::id, |(id, ())| *id));
                note(ended.map(|_| ()));
                continue;
            }
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => socket,
                Err(error) => {
                    pause(&error).await;
                    continue;
                }
            }
        };
        if open.len() >= deadlines.connections {
            if !make_room(peers.values().map(AsRef::as_ref)) {
                deadlines.counts.refused.fetch_add(1, Relaxed);
                refuse(socket);
                continue;
            }
            deadlines.counts.displaced.fetch_add(1, Relaxed);
        }
        deadlines.counts.accepted.fetch_add(1, Relaxed);
        let peer = Arc::new(Peer::new());
        let served = connection(socket, Arc::clone(&peer), router.clone(), deadlines.clone(), closing.clone());
        peers.insert(open.spawn(served).id(), peer);
    }
    drop(listener);
    close.send_replace(true);
    let drained = timeout(deadlines.drain, async {
        while let Some(ended) = open.join_next().await {
            note(ended);
        }
    });
    if drained.await.is_err() {
        tracing::warn!(connections = open.len(), "connections were still open at the end of the drain");
        deadlines.counts.late.fetch_add(open.len() as u64, Relaxed);
        open.shutdown().await;
    }
}

/// One connection, until it ends, misses a deadline, or is asked to close and has answered.
async fn connection(
    socket: TcpStream,
    peer: Arc<Peer>,
    router: Router,
    deadlines: Deadlines,
    mut closing: watch::Receiver<bool>,
) {
    let _ = socket.set_nodelay(true);
    let opened = Instant::now();
    // When the connection is cut, in milliseconds after it was opened; each request moves it on.
    let span = deadlines.total + deadlines.body_idle;
    let cut = AtomicU64::new(millis(deadlines.header + span));
    let service = service_fn(|request| {
        cut.store(millis(opened.elapsed() + span), Relaxed);
        answer(router.clone(), request, Arc::clone(&peer), deadlines.clone())
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(deadlines.header)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(socket), service);
    let mut served = pin!(served);
    let mut asked = false;
    loop {
        // A request may begin after this, so look again before the first moment at which it could be late.
        let at = (opened + Duration::from_millis(cut.load(Relaxed))).min(Instant::now() + span);
        tokio::select! {
            ended = served.as_mut() => {
                match ended {
                    Ok(()) => {}
                    // Nobody waits for another request.
                    Err(error) if error.is_timeout() && peer.has_all() => {}
                    Err(error) if error.is_timeout() => {
                        deadlines.counts.late.fetch_add(1, Relaxed);
                    }
                    Err(error) => {
                        deadlines.counts.broken.fetch_add(1, Relaxed);
                        tracing::debug!(%error, "connection broken");
                    }
                }
                return;
            }
            () = peer.is_to_go() => return,
            () = sleep_until(at) => {
                if opened + Duration::from_millis(cut.load(Relaxed)) <= Instant::now() {
                    deadlines.counts.late.fetch_add(1, Relaxed);
                    return;
                }
            }
            _ = closing.wait_for(|closing| *closing), if !asked => {
                asked = true;
                served.as_mut().graceful_shutdown();
            }
        }
    }
}

/// The router's answer, or the deadline's.
async fn answer(
    router: Router,
    request: Request<Incoming>,
    peer: Arc<Peer>,
    deadlines: Deadlines,
) -> Result<Response<Body>, Infallible> {
    let uri = request.uri().clone();
    let watch = Arc::new(Watch::new(Arc::clone(&peer)));
    let request = request.map(|body| Body::new(Watched::new(body, deadlines.body_idle, Arc::clone(&watch))));
    let answered = timeout(deadlines.total, router.oneshot(request)).await;
    peer.waits();
    let answering = |response: Response<Body>| response.map(|body| Body::new(Answering::new(body, peer)));
    let failure = match answered {
        Ok(Ok(response)) if !watch.stalled() => return Ok(answering(response)),
        Err(_) if watch.finished() => Failure::new(ErrorKind::Overloaded, "no answer within the deadline"),
        _ => Failure::new(ErrorKind::RequestTimeout, "the body did not arrive within the deadline"),
    };
    deadlines.counts.late.fetch_add(1, Relaxed);
    let mut response = failure.response(instance(&uri));
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    Ok(answering(response))
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

fn note(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection's task panicked");
    }
}

/// Without waiting: a socket that was just accepted has room for these few bytes.
fn refuse(socket: TcpStream) {
    if let Ok(mut socket) = socket.into_std() {
        let _ = socket.write(REFUSAL);
    }
}

/// An error of the one connection is passed over; one of the process, such as no free descriptors, gets time to pass.
async fn pause(error: &std::io::Error) {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::warn!(%error, "cannot accept connections");
        sleep(Duration::from_millis(100)).await;
    }
}

#[cfg(test)]
mod tests;
