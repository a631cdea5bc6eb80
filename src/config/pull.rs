//! The section `pull`: what is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::Deserialize;
use whyd_anomaly::Watched;
use whyd_anomaly::watched::WATCHED;
use whyd_collector::source::pull::{Question, Selector};
use whyd_collector::wire::asked::Target;
use whyd_correlate::cause::METRICS;

use super::Errors;

/// Sources and tenants of them, together.
const MOST: usize = 64;
/// How often anything may be asked.
const INTERVAL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3600));

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(super) struct PullFile {
    /// Servers that speak as Prometheus does: VictoriaMetrics, Thanos, Mimir and itself.
    prometheus: Vec<PrometheusFile>,
    /// Servers that speak as Loki does.
    loki: Vec<LokiFile>,
}

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
struct PrometheusFile {
    /// Its name in answers and metrics. What was had of a source is known by it.
    name: String,
    /// Where its API is, for instance `http://prometheus:9090`, or `http://mimir/prometheus`.
    url: String,
    /// `remote_read`: samples as they are stored, which Prometheus and Mimir give. `query_range`: what the server makes of
    /// them at each step, which all give. Default `remote_read`.
    method: Option<String>,
    /// Selectors of the series that are wanted. Default: the metrics that verdicts and detectors read.
    select: Vec<String>,
    /// With `query_range`: between two values of a series. Default `15s`.
    step: Option<String>,
    /// With `query_range`: labels for every series that lacks them. A server that sends by remote write too has its
    /// `external_labels` here, or its series are told apart.
    labels: BTreeMap<String, String>,
    /// Whether it sends by remote write too: then it is asked only for what is missing while no metrics were sent by
    /// anybody. Default `false`: it is asked for everything.
    pushes: bool,
    /// How often it is asked. Default `1m`.
    interval: Option<String>,
    /// How far back it is asked. Default: `limits.window`.
    history: Option<String>,
    /// Sent as `X-Scope-OrgID`.
    tenant: Option<String>,
    /// Further headers. No place for secrets.
    headers: BTreeMap<String, String>,
    /// The file that holds a bearer token for it.
    token_file: Option<PathBuf>,
    /// The file that holds the certificates that its own is to be signed by. Default: those of the system.
    ca_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
struct LokiFile {
    /// Its name in answers and metrics. What was had of a source is known by it.
    name: String,
    /// Where its API is, for instance `http://loki-gateway`.
    url: String,
    /// The query for lines. Default `{namespace=~".+"}`.
    query: Option<String>,
    /// Each is asked for itself, by `X-Scope-OrgID`. Default: none, the header is not sent.
    tenants: Vec<String>,
    /// How often it is asked. Default `10s`.
    interval: Option<String>,
    /// How much of what was had is asked for again, since lines come late. Default `2m`.
    overlap: Option<String>,
    /// How far back it is asked. Default: `limits.window`.
    history: Option<String>,
    /// Further headers. No place for secrets.
    headers: BTreeMap<String, String>,
    /// The file that holds a bearer token for it.
    token_file: Option<PathBuf>,
    /// The file that holds the certificates that its own is to be signed by. Default: those of the system.
    ca_file: Option<PathBuf>,
}

/// One source that is asked.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct PullConfig {
    pub name: String,
    /// Without a slash at the end.
    pub url: String,
    /// Each is asked for itself; one of `None` sends no tenant.
    pub tenants: Vec<Option<String>>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub token_file: Option<PathBuf>,
    pub ca_file: Option<PathBuf>,
    pub question: Question,
    pub pushes: bool,
    pub interval: Duration,
    /// `None`: the window.
    pub history: Option<Duration>,
    pub overlap: Duration,
}

impl PullConfig {
    /// The name of one tenant of it in the log. A Prometheus has one tenant at most, which is not named.
    pub fn target(&self, tenant: Option<&str>) -> Target {
        let tenant = tenant.filter(|_| self.question.is_of_logs()).map(str::to_owned);
        Target { source: self.name.clone(), tenant }
    }

    /// All of them.
    pub fn targets(&self) -> impl Iterator<Item = Target> {
        self.tenants.iter().map(|t| self.target(t.as_deref()))
    }
}

impl Errors {
    /// What is asked for by default are the metrics that verdicts and detectors read, those of `watch` among them.
    pub(super) fn pulls(&mut self, file: PullFile, window: Duration, watch: &[Watched]) -> Vec<PullConfig> {
        let mut all = Vec::new();
        for (n, source) in file.prometheus.into_iter().enumerate() {
            all.push(self.prometheus(&format!("pull.prometheus[{n}]"), source, window, watch));
        }
        for (n, source) in file.loki.into_iter().enumerate() {
            all.push(self.loki(&format!("pull.loki[{n}]"), source, window));
        }
        let mut names = BTreeSet::new();
        for source in all.iter().filter(|s| !s.name.is_empty()) {
            if !names.insert(source.name.as_str()) {
                self.told.push(format!("pull: {:?} is the name of two sources", source.name));
            }
        }
        if all.iter().map(|s| s.tenants.len()).sum::<usize>() > MOST {
            self.told.push(format!("pull: more than {MOST} sources and tenants"));
        }
        all
    }

