//! What `/metrics` shows.

use std::collections::BTreeMap;

use whyd_api::{Kind, Metric};
use whyd_buffers::Stats;
use whyd_signals::Timestamp;

use super::View;
use crate::clock::SteadyClock;
use crate::doors::Doors;
use crate::process;
use crate::pull_health::PullHealth;
use crate::watches::Watches;

impl View {
    /// All of them, the daemon's own and those of its parts.
    pub(super) fn all_metrics(&self) -> Vec<Metric> {
        let shown = self.now();
        let by = |label: &'static str, map: &BTreeMap<&'static str, u64>| {
            map.iter().map(|(k, v)| (vec![(label, (*k).to_owned())], *v as f64)).collect::<Vec<_>>()
        };
        let c = &shown.counters;
        let refused = c.refused.iter().map(|(why, n)| (vec![("reason", why.as_str().to_owned())], *n as f64)).collect();
        let seen = c.last_seen.iter().map(|(k, at)| (vec![("source", (*k).to_owned())], seconds(*at))).collect();
        let one = |v: f64| vec![(Vec::new(), v)];
        let metric = |name, help, kind, samples| Metric { name, help, kind, samples };
        let mut metrics = vec![
            metric("whyd_inputs_total", "messages taken, by source", Kind::Counter, by("source", &c.inputs)),
            metric(
                "whyd_rows_total",
                "samples, lines and objects stored, by source",
                Kind::Counter,
                by("source", &c.rows),
            ),
            metric("whyd_discarded_total", "rows and native histograms refused, by reason", Kind::Counter, refused),
            metric(
                "whyd_unkept_total",
                "what is accepted of remote write and not kept, by kind",
                Kind::Counter,
                [("exemplars", c.exemplars), ("histograms", c.histograms)]
                    .map(|(kind, n)| (vec![("kind", kind.to_owned())], n as f64))
                    .to_vec(),
            ),
            metric(
                "whyd_alerts_truncated_total",
                "alerts that an Alertmanager left out of its notifications",
                Kind::Counter,
                one(c.truncated_alerts as f64),
            ),
            metric("whyd_malformed_total", "bodies that could not be read", Kind::Counter, one(c.malformed as f64)),
            metric("whyd_source_newest_seconds", "when each source last sent something", Kind::Gauge, seen),
            metric(
                "whyd_verdicts_total",
                "verdicts reached, revisions included",
                Kind::Counter,
                one(shown.ledger.0 as f64),
            ),
            metric(
                "whyd_ledger_dropped_total",
                "ledger rows lost to its bound",
                Kind::Counter,
                one(shown.ledger.1 as f64),
            ),
            metric(
                "whyd_symbols_bytes",
                "bytes of what is known of the symbols of remote write 2.0 from body to body",
                Kind::Gauge,
                one(shown.symbols.0 as f64),
            ),
            metric(
                "whyd_symbols_forgotten_total",
                "times that all of it was forgotten, having no room and being of no use",
                Kind::Counter,
                one(shown.symbols.1 as f64),
            ),
        ];
        metrics.extend(c.detecting.map(|took| {
            let help = "processor time that detectors took of the thread that takes everything in";
            metric("whyd_detector_cpu_seconds_total", help, Kind::Counter, one(took.as_secs_f64()))
        }));
        metrics.extend(shown.detection.metrics());
        metrics.extend(shown.log.metrics());
        metrics.extend(shown.checkpoints.metrics());
        metrics.extend(buffer_metrics(&shown.stats));
        metrics.extend(process::metrics());
        metrics.extend(self.doors.iter().flat_map(Doors::metrics));
        metrics.extend(self.alerts.metrics());
        metrics.extend(self.watches.iter().flat_map(Watches::metrics));
        metrics.extend(self.clock.iter().flat_map(SteadyClock::metrics));
        metrics.extend(self.pulled.iter().flat_map(PullHealth::metrics));
        metrics
    }
}

fn seconds(at: Timestamp) -> f64 {
    at.nanos() as f64 / 1e9
}

fn buffer_metrics(stats: &Stats) -> Vec<Metric> {
    let one = |v: f64| vec![(Vec::new(), v)];
    let by = |label: &'static str, rows: Vec<(&'static str, f64)>| {
        rows.into_iter().map(|(k, v)| (vec![(label, k.to_owned())], v)).collect::<Vec<_>>()
    };
    let metric = |name, help, kind, samples| Metric { name, help, kind, samples };
    let bytes = by("owner", stats.bytes.iter().map(|(k, v)| (*k, *v as f64)).collect());
    let dropped = by("reason", stats.dropped.iter().map(|(k, v)| (*k, *v as f64)).collect());
    vec![
        metric("whyd_samples_total", "samples published", Kind::Counter, one(stats.samples as f64)),
        metric(
            "whyd_lines_without_pod_total",
            "log lines published that named no pod: no verdict knows whose they are",
            Kind::Counter,
            one(stats.podless as f64),
        ),
        metric("whyd_lines_total", "log lines published", Kind::Counter, one(stats.lines as f64)),
        metric(
            "whyd_deduplicated_total",
            "samples of replicas that are not the elected one of their cluster",
            Kind::Counter,
            one(stats.deduplicated as f64),
        ),
        metric(
            "whyd_replica_clusters",
            "clusters of replicas known now",
            Kind::Gauge,
            one(stats.replica_clusters as f64),
        ),
        metric(
            "whyd_replica_failovers_total",
            "times that another replica of a cluster was elected",
            Kind::Counter,
            one(stats.failovers as f64),
        ),
        metric(
            "whyd_repeated_total",
            "rows that were there already, bit for bit",
            Kind::Counter,
            one(stats.repeated as f64),
        ),
        metric("whyd_series", "series known", Kind::Gauge, one(stats.series as f64)),
        metric("whyd_streams", "log streams known", Kind::Gauge, one(stats.streams as f64)),
        metric(
            "whyd_namespaces",
            "namespaces of series and streams, of 65536",
            Kind::Gauge,
            one(stats.namespaces as f64),
        ),
        metric("whyd_alerts_received", "alerts of others known", Kind::Gauge, one(stats.alerts as f64)),
        metric(
            "whyd_template_trees",
            "teams with a tree of log templates",
            Kind::Gauge,
            one(stats.templates.trees as f64),
        ),
        metric("whyd_template_shapes", "shapes of log lines known", Kind::Gauge, one(stats.templates.shapes as f64)),
        metric(
            "whyd_template_bytes",
            "bytes of all trees of log templates",
            Kind::Gauge,
            one(stats.templates.bytes as f64),
        ),
        metric(
            "whyd_template_forgotten_total",
            "shapes of log lines forgotten to make room, not having come again",
            Kind::Counter,
            one(stats.templates.forgotten as f64),
        ),
        metric(
            "whyd_template_refused_total",
            "log lines of new shapes there was no room for",
            Kind::Counter,
            one(stats.templates.refused as f64),
        ),
        metric("whyd_buffer_bytes", "bytes held, by owner", Kind::Gauge, bytes),
        metric("whyd_dropped_total", "rows dropped after they were stored, by reason", Kind::Counter, dropped),
    ]
}
