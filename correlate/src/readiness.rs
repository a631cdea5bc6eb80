//! When pods were ready, told by their own conditions: each turn of `Ready` has its time in it, so that it does not
//! matter in which order the statuses came.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::objects::Pod;
use whyd_signals::{Range, Ranges, Timestamp, Verb};

/// Turns that are kept of a pod; the oldest go first.
const TURNS: usize = 64;

/// One turn of the condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Turn {
    ready: bool,
    /// It stopped being ready while all its containers ran on.
    calm: bool,
}

/// A time in which a pod was not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unready {
    pub(crate) since: Timestamp,
    /// When it was ready again, or gone; `None` while it lasts.
    pub(crate) until: Option<Timestamp>,
    /// Whether its containers ran on when it began.
    pub(crate) calm: bool,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Turns {
    namespace: String,
    turns: BTreeMap<Timestamp, Turn>,
    gone: Option<Timestamp>,
}

impl Turns {
    /// Takes in the condition of one status; whether it told something new.
    fn turn(&mut self, pod: &Pod) -> bool {
        let Some(condition) = pod.condition("Ready") else { return false };
        let Some(at) = condition.last_transition_time else { return false };
        let ready = condition.status == "True";
        let turn = Turn { ready, calm: !ready && runs_on(pod, at) };
        let told = !self.turns.contains_key(&at);
        let known = self.turns.entry(at).or_insert(turn);
        // A later status of the same turn may show that a container had ended after all.
        known.calm &= turn.calm;
        while self.turns.len() > TURNS {
            self.turns.pop_first();
        }
        told
    }
}

/// All pods that are known.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Readiness {
    pods: BTreeMap<String, Turns>,
    /// By namespace, the pods that stopped being ready while their containers ran on, and of which something may still
    /// be told.
    watched: BTreeMap<String, BTreeSet<String>>,
    /// Times in which the cluster was not heard: whatever happened to pods then, nobody could see it.
    unheard: Ranges,
    /// When it was heard last; `None` where nothing tells, and all that came is taken to be all that was.
    heard: Option<Timestamp>,
    /// It is not heard since.
    lost: bool,
}

/// A watch is taken up anew in less than a minute, and bookmarks come as often. So long a silence is none of a server that is well.
pub const SILENCE: Duration = Duration::from_secs(150);

impl Readiness {
    /// Takes in one status; whether it told something new.
    pub(crate) fn observe(&mut self, pod: &Pod, verb: Verb, received: Timestamp) -> bool {
        let uid = &pod.metadata.uid;
        let known = self.pods.entry(uid.clone()).or_default();
        known.namespace.clone_from(&pod.metadata.namespace);
        let over = matches!(pod.status.phase.as_str(), "Failed" | "Succeeded");
        let before = known.gone;
        if verb == Verb::Delete || over {
            known.gone = Some(known.gone.map_or(received, |g| g.min(received)));
        }
        let mut told = known.gone != before;
        told |= known.turn(pod);
        if told && known.turns.values().any(|t| t.calm) {
            self.watched.entry(pod.metadata.namespace.clone()).or_default().insert(uid.clone());
        }
        told
    }

    /// The cluster was heard at this time.
    pub(crate) fn heard(&mut self, at: Timestamp) {
        let before = self.heard.unwrap_or(at);
        if self.lost || at > before.plus(SILENCE) {
            self.unheard.add(Range::new(before, at.max(before)));
        }
        self.lost = false;
        self.heard = Some(at.max(before));
    }

    /// The cluster is not heard any more, since it was heard last.
    pub(crate) fn lost(&mut self) {
        self.lost = self.heard.is_some();
    }

    /// When the cluster was heard last, if that is told at all, and whether it is lost since.
    pub(crate) fn last_heard(&self) -> Option<(Timestamp, bool)> {
        Some((self.heard?, self.lost))
    }

    /// Whether all is known that pods did until then.
    pub(crate) fn is_known(&self, at: Timestamp) -> bool {
        self.heard.is_none_or(|heard| at <= heard)
    }

