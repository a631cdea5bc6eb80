//! What the core drives: every published sample and line goes through here, and anomalies come out at their onset.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::schema::Anomaly;
use whyd_signals::{Timestamp, is_stale};

use crate::calls::{Calls, CallsKnown, Speaker, Told};
use crate::detector::holes::Holes;
use crate::detector::log_kinds::{LogKinds, Resolve};
use crate::detector::log_rate::LogRate;
use crate::detector::probes::{Consequence, Outcome, Probe, Probed};
use crate::episodes::{self, Episodes, Of};
use crate::hash64;
use crate::pods::{Measure, Owner, Pods};
use crate::slots::{Slots, owner};
use crate::watched::{Kind, WatchList, Watched};
use crate::wording;
use background::NEW;
pub use background::{Background, Readiness};
use baseline::Baselines;
pub use config::Config;
use heard::Heard;
pub use keys::{Line, LineKey, ProbeKey, SeriesKey};
use reached::Reached;
use series_state::{Others, SeriesState};
use standing::Board;
pub use standing::{Basis, Standing};
pub use stats::Stats;

mod background;
mod baseline;
mod config;
mod heard;
mod judged;
mod keys;
mod lines;
mod reached;
mod rooms;
mod series_state;
mod standing;
mod stats;

/// Slots looked at for idleness in one tick.
const SWEEP: usize = 2048;

/// A workload has several pods: there is a baseline for so many series.
const SERIES_OF_BASELINE: usize = 4;
/// What programs tell of themselves may take one of so many places for series, and what nobody asked for of that one of so many.
const PART_OF_CROWDED: usize = 4;
const PART_OF_UNASKED: usize = 2;
/// There is a place for how far a metric of a workload went for so many series.
const SERIES_OF_REACHED: usize = 2;
/// There is a place for a probe for so many series.
const SERIES_OF_PROBE: usize = 4;
/// Of the bytes so many percent go to log lines, and of all so many to how many of them there are.
const LINES_PERCENT: usize = 36;
const STREAMS_PERCENT: usize = 28;
/// Pods' metrics taken together have one of so many bytes.
const PART_OF_PODS: usize = 32;
/// How long calls take has one of so many, a half of it for requests that are under way.
const PART_OF_CALLS: usize = 32;
/// A series or probe that was not heard for so long may go, as far as there is need of its place: two scrapes are not so far apart.
const ENDED: Duration = Duration::from_secs(600);

/// All detectors of single series, with their state.
#[derive(Debug)]
pub struct Detectors {
    config: Config,
    watch_list: WatchList,
    /// Places for series, and of them those for what programs tell of themselves.
    places: (usize, usize),
    learnt: Learnt,
    board: Board,
}

/// What the detectors have learnt. A copy shares with the original what neither has written since.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Learnt {
    series: Slots<u32, SeriesState>,
    /// Those of metrics that are [`Watched::crowded`] and asked for, or listed.
    crowded: Slots<u32, SeriesState>,
    /// Those of metrics that are [`Watched::by_name`].
    unasked: Slots<u32, SeriesState>,
    streams: Slots<u64, LogRate>,
    /// Of the same groups, as far as there is room: what they say takes more than how much.
    kinds: Slots<u64, LogKinds>,
    holes: Holes,
    probes: Slots<u64, Probe>,
    baselines: Baselines,
    pods: Pods,
    calls: Calls,
    reached: Reached,
    /// Of the samples, and of the lines.
    heard: [Heard; 2],
    judged: u64,
    late: u64,
    refused_shapes: u64,
    late_lines: u64,
    anomalies: u64,
    episodes: Episodes,
}

impl Detectors {
    /// The most that the state of one series takes, in bytes.
    pub const SERIES_BYTES: usize = SeriesState::BYTES + 32;
    /// The most that the counts of one group of lines take, in bytes.
    pub const STREAM_BYTES: usize = LogRate::BYTES + 32;
    /// The most that the kinds of lines of one group take, in bytes.
    pub const KINDS_BYTES: usize = size_of::<LogKinds>() + LogKinds::HEAP + 32;

