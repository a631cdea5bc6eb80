//! A pod's metrics together, minute by minute, against the past of its workload and against its siblings: what no single
//! series shows.
//!
//! A minute is closed when the pod is heard of in a later one, and judged one minute after that, when its siblings have
//! closed theirs: what befalls all of them in the same minute, as the first work of the day does, is no pod's own. What a
//! pod that is alone does every day at its hour is usual, too ([`Daily`]). A workload's model is trained on the vectors of
//! all its pods, so that it outlives each of them, and never while a sample or line is taken: [`Pods::tick`] trains one of
//! those whose turn it is.

mod past;

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::schema::Anomaly;
use whyd_signals::{Team, Timestamp};

use self::past::{Mean, Past};
use crate::detector::onset::Onset;
use crate::episodes::{self, Of};
use crate::pod_vector::{Features, PodVector};
use crate::slots::{Slots, owner};

/// The length of a moment.
const MINUTE: Duration = Duration::from_secs(60);
const MINUTE_NS: i64 = 60_000_000_000;
/// A pod that is not heard of for so long goes; and a workload's past. Where there is need of their places they go sooner.
const IDLE: Duration = Duration::from_secs(2 * 3600);
const KEPT: Duration = Duration::from_secs(4 * 86_400);
const ENDED: Duration = Duration::from_secs(600);
/// Places looked at for idleness each minute.
const SWEEP: usize = 2048;
/// How a pod starts is unlike what it and its siblings do later.
const START: Duration = Duration::from_secs(600);
/// A counter says how much there was of something since it was last seen, not longer ago than this.
const APART_S: f64 = 300.0;
/// There is room for so many pods for each workload.
const PODS_OF_WORKLOAD: usize = 4;

/// Whose measure it is.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub struct Owner<'a> {
    /// A hash of namespace, pod and container.
    pub pod_key: u64,
    /// A hash of namespace, workload and container: whose past it is held against.
    pub workload_key: u64,
    pub team: &'a Team,
    pub namespace: &'a str,
    pub pod: &'a str,
    pub container: &'a str,
}

/// One measure of a pod.
#[derive(Debug, Clone, Copy)]
pub enum Measure {
    /// Working set over the limit, 0 to 1.
    MemoryFraction(f64),
    /// The counter of CPU seconds.
    CpuSeconds(f64),
}

/// What is known of the minute at hand, which is counted since the epoch.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Minute {
    number: i64,
    memory: f64,
    lines: u32,
    errors: u32,
}

impl Minute {
    fn new(number: i64) -> Self {
        Self { number, memory: f64::NAN, lines: 0, errors: 0 }
    }
}

/// The counter of CPU seconds: where the minute began, and where it is.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Cpu {
    began: Option<(Timestamp, f64)>,
    last: Option<(Timestamp, f64)>,
}

impl Cpu {
    /// The cores in use since the minute before; NaN where that is not known.
    fn turn(&mut self) -> f64 {
        let (began, last) = (self.began, self.last);
        self.began = last.or(began);
        let (Some((from, first)), Some((to, last))) = (began, last) else { return f64::NAN };
        let seconds = to.seconds_since(from);
        if seconds > 0.0 && seconds <= APART_S { (last - first) / seconds } else { f64::NAN }
    }
}

/// A minute that waits for those of the siblings.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Closed {
    minute: i64,
    version: u32,
    residual: Features,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Pod {
    /// When it was first heard of, or began anew.
    since: Timestamp,
    minute: Minute,
    cpu: Cpu,
    mean: Mean,
    closed: Option<Closed>,
    onset: Onset,
}

/// The pasts of workloads, and which of them are to be learnt from.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Workloads {
    pasts: Slots<u64, Past>,
    /// Those whose models are to be trained, each once.
    due: VecDeque<u64>,
}

/// There is no room for a workload's past.
struct NoRoom;

impl Workloads {
    /// The past of this workload, made where there is room, with the vector of this pod's minute taken in.
    fn take(&mut self, of: &Owner<'_>, now: Timestamp, minute: i64, vector: &PodVector) -> Result<&mut Past, NoRoom> {
        let past = self.pasts.entry_of(|| owner(of.team), of.workload_key, now, Past::default).ok_or(NoRoom)?;
        if past.take(of.pod_key, minute, vector) {
            self.due.push_back(of.workload_key);
        }
        Ok(past)
    }
}

/// All pods that are followed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pods {
    pods: Slots<u64, Pod>,
    workloads: Workloads,
    /// The newest that was heard of any: time goes by that, so that a clock of our own that jumps forgets nothing.
    newest: Timestamp,
    tidied: Timestamp,
    /// Trainings that gave a model, and that left the earlier one.
    pub trained: u64,
    #[allow(missing_docs)]
    pub untrained: u64,
}

