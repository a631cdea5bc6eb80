//! A pod's metrics together, minute by minute, against the past of its workload: what no single series shows.
//!
//! A vector is closed when the next minute begins. A workload's model is trained anew from time to time on the vectors
//! of all its pods, so that it outlives each of them; until there are enough, nothing is judged.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};
use whyd_signals::schema::Anomaly;
use whyd_signals::{Team, Timestamp};

use crate::detector::onset::Onset;
use crate::hash::Fixed;
use crate::pod_vector::{Model, PodVector};

/// The length of a moment.
const MINUTE: Duration = Duration::from_secs(60);
/// Vectors of a workload that are kept, the oldest go first.
const HISTORY: usize = 720;
/// A model is trained after so many new vectors.
const TRAIN_EVERY: usize = 64;
/// Pods and workloads followed at once; more are refused and counted.
const PODS: usize = 20_000;
const WORKLOADS: usize = 4_000;
/// What was not heard of for so long goes.
const IDLE: Duration = Duration::from_secs(2 * 3600);

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

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Minute {
    began: Timestamp,
    memory: f64,
    cpu: Option<[(Timestamp, f64); 2]>,
    lines: u32,
    errors: u32,
}

impl Minute {
    fn new(began: Timestamp) -> Self {
        Self { began, memory: f64::NAN, cpu: None, lines: 0, errors: 0 }
    }

