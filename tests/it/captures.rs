//! The bundled captures, each with its expected verdicts, through the replay driver; twice, with the same bytes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use whyd::capture::Capture;
use whyd::config::ConfigFile;
use whyd::{replay, wiring};
use whyd_signals::schema::Anomaly;
use whyd_signals::{Access, Envelope, Media, Resource, Timestamp, Verb};

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

/// What the README says that the demo prints: the beginning of it, and no line left out.
#[test]
fn the_readme_shows_what_is_printed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let (_, after) = readme.split_once("of which this is how the first begins:\n\n```\n").unwrap();
    let (sample, _) = after.split_once("```\n").unwrap();
    assert!(sample.lines().count() > 20, "{sample}");
    // The demo prints what a replay of its capture prints, as its own test shows.
    let capture = root.join("fixtures/captures/dependency-down");
    let out = Command::new(env!("CARGO_BIN_EXE_whyd")).arg("replay").arg(capture).output().unwrap();
    let printed = String::from_utf8(out.stdout).unwrap();
    let begins: Vec<&str> = printed.lines().take(sample.lines().count()).collect();
    assert_eq!(begins, sample.lines().collect::<Vec<_>>());
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

/// The anomalies of a capture, in order of time.
fn told(capture: &Path) -> Vec<Arc<Anomaly>> {
    told_of(Capture::open(capture).unwrap().messages().unwrap())
}

fn told_of(messages: Vec<Envelope>) -> Vec<Arc<Anomaly>> {
    let config = ConfigFile::default().validate().unwrap();
    let ended = replay::run(wiring::core(&config), messages, config.lateness);
    let mut told = ended.snapshot.scoped(&Access::All).anomalies();
    told.sort_by_key(|anomaly| anomaly.ts);
    told
}

/// What is well is not told to be unusual: neither bystanders, nor what is scaled, edited or replaced in good order.
#[test]
fn no_anomaly_is_told_of_anybody_who_is_well() {
    for path in captures() {
        let expected: Vec<Value> = serde_json::from_slice(&std::fs::read(path.join("expected.json")).unwrap()).unwrap();
        let fails = |pod: &str| {
            expected
                .iter()
                .filter(|e| e["incident"] == Value::Bool(true))
                .any(|e| text(e, "workload").rsplit('/').next().is_some_and(|name| pod.starts_with(name)))
        };
        let well: Vec<_> =
            told(&path).into_iter().filter(|a| a.pod.starts_with("frontend") || !fails(&a.pod)).collect();
        assert!(well.is_empty(), "{}: {well:?}", path.display());
    }
}

/// Sudden faults of memory, latency and errors, each from where it begins to show: what is told first, and how many seconds
/// later at the most: two scrapes, which are five seconds apart, and of containers up to twenty.
#[test]
fn sudden_faults_are_seen_within_two_scrapes() {
    let faults = [
        // It answers 500 from then on.
        (
            "readiness-only",
            "gateway",
            "2026-11-22T13:39:25.002Z",
            10,
            "readiness probe failed, after 10 that succeeded",
        ),
        // It hangs forty seconds after its start.
        ("liveness-fail", "session", "2026-11-22T13:38:02.486Z", 10, "liveness probe failed, after 8 that succeeded"),
        // It is killed before any sample shows how it grows.
        (
            "dependency-down",
            "paydb",
            "2026-11-22T13:37:41Z",
            10,
            "readiness probe failed 2 times of 3 as its container started again",
        ),
        // Its first query that fails.
        (
            "dependency-down",
            "payments-api",
            "2026-11-22T13:37:41.836Z",
            10,
            "error lines: 10 in the last minute, after ",
        ),
        // It grows from its start on, which nothing tells from a start until there is hardly room.
        ("oom-limit", "cart", "2026-11-22T13:37:16.712Z", 40, "memory working set at 91 % of its limit and climbing"),
    ];
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/captures");
    for (capture, workload, began, within, words) in faults {
        let (found, began) = (told(&dir.join(capture)), Timestamp::parse(began).unwrap());
        let own: Vec<_> = found.iter().filter(|a| a.pod.starts_with(workload)).collect();
        let first = own.first().unwrap_or_else(|| panic!("{capture}: {found:?}"));
        assert!(first.text.starts_with(words), "{capture}: {own:?}");
        let after = first.ts.seconds_since(began);
        assert!((0.0..=f64::from(within)).contains(&after), "{capture}: {after} s, {own:?}");
    }
}

