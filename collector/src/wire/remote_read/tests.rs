#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::wire::encode::{Samples, bytes, int, label, sample, snappy, varint};
use crate::wire::xor::tests::chunk as xor;

const ALL: Range = Range::new(Timestamp::MIN, Timestamp::MAX);

fn frame_of(message: &[u8]) -> Vec<u8> {
    [varint(message.len() as u64), crc32c::checksum(message).to_be_bytes().to_vec(), message.to_vec()].concat()
}

fn chunk_of(encoding: i64, data: &[u8]) -> Vec<u8> {
    bytes(2, [int(1, 0), int(2, 0), int(3, encoding), bytes(4, data)].concat())
}

fn series_of(fields: &[Vec<u8>]) -> Vec<u8> {
    bytes(1, fields.concat())
}

fn decoded(frames: &[u8], range: Range) -> (Samples, Counts) {
    let mut sink = Samples::default();
    let counts = decode_chunks(frames, range, &mut sink).unwrap();
    (sink, counts)
}

#[test]
fn frames_chunks_and_what_lies_beyond() {
    let one = xor(&[(1000, 1), (2000, 2), (3000, 3)]);
    let labels = [label("__name__", "up"), label("job", "a")].concat();
    let message = series_of(&[labels.clone(), chunk_of(1, &one), chunk_of(2, &[0, 7, 1]), chunk_of(3, &[0, 2])]);
    let frames =
        [frame_of(&message), frame_of(&[series_of(&[labels.clone(), chunk_of(1, &xor(&[(4000, 4)]))])].concat())];
    let (sink, counts) = decoded(&frames.concat(), Range::new(Timestamp(2_000_000_000), Timestamp(4_000_000_000)));
    assert_eq!(sink.series, [labels]);
    assert_eq!(sink.rows, [(0, 2_000_000_000, 2), (0, 3_000_000_000, 3)]);
    assert_eq!((counts.rows, counts.histograms), (2, 9));

    let mut sink = Samples { refuse: Some("job"), ..Samples::default() };
    decode_chunks(&frames.concat(), ALL, &mut sink).unwrap();
    assert_eq!((sink.rows.len(), sink.refused), (0, 4));
}

#[test]
fn labels_that_stand_apart_are_one_series() {
    let data = chunk_of(1, &xor(&[(1, 1)]));
    let apart = series_of(&[label("__name__", "up"), data, label("job", "a")]);
    let (sink, _) = decoded(&frame_of(&apart), ALL);
    assert_eq!(sink.series, [[label("__name__", "up"), label("job", "a")].concat()]);
}

#[test]
fn frames_are_told_apart_and_bounded() {
    let whole = frame_of(&series_of(&[label("a", "b")]));
    for cut in 0..whole.len() {
        assert_eq!(frame(&whole[..cut]).unwrap(), None, "{cut}");
    }
    assert_eq!(frame(&[whole.clone(), vec![1, 2]].concat()).unwrap(), Some(whole.len()));
    let large = varint(LARGEST_FRAME as u64 + 1);
    assert!(matches!(frame(&large), Err(DecodeError::TooLarge { .. })));
    assert!(matches!(frame(&[0xff; 9]), Ok(None)));
    frame(&[0xff; 10]).unwrap_err();
    let mut changed = whole.clone();
    *changed.last_mut().unwrap() ^= 1;
    for bad in [&whole[..whole.len() - 1], &changed] {
        decode_chunks(bad, ALL, &mut Samples::default()).unwrap_err();
    }
    let unknown = frame_of(&series_of(&[label("a", "b"), chunk_of(9, &[0, 0])]));
    let e = decode_chunks(&unknown, ALL, &mut Samples::default()).unwrap_err();
    assert!(e.to_string().contains("encoding 9"), "{e}");
}

#[test]
fn of_a_series_that_is_refused_the_rows_within_the_time_count() {
    let series = |job: &str| {
        let samples = [sample(1.0, 1000), sample(2.0, 2000), sample(3.0, 3000)].concat();
        bytes(1, [label("__name__", "up"), label("job", job), samples].concat())
    };
    let body = snappy(&bytes(1, [series("bad"), series("good")].concat()));
    let range = Range::new(Timestamp(2_000_000_000), Timestamp(3_000_000_000));
    let mut sink = Samples { refuse: Some("bad"), ..Samples::default() };
    decode_samples(&body, range, &mut Inflater::default(), &mut sink).unwrap();
    assert_eq!((sink.refused, sink.rows), (1, vec![(0, 2_000_000_000, 2.0f64.to_bits())]));
}

