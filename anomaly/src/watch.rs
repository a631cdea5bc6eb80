//! What the core drives: every published sample and line goes through here, and anomalies come out at their onset.

use std::collections::BTreeMap;
use std::sync::Arc;

use whyd_signals::schema::Anomaly;
use whyd_signals::{Timestamp, is_stale};

use crate::calls::CallsKnown;
use crate::detector::log_kinds::LogKinds;
use crate::detector::log_rate::LogRate;
use crate::detector::probes::{Consequence, Outcome, Probe, Probed};
use crate::episodes::{self, Of};
use crate::pods::{Measure, Owner};
use crate::slots::owner;
use crate::watched::{Kind, WatchList, Watched};
use crate::wording;
use background::NEW;
pub use background::{Background, Readiness};
pub use config::Config;
pub use keys::{Line, LineKey, ProbeKey, SeriesKey};
pub use learnt::Learnt;
use learnt::PART_OF_UNASKED;
use series_state::{Others, SeriesState};
use standing::Board;
pub use standing::{Basis, Standing};
pub use stats::Stats;

mod background;
mod baseline;
mod config;
mod found;
mod heard;
mod judged;
mod keys;
mod learnt;
mod lines;
mod reached;
mod rooms;
mod series_state;
mod standing;
mod stats;

/// Slots looked at for idleness in one tick.
const SWEEP: usize = 2048;

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
        let (learnt, places) = Learnt::with_room(&config);
        Self { watch_list: WatchList::new(config.asked.clone()), config, places, learnt, board: Board::default() }
    }

    /// What was learnt so far.
    pub fn learnt(&self) -> Learnt {
        self.learnt.clone()
    }

    /// Goes on with what was learnt before; the bounds stay these.
    pub fn resume(&mut self, learnt: Learnt) {
        self.learnt.resume(learnt);
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

    fn note_pod(&mut self, pod_key: u64) {
        let Learnt { pods, episodes, .. } = &mut self.learnt;
        if let Some(at) = pods.lasts(pod_key) {
            episodes.note(episodes::number(Of::Pod, pod_key), at);
        }
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
