#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use proptest::prelude::*;
use whyd_signals::sample::STALE_BITS;

use super::*;
use crate::wire::encode::{Samples, bytes, double, int, label, request, sample, snappy};
use crate::wire::snappy;

const SNAPPY: Compression = Compression::Snappy;

const CAPTURED: &[u8] = include_bytes!("../../../../fixtures/wire/remote_write1.snappy");

fn read(body: &[u8]) -> (Result<Counts, DecodeError>, Samples) {
    let mut sink = Samples::default();
    (decode(body, SNAPPY, &mut Inflater::default(), &mut sink), sink)
}

fn check(series: &[&[Vec<u8>]], expected: Counts, rows: &[(u32, i64, u64)]) -> Samples {
    let (counts, sink) = read(&snappy(&request(series)));
    assert_eq!(counts.unwrap(), expected);
    assert_eq!(sink.rows, rows);
    sink
}

fn rows(rows: u64) -> Counts {
    Counts { rows, ..Counts::default() }
}

#[test]
fn milliseconds_become_nanoseconds_and_values_keep_their_bits() {
    let up = [label("__name__", "up"), label("job", "a")].concat();
    let odd_nan = f64::from_bits(0x7ff8_0000_0000_0001);
    let sink = check(
        &[
            &[up.clone(), sample(1.5, 1_700_000_000_123), sample(f64::from_bits(STALE_BITS), -1)],
            &[label("__name__", "x"), sample(odd_nan, 0)],
        ],
        rows(3),
        &[(0, 1_700_000_000_123_000_000, 1.5f64.to_bits()), (0, -1_000_000, STALE_BITS), (1, 0, 0x7ff8_0000_0000_0001)],
    );
    assert_eq!(sink.series, [up, label("__name__", "x")]);
}

#[test]
fn zero_fields_may_be_left_out() {
    let name = label("__name__", "x");
    check(&[&[name.clone(), bytes(2, [])], &[name, bytes(2, int(2, 1))]], rows(2), &[(0, 0, 0), (0, 1_000_000, 0)]);
}

#[test]
fn labels_reach_the_sink_in_one_piece_wherever_they_lie() {
    let (a, b) = (label("__name__", "x"), label("job", "a"));
    let whole = [a.clone(), b.clone()].concat();
    let one = (0, 1_000_000, 1f64.to_bits());
    for fields in [
        [a.clone(), b.clone(), sample(1.0, 1)],
        [a.clone(), sample(1.0, 1), b.clone()],
        [sample(1.0, 1), a.clone(), b.clone()],
    ] {
        let sink = check(&[&fields], rows(1), &[one]);
        assert_eq!(sink.series, std::slice::from_ref(&whole));
    }
    let sink = check(&[&[a, int(9, 7), b, sample(1.0, 1)]], rows(1), &[one]);
    assert_eq!(sink.series, [whole]);
}

#[test]
fn what_is_expected_and_what_comes_are_told_apart() {
    let (a, b) = (label("__name__", "x"), label("job", "a"));
    let sent = sample(-2.5, 1_700_000_000_123);
    let cases = [
        vec![a.clone(), sent.clone()],
        // from here on the first is expected
        vec![a.clone(), sent.clone()],
        vec![a.clone(), sample(1.0, 0)],
        vec![a.clone(), sample(1.0, i64::from(u32::MAX))],
        vec![a.clone(), sample(1.0, -1)],
        vec![a.clone(), b.clone(), sent.clone()],
        vec![a.clone(), sent.clone(), b.clone()],
        vec![a.clone(), sent.clone(), sent.clone()],
        vec![a.clone(), bytes(2, [int(2, 5), double(1, 1.0)].concat())],
        vec![a.clone(), bytes(2, [double(1, 1.0), int(2, 5), int(3, 5)].concat())],
        vec![a.clone(), sent.clone(), bytes(3, double(2, 1.0))],
        vec![a.clone()],
    ];
    let body = request(&cases.each_ref().map(Vec::as_slice));
    let read = |expects: bool| {
        let mut sink = Samples { expects, ..Samples::default() };
        let counts = decode_message(&body, &mut sink).unwrap();
        (counts, sink)
    };
    let ((counts, sink), (expected, plain)) = (read(true), read(false));
    assert_eq!((counts, &sink.rows, &sink.series), (expected, &plain.rows, &plain.series));
    assert_eq!((plain.came, sink.came, sink.rows.len()), (0, 3, 12));
    let broken = [a.clone(), vec![0x12, 11, 0x09, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0x80]];
    let body = request(&[&[a, sent], &broken]);
    assert!(decode_message(&body, &mut Samples { expects: true, ..Samples::default() }).is_err());
}

