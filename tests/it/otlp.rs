//! OTLP into the daemon: what it answers and keeps, and the ports on which it listens. What OpenTelemetry's own SDK sends is
//! in `conformance/otlp.rs`.

use std::process::Command;

use serde_json::{Value, json};

use crate::daemon::{Process, get_json, request};

const NS: i64 = 1_700_000_000_000_000_000;
const JSON: &str = "content-type: application/json\r\n";
const QUIET: &str = "kubernetes: {enabled: false}\nlimits: {tick: 100ms}\n";

fn attributes(pairs: &[(&str, &str)]) -> Value {
    pairs.iter().map(|(k, v)| json!({"key": k, "value": {"stringValue": v}})).collect()
}

fn resource() -> Value {
    json!({"attributes": attributes(&[
        ("service.name", "cart"), ("k8s.namespace.name", "team-cart"), ("k8s.pod.name", "cart-0"),
    ])})
}

fn metrics(list: &Value) -> Vec<u8> {
    json!({"resourceMetrics": [{"resource": resource(), "scopeMetrics": [{"metrics": list}]}]}).to_string().into_bytes()
}

/// The value of the one series that a query finds at the time of the samples.
async fn value(daemon: &Process, query: &str) -> Option<String> {
    let path = format!("/prometheus/api/v1/query?time={}&query={query}", NS / 1_000_000_000);
    let found = get_json(daemon.address, &path).await;
    let series = found["data"]["result"].as_array().unwrap();
    assert!(series.len() < 2, "{found}");
    series.first().map(|s| s["value"][1].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_outlives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut daemon = Process::start_in(dir.path(), QUIET, &[]);
    let point = |more: Value| {
        let mut point = json!({"timeUnixNano": NS.to_string()});
        point.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([point])
    };
    let histogram = json!({"count": "3", "sum": 1.5, "bucketCounts": ["1", "2"], "explicitBounds": [0.5]});
    let body = metrics(&json!([
        {"name": "http.server.duration", "unit": "s", "histogram": {
            "aggregationTemporality": 2, "dataPoints": point(histogram)}},
        {"name": "requests", "sum": {"aggregationTemporality": 1, "isMonotonic": true, "dataPoints": point(json!({"asInt": "1"}))}},
    ]));
    let partial = |text: &str| -> Value { serde_json::from_str::<Value>(text).unwrap()["partialSuccess"].clone() };
    // sent again it is there already
    for to in [(daemon.address, "/otlp"), (daemon.others["otlp.http"], "")] {
        let (status, text) = request(to.0, "POST", &format!("{}/v1/metrics", to.1), JSON, &body).await.unwrap();
        assert_eq!((status, &partial(&text)["rejectedDataPoints"]), (200, &json!("1")), "{text}");
        assert!(text.contains("not_cumulative 1"), "{text}");
    }
    let lines = json!({"resourceLogs": [{"resource": resource(), "scopeLogs": [{"logRecords": [
        {"timeUnixNano": NS.to_string(), "severityNumber": 17, "body": {"stringValue": "no route to db"}}]}]}]});
    let (status, text) =
        request(daemon.address, "POST", "/otlp/v1/logs", JSON, lines.to_string().as_bytes()).await.unwrap();
    assert_eq!((status, text.as_str()), (200, "{}"));
    let (status, text) =
        request(daemon.address, "POST", "/otlp/v1/logs", JSON, br#"{"resourceLogs": 1}"#).await.unwrap();
    assert_eq!(status, 400, "{text}");
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["code"], 3);

    for round in ["before", "after"] {
        let bucket = r#"http_server_duration_seconds_bucket{le="0.5",job="cart",namespace="team-cart",pod="cart-0"}"#;
        for (query, expected) in [
            (bucket, Some("1")),
            ("http_server_duration_seconds_count", Some("3")),
            ("http_server_duration_seconds_sum", Some("1.5")),
            (r#"target_info{k8s_pod_name="cart-0"}"#, Some("1")),
            ("requests_total", None),
        ] {
            let query = query.replace('"', "%22").replace('{', "%7B").replace('}', "%7D");
            assert_eq!(value(&daemon, &query).await.as_deref(), expected, "{round} the kill: {query}");
        }
        let (_, metrics) = request(daemon.address, "GET", "/metrics", "", b"").await.unwrap();
        assert!(metrics.contains("\nwhyd_lines_total 1\n"), "{round} the kill: {metrics}");
        if round == "before" {
            daemon.kill();
            daemon = Process::start_in(dir.path(), QUIET, &[]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_was_asked_for_and_is_taken_ends_the_daemon() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let daemon = Process::start_in(dir.path(), &format!("{QUIET}otlp: {{grpc: none}}\n"), &[]);
    assert_eq!(daemon.others.keys().collect::<Vec<_>>(), ["otlp.http"]);
    let file = dir.path().join("taken.yaml");
    std::fs::write(&file, format!("{QUIET}otlp: {{grpc: \"{at}\"}}\n")).unwrap();
    let mut run = Command::new(env!("CARGO_BIN_EXE_whyd"));
    run.args(["run", "--listen", "127.0.0.1:0", "--config"]).arg(&file).arg("--data-dir").arg(dir.path().join("other"));
    let ended = run.output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(!ended.status.success() && said.contains("otlp.grpc: cannot listen on"), "{said}");
}
