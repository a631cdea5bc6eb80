//! All that the detectors keep: how much room each part of it has, and how it is taken up again after a start.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::baseline::Baselines;
use super::heard::Heard;
use super::reached::Reached;
use super::series_state::SeriesState;
use super::{Config, Detectors};
use crate::calls::Calls;
use crate::detector::holes::Holes;
use crate::detector::log_kinds::LogKinds;
use crate::detector::log_rate::LogRate;
use crate::detector::probes::Probe;
use crate::episodes::Episodes;
use crate::pods::Pods;
use crate::slots::Slots;

/// A workload has several pods: there is a baseline for so many series.
const SERIES_OF_BASELINE: usize = 4;
/// What programs tell of themselves may take one of so many places for series, and what nobody asked for of that one of so many.
const PART_OF_CROWDED: usize = 4;
pub(super) const PART_OF_UNASKED: usize = 2;
/// There is a place for how far a metric of a workload went for so many series.
const SERIES_OF_REACHED: usize = 2;
/// There is a place for a probe for so many series.
const SERIES_OF_PROBE: usize = 4;
/// Of the bytes so many percent go to log lines, and of all so many to how many of them there are.
const LINES_PERCENT: usize = 36;
pub(super) const STREAMS_PERCENT: usize = 28;
/// Pods' metrics taken together have one of so many bytes.
const PART_OF_PODS: usize = 32;
/// How long calls take has one of so many, a half of it for requests that are under way.
const PART_OF_CALLS: usize = 32;
/// A series or probe that was not heard for so long may go, as far as there is need of its place: two scrapes are not so far apart.
const ENDED: Duration = Duration::from_secs(600);

/// What the detectors have learnt. A copy shares with the original what neither has written since.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Learnt {
    pub(super) series: Slots<u32, SeriesState>,
    /// Those of metrics that are [`Watched::crowded`](crate::watched::Watched::crowded) and asked for, or listed.
    pub(super) crowded: Slots<u32, SeriesState>,
    /// Those of metrics that are [`Watched::by_name`](crate::watched::Watched::by_name).
    pub(super) unasked: Slots<u32, SeriesState>,
    pub(super) streams: Slots<u64, LogRate>,
    /// Of the same groups, as far as there is room: what they say takes more than how much.
    pub(super) kinds: Slots<u64, LogKinds>,
    pub(super) holes: Holes,
    pub(super) probes: Slots<u64, Probe>,
    pub(super) baselines: Baselines,
    pub(super) pods: Pods,
    pub(super) calls: Calls,
    pub(super) reached: Reached,
    /// Of the samples, and of the lines.
    pub(super) heard: [Heard; 2],
    pub(super) judged: u64,
    pub(super) late: u64,
    pub(super) refused_shapes: u64,
    pub(super) late_lines: u64,
    pub(super) anomalies: u64,
    pub(super) episodes: Episodes,
}

impl Learnt {
    /// With nothing learnt, and the places for series, and of them those for what programs tell of themselves.
    pub(super) fn with_room(config: &Config) -> (Self, (usize, usize)) {
        let part = |percent: usize| config.bytes / 100 * percent;
        let streams = config.streams.min(part(STREAMS_PERCENT) / Detectors::STREAM_BYTES);
        let kinds =
            config.streams.min((part(LINES_PERCENT) - streams * Detectors::STREAM_BYTES) / Detectors::KINDS_BYTES);
        let pods = config.bytes / PART_OF_PODS / Pods::BYTES;
        let calls = config.bytes / PART_OF_CALLS;
        let others = streams * Detectors::STREAM_BYTES + kinds * Detectors::KINDS_BYTES + pods * Pods::BYTES + calls;
        let of_series = Detectors::SERIES_BYTES
            + Baselines::BYTES / SERIES_OF_BASELINE
            + Detectors::PROBE_BYTES / SERIES_OF_PROBE
            + Reached::BYTES / SERIES_OF_REACHED;
        let series = config.series.min((config.bytes - others) / of_series);
        let places = (series, series / PART_OF_CROWDED);
        let learnt = Self {
            series: Slots::new(places.0).gone_after(ENDED),
            crowded: Slots::new(places.1).gone_after(ENDED),
            unasked: Slots::new(places.1 / PART_OF_UNASKED).gone_after(ENDED),
            streams: Slots::new(streams),
            kinds: Slots::new(kinds),
            holes: Holes::default(),
            probes: Slots::new(series / SERIES_OF_PROBE).gone_after(ENDED),
            baselines: Baselines::new(series / SERIES_OF_BASELINE),
            pods: Pods::new(pods),
            calls: Calls::new(calls),
            reached: Reached::new(series / SERIES_OF_REACHED),
            heard: Default::default(),
            judged: 0,
            late: 0,
            refused_shapes: 0,
            late_lines: 0,
            anomalies: 0,
            episodes: Episodes::default(),
        };
        (learnt, places)
    }

    /// Takes what was learnt before into this room.
    pub(super) fn resume(&mut self, learnt: Self) {
        self.series.resume(learnt.series);
        self.crowded.resume(learnt.crowded);
        self.unasked.resume(learnt.unasked);
        self.streams.resume(learnt.streams);
        self.kinds.resume(learnt.kinds);
        self.holes = learnt.holes;
        self.probes.resume(learnt.probes);
        self.baselines.resume(learnt.baselines);
        self.pods.resume(learnt.pods);
        self.calls.resume(learnt.calls);
        self.reached.resume(learnt.reached);
        self.heard = learnt.heard;
        self.judged = learnt.judged;
        self.late = learnt.late;
        self.refused_shapes = learnt.refused_shapes;
        self.late_lines = learnt.late_lines;
        self.anomalies = learnt.anomalies;
        self.episodes = learnt.episodes;
    }
}
