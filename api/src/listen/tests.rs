#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::SocketAddr;
use std::task::{Context, Poll};

use axum::routing::{get, post};
use bytes::Bytes;
use hyper::body::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use super::*;

const SHORT: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(60);

fn patient() -> Deadlines {
    Deadlines { header: LONG, body_idle: LONG, total: LONG, drain: LONG, ..Deadlines::default() }
}

struct Server {
    at: SocketAddr,
    counts: Arc<Counts>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

async fn start(router: Router, deadlines: Deadlines) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let counts = Arc::clone(&deadlines.counts);
    let served = tokio::spawn(serve(listener, router, deadlines, async {
        let _ = stopped.await;
    }));
    Server { at, counts, stop, served }
}

fn routes() -> Router {
    Router::new().route("/", get(|| async { "hello" })).route("/echo", post(|body: Bytes| async { body }))
}

/// Sends `text` and reads what comes until the server closes.
async fn exchange(at: SocketAddr, text: &str) -> String {
    let mut socket = TcpStream::connect(at).await.unwrap();
    socket.write_all(text.as_bytes()).await.unwrap();
    until_closed(&mut socket).await
}

async fn until_closed(socket: &mut TcpStream) -> String {
    let mut got = Vec::new();
    let read = socket.read_to_end(&mut got);
    // A server that closes with bytes unread resets the connection.
    let _ = timeout(LONG / 2, read).await.expect("the server did not close");
    String::from_utf8(got).unwrap()
}

/// Reads one answer with this body and leaves the connection open.
async fn one_answer(socket: &mut TcpStream, body: &str) {
    let mut got = Vec::new();
    while !got.ends_with(body.as_bytes()) {
        assert_ne!(socket.read_buf(&mut got).await.unwrap(), 0, "{}", String::from_utf8_lossy(&got));
    }
}

#[tokio::test]
async fn a_head_that_does_not_end_closes_at_its_deadline() {
    let server = start(routes(), Deadlines { header: SHORT, ..patient() }).await;
    for text in ["", "GET / HTTP/1.1\r\nhos"] {
        let begun = Instant::now();
        assert_eq!(exchange(server.at, text).await, "", "{text:?}");
        assert!(begun.elapsed() >= SHORT, "{text:?}");
    }
    // An idle connection as well, after its answer.
    let answer = exchange(server.at, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"), "{answer}");
    assert_eq!((server.counts.accepted.load(Relaxed), server.counts.late.load(Relaxed)), (3, 2), "it owed nothing");
}

#[tokio::test]
async fn a_body_that_goes_on_by_next_to_nothing_is_answered_408() {
    let server = start(routes(), Deadlines { body_idle: 2 * SHORT, ..patient() }).await;
    let (mut from, mut to) = TcpStream::connect(server.at).await.unwrap().into_split();
    to.write_all(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 9000\r\n\r\n").await.unwrap();
    let begun = Instant::now();
    let trickle = tokio::spawn(async move {
        while to.write_all(b"x").await.is_ok() {
            sleep(SHORT / 10).await;
        }
    });
    let mut answer = [0; 12];
    timeout(LONG / 2, from.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    assert!(begun.elapsed() >= 2 * SHORT);
    trickle.abort();
}

#[tokio::test]
async fn a_body_that_stalls_is_answered_408() {
    let server = start(routes(), Deadlines { body_idle: SHORT, ..patient() }).await;
    let answer = exchange(server.at, "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nabc").await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(
        answer.contains("urn:whyd:problem:request-timeout") && answer.contains("\"instance\":\"/echo\""),
        "{answer}"
    );
    let whole = "POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 3\r\n\r\nabc";
    assert!(exchange(server.at, whole).await.ends_with("abc"));
    assert_eq!(server.counts.late.load(Relaxed), 1);
}

#[tokio::test]
async fn the_total_deadline_answers_for_a_slow_body_and_for_a_slow_route() {
    let routes = routes().route("/never", get(std::future::pending::<()>));
    let server = start(routes, Deadlines { total: SHORT, ..patient() }).await;
    let answer = exchange(server.at, "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nabc").await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    let answer = exchange(server.at, "GET /never HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 1"), "{answer}");
}

/// An answer without end, that says when the server gives it up.
struct Endless(Option<oneshot::Sender<()>>);

impl hyper::body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 65536])))))
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        if let Some(dropped) = self.0.take() {
            let _ = dropped.send(());
        }
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut() {
    let (dropped, cut) = oneshot::channel();
    let body = Arc::new(std::sync::Mutex::new(Some(Endless(Some(dropped)))));
    let route = get(move || async move { Body::new(body.lock().unwrap().take().unwrap()) });
    let deadlines = Deadlines { total: SHORT, body_idle: SHORT, ..patient() };
    let server = start(Router::new().route("/", route), deadlines).await;
    let mut socket = TcpStream::connect(server.at).await.unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    timeout(LONG / 2, cut).await.unwrap().unwrap();
    assert_eq!(server.counts.late.load(Relaxed), 1);
}