impl Pods {
    /// The most that a workload takes with the pods that there is room for, in bytes.
    pub const BYTES: usize = Past::BYTES + 64 + PODS_OF_WORKLOAD * Self::POD_BYTES;
    const POD_BYTES: usize = size_of::<Pod>() + 64;

    /// Of so many workloads at the most.
    pub fn new(workloads: usize) -> Self {
        Self {
            pods: Slots::new(workloads * PODS_OF_WORKLOAD).gone_after(ENDED),
            workloads: Workloads { pasts: Slots::new(workloads).gone_after(IDLE), due: VecDeque::new() },
            newest: Timestamp::MIN,
            tidied: Timestamp::MIN,
            trained: 0,
            untrained: 0,
        }
    }

    /// Goes on with what was learnt before; the bound stays this one's.
    pub fn resume(&mut self, held: Self) {
        self.pods.resume(held.pods);
        self.workloads.pasts.resume(held.workloads.pasts);
        self.workloads.due = held.workloads.due;
        (self.newest, self.tidied) = (held.newest, held.tidied);
        (self.trained, self.untrained) = (held.trained, held.untrained);
    }

    /// Workloads that have a model.
    pub fn models(&self) -> usize {
        let pasts = &self.workloads.pasts;
        pasts.at(0..pasts.places()).filter(|(_, past)| past.has_model()).count()
    }

    /// Measures of pods, and minutes of workloads, that there was no room for.
    pub fn refused(&self) -> u64 {
        self.pods.refused + self.workloads.pasts.refused
    }

    /// Pods and pasts that went.
    pub fn evicted(&self) -> u64 {
        self.pods.evicted + self.workloads.pasts.evicted
    }

    /// Upper bound of the bytes that it takes.
    pub fn bytes(&self) -> usize {
        self.pods.len() * Self::POD_BYTES + self.workloads.pasts.len() * (Past::BYTES + 64)
    }

    /// Takes one measure; tells when an earlier minute was unlike the workload's past and its siblings. One of the minute before
    /// counts with what is at hand, since lines come sooner than samples; what is older is passed over: a gap that is filled is
    /// no work of now.
    pub fn observe(&mut self, of: &Owner<'_>, ts: Timestamp, measure: Measure) -> Option<Anomaly> {
        self.newest = self.newest.max(ts);
        let pod = self.pods.entry_of(|| owner(of.team), of.pod_key, self.newest, || Pod::new(ts))?;
        let Ok(told) = pod.turn(&mut self.workloads, of, (ts, self.newest)) else {
            // It takes no place from one whose workload has a past.
            self.pods.remove(of.pod_key);
            return None;
        };
        if minute_of(ts) + 1 < pod.minute.number {
            return None;
        }
        match measure {
            Measure::MemoryFraction(share) => pod.minute.memory = share,
            Measure::CpuSeconds(total) => pod.count(ts, total),
        }
        told
    }

    /// Takes log lines of a pod whose measures are known, each with when it was written and whether it tells of an error; tells
    /// of earlier minutes that were unlike the workload's past and its siblings.
    pub fn observe_lines(
        &mut self,
        of: &Owner<'_>,
        lines: impl Iterator<Item = (Timestamp, bool)>,
        mut told: impl FnMut(Anomaly),
    ) {
        let Some(pod) = self.pods.get_mut(of.pod_key) else { return };
        for (ts, is_error) in lines {
            self.newest = self.newest.max(ts);
            let Ok(found) = pod.turn(&mut self.workloads, of, (ts, self.newest)) else {
                self.pods.remove(of.pod_key);
                return;
            };
            found.into_iter().for_each(&mut told);
            // Senders lag a little, but what comes again of hours ago is no work of now.
            if minute_of(ts) + 1 >= pod.minute.number {
                pod.minute.lines = pod.minute.lines.saturating_add(1);
                pod.minute.errors = pod.minute.errors.saturating_add(u32::from(is_error));
            }
        }
    }

    /// It is this time for those who receive. Where something was heard of well later, their clock was ahead: pods would wait until
    /// it is as late again, so they begin anew, and what their workloads have learnt goes on. Where it was ahead by less they wait
    /// for no longer than a start takes.
    pub fn hear(&mut self, received: Timestamp) {
        if self.newest <= received.plus(START) {
            return;
        }
        (self.newest, self.tidied) = (received, received);
        let minute = minute_of(received);
        self.pods.set_back(received, |pod| {
            if pod.minute.number > minute {
                *pod = Pod { mean: pod.mean, ..Pod::new(received) };
            }
        });
        self.workloads.pasts.set_back(received, |past| past.set_back(minute));
    }

