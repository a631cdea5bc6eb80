//! Metrics that somebody wants watched beside those that are watched unasked.

use std::borrow::Cow;
use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;
use whyd_anomaly::detector::robust::Direction;
use whyd_anomaly::watched::{Kind, WATCHED, Watched};

use super::Errors;

/// How many may be added.
const MOST: usize = 64;
/// Characters of a name and of a text.
const NAME: usize = 256;

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(super) struct AnomalyFile {
    /// Metrics to be watched beside those that are watched unasked, which `/api/v1/watched` lists with the reasons; 64 at
    /// the most. Together their series have a quarter of the room for series that are watched, of which metrics that are watched by
    /// what their names say take half at the most.
    watch: Vec<WatchFile>,
}

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
struct WatchFile {
    /// Its name, as it is received.
    metric: String,
    /// `gauge`: its value is judged; `counter`: its rate. Default: by its name, of which `_total`, `_count` and `_sum` are counters.
    kind: Option<String>,
    /// Which way is bad: `more`, `less` or `both`. Default `both`.
    bad: Option<String>,
    /// What it is called in an answer, for instance `jobs waiting`. Default: its name.
    words: Option<String>,
    /// Why it is watched, for those who ask. Default: that it was asked for.
    why: Option<String>,
    /// By how much it has to be off what is usual to be told, in its own unit, of a counter per second. Default `0`: what is
    /// usual decides alone. By less than 6 % of what is usual it is never told.
    least: Option<f64>,
    /// Whether a container has one series of it, so that what is usual is known to the workload's next pods; series without a
    /// container are taken for sums and left out. Default `false`.
    per_container: Option<bool>,
}

impl Errors {
    pub(super) fn watch(&mut self, file: AnomalyFile) -> Vec<Watched> {
        let mut names = BTreeSet::new();
        if file.watch.len() > MOST {
            self.told.push(format!("anomaly.watch: more than {MOST} metrics"));
        }
        let mut all = Vec::new();
        for (n, row) in file.watch.into_iter().enumerate() {
            let key = format!("anomaly.watch[{n}]");
            let wrong = if !is_metric(&row.metric) {
                Some(format!("{:?} is no name of a metric", row.metric))
            } else if !names.insert(row.metric.clone()) {
                Some(format!("{} is there twice", row.metric))
            } else if WATCHED.iter().any(|w| w.metric == row.metric) {
                Some(format!("{} is watched already, without being asked for", row.metric))
            } else {
                None
            };
            let sound = wrong.is_none();
            self.told.extend(wrong.map(|wrong| format!("{key}.metric: {wrong}")));
            let watched = self.watched(&key, row);
            // What is asked for by default would be said to be wrong, too.
            all.extend(sound.then_some(watched));
        }
        all
    }

    fn watched(&mut self, key: &str, row: WatchFile) -> Watched {
        let counts = ["_total", "_count", "_sum"].iter().any(|end| row.metric.ends_with(end));
        let kind = match row.kind.as_deref() {
            None if counts => Kind::Counter,
            Some("counter") => Kind::Counter,
            None | Some("gauge") => Kind::Gauge,
            Some(other) => {
                self.told.push(format!("{key}.kind: {other:?} is neither gauge nor counter"));
                Kind::Gauge
            }
        };
        let direction = match row.bad.as_deref() {
            None | Some("both") => Direction::Both,
            Some("more") => Direction::Above,
            Some("less") => Direction::Below,
            Some(other) => {
                self.told.push(format!("{key}.bad: {other:?} is none of more, less and both"));
                Direction::Both
            }
        };
        let least = row.least.unwrap_or(0.0);
        if !least.is_finite() || least < 0.0 {
            self.told.push(format!("{key}.least: must be a number, and not below 0"));
        }
        for (name, text) in [("words", &row.words), ("why", &row.why)] {
            if text.as_ref().is_some_and(|text| text.trim().is_empty() || text.len() > NAME) {
                self.told.push(format!("{key}.{name}: must not be empty or longer than {NAME} bytes; leave it out"));
            }
        }
        let mut watched = Watched::asked(row.metric, kind, (direction, least), row.per_container.unwrap_or(false));
        watched.words = row.words.map_or(watched.words, Cow::Owned);
        watched.why = row.why.map_or(watched.why, Cow::Owned);
        watched
    }
}

/// Whether this may be the name of a metric: OTLP and newer Prometheus have names with dots and more.
fn is_metric(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME && !name.chars().any(|c| c.is_whitespace() || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigFile;

    #[test]
    fn metrics_may_be_added() {
        let text = "anomaly: {watch: [{metric: jobs_waiting, bad: more, words: jobs waiting, why: they pile up, least: 12},\
            {metric: http_errors_total, perContainer: true}, {metric: left, kind: counter, bad: less}]}\n\
            pull: {prometheus: [{name: p, url: \"http://p:9090\"}]}\n";
        let config = ConfigFile::parse(text).unwrap().validate().unwrap();
        let [jobs, errors, left] = config.watch.as_slice() else { panic!("{:?}", config.watch) };
        assert_eq!((jobs.kind, jobs.tuning.direction, jobs.tuning.floor), (Kind::Gauge, Direction::Above, 2.0));
        assert_eq!((jobs.words.as_ref(), jobs.why.as_ref()), ("jobs waiting", "they pile up"));
        assert_eq!(
            (errors.kind, errors.per_container, errors.words.as_ref()),
            (Kind::Counter, true, "http_errors_total")
        );
        assert_eq!((left.kind, left.tuning.direction, left.per_container), (Kind::Counter, Direction::Below, false));
        // What is watched is asked for, too.
        assert!(format!("{:?}", config.pulls).contains("jobs_waiting"));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let text = "anomaly: {watch: [{metric: \"\"}, {metric: a b}, {metric: x}, {metric: x}, {metric: container_threads},\
            {metric: y, kind: summary, bad: worse, words: \"\", least: -1}, {metric: z, why: \" \"}]}\n";
        let wrong = ConfigFile::parse(text).unwrap().validate().unwrap_err();
        for place in [
            "[0].metric",
            "[1].metric",
            "[3].metric: x is there twice",
            "[4].metric: container_threads is watched",
            "[5].kind",
            "[5].bad",
            "[5].words",
            "[5].least",
            "[6].why",
        ] {
            assert!(wrong.iter().any(|w| w.starts_with(&format!("anomaly.watch{place}"))), "{place} in {wrong:?}");
        }
        assert_eq!(wrong.len(), 9, "{wrong:?}");
        let many: Vec<String> = (0..65).map(|n| format!("{{metric: m{n}}}")).collect();
        let wrong = ConfigFile::parse(&format!("anomaly: {{watch: [{}]}}\n", many.join(","))).unwrap().validate();
        assert!(wrong.unwrap_err()[0].starts_with("anomaly.watch: more than 64"));
        assert!(
            ConfigFile::parse("anomaly: {watch: [{metric: x, unit: bytes}]}\n").unwrap_err().concat().contains("unit")
        );
    }
}
