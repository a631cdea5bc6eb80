//! Which side of a connection is waited for, and which connection goes when there is no room for another.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// A connection without a request for so long may go for another.
const IDLE: Duration = Duration::from_secs(1);
/// And one of which a body is not whole after so long.
const SLOW: Duration = Duration::from_secs(5);

/// What a connection does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Doing {
    /// Waits for a request, the first.
    First,
    /// Waits for another one.
    Next,
    /// Waits for the rest of a body.
    Body,
    /// The request is here and its answer is not.
    Work,
    /// It is to end.
    Gone,
}

/// The other end of one connection, as its task, its requests and the listener see it.
#[derive(Debug)]
pub(super) struct Peer {
    opened: Instant,
    doing: AtomicU8,
    /// Since when, in milliseconds after it was opened.
    since: AtomicU64,
    go: Notify,
}

impl Peer {
    pub(super) fn new() -> Self {
        let doing = AtomicU8::new(Doing::First as u8);
        Self { opened: Instant::now(), doing, since: AtomicU64::new(0), go: Notify::new() }
    }

    /// The head of a request is here and its body is not.
    pub(super) fn sends_body(&self) {
        self.does(Doing::Body);
    }

    /// All of a request is here.
    pub(super) fn waits(&self) {
        self.does(Doing::Work);
    }

    /// Has its answer.
    pub(super) fn is_answered(&self) {
        self.does(Doing::Next);
    }

    /// Whether it has every answer that it asked for, and one at least.
    pub(super) fn has_all(&self) -> bool {
        self.doing.load(Relaxed) == Doing::Next as u8
    }

    fn does(&self, doing: Doing) {
        let now = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.since.store(now, Relaxed);
        self.doing.store(doing as u8, Relaxed);
    }

    /// How willingly it is let go, the most first, and what it does; `None`: not now.
    fn worth(&self, now: Instant) -> Option<(bool, Instant, u8)> {
        let doing = self.doing.load(Relaxed);
        let since = self.opened + Duration::from_millis(self.since.load(Relaxed));
        let body = doing == Doing::Body as u8;
        let idle = doing == Doing::First as u8 || doing == Doing::Next as u8;
        let patience = if body { SLOW } else { IDLE };
        ((body || idle) && now.saturating_duration_since(since) >= patience).then_some((body, since, doing))
    }

    /// Ends when it is to make room.
    pub(super) async fn is_to_go(&self) {
        self.go.notified().await;
    }
}

/// Lets the one go that has kept us waiting longest: without a request before those that send a body slowly. Gives whether
/// there was one.
pub(super) fn make_room<'p>(peers: impl Iterator<Item = &'p Peer>) -> bool {
    let now = Instant::now();
    let found = peers.filter_map(|peer| Some((peer.worth(now)?, peer))).min_by_key(|(worth, _)| *worth);
    let Some(((_, _, doing), peer)) = found else { return false };
    // A request may have come meanwhile.
    let goes = peer.doing.compare_exchange(doing, Doing::Gone as u8, Relaxed, Relaxed).is_ok();
    if goes {
        peer.go.notify_one();
    }
    goes
}
