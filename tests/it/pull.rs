//! What is asked for: of the real Prometheus and VictoriaMetrics, and of a Loki, the real one where `LOKI` names it.
//! Started, cut off, killed and restarted, what the daemon holds is what the server holds, each row once.

pub(crate) mod loki;
pub(crate) mod loki_server;
pub(crate) mod prometheus;
pub(crate) mod servers;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use whyd::config::ConfigFile;
use whyd::daemon::Daemon;
use whyd_api::Reader;
use whyd_collector::Clock;
use whyd_signals::sample::STALE_BITS;
use whyd_signals::{Access, Timestamp};

use crate::remote_write::now;

pub(crate) fn clock() -> Clock {
    // servers that are asked go by the real clock
    #[allow(clippy::disallowed_methods)]
    Arc::new(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        Timestamp(i64::try_from(since.as_nanos()).unwrap())
    })
}

/// What every test says of the daemon besides what is asked for.
const REST: &str = "kubernetes: {enabled: false}\nlisten: {http: \"127.0.0.1:0\"}\nlimits: {tick: 100ms}\n";

/// A daemon within this process that asks.
async fn asking(dir: &Path, pull: &str) -> Daemon {
    let text = format!("{REST}dataDir: \"{}\"\npull: {{{pull}}}\n", dir.join("data").display());
    let config = ConfigFile::parse(&text).unwrap().validate().unwrap();
    Daemon::start(&config, None, clock()).await.unwrap()
}

/// Samples by the labels of their series: milliseconds and bits.
pub(crate) type Samples = BTreeMap<String, Vec<(i64, u64)>>;

/// What a daemon holds of the series whose names begin so.
fn held(daemon: &Daemon, name: &str) -> Samples {
    let scoped = daemon.view.scoped(&Access::All);
    let mut all = Samples::new();
    for (id, meta) in scoped.all_series().filter(|(_, meta)| meta.name.starts_with(name)) {
        let labels: BTreeMap<&str, &str> = meta.labels.iter().collect();
        let samples = scoped.slice(id, Timestamp::MIN, Timestamp::MAX).into_iter();
        let samples = samples.map(|s| (s.ts.nanos() / 1_000_000, s.value.to_bits()));
        let twin = all.insert(serde_json::to_string(&labels).unwrap(), samples.collect());
        assert!(twin.is_none(), "{labels:?} is there twice");
    }
    all
}

/// The same without the markers that a query does not give.
fn fresh(samples: &Samples) -> Samples {
    let is_fresh = |(_, bits): &(i64, u64)| *bits != STALE_BITS;
    samples.iter().map(|(labels, s)| (labels.clone(), s.iter().copied().filter(is_fresh).collect())).collect()
}

/// What a server answers to a query, a matrix.
pub(crate) fn said(answer: &Value) -> Samples {
    let mut all = Samples::new();
    for series in answer["data"]["result"].as_array().unwrap_or_else(|| panic!("{answer}")) {
        let values = series["values"].as_array().unwrap().iter().map(|v| {
            let value: f64 = v[1].as_str().unwrap().parse().unwrap();
            ((v[0].as_f64().unwrap() * 1000.0).round() as i64, value.to_bits())
        });
        let labels: BTreeMap<&str, &str> =
            series["metric"].as_object().unwrap().iter().map(|(k, v)| (k.as_str(), v.as_str().unwrap())).collect();
        all.insert(serde_json::to_string(&labels).unwrap(), values.collect());
    }
    all
}

fn count(samples: &Samples) -> usize {
    samples.values().map(Vec::len).sum()
}

/// One figure that a daemon shows of itself, by the name of its metric and of a source.
fn figure(daemon: &Daemon, name: &str, source: &str) -> Option<f64> {
    let metric = daemon.view.metrics().into_iter().find(|m| m.name == name)?;
    let found = metric.samples.into_iter().find(|(labels, _)| labels.iter().any(|(_, value)| value == source));
    found.map(|(_, value)| value)
}

/// Whether a source of the daemon's answers is whole.
fn is_whole(daemon: &Daemon, source: &str) -> bool {
    daemon.view.status().sources.iter().any(|s| s.source == source && s.synced)
}

/// Milliseconds of so many seconds ago.
pub(crate) fn ago(seconds: i64) -> i64 {
    now() - seconds * 1000
}