    fn prometheus(&mut self, key: &str, file: PrometheusFile, window: Duration, watch: &[Watched]) -> PullConfig {
        let mut selectors = Vec::new();
        for (n, text) in file.select.iter().enumerate() {
            match Selector::parse(text) {
                Ok(selector) => selectors.push(selector),
                Err(e) => self.told.push(format!("{key}.select[{n}]: {text:?} {e}")),
            }
        }
        if file.select.is_empty() {
            let watched = WATCHED.iter().chain(watch).map(|w| w.metric.as_ref());
            selectors.extend(METRICS.iter().copied().chain(watched).map(Selector::of_metric));
        }
        selectors.sort_by(|a, b| a.text().cmp(b.text()));
        selectors.dedup();
        let step = file.step.as_deref().unwrap_or("15s");
        let step = self.bounded(&format!("{key}.step"), step, INTERVAL, "1s and 1h");
        for name in file.labels.keys().filter(|name| !is_label(name)) {
            self.told.push(format!("{key}.labels: {name:?} is no name of a label"));
        }
        let resampled = file.step.is_some() || !file.labels.is_empty();
        let question = match file.method.as_deref().unwrap_or("remote_read") {
            "query_range" => Question::QueryRange { selectors, step, labels: file.labels },
            "remote_read" => {
                if resampled {
                    self.told.push(format!("{key}: step and labels are for the method query_range alone"));
                }
                Question::RemoteRead(selectors)
            }
            other => {
                self.told.push(format!("{key}.method: {other:?} is neither remote_read nor query_range"));
                Question::RemoteRead(selectors)
            }
        };
        PullConfig {
            url: self.source(key, &file.name, &file.url),
            name: file.name,
            tenants: vec![self.tenant(&format!("{key}.tenant"), file.tenant)],
            headers: self.headers(key, file.headers),
            token_file: file.token_file,
            ca_file: file.ca_file,
            question,
            pushes: file.pushes,
            interval: self.interval(key, file.interval.as_deref().unwrap_or("1m")),
            history: self.history(key, file.history.as_deref(), window),
            overlap: Duration::ZERO,
        }
    }

    fn loki(&mut self, key: &str, file: LokiFile, window: Duration) -> PullConfig {
        let query = file.query.unwrap_or_else(|| "{namespace=~\".+\"}".to_owned());
        if !query.trim_start().starts_with('{') {
            self.told.push(format!("{key}.query: must be for lines, so begin with a selector in braces"));
        }
        let distinct: BTreeSet<&String> = file.tenants.iter().collect();
        if distinct.len() < file.tenants.len() {
            self.told.push(format!("{key}.tenants: one stands twice"));
        }
        let tenants: Vec<_> = match file.tenants.is_empty() {
            true => vec![None],
            false => {
                let numbered = file.tenants.into_iter().enumerate();
                numbered.map(|(n, t)| self.tenant(&format!("{key}.tenants[{n}]"), Some(t))).collect()
            }
        };
        PullConfig {
            url: self.source(key, &file.name, &file.url),
            name: file.name,
            tenants,
            headers: self.headers(key, file.headers),
            token_file: file.token_file,
            ca_file: file.ca_file,
            question: Question::Loki(query),
            pushes: false,
            interval: self.interval(key, file.interval.as_deref().unwrap_or("10s")),
            history: self.history(key, file.history.as_deref(), window),
            overlap: self.duration(&format!("{key}.overlap"), file.overlap.as_deref().unwrap_or("2m")),
        }
    }

    /// Its name is checked, and its URL given.
    fn source(&mut self, key: &str, name: &str, url: &str) -> String {
        if name.is_empty() {
            self.told.push(format!("{key}.name: is missing, what was had of it is known by that"));
        } else if name.len() > 100 || name.chars().any(char::is_control) {
            self.told.push(format!("{key}.name: must be a short name, what was had of it is known by that"));
        }
        self.url(&format!("{key}.url"), url)
    }

    fn interval(&mut self, key: &str, text: &str) -> Duration {
        self.bounded(&format!("{key}.interval"), text, INTERVAL, "1s and 1h")
    }

