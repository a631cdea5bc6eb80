//! Debian's Alertmanager and Prometheus as processes on loopback, and a webhook that hears what is notified.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::routing::post;
use axum::{Json, Router};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::daemon::get_json;
use crate::server::{Server, written};
use crate::until::until;

/// An Alertmanager that notifies a hook at once.
pub(crate) struct Alertmanager {
    pub(crate) address: SocketAddr,
    _server: Server,
    _dir: tempfile::TempDir,
}

impl Alertmanager {
    pub(crate) fn start(hook: SocketAddr) -> Self {
        Self::notifying(&format!("url: \"http://{hook}/\""))
    }

    /// One whose `webhook_config` says this.
    pub(crate) fn notifying(hook: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = format!(
            "route: {{receiver: hook, group_by: [incident_id], group_wait: 100ms, group_interval: 1s, \
            repeat_interval: 24h}}\nreceivers: [{{name: hook, webhook_configs: [{{{hook}, send_resolved: true}}]}}]\n"
        );
        let file = written(dir.path(), "alertmanager.yml", &config);
        let args = [
            format!("--config.file={file}"),
            format!("--storage.path={}", dir.path().display()),
            "--web.listen-address=127.0.0.1:0".to_owned(),
            "--cluster.listen-address=".to_owned(),
        ];
        let server = Server::start("prometheus-alertmanager", "prometheus-alertmanager", &args);
        Self { address: server.address, _server: server, _dir: dir }
    }

    /// What it holds.
    pub(crate) async fn alerts(&self) -> Vec<Value> {
        get_json(self.address, "/api/v2/alerts").await.as_array().unwrap().clone()
    }

    /// The one alert of an incident, once it is there.
    pub(crate) async fn alert(&self, id: &str) -> Value {
        until("the alert", async || {
            let mut all = self.alerts().await;
            all.retain(|alert| alert["labels"]["incident_id"] == id);
            assert!(all.len() <= 1, "{all:#?}");
            all.pop()
        })
        .await
    }

    /// Its end, once it is another than this: it was sent anew.
    pub(crate) async fn resent(&self, id: &str, before: &Value) -> Value {
        until("another send", async || {
            let ends = self.alert(id).await["endsAt"].clone();
            (ends != *before).then_some(ends)
        })
        .await
    }
}

/// A Prometheus that scrapes a daemon, follows rules and alerts, with the labels that the operator gives to a target and
/// to all that is sent.
pub(crate) struct Prometheus {
    _server: Server,
    _dir: tempfile::TempDir,
}

impl Prometheus {
    pub(crate) fn start(whyd: SocketAddr, alertmanager: SocketAddr, rules: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s, \
            external_labels: {{prometheus: monitoring/k8s}}}}\nrule_files: [\"{rules}\"]\n\
            alerting: {{alertmanagers: [{{static_configs: [{{targets: [\"{alertmanager}\"]}}]}}]}}\n\
            scrape_configs: [{{job_name: whyd, honor_labels: true, static_configs: [{{targets: [\"{whyd}\"], \
            labels: {{namespace: whyd, pod: whyd-0, service: whyd}}}}]}}]\n"
        );
        let file = written(dir.path(), "prometheus.yml", &config);
        let args = [
            format!("--config.file={file}"),
            format!("--storage.tsdb.path={}", dir.path().join("data").display()),
            "--web.listen-address=127.0.0.1:0".to_owned(),
        ];
        Self { _server: Server::start("prometheus", "prometheus", &args), _dir: dir }
    }
}

/// A webhook receiver.
pub(crate) struct Hook {
    pub(crate) address: SocketAddr,
    heard: Arc<Mutex<Vec<Value>>>,
    served: tokio::task::JoinHandle<()>,
}

impl Hook {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&heard);
        let hear = move |Json(body): Json<Value>| async move {
            into.lock().unwrap().extend(body["alerts"].as_array().unwrap().iter().cloned());
        };
        let router = Router::new().route("/", post(hear));
        let served = tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        Self { address, heard, served }
    }

    /// What was notified of an incident, in order.
    pub(crate) fn told(&self, id: &str) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        let of = heard.iter().filter(|alert| alert["labels"]["incident_id"] == id);
        of.map(|alert| alert["status"].as_str().unwrap().to_owned()).collect()
    }

    /// When the last that was notified of an incident ends.
    pub(crate) fn ends(&self, id: &str) -> String {
        let heard = self.heard.lock().unwrap();
        let last = heard.iter().rfind(|alert| alert["labels"]["incident_id"] == id).unwrap();
        last["endsAt"].as_str().unwrap().to_owned()
    }

    /// Of which incidents anything was notified.
    pub(crate) fn ids(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        let mut ids: Vec<String> =
            heard.iter().map(|alert| alert["labels"]["incident_id"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids.dedup();
        ids
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        self.served.abort();
    }
}
