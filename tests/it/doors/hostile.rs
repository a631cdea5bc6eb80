//! Promises 10 to 12: headers that lie, bombs, and any bytes at every port.
#![allow(clippy::print_stdout)]

use std::io::Write as _;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{JSON, PROTO, QUIET, body, metric, now_ms};
use crate::daemon::{Process, request};
use crate::log::cases;
use crate::log::random::Random;
use crate::remote_write::encode::{Series, field, snappy, version1, version2};

const WRITE: &str = "/api/v1/write";
const PUSH: &str = "/loki/api/v1/push";
const HOOK: &str = "/api/v1/alerts/webhook";
const V2: &str = "content-type: application/x-protobuf;proto=io.prometheus.write.v2.Request\r\n";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn with(headers: &str, encoding: &str) -> String {
    format!("{headers}content-encoding: {encoding}\r\n")
}

/// A zstd frame that says it holds so many bytes, and holds one.
fn zstd_claiming(bytes: u64) -> Vec<u8> {
    let head = [&[0x28, 0xb5, 0x2f, 0xfd, 0xe0][..], &bytes.to_le_bytes()].concat();
    [&head[..], &[9, 0, 0, b'x']].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_lie_take_no_memory() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Process::start_in(dir.path(), QUIET, &[]);
    let four_gigabytes = vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0];
    let thirty = [snappy(&vec![0; 31 << 20])[..4].to_vec(), vec![0; 100]].concat();
    let hostile: Vec<(&str, String, Vec<u8>)> = vec![
        (WRITE, PROTO.into(), four_gigabytes.clone()),
        (WRITE, V2.into(), four_gigabytes.clone()),
        (WRITE, PROTO.into(), thirty),
        (WRITE, with(PROTO, "zstd"), zstd_claiming(u64::MAX)),
        (WRITE, with(PROTO, "zstd"), zstd_claiming(31 << 20)),
        (PUSH, PROTO.into(), four_gigabytes),
        (PUSH, with(JSON, "gzip"), gzip(b"{")[..12].to_vec()),
        (WRITE, format!("{PROTO}x-large: {}\r\n", "x".repeat(1000)), vec![0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]),
    ];
    let round = async || {
        for (path, headers, body) in &hostile {
            let (status, text) = request(daemon.address, "POST", path, headers, body).await.unwrap();
            assert!((400..500).contains(&status), "{path} {headers}: {status} {text}");
        }
        // More than there is, of which nothing comes.
        let mut socket = TcpStream::connect(daemon.address).await.unwrap();
        let head = format!("POST {WRITE} HTTP/1.1\r\nhost: x\r\n{PROTO}content-length: 99999999999\r\n\r\n");
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut got = [0; 12];
        socket.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"HTTP/1.1 413");
    };
    // What a process takes for its first requests it keeps.
    let push = format!(r#"{{"streams":[{{"stream":{{"a":"b"}},"values":[["{}000000","l"]]}}]}}"#, now_ms());
    for _ in 0..50 {
        let sound = [
            (WRITE, PROTO.to_owned(), body("team-a", 0..9, now_ms())),
            (WRITE, with(PROTO, "zstd"), zstd::bulk::compress(&version1(&[]), 3).unwrap()),
            (PUSH, with(JSON, "gzip"), gzip(push.as_bytes())),
        ];
        for (path, headers, body) in &sound {
            assert_eq!(request(daemon.address, "POST", path, headers, body).await.unwrap().0, 204, "{path}");
        }
    }
    let before = daemon.anonymous();
    for _ in 0..cases("WHYD_HOSTILE_ROUNDS", 50) {
        round().await;
    }
    let grown = daemon.anonymous().saturating_sub(before);
    println!("memory grew by {} KiB", grown >> 10);
    assert!(grown < 1 << 20, "{} KiB", grown >> 10);
    assert_eq!(metric(daemon.address, "whyd_inlet_bytes").await, Some(0.0));
    assert_eq!(daemon.panics(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn bombs_are_refused_and_the_daemon_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Process::start_in(dir.path(), QUIET, &[]);
    let zeros = vec![0_u8; 40 << 20];
    let spaces = vec![b' '; 40 << 20];
    let deep = |open: &str| format!("{{\"streams\":{}", open.repeat(1 << 20)).into_bytes();
    let labels: Vec<(String, String)> = (0..100_000).map(|n| (format!("l{n}"), "x".into())).collect();
    let wide = Series { labels, samples: vec![(now_ms(), 1.0)], more: Vec::new() };
    let long = "x".repeat(8 << 20);
    let tall = Series::new(&[("__name__", "up"), ("a", &long)], &[(now_ms(), 1.0)]);
    // Symbols that are named again and again: small, and means gigabytes.
    let refs: Vec<u8> = [0_u8, 1].repeat(200_000);
    let again = [field(4, b""), field(4, "x".repeat(1 << 20).as_bytes()), field(5, &field(1, &refs))].concat();
    let stream = serde_json::json!({"streams": [{"stream": {"a": long}, "values": [[format!("{}", now_ms() * 1_000_000), "x"]]}]});
    let alert = format!(r#"{{"version":"4","alerts":[{}]}}"#, "[".repeat(1 << 20));
    let attributes = vec![serde_json::json!({"key": "k", "value": {"stringValue": "v"}}); 5_000];
    let otlp = serde_json::json!({"resourceMetrics": [{"resource": {"attributes": attributes}}]});
    let cases: Vec<(&str, &str, String, Vec<u8>, u16)> = vec![
        ("snappy of zeros", WRITE, PROTO.into(), snappy(&zeros), 413),
        ("snappy of zeros, 2.0", WRITE, V2.into(), snappy(&zeros), 413),
        ("zstd of zeros", WRITE, with(PROTO, "zstd"), zstd::bulk::compress(&zeros, 19).unwrap(), 413),
        ("gzip of spaces", PUSH, with(JSON, "gzip"), gzip(&spaces), 413),
        ("gzip of spaces, OTLP", "/otlp/v1/metrics", with(JSON, "gzip"), gzip(&spaces), 413),
        ("gzip of gzip", PUSH, with(JSON, "gzip"), gzip(&gzip(&spaces)), 400),
        ("depth of JSON", PUSH, JSON.into(), deep("["), 400),
        ("depth of JSON in objects", PUSH, JSON.into(), deep("{\"a\":"), 400),
        ("depth of an alert", HOOK, JSON.into(), alert.into_bytes(), 400),
        ("attributes", "/otlp/v1/metrics", JSON.into(), otlp.to_string().into_bytes(), 400),
        ("100,000 labels", WRITE, PROTO.into(), snappy(&version1(std::slice::from_ref(&wide))), 400),
        (
            "100,000 labels, 2.0",
            WRITE,
            V2.into(),
            snappy(&version2(&[Series { labels: wide.labels[..2_000].to_vec(), ..wide }])),
            400,
        ),
        ("a label of 8 MiB", WRITE, PROTO.into(), snappy(&version1(&[tall])), 400),
        ("a symbol named again and again", WRITE, V2.into(), snappy(&again), 400),
        ("a stream's label of 8 MiB", PUSH, JSON.into(), stream.to_string().into_bytes(), 400),
    ];
    for (what, path, headers, body, expected) in cases {
        let (status, text) = request(daemon.address, "POST", path, &headers, &body).await.unwrap();
        let text: String = text.chars().take(200).collect();
        assert_eq!(status, expected, "{what}: {text}");
        assert!(text.lines().count() <= 3, "{what}: {text}");
    }
    assert_eq!(request(daemon.address, "POST", WRITE, PROTO, &body("team-a", 0..3, now_ms())).await.unwrap().0, 204);
    assert_eq!(metric(daemon.address, "whyd_series").await, Some(3.0), "no bomb left a series behind");
    assert_eq!(daemon.panics(), 0);
}

/// What a port reads, of any bytes; how it answers does not matter.
async fn throw(at: SocketAddr, bytes: &[u8]) {
    let Ok(mut socket) = TcpStream::connect(at).await else { panic!("the port {at} is closed") };
    let _ = socket.write_all(bytes).await;
    let _ = socket.shutdown().await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(std::time::Duration::from_secs(20), socket.read_to_end(&mut answer)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_bytes_at_any_port_do_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Process::start_in(dir.path(), QUIET, &[]);
    let seed = cases("WHYD_SEED", 1);
    let random = &mut Random::new(seed);
    let http = |path: &str, headers: &str, body: &[u8]| {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), body].concat()
    };
    let t = now_ms();
    let histogram = version2(&[Series::new(&[("__name__", "h")], &[(t, 1.0)]).with(&field(3, &[0x20, 105]))]);
    let push =
        format!(r#"{{"streams":[{{"stream":{{"namespace":"a"}},"values":[["{t}000000","l",{{"pod":"p"}}]]}}]}}"#);
    let point = format!(r#"{{"timeUnixNano":"{t}000000","asInt":"1"}}"#);
    let metrics = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"m","gauge":{{"dataPoints":[{point}]}}}}]}}]}}]}}"#
    );
    let alert = r#"{"version":"4","alerts":[{"status":"firing","labels":{"pod":"p"},"startsAt":"2026-01-01T00:00:00Z","fingerprint":"f"}]}"#;
    // The preface of HTTP/2, settings, and the head of a request that is cut off.
    let h2 = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        vec![0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 9, 1, 4, 0, 0, 0, 1, 0x83],
    ]
    .concat();
    let whole: Vec<(SocketAddr, Vec<u8>)> = vec![
        (daemon.address, http(WRITE, PROTO, &body("team-a", 0..5, t))),
        (daemon.address, http(WRITE, V2, &snappy(&histogram))),
        (daemon.address, http(WRITE, &with(PROTO, "zstd"), &zstd::bulk::compress(&version1(&[]), 3).unwrap())),
        (daemon.address, http(PUSH, JSON, push.as_bytes())),
        (daemon.address, http(PUSH, &with(JSON, "gzip"), &gzip(push.as_bytes()))),
        (daemon.address, http(HOOK, JSON, alert.as_bytes())),
        (daemon.others["otlp.http"], http("/v1/metrics", JSON, metrics.as_bytes())),
        (daemon.others["otlp.grpc"], h2),
    ];
    for n in 0..cases("WHYD_RAW_BODIES", 1_500) {
        let (at, sound) = &whole[n as usize % whole.len()];
        let mut bytes = sound.clone();
        match random.below(4) {
            // Noise alone.
            0 => bytes = (0..random.below(400)).map(|_| random.next() as u8).collect(),
            1 => bytes.truncate(random.below(bytes.len())),
            2 => {
                let at = random.below(bytes.len());
                bytes[at] = random.next() as u8;
            }
            // The head as it is, the body damaged in places.
            _ => {
                let head = bytes.windows(4).position(|w| w == b"\r\n\r\n").map_or(0, |at| at + 4);
                for _ in 0..1 + random.below(8) {
                    let at = head + random.below(bytes.len() - head);
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte = random.next() as u8;
                    }
                }
            }
        }
        throw(*at, &bytes).await;
        assert_eq!(daemon.panics(), 0, "seed {seed}, case {n}: {bytes:?}");
    }
    assert_eq!(request(daemon.address, "GET", "/livez", "", b"").await.unwrap().0, 200);
    assert_eq!(
        request(daemon.address, "POST", WRITE, PROTO, &body("team-z", 0..5, t)).await.unwrap().0,
        204,
        "seed {seed}"
    );
    assert_eq!(daemon.panics(), 0, "seed {seed}");
}
