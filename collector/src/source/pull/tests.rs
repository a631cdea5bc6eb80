#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use kube::client::ConfigExt;
use reqwest::header::{HeaderMap, HeaderValue};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;
use crate::inlet::{InletLimits, Written, inlet};
use crate::wire::crc32c::checksum;
use crate::wire::encode::varint;

const SECOND: i64 = 1_000_000_000;
const NOW: i64 = 1_800_000_000 * SECOND;

struct Nothing;

impl Known for Nothing {
    fn had(&self, _: &Target) -> Ranges {
        Ranges::default()
    }
    fn pushed(&self) -> Ranges {
        Ranges::default()
    }
}

/// What a server saw of a question.
#[derive(Debug, Clone)]
struct Seen {
    target: String,
    headers: HeaderMap,
}

type Answers = Arc<Mutex<(VecDeque<Response>, Vec<Seen>)>>;

/// A server that gives these answers one after another, then 404, and its address.
async fn server(answers: Vec<Response>) -> (String, Answers) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/base", listener.local_addr().unwrap());
    let state: Answers = Arc::new(Mutex::new((answers.into(), Vec::new())));
    let answer = |State(state): State<Answers>, request: Request| async move {
        let mut state = state.lock().unwrap();
        let (target, headers) = (request.uri().to_string(), request.headers().clone());
        state.1.push(Seen { target, headers });
        state.0.pop_front().unwrap_or_else(|| Response::builder().status(404).body(Body::empty()).unwrap())
    };
    let router = Router::new().fallback(answer).with_state(Arc::clone(&state));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (address, state)
}

fn ok(kind: &str, body: impl Into<Body>) -> Response {
    Response::builder().header("content-type", kind).body(body.into()).unwrap()
}

