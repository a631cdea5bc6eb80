//! How long calls between workloads take, and a workload's own part of a request: by the lines that name the request.
//!
//! A network that delays, and a program that waits, show in no metric that every container has; but lines that carry the id
//! of a trace show where its time goes ([`taken`]). What each kind of call takes is held against its own past ([`usual`]). A
//! slow call is blamed on the one of the two whose other calls are slow as well, and otherwise on the one that was called:
//! each fault is told once, of one workload.
//!
//! Requests belong to a team: of what another's workloads say of the same trace it is seen that there was something, and when,
//! so that nobody is blamed for it. Bounds are of lines that wait for
//! others ([`open`]), of which no team gets all that is left, and of kinds of calls, of which each has its share.

mod known;
mod open;
mod party;
mod taken;
#[cfg(test)]
mod tests;
mod usual;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::schema::Anomaly;
use whyd_signals::{Team, Timestamp};

use crate::episodes::{self, Of};
use crate::hash::fold;
use crate::slots::{self, Slots};
use crate::wording;
pub use known::CallsKnown;
use open::Requests;
pub(crate) use party::NAMES;
use party::Party;
use taken::Taken;
use usual::{Slow, Usual};

/// There is a workload for so many kinds of calls.
const CALLS_OF_PARTY: usize = 4;
/// Who was not heard for so long gives room where there is need of it, and counts for nobody else.
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
}

/// One kind of call, or of own part.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Call {
    caller: u64,
    callee: u64,
    usual: Usual,
}

/// What is told of calls.
#[derive(Debug)]
pub(crate) enum Told {
    /// Some are slow by now, as this request shows.
    Opens(Box<Anomaly>, u64),
    /// This episode went on then.
    GoesOn(u64, Timestamp),
}

/// All of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Calls {
    requests: Requests,
    parties: Slots<u64, Party>,
    calls: Slots<u64, Call>,
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
        }
    }

    /// Goes on with what was learnt before; the bounds stay these.
    pub(crate) fn resume(&mut self, learnt: Self) {
        self.requests.resume(learnt.requests);
        self.parties.resume(learnt.parties);
        self.calls.resume(learnt.calls);
    }

    /// How many kinds of calls are known.
    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }

    /// What there was no room for: lines, workloads and kinds of calls, each time they came.
    pub(crate) fn refused(&self) -> u64 {
        self.requests.refused + self.parties.refused + self.calls.refused
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
        if lines.peek().is_some() {
            let names = of.namespace.len() + of.workload.len() + of.pod.len() + of.container.len();
            let is_known = !of.pod.is_empty() && names <= NAMES;
            let begin = || Party::of(of, heard);
            let party = if is_known { self.parties.entry_of(|| owner, of.workload_key, heard, begin) } else { None };
            // A pod that has just come is no measure, and who finds no room is none; but each says that somebody was there.
            let (whose, mut party) = match party {
                Some(party) => (if party.hear(of, heard) { of.workload_key } else { SOMEBODY }, Some(party)),
                None => (SOMEBODY, None),
            };
            for (ts, request) in lines {
                let ts = ts.min(received);
                if let Some(party) = &mut party {
                    party.note(ts, received);
                }
                self.requests.take((owner, request), (ts.0, whose), received);
            }
        }
        self.close((received, heard), told);
    }

    /// Looks at the requests that are over.
    fn close(&mut self, (received, heard): (Timestamp, Timestamp), mut told: impl FnMut(Told)) {
        while let Some((owner, request, mut lines)) = self.requests.over(received) {
            for taken in taken::taken(&mut lines) {
                if taken.caller == SOMEBODY || taken.callee == SOMEBODY {
                    continue;
                }
                let Taken { caller, callee, beside, at, took } = taken;
                let key = fold(caller.rotate_left(17) ^ callee, beside ^ KIND);
                let begin = || Call { caller, callee, usual: Usual::new() };
                let Some(call) = self.calls.entry_of(|| owner, key, heard, begin) else { continue };
                let slow = call.usual.observe(at, (took, request), received);
                if let Some(whom) = call.usual.blamed() {
                    told(Told::GoesOn(episodes::number(Of::Calls, whom), Timestamp(at)));
                }
                if let Some(slow) = slow
                    && let Some(found) = self.blame((owner, key), &taken, &slow, received)
                {
                    told(Told::Opens(Box::new(found), slow.request));
                }
            }
        }
    }

    /// Finds who is to blame for a slow call; the anomaly, where nothing was told of it yet. Where lines of somebody in between may
    /// be missing, nobody is.
    fn blame(&mut self, (owner, key): (u64, u64), taken: &Taken, slow: &Slow, received: Timestamp) -> Option<Anomaly> {
        let Taken { caller, callee, at, .. } = *taken;
        // Of both whether it is blamed already, and how many of its other calls are slow.
        let (mut of_caller, mut of_callee) = ((false, 0), (false, 0));
        for (other, call) in self.calls.at(0..self.calls.places()) {
            let takes_part = |party| call.caller == party || call.callee == party;
            if other == key || !(takes_part(caller) || takes_part(callee)) || !call.usual.is_heard(at, AWAY) {
                continue;
            }
            let of_others = [call.caller, call.callee].into_iter().filter(|party| ![caller, callee].contains(party));
            let mut others = of_others.filter_map(|party| self.parties.get(party));
            if let Some(silent) = call.usual.silent_after()
                && others.any(|party| party.may_be_missed((Timestamp(at), received), silent))
            {
                return None;
            }
            let blamed = call.usual.blamed();
            let is_slow =
                call.usual.is_heard(at, MINUTE) && call.usual.judged().is_some_and(|minute| minute.is_likely());
            for (party, of) in [(caller, &mut of_caller), (callee, &mut of_callee)] {
                of.0 |= blamed == Some(party);
                of.1 += u32::from(is_slow && takes_part(party));
            }
        }
        let (whom, other) = if of_caller > of_callee { (caller, callee) } else { (callee, caller) };
        let is_known = if whom == callee { of_callee.0 } else { of_caller.0 };
        let (blamed, other) = (self.parties.get(whom)?, self.parties.get(other)?);
        let is_own = |party: &Party| slots::owner(&party.team) == owner;
        let is_theirs = is_own(blamed) && is_own(other);
        self.calls.get_mut(key)?.usual.blame(whom);
        if is_known || !is_theirs {
            return None;
        }
        let what = match (caller == callee, whom == callee) {
            (true, _) => "its own part of requests".to_owned(),
            (false, true) => format!("calls by {}", other.name(blamed)),
            (false, false) => format!("its calls of {}", other.name(blamed)),
        };
        Some(Anomaly {
            ts: Timestamp(at),
            team: blamed.team.clone(),
            namespace: blamed.namespace.clone(),
            pod: blamed.pod.clone(),
            container: blamed.container.clone(),
            metric: "calls".to_owned(),
            score: slow.score(),
            value: slow.is,
            expected: slow.was,
            text: wording::slow(&what, (slow.is, slow.was), (slow.slow, slow.all)),
            workload: blamed.workload.clone(),
            trace: String::new(),
            until: Timestamp(at),
            episode: episodes::number(Of::Calls, whom),
        })
    }
}

/// Whoever is no measure: who has just come, who finds no room, and whoever of another team takes part.
const SOMEBODY: u64 = 0;
const KIND: u64 = 0xd6e8_feb8_6659_fd93;