    /// The most that one probe takes, in bytes.
    pub const PROBE_BYTES: usize = size_of::<Probe>() + 48;

    /// With nothing learnt. Of `config.bytes` 36 % at most go to log lines: 28 % at most to how many there are, and what that
    /// leaves to what they say.
    pub fn new(config: Config) -> Self {
        let part = |percent: usize| config.bytes / 100 * percent;
        let streams = config.streams.min(part(STREAMS_PERCENT) / Self::STREAM_BYTES);
        let kinds = config.streams.min((part(LINES_PERCENT) - streams * Self::STREAM_BYTES) / Self::KINDS_BYTES);
        let pods = config.bytes / PART_OF_PODS / Pods::BYTES;
        let calls = config.bytes / PART_OF_CALLS;
        let others = streams * Self::STREAM_BYTES + kinds * Self::KINDS_BYTES + pods * Pods::BYTES + calls;
        let of_series = Self::SERIES_BYTES
            + Baselines::BYTES / SERIES_OF_BASELINE
            + Self::PROBE_BYTES / SERIES_OF_PROBE
            + Reached::BYTES / SERIES_OF_REACHED;
        let series = config.series.min((config.bytes - others) / of_series);
        let places = (series, series / PART_OF_CROWDED);
        let learnt = Learnt {
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
        let watch_list = WatchList::new(config.asked.clone());
        Self { config, watch_list, places, learnt, board: Board::default() }
    }

    /// What was learnt so far.
    pub fn learnt(&self) -> Learnt {
        self.learnt.clone()
    }

    /// Goes on with what was learnt before; the bounds stay these.
    pub fn resume(&mut self, learnt: Learnt) {
        self.learnt.series.resume(learnt.series);
        self.learnt.crowded.resume(learnt.crowded);
        self.learnt.unasked.resume(learnt.unasked);
        self.learnt.streams.resume(learnt.streams);
        self.learnt.kinds.resume(learnt.kinds);
        self.learnt.holes = learnt.holes;
        self.learnt.probes.resume(learnt.probes);
        self.learnt.baselines.resume(learnt.baselines);
        self.learnt.pods.resume(learnt.pods);
        self.learnt.calls.resume(learnt.calls);
        self.learnt.reached.resume(learnt.reached);
        self.learnt.heard = learnt.heard;
        self.learnt.judged = learnt.judged;
        self.learnt.late = learnt.late;
        self.learnt.refused_shapes = learnt.refused_shapes;
        self.learnt.late_lines = learnt.late_lines;
        self.learnt.anomalies = learnt.anomalies;
        self.learnt.episodes = learnt.episodes;
    }

    /// How a metric of this name is read, if it is watched: ask once a series, and leave the samples of others away.
    pub fn watches(&self, metric: &str) -> Option<Arc<Watched>> {
        self.watch_list.of(metric)
    }

    /// All metrics that are watched.
    pub fn watch_list(&self) -> &WatchList {
        &self.watch_list
    }

    /// What is known of each watched series, as of some ticks ago, in parts that are shared.
    pub fn standings(&self) -> Vec<Arc<[Standing]>> {
        self.board.parts()
    }

    /// What is known of calls between workloads, as of some ticks ago.
    pub fn calls_known(&self) -> Arc<[CallsKnown]> {
        self.board.calls()
    }

    /// Takes a sample as it was published; the anomaly that it opens. `limit` is the container's limit of what the
    /// metric measures, where there is one. Samples that are not newer than the last of their series are passed over.
    pub fn observe_sample(
        &mut self,
        key: &SeriesKey<'_>,
        limit: Option<f64>,
        (ts, value): (Timestamp, f64),
        background: &dyn Background,
    ) -> Option<Anomaly> {
        let watched = key.watched;
        if watched.per_container && (key.container.is_empty() || key.container == "POD") {
            return None;
        }
        let Learnt {
            series,
            crowded,
            unasked,
            baselines,
            reached,
            heard: [heard, _],
            judged,
            late,
            anomalies,
            episodes,
            ..
        } = &mut self.learnt;
        let now = heard.hear();
        let part = match (watched.crowded, watched.by_name) {
            (false, _) => self.places.0,
            (true, false) => self.places.1.saturating_sub(unasked.len()),
            (true, true) => self.places.1.saturating_sub(crowded.len()).min(self.places.1 / PART_OF_UNASKED),
        };
        let (table, others) = match (watched.crowded, watched.by_name) {
            (false, _) => (series, [crowded, unasked]),
            (true, false) => (crowded, [series, unasked]),
            (true, true) => (unasked, [series, crowded]),
        };
        rooms::share(table, others, (self.places.0, part), (key, now));
        let begin = || {
            let since = watched.counts_errors().then(|| background.scraped_without_it_since()).flatten();
            SeriesState::new(key, baselines, since.filter(|since| ts >= since.plus(NEW)))
        };
        let state = table.entry_of(|| owner(key.team), key.id.0, now, begin)?;
        if state.kind != watched.kind {
            *state = SeriesState::new(key, baselines, None);
        }
        if state.workload != key.workload {
            state.join(key, baselines);
        }
        if state.last.is_some_and(|last| ts <= last) {
            *late += 1;
            return None;
        }
        state.last = Some(ts);
        let value = match watched.kind {
            Kind::Counter => state.rate.observe(ts, value)?,
            Kind::Gauge if is_stale(value) || !value.is_finite() => return None,
            Kind::Gauge => value,
        };
        *judged += 1;
        let others = Others { key, reached, background };
        let told = state.judge(watched, limit, (ts, value), self.config.learning, &others);
        if watched.early {
            reached.note(key, (ts, value), &mut state.noted, now);
        }
        baselines.learn(key, now, &state.scorer);
        if state.lasts() == Some(ts) {
            episodes.note(episodes::number(Of::Series, u64::from(key.id.0)), ts);
        }
        let judged = told?;
        *anomalies += 1;
        Some(of_series(key, (ts, value), judged))
    }

    /// Takes the limit of a series that came to be known after some of its values, the newest of which these are: the climb to it
    /// that they were.
    pub fn learn_limit(
        &mut self,
        key: &SeriesKey<'_>,
        limit: f64,
        values: impl Iterator<Item = (Timestamp, f64)>,
        background: &dyn Background,
    ) -> Option<Anomaly> {
        let Learnt { series, crowded, reached, anomalies, .. } = &mut self.learnt;
        let state = if key.watched.crowded { crowded } else { series }.get_mut(key.id.0)?;
        let others = Others { key, reached, background };
        let mut values = values.filter(|(_, value)| value.is_finite());
        let (at, climbs) = values.find_map(|at| Some((at, state.climbs(key.watched, limit, at, &others)?)))?;
        // What follows is learnt and told no further.
        values.for_each(|at| drop(state.climbs(key.watched, limit, at, &others)));
        *anomalies += 1;
        Some(of_series(key, at, climbs))
    }

    /// Takes the count of one outcome of a probe as it was published; the anomaly that it opens. `probed` is asked where it failed.
    pub fn observe_probe(
        &mut self,
        key: &ProbeKey<'_>,
        count: (Outcome, Timestamp, f64),
        probed: impl FnOnce() -> Probed,
    ) -> Option<Anomaly> {
        let (consequence, ts) = (Consequence::of(key.kind), count.1);
        if consequence == Consequence::Waits {
            return None;
        }
        let now = self.learnt.heard[0].hear();
        let probe = self.learnt.probes.entry_of(|| owner(key.team), key.id, now, Probe::default)?;
        let failing = probe.observe(count, consequence, probed);
        let episode = episodes::number(Of::Probe, key.id);
        if let Some(at) = probe.lasts().filter(|at| *at == ts) {
            self.learnt.episodes.note(episode, at);
        }
        let failing = failing?;
        self.learnt.anomalies += 1;
        Some(Anomaly {
            ts,
            team: key.team.clone(),
            namespace: key.namespace.to_owned(),
            pod: key.pod.to_owned(),
            container: key.container.to_owned(),
            metric: key.metric.to_owned(),
            score: failing.score,
            value: f64::from(failing.failed),
            expected: 0.0,
            text: wording::probe(key.kind, &failing),
            workload: String::new(),
            trace: String::new(),
            until: ts,
            episode,
        })
    }

    /// It is this time for those who receive; to be said before what is received then.
    pub fn hear(&mut self, received: Timestamp) {
        self.learnt.pods.hear(received);
    }

    /// Takes a measure of a pod, no newer than what is received; the anomaly where an earlier minute of it is unlike its workload's past and its siblings.
    pub fn observe_pod(&mut self, of: &Owner<'_>, ts: Timestamp, measure: Measure) -> Option<Anomaly> {
        let told = self.learnt.pods.observe(of, ts, measure);
        self.learnt.anomalies += u64::from(told.is_some());
        self.note_pod(of.pod_key);
        told
    }

    /// Takes lines of a pod, received then, each with when it was written and whether it tells of an error.
    pub fn observe_pod_lines(
        &mut self,
        of: &Owner<'_>,
        received: Timestamp,
        lines: impl Iterator<Item = (Timestamp, bool)>,
        mut told: impl FnMut(Anomaly),
    ) {
        let Learnt { pods, anomalies, .. } = &mut self.learnt;
        pods.observe_lines(of, lines.map(|(ts, is_error)| (ts.min(received), is_error)), |found| {
            *anomalies += 1;
            told(found);
        });
        self.note_pod(of.pod_key);
    }

    fn note_pod(&mut self, pod_key: u64) {
        let Learnt { pods, episodes, .. } = &mut self.learnt;
        if let Some(at) = pods.lasts(pod_key) {
            episodes.note(episodes::number(Of::Pod, pod_key), at);
        }
    }

    /// Takes lines of one stream as they were published, received then; tells of the bursts that they open, of kinds of lines
    /// that were never there, and of some that are there no more. `resolve` says what a shape stands for by now, in a text that
    /// may be told.
    pub fn observe_lines(
        &mut self,
        key: &LineKey<'_>,
        received: Timestamp,
        lines: impl Iterator<Item = Line> + Clone,
        resolve: &Resolve<'_>,
        mut told: impl FnMut(Anomaly),
    ) {
        // A line that is dated ahead is one of now.
        let lines = lines.map(|line| Line { ts: line.ts.min(received), ..line });
        let times = lines.clone().map(|line| line.ts);
        let Some((oldest, newest)) = times.clone().min().zip(times.max()) else { return };
        let Learnt {
            streams, kinds, holes, heard: [_, heard], anomalies, refused_shapes, late_lines, episodes, ..
        } = &mut self.learnt;
        holes.hear(received);
        let now = heard.hear();
        let Some(rate) = streams.entry_of(|| owner(key.team), key.group, now, LogRate::default) else {
            // The first is counted where it was refused.
            streams.refused += lines.count().saturating_sub(1) as u64;
            return;
        };
        let learning = self.config.learning;
        let mut tell = |ts: Timestamp, found: lines::Found| {
            *anomalies += 1;
            told(found.anomaly(key, ts));
        };
        let refused = kinds.refused;
        let speaker = rate.of_pod(hash64(key.pod.as_bytes()), (oldest, newest));
        let mut is_begun = false;
        let mut of_group = kinds.entry_of(
            || owner(key.team),
            key.group,
            now,
            || {
                is_begun = true;
                LogKinds::default()
            },
        );
        if let Some(kinds) = &mut of_group
            && (speaker.may_be_new || is_begun)
        {
            kinds.greet(newest);
        }
        let passed_over = of_group.as_ref().map_or(0, |kinds| kinds.passed_over());
        let late = rate.late();
        let mut count = 0;
        for Line { ts, is_error, template } in lines {
            count += 1;
            if let Some(burst) = rate.observe((ts, is_error), (&speaker, received), learning, holes) {
                tell(ts, lines::Found::burst(&burst));
            }
            let Some(kinds) = &mut of_group else { continue };
            let line = (ts, is_error, template);
            kinds.observe(line, received, learning, resolve, &mut |kind| tell(ts, lines::Found::kind(&kind)));
        }
        *late_lines += rate.late() - late;
        rate.lasts().for_each(|(what, at)| episodes.note(episodes::number(what.into(), key.group), at));
        match of_group {
            Some(kinds) => *refused_shapes += kinds.passed_over() - passed_over,
            None => kinds.refused = refused + count,
        }
    }

    /// Takes lines of a pod that name their request, received then, each with when it was written and the request's number; none
    /// lets time go on. Tells of calls that take longer than they used to, each with the number of a request that does.
    pub fn observe_requests(
        &mut self,
        of: &Speaker<'_>,
        received: Timestamp,
        lines: impl Iterator<Item = (Timestamp, u64)>,
        mut told: impl FnMut(Anomaly, u64),
    ) {
        let Learnt { calls, heard: [_, heard], anomalies, episodes, .. } = &mut self.learnt;
        let now = heard.hear();
        calls.observe(of, (received, now), lines, |found| match found {
            Told::Opens(anomaly, request) => {
                *anomalies += 1;
                told(*anomaly, request);
            }
            Told::GoesOn(episode, at) => episodes.note(episode, at),
        });
    }

    /// The [episodes](Anomaly::episode) that went on since the last call, and when each was last seen to.
    pub fn take_episodes(&mut self) -> BTreeMap<u64, Timestamp> {
        self.learnt.episodes.take()
    }

    /// Drops idle state, a part of it each time; whether [`Detectors::standings`] are others now. Idle is what was not heard
    /// while others were.
    pub fn tick(&mut self, now: Timestamp) -> bool {
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
            heard: [samples, lines],
            ..
        } = &mut self.learnt;
        let (of_samples, of_lines) = (samples.tick(now), lines.tick(now));
        let (idle, silent) = (self.config.idle, self.config.silent);
        series.sweep(of_samples, silent, SWEEP);
        crowded.sweep(of_samples, silent, SWEEP);
        unasked.sweep(of_samples, silent, SWEEP);
        probes.sweep(of_samples, silent, SWEEP);
        reached.sweep(of_samples, SWEEP);
        streams.sweep(of_lines, idle, SWEEP);
        kinds.sweep(of_lines, idle, SWEEP);
        calls.sweep(of_lines, idle, SWEEP);
        baselines.sweep(of_samples, SWEEP);
        pods.tick();
        self.board.turn([series, crowded, unasked], calls, self.config.learning)
    }
}

fn of_series(
    key: &SeriesKey<'_>,
    (ts, value): (Timestamp, f64),
    (score, expected, text): (f64, f64, String),
) -> Anomaly {
    Anomaly {
        ts,
        team: key.team.clone(),
        namespace: key.namespace.to_owned(),
        pod: key.pod.to_owned(),
        container: key.container.to_owned(),
        metric: key.watched.metric.clone().into_owned(),
        score,
        value,
        expected,
        text,
        workload: String::new(),
        trace: String::new(),
        until: ts,
        episode: episodes::number(Of::Series, u64::from(key.id.0)),
    }
}

#[cfg(test)]
mod daily_tests;
#[cfg(test)]
mod early_tests;
#[cfg(test)]
mod lines_tests;
#[cfg(test)]
mod room_tests;
#[cfg(test)]
mod tests;