/// A watch that lags: pods are heard of three quarters of a minute after their samples and lines.
#[test]
fn a_pod_that_becomes_known_late_is_seen_to_climb_all_the_same() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/captures/oom-limit");
    let of_cart = |messages: Vec<Envelope>| {
        let mut found = told_of(messages);
        found.retain(|anomaly| anomaly.pod.starts_with("cart"));
        found.into_iter().map(|anomaly| (anomaly.ts, anomaly.metric.clone(), anomaly.text.clone())).collect::<Vec<_>>()
    };
    let messages = Capture::open(&path).unwrap().messages().unwrap();
    let mut late = messages.clone();
    for message in late.iter_mut().filter(|m| matches!(m.media, Media::Kube(Resource::Pods, Verb::Apply))) {
        message.received = message.received.plus(Duration::from_secs(45));
    }
    late.sort_by_key(|m| m.received);
    let (expected, found) = (of_cart(messages), of_cart(late));
    assert!(expected[0].2.contains("of its limit and climbing"), "{expected:?}");
    assert_eq!(found.first(), expected.first());
}

fn printed(capture: &Path) -> (bool, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_whyd")).arg("replay").arg(capture).output().unwrap();
    (out.status.success(), String::from_utf8(out.stdout).unwrap())
}

/// What a person at a loss reads first: the captures' own headlines and where they send one.
#[test]
fn answers_say_what_is_known_and_give_commands_that_work() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/captures");
    for (name, says) in [
        // Its pods are never restarted in place: nothing was before.
        ("job-backoff", &["logs reconcile-q4xnr -c reconcile\n"][..]),
        // The kubelet throttles such events: the last one is of an instance before.
        (
            "startup-probe-fail",
            &["startup probe failed (HTTP status 503, as last told", "event Unhealthy (24x)", "--previous"],
        ),
        (
            "readiness-only",
            &["event Unhealthy (24x)", "not ready since then", "readiness probe failed, after", "describe pod"],
        ),
        ("false-137", &["as it said itself: time=", "sending SIGKILL"]),
        ("image-missing", &["its pull policy is Never", "cannot be pulled (not-found)"]),
    ] {
        let (success, text) = printed(&fixtures.join(name));
        // Lines are broken at spaces.
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for said in says {
            let there = if said.ends_with('\n') { text.contains(said) } else { flat.contains(said) };
            assert!(success && there, "{name}: {said:?} in\n{text}");
        }
    }
}

/// A recording that is cut off must not look like a cluster that is well.
#[test]
fn a_recording_that_is_cut_off_says_so_first() {
    let dir = tempfile::tempdir().unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/captures/oom-limit");
    let copied = Command::new("cp").arg("-r").arg(&from).arg(dir.path()).status().unwrap();
    assert!(copied.success());
    let capture = dir.path().join("oom-limit");
    for (file, length) in [("kube/pods.watch.ndjson", 5_000), ("loki_push/bodies.bin", 2_000)] {
        let file = capture.join(file);
        let mut bytes = std::fs::read(&file).unwrap();
        bytes.truncate(length);
        std::fs::write(file, bytes).unwrap();
    }
    let (success, text) = printed(&capture);
    assert!(!success && text.starts_with("loki_push, pods of this recording could not be read whole"), "{text}");
    assert_eq!(text.matches("not read: ").count(), 2, "{text}");
    assert!(text.contains("more like it"), "{text}");
}
