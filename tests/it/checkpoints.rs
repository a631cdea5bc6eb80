//! A start from a checkpoint goes on as if there had been none: the captures, interrupted at any message, end with the same
//! rows, incidents and anomalies, and hold the same state to the byte.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use whyd::capture::Capture;
use whyd::checkpointing;
use whyd::config::{Config, ConfigFile};
use whyd::wiring;
use whyd_buffers::checkpoint::{Checkpoints, KeepLimits, Store};
use whyd_core::Rest;
use whyd_core::{Core, Effect, Message};
use whyd_signals::schema::Anomaly;
use whyd_signals::{Access, Envelope, Timestamp};

use crate::daemon::{Process, get_json, request};
use crate::until::until;

const TICK: Duration = Duration::from_secs(1);

/// Objects in memory; its clones are the same one.
#[derive(Debug, Clone, Default)]
struct Shelf(Arc<Mutex<BTreeMap<String, Bytes>>>);

impl Store for Shelf {
    fn create(&self, name: &str, bytes: Bytes) -> io::Result<()> {
        assert!(self.0.lock().unwrap().insert(name.to_owned(), bytes).is_none(), "{name} is there");
        Ok(())
    }

    fn read(&self, name: &str) -> io::Result<Bytes> {
        self.0.lock().unwrap().get(name).cloned().ok_or(io::ErrorKind::NotFound.into())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.lock().unwrap().keys().cloned().collect())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.lock().unwrap().remove(name);
        Ok(())
    }
}

/// A core that is fed as [`whyd::replay::run`] does, and that may be another one from any message on.
pub(crate) struct Player {
    config: Config,
    core: Core,
    ticked: Timestamp,
    shelf: Shelf,
}

impl Player {
    pub(crate) fn new(first: Timestamp) -> Self {
        let config = ConfigFile::default().validate().unwrap();
        Self { core: wiring::core(&config), config, ticked: first, shelf: Shelf::default() }
    }

    fn tick(&mut self, at: Timestamp) {
        self.ticked = at;
        self.core.step(at, Message::Tick);
    }

    pub(crate) fn play(&mut self, envelope: Envelope) {
        let at = envelope.received;
        while at >= self.ticked.plus(TICK) {
            self.tick(self.ticked.plus(TICK));
        }
        for effect in self.core.step(at, Message::Input { token: 0, envelope }) {
            if let Effect::Append(record) = effect {
                self.core.step(at, Message::Durable(record.lsn));
            }
        }
    }

    fn checkpoints(&self) -> Checkpoints {
        let window = self.config.window;
        let limits = KeepLimits { memory: usize::MAX, window, retention: window, bytes: u64::MAX };
        Checkpoints::new(Box::new(self.shelf.clone()), limits)
    }

    /// The process ends after a checkpoint, and another takes it up.
    pub(crate) fn restart(&mut self) {
        let by = wiring::made_by(&self.config);
        let mut checkpoints = self.checkpoints();
        checkpoints.open(&by, None, Rest::read).unwrap();
        let held = self.core.hold().unwrap();
        checkpointing::write(&mut checkpoints, held, self.ticked, &by).unwrap();
        let (checkpoint, rest) = self.checkpoints().open(&by, None, Rest::read).unwrap().expect("a checkpoint");
        self.core = wiring::core(&self.config);
        self.core.take_up(checkpoint, rest);
    }

    /// The anomalies so far.
    pub(crate) fn anomalies(&mut self) -> Vec<Arc<Anomaly>> {
        self.tick(self.ticked.plus(TICK));
        self.core.snapshot().scoped(&Access::All).anomalies()
    }

    fn end(mut self) -> Ended {
        self.tick(self.ticked.plus(TICK));
        self.tick(self.ticked.plus(self.config.lateness));
        let scoped = self.core.snapshot().scoped(&Access::All);
        let (from, to) = (Timestamp::MIN, Timestamp::MAX);
        let series =
            scoped.all_series().map(|(id, meta)| format!("{:?} {:?}", meta.labels, scoped.slice(id, from, to)));
        let mut rows: Vec<String> = series.collect();
        for space in scoped.cluster().namespaces() {
            for pod in space.pods.values() {
                let meta = &pod.object.metadata;
                rows.push(format!("{:?}", scoped.lines_of(&meta.namespace, &meta.name, "", from, to)));
            }
            rows.push(format!("{space:?}"));
        }
        let told = json!({
            "restarts": scoped.restarts(), "incidents": scoped.incidents(), "anomalies": scoped.anomalies(),
        });
        let rest = self.core.hold().unwrap().picture(self.ticked, "").unwrap().rest;
        Ended { told, rows, rest }
    }
}

