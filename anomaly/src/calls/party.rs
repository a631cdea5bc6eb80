//! Who takes part in requests, and whether what it says can be relied on: its pods, and when its lines were written and came.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::{Team, Timestamp};

use super::{Speaker, open};
use crate::hash64;

/// Pods of a workload that are told apart; of more than these those that have just come are few.
const PODS: usize = 32;
/// Bytes of the names of one that takes part; whose are longer is as good as unknown.
pub(crate) const NAMES: usize = 1024;
/// What a pod that comes to others takes in so long after its first line is not what it takes later.
const STARTS: Duration = Duration::from_secs(120);

/// A container of a workload that takes part in requests.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Party {
    pub(super) team: Team,
    pub(super) namespace: String,
    pub(super) workload: String,
    pub(super) container: String,
    /// The pod that spoke last.
    pub(super) pod: String,
    since: Timestamp,
    pods: Vec<KnownPod>,
    /// When its newest line was written.
    newest: Timestamp,
    /// When lines of it came last that others had not waited for.
    late: Option<Timestamp>,
}

/// A pod by the hash of its name: when it was heard first, and last.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct KnownPod {
    name: u64,
    first: Timestamp,
    last: Timestamp,
}

impl Party {
    /// The most that it takes, in bytes.
    pub(super) const BYTES: usize = size_of::<Self>() + NAMES + PODS * size_of::<KnownPod>() + 64;

    pub(super) fn of(speaker: &Speaker<'_>, now: Timestamp) -> Self {
        Self {
            team: speaker.team.clone(),
            namespace: speaker.namespace.to_owned(),
            workload: speaker.workload.to_owned(),
            container: speaker.container.to_owned(),
            pod: String::new(),
            since: now,
            pods: Vec::new(),
            newest: Timestamp::MIN,
            late: None,
        }
    }

    /// Whether this pod speaks since long enough; those that are there when the workload is met do.
    pub(super) fn hear(&mut self, speaker: &Speaker<'_>, now: Timestamp) -> bool {
        if self.pod != speaker.pod {
            speaker.pod.clone_into(&mut self.pod);
        }
        if self.team != *speaker.team {
            self.team = speaker.team.clone();
        }
        let name = hash64(speaker.pod.as_bytes());
        let known = self.pods.iter_mut().find(|known| known.name == name);
        let first = if let Some(known) = known {
            known.last = known.last.max(now);
            known.first
        } else {
            let pod = KnownPod { name, first: now, last: now };
            if self.pods.len() < PODS {
                self.pods.push(pod);
            } else {
                let oldest = self.pods.iter_mut().min_by_key(|known| known.last);
                let Some(gone) = oldest.filter(|known| known.last.plus(STARTS) < now) else { return true };
                *gone = pod;
            }
            now
        };
        first < self.since.plus(STARTS) || now >= first.plus(STARTS)
    }

    /// Takes note of when its lines were written, and of whether they came while others still waited for them.
    pub(super) fn note(&mut self, ts: Timestamp, received: Timestamp) {
        self.newest = if self.newest > received { ts } else { self.newest.max(ts) };
        if received > ts.plus(open::WAITS) {
            self.late = Some(received);
        }
    }

    /// Whether what it said until then may be missing.
    pub(super) fn may_be_missed(&self, (at, received): (Timestamp, Timestamp), silent: Duration) -> bool {
        self.newest.plus(silent) < at || self.late.is_some_and(|late| received < late.plus(STARTS) && late <= received)
    }

    /// What it is to another; what lies outside of its namespace is not named, since that may be another team's one day.
    pub(super) fn name(&self, for_other: &Self) -> String {
        match (self.namespace == for_other.namespace, self.workload == for_other.workload) {
            (true, true) => format!("its container {}", self.container),
            (true, false) => self.workload.clone(),
            (false, _) => "a workload of another namespace".to_owned(),
        }
    }
}
