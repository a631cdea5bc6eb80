//! The bundled captures, each with its expected verdicts, through the replay driver; twice, with the same bytes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use whyd::capture::Capture;
use whyd::config::ConfigFile;
use whyd::{replay, wiring};
use whyd_signals::Access;

/// The bundled captures.
pub(crate) fn captures() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/captures");
    let mut found: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    found.retain(|p| p.join("expected.json").exists());
    found.sort();
    assert!(found.len() >= 20, "{} captures", found.len());
    found
}

fn played(capture: &Path) -> Vec<u8> {
    let out = Command::new(env!("CARGO_BIN_EXE_whyd")).arg("replay").arg(capture).arg("--json").output().unwrap();
    assert!(out.status.success(), "{}: {}", capture.display(), String::from_utf8_lossy(&out.stderr));
    out.stdout
}

fn text<'a>(v: &'a Value, key: &str) -> &'a str {
    v.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The causes of each workload that must have a row, and that nothing else has an incident.
#[test]
fn each_capture_has_its_expected_verdicts() {
    for capture in captures() {
        let expected: Vec<Value> =
            serde_json::from_slice(&std::fs::read(capture.join("expected.json")).unwrap()).unwrap();
        let out: Value = serde_json::from_slice(&played(&capture)).unwrap();
        let rows = out["restarts"].as_array().unwrap();
        let incidents = out["incidents"].as_array().unwrap();
        let name = capture.file_name().unwrap().to_string_lossy().into_owned();
        for e in &expected {
            let own: Vec<&Value> = rows.iter().filter(|r| r["workload"] == e["workload"]).collect();
            let causes: BTreeSet<&str> = own.iter().map(|r| text(r, "cause")).collect();
            if e["row"] == Value::Bool(true) {
                assert!(causes.contains(text(e, "cause")), "{name}: {causes:?}, expected {e}");
            } else {
                assert!(own.is_empty(), "{name}: rows {own:?}, expected none");
            }
            if e["incident"] == Value::Bool(true) {
                let about = incidents
                    .iter()
                    .filter(|i| i["root"]["namespace"] == e["root"]["namespace"] || e["root"]["namespace"].is_null());
                assert!(about.count() > 0, "{name}: no incident for {e}");
            }
        }
        if expected.iter().all(|e| e["incident"] != Value::Bool(true)) {
            assert!(incidents.is_empty(), "{name}: {incidents:?}");
        }
        assert!(rows.iter().all(|r| !text(r, "pod").starts_with("frontend")), "{name}: a row for a bystander");
    }
}

#[test]
fn two_replays_print_the_same_bytes() {
    for capture in captures() {
        assert!(played(&capture) == played(&capture), "{}", capture.display());
    }
}

/// What is well is not told to be unusual.
#[test]
fn no_anomaly_is_told_of_a_bystander() {
    let config = ConfigFile::default().validate().unwrap();
    for path in captures() {
        let messages = Capture::open(&path).unwrap().messages().unwrap();
        let ended = replay::run(wiring::core(&config), messages, config.lateness);
        let told = ended.snapshot.scoped(&Access::All).anomalies();
        let of_bystanders: Vec<_> = told.iter().filter(|a| a.pod.starts_with("frontend")).collect();
        assert!(of_bystanders.is_empty(), "{}: {of_bystanders:?}", path.display());
    }
}