struct Ended {
    told: Value,
    /// Samples, lines and objects.
    rows: Vec<String>,
    /// Ledger, detectors and all else, as written.
    rest: Vec<u8>,
}

#[test]
fn a_capture_that_is_interrupted_at_any_message_ends_the_same() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/captures");
    let mut paths: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    paths.retain(|p| p.join("capture.json").exists());
    paths.sort();
    assert!(paths.len() >= 20, "{} captures", paths.len());
    for (n, path) in paths.iter().enumerate() {
        let messages = Capture::open(path).unwrap().messages().unwrap();
        // Three times, elsewhere in each capture.
        let cuts = [n % 7 + 1, n % 5 + 9, n % 3 + 16].map(|part| messages.len() * part / 20);
        ends_the_same(&path.display().to_string(), messages, &cuts);
    }
}

/// Interrupted before each of these messages and at the end, it holds what it would hold otherwise.
pub(crate) fn ends_the_same(name: &str, messages: Vec<Envelope>, cuts: &[usize]) {
    let first = messages.first().map_or(Timestamp(0), |m| m.received);
    let (mut whole, mut broken) = (Player::new(first), Player::new(first));
    for (at, message) in messages.into_iter().enumerate() {
        if cuts.contains(&at) {
            broken.restart();
        }
        whole.play(message.clone());
        broken.play(message);
    }
    broken.restart();
    let (whole, broken) = (whole.end(), broken.end());
    assert_eq!(whole.told, broken.told, "{name}");
    assert_eq!(whole.rows, broken.rows, "{name}");
    assert!(whole.rest == broken.rest, "{name}: the state is another one");
}

/// Samples of one series up to then.
fn body(now_ms: i64) -> Bytes {
    crate::log::run(0, now_ms - 50, 50)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_was_stopped_goes_on_from_its_checkpoint_alone() {
    #[allow(clippy::disallowed_methods)]
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    let dir = tempfile::tempdir().unwrap();
    let config = "kubernetes: {enabled: false}\n";
    let mut daemon = Process::start_in(dir.path(), config, &[]);
    let headers = "content-type: application/x-protobuf\r\n";
    for n in 0..20 {
        let body = body(now - 60_000 + n * 1000);
        assert_eq!(request(daemon.address, "POST", "/api/v1/write", headers, &body).await.unwrap().0, 204);
    }
    let count = "/prometheus/api/v1/query?query=sum(count_over_time(m0%5B2h%5D))";
    let before = get_json(daemon.address, count).await["data"]["result"][0]["value"][1].clone();
    assert_eq!(before, "1000");
    daemon.signal("TERM");
    assert!(daemon.wait().success());
    let mut daemon = Process::start_in(dir.path(), config, &[]);
    until("ready", async || (request(daemon.address, "GET", "/readyz", "", b"").await?.0 == 200).then_some(())).await;
    let metrics = request(daemon.address, "GET", "/metrics", "", b"").await.unwrap().1;
    for line in ["whyd_log_replayed_records 0", "whyd_history_rows 1000", "whyd_checkpoint_missing_records 0"] {
        assert!(metrics.lines().any(|l| l == line), "{line} in {metrics}");
    }
    assert_eq!(get_json(daemon.address, count).await["data"]["result"][0]["value"][1], before);

    // The newest checkpoint is damaged: the one before it is taken, and the log has the rest.
    assert_eq!(request(daemon.address, "POST", "/api/v1/write", headers, &body(now - 30_000)).await.unwrap().0, 204);
    daemon.signal("TERM");
    assert!(daemon.wait().success());
    let manifests = std::fs::read_dir(dir.path().join("data/history/checkpoint")).unwrap();
    let newest = manifests.map(|e| e.unwrap().path()).max().unwrap();
    let mut bytes = std::fs::read(&newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&newest, bytes).unwrap();
    let daemon = Process::start_in(dir.path(), config, &[]);
    let ready = get_json(daemon.address, "/readyz").await;
    assert_eq!(
        (&ready["ready"], ready["note"].as_str().unwrap().starts_with("a checkpoint was damaged")),
        (&json!(true), true)
    );
    assert_eq!(get_json(daemon.address, count).await["data"]["result"][0]["value"][1], "1050");
    let metrics = request(daemon.address, "GET", "/metrics", "", b"").await.unwrap().1;
    for line in ["whyd_log_replayed_records 1", "whyd_checkpoints_unused{reason=\"damaged\"} 1"] {
        assert!(metrics.lines().any(|l| l == line), "{line} in {metrics}");
    }
}
