#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use proptest::prelude::*;
use whyd_signals::sample::STALE_BITS;

use super::*;
use crate::wire::encode::{Samples, Write2, bytes, double, int, label, request, sample, snappy, varint};
use crate::wire::remote_write1;

type Labels<'a> = &'a [(&'a str, &'a str)];

fn read(message: &[u8]) -> (Result<Counts, DecodeError>, Samples) {
    let mut sink = Samples::default();
    (decode_message(message, &mut scratch(), &mut sink), sink)
}

fn scratch() -> Scratch {
    Scratch::new(1 << 20)
}

fn one(labels: Labels<'_>) -> Vec<u8> {
    Write2::new().series(labels, &[sample(1.0, 1)]).message()
}

fn labels(all: Labels<'_>) -> Vec<u8> {
    all.iter().flat_map(|(k, v)| label(k, v)).collect()
}

#[test]
fn a_series_reaches_the_sink_as_in_version_one() {
    let up = [("__name__", "up"), ("job", "a")];
    let message = Write2::new()
        .series(&up, &[sample(1.5, 1_700_000_000_123), sample(f64::from_bits(STALE_BITS), -1)])
        .series(&[("__name__", "x")], &[bytes(2, [])])
        .message();
    let (counts, sink) = read(&message);
    assert_eq!(counts.unwrap(), Counts { rows: 3, ..Counts::default() });
    assert_eq!(sink.series, [labels(&up), label("__name__", "x")]);
    let expected = [(0, 1_700_000_000_123_000_000, 1.5f64.to_bits()), (0, -1_000_000, STALE_BITS), (1, 0, 0)];
    assert_eq!(sink.rows, expected);
}

#[test]
fn both_compressions_hold_the_same() {
    let message = one(&[("__name__", "up")]);
    for (compression, body) in
        [(Compression::Snappy, snappy(&message)), (Compression::Zstd, zstd::bulk::compress(&message, 1).unwrap())]
    {
        let mut sink = Samples::default();
        decode(&body, compression, &mut Inflater::default(), &mut scratch(), &mut sink).unwrap();
        assert_eq!(sink.rows.len(), 1);
    }
}

#[test]
fn labels_that_change_anywhere_are_rendered_anew() {
    let long = "x".repeat(200);
    let all: [Labels<'_>; 10] = [
        &[("__name__", "a"), ("job", "j"), ("pod", "p1"), ("zone", "z")],
        &[("__name__", "a"), ("job", "j"), ("pod", "p2"), ("zone", "z")],
        &[("__name__", "longer"), ("job", "j"), ("pod", "p2"), ("zone", "z")],
        &[("__name__", "b"), ("job", "j"), ("pod", &long), ("zone", "z")],
        &[("__name__", "b"), ("zone", "z")],
        &[("__name__", "b"), ("le", "0.5"), ("zone", "z")],
        &[("__name__", "b"), ("le", "0.5"), ("zone", "z"), ("zone", "z")],
        &[("__name__", "b"), ("le", "0.5"), ("zone", "z")],
        &[("zone", "z")],
        &[("__name__", "b"), ("zone", "z")],
    ];
    let message = all.iter().fold(Write2::new(), |w, l| w.series(l, &[sample(1.0, 1)])).message();
    let (counts, sink) = read(&message);
    assert_eq!(counts.unwrap().rows, 10);
    let seen: Vec<&Vec<u8>> = sink.rows.iter().map(|(id, ..)| &sink.series[*id as usize]).collect();
    for (n, (seen, expected)) in seen.iter().zip(all).enumerate() {
        assert_eq!(**seen, labels(expected), "series {n}");
    }
}

#[test]
fn references_mean_something_within_their_body_alone() {
    let mut scratch = scratch();
    let mut sink = Samples::default();
    for name in ["up", "dn", "other"] {
        decode_message(&one(&[("__name__", name), ("job", "j")]), &mut scratch, &mut sink).unwrap();
    }
    let expected = ["up", "dn", "other"].map(|name| labels(&[("__name__", name), ("job", "j")]));
    assert_eq!(sink.series, expected);
}

/// Series with these names, in order, a pod for every three, in one body, behind so many other symbols.
fn body(before: usize, names: &[usize], ms: i64, more: &dyn Fn(usize) -> Vec<Vec<u8>>) -> Vec<u8> {
    let one = |w: Write2, n: &usize| {
        let (name, pod) = (format!("m{}", n % 3), format!("pod-{}", n / 3));
        let fields = [vec![sample(*n as f64, ms)], more(*n)].concat();
        w.series(&[("__name__", name.as_str()), ("job", "j"), ("pod", pod.as_str())], &fields)
    };
    let mut begun = Write2::new();
    begun.symbols.extend((0..before).map(|n| format!("symbol {n}")));
    names.iter().fold(begun, one).message()
}