    fn vector(&self) -> PodVector {
        let cores = self.cpu.map_or(f64::NAN, |[(from, first), (to, last)]| {
            let seconds = to.seconds_since(from);
            if seconds > 0.0 && last >= first { (last - first) / seconds } else { f64::NAN }
        });
        let per_second = |n: u32| f64::from(n) / MINUTE.as_secs_f64();
        let (throttled, restarts, network) = (f64::NAN, f64::NAN, f64::NAN);
        PodVector([self.memory, cores, throttled, restarts, per_second(self.lines), per_second(self.errors), network])
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Pod {
    minute: Minute,
    onset: Onset,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Past {
    vectors: Vec<PodVector>,
    since_trained: usize,
    model: Option<Model>,
    last: Timestamp,
}

/// The same state is the same bytes, in whatever order it came to be.
fn in_order<V: Serialize, S: Serializer>(map: &HashMap<u64, V, Fixed>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(map.iter().collect::<BTreeMap<_, _>>())
}

/// All pods that are followed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Pods {
    #[serde(serialize_with = "in_order")]
    pods: HashMap<u64, Pod, Fixed>,
    /// Shared with a copy until it is written next.
    #[serde(serialize_with = "in_order")]
    pasts: HashMap<u64, Arc<Past>, Fixed>,
    tidied: Timestamp,
    /// Measures of pods there was no room for.
    pub refused: u64,
}

impl Pods {
    /// Takes one measure; tells when the minute before it was unlike the workload's past.
    pub fn observe(&mut self, of: &Owner<'_>, ts: Timestamp, measure: Measure) -> Option<Anomaly> {
        let Some(pod) = pod(&mut self.pods, of, ts) else {
            self.refused += 1;
            return None;
        };
        let told = pod.turn(&mut self.pasts, of, ts);
        let minute = &mut pod.minute;
        match measure {
            Measure::MemoryFraction(share) => minute.memory = share,
            Measure::CpuSeconds(total) => match &mut minute.cpu {
                Some([_, last]) => *last = (ts, total),
                none => *none = Some([(ts, total); 2]),
            },
        }
        told
    }

    /// Takes log lines, each with when it was written and whether it tells of an error; tells of the minutes before them
    /// that were unlike the workload's past.
    pub fn observe_lines(
        &mut self,
        of: &Owner<'_>,
        lines: impl Iterator<Item = (Timestamp, bool)> + Clone,
        mut told: impl FnMut(Anomaly),
    ) {
        let Some((first, _)) = lines.clone().next() else { return };
        let Some(pod) = pod(&mut self.pods, of, first) else {
            self.refused += lines.count() as u64;
            return;
        };
        for (ts, is_error) in lines {
            pod.turn(&mut self.pasts, of, ts).into_iter().for_each(&mut told);
            pod.minute.lines = pod.minute.lines.saturating_add(1);
            pod.minute.errors = pod.minute.errors.saturating_add(u32::from(is_error));
        }
    }

    /// Forgets what was not heard of for long.
    pub fn tick(&mut self, now: Timestamp) {
        if now < self.tidied.plus(MINUTE) {
            return;
        }
        self.tidied = now;
        let horizon = now.minus(IDLE);
        self.pods.retain(|_, p| p.minute.began >= horizon);
        self.pasts.retain(|_, p| p.last >= horizon);
    }
}

/// The state of this pod, made where there is room.
fn pod<'p>(pods: &'p mut HashMap<u64, Pod, Fixed>, of: &Owner<'_>, ts: Timestamp) -> Option<&'p mut Pod> {
    let full = pods.len() >= PODS;
    match pods.entry(of.pod_key) {
        Entry::Occupied(entry) => Some(entry.into_mut()),
        Entry::Vacant(_) if full => None,
        Entry::Vacant(entry) => Some(entry.insert(Pod { minute: Minute::new(ts), onset: Onset::default() })),
    }
}

impl Pod {
    /// Begins the next minute where it is time, and judges the one before.
    fn turn(&mut self, pasts: &mut HashMap<u64, Arc<Past>, Fixed>, of: &Owner<'_>, ts: Timestamp) -> Option<Anomaly> {
        if ts < self.minute.began.plus(MINUTE) {
            return None;
        }
        let closed = std::mem::replace(&mut self.minute, Minute::new(ts));
        close(pasts, self, &closed, of, ts)
    }
}

fn close(
    pasts: &mut HashMap<u64, Arc<Past>, Fixed>,
    pod: &mut Pod,
    minute: &Minute,
    of: &Owner<'_>,
    now: Timestamp,
) -> Option<Anomaly> {
    if pasts.len() >= WORKLOADS && !pasts.contains_key(&of.workload_key) {
        return None;
    }
    let past = Arc::make_mut(pasts.entry(of.workload_key).or_default());
    past.last = now;
    let vector = minute.vector();
    let judged = past.model.as_ref().map(|m| m.judge(&vector));
    if past.vectors.len() >= HISTORY {
        past.vectors.drain(..HISTORY / 10);
    }
    past.vectors.push(vector);
    past.since_trained += 1;
    if past.since_trained >= TRAIN_EVERY {
        past.since_trained = 0;
        past.model = Model::train(&past.vectors).or(past.model.take());
    }
    let strangeness = judged?;
    if !pod.onset.observe(minute.began, strangeness.score) {
        return None;
    }
    Some(Anomaly {
        ts: minute.began,
        team: of.team.clone(),
        namespace: of.namespace.to_owned(),
        pod: of.pod.to_owned(),
        container: of.container.to_owned(),
        metric: "pod".to_owned(),
        score: strangeness.score,
        value: strangeness.score,
        expected: 1.0,
        text: format!("its metrics together are unlike its past, most of all {}", strangeness.strangest()),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    /// Feeds minutes of (memory fraction, cores, lines, errors); gives the minutes at which something was told.
    fn told(minutes: impl Iterator<Item = (f64, f64, u32, u32)>) -> Vec<usize> {
        let team = Team::new("a");
        let of = Owner { pod_key: 1, workload_key: 2, team: &team, namespace: "n", pod: "p", container: "c" };
        let mut pods = Pods::default();
        let mut cpu = 0.0;
        let mut found = Vec::new();
        for (n, (memory, cores, lines, errors)) in minutes.enumerate() {
            let at = |second: u64| Timestamp(0).plus(MINUTE * u32::try_from(n).unwrap() + Duration::from_secs(second));
            let mut measures = vec![(0, Measure::MemoryFraction(memory)), (1, Measure::CpuSeconds(cpu))];
            cpu += cores * 50.0;
            measures.push((51, Measure::CpuSeconds(cpu)));
            for (second, measure) in measures {
                if pods.observe(&of, at(second), measure).is_some() {
                    found.push(n - 1);
                }
            }
            pods.observe_lines(&of, (0..lines).map(|i| (at(52), i < errors)), |_| found.push(n - 1));
        }
        found
    }

    fn healthy(n: usize) -> (f64, f64, u32, u32) {
        let wave = (n as f64 / 7.0).sin();
        (0.4 + 0.05 * wave, 0.3 + 0.1 * wave, 20 + (n % 5) as u32, 0)
    }

    #[test]
    fn health_is_not_told() {
        assert_eq!(told((0..600).map(healthy)), Vec::<usize>::new());
    }

    #[test]
    fn a_pod_unlike_its_past_is_told_once() {
        let broken = |n| if n >= 300 { (0.98, 0.0, 200, 150) } else { healthy(n) };
        assert_eq!(told((0..320).map(broken)), [300]);
    }
}
