#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use std::io::Write as _;
use std::sync::Mutex;

use axum::http::{HeaderMap, Response};
use bytes::Bytes;
use h2::client::SendRequest;
use whyd_signals::sink::Refusal;
use whyd_signals::{Media, Timestamp};

use super::*;
use crate::Reply;
use crate::inlet::{InletLimits, Written, inlet};

const NOW: Timestamp = Timestamp(42);

/// A connection to a receiver whose core answers everything with one reply and keeps what it got.
struct Fixture {
    client: SendRequest<Bytes>,
    inlet: Inlet,
    got: Arc<Mutex<Vec<Envelope>>>,
    close: watch::Sender<bool>,
    served: tokio::task::JoinHandle<()>,
}

async fn fixture(reply: Reply, bounds: InletLimits) -> Fixture {
    fixture_with(reply, bounds, TIMES).await
}

async fn fixture_with(reply: Reply, bounds: InletLimits, times: Times) -> Fixture {
    fixture_behind(Gate::default(), reply, bounds, times).await
}

async fn fixture_behind(gate: Gate, reply: Reply, bounds: InletLimits, times: Times) -> Fixture {
    let (inlet, mut queue) = inlet(bounds);
    let got = Arc::new(Mutex::new(Vec::new()));
    let keep = got.clone();
    tokio::spawn(async move {
        while let Some(delivery) = queue.recv().await {
            keep.lock().unwrap().push(delivery.envelope);
            delivery.responder.reply(reply.clone());
        }
    });
    let (near, far) = tokio::io::duplex(64 << 10);
    let (close, closing) = watch::channel(false);
    let counts = Counts::default();
    let receiver = Receiver { inlet: inlet.clone(), gate, clock: Arc::new(|| NOW), times, counts };
    let served = tokio::spawn(connection(far, receiver, closing));
    let (client, connection) = h2::client::handshake(near).await.unwrap();
    tokio::spawn(connection);
    Fixture { client, inlet, got, close, served }
}

#[derive(Debug)]
struct Answer {
    http: u16,
    /// -1 where there is none.
    status: i32,
    message: String,
    body: Bytes,
    headers: HeaderMap,
}

