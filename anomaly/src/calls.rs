//! How long calls between workloads take, and a workload's own part of a request: by the lines that name the request.
//!
//! A network that delays, and a program that waits, show in no metric that every container has; but lines that carry the id
//! of a trace show where its time goes ([`taken`]). What each kind of call takes is held against its own past ([`usual`]), and
//! who is to blame for a slow one is found by the others ([`blame`]): each fault is told once, of one workload, or of none
//! where it is not known whose it is.
//!
//! Requests belong to a team: of what another's workloads say of the same trace it is seen that there was something, and when,
//! so that nobody is blamed for it. Bounds are of lines that wait for
//! others ([`open`]), of which no team gets all that is left, and of kinds of calls, of which each has its share.

mod blame;
mod known;
mod marks;
mod open;
mod over;
mod party;
mod taken;
#[cfg(test)]
mod tests;
mod usual;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::schema::Anomaly;
use whyd_signals::{Team, Timestamp};

use crate::episodes;
use crate::hash::fold;
use crate::slots::{self, Slots};
use crate::wording;
use blame::{Asked, Found};
pub use known::CallsKnown;
use open::Requests;
pub(crate) use party::NAMES;
use party::{PODS, Party, SOMEBODY, Writer};
use taken::{Step, Taken};
use usual::{Blame, Of, Slow, Usual};

/// There is a workload for so many kinds of calls.
const CALLS_OF_PARTY: usize = 4;
/// Who was not heard for so long gives room where there is need of it, and a fault of which nothing was heard for so long is over.
const AWAY: Duration = Duration::from_secs(600);
/// A call that was over within so long says how calls are now.
const MINUTE: Duration = Duration::from_secs(60);

/// Whose lines they are.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub struct Speaker<'a> {
    /// A hash of namespace, workload and container.
    pub workload_key: u64,
    pub team: &'a Team,
    pub namespace: &'a str,
    /// Its kind and name.
    pub workload: &'a str,
    pub pod: &'a str,
    pub container: &'a str,
    /// Since when the container runs, where that is known.
    pub started: Option<Timestamp>,
}

/// One kind of call, or of own part.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Call {
    caller: u64,
    callee: u64,
    /// Others may lie between their lines.
    is_open: bool,
    usual: Usual,
}

impl Call {
    fn takes_part(&self, party: u64) -> bool {
        self.caller == party || self.callee == party
    }
}

/// What is told of calls.
#[derive(Debug)]
pub(crate) enum Told {
    /// Some are slow by now, as this request shows.
    Opens(Box<Anomaly>, u64),
    /// This episode went on then.
    GoesOn(u64, Timestamp),
}

/// What there was no room for, each time it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Lines of requests.
    pub(crate) lines: u64,
    /// Workloads that take part.
    pub(crate) workloads: u64,
    /// Kinds of calls.
    pub(crate) kinds: u64,
}

/// All of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Calls {
    requests: Requests,
    parties: Slots<u64, Party>,
    calls: Slots<u64, Call>,
    /// Times that were slow and of which it was not told who is to blame, as long as somebody might be missing.
    withheld: u64,
}

impl Calls {
    /// The most that one kind of call takes, with its part of the workloads, in bytes.
    const BYTES: usize = size_of::<Call>() + Usual::HEAP + 64 + Party::BYTES / CALLS_OF_PARTY;

    /// In so many bytes at the most.
    pub(crate) fn new(bytes: usize) -> Self {
        let calls = bytes / 2 / Self::BYTES;
        Self {
            requests: Requests::new(bytes / 2 / Requests::BYTES),
            parties: Slots::new(calls / CALLS_OF_PARTY).gone_after(AWAY),
            calls: Slots::new(calls).gone_after(AWAY),
            withheld: 0,
        }
    }

    /// Goes on with what was learnt before; the bounds stay these.
    pub(crate) fn resume(&mut self, learnt: Self) {
        self.requests.resume(learnt.requests);
        self.parties.resume(learnt.parties);
        self.calls.resume(learnt.calls);
        self.withheld = learnt.withheld;
    }

