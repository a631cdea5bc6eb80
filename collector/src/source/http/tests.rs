#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod otlp;

use std::io::Write as _;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use bytes::Bytes;
use tokio::sync::mpsc;
use tower::ServiceExt;
use whyd_signals::Timestamp;

use super::*;
use crate::Delivery;
use crate::inlet::{InletLimits, inlet};
use crate::wire::encode::{label, request as write_request, sample, snappy};

const WRITE: &str = "/api/v1/write";
const PUSH: &str = "/loki/api/v1/push";
const NOW: Timestamp = Timestamp(42);

/// Receivers whose core answers everything with one reply and keeps what it got.
struct Fixture {
    router: Router,
    inlet: Inlet,
    gate: Gate,
    got: Arc<Mutex<Vec<Envelope>>>,
}

fn fixture(reply: Reply, limits: BodyLimits, bounds: InletLimits) -> Fixture {
    fixture_behind(Gate::default(), reply, limits, bounds)
}

fn fixture_behind(gate: Gate, reply: Reply, limits: BodyLimits, bounds: InletLimits) -> Fixture {
    let (inlet, mut queue): (Inlet, mpsc::Receiver<Delivery>) = inlet(bounds);
    let got = Arc::new(Mutex::new(Vec::new()));
    let keep = got.clone();
    tokio::spawn(async move {
        while let Some(delivery) = queue.recv().await {
            keep.lock().unwrap().push(delivery.envelope);
            delivery.responder.reply(reply.clone());
        }
    });
    let receivers = Receivers { inlet: inlet.clone(), gate: gate.clone(), limits, clock: Arc::new(|| NOW) };
    Fixture { router: router(receivers), inlet, gate, got }
}

fn receivers(inlet: Inlet) -> Receivers {
    Receivers { inlet, gate: Gate::default(), limits: BodyLimits::default(), clock: Arc::new(|| NOW) }
}

fn stored(rows: u64) -> Fixture {
    fixture(Reply::Stored(Written::rows(rows)), BodyLimits::default(), InletLimits::default())
}

/// When a sender may try again that was answered with this.
fn retry_after(status: u16) -> Option<&'static str> {
    match status {
        503 => Some("1"),
        429 => Some("60"),
        _ => None,
    }
}

struct Answer {
    status: u16,
    bytes: Bytes,
    /// The same, of what is text.
    text: String,
    /// The three written headers, `-` for one that is absent.
    written: String,
    retry_after: Option<String>,
    content_type: Option<String>,
    challenge: Option<String>,
}