fn frame(compressed: u8, message: &[u8]) -> Vec<u8> {
    [&[compressed][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

async fn call(fixture: &Fixture, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
    let mut request = Request::builder().method("POST").uri(format!("http://whyd{path}"));
    if !headers.iter().any(|(name, _)| *name == "content-type") {
        request = request.header("content-type", "application/grpc");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut client = fixture.client.clone().ready().await.unwrap();
    let (response, mut stream) = client.send_request(request.body(()).unwrap(), false).unwrap();
    // what is refused early is not taken to its end
    let _ = stream.send_data(Bytes::from(body), true);
    let response: Response<RecvStream> = response.await.unwrap();
    let (head, mut received) = response.into_parts();
    let mut body = Vec::new();
    while let Some(Ok(piece)) = received.data().await {
        received.flow_control().release_capacity(piece.len()).unwrap();
        body.extend_from_slice(&piece);
    }
    let mut headers = head.headers;
    headers.extend(received.trailers().await.ok().flatten().unwrap_or_default());
    let text = |name: &str| headers.get(name).map(|v| v.to_str().unwrap().to_owned());
    Answer {
        http: head.status.as_u16(),
        status: text("grpc-status").map_or(-1, |s| s.parse().unwrap()),
        message: text("grpc-message").unwrap_or_default(),
        body: body.into(),
        headers,
    }
}

#[tokio::test]
async fn one_message_for_each_service() {
    let long = vec![7; 300_000];
    for (path, headers, body, media, expected) in [
        (METRICS, vec![], frame(0, b"abc"), Media::OtlpMetricsProto, b"abc".to_vec()),
        (LOGS, vec![("content-type", "application/grpc+proto")], frame(0, b""), Media::OtlpLogsProto, vec![]),
        (LOGS, vec![("grpc-encoding", "gzip")], frame(1, &gzip(&long)), Media::OtlpLogsProto, long.clone()),
        (LOGS, vec![("grpc-encoding", "gzip")], frame(0, &long), Media::OtlpLogsProto, long.clone()),
    ] {
        let fixture = fixture(Reply::Stored(Written::rows(1)), InletLimits::default()).await;
        let answer = call(&fixture, path, &headers, body).await;
        assert_eq!((answer.http, answer.status), (200, 0), "{answer:?}");
        assert_eq!(answer.body, [0; 5][..], "an empty message");
        let got = fixture.got.lock().unwrap();
        assert_eq!(*got, [Envelope { received: NOW, media, tenant: None, body: expected.into() }]);
        assert_eq!(fixture.inlet.counts().bytes, 0);
    }
}

#[tokio::test]
async fn what_is_wrong_has_a_status_and_is_no_message() {
    let head = |length: u32| [&[0][..], &length.to_be_bytes()].concat();
    for (path, headers, body, status, expected) in [
        ("/opentelemetry.proto.collector.trace.v1.TraceService/Export", vec![], frame(0, b""), 12, "not a method"),
        (METRICS, vec![("grpc-encoding", "zstd")], frame(1, b""), 12, "identity or gzip"),
        (METRICS, vec![], vec![], 3, "without a message"),
        (METRICS, vec![], vec![0, 0, 0], 3, "without a message"),
        (METRICS, vec![], head(10), 3, "ends early"),
        (METRICS, vec![], [frame(0, b"a"), frame(0, b"b")].concat(), 3, "more than one"),
        (METRICS, vec![], frame(1, &gzip(b"a")), 3, "without grpc-encoding"),
        (METRICS, vec![("grpc-encoding", "gzip")], frame(1, b"plain"), 3, "gzip"),
        (METRICS, vec![], head(u32::try_from(LIMIT).unwrap() + 1), 8, "over the limit"),
        (METRICS, vec![("grpc-encoding", "gzip")], frame(1, &gzip(&vec![0; LIMIT + 1])), 8, "over the limit"),
    ] {
        let fixture = fixture(Reply::Stored(Written::rows(1)), InletLimits::default()).await;
        let answer = call(&fixture, path, &headers, body).await;
        assert_eq!((answer.http, answer.status), (200, status), "{answer:?}");
        assert!(answer.message.contains(expected), "{answer:?}");
        assert!(fixture.got.lock().unwrap().is_empty());
        assert_eq!(fixture.inlet.counts().bytes, 0);
    }
    let gate = Gate::default();
    let fixture = fixture_behind(gate.clone(), Reply::Stored(Written::rows(1)), InletLimits::default(), TIMES).await;
    let answer = call(&fixture, METRICS, &[("content-type", "application/json")], frame(0, b"")).await;
    assert_eq!((answer.http, answer.status), (415, -1));
    assert_eq!(call(&fixture, "/other", &[], frame(0, b"")).await.status, 12);
    let counted = gate.turned_away().into_iter().find(|(why, _)| *why == TurnedAway::UnsupportedMedia);
    assert_eq!(counted, Some((TurnedAway::UnsupportedMedia, 2)));
}

#[tokio::test]
async fn every_reply_has_its_status() {
    let refused = [(Refusal::ExponentialHistogram, 2)].into();
    for (reply, status, text) in [
        (Reply::Partial { written: Written::rows(1), refused, rejected: 2 }, 0, ""),
        (Reply::Invalid("100 % \u{e9}\n".into()), 3, "100 %25 %C3%A9%0A"),
        (Reply::TooLarge("too large".into()), 8, "too large"),
        (Reply::Overloaded("log is full".into()), 14, "log is full"),
        // Without a time to send it again it is not sent again.
        (Reply::OverQuota("team a has its share".into()), 8, "team a has its share"),
    ] {
        let fixture = fixture(reply, InletLimits::default()).await;
        let answer = call(&fixture, LOGS, &[], frame(0, b"abc")).await;
        assert_eq!((answer.http, answer.status, answer.message.as_str()), (200, status, text));
        if status == 0 {
            // partial_success with two rejected, then the words
            assert_eq!(answer.body.get(5), Some(&0x0a));
            assert_eq!(answer.body.get(8..10), Some(&[8, 2][..]), "{:?}", answer.body);
            assert!(String::from_utf8_lossy(&answer.body).contains("exponential_histogram 2"));
        }
        // RetryInfo of one second
        let info = answer.headers.get("google.rpc.retryinfo-bin").map(|v| v.to_str().unwrap());
        assert_eq!(info, (status == 14).then_some("CgIIAQ"));
        assert_eq!(answer.headers.contains_key("grpc-status-details-bin"), status == 14);
    }
}

#[tokio::test]
async fn a_full_inlet_refuses_a_message_while_it_arrives() {
    let fixture = fixture(Reply::Stored(Written::rows(1)), InletLimits { messages: 10, bytes: 1000 }).await;
    let held = fixture.inlet.room(900).unwrap();
    let answer = call(&fixture, METRICS, &[], frame(0, &[7; 200])).await;
    assert_eq!((answer.status, answer.message.as_str()), (14, "too many bytes waiting"));
    drop(held);
    assert_eq!(call(&fixture, METRICS, &[], frame(0, &[7; 200])).await.status, 0);
    assert_eq!(fixture.inlet.counts().bytes, 0);
}

#[tokio::test]
async fn many_at_once_on_one_connection_and_closing_lets_them_finish() {
    let fixture = fixture(Reply::Stored(Written::rows(1)), InletLimits::default()).await;
    let calls = (0..100).map(|_| call(&fixture, METRICS, &[], frame(0, &[7; 5_000])));
    let answers = futures::future::join_all(calls).await;
    assert!(answers.iter().all(|a| a.status == 0));
    assert_eq!(fixture.got.lock().unwrap().len(), 100);
    fixture.close.send_replace(true);
    fixture.served.await.unwrap();
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let soon = Duration::from_millis(50);
    let times = Times { handshake: soon, idle: soon, ..TIMES };
    let fixture = fixture_with(Reply::Stored(Written::rows(1)), InletLimits::default(), times).await;
    assert_eq!(call(&fixture, METRICS, &[], frame(0, b"a")).await.status, 0);
    fixture.served.await.unwrap();
    let (inlet, _queue) = inlet(InletLimits::default());
    let (_near, far) = tokio::io::duplex(1024);
    let (_close, closing) = watch::channel(false);
    let counts = Counts::default();
    let receiver = Receiver { inlet, gate: Gate::default(), clock: Arc::new(|| NOW), times, counts: counts.clone() };
    connection(far, receiver, closing).await;
    assert_eq!(counts.by_outcome()[2], ("late", 1));
}

#[tokio::test]
async fn senders_need_the_token() {
    let gate = Gate::new(whyd_signals::Token::new("s3cret"));
    let fixture = fixture_behind(gate.clone(), Reply::Stored(Written::rows(1)), InletLimits::default(), TIMES).await;
    for (credential, status) in [(None, 16), (Some("Bearer wrong"), 16), (Some("Bearer s3cret"), 0)] {
        let headers: Vec<_> = credential.map(|c| ("authorization", c)).into_iter().collect();
        let answer = call(&fixture, METRICS, &headers, frame(0, b"abc")).await;
        assert_eq!((answer.http, answer.status), (200, status), "{credential:?}: {}", answer.message);
    }
    assert_eq!(fixture.got.lock().unwrap().len(), 1);
    assert_eq!(gate.turned_away()[0].1, 2);
}

#[tokio::test]
async fn a_message_that_goes_on_by_next_to_nothing_is_given_up() {
    let times = Times { message: Duration::from_millis(200), ..TIMES };
    let fixture = fixture_with(Reply::Stored(Written::rows(1)), InletLimits::default(), times).await;
    let request = Request::builder().method("POST").uri(format!("http://whyd{METRICS}"));
    let request = request.header("content-type", "application/grpc").body(()).unwrap();
    let mut client = fixture.client.clone().ready().await.unwrap();
    let (response, mut stream) = client.send_request(request, false).unwrap();
    stream.send_data(Bytes::from(frame(0, &[7; 1000])).slice(..50), false).unwrap();
    let trickle = async {
        while stream.send_data(Bytes::from_static(&[7]), false).is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    let answer = tokio::select! {
        answer = response => answer.unwrap(),
        () = trickle => panic!("cut without an answer"),
    };
    assert_eq!(answer.headers()["grpc-status"], "14");
    assert_eq!(fixture.inlet.counts().bytes, 0);
}

#[tokio::test]
async fn a_message_that_does_not_go_on_is_given_up() {
    let times = Times { message: Duration::from_millis(50), ..TIMES };
    let fixture = fixture_with(Reply::Stored(Written::rows(1)), InletLimits::default(), times).await;
    let request = Request::builder().method("POST").uri(format!("http://whyd{METRICS}"));
    let request = request.header("content-type", "application/grpc").body(()).unwrap();
    let mut client = fixture.client.clone().ready().await.unwrap();
    let (response, mut stream) = client.send_request(request, false).unwrap();
    stream.send_data(Bytes::from(frame(0, &[7; 100])).slice(..50), false).unwrap();
    let answer = response.await.unwrap();
    assert_eq!(answer.headers()["grpc-status"], "14");
    assert_eq!(fixture.inlet.counts().bytes, 0);
}
