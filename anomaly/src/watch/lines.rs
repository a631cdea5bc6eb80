//! The ways in for log lines: of a pod, of a stream, and of requests.

use whyd_signals::Timestamp;
use whyd_signals::schema::Anomaly;

use super::found::Found;
use super::learnt::Learnt;
use super::{Detectors, Line, LineKey};
use crate::calls::{Speaker, Told};
use crate::detector::log_kinds::{LogKinds, Resolve};
use crate::detector::log_rate::LogRate;
use crate::episodes;
use crate::hash64;
use crate::pods::Owner;
use crate::slots::owner;

impl Detectors {
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
        let mut tell = |ts: Timestamp, found: Found| {
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
                tell(ts, Found::burst(&burst));
            }
            let Some(kinds) = &mut of_group else { continue };
            let line = (ts, is_error, template);
            kinds.observe(line, received, learning, resolve, &mut |kind| tell(ts, Found::kind(&kind)));
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
}
