//! What becomes of a watch that fails: it is asked less and less often, and what is wrong is said once, not each time.
//!
//! That something is heard of a watch does not end its trouble yet: a server that gives the list and ends the watch at
//! once, again and again, would be asked for whole lists without a pause.

use std::collections::BTreeSet;
use std::time::Duration;

use kube::runtime::watcher;
use tokio::time::Instant;

use crate::source::backoff::Backoff;

/// Trouble is over when nothing went wrong for so long after something was heard.
const SOUND: Duration = Duration::from_secs(10);
/// A watch that nothing changes of says nothing. What hangs would have failed by now, since a server may be silent for less
/// than that, and a watch is held back for less than the rest ([`super::pace`]).
const QUIET: Duration = Duration::from_secs(90);
/// A resource that the server does not serve is there after an upgrade of it, or never.
const UNSERVED: Duration = Duration::from_secs(600);

/// How a server refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Refusal {
    /// It has no such resource.
    Unserved,
    /// By this HTTP status.
    Status(u16),
    /// There is no answer, or none that could be read.
    Unanswered,
}

impl Refusal {
    pub(super) fn of(error: &watcher::Error) -> Self {
        let status = |error: &kube::Error| match error {
            kube::Error::Api(status) => Self::Status(status.code),
            _ => Self::Unanswered,
        };
        match error {
            watcher::Error::InitialListFailed(e) | watcher::Error::WatchStartFailed(e) => match status(e) {
                Self::Status(404) => Self::Unserved,
                other => other,
            },
            watcher::Error::WatchFailed(e) => status(e),
            watcher::Error::WatchError(status) => Self::Status(status.code),
            watcher::Error::NoResourceVersion => Self::Unanswered,
        }
    }
}

/// The trouble of one watch, while there is any.
pub(super) struct Trouble {
    backoff: Backoff,
    /// What was said of it.
    told: BTreeSet<Refusal>,
    /// Whether a list is under way: it says itself when it is done.
    listing: bool,
    /// When it is asked again.
    asks: Option<Instant>,
    /// When it is over, if nothing more goes wrong.
    over: Option<Instant>,
}

/// What is to be made of a failure.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failed {
    /// How long the watch is left alone.
    pub(super) pause: Duration,
    /// Whether it was not said yet.
    pub(super) news: bool,
}

impl Trouble {
    pub(super) fn new(seed: u64) -> Self {
        Self { backoff: Backoff::new(seed), told: BTreeSet::new(), listing: false, asks: None, over: None }
    }

    /// When the watch may be asked again; `None` for now.
    pub(super) fn asks(&self) -> Option<Instant> {
        self.asks
    }

    /// When to call [`Trouble::end`].
    pub(super) fn over(&self) -> Option<Instant> {
        self.over
    }

    pub(super) fn failed(&mut self, refusal: Refusal, now: Instant) -> Failed {
        let pause = match refusal {
            Refusal::Unserved => self.backoff.failed_upto(UNSERVED),
            Refusal::Status(_) | Refusal::Unanswered => self.backoff.failed(),
        };
        (self.asks, self.over) = (Some(now + pause), None);
        Failed { pause, news: self.told.insert(refusal) }
    }

    /// The pause is over.
    pub(super) fn ask(&mut self, now: Instant) {
        self.asks = None;
        self.over = (self.is_on() && !self.listing).then_some(now + QUIET);
    }

    /// A list begins.
    pub(super) fn lists(&mut self) {
        (self.listing, self.over) = (true, None);
    }

    /// A list came to its end.
    pub(super) fn listed(&mut self, now: Instant) {
        self.listing = false;
        self.heard(now);
    }

    /// A change came.
    pub(super) fn heard(&mut self, now: Instant) {
        if self.is_on() {
            let sound = now + SOUND;
            self.over = Some(self.over.map_or(sound, |over| over.min(sound)));
        }
    }

    /// It is over; how often it failed.
    pub(super) fn end(&mut self) -> u32 {
        let failures = self.backoff.failures();
        self.backoff.succeeded();
        self.told.clear();
        self.over = None;
        failures
    }

    fn is_on(&self) -> bool {
        self.backoff.failures() > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORBIDDEN: Refusal = Refusal::Status(403);

    #[test]
    fn what_is_refused_steadily_is_asked_ever_less_often_and_said_once() {
        let (mut trouble, mut now) = (Trouble::new(1), Instant::now());
        let (mut said, mut pauses) = (0, Vec::new());
        for _ in 0..12 {
            // As a watcher does it: each time it begins its list anew.
            trouble.lists();
            let failed = trouble.failed(FORBIDDEN, now);
            said += usize::from(failed.news);
            pauses.push(failed.pause.as_secs_f64());
            assert_eq!((trouble.asks(), trouble.over()), (Some(now + failed.pause), None));
            now += failed.pause;
            trouble.ask(now);
            assert_eq!((trouble.asks(), trouble.over()), (None, None), "a list says itself when it is done");
        }
        assert_eq!(said, 1);
        assert!(pauses[0] <= 1.5 && pauses[6..].iter().all(|p| (30.0..=90.0).contains(p)), "{pauses:?}");
        // Another answer is news, the same one is none.
        assert!(trouble.failed(Refusal::Unanswered, now).news && !trouble.failed(FORBIDDEN, now).news);
        // What is not served is asked less often still.
        for _ in 0..8 {
            trouble.failed(Refusal::Unserved, now);
        }
        assert!(trouble.failed(Refusal::Unserved, now).pause >= UNSERVED / 2);
    }

    #[test]
    fn it_is_over_when_it_lasts_and_a_list_alone_does_not_last() {
        let (mut trouble, now) = (Trouble::new(1), Instant::now());
        trouble.heard(now);
        assert_eq!(trouble.over(), None, "there is none");
        // A list that is given, and a watch that is refused each time.
        for n in 0..8 {
            trouble.lists();
            trouble.listed(now);
            assert_eq!(trouble.over().is_some(), n > 0);
            let failed = trouble.failed(Refusal::Status(410), now);
            assert_eq!(failed.news, n == 0);
            assert!(n < 6 || failed.pause >= Duration::from_secs(30), "{n}: {failed:?}");
            trouble.ask(now);
            assert_eq!(trouble.over(), Some(now + QUIET), "a watch may have nothing to say");
        }
        trouble.heard(now);
        trouble.heard(now + SOUND / 2);
        assert_eq!(trouble.over(), Some(now + SOUND));
        assert_eq!(trouble.end(), 8);
        assert_eq!(trouble.over(), None);
        assert!(trouble.failed(FORBIDDEN, now).pause <= Duration::from_millis(1500), "from the beginning");
    }
}