#[test]
fn what_is_found_ahead_is_handed_over_in_its_turn() {
    let names: Vec<Vec<u8>> = (0..50).map(|n| label("__name__", &format!("m{}", n % 20))).collect();
    let fields: Vec<Vec<Vec<u8>>> = (0..50)
        .map(|n| match n {
            // Two samples, a label behind the sample, none: these are not as usual.
            23 => vec![names[n].clone(), sample(1.0, 1), sample(2.0, 2)],
            31 => vec![names[n].clone(), sample(3.0, 3), label("job", "a")],
            40 => vec![names[n].clone()],
            _ => vec![names[n].clone(), sample(n as f64, n as i64)],
        })
        .collect();
    let series: Vec<&[Vec<u8>]> = fields.iter().map(Vec::as_slice).collect();
    let body = request(&series);
    let read = |has_no_order| {
        let mut sink = Samples { has_no_order, ..Samples::default() };
        (decode_message(&body, &mut sink).unwrap(), sink)
    };
    let ((counts, sink), (expected, plain)) = (read(true), read(false));
    assert_eq!((counts, &sink.rows, &sink.series), (expected, &plain.rows, &plain.series));
    assert!(sink.found >= 10 && plain.found == 0, "{}", sink.found);
    // Broken behind a series that was found: all before it was handed over once, and the fault is told.
    let cut = body.get(..body.len() - 1).unwrap();
    let (mut found, mut plain) = (Samples { has_no_order: true, ..Samples::default() }, Samples::default());
    assert_eq!(decode_message(cut, &mut found), decode_message(cut, &mut plain));
    assert_eq!(found.rows, plain.rows);
}

#[test]
fn what_is_not_kept_is_counted() {
    let exemplar = bytes(3, [double(2, 1.0), int(3, 5)].concat());
    let histogram = bytes(4, int(15, 5));
    let metadata = bytes(3, bytes(2, "up"));
    let series = [label("__name__", "x"), sample(1.0, 1), exemplar, histogram.clone(), histogram];
    let body = snappy(&[request(&[&series]), metadata].concat());
    let (counts, sink) = read(&body);
    assert_eq!(counts.unwrap(), Counts { histograms: 2, exemplars: 1, ..rows(1) });
    assert_eq!(sink.rows.len(), 1);
    // a series of histograms alone is not even looked up
    let sink = check(&[&[label("__name__", "h"), bytes(4, [])]], Counts { histograms: 1, ..rows(0) }, &[]);
    assert!(sink.series.is_empty());
}

#[test]
fn samples_of_a_refused_series_are_counted_and_the_others_kept() {
    let mut sink = Samples { refuse: Some("bad"), ..Samples::default() };
    let bad = [label("__name__", "bad"), sample(1.0, 1), sample(2.0, 2)];
    let body = snappy(&request(&[&bad, &[label("__name__", "good"), sample(1.0, 1)]]));
    assert_eq!(decode(&body, SNAPPY, &mut Inflater::default(), &mut sink).unwrap().rows, 3);
    assert_eq!((sink.refused, sink.rows.len()), (2, 1));
}

#[test]
fn histograms_of_a_refused_series_are_not_written() {
    let (histogram, exemplar) = (bytes(4, int(15, 5)), bytes(3, int(3, 5)));
    for (name, more, expected) in [
        ("good", vec![], Counts { histograms: 1, exemplars: 1, ..rows(0) }),
        ("bad", vec![], Counts { invalid_histograms: 1, ..rows(0) }),
        ("good", vec![sample(1.0, 1)], Counts { histograms: 1, exemplars: 1, ..rows(1) }),
        ("bad", vec![sample(1.0, 1)], Counts { invalid_histograms: 1, ..rows(1) }),
    ] {
        let mut sink = Samples { refuse: Some("bad"), ..Samples::default() };
        let series = [vec![label("__name__", name), histogram.clone(), exemplar.clone()], more].concat();
        let body = snappy(&request(&[&series]));
        assert_eq!(decode(&body, SNAPPY, &mut Inflater::default(), &mut sink).unwrap(), expected, "{name}");
    }
}

#[test]
fn exemplars_of_a_refused_series_are_not_written() {
    let mut sink = Samples { refuse: Some("bad"), ..Samples::default() };
    let exemplar = bytes(3, double(2, 1.0));
    let bad = [label("__name__", "bad"), sample(1.0, 1), exemplar.clone()];
    let body = snappy(&request(&[&bad, &[label("__name__", "good"), sample(1.0, 1), exemplar]]));
    let counts = decode(&body, SNAPPY, &mut Inflater::default(), &mut sink).unwrap();
    assert_eq!(counts, Counts { exemplars: 1, ..rows(2) });
}

#[test]
fn zstd_holds_the_same() {
    let message = request(&[&[label("__name__", "x"), sample(1.0, 1)]]);
    let body = zstd::bulk::compress(&message, 3).unwrap();
    let mut sink = Samples::default();
    decode(&body, Compression::Zstd, &mut Inflater::default(), &mut sink).unwrap();
    assert_eq!(sink.rows, [(0, 1_000_000, 1f64.to_bits())]);
    assert!(decode(&body, SNAPPY, &mut Inflater::default(), &mut sink).is_err());
}

