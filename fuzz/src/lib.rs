//! Any bytes into each decoder that a listener or a source that is asked feeds, and behind it into the product's own
//! buffers: `cargo +nightly fuzz run remote_write2 -- -max_total_time=600`, from the root of the repository.
//!
//! Beside what the fuzzer looks for itself, a panic or an overrun, each target holds that a body which is malformed leaves
//! nothing behind, and that what is read twice is the same both times.

use std::collections::BTreeMap;

use bytes::Bytes;
use whyd_anomaly::templates::{Limits as TreeLimits, Miner};
use whyd_buffers::{Limits, Stats, Writer};
use whyd_collector::wire;
use whyd_collector::wire::asked::{Asked, Target};
use whyd_signals::sink::{Counts, DecodeError};
use whyd_signals::{Compression, Range, Resource, Timestamp, Verb};

const NOW: Timestamp = Timestamp(1_795_341_600_000_000_000);

fn writer() -> Writer {
    let limits = Limits { bytes: 64 << 20, series: 10_000, series_of_team: 5_000, streams: 10_000, ..Limits::default() };
    Writer::new(limits, Box::new(Miner::new(TreeLimits { bytes: 1 << 20, ..TreeLimits::default() })))
}

/// Feeds bodies to one writer, one after another, and looks at what each leaves.
fn feed<'b>(bodies: impl Iterator<Item = &'b [u8]>, mut decode: impl FnMut(&[u8], &mut Writer) -> Result<Counts, DecodeError>) {
    let mut writer = writer();
    for body in bodies {
        let before = writer.stats();
        writer.begin(NOW, None);
        match decode(body, &mut writer) {
            Ok(counts) => {
                let staged = writer.stage();
                let refused: u64 = staged.refused.values().sum();
                assert!(staged.stored + staged.repeated + staged.deduplicated + refused >= counts.rows);
                writer.publish(staged.mark);
            }
            Err(error) => {
                assert!(!error.to_string().contains('\n'), "{error}");
                writer.rollback();
                let after = writer.stats();
                let held = |s: &Stats| (s.samples, s.series, s.streams, s.namespaces, s.alerts, s.bytes.clone());
                assert_eq!(held(&before), held(&after));
            }
        }
    }
}

/// The bytes in as many bodies as their first byte says, so that a decoder that learns from one to the next is met as well.
fn parts(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (count, rest) = bytes.split_first().map_or((1, bytes), |(n, rest)| (usize::from(n % 4) + 1, rest));
    rest.chunks(rest.len().div_ceil(count).max(1))
}

/// Each body three times: the second is repeated, and the third is expected.
fn thrice(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    parts(bytes).flat_map(|part| [part; 3])
}

/// Messages of remote write 1.0, inflated.
pub fn remote_write1(bytes: &[u8]) {
    feed(thrice(bytes), |body, writer| wire::remote_write1::decode_message(body, writer));
}

/// Messages of remote write 2.0, inflated, with what is known from one to the next, and how little that may be.
pub fn remote_write2(bytes: &[u8]) {
    for known in [1 << 20, 500] {
        let mut scratch = wire::remote_write2::Scratch::new(known);
        feed(thrice(bytes), |body, writer| wire::remote_write2::decode_message(body, &mut scratch, writer));
    }
}

/// Loki's protobuf, inflated.
pub fn loki_proto(bytes: &[u8]) {
    feed(parts(bytes), |body, writer| wire::loki::decode_message(body, writer));
}

/// Loki's JSON.
pub fn loki_json(bytes: &[u8]) {
    feed(parts(bytes), |body, writer| wire::loki::decode_json(body, writer));
}

/// OTLP metrics in protobuf.
pub fn otlp_metrics_proto(bytes: &[u8]) {
    feed(parts(bytes), |body, writer| wire::otlp::decode_metrics_proto(body, writer));
}

