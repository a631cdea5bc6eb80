//! OTLP over gRPC: `MetricsService/Export` and `LogsService/Export`, one message each, on a port of their own.
//!
//! Written over h2 itself: of gRPC there is no more than a length before a message and a status behind it
//! (docs/adr/0007).

mod message;
mod respond;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use axum::http::{Method, Request, header};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use h2::RecvStream;
use h2::server::SendResponse;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use whyd_signals::Envelope;

use super::gate::{Gate, TurnedAway};
use super::http::Receivers;
use super::otlp::{self, Outcome};
use crate::wire::otlp::{Code, Encoding, Signal};
use crate::{Clock, Inlet};

/// The largest message, as received and inflated: what servers of gRPC take by default.
pub const LIMIT: usize = 4 << 20;

const METRICS: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

/// Connections at once; one more is closed.
const CONNECTIONS: usize = 1024;
/// Requests at once on one connection.
const STREAMS: u32 = 32;
/// All headers of a request together.
const HEADERS: u32 = 16 << 10;
/// How long a connection on which nothing is in flight may take to end once it is asked to.
const GOODBYE: Duration = Duration::from_secs(1);

/// How long a connection may take for what.
#[derive(Debug, Clone, Copy)]
struct Times {
    /// For the beginning of a connection.
    handshake: Duration,
    /// Between two pieces of a message.
    message: Duration,
    /// For one request, from its head to its answer.
    total: Duration,
    /// A connection without a request for so long is asked to close; a sender opens another when it has something to
    /// say.
    idle: Duration,
    /// For what is in flight when a connection is to close.
    drain: Duration,
}

const TIMES: Times = Times {
    handshake: Duration::from_secs(10),
    message: Duration::from_secs(10),
    total: Duration::from_secs(30),
    idle: Duration::from_secs(300),
    drain: Duration::from_secs(10),
};

/// What happened to connections, for the metrics. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Counts(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    accepted: AtomicU64,
    refused: AtomicU64,
    late: AtomicU64,
    broken: AtomicU64,
}

impl Counts {
    /// Connections by what became of them: `accepted`, `refused` over the bound, `late` for a deadline, `broken` by an
    /// error of their own.
    pub fn by_outcome(&self) -> [(&'static str, u64); 4] {
        let c = &self.0;
        [("accepted", &c.accepted), ("refused", &c.refused), ("late", &c.late), ("broken", &c.broken)]
            .map(|(outcome, n)| (outcome, n.load(Relaxed)))
    }
}

/// What every request is given.
#[derive(Clone)]
struct Receiver {
    inlet: Inlet,
    gate: Gate,
    clock: Clock,
    times: Times,
    counts: Counts,
}

/// Serves until `shutdown` is ready, then lets what is in flight finish within ten seconds.
pub async fn serve(listener: TcpListener, to: Receivers, counts: Counts, shutdown: impl Future<Output = ()>) {
    let Receivers { inlet, gate, clock, .. } = to;
    let receiver = Receiver { inlet, gate, clock, times: TIMES, counts };
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let (close, closing) = watch::channel(false);
    let mut open = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let socket = tokio::select! {
            () = &mut shutdown => break,
            Some(ended) = open.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a connection of OTLP over gRPC ended by a panic");
                }
                continue;
            }
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => socket,
                Err(error) => {
                    // none left of something that others give back
                    tracing::warn!(%error, "no connection of OTLP over gRPC can be accepted");
                    sleep(Duration::from_millis(100)).await;
                    continue;
                }
            }
        };
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
            receiver.counts.0.refused.fetch_add(1, Relaxed);
            continue;
        };
        receiver.counts.0.accepted.fetch_add(1, Relaxed);
        let _ = socket.set_nodelay(true);
        let (receiver, closing) = (receiver.clone(), closing.clone());
        open.spawn(async move {
            connection(socket, receiver, closing).await;
            drop(permit);
        });
    }
    drop(listener);
    close.send_replace(true);
    while open.join_next().await.is_some() {}
}