    /// When trouble that was over then has been over for so long, of the time in which the cluster was heard; the end of time
    /// while it is lost, unless that was before.
    pub(crate) fn quiet_until(&self, over: Timestamp, quiet: Duration) -> Timestamp {
        let mut end = over.plus(quiet);
        for unheard in self.unheard.iter().filter(|r| r.to > over) {
            if unheard.from >= end {
                break;
            }
            let lost = unheard.to.nanos().saturating_sub(unheard.from.max(over).nanos());
            end = end.plus(Duration::from_nanos(lost.unsigned_abs()));
        }
        if self.lost && !self.is_known(end) { Timestamp::MAX } else { end }
    }

    /// Whether anything is known of a pod.
    pub(crate) fn knows(&self, uid: &str) -> bool {
        self.pods.contains_key(uid)
    }

    /// What a fresh list no longer held.
    pub(crate) fn vanished(&mut self, uid: &str, at: Timestamp) {
        if let Some(known) = self.pods.get_mut(uid) {
            known.gone.get_or_insert(at);
        }
    }

    /// Forgets pods of which nothing is known any more.
    pub(crate) fn retain(&mut self, known: impl Fn(&str, &str) -> bool) {
        self.pods.retain(|uid, pod| known(&pod.namespace, uid));
        let pods = &self.pods;
        self.watched.retain(|_, uids| {
            uids.retain(|uid| pods.contains_key(uid));
            !uids.is_empty()
        });
    }

    /// The pods of a namespace that stopped being ready while their containers ran on, and of which something may still
    /// be told.
    pub(crate) fn watched_of(&self, namespace: &str) -> impl Iterator<Item = &String> {
        self.watched.get(namespace).into_iter().flatten()
    }

    /// All that could be told of this pod stands, until its readiness turns again.
    pub(crate) fn unwatch(&mut self, namespace: &str, uid: &str) {
        if let Some(uids) = self.watched.get_mut(namespace) {
            uids.remove(uid);
        }
    }

    /// From when on all turns of a pod are known; earlier ones were let go.
    pub(crate) fn known_from(&self, uid: &str) -> Timestamp {
        let turns = self.pods.get(uid).map(|p| &p.turns).filter(|turns| turns.len() >= TURNS);
        turns.and_then(|turns| turns.first_key_value()).map_or(Timestamp::MIN, |(at, _)| *at)
    }

    /// The times in which the pod was not ready, in order.
    pub(crate) fn unready(&self, uid: &str) -> Vec<Unready> {
        let Some(known) = self.pods.get(uid) else { return Vec::new() };
        let mut found: Vec<Unready> = Vec::new();
        for (at, turn) in &known.turns {
            match found.last_mut().filter(|u| u.until.is_none()) {
                Some(last) if turn.ready => last.until = Some(*at),
                None if !turn.ready => found.push(Unready { since: *at, until: None, calm: turn.calm }),
                _ => {}
            }
        }
        if let (Some(gone), Some(last)) = (known.gone, found.last_mut().filter(|u| u.until.is_none())) {
            last.until = Some(gone.max(last.since));
        }
        found
    }

    /// Until when trouble of this pod at `at` lasted: when it was ready again or gone, `None` while it is neither.
    /// A pod that stayed ready all the time was over it at once.
    pub(crate) fn recovered(&self, uid: &str, at: Timestamp) -> Option<Timestamp> {
        let Some(known) = self.pods.get(uid) else { return Some(at) };
        let now_ready = known.turns.range(..=at).next_back().is_some_and(|(_, t)| t.ready);
        let mut later = known.turns.range((std::ops::Bound::Excluded(at), std::ops::Bound::Unbounded));
        // A container's end is seen before the pod's condition turns.
        let next = match later.next() {
            Some((_, turn)) if !turn.ready => later.find(|(_, t)| t.ready).map(|(t, _)| *t),
            Some((back, _)) => Some(*back),
            None if now_ready => Some(at),
            None => None,
        };
        match (next, known.gone) {
            (Some(next), Some(gone)) => Some(next.min(gone.max(at))),
            (next, gone) => next.or(gone.map(|g| g.max(at))),
        }
    }
}

