//! What the ledger follows, one entry for each ended, replaced or never started instance, and which are still open.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::objects::{ContainerStatus, Event, Pod, Terminated, Waiting};
use whyd_signals::schema::Restart;
use whyd_signals::{Timestamp, Verb};

use super::counts::Missing;
use super::dependents::Dependents;
use super::queue::Queue;
use crate::case::{Ending, ToldIn};
use crate::cause::image_pull::REASONS as UNPULLED;
use crate::cause::sandbox::{DATA_DIRECTORIES, FAILED};
use crate::cause::unschedulable::REASONS as UNSCHEDULED;
use crate::complaint::Dependency;
use crate::disruption::BY_TAINT;

/// Waiting reasons by which a container is known not to have been started, beside those of its image.
const NOT_STARTED: [&str; 5] = [
    "CreateContainerConfigError",
    "CreateContainerError",
    "PreCreateHookError",
    "PreStartHookError",
    "RunContainerError",
];
/// Events about a pod whose containers cannot be made.
const STUCK_EVENTS: [&str; 9] = [
    "FailedMount",
    "FailedAttachVolume",
    "FailedMapVolume",
    "FailedCreatePodSandBox",
    "FailedPodSandBoxStatus",
    "FailedCreatePodContainer",
    "FailedPrepareDynamicResources",
    "NetworkNotReady",
    FAILED,
];
/// A pod as a whole that does not start is told of after so long: volumes and nodes are often there a moment later.
pub(super) const STUCK: Duration = Duration::from_secs(15);
/// A container that could not be started for less than this and then was is not told of.
const BRIEF: Duration = Duration::from_secs(60);
/// The third part of the key of such a pod.
const OF_POD: &str = "pod";
/// What a waiting container says in between.
const BACK_OFF: &str = "CrashLoopBackOff";

fn is_not_started(reason: &str) -> bool {
    NOT_STARTED.contains(&reason) || UNPULLED.contains(&reason)
}

/// What tells instances apart: pod uid, container, container id (or when it ended, where the runtime gave none).
pub(super) type Key = (String, String, String);

/// A key as one text.
pub(super) fn id_of(key: &Key) -> String {
    format!("{}/{}/{}", key.0, key.1, key.2)
}

/// The key of the instance that a row tells of.
pub(super) fn key_of(row: &Restart) -> Key {
    (row.pod_uid.clone().unwrap_or_default(), row.container.clone().unwrap_or_default(), row.container_id.clone())
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) namespace: String,
    pub(super) container: Option<String>,
    pub(super) ending: Ending,
    pub(super) seen_at: Timestamp,
    pub(super) row: Option<Arc<Restart>>,
    /// Whether its row stood before the daemon was started.
    restored: bool,
    /// Whether all was looked at once more when its verdict should have stood, and only its Job is waited for.
    pub(super) looked_over: bool,
}

impl Entry {
    fn new(pod: &Pod, container: Option<&str>, ending: Ending, seen_at: Timestamp) -> Self {
        Self {
            namespace: pod.metadata.namespace.clone(),
            container: container.map(str::to_owned),
            ending,
            seen_at,
            row: None,
            restored: false,
            looked_over: false,
        }
    }

    /// When a pod as a whole that does not start is told of; `None` where nothing is waited for.
    pub(super) fn told_from(&self) -> Option<Timestamp> {
        let stuck = matches!(self.ending, Ending::NeverStarted { .. }) && self.container.is_none();
        stuck.then(|| self.seen_at.plus(STUCK))
    }

    fn at(&self) -> Timestamp {
        match &self.ending {
            Ending::Ended { terminated, .. } => terminated.finished_at.unwrap_or(self.seen_at),
            _ => self.seen_at,
        }
    }
}

/// All entries.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Entries {
    all: BTreeMap<Key, Entry>,
    /// Those whose verdict may still be revised.
    queue: Queue,
    dependents: Dependents,
    /// When containers started that run now, by pod uid and container: the instances after the last that ended.
    running: BTreeMap<(String, String), (String, Timestamp)>,
    /// Open entries that came to nothing, with whatever row they had.
    taken_back: Vec<Key>,
}

impl Entries {
    pub(super) fn get(&self, key: &Key) -> Option<&Entry> {
        self.all.get(key)
    }

    /// Takes rows from where they are held already.
    pub(super) fn share_rows(&mut self, known: impl Fn(&Arc<Restart>) -> Option<Arc<Restart>>) {
        for entry in self.all.values_mut() {
            entry.row = entry.row.as_ref().map(|row| known(row).unwrap_or_else(|| Arc::clone(row)));
        }
    }