    fn history(&mut self, key: &str, text: Option<&str>, window: Duration) -> Option<Duration> {
        let key = format!("{key}.history");
        let history = self.duration(&key, text?);
        if self.is_sound(&key) && self.is_sound("limits.window") && history > window {
            self.told.push(format!("{key}: must not be longer than limits.window"));
        }
        Some(history)
    }

    fn tenant(&mut self, key: &str, tenant: Option<String>) -> Option<String> {
        let sound = |t: &str| !t.is_empty() && t.len() <= 150 && HeaderValue::from_str(t).is_ok();
        if tenant.as_deref().is_some_and(|t| !sound(t)) {
            self.told.push(format!("{key}: must not be empty and must fit into a header"));
        }
        tenant
    }

    /// Values are not repeated: somebody may have put a secret there.
    fn headers(&mut self, key: &str, headers: BTreeMap<String, String>) -> Vec<(HeaderName, HeaderValue)> {
        let mut sound = Vec::new();
        for (name, value) in headers {
            match (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(&value)) {
                (Ok(name), Ok(value)) => sound.push((name, value)),
                _ => self.told.push(format!("{key}.headers: {name:?} or its value is none of HTTP")),
            }
        }
        sound
    }
}

fn is_label(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::super::ConfigFile;
    use super::*;

    fn read(text: &str) -> Result<Vec<PullConfig>, Vec<String>> {
        ConfigFile::parse(text).unwrap().validate().map(|c| c.pulls)
    }

    #[test]
    fn a_name_and_a_url_are_enough() {
        let pulls = read(
            "pull: {prometheus: [{name: prom, url: \"http://prom:9090/\"}], loki: [{name: loki, url: \"http://loki\", \
            tenants: [a, b]}]}\n",
        )
        .unwrap();
        let [prom, loki] = pulls.as_slice() else { panic!("{pulls:?}") };
        let Question::RemoteRead(selectors) = &prom.question else { panic!("{:?}", prom.question) };
        let names: Vec<&str> = selectors.iter().map(Selector::text).collect();
        for metric in ["container_memory_working_set_bytes", "prober_probe_total", "node_memory_MemAvailable_bytes"] {
            assert!(names.contains(&metric), "{metric} in {names:?}");
        }
        assert_eq!(
            (prom.url.as_str(), prom.interval, prom.pushes),
            ("http://prom:9090", Duration::from_secs(60), false)
        );
        assert!(matches!(&loki.question, Question::Loki(query) if query == "{namespace=~\".+\"}"));
        let names: Vec<String> = loki.targets().map(|t| t.to_string()).collect();
        assert_eq!(names, ["loki/a", "loki/b"]);
        assert!(read("").unwrap().is_empty());
    }

    #[test]
    fn what_is_watched_is_asked_for_whatever_its_name() {
        let pulls = read(
            "anomaly: {watch: [{metric: http.server.duration}, {metric: 'a\"b'}, {metric: up}]}\n\
            pull: {prometheus: [{name: prom, url: \"http://prom:9090/\"}]}\n",
        )
        .unwrap();
        let Question::RemoteRead(selectors) = &pulls[0].question else { panic!("{pulls:?}") };
        for text in ["{__name__=\"http.server.duration\"}", "{__name__=\"a\\\"b\"}", "up"] {
            let found = selectors.iter().find(|s| s.text() == text).unwrap();
            assert_eq!(Selector::parse(text).as_ref(), Ok(found));
        }
        assert!(
            read("pull: {prometheus: [{name: a, url: \"http://a\", history: 7h}]}\n").unwrap_err()[0]
                .starts_with("pull.prometheus[0].history: must not be longer than limits.window")
        );
    }

    #[test]
    fn every_error_is_told_at_once_and_without_secrets() {
        let wrong = read(
            "pull: {prometheus: [{name: p, url: \"http://u:hunter2@p\", method: guess, select: [\"rate(up[5m])\"], \
            interval: 5ms, tenant: \"\"}, {name: p, url: \"http://p\", step: 15s, headers: {\"a b\": hunter2}}], loki: [{url: \
            \"http://l\", query: \"count_over_time({a=\\\"b\\\"}[1m])\", tenants: [x, x], overlap: never}]}\n",
        )
        .unwrap_err();
        let keys = [
            "prometheus[0].url",
            "prometheus[0].method",
            "prometheus[0].select",
            "prometheus[0].interval",
            "prometheus[0].tenant",
            "prometheus[1]: step",
            "prometheus[1].headers",
            "loki[0].name",
            "loki[0].query",
            "loki[0].tenants",
            "loki[0].overlap",
            "two sources",
        ];
        for key in keys {
            assert!(wrong.iter().any(|w| w.contains(key)), "{key} in {wrong:?}");
        }
        assert_eq!(wrong.len(), keys.len(), "{wrong:?}");
        assert!(!wrong.concat().contains("hunter2"), "{wrong:?}");
    }
}