/// Whether all containers run, and ran before the condition turned.
fn runs_on(pod: &Pod, turned: Timestamp) -> bool {
    let running = |s: &whyd_signals::objects::ContainerStatus| {
        s.state.running.as_ref().and_then(|r| r.started_at).is_some_and(|started| started < turned)
    };
    let leaving = pod.metadata.deletion_timestamp.is_some();
    !leaving && pod.status.phase == "Running" && pod.status.container_statuses.iter().all(running)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    /// A pod of one container that started at second 0.
    fn pod(turned: u32, ready: bool) -> Pod {
        let status = if ready { "True" } else { "False" };
        serde_json::from_value(serde_json::json!({
            "metadata": {"name": "p", "namespace": "n", "uid": "u"},
            "status": {
                "phase": "Running",
                "conditions": [
                    {"type": "Ready", "status": status, "lastTransitionTime": format!("2026-01-01T00:00:{turned:02}Z")}
                ],
                "containerStatuses": [{"name": "c", "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}],
            },
        }))
        .unwrap()
    }

    fn at(second: u32) -> Timestamp {
        Timestamp::parse(&format!("2026-01-01T00:00:{second:02}Z")).unwrap()
    }

    #[test]
    fn turns_are_told_in_any_order() {
        let turns = [(2, true), (10, false), (20, true), (30, false)];
        let orders: [[usize; 4]; 3] = [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]];
        for order in orders {
            let mut readiness = Readiness::default();
            for i in order {
                let (turned, ready) = turns[i];
                readiness.observe(&pod(turned, ready), Verb::Apply, at(40));
            }
            let span = |since, until: Option<u32>| Unready { since: at(since), until: until.map(at), calm: true };
            assert_eq!(readiness.unready("u"), [span(10, Some(20)), span(30, None)], "{order:?}");
            assert_eq!(readiness.recovered("u", at(9)), Some(at(20)));
            assert_eq!(readiness.recovered("u", at(31)), None);
        }
    }

    #[test]
    fn quiet_time_is_what_was_heard() {
        let minute = |minute: i64| at(0).plus(Duration::from_secs(minute.unsigned_abs() * 60));
        let quiet = Duration::from_secs(600);
        let mut readiness = Readiness::default();
        assert_eq!(readiness.quiet_until(minute(1), quiet), minute(11), "nothing tells of hearing");
        assert!(readiness.is_known(minute(100)));
        readiness.lost();
        assert_eq!(readiness.last_heard(), None, "it was never heard");
        for heard in 0..=3 {
            readiness.heard(minute(heard));
        }
        assert!(readiness.is_known(minute(3)) && !readiness.is_known(minute(4)));
        readiness.lost();
        assert_eq!(readiness.quiet_until(minute(1), quiet), Timestamp::MAX);
        readiness.heard(minute(5));
        assert_eq!(readiness.quiet_until(minute(1), quiet), minute(13), "of these ten minutes two were not heard");
        // A server that only falls silent.
        readiness.heard(minute(9));
        assert_eq!(readiness.quiet_until(minute(1), quiet), minute(17));
        readiness.observe(&pod(10, false), Verb::Apply, minute(10));
        assert_eq!(readiness.last_heard(), Some((minute(9), false)), "it may be the first of a list");
        assert_eq!(readiness.quiet_until(minute(11), quiet), minute(21), "what was before it does not count");
    }

    #[test]
    fn a_pod_that_is_gone_is_over_it() {
        let mut readiness = Readiness::default();
        readiness.observe(&pod(10, false), Verb::Apply, at(11));
        readiness.observe(&pod(10, false), Verb::Delete, at(15));
        assert_eq!(readiness.unready("u")[0].until, Some(at(15)));
        assert_eq!(readiness.recovered("u", at(12)), Some(at(15)));
    }
}
