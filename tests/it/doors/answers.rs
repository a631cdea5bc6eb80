//! Promise 9, what `remote_write.rs` has not: a quota, a time that cannot be held, too many labels, a missing token.

use std::net::SocketAddr;

use super::{JSON, PROTO, QUIET, body, metric, now_ms, samples};
use crate::daemon::{Process, answer, get_json, request};
use crate::remote_write::encode::{Series, snappy, version2};
use crate::until::until;

const PROTO2: &str = "content-type: application/x-protobuf;proto=io.prometheus.write.v2.Request\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_has_its_status_its_words_and_its_count() {
    let dir = tempfile::tempdir().unwrap();
    let config = "kubernetes: {enabled: false}\nlimits: {tick: 100ms, series: 100, seriesPerTeam: 3}\n";
    let daemon = Process::start_in(dir.path(), config, &[]);
    let t = now_ms();
    let write = async |body: Vec<u8>| answer(daemon.address, "POST", "/api/v1/write", PROTO2, &body).await.unwrap();
    let many_of = |namespace: &str, series, ms| snappy(&version2(&samples(namespace, series, ms)));
    let one = |labels: &[(&str, &str)], samples: &[(i64, f64)]| snappy(&version2(&[Series::new(labels, samples)]));
    let head = |text: &str| text.split("\r\n\r\n").next().unwrap().to_ascii_lowercase();
    let written = |text: &str| {
        let name = "x-prometheus-remote-write-samples-written: ";
        head(text).lines().find_map(|l| l.strip_prefix(name)?.parse::<u64>().ok()).unwrap()
    };
    let names: Vec<String> = (0..200).map(|n| format!("l{n}")).collect();
    let mut many: Vec<(&str, &str)> = names.iter().map(|n| (n.as_str(), "x")).collect();
    many.push(("__name__", "up"));
    let long = "x".repeat(20_000);
    let up = ("__name__", "up");

    let cases = [
        ("a team within its share", many_of("team-a", 0..3, t), 204, 3, ""),
        ("one over it, all of it new", many_of("team-a", 3..9, t), 429, 0, "seriesPerTeam"),
        ("one over it, some of it known", many_of("team-a", 0..9, t + 1), 400, 3, "team_limit 6"),
        ("another team", many_of("team-b", 0..3, t), 204, 3, ""),
        ("what is of no team", many_of("kube-system", 0..20, t), 204, 20, ""),
        ("a time out of range", one(&[up], &[(t, 1.0), (i64::MAX, 1.0), (t + 1, 2.0)]), 400, 2, "out_of_range 1"),
        (
            "too many labels",
            one(&many, &[(t, 1.0)]),
            400,
            0,
            "label_limit 1 (201 labels of \"up\"; a series may have 128)",
        ),
        (
            "too long a label",
            one(&[up, ("a", &long)], &[(t, 1.0)]),
            400,
            0,
            "label_limit 1 (label \"a\" of \"up\" has 20001 of ",
        ),
    ];
    let records = metric(daemon.address, "whyd_log_records_total").await.unwrap();
    for (what, body, status, rows, words) in &cases {
        let text = write(body.clone()).await;
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {text}");
        assert_eq!(written(&text), *rows, "{what}: {text}");
        assert!(text.split("\r\n\r\n").nth(1).unwrap().contains(words), "{what}: {text}");
        assert_eq!(head(&text).contains("retry-after: 60"), *status == 429, "{what}: {text}");
    }
    for (series, value) in [
        ("whyd_discarded_total{reason=\"team_limit\"}", 12.0),
        ("whyd_discarded_total{reason=\"out_of_range\"}", 1.0),
        ("whyd_discarded_total{reason=\"label_limit\"}", 2.0),
        ("whyd_turned_away_total{reason=\"team_quota\"}", 1.0),
        // What nothing was kept of is not in the log.
        ("whyd_log_records_total", records + 5.0),
        ("whyd_series", 27.0),
    ] {
        shows(daemon.address, series, value).await;
    }
}

/// What was refused is shown by the next tick.
async fn shows(at: SocketAddr, series: &str, value: f64) {
    until(&format!("{series} to be {value}"), async || (metric(at, series).await? == value).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_token_nobody_writes_and_everybody_reads_as_before() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("senders");
    std::fs::write(&file, "s3cret\n").unwrap();
    let config = format!(
        "kubernetes: {{enabled: false}}\nlimits: {{tick: 100ms}}\naccess: {{writeTokenFile: {}}}\n",
        file.display()
    );
    let daemon = Process::start_in(dir.path(), &config, &[]);
    let t = now_ms();
    let empty = b"{}".to_vec();
    let (main, otlp) = (daemon.address, daemon.others["otlp.http"]);
    let cases = [
        (main, "/api/v1/write", PROTO, body("team-a", 0..2, t), 204),
        (main, "/loki/api/v1/push", JSON, b"{\"streams\":[]}".to_vec(), 204),
        (main, "/otlp/v1/metrics", JSON, empty.clone(), 200),
        (main, "/api/v1/alerts/webhook", JSON, b"{\"version\":\"4\",\"alerts\":[]}".to_vec(), 200),
        (otlp, "/v1/logs", JSON, empty, 200),
    ];
    for (to, path, headers, body, status) in &cases {
        for (credential, expected) in
            [("", 401), ("authorization: Bearer s3cre\r\n", 401), ("authorization: Bearer s3cret\r\n", *status)]
        {
            let text = answer(*to, "POST", path, &format!("{headers}{credential}"), body).await.unwrap();
            assert!(text.starts_with(&format!("HTTP/1.1 {expected} ")), "{path} {credential}: {text}");
            assert_eq!(
                text.to_ascii_lowercase().contains("www-authenticate: bearer"),
                expected == 401,
                "{path}: {text}"
            );
        }
    }
    assert_eq!(metric(main, "whyd_turned_away_total{reason=\"unauthorized\"}").await, Some(10.0));
    let up = get_json(main, "/prometheus/api/v1/query?query=count(requests_total)").await;
    assert_eq!(up["data"]["result"][0]["value"][1], "2");
    assert_eq!(request(main, "GET", "/readyz", "", b"").await.unwrap().0, 200);

    // A file that is not there is an error that names the key and the file, and no secret.
    std::fs::write(&file, "two words\n").unwrap();
    let out = std::process::Command::new(env!("CARGO_BIN_EXE_whyd"))
        .args(["run", "--listen", "127.0.0.1:0", "--config"])
        .arg(dir.path().join("whyd.yaml"))
        .arg("--data-dir")
        .arg(dir.path().join("other"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned() + &String::from_utf8_lossy(&out.stdout);
    assert!(!out.status.success() && said.contains("access.writeTokenFile") && !said.contains("two words"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_the_document_lists_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Process::start_in(dir.path(), QUIET, &[]);
    let (status, document) = request(daemon.address, "GET", "/openapi.json", "", b"").await.unwrap();
    assert_eq!(status, 200);
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    let mut posts = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys().map(|method| method.to_ascii_uppercase()) {
            let (status, said) = request(daemon.address, &method, path, "", b"").await.unwrap();
            let is_routed = status != 405
                && !said.contains("no-such-route")
                && (status != 404 || said.contains("urn:") || path.contains('{'));
            assert!(is_routed, "{method} {path}: {status} {said}");
            posts += usize::from(method == "POST");
        }
    }
    assert!(posts >= 5, "the receivers are among them");
}