/// OTLP metrics in JSON.
pub fn otlp_metrics_json(bytes: &[u8]) {
    feed(parts(bytes), |body, writer| wire::otlp::decode_metrics_json(body, writer));
}

/// OTLP logs in protobuf.
pub fn otlp_logs_proto(bytes: &[u8]) {
    feed(parts(bytes), |body, writer| wire::otlp::decode_logs_proto(body, writer));
}

/// OTLP logs in JSON.
pub fn otlp_logs_json(bytes: &[u8]) {
    feed(parts(bytes), |body, writer| wire::otlp::decode_logs_json(body, writer));
}

/// What an Alertmanager notifies.
pub fn webhook(bytes: &[u8]) {
    feed(parts(bytes), |body, writer| wire::webhook::decode(body, writer));
}

/// Objects of the API server as they come, as they are kept, and the lines of a watch. The first byte is the resource.
pub fn kubernetes(bytes: &[u8]) {
    let Some((which, body)) = bytes.split_first() else { return };
    let resource = Resource::ALL[usize::from(*which) % Resource::ALL.len()];
    let _ = wire::kube::watch_line(resource, NOW, body);
    let _ = wire::kube::list(resource, NOW, &[body]);
    let _ = wire::kube::listed_uids(body);
    let _ = wire::kube::decode(resource, Verb::Apply, body);
    if let Ok(slim) = wire::kube::slim(resource, body) {
        let again = wire::kube::slim(resource, &slim).expect("what was slimmed is an object");
        assert_eq!(slim, again);
        let _ = wire::kube::decode(resource, Verb::Apply, &slim);
    }
}

/// Of an answer to a question: the question and what follows it.
fn pulled(bytes: &[u8], decode: impl Fn(&Asked, &[u8], &mut Writer) -> Result<Counts, DecodeError>) {
    let of = Target { source: "main".into(), tenant: None };
    let asked = Asked { of, range: Range::new(Timestamp(0), NOW), whole: true, labels: BTreeMap::new() };
    let whole = [&asked.line()[..], bytes].concat();
    for body in [&whole[..], bytes] {
        feed([body].into_iter(), |body, writer| {
            let (asked, answer) = Asked::split(body)?;
            decode(&asked, answer, writer)
        });
    }
}

/// Frames of a streamed remote read.
pub fn pulled_chunks(bytes: &[u8]) {
    let _ = wire::remote_read::frame(bytes);
    let _ = wire::xor::count(bytes);
    let _ = wire::xor::decode(bytes, |_, _| {});
    pulled(bytes, |asked, answer, writer| wire::remote_read::decode_chunks(answer, asked.range, writer));
}

/// A remote read that is not streamed.
pub fn pulled_samples(bytes: &[u8]) {
    pulled(bytes, |asked, answer, writer| {
        wire::remote_read::decode_samples(answer, asked.range, &mut wire::inflate::Inflater::default(), writer)
    });
}

/// An answer of `query_range` of Prometheus.
pub fn pulled_matrix(bytes: &[u8]) {
    pulled(bytes, |asked, answer, writer| wire::query_range::decode(answer, asked.range, &asked.labels, writer));
}

/// An answer of `query_range` of Loki.
pub fn pulled_streams(bytes: &[u8]) {
    let _ = wire::loki::page(bytes);
    pulled(bytes, |_, answer, writer| wire::loki::decode_query(answer, writer));
}

/// Every compression.
pub fn compressed(bytes: &[u8]) {
    const LIMIT: usize = 1 << 20;
    for compression in [Compression::Snappy, Compression::Zstd] {
        let _ = wire::inflate::decoded_len(bytes, compression, LIMIT);
        let _ = wire::inflate::Inflater::default().inflate(bytes, compression);
    }
    if let Ok(all) = wire::gzip::inflate(Bytes::copy_from_slice(bytes), LIMIT) {
        assert!(all.len() <= LIMIT);
    }
}
