//! The page in a browser, on a narrow screen, over answers that are made up.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const PROBE: &str = include_str!("page/probe.js");
const ASKED: &str = include_str!("page/asked.js");

fn restart(n: usize) -> Value {
    // Ten in nine seconds, and others that lie apart.
    let second = if n < 10 { n } else { n * 60 };
    let cause = if n.is_multiple_of(3) { "dependency-down" } else { "oom-limit" };
    json!({
        "namespace": "team-shop", "workload": "Deployment/a-workload-with-a-very-long-name-that-nobody-would-read",
        "pod": format!("cart-{n}"), "container": "cart", "cause": cause, "summary": "it met its limit of 96Mi".repeat(5),
        "started_at": null, "finished_at": format!("2026-11-22T13:{:02}:{:02}Z", second / 60, second % 60),
        "incident_id": "i1", "ruled_out": [], "missing": ["metrics"],
        "evidence": [{"text": "the limit", "field": "x".repeat(200), "value": "96Mi"}],
    })
}

/// Of what never started nothing is known but evidence; the others tell the same.
fn why() -> Value {
    let rows = (0..3).rev().map(|n| {
        let mut row = restart(3 * n + 1);
        row["pod"] = json!("cart-1");
        row["evidence"][0]["at"] = json!("2026-11-22T13:00:00Z");
        for (key, value) in [("confidence", json!(0.97)), ("exit_code", json!(137)), ("reason", json!("OOMKilled")), ("node", json!("n1"))] {
            row[key] = value;
        }
        row["ruled_out"] = json!([{"cause": "oom-node", "because": "no event", "field": "events"}]);
        row["changes"] = json!([{"at": "2026-11-22T12:59:00Z", "object": "Deployment/cart", "what": "image", "detail": "", "by": "", "touches": true}]);
        row
    });
    let mut rows: Vec<Value> = rows.collect();
    let mut never = restart(0);
    (never["finished_at"], never["cause"]) = (Value::Null, json!("image-pull"));
    never["evidence"][0]["at"] = json!("2026-11-22T12:58:00Z");
    rows.push(never);
    let learning = json!({"since": "2026-11-22T12:00:00Z", "until": "2026-11-22T14:00:00Z"});
    let samples = [(0, 20), (10, 30), (20, 40), (40, 70), (50, 90)]
        .map(|(second, mebibytes)| json!({"at": format!("2026-11-22T12:59:{second:02}Z"), "bytes": mebibytes << 20}));
    let memory = json!({"limit_bytes": 96 << 20, "samples": samples, "ends": ["2026-11-22T12:59:30Z"]});
    let now = json!({"at": "2026-11-22T13:10:07Z", "state": "waiting", "ready": false, "since": "2026-11-22T13:00:07Z", "text": "waiting: CrashLoopBackOff"});
    json!({"matched": "pod", "restarts": rows, "incidents": [], "memory": memory, "now": now, "learning": learning,
        "look_next": ["kubectl -n team-shop top pod cart-1"], "problems": []})
}