async fn call(fixture: &Fixture, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
    let mut request = Request::builder().method("POST").uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = fixture.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
    let header = |name: &str| response.headers().get(name).map(|v| v.to_str().unwrap().to_owned());
    let written = ["samples", "histograms", "exemplars"]
        .map(|kind| header(&format!("x-prometheus-remote-write-{kind}-written")).unwrap_or("-".into()))
        .join(" ");
    let (retry_after, content_type) = (header("retry-after"), header("content-type"));
    let challenge = header("www-authenticate");
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let text = String::from_utf8_lossy(&body).into_owned();
    Answer { status, bytes: body, text, written, retry_after, content_type, challenge }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn body() -> Vec<u8> {
    snappy(&write_request(&[&[label("__name__", "x"), sample(1.0, 1)]]))
}

const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

#[tokio::test]
async fn write_decides_the_media_by_headers() {
    for (content_type, encoding, expected) in [
        ("application/x-protobuf", "snappy", 204),
        ("application/x-protobuf", "", 204),
        ("", "snappy", 204),
        ("Application/X-Protobuf", "Snappy", 204),
        ("application/x-protobuf;proto=prometheus.WriteRequest", "snappy", 204),
        ("application/x-protobuf; proto=\"prometheus.WriteRequest\" ; charset=utf-8", "snappy", 204),
        ("application/x-protobuf;proto=other", "snappy", 415),
        ("application/x-protobuf;proto", "snappy", 415),
        ("application/json", "snappy", 415),
        ("image/png", "", 415),
        ("text/plain", "snappy", 415),
        ("application/x-protobuf", "gzip", 415),
        ("application/x-protobuf;proto=io.prometheus.write.v2.Request", "gzip", 415),
        ("application/x-protobuf;proto=io.prometheus.write.v3.Request", "snappy", 415),
        ("application/x-protobuf", "deflate", 415),
    ] {
        let fixture = stored(1);
        let headers: Vec<_> = [("content-type", content_type), ("content-encoding", encoding)]
            .into_iter()
            .filter(|h| !h.1.is_empty())
            .collect();
        let answer = call(&fixture, WRITE, &headers, body()).await;
        assert_eq!(answer.status, expected, "{content_type} {encoding}: {}", answer.text);
        assert_eq!(answer.written, if expected == 204 { "- - -" } else { "0 0 0" });
        assert_eq!(answer.text.lines().count(), usize::from(expected != 204), "{}", answer.text);
        let got = fixture.got.lock().unwrap();
        assert_eq!(got.len(), usize::from(expected == 204));
        if let Some(envelope) = got.first() {
            let expected = Envelope {
                received: NOW,
                media: Media::RemoteWrite1(Compression::Snappy),
                tenant: None,
                body: body().into(),
            };
            assert_eq!(*envelope, expected);
        }
    }
}

#[tokio::test]
async fn version_and_compression_are_told_apart() {
    let zstd = zstd::bulk::compress(b"message", 3).unwrap();
    let snappy = snappy(b"message");
    for (content_type, encoding, body, expected) in [
        (V2, "snappy", &snappy, Ok(Media::RemoteWrite2(Compression::Snappy))),
        (V2, "", &snappy, Ok(Media::RemoteWrite2(Compression::Snappy))),
        (V2, "zstd", &zstd, Ok(Media::RemoteWrite2(Compression::Zstd))),
        ("application/x-protobuf", "zstd", &zstd, Ok(Media::RemoteWrite1(Compression::Zstd))),
        ("application/x-protobuf", "ZSTD", &zstd, Ok(Media::RemoteWrite1(Compression::Zstd))),
        ("application/x-protobuf", "zstd", &snappy, Err(400)),
        (V2, "zstd", &vec![], Err(400)),
    ] {
        let fixture = stored(1);
        let mut headers = vec![("content-type", content_type), ("x-victoriametrics-remote-write-version", "1")];
        if !encoding.is_empty() {
            headers.push(("content-encoding", encoding));
        }
        let answer = call(&fixture, WRITE, &headers, body.clone()).await;
        assert_eq!(answer.status, expected.err().unwrap_or(204), "{content_type} {encoding}: {}", answer.text);
        let written = if expected.is_ok() { "1 0 0" } else { "0 0 0" };
        assert_eq!(answer.written, if content_type == V2 { written } else { "- - -" });
        // the log has it as it came
        let got = fixture.got.lock().unwrap();
        assert_eq!(got.first().map(|e| (e.media, &e.body[..])), expected.ok().map(|media| (media, &body[..])));
    }
}

#[tokio::test]
async fn an_agent_of_victoriametrics_is_told_its_version() {
    for method in ["GET", "POST"] {
        let fixture = stored(1);
        let uri = "/api/v1/write?get_vm_proto_version=1";
        let request = Request::builder().method(method).uri(uri).body(Body::empty()).unwrap();
        let response = fixture.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        assert_eq!(axum::body::to_bytes(response.into_body(), 9).await.unwrap(), "1");
        assert!(fixture.got.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn every_reply_has_its_status() {
    let all = Written { rows: 5, deduplicated: 0, histograms: 2, exemplars: 3 };
    let twin = Written { deduplicated: 4, ..all };
    let some = Reply::Partial { written: twin, refused: [(Refusal::InvalidHistogram, 1)].into(), rejected: 1 };
    for (reply, status, written, text) in [
        (Reply::Stored(all), 204, "5 2 3", ""),
        (Reply::Stored(twin), 202, "5 2 3", ""),
        (some, 400, "5 2 3", "1 samples stored, refused: invalid_histogram 1\n"),
    ] {
        let fixture = fixture(reply, BodyLimits::default(), InletLimits::default());
        let answer = call(&fixture, WRITE, &[("content-type", V2)], body()).await;
        assert_eq!((answer.status, answer.written.as_str(), answer.text.as_str()), (status, written, text));
    }
    let partial = Reply::Partial {
        written: Written { exemplars: 2, ..Written::rows(3) },
        refused: [(Refusal::TooOld, 2), (Refusal::Duplicate, 1)].into(),
        rejected: 3,
    };
    for (reply, status, written, text) in [
        (Reply::Stored(Written::rows(7)), 204, "7 0 0", ""),
        (
            partial,
            400,
            "3 0 2",
            "3 samples stored, refused: too_old 2 (more than limits.lateness behind the newest of the series or stream, and behind \
            the clock), duplicate 1\n",
        ),
        (Reply::Invalid("labels:\nbad".into()), 400, "0 0 0", "labels: bad\n"),
        (Reply::TooLarge("too large".into()), 413, "0 0 0", "too large\n"),
        (Reply::Overloaded("log is full".into()), 503, "0 0 0", "log is full\n"),
        (Reply::OverQuota("team a has its share".into()), 429, "0 0 0", "team a has its share\n"),
    ] {
        let fixture = fixture(reply, BodyLimits::default(), InletLimits::default());
        let answer = call(&fixture, WRITE, &[("content-type", V2)], body()).await;
        assert_eq!((answer.status, answer.written.as_str(), answer.text.as_str()), (status, written, text));
        assert_eq!(answer.retry_after.as_deref(), retry_after(status));
        let answer = call(&fixture, PUSH, &[("content-type", "application/json")], "{}").await;
        assert_eq!((answer.status, answer.written.as_str()), (status, "- - -"));
        assert_eq!(answer.text, text.replace("samples", "lines"));
        assert_eq!(answer.retry_after.as_deref(), retry_after(status));
        assert_eq!(fixture.inlet.counts().bytes, 0);
    }
}

#[tokio::test]
async fn push_decides_the_media_and_gunzips() {
    let json = br#"{"streams":[]}"#;
    let proto = snappy(b"");
    for (content_type, encoding, body, expected) in [
        ("application/json", "", json.to_vec(), Ok((Media::LokiJson, &json[..]))),
        ("application/json; charset=UTF-8", "identity", json.to_vec(), Ok((Media::LokiJson, &json[..]))),
        ("application/json", "gzip", gzip(json), Ok((Media::LokiJson, &json[..]))),
        ("application/x-protobuf", "", proto.clone(), Ok((Media::LokiProto, &proto[..]))),
        ("application/x-protobuf", "snappy", proto.clone(), Ok((Media::LokiProto, &proto[..]))),
        ("", "", proto.clone(), Ok((Media::LokiProto, &proto[..]))),
        ("application/json", "gzip", json.to_vec(), Err(400)),
        ("application/json", "gzip", gzip(json)[..20].to_vec(), Err(400)),
        ("application/json", "deflate", json.to_vec(), Err(415)),
        ("application/json", "snappy", json.to_vec(), Err(415)),
        ("application/x-protobuf", "gzip", gzip(&proto), Err(415)),
        ("text/plain", "", json.to_vec(), Err(415)),
        ("application/x-protobuf", "", b"\xff\xff\xff".to_vec(), Err(400)),
    ] {
        let fixture = stored(1);
        let headers: Vec<_> = [("content-type", content_type), ("content-encoding", encoding)]
            .into_iter()
            .filter(|h| !h.1.is_empty())
            .collect();
        let answer = call(&fixture, PUSH, &headers, body).await;
        let got = fixture.got.lock().unwrap();
        let seen = got.first().map(|e| (e.media, &e.body[..])).ok_or(answer.status);
        assert_eq!(seen, expected, "{content_type} {encoding}: {}", answer.text);
        assert_eq!(answer.status, expected.err().unwrap_or(204));
    }
}

#[tokio::test]
async fn limits_are_on_bytes_received_and_inflated() {
    let limits = BodyLimits { received: 1000, inflated: 5000, otlp: 1000, ..BodyLimits::default() };
    let json = [("content-type", "application/json")];
    let gzipped = [json[0], ("content-encoding", "gzip")];
    let zstd = [("content-encoding", "zstd")];
    let unannounced = || {
        Body::from_stream(futures::stream::iter((0..11).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 100])))))
    };
    let cases: Vec<(&str, &[(&str, &str)], Body, u16)> = vec![
        (PUSH, &json, vec![b' '; 1000].into(), 204),
        (PUSH, &json, vec![b' '; 1001].into(), 413),
        (PUSH, &json, unannounced(), 413),
        (WRITE, &[], unannounced(), 413),
        (WRITE, &[("content-length", "99999999999")], Body::empty(), 413),
        (PUSH, &gzipped, gzip(&[b' '; 5000]).into(), 204),
        (PUSH, &gzipped, gzip(&[b' '; 5001]).into(), 413),
        (WRITE, &[], snappy(&[0; 5000]).into(), 204),
        (WRITE, &[], snappy(&[0; 5001]).into(), 413),
        (WRITE, &zstd, zstd::bulk::compress(&[0; 5000], 3).unwrap().into(), 204),
        (WRITE, &zstd, zstd::bulk::compress(&[0; 5001], 3).unwrap().into(), 413),
        (PUSH, &[], snappy(&[0; 5001]).into(), 413),
        (WRITE, &[], vec![0xff, 0xff, 0xff, 0xff, 0x0f].into(), 413),
        (WRITE, &[], vec![0xff; 100].into(), 400),
        (WRITE, &[], Body::empty(), 400),
    ];
    for (i, (path, headers, body, expected)) in cases.into_iter().enumerate() {
        let fixture = fixture(Reply::Stored(Written::rows(1)), limits, InletLimits::default());
        let answer = call(&fixture, path, headers, body).await;
        assert_eq!(answer.status, expected, "case {i}: {}", answer.text);
        assert_eq!(fixture.got.lock().unwrap().len(), usize::from(expected == 204));
        assert_eq!(fixture.inlet.counts().bytes, 0);
    }
}