    /// Whether it is the turn of any.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.queue.is_due(now)
    }

    /// Whether any was never looked at.
    pub(super) fn has_new(&self) -> bool {
        self.queue.has_new()
    }

    /// The entries that came to nothing since the last call.
    pub(super) fn take_back(&mut self) -> Vec<Key> {
        std::mem::take(&mut self.taken_back)
    }

    /// Whether anything is known of a pod.
    pub(super) fn knows(&self, uid: &str) -> bool {
        let from = (uid.to_owned(), String::new(), String::new());
        self.all.range(from..).next().is_some_and(|((of, ..), _)| of == uid)
    }

    /// How many ends of a container are known, of its instances before that of this count.
    pub(super) fn ended_of(&self, uid: &str, container: &str, count: i64) -> usize {
        let is_before = |e: &Entry| matches!(e.ending, Ending::Ended { restart_count, .. } if restart_count < count);
        self.of(uid, container).filter(|(_, e)| is_before(e)).count()
    }

    fn of(&self, uid: &str, container: &str) -> impl Iterator<Item = (&Key, &Entry)> {
        let from = (uid.to_owned(), container.to_owned(), String::new());
        let same = move |(u, c, _): &Key| *u == from.0 && *c == from.1;
        let from = (uid.to_owned(), container.to_owned(), String::new());
        self.all.range(from..).take_while(move |(key, _)| same(key))
    }

    /// When the instance before this one ended and the one after it started.
    pub(super) fn neighbours(&self, key: &Key, entry: &Entry) -> (Option<Timestamp>, Option<Timestamp>) {
        let Ending::Ended { terminated: own, .. } = &entry.ending else { return (None, None) };
        let others: Vec<&Terminated> = self
            .of(&key.0, &key.1)
            .filter(|(k, _)| *k != key)
            .filter_map(|(_, e)| match &e.ending {
                Ending::Ended { terminated, .. } => Some(terminated),
                _ => None,
            })
            .collect();
        let place = |t: &Terminated| (t.finished_at, t.started_at);
        let before = others.iter().filter(|t| place(t) < place(own)).filter_map(|t| t.finished_at).max();
        let running = self.running.get(&(key.0.clone(), key.1.clone())).map(|(_, at)| *at);
        let later = others.iter().filter(|t| place(t) > place(own)).filter_map(|t| t.started_at);
        let after = later.chain(running).filter(|at| Some(*at) >= own.finished_at).min();
        (before, after)
    }

    /// Those whose turn it is. Each has to be given another with [`Entries::again`], or settled.
    pub(super) fn take_turns(&mut self, now: Timestamp) -> Vec<Key> {
        self.queue.take(now)
    }

    /// All was looked at once more, and only its Job is waited for.
    pub(super) fn looked_over(&mut self, key: &Key) {
        if let Some(entry) = self.all.get_mut(key) {
            entry.looked_over = true;
        }
    }

    /// The next turn of an entry, no later than `by`.
    pub(super) fn again(&mut self, key: &Key, now: Timestamp, by: Timestamp) {
        self.queue.again(key, now, by);
    }

    /// The round in which an open entry was judged last; 0 where it was not.
    pub(super) fn last_judged(&self, key: &Key) -> u64 {
        self.queue.last(key)
    }

    /// The open ones that depend on one of these.
    pub(super) fn depending_on<'a>(&self, on: impl Iterator<Item = &'a Dependency>) -> Vec<Key> {
        let mut keys: Vec<Key> = on.flat_map(|workload| self.dependents.of(workload)).cloned().collect();
        self.in_time(&mut keys);
        keys.dedup();
        keys
    }

    /// Orders entries by when they ended, so that causes come before what they caused.
    pub(super) fn in_time(&self, keys: &mut [Key]) {
        keys.sort_by_cached_key(|key| (self.all.get(key).map(Entry::at), key.clone()));
    }

    /// Keeps what a verdict said.
    pub(super) fn judged(&mut self, key: &Key, row: Option<Arc<Restart>>, depends_on: Vec<Dependency>, round: u64) {
        let Some(entry) = self.all.get_mut(key) else { return };
        entry.row = row;
        self.dependents.put(key, if self.queue.holds(key) { depends_on } else { Vec::new() });
        self.queue.judged(key, round);
    }

    /// From here on the verdict stands. What has no row is kept all the same: it tells the instances apart.
    pub(super) fn settle(&mut self, key: &Key) {
        self.queue.close(key);
        self.dependents.put(key, Vec::new());
    }

    pub(super) fn remove(&mut self, key: &Key) {
        self.settle(key);
        self.all.remove(key);
    }

    /// Takes in the status of a pod.
    pub(super) fn observe(&mut self, pod: &Pod, verb: Verb, at: Timestamp) {
        for status in pod.statuses() {
            if let Some(t) = &status.state.terminated {
                self.ended(pod, status, t, ToldIn::State, status.restart_count, at);
            }
            if let Some(t) = &status.last_state.terminated {
                self.ended(pod, status, t, ToldIn::LastState, (status.restart_count - 1).max(0), at);
            }
            if let Some(started) = status.state.running.as_ref().and_then(|r| r.started_at) {
                let key = (pod.metadata.uid.clone(), status.name.clone());
                let known = self.running.entry(key).or_insert_with(|| (pod.metadata.namespace.clone(), started));
                known.1 = known.1.max(started);
                self.started(pod, &status.name, at);
            }
            if let Some(w) = status.state.waiting.as_ref().filter(|w| is_not_started(&w.reason)) {
                self.not_started(pod, status, w, at);
            }
        }
        let scheduled = pod.condition("PodScheduled");
        if let Some(c) = scheduled.filter(|c| c.status == "False" && UNSCHEDULED.contains(&c.reason.as_str())) {
            self.stuck(pod, &c.reason, &c.message, c.last_transition_time.unwrap_or(at).min(at));
        } else if scheduled.is_some_and(|c| c.status == "True") {
            self.unstuck(&pod.metadata.uid, &UNSCHEDULED, at);
        }
        let disruption = pod.condition("DisruptionTarget").filter(|c| c.status == "True");
        let by_taint = disruption.filter(|c| c.reason == BY_TAINT && pod.metadata.deletion_timestamp.is_some());
        if let Some(asked) = by_taint.map(|c| c.last_transition_time.unwrap_or(at)) {
            self.given_up(pod, asked, at);
        }
        if verb == Verb::Delete {
            self.gone(pod, at);
            for status in pod.statuses() {
                self.running.remove(&(pod.metadata.uid.clone(), status.name.clone()));
            }
        }
        let any_end = pod.statuses().any(|s| s.state.terminated.is_some() || s.last_state.terminated.is_some());
        if pod.status.phase == "Failed" && !pod.status.reason.is_empty() && !any_end {
            let key = (pod.metadata.uid.clone(), String::new(), String::new());
            self.insert(key, || Entry::new(pod, None, Ending::Failed, at));
        }
    }

    /// A pod that was deleted for a taint of its node. Of one whose node does not answer nobody will tell how it ended,
    /// and its object may stay for hours; a kubelet that answers has yet to tell.
    fn given_up(&mut self, pod: &Pod, asked: Timestamp, at: Timestamp) {
        let uid = &pod.metadata.uid;
        let since = |e: &Entry| matches!(e.ending, Ending::Ended { .. }) && e.at() >= asked;
        let own = self.all.range((uid.clone(), String::new(), String::new())..);
        if own.take_while(|((u, ..), _)| u == uid).any(|(_, e)| since(e)) {
            let key = (uid.clone(), String::new(), String::new());
            if self.queue.holds(&key) && self.all.get(&key).is_some_and(|e| e.ending == Ending::Replaced) {
                self.taken_back.push(key);
            }
        } else if pod.condition("Ready").is_none_or(|c| c.status != "True") {
            // With the kubelet silent it is the node's controller that takes the pod's readiness away.
            self.gone(pod, at);
        }
    }

    /// A pod that is gone although its containers ran: it was replaced, or taken away.
    pub(super) fn gone(&mut self, pod: &Pod, at: Timestamp) {
        if pod.status.container_statuses.iter().any(|s| s.state.running.is_some()) {
            let key = (pod.metadata.uid.clone(), String::new(), String::new());
            // While the pod was still there nothing could be told of it; now it can.
            if self.all.get(&key).is_some_and(|e| e.row.is_none()) && !self.queue.holds(&key) {
                self.all.remove(&key);
            }
            self.insert(key, || Entry::new(pod, None, Ending::Replaced, at));
        }
    }

    /// An entry whose row stands already, made of the row.
    pub(super) fn restore(&mut self, row: &Arc<Restart>) -> Key {
        let ending = match (row.exit_code, row.container_id.strip_prefix("unseen/")) {
            (Some(exit_code), _) => Ending::Ended {
                terminated: Terminated {
                    exit_code,
                    signal: row.signal,
                    reason: row.reason.clone().unwrap_or_default(),
                    message: String::new(),
                    started_at: row.started_at,
                    finished_at: row.finished_at,
                    container_id: row.container_id.clone(),
                },
                field: ToldIn::LastState,
                restart_count: row.restart_count.unwrap_or(0),
                then: None,
            },
            (None, Some(_)) => Ending::Unseen { restart_count: row.restart_count.unwrap_or(0), after: row.seen_at },
            (None, None) => Ending::Replaced,
        };
        let key = key_of(row);
        let entry = Entry {
            namespace: row.namespace.clone(),
            container: row.container.clone(),
            ending,
            seen_at: row.seen_at,
            row: Some(Arc::clone(row)),
            restored: true,
            looked_over: false,
        };
        self.all.insert(key.clone(), entry);
        key
    }

    fn insert(&mut self, key: Key, make: impl FnOnce() -> Entry) {
        if !self.all.contains_key(&key) {
            self.queue.open(key.clone());
            self.all.insert(key, make());
        }
    }

    fn ended(&mut self, pod: &Pod, s: &ContainerStatus, t: &Terminated, field: ToldIn, count: i64, at: Timestamp) {
        let uid = &pod.metadata.uid;
        self.started(pod, &s.name, at);
        let id = if t.container_id.is_empty() {
            t.finished_at.map_or(count.to_string(), |f| f.to_string())
        } else {
            t.container_id.clone()
        };
        let waits = s.state.waiting.as_ref().filter(|w| w.reason != BACK_OFF && !w.reason.is_empty());
        let then = waits.filter(|_| field == ToldIn::LastState).cloned();
        let ending = Ending::Ended { terminated: t.clone(), field, restart_count: count, then: then.clone() };
        let key = (uid.clone(), s.name.clone(), id);
        let of_pod = (uid.clone(), String::new(), String::new());
        let told = |e: &Entry| e.ending == Ending::Replaced && e.row.is_some();
        if self.all.get(&of_pod).is_some_and(told) && !self.queue.holds(&of_pod) && !self.all.contains_key(&key) {
            // The row of the pod as a whole stands, and tells of this end.
            self.all.insert(key, Entry::new(pod, Some(&s.name), ending, at));
            return;
        }
        self.insert(key.clone(), || Entry::new(pod, Some(&s.name), ending.clone(), at));
        let open = self.queue.holds(&key);
        let Some(entry) = self.all.get_mut(&key).filter(|_| open) else { return };
        if let Ending::Ended { field: known, restart_count, then: waited, .. } = &mut entry.ending {
            // Seen as the current state it has its own count, whichever came first.
            if field == ToldIn::State {
                (*known, *restart_count) = (ToldIn::State, count);
            }
            if waited.is_none() {
                *waited = then;
            }
        }
    }

    /// What was started after all was not unable to start. A failure that lasted stays told; one that was over soon
    /// leaves nothing to do, and no row.
    fn started(&mut self, pod: &Pod, container: &str, at: Timestamp) {
        let uid = &pod.metadata.uid;
        let key = (uid.clone(), container.to_owned(), String::new());
        let brief = |e: &Entry| e.row.is_none() || at < e.seen_at.plus(BRIEF);
        if self.queue.holds(&key) && self.all.get(&key).is_some_and(brief) {
            self.taken_back.push(key);
        }
        self.unstuck(uid, &STUCK_EVENTS, at);
    }

    fn unstuck(&mut self, uid: &str, reasons: &[&str], at: Timestamp) {
        let key = (uid.to_owned(), String::new(), OF_POD.to_owned());
        let meant = |e: &Entry| {
            let brief = e.row.is_none() || at < e.seen_at.plus(BRIEF);
            brief && matches!(&e.ending, Ending::NeverStarted { reason, .. } if reasons.contains(&reason.as_str()))
        };
        if self.queue.holds(&key) && self.all.get(&key).is_some_and(meant) {
            self.taken_back.push(key);
        }
    }

    fn not_started(&mut self, pod: &Pod, s: &ContainerStatus, why: &Waiting, at: Timestamp) {
        let uid = &pod.metadata.uid;
        // A status that comes late tells of a wait that is over.
        let runs = self.running.contains_key(&(uid.clone(), s.name.clone()));
        let started = self.of(uid, &s.name).any(|(_, e)| matches!(e.ending, Ending::Ended { .. }));
        if runs || started || s.restart_count > 0 || s.last_state.terminated.is_some() {
            return;
        }
        let ending = Ending::NeverStarted { reason: why.reason.clone(), message: why.message.clone() };
        let key = (uid.clone(), s.name.clone(), String::new());
        self.insert(key.clone(), || Entry::new(pod, Some(&s.name), ending.clone(), at));
        let open = self.queue.holds(&key);
        // Back-off only says that it was tried before; the first reason says why.
        if let Some(entry) = self.all.get_mut(&key).filter(|_| open)
            && let Ending::NeverStarted { reason, .. } = &entry.ending
            && reason.ends_with("BackOff")
        {
            entry.ending = ending;
        }
    }

    /// A pod as a whole that cannot get going.
    fn stuck(&mut self, pod: &Pod, reason: &str, message: &str, at: Timestamp) {
        let ending = Ending::NeverStarted { reason: reason.to_owned(), message: message.to_owned() };
        let key = (pod.metadata.uid.clone(), String::new(), OF_POD.to_owned());
        self.insert(key.clone(), || Entry::new(pod, None, ending.clone(), at));
        let open = self.queue.holds(&key);
        if let Some(entry) = self.all.get_mut(&key).filter(|_| open) {
            entry.ending = ending;
        }
    }

    /// An event about a pod, which may be known or not yet.
    pub(super) fn observe_event(&mut self, event: &Event, namespace: &str, received: Timestamp) {
        let of_container = event.reason == FAILED && !event.message.starts_with(DATA_DIRECTORIES);
        if !STUCK_EVENTS.contains(&event.reason.as_str()) || of_container {
            return;
        }
        let about = &event.involved_object;
        let any_start = self.all.range((about.uid.clone(), String::new(), String::new())..);
        let mut own = any_start.take_while(|((uid, _, _), _)| *uid == about.uid);
        let ran = own.any(|(_, e)| matches!(e.ending, Ending::Ended { .. }));
        let runs =
            self.running.range((about.uid.clone(), String::new())..).next().is_some_and(|((u, _), _)| *u == about.uid);
        if ran || runs {
            return;
        }
        let mut pod = Pod::default();
        pod.metadata.uid.clone_from(&about.uid);
        namespace.clone_into(&mut pod.metadata.namespace);
        self.stuck(&pod, &event.reason, &event.message, event.first_timestamp.unwrap_or(received).min(received));
    }

    /// Makes as many entries for ends that nobody saw as are missing; gives those of ends that were seen after all.
    pub(super) fn unseen(&mut self, pod: &Pod, missing: &Missing, at: Timestamp) -> Vec<Key> {
        let uid = &pod.metadata.uid;
        let known: Vec<Key> = self
            .of(uid, &missing.container)
            .filter(|(_, e)| matches!(e.ending, Ending::Unseen { .. }) && !e.restored)
            .map(|(key, _)| key.clone())
            .collect();
        for n in known.len()..missing.ends {
            // The newest end is the one that the status still tells of.
            let count = (missing.count - 2 - i64::try_from(n).unwrap_or(0)).max(0);
            let ending = Ending::Unseen { restart_count: count, after: missing.after };
            let key = (uid.clone(), missing.container.clone(), format!("unseen/{count}"));
            self.insert(key, || Entry::new(pod, Some(&missing.container), ending, at));
        }
        let surplus = known.len().saturating_sub(missing.ends);
        known.into_iter().rev().take(surplus).collect()
    }

    /// Whether a container ended by the OOM killer at this time or later: that has a row.
    pub(super) fn killed_since(&self, uid: &str, container: &str, at: Timestamp) -> bool {
        let killed = |e: &Entry| {
            let later = matches!(&e.ending, Ending::Ended { terminated, .. } if terminated.finished_at >= Some(at.minus(STUCK)));
            later && e.row.as_ref().is_some_and(|r| r.mechanism.starts_with("oom-"))
        };
        self.of(uid, container).any(|(_, e)| killed(e))
    }

    /// Forgets entries without a row of pods that nobody knows any more, and what ran in them.
    pub(super) fn retain(&mut self, known: impl Fn(&str, &str) -> bool) {
        let queue = &self.queue;
        self.all.retain(|key, e| e.row.is_some() || queue.holds(key) || known(&e.namespace, &key.0));
        let pods: BTreeSet<&String> = self.all.keys().map(|(uid, _, _)| uid).collect();
        self.running.retain(|(uid, _), (namespace, _)| pods.contains(uid) || known(namespace, uid));
    }
}