/// What is answered at a path.
fn answer(path: &str, query: &str, fails: bool) -> (u16, &'static str, String) {
    let file = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("api/src/page").join(name);
        std::fs::read_to_string(path).unwrap()
    };
    let incident = json!({
        "id": "i1", "status": "open", "severity": "critical", "opened_at": "2026-11-22T13:00:00Z", "summary": "it met its limit",
        "members": ["team-shop/cart-0/cart"], "restarts": 30, "parts": [], "formerly": [],
    });
    let (kind, body) = match path {
        // No window is as narrow as a frame may be.
        "/" => ("text/html", format!("<iframe src=\"narrow?{query}\" width=\"400\" height=\"900\"></iframe>")),
        "/narrow" => {
            let probe = if query.is_empty() { "probe.js" } else { "asked.js" };
            let probe = format!("<script src=\"{probe}\" type=\"module\"></script></head>");
            ("text/html", file("index.html").replace("</head>", &probe))
        }
        "/asked.js" => ("text/javascript", ASKED.to_owned()),
        "/probe.js" => ("text/javascript", PROBE.to_owned()),
        "/page.js" | "/timeline.js" | "/answer.js" | "/drawing.js" | "/memory.js" => {
            ("text/javascript", file(&path[1..]))
        }
        "/page.css" => ("text/css", file("page.css")),
        "/api/v1/restarts" => {
            let rows: Vec<Value> = (0..30).rev().map(restart).collect();
            ("application/json", json!({"restarts": rows, "problems": []}).to_string())
        }
        "/api/v1/why" => match query {
            "pod=cart-1" => ("application/json", why().to_string()),
            "pod=unseen" => {
                let detail = "the API server has not been heard since 2026-11-22T13:00:00Z";
                let problems = [json!({"source": "kubernetes", "detail": detail})];
                let said = json!({"matched": "pod", "restarts": [], "incidents": [], "problems": problems});
                ("application/json", said.to_string())
            }
            "pod=deploy%2Fcart" => {
                let said = json!({"type": "urn:whyd:problem:ambiguous-namespace", "detail": "say which", "candidates": ["a", "b"]});
                return (400, "application/problem+json", said.to_string());
            }
            _ => {
                let said =
                    json!({"type": "urn:whyd:problem:not-found", "detail": "not known", "candidates": ["a/cart-1"]});
                return (404, "application/problem+json", said.to_string());
            }
        },
        "/api/v1/incidents" => ("application/json", json!({"incidents": [incident]}).to_string()),
        "/api/v1/incidents/i1/suspects" => ("application/json", json!({"ranking": []}).to_string()),
        "/api/v1/anomalies" if fails => {
            return (503, "application/problem+json", json!({"detail": "too many queries wait"}).to_string());
        }
        "/api/v1/anomalies" => ("application/json", json!({"anomalies": []}).to_string()),
        _ => return (404, "text/plain", String::new()),
    };
    (200, kind, body)
}