    /// While a pod is strange, the last minute in which it was.
    pub(crate) fn lasts(&self, pod_key: u64) -> Option<Timestamp> {
        self.pods.get(pod_key)?.onset.lasts()
    }

    /// Trains the model whose turn it is, and now and then forgets what was not heard of for long.
    pub fn tick(&mut self) {
        let Workloads { pasts, due } = &mut self.workloads;
        while let Some(workload) = due.pop_front() {
            let Some(past) = pasts.get_mut(workload) else { continue };
            let counted = if past.train() { &mut self.trained } else { &mut self.untrained };
            *counted += 1;
            break;
        }
        if self.newest < self.tidied.plus(MINUTE) {
            return;
        }
        self.tidied = self.newest;
        self.pods.sweep(self.newest, IDLE, SWEEP);
        pasts.sweep(self.newest, KEPT, SWEEP);
    }
}

impl Pod {
    fn new(ts: Timestamp) -> Self {
        Self {
            since: ts,
            minute: Minute::new(minute_of(ts)),
            cpu: Cpu::default(),
            mean: Mean::default(),
            closed: None,
            onset: Onset::default(),
        }
    }

    /// The counter of CPU seconds is so high by then.
    fn count(&mut self, ts: Timestamp, total: f64) {
        let last = self.cpu.last.or(self.cpu.began);
        if last.is_some_and(|(before, _)| ts <= before) {
            return;
        }
        if last.is_some_and(|(_, last)| total < last) {
            (self.cpu, self.since) = (Cpu::default(), ts);
        }
        self.cpu.began.get_or_insert((ts, total));
        self.cpu.last = Some((ts, total));
    }

    /// Begins the next minute where it is time, and judges the one before the last.
    fn turn(
        &mut self,
        workloads: &mut Workloads,
        of: &Owner<'_>,
        (ts, now): (Timestamp, Timestamp),
    ) -> Result<Option<Anomaly>, NoRoom> {
        let number = minute_of(ts);
        if number <= self.minute.number {
            return Ok(None);
        }
        let minute = std::mem::replace(&mut self.minute, Minute::new(number));
        let vector = vector(&minute, self.cpu.turn());
        if began(minute.number) < self.since.plus(START) || !vector.is_known() {
            self.closed = None;
            return Ok(None);
        }
        let past = workloads.take(of, now, minute.number, &vector)?;
        Ok(self.close(past, of, minute.number, &vector))
    }

    /// Puts a minute by until the siblings' are closed, and judges the one that was put by before.
    fn close(&mut self, past: &mut Past, of: &Owner<'_>, minute: i64, vector: &PodVector) -> Option<Anomaly> {
        self.mean.take(vector);
        let residual = past.residual(vector);
        let closed = self.closed.take();
        self.closed = residual.map(|(version, residual)| Closed { minute, version, residual });
        if let Some((_, residual)) = residual {
            past.show(of.pod_key, minute, &residual, self.mean);
        }
        let Closed { minute, version, residual } = closed?;
        let (strangeness, siblings) = past.judge(of.pod_key, (minute, version), &residual, self.mean)?;
        let ts = began(minute);
        if !self.onset.observe(ts, strangeness.score) {
            return None;
        }
        let and = match siblings {
            0 => String::new(),
            1 => " and its sibling in the same minute".to_owned(),
            n => format!(" and {n} siblings in the same minute"),
        };
        Some(Anomaly {
            ts,
            team: of.team.clone(),
            namespace: of.namespace.to_owned(),
            pod: of.pod.to_owned(),
            container: of.container.to_owned(),
            metric: "pod".to_owned(),
            score: strangeness.score,
            value: strangeness.score,
            expected: 1.0,
            text: format!("its metrics together are unlike its past{and}, most of all {}", strangeness.strangest()),
            workload: String::new(),
            trace: String::new(),
            until: ts,
            episode: episodes::number(Of::Pod, of.pod_key),
        })
    }
}

/// A minute in which nothing but lines was heard has no vector: lines come late.
fn vector(minute: &Minute, cores: f64) -> PodVector {
    if !minute.memory.is_finite() && !cores.is_finite() {
        return PodVector::UNKNOWN;
    }
    let per_second = |n: u32| n as f32 / MINUTE.as_secs_f32();
    PodVector([minute.memory as f32, cores as f32, per_second(minute.lines), per_second(minute.errors)])
}

fn minute_of(ts: Timestamp) -> i64 {
    ts.0.div_euclid(MINUTE_NS)
}

fn began(minute: i64) -> Timestamp {
    Timestamp(minute.saturating_mul(MINUTE_NS))
}

#[cfg(test)]
mod tests;