#[tokio::test]
async fn a_full_inlet_refuses_bodies_while_they_arrive() {
    let bounds = InletLimits { messages: 10, bytes: 1000 };
    let fixture = fixture(Reply::Stored(Written::rows(1)), BodyLimits::default(), bounds);
    let held = fixture.inlet.room(900).unwrap();
    let json = [("content-type", "application/json")];
    let gzipped = [json[0], ("content-encoding", "gzip")];
    for (headers, body) in [(&json[..], vec![b' '; 200]), (&gzipped, gzip(&[b' '; 200]))] {
        let answer = call(&fixture, PUSH, headers, body).await;
        assert_eq!((answer.status, answer.retry_after.as_deref()), (503, Some("1")), "{}", answer.text);
    }
    assert_eq!(fixture.inlet.counts().full_of_bytes, 2);
    assert_eq!(call(&fixture, PUSH, &json, vec![b' '; 1001]).await.status, 413);
    drop(held);
    assert_eq!(call(&fixture, PUSH, &json, vec![b' '; 200]).await.status, 204);
    assert_eq!(fixture.inlet.counts().bytes, 0);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_message() {
    let fixture = stored(1);
    let pieces = [Ok(Bytes::from_static(b"{\"str")), Err(std::io::Error::other("reset"))];
    let body = Body::from_stream(futures::stream::iter(pieces));
    assert_eq!(call(&fixture, PUSH, &[("content-type", "application/json")], body).await.status, 400);
    assert!(fixture.got.lock().unwrap().is_empty());
    assert_eq!(fixture.inlet.counts().bytes, 0);
}

#[tokio::test]
async fn ready_until_the_core_is_gone_and_other_methods_are_refused() {
    let get = |router: Router, path: &'static str| async move {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        router.oneshot(request).await.unwrap().status().as_u16()
    };
    let fixture = stored(1);
    assert_eq!(get(fixture.router.clone(), "/ready").await, 200);
    assert_eq!(get(fixture.router.clone(), WRITE).await, 405);
    let (inlet, queue) = inlet(InletLimits::default());
    let router = router(receivers(inlet));
    drop(queue);
    assert_eq!(get(router, "/ready").await, 503);
}