#[tokio::test]
async fn a_connection_over_the_bound_is_refused_and_counted() {
    let server = start(routes(), Deadlines { connections: 1, ..patient() }).await;
    let mut first = TcpStream::connect(server.at).await.unwrap();
    first.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    one_answer(&mut first, "hello").await;

    let mut second = TcpStream::connect(server.at).await.unwrap();
    let answer = until_closed(&mut second).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 503") && head.contains("retry-after"), "{head}");
    assert!(head.ends_with(&format!("content-length: {}", body.len())), "{head}");
    let problem: crate::problem::ProblemDetails = serde_json::from_str(body).unwrap();
    assert_eq!(problem.status, 503);
    assert_eq!((server.counts.accepted.load(Relaxed), server.counts.refused.load(Relaxed)), (1, 1));

    // The first goes on.
    first.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    one_answer(&mut first, "hello").await;
}

#[tokio::test]
async fn for_one_over_the_bound_that_which_was_idle_longest_goes() {
    let entered = Arc::new(Notify::new());
    let inside = Arc::clone(&entered);
    let route = get(move || async move {
        inside.notify_one();
        std::future::pending::<()>().await;
    });
    let server = start(routes().route("/never", route), Deadlines { connections: 3, ..patient() }).await;
    let open = async |text: &str| {
        let mut socket = TcpStream::connect(server.at).await.unwrap();
        socket.write_all(text.as_bytes()).await.unwrap();
        socket
    };
    let mut working = open("GET /never HTTP/1.1\r\nhost: x\r\n\r\n").await;
    entered.notified().await;
    let mut silent = open("").await;
    let mut head = open("GET / HT").await;
    // Before anybody waited long enough nobody has to go.
    assert!(exchange(server.at, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.starts_with("HTTP/1.1 503"));
    sleep(Duration::from_millis(1100)).await;
    let mut third = open("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    one_answer(&mut third, "hello").await;
    assert_eq!(until_closed(&mut silent).await, "", "the first of those that wait");
    let mut fourth = open("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    one_answer(&mut fourth, "hello").await;
    assert_eq!(until_closed(&mut head).await, "");
    // All others are at work or just were.
    assert!(exchange(server.at, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.starts_with("HTTP/1.1 503"));
    assert!(timeout(SHORT, working.read_u8()).await.is_err(), "what is at work goes on");
    let counts = [&server.counts.accepted, &server.counts.refused, &server.counts.displaced].map(|n| n.load(Relaxed));
    assert_eq!(counts, [5, 2, 2]);
}

#[tokio::test]
async fn shutdown_lets_what_is_in_flight_finish() {
    let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (inside, go) = (Arc::clone(&entered), Arc::clone(&release));
    let route = get(move || async move {
        inside.notify_one();
        go.notified().await;
        "finished"
    });
    let server = start(routes().route("/slow", route), patient()).await;
    let mut idle = TcpStream::connect(server.at).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    one_answer(&mut idle, "hello").await;
    let slow = tokio::spawn(exchange(server.at, "GET /slow HTTP/1.1\r\nhost: x\r\n\r\n"));
    entered.notified().await;

    server.stop.send(()).unwrap();
    assert_eq!(until_closed(&mut idle).await, "");
    assert!(!server.served.is_finished());
    release.notify_one();
    assert!(slow.await.unwrap().ends_with("finished"));
    timeout(LONG / 2, server.served).await.unwrap().unwrap();
    assert!(TcpStream::connect(server.at).await.is_err());
}

#[tokio::test]
async fn the_drain_has_an_end() {
    let entered = Arc::new(Notify::new());
    let inside = Arc::clone(&entered);
    let route = get(move || async move {
        inside.notify_one();
        std::future::pending::<()>().await;
    });
    let server = start(Router::new().route("/", route), Deadlines { drain: SHORT, ..patient() }).await;
    let slow = tokio::spawn(exchange(server.at, "GET / HTTP/1.1\r\nhost: x\r\n\r\n"));
    entered.notified().await;
    server.stop.send(()).unwrap();
    timeout(LONG / 2, server.served).await.unwrap().unwrap();
    assert_eq!((slow.await.unwrap().as_str(), server.counts.late.load(Relaxed)), ("", 1));
}
