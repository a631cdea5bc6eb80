//! The other way round: what an Alertmanager notifies is context of an answer, and what comes from us goes no further.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::servers::Alertmanager;
use super::{Lab, open_incident};
use crate::daemon::{get_json, request};
use crate::gate::Gate;
use crate::until::until;

/// Raises an alert as Prometheus does.
pub(crate) async fn raise(at: SocketAddr, labels: &Value, ends_at: Option<&str>) {
    let mut alert = json!({"labels": labels, "annotations": {"summary": "cart crashes", "description": "long"},
        "generatorURL": "http://prometheus/graph?g0.expr=x"});
    if let Some(ends_at) = ends_at {
        alert["endsAt"] = ends_at.into();
    }
    let body = serde_json::to_vec(&json!([alert])).unwrap();
    let headers = "content-type: application/json\r\n";
    assert_eq!(request(at, "POST", "/api/v2/alerts", headers, &body).await.unwrap().0, 200);
}

async fn metric(at: SocketAddr, series: &str) -> Option<f64> {
    let (_, text) = request(at, "GET", "/metrics", "", b"").await.unwrap();
    text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_of_others_is_context_and_our_own_goes_no_further() {
    let lab = Lab::new().await;
    let forward = Gate::start().await;
    let url = format!("url: \"http://{}/api/v1/alerts/webhook\"", forward.address);
    let credential = "http_config: {authorization: {credentials: s3cret}}";
    let alertmanager = Alertmanager::notifying(&format!("{url}, {credential}"));
    let token = lab.dir.path().join("token");
    std::fs::write(&token, "s3cret\n").unwrap();
    let access = format!("access: {{writeTokenFile: {}}}\n", token.display());
    let mut daemon = lab.daemon_with(&[alertmanager.address], &access);
    forward.lead(daemon.address);

    let incident = open_incident(daemon.address).await;
    let id = incident["id"].as_str().unwrap();
    let member: Vec<&str> = incident["members"][0].as_str().unwrap().split('/').collect();
    let labels = json!({"alertname": "KubePodCrashLooping", "severity": "warning", "namespace": member[0],
        "pod": member[1], "container": member[2], "job": "kube-state-metrics"});
    raise(alertmanager.address, &labels, None).await;
    let other = json!({"alertname": "Elsewhere", "namespace": "team-other", "pod": "x"});
    raise(alertmanager.address, &other, None).await;

    let path = format!("/api/v1/incidents/{id}");
    let shown = until("the alert beside the incident", async || {
        let alerts = get_json(daemon.address, &path).await["alerts"].as_array()?.clone();
        (!alerts.is_empty()).then_some(alerts)
    })
    .await;
    assert_eq!(shown.len(), 1, "{shown:#?}");
    let alert = &shown[0];
    assert_eq!(alert["name"], "KubePodCrashLooping");
    assert_eq!((&alert["summary"], &alert["until"]), (&"cart crashes".into(), &Value::Null));
    assert_eq!(alert["object"], format!("Pod/{}", member[1]));
    assert_eq!(alert["link"], "http://prometheus/graph?g0.expr=x");
    let why = get_json(daemon.address, &format!("/api/v1/why?pod={}&namespace={}", member[1], member[0])).await;
    assert_eq!(why["incidents"][0]["alerts"], json!(shown));
    let workload = why["restarts"][0]["workload"].as_str().unwrap().split('/').nth(1).unwrap();
    let timeline = get_json(daemon.address, &format!("/api/v1/workloads/{}/{workload}/timeline", member[0])).await;
    let moments = timeline["moments"].as_array().unwrap();
    let of_kind = |kind: &str| moments.iter().filter(|m| m["kind"] == kind).count();
    assert_eq!((of_kind("alert"), of_kind("restart") > 0), (1, true), "{timeline:#}");

    // Ours came back too, was dropped, and nobody was told anything for it. The Alertmanager has no failure to count.
    until("our own alert to come back", async || {
        (metric(daemon.address, "whyd_discarded_total{reason=\"own_alert\"}").await >= Some(1.0)).then_some(())
    })
    .await;
    assert_eq!(metric(daemon.address, "whyd_alerts_received").await, Some(2.0));
    assert_eq!(alertmanager.alerts().await.len(), 3);
    assert_eq!(get_json(daemon.address, "/api/v1/incidents").await["incidents"].as_array().unwrap().len(), 1);
    let failed = "alertmanager_notifications_failed_total{integration=\"webhook\"}";
    assert_eq!(metric(alertmanager.address, failed).await, Some(0.0));
    let unauthorized = "whyd_turned_away_total{reason=\"unauthorized\"}";
    assert_eq!(metric(daemon.address, unauthorized).await, Some(0.0));

    // Another sender without the token adds nothing.
    let headers = "content-type: application/json\r\n";
    let refused = request(daemon.address, "POST", "/api/v1/alerts/webhook", headers, b"{}").await.unwrap();
    assert_eq!(refused.0, 401, "{}", refused.1);
    assert_eq!(metric(daemon.address, unauthorized).await, Some(1.0));

    // It ends, and that is told over a kill.
    daemon.kill();
    daemon = lab.daemon_with(&[alertmanager.address], &access);
    forward.lead(daemon.address);
    assert_eq!(get_json(daemon.address, &path).await["alerts"], json!(shown), "read back");
    raise(alertmanager.address, &labels, alert["at"].as_str()).await;
    until("the end of the alert", async || {
        let alerts = get_json(daemon.address, &path).await["alerts"].clone();
        assert_eq!(alerts.as_array().unwrap().len(), 1, "{alerts:#}");
        alerts[0]["until"].is_string().then_some(())
    })
    .await;
}