#[test]
fn what_is_expected_is_told_by_its_references_alone() {
    let mut scratch = scratch();
    let mut sink = Samples { expects: true, ..Samples::default() };
    let all: Vec<usize> = (0..600).collect();
    let mut send = |before, names: &[usize], ms, more: &dyn Fn(usize) -> Vec<Vec<u8>>| {
        sink.rows.clear();
        sink.came = 0;
        let counts = decode_message(&body(before, names, ms, more), &mut scratch, &mut sink).unwrap();
        let expected: Vec<_> = names.iter().map(|n| (*n as u32, ms * 1_000_000, (*n as f64).to_bits())).collect();
        assert_eq!((counts.rows, &sink.rows), (names.len() as u64, &expected));
        sink.lasting = sink.series.len();
        (sink.came, scratch.bytes())
    };
    let none = |_: usize| Vec::new();
    // New, there for good and learnt, known. Nothing is learnt of what may be taken back.
    assert_eq!(send(0, &all, 1, &none), (0, 0));
    assert_eq!(send(0, &all, 2, &none).0, 0);
    let (came, held) = send(0, &all, 3, &none);
    assert_eq!(came, 600);
    assert!((6_000..80_000).contains(&held), "{held}");
    // Other symbols come before, so that all references are others, of two bytes and of three.
    assert_eq!(send(500, &all[200..], 4, &none).0, 399);
    assert_eq!(send(17_000, &all[200..], 5, &none).0, 399);
    let traces = |n: usize| vec![bytes(4, bytes(1, [varint(n as u64 % 200), varint(1)].concat()))];
    assert_eq!(send(0, &all, 6, &traces).0, 0, "what has exemplars is read as a whole");
    let metadata = |_: usize| vec![bytes(5, [int(1, 1), int(3, 1)].concat())];
    assert_eq!(send(0, &all, 7, &metadata).0, 600);
    // Another order is told by the text.
    let turned: Vec<usize> = all.iter().rev().copied().collect();
    assert_eq!(send(0, &turned, 8, &none).0, 0);
    assert_eq!(send(0, &all, 9, &none), (599, held));
    let wrong = |_: usize| vec![bytes(5, int(3, 99_999))];
    assert!(decode_message(&body(0, &all, 10, &wrong), &mut scratch, &mut sink).is_err());
}

#[test]
fn labels_that_begin_like_what_is_expected_are_others() {
    let (a, longer, shorter) =
        ([("__name__", "a"), ("b", "c")], [("__name__", "a"), ("b", "c"), ("d", "e")], [("__name__", "a")]);
    let (mut scratch, mut sink) = (scratch(), Samples { expects: true, ..Samples::default() });
    for _ in 0..3 {
        decode_message(&one(&a), &mut scratch, &mut sink).unwrap();
        sink.lasting = 1;
    }
    assert_eq!((sink.came, sink.series.len()), (1, 1));
    decode_message(&one(&longer), &mut scratch, &mut sink).unwrap();
    sink.last = 0;
    decode_message(&one(&shorter), &mut scratch, &mut sink).unwrap();
    assert_eq!(sink.series, [labels(&a), labels(&longer), labels(&shorter)]);
}

#[test]
fn what_is_known_is_bounded_and_gives_way_to_what_comes() {
    let mut scratch = Scratch::new(20_000);
    let mut sink = Samples { expects: true, ..Samples::default() };
    let none = |_: usize| Vec::new();
    for round in 0..40 {
        // First some series, then others for good.
        let names: Vec<usize> = if round < 5 { (0..200).collect() } else { (10_000..10_200).collect() };
        sink.came = 0;
        decode_message(&body(0, &names, round, &none), &mut scratch, &mut sink).unwrap();
        sink.lasting = sink.series.len();
        assert!(scratch.bytes() < 30_000, "{}", scratch.bytes());
    }
    assert!(scratch.forgotten() > 0);
    assert!(sink.came > 50, "{}", sink.came);
}

#[test]
fn symbols_may_come_last_and_references_in_pieces() {
    let mut w = Write2::new();
    let (name, up) = (w.reference("__name__"), w.reference("up"));
    let pieces = [varint(1 << 3), varint(name), sample(1.0, 1), bytes(1, varint(up))];
    let whole = w.raw_series(&pieces);
    let symbols: usize = whole.symbols.iter().map(|s| 2 + s.len()).sum();
    let message = whole.message();
    let turned = [&message[symbols..], &message[..symbols]].concat();
    for message in [message, turned] {
        let (counts, sink) = read(&message);
        assert_eq!((counts.unwrap().rows, sink.series), (1, vec![label("__name__", "up")]));
    }
}

