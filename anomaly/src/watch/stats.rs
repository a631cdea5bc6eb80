//! How much the detectors hold, and what they turned away.

use super::baseline::Baselines;
use super::reached::Reached;
use super::{Detectors, Learnt};
use crate::detector::holes::Holes;

/// What the detectors hold and what they turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Series watched, those that were heard within a day.
    pub series: usize,
    /// Groups of log lines watched.
    pub streams: usize,
    /// Probes watched.
    pub probes: usize,
    /// Metrics of workloads of which it is known for their next pods what is usual.
    pub baselines: usize,
    /// Workloads that have a model of their pods' metrics taken together.
    pub pod_models: usize,
    /// Kinds of calls between workloads, and of their own parts of requests.
    pub calls: usize,
    /// Upper bound of the bytes they take.
    pub bytes: usize,
    /// Values that were judged, or learnt from, since the state began.
    pub judged: u64,
    /// Samples of series there was no room for.
    pub refused_samples: u64,
    /// Samples that were passed over, being no newer than the last of their series.
    pub late_samples: u64,
    /// Times that what a workload's series had learnt could not be kept for its next pods.
    pub refused_baselines: u64,
    /// Counts of probes there was no room for.
    pub refused_probes: u64,
    /// Measures of pods, and minutes of workloads, there was no room for where a pod's metrics are taken together.
    pub refused_pods: u64,
    /// Trainings of those models that gave one, and that left the earlier one as it was.
    pub trained: u64,
    /// See [`Stats::trained`].
    pub untrained: u64,
    /// Lines of groups there was no room for.
    pub refused_lines: u64,
    /// Lines of groups that are counted, and for whose kinds there was no room.
    pub refused_kinds: u64,
    /// Lines of shapes that were new to their group and not looked at, being too many.
    pub refused_shapes: u64,
    /// Lines of requests there was no room for, or not enough for all, where it is looked at how long calls take.
    pub refused_requests: u64,
    /// Lines of workloads there was no room for there.
    pub refused_callers: u64,
    /// Calls of kinds there was no room for.
    pub refused_calls: u64,
    /// Times in which calls were slow and nobody was blamed at first, since what somebody says might be missing.
    pub withheld_calls: u64,
    /// Times that it was not kept how long something goes on, too much going on at once.
    pub refused_episodes: u64,
    /// Lines that were not counted, being late.
    pub late_lines: u64,
    /// Series, groups of lines, probes, calls, and what is known of workloads and their pods, that went: they were idle, or their place
    /// was another's.
    pub evicted: u64,
    /// Anomalies told.
    pub anomalies: u64,
}

impl Detectors {
    /// Counters and sizes.
    pub fn stats(&self) -> Stats {
        let Learnt {
            series,
            crowded,
            unasked,
            streams,
            kinds,
            probes,
            baselines,
            pods,
            calls,
            reached,
            judged,
            late,
            refused_shapes,
            late_lines,
            anomalies,
            episodes,
            ..
        } = &self.learnt;
        let watched = series.len() + crowded.len() + unasked.len();
        Stats {
            series: watched,
            streams: streams.len(),
            probes: probes.len(),
            baselines: baselines.len(),
            pod_models: pods.models(),
            calls: calls.len(),
            bytes: watched * Self::SERIES_BYTES
                + streams.len() * Self::STREAM_BYTES
                + kinds.len() * Self::KINDS_BYTES
                + probes.len() * Self::PROBE_BYTES
                + baselines.len() * Baselines::BYTES
                + pods.bytes()
                + calls.bytes()
                + episodes.bytes()
                + reached.len() * Reached::BYTES
                + Holes::HEAP
                + self.board.bytes(),
            judged: *judged,
            refused_samples: series.refused + crowded.refused + unasked.refused,
            late_samples: *late,
            refused_baselines: baselines.refused() + reached.refused(),
            refused_probes: probes.refused,
            refused_pods: pods.refused(),
            trained: pods.trained,
            untrained: pods.untrained,
            refused_lines: streams.refused,
            refused_kinds: kinds.refused,
            refused_shapes: *refused_shapes,
            refused_requests: calls.refused().lines,
            refused_callers: calls.refused().workloads,
            refused_calls: calls.refused().kinds,
            withheld_calls: calls.withheld(),
            refused_episodes: episodes.refused,
            late_lines: *late_lines,
            evicted: series.evicted
                + crowded.evicted
                + unasked.evicted
                + streams.evicted
                + kinds.evicted
                + probes.evicted
                + baselines.evicted()
                + reached.evicted()
                + pods.evicted()
                + calls.evicted(),
            anomalies: *anomalies,
        }
    }
}
