//! SQL asked over HTTP of a daemon that was fed over HTTP.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use whyd::capture::Capture;
use whyd_signals::Media;

use crate::daemon::{Process, push, request, unchunked};
use crate::until::until;

async fn ask(daemon: &Process, headers: &str, body: &str) -> (u16, Value) {
    let (status, body) = request(daemon.address, "POST", "/api/v1/sql", headers, body.as_bytes()).await.unwrap();
    (status, serde_json::from_str(&unchunked(&body)).unwrap_or_else(|e| panic!("{e}: {body}")))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_query_over_what_was_sent() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Process::start_with(dir.path(), None, "");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/captures/dependency-down");
    let messages = Capture::open(path).unwrap().messages().unwrap();
    for body in messages.iter().filter(|m| !matches!(m.media, Media::Kube(..))) {
        assert_eq!(push(daemon.address, body).await, Some(204));
    }

    let sql =
        "SELECT i.name, count(*) AS n, max(s.ts) AS newest FROM series i JOIN samples s ON s.series_id = i.series_id
               GROUP BY 1 ORDER BY n DESC, 1 LIMIT 3";
    let (status, whole) = ask(&daemon, "content-type: text/plain\r\n", sql).await;
    assert_eq!(status, 200, "{whole}");
    let kinds = [("name", "text"), ("n", "bigint"), ("newest", "timestamp")];
    assert_eq!(whole["columns"], json!(kinds.map(|(name, kind)| json!({"name": name, "type": kind}))));
    let rows = whole["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(|r| r[1].as_u64().unwrap() > 0 && r[2].as_str().unwrap().ends_with('Z')), "{rows:?}");

    // The same as a form, as `curl -d` sends it, as JSON and in the address.
    let bytes = sql.bytes().map(|b| format!("%{b:02X}"));
    let form = format!("query={}", bytes.collect::<String>());
    let as_form = "content-type: application/x-www-form-urlencoded\r\n";
    for (headers, body) in [
        (as_form, form.clone()),
        (as_form, sql.to_owned()),
        ("content-type: application/json\r\n", json!({"query": sql}).to_string()),
    ] {
        assert_eq!(ask(&daemon, headers, &body).await, (200, whole.clone()));
    }
    let get = request(daemon.address, "GET", &format!("/api/v1/sql?{form}"), "", b"").await.unwrap();
    assert_eq!((get.0, serde_json::from_str::<Value>(&unchunked(&get.1)).unwrap()), (200, whole));

    for (sql, status, said) in [
        ("", 400, "query is needed"),
        ("SELEC 1", 400, "SELEC"),
        ("SELECT * FROM nothing", 400, "nothing"),
        ("SELECT 1; SELECT 2", 400, "one"),
        ("DROP TABLE logs", 400, "SELECT"),
        ("SELECT CAST('x' AS BIGINT) FROM series", 422, "x"),
        ("SELECT a.ts FROM samples a, series b", 422, "rows"),
    ] {
        let (code, problem) = ask(&daemon, "", sql).await;
        assert_eq!(code, status, "{sql}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(said), "{sql}: {problem}");
    }
}

/// Who goes away stops what was asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_query_ends_with_its_connection() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Process::start_with(dir.path(), None, "");
    let sql = many();
    let mut socket = TcpStream::connect(daemon.address).await.unwrap();
    let head = format!("POST /api/v1/sql HTTP/1.1\r\nhost: whyd\r\ncontent-length: {}\r\n\r\n{sql}", sql.len());
    socket.write_all(head.as_bytes()).await.unwrap();
    let busy = async || used(&daemon).await > Duration::from_millis(150);
    until("the query to run", async || busy().await.then_some(())).await;
    drop(socket);
    until("the query to end", async || (!busy().await).then_some(())).await;
}

/// A query of many pairs over no table.
fn many() -> String {
    let ten = "(SELECT 1 AS v UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL
               SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9 UNION ALL SELECT 10)";
    let from: Vec<String> = (0..11).map(|n| format!("{ten} t{n}")).collect();
    format!("SELECT sum(t0.v * t1.v) FROM {}", from.join(", "))
}

/// Processor time of a quarter of a second.
async fn used(daemon: &Process) -> Duration {
    let mut looks = tokio::time::interval(Duration::from_millis(250));
    looks.tick().await;
    let before = daemon.processor_time();
    looks.tick().await;
    daemon.processor_time() - before
}