#[test]
fn what_is_not_kept_is_counted() {
    let mut w = Write2::new();
    let trace = w.refs(&[("trace_id", "abc")]);
    let exemplar = bytes(4, [trace, double(2, 1.0), int(3, 5)].concat());
    let metadata = bytes(5, [int(1, 1), int(3, w.reference("help").cast_signed()), int(4, 0)].concat());
    // A start time of each sample, as from 3.8 on, and one of the series, as before.
    let started = bytes(2, [double(1, 1.0), int(2, 1), int(3, 1)].concat());
    let (float, custom) = (bytes(3, double(2, 5.0)), bytes(3, int(4, 105)));
    let up = [("__name__", "up")];
    let message = w
        .series(&up, &[started, exemplar.clone(), metadata.clone(), int(6, 5)])
        .series(&up, &[float, custom, exemplar, metadata])
        .series(&up, &[bytes(3, int(1, 5))])
        .message();
    let (counts, sink) = read(&message);
    let expected = Counts { rows: 1, histograms: 2, exemplars: 2, invalid_histograms: 1, ..Counts::default() };
    assert_eq!((counts.unwrap(), sink.rows.len()), (expected, 1));
}

#[test]
fn a_message_of_the_other_version_is_told_apart() {
    let other = request(&[&[label("__name__", "up"), sample(1.0, 1)]]);
    assert!(read(&other).0.unwrap_err().to_string().contains("a message of 1.0"));
    assert_eq!(read(&[]).0.unwrap(), Counts::default());
}

#[test]
fn a_refused_series_takes_its_samples_and_exemplars_with_it() {
    let mut sink = Samples { refuse: Some("bad"), ..Samples::default() };
    let (exemplar, histogram) = (bytes(4, double(2, 1.0)), bytes(3, int(4, 105)));
    let message = Write2::new()
        .series(&[("__name__", "bad")], &[sample(1.0, 1), sample(2.0, 2), exemplar.clone(), histogram.clone()])
        .series(&[("__name__", "bad")], &[exemplar.clone(), histogram.clone()])
        .series(&[("__name__", "good")], &[sample(1.0, 1), exemplar, histogram])
        .message();
    let counts = decode_message(&message, &mut scratch(), &mut sink).unwrap();
    let expected = Counts { rows: 3, exemplars: 1, histograms: 1, invalid_histograms: 2, ..Counts::default() };
    assert_eq!(counts, expected);
    assert_eq!((sink.refused, sink.rows.len()), (2, 1));
}

#[test]
fn a_fault_is_named() {
    let w = Write2::new;
    let refs = |all: &[u64]| bytes(1, all.iter().flat_map(|n| varint(*n)).collect::<Vec<u8>>());
    let series = |fields: &[Vec<u8>]| w().raw_series(fields).message();
    let padded =
        [bytes(4, ""), vec![4 << 3 | 2, 0x82, 0x00, b'u', b'p'], bytes(5, [refs(&[0, 0]), sample(1.0, 1)].concat())]
            .concat();
    for (message, expected) in [
        (series(&[refs(&[0, 1]), sample(1.0, 1)]), "symbol 1 of 1"),
        (series(&[refs(&[0, u64::from(u32::MAX) + 1]), sample(1.0, 1)]), "symbol 4294967296"),
        (series(&[refs(&[0]), sample(1.0, 1)]), "without a value"),
        (series(&[refs(&[0])]), "without a value"),
        (series(&[bytes(4, refs(&[0]))]), "without a value"),
        (series(&[bytes(4, refs(&[0, 9]))]), "symbol 9"),
        (series(&[bytes(5, int(3, 9))]), "symbol 9"),
        (series(&[bytes(5, int(4, -1))]), "symbol"),
        (series(&[bytes(1, [0x80])]), "ends within"),
        (series(&[double(1, 0.0)]), "labels_refs"),
        (series(&[refs(&[0, 0]), int(2, 1)]), "samples"),
        (series(&[int(3, 1)]), "histograms"),
        (series(&[int(4, 1)]), "exemplars"),
        (series(&[int(5, 1)]), "metadata"),
        (bytes(5, sample(1.0, 1)), "do not begin"),
        (bytes(4, "up"), "do not begin"),
        (int(4, 1), "symbols"),
        (int(5, 1), "timeseries"),
        (padded, "padded"),
    ] {
        let error = read(&message).0.unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains('\n'), "{expected}: {error}");
    }
}

#[test]
fn a_body_of_2_read_as_1_holds_nothing() {
    let mut sink = Samples::default();
    let counts = remote_write1::decode_message(&one(&[("__name__", "x")]), &mut sink);
    assert_eq!((counts, sink.rows.len()), (Ok(Counts::default()), 0));
}