async fn serve(listener: TcpListener, fails: bool) {
    while let Ok((mut socket, _)) = listener.accept().await {
        tokio::spawn(async move {
            let (mut asked, mut some) = (Vec::new(), [0; 4096]);
            while !asked.ends_with(b"\r\n\r\n") {
                match socket.read(&mut some).await {
                    Ok(n) if n > 0 => asked.extend_from_slice(&some[..n]),
                    _ => return,
                }
            }
            let asked = String::from_utf8(asked).unwrap();
            let target = asked.split(' ').nth(1).unwrap();
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            let (status, kind, body) = answer(path, query, fails);
            let head = format!(
                "HTTP/1.1 {status} said\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _ = socket.write_all((head + &body).as_bytes()).await;
        });
    }
}

/// What the probe saw.
async fn probed(query: &'static str, fails: bool) -> Value {
    let browser = std::env::var_os("CHROMIUM").expect("CHROMIUM names a browser");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(serve(listener, fails));
    let home = tempfile::tempdir().unwrap();
    let told = tokio::task::spawn_blocking(move || {
        let mut asked = Command::new(browser);
        asked.args(["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=15000"]);
        asked.arg(format!("--user-data-dir={}", home.path().display())).arg("--dump-dom");
        asked.arg(format!("http://{address}/{query}")).output().unwrap()
    });
    let told = String::from_utf8(told.await.unwrap().stdout).unwrap();
    server.abort();
    let (_, rest) = told.split_once("<pre id=\"probed\">").unwrap_or_else(|| panic!("{told}"));
    serde_json::from_str(rest.split_once("</pre>").unwrap().0).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a browser: CHROMIUM"]
async fn on_a_narrow_screen_all_is_within_it_and_nothing_lies_over_another() {
    let seen = probed("", false).await;
    assert_eq!((&seen["beyond"], &seen["beyondOpened"]), (&json!(0), &json!(0)), "{seen}");
    assert!(seen["within"].as_f64().unwrap() <= 400.0, "{seen}");
    let marks: Vec<[f64; 3]> = serde_json::from_value(seen["marks"].clone()).unwrap();
    for [x, y, wide] in &marks {
        let over = |[other, lane, _]: &&[f64; 3]| lane == y && other > x && *other < x + wide;
        assert_eq!(marks.iter().find(over), None, "{seen}");
        assert!(*x >= 0.0 && x + wide <= 400.0, "{seen}");
    }
    let counted: Vec<u64> = serde_json::from_value(seen["counted"].clone()).unwrap();
    assert!(counted.len() < 30 && counted.iter().sum::<u64>() == 30, "each is in one mark: {seen}");
    let letters: Vec<f64> = serde_json::from_value(seen["letters"].clone()).unwrap();
    assert!(letters.iter().all(|height| *height > 10.0), "names can be read: {seen}");
    assert_eq!(seen["unknown"], Value::Null, "none is none");
    // From a restart to its incident and back.
    assert_eq!((&seen["incident"], &seen["opened"]), (&json!(1), &json!(1)), "{seen}");
    assert_eq!(seen["back"].as_array().unwrap().len(), 30);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a browser: CHROMIUM"]
async fn that_anomalies_cannot_be_told_is_said() {
    let seen = probed("", true).await;
    assert_eq!(seen["unknown"], "They cannot be told: too many queries wait");
    assert_eq!(seen["rows"], 30, "all else is there");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a browser: CHROMIUM"]
async fn an_answer_stands_there_unfolded() {
    let seen = probed("?pod=cart-1", false).await;
    let told = seen["answer"].as_str().unwrap();
    for says in [
        "oom-limit, 97 % sure",
        "2026-11-22 13:00:07 UTC, 10 min 0 s ago; 3 times since 13:00:01",
        "waiting: CrashLoopBackOff, for 10 min 0 s by now",
        "node n1",
        "exit code 137, OOMKilled",
        "seen since 2026-11-22 12:00:00 UTC, were still being learnt",
        "the limit: 96Mi",
        "Deployment/cart image",
        "kubectl -n team-shop top pod cart-1",
        "Ruled out: 1",
    ] {
        assert!(told.contains(says), "{says}: {seen}");
    }
    assert_eq!(seen["folded"], 1, "{seen}");
    assert_eq!(
        seen["memory"],
        "Memory, peak 90 MiB, 94 % of the limit, as far as it was measured; the container ended where there is a dashed line."
    );
    // What is measured before and after an end is no one line.
    assert_eq!((&seen["runs"], &seen["ends"]), (&json!([3, 2]), &json!(1)), "{seen}");
    let rows: Vec<String> = serde_json::from_value(seen["rows"].clone()).unwrap();
    assert!(rows.len() == 1 && rows[0].starts_with("2026-11-22 12:58:00"), "what never started has its time: {seen}");
    assert_eq!(seen["beyond"], 0, "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a browser: CHROMIUM"]
async fn of_what_nobody_could_see_nothing_is_said_to_be_well() {
    let seen = probed("?pod=unseen", false).await;
    let told = seen["answer"].as_str().unwrap();
    assert!(told.starts_with("No restart of it is known, but the API server has not been heard since"), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a browser: CHROMIUM"]
async fn what_could_have_been_meant_is_a_link() {
    let seen = probed("?pod=crat", false).await;
    assert_eq!((&seen["said"], &seen["meant"]), (&json!(1), &json!(["?pod=a%2Fcart-1"])), "{seen}");
    let seen = probed("?pod=deploy%2Fcart", false).await;
    assert_eq!(seen["meant"], json!(["?pod=a%2Fdeploy%2Fcart", "?pod=b%2Fdeploy%2Fcart"]), "{seen}");
    assert_eq!(seen["said"], 1, "{seen}");
}
