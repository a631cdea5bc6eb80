//! Who is to blame for calls that are slow: the one of the two whose other calls are slow as well, and otherwise the one that was
//! called. Nobody is while lines of one may be missing that may lie between the two.

use std::time::Duration;

use whyd_signals::Timestamp;

use super::party::{Party, SOMEBODY};
use super::taken::{Step, Taken};
use super::usual::{Blame, Of};
use super::{AWAY, Call, MINUTE};
use crate::slots::Slots;

/// What the other calls say of one of the two.
#[derive(Default)]
struct Evidence {
    /// It is blamed already.
    is_known: bool,
    /// How many of its calls with others were heard in the last minute, and how many of them are slow.
    heard: u32,
    slow: u32,
    /// It is slow to one that calls it, or by itself; the latter.
    is_slow_itself: bool,
    is_own_slow: bool,
    /// Who may lie between it and the other of the two, after how long without a word each is silent, and whether it is blamed.
    beside: Vec<Beside>,
}

impl Evidence {
    /// None of its other calls is slow.
    fn is_well(&self) -> bool {
        self.heard > 0 && self.slow == 0
    }

    fn has_beside(&self, party: u64) -> bool {
        self.beside.iter().any(|beside| beside.party == party)
    }

    /// Whether most of its other calls are slow, its own part as one of them, and more of them than of the other's.
    fn outweighs(&self, other: &Self) -> bool {
        self.slow * 2 > self.heard && self.slow * other.heard.max(1) > other.slow * self.heard
    }
}

/// One that may lie between.
struct Beside {
    party: u64,
    silent: Option<Duration>,
    is_blamed: bool,
}

/// What is found of a slow call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) blame: Blame,
    /// Whether the one that is blamed is so for another call already.
    pub(super) is_known: bool,
    /// The side of the one that is blamed: the caller (0) or the called (1).
    pub(super) side: u8,
}

/// What a call is found by.
pub(super) struct Asked<'a> {
    pub(super) key: u64,
    pub(super) taken: &'a Taken,
    /// Which of its calls are slow.
    pub(super) of: Of,
    pub(super) received: Timestamp,
}

/// Finds who is to blame for a call that is slow.
pub(super) fn find(asked: &Asked<'_>, calls: &Slots<u64, Call>, parties: &Slots<u64, Party>) -> Option<Found> {
    let Asked { key, taken, of, received } = *asked;
    let (caller, callee, at) = (taken.caller.party(), taken.callee.party(), taken.at);
    let usual = &calls.get(key)?.usual;
    let [of_caller, of_callee] = evidence(asked, calls);
    let waits = |whom| Some(Found { blame: Blame::Waits(whom), is_known: false, side: 1 });
    if let Some(whom) = still_missing(usual.blamed(), parties, (Timestamp(at), received)) {
        return waits(whom);
    }
    let is_own = matches!(taken.step, Step::Own { .. });
    let is_between = |whom: u64| is_own || (of_caller.has_beside(whom) && of_callee.has_beside(whom));
    let between = || of_caller.beside.iter().chain(&of_callee.beside).filter(|beside| is_between(beside.party));
    let is_missing = |beside: &&Beside| {
        let (party, silent) = (parties.get(beside.party), beside.silent);
        let times = (Timestamp(at), received);
        party.zip(silent).is_some_and(|(party, silent)| party.is_missing(times, silent, usual.well()))
    };
    if let Some(missing) = between().find(is_missing) {
        return waits(missing.party);
    }
    let is_callers = of_caller.outweighs(&of_callee);
    // One other that is slow might be another's fault; where the caller is slow by itself, or to those that call it, it is not.
    let is_callers_own = of_caller.is_slow_itself && of_callee.is_well();
    let is_of_caller = is_callers_own || (is_callers && (of_caller.slow > 1 || of_caller.is_slow_itself));
    let side = match (of, taken.step) {
        (Of::Pod(side, _), _) => Some(side),
        (Of::All, Step::Own { .. }) => Some(1),
        (Of::All, Step::Call) => Some(u8::from(!is_of_caller)),
        (Of::All, Step::Open) if is_callers => Some(0),
        (Of::All, Step::Open) => of_callee.outweighs(&of_caller).then_some(1),
    };
    let Some(side) = side else {
        // It may be of one that is blamed already.
        let known = [(caller, of_caller.is_known), (callee, of_callee.is_known)].into_iter();
        let known = known.chain(between().map(|beside| (beside.party, beside.is_blamed)));
        let blamed = known.filter(|(_, is_blamed)| *is_blamed).map(|(party, _)| party).next();
        let blame = blamed.map_or(Blame::Nobody, Blame::On);
        return Some(Found { blame, is_known: blamed.is_some(), side: 1 });
    };
    let (whom, evidence) = if side == 0 { (caller, &of_caller) } else { (callee, &of_callee) };
    let pod = match of {
        Of::Pod(_, pod) => Some(pod),
        Of::All => usual.pods(side).slowest,
    };
    if parties.get(whom).is_some_and(|party| party.may_have_begun(pod, Timestamp(at))) {
        return waits(SOMEBODY);
    }
    Some(Found { blame: Blame::On(whom), is_known: evidence.is_known, side })
}

