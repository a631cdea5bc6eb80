//! Debian's Alertmanager, which notifies the daemon of the alerts that are raised at it.

use serde_json::json;
use whyd_signals::Timestamp;

use super::rows::{POD, Rows};
use super::{Source, Way, conforms};
use crate::alertmanager::servers::Alertmanager;
use crate::daemon::request;
use crate::gate::Gate;
use crate::remote_write::now;
use crate::server::version;

struct Webhook {
    alertmanager: Alertmanager,
    raised: usize,
}

impl Source for Webhook {
    const WIRE: &'static str = "Alertmanager's webhook";
    const WAY: Way = Way::Sends(|daemon| daemon.address);
    const COUNTED: &'static [&'static str] = &["alerts"];
    // it is context and no evidence, so no answer lacks anything without it
    const READY: &'static [&'static str] = &[];

    async fn start(gate: &Gate, token: Option<&str>) -> Self {
        let token = token.map_or(String::new(), |t| format!(", http_config: {{authorization: {{credentials: {t}}}}}"));
        let hook = format!("url: \"http://{}/api/v1/alerts/webhook\"{token}", gate.address);
        Self { alertmanager: Alertmanager::notifying(&hook), raised: 0 }
    }

    fn other_side(&self) -> String {
        format!("{} (real)", version("prometheus-alertmanager"))
    }

    async fn offer(&mut self) {
        let alert = |n: usize| {
            json!({
                "labels": {"alertname": format!("Kit{n}"), "namespace": POD.0, "pod": POD.1, "severity": "warning"},
                "annotations": {"summary": format!("alert {n}: é")},
                "startsAt": Timestamp(now() * 1_000_000).to_string(),
            })
        };
        let alerts: Vec<_> = (self.raised..self.raised + 3).map(alert).collect();
        self.raised += alerts.len();
        let headers = "content-type: application/json\r\n";
        let body = json!(alerts).to_string();
        let answer = request(self.alertmanager.address, "POST", "/api/v2/alerts", headers, body.as_bytes()).await;
        assert_eq!(answer.unwrap().0, 200);
    }

    async fn has(&mut self, from: i64, to: i64) -> Rows {
        let mut rows = Rows::default();
        for alert in self.alertmanager.alerts().await {
            let text = |of: &serde_json::Value| of.as_str().unwrap().to_owned();
            let of = format!("alert {} {}", text(&alert["fingerprint"]), text(&alert["labels"]["alertname"]));
            let at = Timestamp::parse(&text(&alert["startsAt"])).unwrap().nanos();
            rows.add(of, at, &text(&alert["annotations"]["summary"]));
        }
        rows.within(from, to)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn alertmanager_notifies_the_webhook() {
    conforms::<Webhook>().await;
}
