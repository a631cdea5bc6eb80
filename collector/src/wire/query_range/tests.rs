#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::*;
use crate::wire::encode::{Samples, label as one};

const ALL: Range = Range::new(Timestamp::MIN, Timestamp::MAX);

fn answer(result: &str) -> String {
    format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{result}]}},"warnings":["x"]}}"#)
}

fn decoded(text: &str, range: Range, labels: &[(&str, &str)]) -> Result<(Samples, Counts), DecodeError> {
    let mut sink = Samples::default();
    let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let counts = decode(text.as_bytes(), range, &labels, &mut sink)?;
    Ok((sink, counts))
}

#[test]
fn series_are_those_of_remote_write_and_values_are_what_go_wrote() {
    let text = answer(
        r#"{"metric":{"job":"a\"b","__name__":"up"},"values":[[1435781430.781,"1"],[1435781445.781,"NaN"],
        [1435781460,"+Inf"],[1435781475,"-Inf"],[1435781490,"1e-07"]]},{"metric":{},"histograms":[[1,{"count":"1"}]]}"#,
    );
    let (sink, counts) = decoded(&text, ALL, &[]).unwrap();
    assert_eq!(sink.series, [[one("__name__", "up"), one("job", "a\"b")].concat()]);
    let bits = [1f64.to_bits(), NAN, f64::INFINITY.to_bits(), f64::NEG_INFINITY.to_bits(), 1e-7f64.to_bits()];
    assert_eq!(sink.rows.iter().map(|r| r.2).collect::<Vec<_>>(), bits);
    assert_eq!(sink.rows[0].1, 1_435_781_430_781_000_000);
    assert_eq!((counts.rows, counts.histograms), (5, 1));
    let (sink, _) = decoded(&text, Range::new(Timestamp(1_435_781_460_000_000_000), Timestamp::MAX), &[]).unwrap();
    assert_eq!(sink.rows.len(), 3);
}

#[test]
fn labels_are_given_to_series_that_lack_them() {
    let text = answer(r#"{"metric":{"__name__":"up","zone":"own"},"values":[[1,"1"]]}"#);
    let (sink, _) = decoded(&text, ALL, &[("cluster", "prod"), ("zone", "given")]).unwrap();
    assert_eq!(sink.series, [[one("__name__", "up"), one("cluster", "prod"), one("zone", "own")].concat()]);
}

#[test]
fn what_is_wrong_is_named() {
    for (text, says) in [
        (answer(r#"{"metric":{"a":"b"},"values":[[1,"one"]]}"#), "\"one\" is not a number"),
        (answer(r#"{"metric":{"a":"b"},"values":[[1e300,"1"]]}"#), "out of range"),
        (answer(r#"{"metric":{"a":1},"values":[]}"#), "string"),
        (answer("").replace("matrix", "vector"), "a vector, not a matrix"),
        (r#"{"status":"error","error":"x"}"#.to_owned(), "missing field `data`"),
        (String::new(), "EOF"),
    ] {
        let e = decoded(&text, ALL, &[]).unwrap_err().to_string();
        assert!(e.contains(says), "{text}: {e}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(
        body in proptest::collection::vec(any::<u8>(), 0..200),
        result in r#"[\[\]{}",:a-z0-9.]{0,80}"#,
    ) {
        let _ = decode(&body, ALL, &BTreeMap::new(), &mut Samples::default());
        let _ = decoded(&answer(&result), ALL, &[]);
    }
}