/// Who was missing when it became slow, and still is.
fn still_missing(blamed: Option<Blame>, parties: &Slots<u64, Party>, times: (Timestamp, Timestamp)) -> Option<u64> {
    let Some(Blame::Waits(whom)) = blamed else { return None };
    let is_back = |party: &Party| !party.is_missing(times, MINUTE, Timestamp::MIN);
    (whom != SOMEBODY && !parties.get(whom).is_some_and(is_back)).then_some(whom)
}

/// What the other calls say of the caller and of the called.
fn evidence(asked: &Asked<'_>, calls: &Slots<u64, Call>) -> [Evidence; 2] {
    let Asked { key, taken, .. } = *asked;
    let both = [taken.caller.party(), taken.callee.party()];
    let mut evidence = [Evidence::default(), Evidence::default()];
    for (other, call) in calls.at(0..calls.places()) {
        if other == key || !both.iter().any(|party| call.takes_part(*party)) {
            continue;
        }
        for (side, (of, party)) in evidence.iter_mut().zip(both).enumerate() {
            if call.takes_part(party) {
                of.add(call, party, (side, both), asked);
            }
        }
    }
    evidence
}

impl Evidence {
    fn add(&mut self, call: &Call, party: u64, (side, both): (usize, [u64; 2]), asked: &Asked<'_>) {
        let at = asked.taken.at;
        let blamed = call.usual.blamed();
        self.is_known |= blamed == Some(Blame::On(party)) && call.usual.is_heard(at, AWAY);
        let is_slow =
            || call.usual.is_heard(at, MINUTE) && call.usual.judged().is_some_and(|minute| minute.is_likely());
        if call.caller == call.callee {
            let is_first = !self.is_own_slow && !matches!(blamed, Some(Blame::Waits(_))) && is_slow();
            self.heard += u32::from(is_first);
            self.slow += u32::from(is_first);
            self.is_own_slow |= is_first;
            self.is_slow_itself |= is_first;
            return;
        }
        let other = if call.caller == party { call.callee } else { call.caller };
        // Whom the caller calls, and who calls the called, may lie between them; of what is open it is not known who calls.
        let is_towards = match asked.taken.step {
            Step::Open => true,
            Step::Own { .. } => call.caller == party,
            Step::Call => (call.caller == party) == (side == 0),
        };
        if (is_towards || call.is_open) && !both.contains(&other) {
            let is_blamed = blamed == Some(Blame::On(other)) && call.usual.is_heard(at, AWAY);
            self.beside.push(Beside { party: other, silent: call.usual.silent_after(), is_blamed });
        }
        // What is another's fault says nothing of this one.
        let is_anothers = match blamed {
            Some(Blame::On(whom)) => whom != party,
            Some(Blame::Waits(_)) => true,
            Some(Blame::Nobody) | None => false,
        };
        if is_anothers || !call.usual.is_heard(at, MINUTE) {
            return;
        }
        self.heard += 1;
        if is_slow() {
            self.slow += 1;
            self.is_slow_itself |= call.callee == party && !call.is_open;
        }
    }
}

#[cfg(test)]
mod tests;