    /// How many kinds of calls are known.
    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }

    /// What there was no room for.
    pub(crate) fn refused(&self) -> Refused {
        Refused { lines: self.requests.refused, workloads: self.parties.refused, kinds: self.calls.refused }
    }

    /// Times that were slow for which nobody was blamed at first, since what another says might be missing.
    pub(crate) fn withheld(&self) -> u64 {
        self.withheld
    }

    /// Workloads and kinds of calls that went.
    pub(crate) fn evicted(&self) -> u64 {
        self.parties.evicted + self.calls.evicted
    }

    /// Upper bound of the bytes that it takes.
    pub(crate) fn bytes(&self) -> usize {
        let calls = size_of::<Call>() + Usual::HEAP + 64;
        self.requests.bytes() + self.parties.len() * Party::BYTES + self.calls.len() * calls
    }

    /// Drops what is idle.
    pub(crate) fn sweep(&mut self, now: Timestamp, idle: Duration, most: usize) {
        self.parties.sweep(now, idle, most);
        self.calls.sweep(now, idle, most);
    }

    /// Takes lines of a pod that name their request, received then, each with when it was written; tells of what they and the
    /// lines before make slow.
    pub(crate) fn observe(
        &mut self,
        of: &Speaker<'_>,
        (received, heard): (Timestamp, Timestamp),
        lines: impl Iterator<Item = (Timestamp, u64)>,
        told: impl FnMut(Told),
    ) {
        let owner = slots::owner(of.team);
        let mut lines = lines.peekable();
        if let Some((first, _)) = lines.peek().copied() {
            let names = of.namespace.len() + of.workload.len() + of.container.len();
            let has_name = !of.pod.is_empty() && names <= NAMES;
            let (number, begin) = (party::number(of.workload_key), || Party::of(of, heard));
            let mut party = if has_name { self.parties.entry_of(|| owner, number, heard, begin) } else { None };
            // A pod that has just come is no measure, and who finds no room is none; but each says that somebody was there.
            let pod = party.as_mut().and_then(|party| party.hear(of, heard, first));
            let writer = pod.map_or(Writer::SOMEBODY, |pod| Writer::of(number, pod));
            for (ts, request) in lines {
                let ts = ts.min(received);
                let is_late = self.requests.take((owner, request), (ts.0, writer), received);
                if let Some(party) = &mut party {
                    party.note(pod, ts, received);
                    if is_late {
                        party.is_late(received);
                    }
                }
            }
        }
        self.close((received, heard), told);
    }

    /// Looks at the requests that are over.
    fn close(&mut self, (received, heard): (Timestamp, Timestamp), mut told: impl FnMut(Told)) {
        while let Some((owner, request, mut lines)) = self.requests.over(received) {
            for taken in taken::taken(&mut lines) {
                let (caller, callee) = (taken.caller.party(), taken.callee.party());
                let key = fold(caller.rotate_left(17) ^ callee, taken.step.number() ^ KIND);
                let is_open = taken.step == Step::Open;
                let begin = || Call { caller, callee, is_open, usual: Usual::new() };
                let Some(call) = self.calls.entry_of(|| owner, key, heard, begin) else { continue };
                let pods = [taken.caller, taken.callee].map(|writer| writer.pod().unwrap_or(PODS as u8));
                let slow = call.usual.observe((taken.at, taken.took), (request, pods), received);
                if let Some(episode) = call.usual.blamed().and_then(|blame| episode(blame, key)) {
                    told(Told::GoesOn(episode, Timestamp(taken.at)));
                }
                if let Some(slow) = slow
                    && let Some(found) = self.blame((owner, key), &taken, &slow, received)
                {
                    told(Told::Opens(Box::new(found), slow.request));
                }
            }
        }
    }

    /// Finds who is to blame for a slow call; the anomaly, where nothing was told of it yet.
    fn blame(&mut self, (owner, key): (u64, u64), taken: &Taken, slow: &Slow, received: Timestamp) -> Option<Anomaly> {
        let asked = Asked { key, taken, of: slow.of, received };
        let found = blame::find(&asked, &self.calls, &self.parties)?;
        let usual = &mut self.calls.get_mut(key)?.usual;
        if matches!(found.blame, Blame::Waits(_)) && usual.blamed().is_none() {
            self.withheld += 1;
        }
        usual.blame(slow.of, found.blame);
        if matches!(found.blame, Blame::Waits(_)) || found.is_known {
            return None;
        }
        let caller = self.parties.get(taken.caller.party())?;
        let callee = self.parties.get(taken.callee.party())?;
        let is_own = |party: &Party| slots::owner(&party.team) == owner;
        if !is_own(caller) || !is_own(callee) {
            return None;
        }
        let pods = self.calls.get(key)?.usual.pods(found.side);
        Some(anomaly([caller, callee], (key, taken, &found), slow, &pods))
    }
}

/// The number of what goes on while this kind of call is slow: that of the one who is to blame, or its own where nobody is.
fn episode(blame: Blame, key: u64) -> Option<u64> {
    match blame {
        Blame::On(whom) => Some(episodes::number(episodes::Of::Calls, whom)),
        Blame::Nobody => Some(episodes::number(episodes::Of::Calls, key)),
        Blame::Waits(_) => None,
    }
}

/// Of a slow call what is told.
fn anomaly(both: [&Party; 2], (key, taken, found): (u64, &Taken, &Found), slow: &Slow, pods: &usual::Pods) -> Anomaly {
    let [caller, callee] = both;
    let is_nobodys = found.blame == Blame::Nobody;
    let (blamed, other) = if found.side == 0 { (caller, callee) } else { (callee, caller) };
    let pod = match slow.of {
        Of::All => pods.slowest,
        Of::Pod(_, pod) => Some(pod),
    };
    let what = match (taken.step, found.side) {
        _ if is_nobodys => format!("between lines of {} and of {}", other.name(blamed), blamed.workload),
        (Step::Own { .. }, _) => "its own part of requests".to_owned(),
        (Step::Open, _) => format!("between its lines and those of {}", other.name(blamed)),
        (Step::Call, 0) => format!("its calls of {}", other.name(blamed)),
        (Step::Call, _) => format!("calls by {}", other.name(blamed)),
    };
    let of_pods = if is_nobodys { (0, 0) } else { (pods.slow, pods.all) };
    Anomaly {
        ts: Timestamp(taken.at),
        team: blamed.team.clone(),
        namespace: blamed.namespace.clone(),
        pod: if is_nobodys { String::new() } else { blamed.pod(pod) },
        container: if is_nobodys { String::new() } else { blamed.container.clone() },
        metric: "calls".to_owned(),
        score: slow.score(),
        value: slow.is,
        expected: slow.was,
        text: wording::slow(&what, (slow.is, slow.was), (slow.slow, slow.all), of_pods),
        workload: if is_nobodys { String::new() } else { blamed.workload.clone() },
        trace: String::new(),
        until: Timestamp(taken.at),
        episode: episode(found.blame, key).unwrap_or_default(),
    }
}

const KIND: u64 = 0xd6e8_feb8_6659_fd93;