fn json(result: &str) -> Response {
    ok("application/json", format!(r#"{{"data":{{"resultType":"streams","result":[{result}]}}}}"#))
}

/// Lines of one stream at these times.
fn lines(times: &[i64]) -> Response {
    let values: Vec<String> = times.iter().map(|ns| format!(r#"["{ns}","x"]"#)).collect();
    json(&format!(r#"{{"stream":{{"a":"b"}},"values":[{}]}}"#, values.join(",")))
}

/// A loop, and what it hands over: each with the answer that it is to be given.
struct Running {
    inbox: mpsc::Receiver<crate::Delivery>,
    statuses: PullStatuses,
    time: Arc<AtomicI64>,
}

fn running(address: &str, question: Question, token: Option<PathBuf>) -> Running {
    let (inlet, inbox) = inlet(InletLimits::default());
    let time = Arc::new(AtomicI64::new(NOW));
    let told = Arc::clone(&time);
    let clock: Clock = Arc::new(move || Timestamp(told.load(Ordering::SeqCst)));
    let statuses = PullStatuses::default();
    let pulls = Pulls::new(inlet, clock, Arc::new(Nothing), statuses.clone());
    let headers = HeaderMap::from_iter([("x-scope-orgid".parse().unwrap(), HeaderValue::from_static("team-a"))]);
    // As the daemon has it: with the TLS of the Kubernetes client.
    let mut config = kube::Config::new(address.parse().unwrap());
    config.root_cert = Some(Vec::new());
    let tls = config.rustls_client_config().unwrap();
    let client = reqwest::Client::builder().no_proxy().tls_backend_preconfigured(tls).build().unwrap();
    let pull = Pull {
        of: Target { source: "s".into(), tenant: None },
        endpoint: Endpoint::new(client, address.parse().unwrap(), headers, token),
        question,
        interval: Duration::from_secs(1),
        reach: Duration::from_secs(600),
        overlap: Duration::ZERO,
        pushes: false,
    };
    tokio::spawn(pulls.run(pull, 7));
    Running { inbox, statuses, time }
}

impl Running {
    /// What it hands over next, answered so.
    async fn given(&mut self, reply: Reply) -> (Pulled, Asked, Vec<u8>) {
        let delivery = tokio::time::timeout(Duration::from_secs(20), self.inbox.recv()).await.unwrap().unwrap();
        let Media::Pulled(what) = delivery.envelope.media else { panic!("{:?}", delivery.envelope.media) };
        let (asked, body) = Asked::split(&delivery.envelope.body).unwrap();
        let given = (what, asked, body.to_vec());
        delivery.responder.reply(reply);
        given
    }

    async fn stored(&mut self) -> (Pulled, Asked, Vec<u8>) {
        self.given(Reply::Stored(Written::rows(1))).await
    }

    /// As it was before the loop began, until it did.
    fn status(&self) -> PullStatus {
        self.statuses.all().pop().map(|(_, status)| status).unwrap_or_default()
    }
}

fn range(from: i64, to: i64) -> Range {
    Range::new(Timestamp(from), Timestamp(to))
}

#[tokio::test]
async fn a_page_that_is_full_is_followed_from_its_last_time_and_nothing_is_skipped_while_there_is_no_room() {
    let start = NOW - 600 * SECOND;
    let full: Vec<i64> = (0..loki::LIMIT as i64).map(|n| start + 5 + n / 2).collect();
    let last = *full.last().unwrap();
    let crowd = vec![last; loki::LIMIT];
    let (address, seen) = server(vec![lines(&full), lines(&crowd), lines(&[last + 9])]).await;
    let file = tempfile_with("secret\n");
    let mut running = running(&address, Question::Loki("{a=~\".+\"}".into()), Some(file.clone()));
    for _ in 0..3 {
        let (_, asked, _) = running.given(Reply::Overloaded("full".into())).await;
        assert_eq!(asked.range, range(start, last), "the same again");
    }
    assert_eq!(running.stored().await.1.range, range(start, last));
    let (what, asked, _) = running.stored().await;
    assert_eq!((what, asked.range, asked.whole), (Pulled::LokiQuery, range(last, last + 1), true));
    assert_eq!(running.status().crowded, 1);
    assert_eq!(running.stored().await.1.range, range(last + 1, NOW - 3 * SECOND));
    let seen = seen.lock().unwrap().1.clone();
    let starts: Vec<String> = [start, last, last + 1].iter().map(|ns| format!("start={ns}&")).collect();
    assert!(
        seen.len() >= 3 && seen.iter().zip(&starts).all(|(s, start)| s.target.contains(start.as_str())),
        "{seen:?}"
    );
    assert!(seen[0].target.starts_with("/base/loki/api/v1/query_range?query=%7Ba%3D"), "{}", seen[0].target);
    assert!(seen[0].target.contains("limit=5000&direction=forward"));
    assert_eq!(seen[0].headers["x-scope-orgid"], "team-a");
    assert_eq!(seen[0].headers["authorization"], "Bearer secret");
    std::fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn pages_grow_again_and_one_that_was_too_large_is_not_asked_for_twice() {
    let start = NOW - 600 * SECOND;
    let large = || ok("application/json", vec![b' '; LARGEST + 1]);
    let crowd = |at, count| lines(&vec![at; count]);
    let answers = vec![
        large(),
        large(),
        crowd(start, 1250),
        crowd(start + 1, 1250),
        crowd(start + 1, 2500),
        lines(&[start + 1, start + 1, start + 2]),
    ];
    let (address, seen) = server(answers).await;
    let mut running = running(&address, Question::Loki("{a=~\".+\"}".into()), None);
    assert_eq!(running.stored().await.1.range, range(start, start + 1), "more cannot be had of it");
    assert_eq!(running.status().crowded, 1);
    assert_eq!(running.stored().await.1.range.from, Timestamp(start + 1));
    assert_eq!(running.status().crowded, 1, "of the next all was had");
    let seen = seen.lock().unwrap().1.clone();
    for (seen, limit) in seen.iter().zip([5000, 2500, 1250, 1250, 2500, 5000]) {
        assert!(seen.target.contains(&format!("limit={limit}&")), "{limit}: {}", seen.target);
    }
}

fn tempfile_with(text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("whyd-pull-{}", std::process::id()));
    std::fs::write(&path, text).unwrap();
    path
}

#[tokio::test]
async fn a_stream_of_frames_is_handed_over_in_parts_of_which_the_last_says_so() {
    let frame = |len: usize| {
        let message = vec![0x7a; len];
        [varint(len as u64), checksum(&message).to_be_bytes().to_vec(), message].concat()
    };
    let parts = [frame(300 << 10), frame(300 << 10), frame(10), frame(20)];
    let cut = [frame(5), vec![9, 9]].concat();
    let streamed = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
    let question = Question::RemoteRead(vec![Selector::parse("up").unwrap()]);
    let answers = vec![ok(streamed, cut), ok(streamed, parts.concat()), ok("application/x-protobuf", "snappy")];
    let (address, seen) = server(answers).await;
    let mut running = running(&address, question, None);
    let (what, asked, body) = running.stored().await;
    let all = range(NOW - 600 * SECOND, NOW - 15 * SECOND);
    assert_eq!(
        (what, asked.range, asked.whole, body.len()),
        (Pulled::ReadChunks, all, false, parts[..2].concat().len())
    );
    let (_, asked, body) = running.stored().await;
    assert_eq!((asked.range, asked.whole, body), (all, true, parts[2..].concat()));
    assert_eq!(running.status().errors, 1, "the stream that was cut");
    running.time.fetch_add(10 * SECOND, Ordering::SeqCst);
    let (what, asked, body) = running.stored().await;
    assert_eq!((what, asked.whole, body), (Pulled::ReadSamples, true, b"snappy".to_vec()));
    let seen = seen.lock().unwrap().1.clone();
    assert_eq!(seen[0].target, "/base/api/v1/read");
    assert_eq!(seen[0].headers["x-prometheus-remote-read-version"], "0.1.0");
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_asked_for_in_smaller_pieces() {
    let large = || ok("application/json", vec![b' '; LARGEST + 1]);
    let empty = || ok("application/json", r#"{"data":{"resultType":"matrix","result":[]}}"#);
    let question = Question::QueryRange {
        selectors: vec![Selector::parse("up").unwrap(), Selector::parse("down").unwrap()],
        step: Duration::from_secs(15),
        labels: BTreeMap::from([("cluster".to_owned(), "x".to_owned())]),
    };
    let (address, _) = server(vec![large(), empty(), large(), empty(), empty()]).await;
    let mut running = running(&address, question, None);
    let first = running.stored().await.1;
    assert_eq!((first.range, first.whole), (range(NOW - 600 * SECOND, NOW - 330 * SECOND), false), "half of it");
    let second = running.stored().await.1;
    assert_eq!((second.range, second.whole), (range(NOW - 600 * SECOND, NOW - 465 * SECOND), false), "a quarter");
    let third = running.stored().await.1;
    assert!(third.whole && third.labels["cluster"] == "x", "{third:?}");
}

#[tokio::test]
async fn a_source_that_cannot_be_asked_says_so_once_and_goes_on() {
    let error = || Response::builder().status(500).body(Body::from("no\ningester")).unwrap();
    let (address, _) = server(vec![error(), error(), lines(&[])]).await;
    let mut running = running(&address, Question::Loki("{a=~\".+\"}".into()), None);
    while running.status().errors == 0 {
        tokio::task::yield_now().await;
    }
    let said = running.status().last_error.unwrap().1;
    assert_eq!(said, "500 Internal Server Error: no ingester");
    running.time.fetch_add(2 * SECOND, Ordering::SeqCst);
    let (what, asked, _) = running.stored().await;
    assert_eq!((what, asked.whole), (Pulled::NoLogs, false));
    assert_eq!(asked.range, range(NOW - 598 * SECOND, NOW + 2 * SECOND));
    let (what, asked, _) = running.stored().await;
    assert_eq!((what, asked.whole), (Pulled::LokiQuery, true));
    while running.status().last_error.is_some() {
        tokio::task::yield_now().await;
    }
    assert_eq!(running.status().errors, 2);
}
