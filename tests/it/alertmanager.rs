//! Incidents at Debian's own Alertmanager and Prometheus: told, kept alive, told once over a kill, and ended.

pub(crate) mod servers;
pub(crate) mod webhook;

use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use whyd::capture::Capture;
use whyd::fixture_api::FixtureApi;
use whyd_signals::Timestamp;

use self::servers::{Alertmanager, Hook, Prometheus};
use crate::daemon::{Process, get_json, request};
use crate::server::tool;
use crate::until::until;

/// In the capture `oom-limit` the pod is down then.
const DOWN: &str = "2026-11-22T13:38:45Z";
/// Then it is gone, unlike in the capture.
const GONE: &str = "2026-11-22T13:39:05Z";

/// A cluster at an instant, as its API server shows it; time goes on when it is told to.
struct Lab {
    time: watch::Sender<Timestamp>,
    api: SocketAddr,
    served: JoinHandle<std::io::Result<()>>,
    dir: tempfile::TempDir,
}

impl Lab {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let capture = dir.path().join("capture");
        recorded(&capture);
        let (time, told) = watch::channel(Timestamp::parse(DOWN).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = listener.local_addr().unwrap();
        let served = tokio::spawn(FixtureApi::new(&Capture::open(capture).unwrap(), told).serve(listener));
        Self { time, api, served, dir }
    }

    /// A daemon over this cluster that sends to these peers every four seconds: an alert then outlives sixteen without it.
    fn daemon(&self, peers: &[SocketAddr]) -> Process {
        self.daemon_with(peers, "")
    }

    fn daemon_with(&self, peers: &[SocketAddr], more: &str) -> Process {
        let urls: Vec<String> = peers.iter().map(|peer| format!("\"http://{peer}\"")).collect();
        let config = format!(
            "cluster: lab\nlimits: {{tick: 100ms}}\nincidents: {{quiet: 5s, suppressions: [{{name: known, cause: abort, \
            until: \"2099-01-01T00:00:00Z\", reason: LAB-1}}]}}\nalertmanager: {{urls: [{}], interval: 4s, \
            externalUrl: \"https://whyd.example\"}}\n{more}",
            urls.join(", ")
        );
        Process::start_with(self.dir.path(), Some(self.api), &config)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.served.abort();
    }
}

/// The Kubernetes part of `oom-limit` until its pod is down, and the end of that pod.
fn recorded(into: &Path) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/captures/oom-limit");
    std::fs::create_dir_all(into.join("kube")).unwrap();
    std::fs::copy(from.join("capture.json"), into.join("capture.json")).unwrap();
    for file in std::fs::read_dir(from.join("kube")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), into.join("kube").join(file.file_name())).unwrap();
    }
    let (watch, times) = (into.join("kube/pods.watch.ndjson"), into.join("kube/pods.watch.times"));
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    let (lines, at) = (read(&watch), read(&times));
    let mut kept: Vec<(&str, &str)> = lines.lines().zip(at.lines()).filter(|(_, at)| *at < DOWN).collect();
    let gone = kept.last().unwrap().0.replacen("MODIFIED", "DELETED", 1);
    kept.push((&gone, GONE));
    let column = |of: fn(&(&str, &str)) -> String| kept.iter().map(of).collect::<String>();
    std::fs::write(watch, column(|(line, _)| format!("{line}\n"))).unwrap();
    std::fs::write(times, column(|(_, at)| format!("{at}\n"))).unwrap();
}

