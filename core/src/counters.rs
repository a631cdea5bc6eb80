//! What the core counts of what comes in, by source, and when each was heard.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use whyd_collector::source::pull;
use whyd_collector::wire::asked::Asked;
use whyd_signals::sink::{Counts, Refusal};
use whyd_signals::{Media, Range, Ranges, Resource, Timestamp};

use crate::{Core, Pulls};

/// What the core counted since it started.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    /// Inputs taken, by source name.
    pub inputs: BTreeMap<&'static str, u64>,
    /// Rows stored, by source name.
    pub rows: BTreeMap<&'static str, u64>,
    /// Rows and native histograms refused, by reason.
    pub refused: BTreeMap<Refusal, u64>,
    /// Native histograms accepted and not kept.
    pub histograms: u64,
    /// Exemplars accepted and not kept.
    pub exemplars: u64,
    /// Alerts that an Alertmanager left out of its notifications.
    pub truncated_alerts: u64,
    /// Bodies that could not be read.
    pub malformed: u64,
    /// When each source last sent something.
    pub last_seen: BTreeMap<&'static str, Timestamp>,
    /// When metrics were pushed; shorter pauses than a gap are bridged.
    pub pushed: Ranges,
    /// What was had of the sources that are asked.
    pub pulls: Arc<Pulls>,
    /// What was listed since the start; what was read back does not count.
    pub(crate) listed: BTreeSet<Resource>,
    /// Whether a look was taken after pods and nodes were listed: from here on, what is not there is over.
    pub caught_up: bool,
    /// Processor time of the detectors, where there is a stopwatch that knows it.
    pub detecting: Option<Duration>,
}

pub(crate) fn is_lack(media: Media) -> bool {
    matches!(media, Media::Pulled(what) if what.is_lack())
}

const METRICS: &str = "metrics";

/// The sources in metrics and answers.
pub(crate) const SOURCES: [&str; 5] = ["metrics", "logs", "events", "kube", "alerts"];

/// The name of a source in metrics and answers, one of [`SOURCES`].
pub fn source_name(media: Media) -> &'static str {
    match media {
        Media::RemoteWrite1(_) | Media::RemoteWrite2(_) | Media::OtlpMetricsProto | Media::OtlpMetricsJson => METRICS,
        Media::Pulled(what) if !what.is_logs() => METRICS,
        Media::LokiProto | Media::LokiJson | Media::OtlpLogsProto | Media::OtlpLogsJson | Media::Pulled(_) => "logs",
        Media::AlertmanagerWebhook => "alerts",
        Media::Kube(whyd_signals::Resource::Events, _) => "events",
        Media::Kube(..) | Media::Hearing(_) => "kube",
    }
}

impl Core {
    /// Notes when metrics were pushed, and what was had of a source that is asked.
    pub(crate) fn heard(&mut self, media: Media, received: Timestamp, asked: Option<&Asked>) {
        if let (Media::Pulled(what), Some(asked)) = (media, asked) {
            Arc::make_mut(&mut self.counters.pulls).heard(what, asked, received);
            self.put_lacking();
        } else if source_name(media) == METRICS {
            let pushed = &mut self.counters.pushed;
            let went_on = pushed.last().filter(|r| received <= r.to.plus(pull::SILENCE));
            let from = went_on.map_or(received, |r| r.to.min(received));
            pushed.add(Range::new(from, received.plus(Duration::from_nanos(1))));
        }
    }

    pub(crate) fn put_lacking(&mut self) {
        let mut pushed = self.counters.pushed.clone();
        if let Some(newest) = pushed.last() {
            // So long a pause is none.
            pushed.add(Range::new(newest.from, newest.to.plus(pull::SILENCE)));
        }
        let lacking = self.counters.pulls.lacking(&self.pushing, &pushed);
        if lacking != self.lacking {
            self.lacking = lacking;
            self.writer.put_lacking(Arc::new(self.lacking.clone()));
        }
    }

    pub(crate) fn count(&mut self, media: Media, received: Timestamp, rows: u64, counts: &Counts) {
        if is_lack(media) || matches!(media, Media::Hearing(_)) {
            return;
        }
        let source = source_name(media);
        *self.counters.inputs.entry(source).or_default() += 1;
        *self.counters.rows.entry(source).or_default() += rows;
        self.counters.histograms += counts.histograms;
        self.counters.exemplars += counts.exemplars;
        self.counters.truncated_alerts += counts.truncated_alerts;
        let last = self.counters.last_seen.entry(source).or_default();
        *last = (*last).max(received);
    }
}
