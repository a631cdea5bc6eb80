//! Who takes part in requests, and whether what it says can be relied on: its pods, and when its lines were written and came.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::{Team, Timestamp};

use super::{MINUTE, Speaker};

/// Pods of a workload that are told apart; of more than these those that have just come are few.
pub(super) const PODS: usize = 32;
/// Bytes of the names of one that takes part, without its pods'; whose are longer is as good as unknown.
pub(crate) const NAMES: usize = 512;
/// And of what its pods' names have beyond its own; those whose name finds no room are told apart no further.
const TAILS: usize = 640;
/// What a pod that comes to others takes in so long after its first line is not what it takes later.
const STARTS: Duration = Duration::from_secs(120);
/// A pod that says nothing for so many seconds, and so many times as long as it used to, may have begun anew; where that is longer
/// than a start it is that nobody asked.
const SOON: u32 = 10;
const LONGER: f32 = 3.0;
/// What it does again within so many seconds it does always.
const HOUR: u32 = 3600;

/// Who wrote a line: a container of a workload, and which of its pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Writer(u64);

/// The bits that tell pods apart; those of a number that no pod has stand for any of them.
const POD: u64 = 0x3f;

impl Writer {
    /// Whoever is no measure: who has just come, who finds no room, and whoever of another team takes part.
    pub(super) const SOMEBODY: Self = Self(SOMEBODY);

    pub(super) fn of(party: u64, pod: u8) -> Self {
        Self((party & !POD) | u64::from(pod).min(POD))
    }

    /// The same whoever of its pods it is.
    pub(super) fn party(self) -> u64 {
        self.0 & !POD
    }

    /// Which pod it is, where it is one in particular.
    pub(super) fn pod(self) -> Option<u8> {
        Some((self.0 & POD) as u8).filter(|pod| usize::from(*pod) < PODS)
    }

    /// This workload's pod, where the other is the same one.
    pub(super) fn with(self, other: Self) -> Self {
        if self == other { self } else { Self(self.0 | POD) }
    }
}

/// The party of [`Writer::SOMEBODY`].
pub(super) const SOMEBODY: u64 = 0;

/// The number of a container of a workload, which none of its pods changes.
pub(super) fn number(workload_key: u64) -> u64 {
    (workload_key & !POD).max(POD + 1)
}

/// A container of a workload that takes part in requests.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Party {
    pub(super) team: Team,
    pub(super) namespace: String,
    pub(super) workload: String,
    pub(super) container: String,
    since: Timestamp,
    pods: Vec<KnownPod>,
    /// When its first line was written, and its newest.
    first: Option<Timestamp>,
    newest: Timestamp,
    /// Since when lines of it came after their request was over, and when one did last.
    late: Option<(Timestamp, Timestamp)>,
}

/// A pod, by what its name has beyond the workload's. Times are in seconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct KnownPod {
    tail: Box<str>,
    /// When it was heard first, and last.
    first: u32,
    last: u32,
    /// When its newest line was written, and how far apart those with lines are.
    newest: u32,
    apart: f32,
    pause: Pause,
}

/// A time without a word that is longer than what is usual.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Pause {
    until: u32,
    lasted: u32,
    /// There was one like it not long before.
    is_usual: bool,
}

impl KnownPod {
    fn note(&mut self, second: u32, now: u32) {
        if self.newest > now {
            // By a clock that was ahead.
            (self.newest, self.pause) = (second, Pause::default());
        }
        let apart = second.saturating_sub(self.newest);
        if apart > 0 && self.newest > 0 {
            let gap = apart as f32;
            let usual = if self.apart > 0.0 { self.apart } else { gap };
            if (SOON..=STARTS.as_secs() as u32).contains(&apart) && gap >= LONGER * usual {
                let Pause { until, lasted, .. } = self.pause;
                let is_usual = second.saturating_sub(until) <= HOUR && lasted * 2 >= apart;
                self.pause = Pause { until: second, lasted: apart, is_usual };
            }
            self.apart = usual + (gap.min(2.0 * LONGER * usual.max(1.0)) - usual) / 8.0;
        }
        self.newest = self.newest.max(second);
    }
}

impl Party {
    /// The most that it takes, in bytes.
    pub(super) const BYTES: usize = size_of::<Self>() + NAMES + TAILS + PODS * size_of::<KnownPod>() + 64;

