#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use proptest::prelude::*;

use super::*;
use crate::wire::encode::{bytes, double, int, varint};

fn sint(field: u64, n: i64) -> Vec<u8> {
    int(field, n << 1 ^ n >> 63)
}

fn span(field: u64, offset: i64, length: i64) -> Vec<u8> {
    bytes(field, [sint(1, offset), int(2, length)].concat())
}

fn deltas(field: u64, all: &[i64]) -> Vec<u8> {
    bytes(field, all.iter().flat_map(|n| varint((n << 1 ^ n >> 63).cast_unsigned())).collect::<Vec<u8>>())
}

fn doubles(field: u64, all: &[f64]) -> Vec<u8> {
    bytes(field, all.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>())
}

fn tally(message: &[u8]) -> Result<Beside, DecodeError> {
    let mut beside = Beside::default();
    beside.histogram(message).map(|()| beside)
}

fn is_sound(fields: &[Vec<u8>]) -> bool {
    let mut counts = Counts::default();
    tally(&fields.concat()).unwrap().count(true, &mut counts);
    assert_eq!(counts.histograms + counts.invalid_histograms, 1);
    counts.histograms == 1
}

#[test]
fn sound_ones_are_told_from_others() {
    let zero = [int(1, 3), int(6, 3), double(3, 0.0), double(5, 1e-128)];
    // Counts 1, 3 and 2 above zero, 4 below.
    let above = [span(11, -2, 2), span(11, 3, 1), deltas(12, &[1, 2, -1])];
    let below = [span(8, 0, 1), deltas(9, &[4])];
    let ints = |count| [vec![int(1, count), double(3, 1.0), sint(4, 3)], above.to_vec(), below.to_vec()].concat();
    let floats = [double(2, 6.5), span(11, 0, 2), doubles(13, &[6.0, 0.5]), double(7, 0.0)];
    let custom = |schema, count, bounds: &[f64]| {
        vec![int(1, count), sint(4, schema), span(11, 0, 3), deltas(12, &[1, 0, 0]), doubles(16, bounds)]
    };
    let cases: Vec<(bool, Vec<Vec<u8>>)> = vec![
        (true, vec![]),
        (true, zero.to_vec()),
        (true, ints(10)),
        (false, ints(11)),
        (false, ints(9)),
        (true, [ints(11), vec![double(3, f64::NAN)]].concat()),
        (false, [ints(9), vec![double(3, f64::NAN)]].concat()),
        (true, floats.to_vec()),
        (false, vec![double(2, 1.0), span(11, 0, 1), doubles(13, &[-1.0])]),
        (false, vec![double(2, 1.0), span(11, 0, 1), doubles(13, &[f64::NAN])]),
        (false, vec![double(2, -1.0)]),
        // Spans and buckets.
        (false, vec![int(1, 1), span(11, 0, 2), deltas(12, &[1])]),
        (false, vec![int(1, 1), deltas(12, &[1])]),
        (false, vec![int(1, 0), span(11, 0, 2), deltas(12, &[1, -2])]),
        (false, vec![int(1, 2), span(11, 0, 1), span(11, -1, 1), deltas(12, &[1, 0])]),
        // Custom bounds: as many buckets as bounds and one more.
        (true, custom(-53, 3, &[0.1, 0.5])),
        (true, custom(-53, 3, &[-1.0, 0.1, 0.5, 1.0])),
        (false, custom(-53, 3, &[0.1])),
        (false, custom(-53, 3, &[0.5, 0.1])),
        (false, custom(-53, 3, &[0.5, f64::INFINITY])),
        (false, custom(-54, 3, &[0.1, 0.5])),
        (false, custom(3, 3, &[0.1, 0.5])),
        (false, [custom(-53, 4, &[0.1, 0.5]), vec![int(6, 1)]].concat()),
        (false, [custom(-53, 7, &[0.1, 0.5]), below.to_vec()].concat()),
        (false, vec![sint(4, 53)]),
        (false, vec![sint(4, -10)]),
        (true, vec![int(15, 1_790_000_000_000)]),
        (false, vec![int(15, i64::MAX)]),
    ];
    for (n, (expected, fields)) in cases.iter().enumerate() {
        assert_eq!(is_sound(fields), *expected, "case {n}");
    }
}

#[test]
fn what_is_broken_is_malformed() {
    for (field, expected) in [
        (int(3, 1), "sum"),
        (double(1, 1.0), "count_int"),
        (double(4, 1.0), "schema"),
        (int(11, 1), "positive_spans"),
        (bytes(13, [0; 7]), "doubles"),
        (bytes(12, [0x80]), "ends within"),
    ] {
        let error = tally(&field).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

proptest! {
    #[test]
    fn any_bytes_never_panic(message in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = tally(&message);
    }
}