/// One connection, until it ends, is idle for too long, or is asked to close and has answered.
async fn connection(
    socket: impl AsyncRead + AsyncWrite + Unpin,
    receiver: Receiver,
    mut closing: watch::Receiver<bool>,
) {
    let (times, counts) = (receiver.times, &receiver.counts.0);
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(STREAMS).max_header_list_size(HEADERS);
    let mut connection = match timeout(times.handshake, builder.handshake::<_, bytes::Bytes>(socket)).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(_)) => {
            counts.broken.fetch_add(1, Relaxed);
            return;
        }
        Err(_) => {
            counts.late.fetch_add(1, Relaxed);
            return;
        }
    };
    let mut answers = FuturesUnordered::new();
    let (mut asked, mut asks) = (false, false);
    let mut end = None;
    loop {
        // begins anew whenever something happens
        let quiet = match (asked, answers.is_empty()) {
            // One that never asked for anything has no reason to stay.
            (false, _) if !asks => times.handshake,
            (false, _) => times.idle,
            (true, false) => times.drain,
            // Only its goodbye is waited for.
            (true, true) => GOODBYE.min(times.drain),
        };
        let quiet = sleep(end.map_or(quiet, |end: Instant| quiet.min(end.saturating_duration_since(Instant::now()))));
        tokio::select! {
            accepted = connection.accept() => match accepted {
                Some(Ok((request, respond))) => {
                    asks = true;
                    answers.push(one(&receiver, request, respond));
                }
                Some(Err(_)) => {
                    counts.broken.fetch_add(1, Relaxed);
                    return;
                }
                None => return,
            },
            Some(()) = answers.next() => {}
            // a sender that went away drops its end, which counts as closing too
            _ = closing.wait_for(|closed| *closed), if !asked => {
                asked = true;
                end = Some(Instant::now() + times.drain);
                connection.graceful_shutdown();
            }
            () = quiet => {
                if asked {
                    counts.late.fetch_add(u64::from(!answers.is_empty()), Relaxed);
                    return;
                }
                if answers.is_empty() {
                    asked = true;
                    connection.graceful_shutdown();
                }
            }
        }
    }
}

/// One request and its answer.
async fn one(receiver: &Receiver, request: Request<RecvStream>, mut respond: SendResponse<bytes::Bytes>) {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if request.method() != Method::POST || !content_type.starts_with("application/grpc") {
        receiver.gate.note(TurnedAway::UnsupportedMedia);
        respond::not_grpc(&mut respond);
        return;
    }
    let signal = match request.uri().path() {
        METRICS => Signal::Metrics,
        LOGS => Signal::Logs,
        other => {
            receiver.gate.note(TurnedAway::UnsupportedMedia);
            let why = format!("{other} is not a method of this server; it takes {METRICS} and {LOGS}");
            respond::refused(&mut respond, Code::Unimplemented, &why);
            return;
        }
    };
    let outcome = timeout(receiver.times.total, export(receiver, signal, request)).await;
    let outcome = outcome.unwrap_or_else(|_| Outcome::Refused(Code::Unavailable, "the request took too long".into()));
    if let Some(why) = outcome.turned_away() {
        receiver.gate.note(why);
    }
    match outcome {
        Outcome::Accepted(partial) => respond::accepted(&mut respond, signal, partial.as_ref()),
        Outcome::Refused(code, why) => respond::refused(&mut respond, code, &why),
        // Without word of when to send it again: then a sender does not.
        Outcome::OverQuota(why) => respond::refused(&mut respond, Code::ResourceExhausted, &why),
    }
}

async fn export(receiver: &Receiver, signal: Signal, request: Request<RecvStream>) -> Outcome {
    if let Err(why) = receiver.gate.admit(request.headers()) {
        return Outcome::Refused(Code::Unauthenticated, why.into());
    }
    let (room, body) = match message::read(request, &receiver.inlet, receiver.times.message).await {
        Ok(read) => read,
        Err(refused) => return refused,
    };
    let media = otlp::media(signal, Encoding::Proto);
    let envelope = Envelope { received: (receiver.clock)(), media, tenant: None, body };
    Outcome::from(receiver.inlet.send_in(room, envelope).await)
}

#[cfg(test)]
mod tests;