    pub(super) fn of(speaker: &Speaker<'_>, now: Timestamp) -> Self {
        Self {
            team: speaker.team.clone(),
            namespace: speaker.namespace.to_owned(),
            workload: speaker.workload.to_owned(),
            container: speaker.container.to_owned(),
            since: now,
            pods: Vec::new(),
            first: None,
            newest: Timestamp::MIN,
            late: None,
        }
    }

    /// The number of a pod whose next line is of this time and that speaks since long enough, as those do that are there when the
    /// workload is met; and that of none in particular where there are too many. `None` of one that has just come, or whose container
    /// has.
    pub(super) fn hear(&mut self, speaker: &Speaker<'_>, now: Timestamp, ts: Timestamp) -> Option<u8> {
        if self.team != *speaker.team {
            self.team = speaker.team.clone();
        }
        let (starts, time) = (STARTS.as_secs() as u32, seconds(now));
        let tail = speaker.pod.strip_prefix(self.stem()).filter(|tail| tail.is_empty() || tail.starts_with('-'));
        let tail = tail.unwrap_or(speaker.pod);
        let known = self.pods.iter().position(|pod| &*pod.tail == tail);
        let known = known.or_else(|| self.greet(tail, time));
        let first = *self.first.get_or_insert(ts);
        if speaker.started.is_some_and(|started| started > first && ts < started.plus(STARTS)) {
            return None;
        }
        let Some(number) = known else { return Some(PODS as u8) };
        let pod = self.pods.get_mut(number)?;
        pod.last = pod.last.max(time);
        let is_settled = pod.first < seconds(self.since) + starts || time >= pod.first + starts;
        is_settled.then_some(number as u8)
    }

    /// Takes up a pod that was not there before, in the place of one that is gone where there are many.
    fn greet(&mut self, tail: &str, time: u32) -> Option<usize> {
        let pod =
            KnownPod { tail: tail.into(), first: time, last: time, newest: 0, apart: 0.0, pause: Pause::default() };
        let tails: usize = self.pods.iter().map(|pod| pod.tail.len()).sum();
        if self.pods.len() < PODS && tails + tail.len() <= TAILS {
            self.pods.push(pod);
            return Some(self.pods.len() - 1);
        }
        let (number, oldest) = self.pods.iter_mut().enumerate().min_by_key(|(_, known)| known.last)?;
        let is_gone = oldest.last + (STARTS.as_secs() as u32) < time;
        let fits = tails + tail.len() <= TAILS + oldest.tail.len();
        if !is_gone || !fits {
            return None;
        }
        *oldest = pod;
        Some(number)
    }

    /// What the names of its pods begin with.
    fn stem(&self) -> &str {
        self.workload.rsplit('/').next().unwrap_or_default()
    }

    /// The name of a pod; none where it is not known which it is.
    pub(super) fn pod(&self, number: Option<u8>) -> String {
        let known = number.and_then(|number| self.pods.get(usize::from(number)));
        known.map_or_else(String::new, |pod| {
            // What does not begin like its workload is kept whole.
            let is_whole = !pod.tail.is_empty() && !pod.tail.starts_with('-');
            if is_whole { pod.tail.to_string() } else { format!("{}{}", self.stem(), pod.tail) }
        })
    }

    /// Takes note of when one of its lines was written.
    pub(super) fn note(&mut self, pod: Option<u8>, ts: Timestamp, received: Timestamp) {
        self.newest = if self.newest > received { ts } else { self.newest.max(ts) };
        if let Some(pod) = pod.and_then(|pod| self.pods.get_mut(usize::from(pod))) {
            pod.note(seconds(ts), seconds(received));
        }
    }

    /// A line of it came when the others of its request had been looked at.
    pub(super) fn is_late(&mut self, received: Timestamp) {
        let since = self.late.filter(|(_, last)| received < last.plus(STARTS)).map(|(since, _)| since);
        self.late = Some((since.unwrap_or(received), received));
    }

    /// Whether what it said until then may be missing, in calls that were well until `well`: what was well all the same has
    /// nothing to do with it.
    pub(super) fn is_missing(&self, (at, received): (Timestamp, Timestamp), silent: Duration, well: Timestamp) -> bool {
        let is_silent = self.newest.plus(silent) < at && well <= self.newest.plus(MINUTE);
        let is_late = |(since, last): (Timestamp, Timestamp)| {
            received < last.plus(STARTS) && last <= received && well <= since.plus(MINUTE)
        };
        is_silent || self.late.is_some_and(is_late)
    }