/// The one incident that is open.
async fn open_incident(whyd: SocketAddr) -> Value {
    until("an open incident", async || {
        let found = get_json(whyd, "/api/v1/incidents?status=open").await;
        let all = found["incidents"].as_array()?.clone();
        assert!(all.len() <= 1, "{all:#?}");
        all.into_iter().next()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_one_alert_over_resends_and_a_kill_and_ends_when_it_is_over() {
    let lab = Lab::new().await;
    let hook = Hook::start().await;
    let alertmanager = Alertmanager::start(hook.address);
    let mut daemon = lab.daemon(&[alertmanager.address]);
    let incident = open_incident(daemon.address).await;
    let id = incident["id"].as_str().unwrap();
    let alert = alertmanager.alert(id).await;
    assert_eq!(alert["startsAt"], alertmanager.alert(id).await["startsAt"]);
    assert_eq!(alert["labels"]["severity"], incident["severity"]);
    assert_eq!(alert["labels"]["source"], "whyd");
    until("the summary as it is by now", async || {
        let now = open_incident(daemon.address).await["summary"].clone();
        (alertmanager.alert(id).await["annotations"]["summary"] == now).then_some(())
    })
    .await;
    assert_eq!(alert["generatorURL"], format!("https://whyd.example/?pod={id}"));
    // We name it as the Alertmanager does.
    let ours = get_json(daemon.address, "/alertmanager/api/v2/alerts").await;
    assert_eq!(ours[0]["fingerprint"], alert["fingerprint"]);
    assert_eq!(ours[0]["labels"], alert["labels"]);

    let mut ends = alert["endsAt"].clone();
    for _ in 0..3 {
        ends = alertmanager.resent(id, &ends).await;
    }
    daemon.kill();
    daemon = lab.daemon(&[alertmanager.address]);
    for _ in 0..2 {
        ends = alertmanager.resent(id, &ends).await;
    }
    let again = alertmanager.alert(id).await;
    for key in ["labels", "startsAt", "fingerprint"] {
        assert_eq!(alert[key], again[key], "{key}");
    }
    assert_eq!(alertmanager.alerts().await.len(), 1);
    assert_eq!(hook.told(id), ["firing"]);

    // It is over while nobody looks.
    daemon.kill();
    lab.time.send_replace(Timestamp::parse(GONE).unwrap());
    let daemon = lab.daemon(&[alertmanager.address]);
    until("the end of the alert", async || (hook.told(id).len() > 1).then_some(())).await;
    assert_eq!(hook.told(id), ["firing", "resolved"]);
    assert_eq!(hook.ids(), [id], "one incident, one alert");
    assert!(alertmanager.alerts().await.is_empty());
    let ended = get_json(daemon.address, &format!("/api/v1/incidents/{id}")).await;
    assert_eq!(ended["status"], "resolved");
    let (seen, held) = (hook.ends(id), ended["resolved_at"].as_str().unwrap());
    assert_eq!(Timestamp::parse(&seen), Timestamp::parse(held), "it says when it was over, not when that was noticed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_dead_or_never_answers_delays_no_other_and_amtool_reads_ours() {
    let lab = Lab::new().await;
    let hook = Hook::start().await;
    let alertmanager = Alertmanager::start(hook.address);
    // One takes connections and never answers; nobody listens where the other was.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (slow, dead) = (silent.local_addr().unwrap(), gone.local_addr().unwrap());
    drop(gone);
    let daemon = lab.daemon(&[slow, dead, alertmanager.address]);
    let id = open_incident(daemon.address).await["id"].as_str().unwrap().to_owned();
    let mut ends = alertmanager.alert(&id).await["endsAt"].clone();
    for _ in 0..2 {
        ends = alertmanager.resent(&id, &ends).await;
    }
    until("what failed is counted", async || {
        let (_, text) = request(daemon.address, "GET", "/metrics", "", b"").await?;
        let value = |name: &str, peer: SocketAddr| -> f64 {
            let line = format!("{name}{{peer=\"http://{peer}\"}} ");
            text.lines().find_map(|l| l.strip_prefix(&line)).unwrap_or("-1").parse().unwrap()
        };
        let sent = [slow, dead, alertmanager.address].map(|p| value("whyd_alerts_sent_total", p));
        let failed = [slow, dead, alertmanager.address].map(|p| value("whyd_alerts_failed_total", p));
        (sent[0] == 0.0 && sent[1] == 0.0 && sent[2] >= 3.0 && failed[0] >= 1.0 && failed[1] >= 1.0 && failed[2] == 0.0)
            .then_some(())
    })
    .await;

    let url = format!("--alertmanager.url=http://{}/alertmanager", daemon.address);
    let alerts = tool("amtool", "prometheus-alertmanager", &[&url, "alert", "query", "-o", "extended"]);
    assert!(alerts.contains(&format!("incident_id=\"{id}\"")) && alerts.contains("active"), "{alerts}");
    let none = tool("amtool", "prometheus-alertmanager", &[&url, "alert", "query", "-o", "json", "team=none"]);
    assert_eq!(none.trim(), "[]");
    let silences = tool("amtool", "prometheus-alertmanager", &[&url, "silence", "query"]);
    assert!(silences.contains("cause=\"abort\"") && silences.contains("LAB-1"), "{silences}");
    let status = tool("amtool", "prometheus-alertmanager", &[&url, "config", "show"]);
    assert!(status.contains("receiver: whyd"), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_alerts_by_the_gauge_with_the_same_labels_and_its_own() {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/chart/whyd");
    let file = |name: &str| rules.join(name).display().to_string();
    tool("promtool", "prometheus", &["check", "rules", &file("files/whyd.rules.yaml")]);
    tool("promtool", "prometheus", &["test", "rules", &file("ci/whyd.rules.test.yaml")]);

    let lab = Lab::new().await;
    let hook = Hook::start().await;
    let alertmanager = Alertmanager::start(hook.address);
    let daemon = lab.daemon(&[]);
    let id = open_incident(daemon.address).await["id"].as_str().unwrap().to_owned();
    let _prometheus = Prometheus::start(daemon.address, alertmanager.address, &file("files/whyd.rules.yaml"));
    let mut alert = alertmanager.alert(&id).await;
    let ours = get_json(daemon.address, "/alertmanager/api/v2/alerts").await;
    let external = alert["labels"].as_object_mut().unwrap().remove("prometheus");
    assert_eq!(external, Some("monitoring/k8s".into()));
    assert_eq!(alert["labels"], ours[0]["labels"]);
    assert_eq!(alert["annotations"]["summary"], "oom-limit in namespace team-cart");
}
