//! Every query that an item of evidence carries is run over the data it was found in, and shows it.

use std::path::Path;

use serde_json::Value;
use whyd::capture::Capture;
use whyd::config::ConfigFile;
use whyd::{replay, wiring};
use whyd_api::dto::{self, EvidenceSource, Language};
use whyd_correlate::engine::{Engine, EngineLimits};
use whyd_correlate::{changes, tables};
use whyd_signals::Access;

#[tokio::test]
async fn sql_shows_what_the_evidence_says() {
    let engine = Engine::new(EngineLimits::default()).unwrap();
    let captures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/captures");
    let (mut logs, mut events, mut status) = (0, 0, 0);
    for name in ["app-panic", "dependency-down", "liveness-fail", "config-change", "image-missing"] {
        let config = ConfigFile::default().validate().unwrap();
        let messages = Capture::open(captures.join(name)).unwrap().messages().unwrap();
        let outcome = replay::run(wiring::core(&config), messages, config.lateness);
        let scoped = outcome.snapshot.scoped(&Access::All);
        for row in scoped.restarts() {
            for item in dto::Restart::from(row.as_ref()).evidence {
                let Some(shown) = item.shown_by.filter(|s| s.language == Language::Sql) else { continue };
                let found = engine.query(tables::tables(&scoped, changes::all(&scoped)), &shown.query).await;
                let batches = found.unwrap_or_else(|e| panic!("{name}: {}: {e}", shown.query));
                let text = format!("{batches:?}");
                let value = match &item.value {
                    Value::String(value) => value.clone(),
                    other => other.to_string(),
                };
                match item.source {
                    EvidenceSource::Logs => logs += 1,
                    EvidenceSource::Events => events += 1,
                    _ => status += 1,
                }
                // What a line shows in evidence has lost its secrets; its beginning has none here.
                let start: String = value.chars().take(40).collect();
                let quoted = format!("{start:?}");
                let plain = quoted.trim_matches('"');
                assert!(text.contains(plain), "{name}: {} shows {text}, not {value}", shown.query);
            }
        }
    }
    assert!(logs > 5 && events > 5 && status > 5, "{logs} lines, {events} events, {status} statuses");
}

#[test]
fn promql_names_a_series_that_is_there() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/captures/oom-limit");
    let config = ConfigFile::default().validate().unwrap();
    let messages = Capture::open(path).unwrap().messages().unwrap();
    let outcome = replay::run(wiring::core(&config), messages, config.lateness);
    let scoped = outcome.snapshot.scoped(&Access::All);
    let mut seen = 0;
    for row in scoped.restarts() {
        for item in &dto::Restart::from(row.as_ref()).evidence {
            let Some(shown) = item.shown_by.as_ref().filter(|s| s.language == Language::Promql) else { continue };
            let (Some(pod), Some(at)) = (row.pod.as_deref(), item.at) else { continue };
            let ids = scoped.series_of(&item.field, &row.namespace, pod, row.container.as_deref());
            let held =
                ids.into_iter().filter_map(|id| scoped.asof(id, at)).any(|s| Some(s.value) == item.value.as_f64());
            assert!(held && shown.query.starts_with(&format!("{}{{namespace=", item.field)), "{}", shown.query);
            seen += 1;
        }
    }
    assert!(seen > 0);
}