#[test]
fn small_bodies_that_mean_much_are_bounded() {
    // One label of a megabyte is one too long; the other series is kept.
    let long = "x".repeat(1 << 20);
    let message = Write2::new()
        .series(&[("__name__", &long)], &[sample(1.0, 1)])
        .series(&[("__name__", "x")], &[sample(1.0, 1)])
        .message();
    let (counts, sink) = read(&message);
    assert_eq!((counts.unwrap().rows, sink.refused, sink.rows.len()), (2, 1, 1));
    // Ten thousand references to half of one.
    let (a, b) = ("a".repeat(1 << 19), "b".repeat(1 << 19));
    let many = (0..10_000)
        .fold(Write2::new(), |w, n| w.series(&[("__name__", if n % 2 == 0 { &a } else { &b })], &[sample(1.0, 1)]));
    let mut sink = Nothing;
    let error = decode_message(&many.message(), &mut scratch(), &mut sink).unwrap_err();
    assert!(error.to_string().contains("labels of all series"), "{error}");
    let refs = Write2::new().raw_series(&[bytes(1, vec![0; 100_000]), sample(1.0, 1)]).message();
    assert!(read(&refs).0.unwrap_err().to_string().contains("labels"));
    let symbols: Vec<u8> = [4 << 3 | 2, 0].repeat((1 << 20) + 1);
    assert!(read(&symbols).0.unwrap_err().to_string().contains("symbols"));
}

/// A sink that remembers nothing.
struct Nothing;

impl SampleSink for Nothing {
    fn series(&mut self, _: RawLabels<'_>) -> Result<whyd_signals::SeriesId, Refusal> {
        Ok(whyd_signals::SeriesId(0))
    }
    fn sample(&mut self, _: whyd_signals::SeriesId, _: whyd_signals::Timestamp, _: f64) -> Result<(), Refusal> {
        Ok(())
    }
    fn refused(&mut self, _: u64, _: Refusal) {}
}

#[test]
fn truncation_and_flipped_bits_never_panic() {
    let mut w = Write2::new();
    let exemplar = bytes(4, [w.refs(&[("trace_id", "abc")]), double(2, 1.0)].concat());
    let histogram = bytes(3, [int(1, 1), bytes(11, int(2, 1)), bytes(12, [2])].concat());
    let message = w
        .series(&[("__name__", "up"), ("job", "a")], &[sample(1.0, 1), exemplar, bytes(5, int(3, 1))])
        .series(&[("__name__", "up"), ("job", "b")], &[histogram])
        .message();
    assert!(read(&message).0.is_ok());
    for end in 0..message.len() {
        let _ = read(&message[..end]);
    }
    for at in 0..message.len() {
        for bit in 0..8 {
            let mut broken = message.clone();
            broken[at] ^= 1 << bit;
            let _ = read(&broken);
        }
    }
}

/// Names and values of a few letters, so that series share some.
fn pairs() -> impl Strategy<Value = Vec<(String, String)>> {
    proptest::collection::vec(("[a-c]{0,2}", "[a-d]{0,3}|x{100,200}|.{1,3}"), 0..6)
}

proptest! {
    #[test]
    fn any_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&body);
        let _ = read(&[vec![4 << 3 | 2, 0], bytes(5, body)].concat());
    }

    #[test]
    fn both_versions_hand_over_the_same(
        all in proptest::collection::vec(pairs(), 0..12),
        bodies in proptest::collection::vec(
            proptest::collection::vec(
                (0usize..12, proptest::collection::vec((any::<u64>(), -9_000_000_000_000i64..9_000_000_000_000), 0..3)),
                0..20,
            ),
            1..5,
        ),
    ) {
        // One after another into the same sinks, all that is known from one body to the next with them, and all expected.
        let mut sink = Samples { has_no_order: true, ..Samples::default() };
        let mut others = Samples { expects: true, lasting: usize::MAX, ..Samples::default() };
        let mut known = scratch();
        for bodies in bodies {
            let mut first: Vec<Vec<Vec<u8>>> = Vec::new();
            let mut second = Write2::new();
            for (labels, samples) in bodies.iter().filter_map(|(of, samples)| Some((all.get(of % all.len().max(1))?, samples))) {
                let samples: Vec<Vec<u8>> = samples.iter().map(|(bits, ms)| sample(f64::from_bits(*bits), *ms)).collect();
                let labels: Vec<(&str, &str)> = labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
                first.push(labels.iter().map(|(k, v)| label(k, v)).chain(samples.iter().cloned()).collect());
                second = second.series(&labels, &samples);
            }
            let series: Vec<&[Vec<u8>]> = first.iter().map(Vec::as_slice).collect();
            let counts = remote_write1::decode_message(&request(&series), &mut sink);
            prop_assert_eq!(counts, decode_message(&second.message(), &mut known, &mut others));
        }
        prop_assert_eq!(sink.series, others.series);
        prop_assert_eq!(sink.rows, others.rows);
    }
}