const WEBHOOK: &str = "/api/v1/alerts/webhook";

#[tokio::test]
async fn every_receiver_needs_the_token_before_it_looks_at_the_body() {
    let gate = Gate::new(whyd_signals::Token::new("s3cret"));
    let reply = Reply::Stored(Written::rows(1));
    let fixture = fixture_behind(gate, reply, BodyLimits::default(), InletLimits::default());
    let json = ("content-type", "application/json");
    let vm = "/api/v1/write?get_vm_proto_version=1";
    let paths = [WRITE, PUSH, WEBHOOK, vm, "/otlp/v1/metrics", "/otlp/v1/logs"];
    for path in paths {
        for credential in [None, Some("Bearer wrong"), Some("Basic s3cret")] {
            let headers: Vec<_> = credential.map(|c| ("authorization", c)).into_iter().chain([json]).collect();
            let endless = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
            let answer = call(&fixture, path, &headers, endless).await;
            assert_eq!(answer.status, 401, "{path} {credential:?}: {}", answer.text);
            assert_eq!(answer.challenge.as_deref(), Some("Bearer realm=\"whyd\""), "{path}");
            assert!(!answer.text.contains("s3cret") && answer.text.contains("token"), "{path}: {}", answer.text);
        }
    }
    assert_eq!(fixture.gate.turned_away()[0], (TurnedAway::Unauthorized, 3 * paths.len() as u64));
    for path in [PUSH, WEBHOOK, "/otlp/v1/logs"] {
        let answer = call(&fixture, path, &[json, ("authorization", "Bearer s3cret")], "{}").await;
        assert!((200..300).contains(&answer.status), "{path}: {} {}", answer.status, answer.text);
    }
    assert_eq!(fixture.got.lock().unwrap().len(), 3);
    let request = Request::builder().uri("/ready").body(Body::empty()).unwrap();
    assert_eq!(fixture.router.clone().oneshot(request).await.unwrap().status(), 200, "it tells nothing");
}