#[test]
fn a_fault_is_named() {
    for (fields, expected) in [
        (vec![int(1, 1)], "labels"),
        (vec![int(2, 1)], "samples"),
        (vec![label("a", "b"), bytes(2, int(1, 1))], "value"),
        (vec![label("a", "b"), bytes(2, double(2, 1.0))], "timestamp"),
    ] {
        let (counts, _) = read(&snappy(&request(&[&fields])));
        let error = counts.unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains('\n'), "{error}");
    }
    // also where the series was refused, so that a body does not change its answer with the sink
    let mut sink = Samples { refuse: Some("bad"), ..Samples::default() };
    let body = snappy(&request(&[&[label("a", "bad"), bytes(2, int(1, 1))]]));
    assert!(decode(&body, SNAPPY, &mut Inflater::default(), &mut sink).is_err());
}

#[test]
fn a_time_that_cannot_be_held_is_refused_by_itself() {
    let far = i64::MAX / 1_000_000 + 1;
    let fields = [label("__name__", "x"), sample(1.0, 1), sample(2.0, far), sample(3.0, i64::MIN), sample(4.0, 2)];
    let (counts, sink) = read(&snappy(&request(&[&fields])));
    assert_eq!(counts.unwrap(), rows(4));
    assert_eq!(sink.rows.iter().map(|r| r.1).collect::<Vec<_>>(), [1_000_000, 2_000_000]);
    assert_eq!(sink.refused, 2);
}

#[test]
fn reads_what_prometheus_sent() {
    let (counts, sink) = read(CAPTURED);
    assert_eq!(counts.unwrap(), rows(104));
    // figures of an independent decoder
    assert_eq!(sink.series.len(), 104);
    assert_eq!(sink.rows[0], (0, 1_795_354_607_618_000_000, 0.02492956f64.to_bits()));
    assert_eq!(sink.rows[103], (103, 1_795_354_608_169_000_000, 138f64.to_bits()));
    assert_eq!(sink.rows.iter().map(|r| r.1 / 1_000_000).sum::<i64>(), 186_716_879_087_424);
    assert!(sink.series[0].starts_with(&label("__name__", "container_cpu_usage_seconds_total")));
}

#[test]
fn the_scratch_is_used_again() {
    let mut inflater = Inflater::default();
    decode(CAPTURED, SNAPPY, &mut inflater, &mut Samples::default()).unwrap();
    let grown = inflater.buffer().capacity();
    let small = snappy(&request(&[&[label("a", "b"), sample(1.0, 1)]]));
    let mut sink = Samples::default();
    decode(&small, SNAPPY, &mut inflater, &mut sink).unwrap();
    assert_eq!((inflater.buffer().capacity(), sink.series), (grown, vec![label("a", "b")]));
}

#[test]
fn truncation_at_every_byte_never_panics() {
    for end in 0..CAPTURED.len() {
        assert!(read(&CAPTURED[..end]).0.is_err(), "{end}");
    }
    let message = request(&[&[label("__name__", "x"), sample(1.0, 1)], &[label("__name__", "y"), sample(2.0, 2)]]);
    let whole_series = message.len() / 2;
    for end in 0..message.len() {
        let result = decode_message(&message[..end], &mut Samples::default());
        assert_eq!(result.is_ok(), end == 0 || end == whole_series, "{end}");
    }
}

#[test]
fn a_flipped_bit_never_panics() {
    let mut scratch = Vec::new();
    let message = snappy::inflate(CAPTURED, snappy::DEFAULT_LIMIT, &mut scratch).unwrap();
    for at in 0..2000 {
        for bit in 0..8 {
            let mut broken = message[..2000].to_vec();
            broken[at] ^= 1 << bit;
            let _ = decode_message(&broken, &mut Samples::default());
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&body);
        let mut sink = Samples::default();
        let counts = decode_message(&body, &mut sink);
        prop_assert!(counts.is_err() || counts.unwrap().rows == sink.rows.len() as u64);
    }

    #[test]
    fn what_is_written_is_read(series in proptest::collection::vec((".{1,12}", any::<u64>(), -9_000_000_000_000i64..9_000_000_000_000), 0..20)) {
        let fields: Vec<[Vec<u8>; 2]> =
            series.iter().map(|(name, bits, ms)| [label("__name__", name), sample(f64::from_bits(*bits), *ms)]).collect();
        let series_fields: Vec<&[Vec<u8>]> = fields.iter().map(<[_; 2]>::as_slice).collect();
        let (counts, sink) = read(&snappy(&request(&series_fields)));
        prop_assert_eq!(counts.unwrap().rows, series.len() as u64);
        for ((name, bits, ms), (id, ts, value)) in series.iter().zip(&sink.rows) {
            prop_assert_eq!((*ts, *value), (*ms * 1_000_000, *bits));
            prop_assert_eq!(&sink.series[*id as usize], &label("__name__", name));
        }
    }
}