    /// Whether a pod may have begun anew so short a time before that what it took since was its start.
    pub(super) fn may_have_begun(&self, pod: Option<u8>, at: Timestamp) -> bool {
        let Some(pod) = pod.and_then(|pod| self.pods.get(usize::from(pod))) else { return false };
        let Pause { until, is_usual, .. } = pod.pause;
        let at = seconds(at);
        !is_usual && until <= at && at < until + (STARTS + MINUTE).as_secs() as u32
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

fn seconds(ts: Timestamp) -> u32 {
    u32::try_from(ts.0.div_euclid(1_000_000_000)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp(second * 1_000_000_000)
    }

    fn speaker<'a>(team: &'a Team, pod: &'a str) -> Speaker<'a> {
        Speaker {
            workload_key: 7,
            team,
            namespace: "shop",
            workload: "Deployment/web",
            pod,
            container: "app",
            started: None,
        }
    }

    #[test]
    fn a_writer_is_a_workload_and_one_of_its_pods() {
        let party = number(0xabc_def0);
        let writer = Writer::of(party, 5);
        assert_eq!((writer.party(), writer.pod(), writer.with(writer)), (party, Some(5), writer));
        let any = writer.with(Writer::of(party, 6));
        assert_eq!((any.party(), any.pod()), (party, None));
        assert_eq!(Writer::of(party, PODS as u8).pod(), None);
        assert!(number(0) != SOMEBODY && number(3) != SOMEBODY);
    }

    #[test]
    fn pods_have_their_names_as_far_as_there_is_room() {
        let team = Team::new("shop");
        let mut party = Party::of(&speaker(&team, "web-0"), at(0));
        for name in ["web-0", "web-7d9f8b6c5d-x2k4z", "web", "other"] {
            let number = party.hear(&speaker(&team, name), at(0), at(0));
            assert_eq!(party.pod(number), name);
        }
        let names: Vec<String> = (0..100).map(|n| format!("web-{n:020}")).collect();
        let numbers: Vec<_> = names.iter().map(|name| party.hear(&speaker(&team, name), at(0), at(0))).collect();
        assert_eq!(numbers.iter().filter(|n| **n == Some(PODS as u8)).count(), 100 - (PODS - 4).min(600 / 21));
        assert!(party.pods.iter().map(|pod| pod.tail.len()).sum::<usize>() <= TAILS);
        // Those that are gone give room.
        assert_eq!(party.hear(&speaker(&team, "web-new"), at(1000), at(1000)), None, "it has just come");
        let new = party.hear(&speaker(&team, "web-new"), at(1200), at(1200));
        assert_eq!(party.pod(new), "web-new");
    }

    #[test]
    fn a_container_that_starts_again_has_just_come() {
        let team = Team::new("shop");
        let mut party = Party::of(&speaker(&team, "web-0"), at(1000));
        let mut hear = |second: i64, started: Option<i64>| {
            let speaker = Speaker { started: started.map(at), ..speaker(&team, "web-0") };
            party.hear(&speaker, at(second), at(second))
        };
        assert_eq!(hear(1000, Some(990)), Some(0), "it is met so");
        assert_eq!((hear(1300, Some(1290)), hear(1409, Some(1290))), (None, None));
        assert_eq!((hear(1411, Some(1290)), hear(1500, None)), (Some(0), Some(0)));
    }

    #[test]
    fn a_pod_that_pauses_may_have_begun_anew_unless_it_often_does() {
        let begun = |seconds: &mut dyn Iterator<Item = i64>| {
            let team = Team::new("shop");
            let mut party = Party::of(&speaker(&team, "web-0"), at(0));
            let number = party.hear(&speaker(&team, "web-0"), at(0), at(0));
            let mut begun = Vec::new();
            for second in seconds {
                party.note(number, at(second), at(second + 5));
                if party.may_have_begun(number, at(second)) {
                    begun.push(second);
                }
            }
            begun
        };
        let paused = begun(&mut (1000..5000).filter(|s| !(3000..3015).contains(s)));
        assert_eq!((paused.first(), paused.last()), (Some(&3015), Some(&3194)));
        assert!(begun(&mut (1000..9000).step_by(12)).is_empty(), "it speaks seldom");
        let bursts = begun(&mut (1000..9000).filter(|s| s % 100 < 60));
        assert!(bursts.iter().all(|s| *s < 1400), "each minute and a half: {bursts:?}");
        assert!(begun(&mut (1000..9000).filter(|s| !(3000..3600).contains(s))).is_empty(), "nobody asked");
    }
}