#[test]
fn a_response_of_samples_is_read_and_cut_to_the_time_as_well() {
    let one = [label("__name__", "up"), sample(1.0, 1000), sample(2.0, 2000)].concat();
    let body = snappy(&bytes(1, bytes(1, one)));
    let mut sink = Samples::default();
    let range = Range::new(Timestamp(2_000_000_000), Timestamp(2_000_000_001));
    decode_samples(&body, range, &mut Inflater::default(), &mut sink).unwrap();
    assert_eq!(sink.rows, [(0, 2_000_000_000, 2f64.to_bits())]);
}

#[test]
fn a_range_is_asked_for_in_whole_milliseconds() {
    assert_eq!(millis(Range::new(Timestamp(0), Timestamp(2_000_000))), (0, 1));
    assert_eq!(millis(Range::new(Timestamp(1), Timestamp(2_000_001))), (1, 2));
    assert_eq!(millis(Range::new(Timestamp(-1), Timestamp(0))), (0, -1));
}

/// What the real Prometheus streamed, against what it says of the same samples in JSON (fixtures/wire/README.md).
#[test]
fn what_the_real_prometheus_streamed_is_what_it_holds() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/wire");
    let frames = std::fs::read(dir.join("remote_read.frames")).unwrap();
    let said: Value = serde_json::from_slice(&std::fs::read(dir.join("remote_read.json")).unwrap()).unwrap();
    let (sink, counts) = decoded(&frames, ALL);
    let name = |raw: &[u8]| {
        let mut names = BTreeMap::new();
        let mut reader = Reader::new(raw);
        while let Some((_, value)) = reader.field().unwrap() {
            let mut pair = Reader::new(value.bytes("label").unwrap());
            let mut text = || {
                let value = pair.field().unwrap().unwrap().1;
                String::from_utf8(value.bytes("text").unwrap().to_vec()).unwrap()
            };
            names.insert(text(), text());
        }
        serde_json::to_string(&names).unwrap()
    };
    let (mut ours, mut stale) = (BTreeMap::<String, Vec<(i64, String)>>::new(), 0);
    for (series, ns, bits) in &sink.rows {
        if *bits == whyd_signals::sample::STALE_BITS {
            stale += 1;
            continue;
        }
        let value = f64::from_bits(*bits);
        let text = if value.is_infinite() {
            format!("{value:+}").to_uppercase().replace("INF", "Inf")
        } else {
            value.to_string()
        };
        ours.entry(name(&sink.series[*series as usize])).or_default().push((ns / 1_000_000, text));
    }
    let mut theirs = BTreeMap::new();
    for series in said["data"]["result"].as_array().unwrap() {
        let values = series["values"].as_array().unwrap().iter().map(|v| {
            let ms = (v[0].as_f64().unwrap() * 1000.0).round() as i64;
            let value = v[1].as_str().unwrap();
            (
                ms,
                value
                    .parse::<f64>()
                    .map_or(value.to_owned(), |f| if f.is_infinite() { value.to_owned() } else { f.to_string() }),
            )
        });
        let labels: BTreeMap<String, String> = serde_json::from_value(series["metric"].clone()).unwrap();
        theirs.insert(serde_json::to_string(&labels).unwrap(), values.collect::<Vec<_>>());
    }
    assert!(theirs.len() == 7 && counts.rows > 1300, "{} series, {} samples", theirs.len(), counts.rows);
    assert_eq!(stale, 1, "the stale marker that was written");
    assert_eq!(ours, theirs);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = frame(&body);
        let _ = decode_chunks(&body, ALL, &mut Samples::default());
        let _ = decode_chunks(&frame_of(&body), ALL, &mut Samples::default());
        let _ = decode_chunks(&frame_of(&bytes(1, bytes(2, bytes(4, &body)))), ALL, &mut Samples::default());
        let _ = decode_samples(&snappy(&body), ALL, &mut Inflater::default(), &mut Samples::default());
        let _ = decode_samples(&body, ALL, &mut Inflater::default(), &mut Samples::default());
    }
}