#[tokio::test]
async fn a_notification_is_taken_and_what_is_dropped_of_it_is_no_failure() {
    let json = ("content-type", "application/json");
    let own: BTreeMap<Refusal, u64> = [(Refusal::OwnAlert, 2)].into();
    for (reply, status, text) in [
        (Reply::Stored(Written::rows(2)), 200, "2 alerts stored\n"),
        (
            Reply::Partial { written: Written::rows(1), refused: own, rejected: 2 },
            200,
            "1 alerts stored, refused: own_alert 2\n",
        ),
        (Reply::Invalid("no version".into()), 400, "no version\n"),
        (Reply::Overloaded("log is full".into()), 503, "log is full\n"),
    ] {
        let fixture = fixture(reply, BodyLimits::default(), InletLimits::default());
        let answer = call(&fixture, WEBHOOK, &[json], "{}").await;
        assert_eq!((answer.status, answer.text.as_str()), (status, text));
        assert_eq!(answer.retry_after.as_deref(), retry_after(status));
        assert_eq!(fixture.got.lock().unwrap()[0].media, Media::AlertmanagerWebhook);
    }
    for headers in [&[][..], &[("content-type", "text/plain")], &[json, ("content-encoding", "gzip")]] {
        let fixture = stored(1);
        assert_eq!(call(&fixture, WEBHOOK, headers, "{}").await.status, 415, "{headers:?}");
        assert_eq!(fixture.gate.turned_away()[1], (TurnedAway::UnsupportedMedia, 1));
    }
}
