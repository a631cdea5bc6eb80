//! Pushes as agents send them: protobuf in a snappy block, or JSON in gzip.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::lines::{self, Random, STYLES, Style};
use crate::server::Push;

/// Streams of the cluster, and what of them is in one push.
const STREAMS: u64 = 1200;
const STREAMS_OF_PUSH: u64 = 40;
const LINES_OF_STREAM: u64 = 50;

#[derive(Clone, Copy)]
pub(crate) enum Form {
    Proto,
    Json,
}

/// Where a stream comes from. Every third names the pod in its structured metadata, as agents do that keep labels few,
/// and its lines carry a trace id each.
struct Stream {
    style: Style,
    labels: Vec<(&'static str, String)>,
    pod: Option<String>,
}

fn stream(n: u64) -> Stream {
    let style = STYLES[(n % STYLES.len() as u64) as usize];
    let (app, namespace) = (n / 3 % 100, format!("team-{}", n % 24));
    let pod = format!("app-{app}-5f6d8c7b9-{:05x}", n.wrapping_mul(2_654_435_761) & 0xfffff);
    let mut labels = vec![
        ("app", format!("app-{app}")),
        ("container", "main".to_owned()),
        ("namespace", namespace),
        ("node_name", format!("node-{}", n % 40)),
    ];
    if n.is_multiple_of(3) {
        return Stream { style, labels, pod: Some(pod) };
    }
    labels.push(("pod", pod));
    labels.push(("stream", if n.is_multiple_of(2) { "stdout" } else { "stderr" }.to_owned()));
    Stream { style, labels, pod: None }
}

struct Entry {
    ts: i64,
    line: String,
    metadata: Vec<(&'static str, String)>,
}

/// So many lines in pushes, the newest as of now, in an order that the seed gives; and the bytes of the lines alone.
pub(crate) fn pushes(form: Form, lines: usize, seed: u64) -> (Vec<Push>, usize) {
    let mut random = Random::new(seed + 1);
    let per_push = STREAMS_OF_PUSH * LINES_OF_STREAM;
    let count = lines as u64 / per_push;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as i64;
    let mut text_bytes = 0;
    let pushes = (0..count)
        .map(|push| {
            // A push each 100 ms, up to now.
            let began = now - (count - push) as i64 * 100_000_000;
            let streams: Vec<(Stream, Vec<Entry>)> = (0..STREAMS_OF_PUSH)
                .map(|n| {
                    let stream = stream((push * STREAMS_OF_PUSH + n) % STREAMS);
                    let entries = (0..LINES_OF_STREAM)
                        .map(|i| {
                            let ts = began + i as i64 * 2_000_000 + random.below(1_000_000) as i64;
                            let mut line = String::new();
                            lines::line(stream.style, ts, &mut random, &mut line);
                            text_bytes += line.len();
                            let metadata = stream.pod.iter().map(|pod| ("pod", pod.clone()));
                            let trace = stream.pod.iter().map(|_| ("trace_id", format!("{:032x}", random.next())));
                            let metadata = metadata.chain(trace).collect();
                            Entry { ts, line, metadata }
                        })
                        .collect();
                    (stream, entries)
                })
                .collect();
            let (headers, body) = match form {
                Form::Proto => ("content-type: application/x-protobuf\r\n", proto(&streams)),
                Form::Json => ("content-type: application/json\r\ncontent-encoding: gzip\r\n", json(&streams)),
            };
            Push { path: "/loki/api/v1/push", headers, body }
        })
        .collect();
    (pushes, text_bytes)
}

fn varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn proto(streams: &[(Stream, Vec<Entry>)]) -> Vec<u8> {
    let mut message = Vec::new();
    for (stream, entries) in streams {
        let labels: Vec<String> = stream.labels.iter().map(|(n, v)| format!("{n}={v:?}")).collect();
        let mut one = Vec::new();
        field(&mut one, 1, format!("{{{}}}", labels.join(", ")).as_bytes());
        for entry in entries {
            let (mut ts, mut e) = (vec![0x08], Vec::new());
            varint(&mut ts, (entry.ts / 1_000_000_000) as u64);
            ts.push(0x10);
            varint(&mut ts, (entry.ts % 1_000_000_000) as u64);
            field(&mut e, 1, &ts);
            field(&mut e, 2, entry.line.as_bytes());
            for (name, value) in &entry.metadata {
                let mut pair = Vec::new();
                field(&mut pair, 1, name.as_bytes());
                field(&mut pair, 2, value.as_bytes());
                field(&mut e, 3, &pair);
            }
            field(&mut one, 2, &e);
        }
        field(&mut message, 1, &one);
    }
    snap::raw::Encoder::new().compress_vec(&message).unwrap()
}

fn json(streams: &[(Stream, Vec<Entry>)]) -> Vec<u8> {
    let object = |pairs: &[(&str, String)]| {
        let pairs: Vec<String> = pairs.iter().map(|(n, v)| format!("{n:?}:{v:?}")).collect();
        format!("{{{}}}", pairs.join(","))
    };
    let mut text = String::from("{\"streams\":[");
    for (n, (stream, entries)) in streams.iter().enumerate() {
        text.push_str(if n > 0 { "," } else { "" });
        let _ = write!(text, "{{\"stream\":{},\"values\":[", object(&stream.labels));
        for (i, entry) in entries.iter().enumerate() {
            text.push_str(if i > 0 { "," } else { "" });
            let line = serde_json::to_string(&entry.line).unwrap();
            let _ = write!(text, "[\"{}\",{line}", entry.ts);
            if !entry.metadata.is_empty() {
                let _ = write!(text, ",{}", object(&entry.metadata));
            }
            text.push(']');
        }
        text.push_str("]}");
    }
    text.push_str("]}");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(text.as_bytes()).unwrap();
    gzip.finish().unwrap()
}
