#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use proptest::prelude::*;
use whyd_signals::Timestamp;
use whyd_signals::sink::{Counts, DecodeError};

use super::*;
use crate::wire::encode::{Lines, bytes, int, snappy};

const CAPTURED: &[u8] = include_bytes!("../../../../fixtures/wire/loki_push.snappy");
const NS: i64 = 1_700_000_000_000_000_007;

fn json(body: &str) -> (Result<Counts, DecodeError>, Lines) {
    let mut sink = Lines::default();
    (decode_json(body.as_bytes(), &mut sink), sink)
}

fn proto(message: &[u8]) -> (Result<Counts, DecodeError>, Lines) {
    let mut sink = Lines::default();
    (decode_proto(&snappy(message), &mut Vec::new(), &mut sink), sink)
}

fn entry(seconds: i64, nanos: i64, line: &[u8], metadata: &[(&str, &str)]) -> Vec<u8> {
    let metadata: Vec<u8> = metadata.iter().flat_map(|(k, v)| bytes(3, [bytes(1, k), bytes(2, v)].concat())).collect();
    let timestamp = bytes(1, [int(1, seconds), int(2, nanos)].concat());
    bytes(2, [timestamp, bytes(2, line), metadata].concat())
}

fn row(stream: u32, ts: i64, line: &str) -> (u32, i64, String) {
    (stream, ts, line.to_owned())
}

#[test]
fn json_in_any_order_with_and_without_metadata() {
    for body in [
        r#"{"streams":[{"stream":{"b":"2","a":"1"},"values":[["1700000000000000007","plain"],["1","esc \"\\\u00e9\n",{"pod":"p","c":"x"}]]}]}"#,
        r#"{"other":[1,{}], "streams" : [ {"values":[["1700000000000000007","plain"],["1","esc \"\\\u00e9\n",{"c":"x","pod":"p"}]],"stream":{"a":"1","b":"2"},"extra":null} ]}"#,
    ] {
        let (counts, sink) = json(body);
        assert_eq!(counts.unwrap().rows, 2);
        assert_eq!(sink.streams, ["a=1,b=2|", "a=1,b=2|pod=p"]);
        assert_eq!(sink.rows, [row(0, NS, "plain"), row(1, 1, "esc \"\\é\n")]);
    }
    assert_eq!(json(r#"{"streams":[]}"#).0.unwrap().rows, 0);
}

#[test]
fn a_stream_is_asked_for_once_while_nothing_changes() {
    let (_, sink) = json(
        r#"{"streams":[{"stream":{"a":"1"},"values":[["1","a",{"pod":"p","x":"y"}],["2","b",{"x":"y","pod":"p"}],["3","c",{"pod":"q"}]]}]}"#,
    );
    assert_eq!(sink.streams, ["a=1|pod=p", "a=1|pod=q"]);
    let stream = |entries: &[Vec<u8>]| bytes(1, [bytes(1, "{a=\"1\"}"), entries.concat()].concat());
    let (_, sink) = proto(&stream(&[
        entry(0, 1, b"a", &[("pod", "p")]),
        entry(0, 2, b"b", &[("trace_id", "4bf9"), ("pod", "p")]),
        entry(0, 3, b"c", &[("stream", "stdout"), ("pod", "q")]),
    ]));
    assert_eq!(sink.streams, ["a=1|pod=p", "a=1|pod=q,stream=stdout"]);
    assert_eq!(sink.rows, [row(0, 1, "a"), row(0, 2, "b"), row(1, 3, "c")]);
}

#[test]
fn json_faults_are_named_in_one_line() {
    for (body, expected) in [
        ("", "EOF"),
        ("[]", "field `streams`"),
        ("{}", "missing field `streams`"),
        (r#"{"streams":null}"#, "an array of streams"),
        (r#"{"streams":[{"values":[]}]}"#, "missing field `stream`"),
        (r#"{"streams":[{"stream":{}}]}"#, "missing field `values`"),
        (r#"{"streams":[{"stream":{"a":1},"values":[]}]}"#, "a string"),
        (r#"{"streams":[{"stream":{},"values":null}]}"#, "streams[0].values"),
        (r#"{"streams":[{"stream":{},"values":[[]]}]}"#, "without a timestamp"),
        (
            r#"{"streams":[{"stream":{},"values":[]},{"stream":{},"values":[["1"]]}]}"#,
            "streams[1].values: entry without a line",
        ),
        (r#"{"streams":[{"stream":{},"values":[[1,"x"]]}]}"#, "a string"),
        (r#"{"streams":[{"stream":{},"values":[["1e9","x"]]}]}"#, "nanoseconds"),
        (r#"{"streams":[{"stream":{},"values":[["1","x",{},1]]}]}"#, "more than"),
        (r#"{"streams":[{"stream":{},"values":[["1","x","y"]]}]}"#, "an object of strings"),
        ("{\"streams\":[]}\n{}", "trailing"),
    ] {
        let error = json(body).0.expect_err(body).to_string();
        assert!(error.contains(expected) && !error.contains('\n'), "{body}: {error}");
    }
}

#[test]
fn a_tower_of_brackets_is_an_error_and_no_overflow() {
    for open in ["[", "{\"streams\":", "{\"x\":"] {
        assert!(json(&open.repeat(200_000)).0.is_err());
    }
    assert!(json(&format!(r#"{{"streams":[{{"stream":{{}},"values":{}"#, "[".repeat(500_000))).0.is_err());
}

#[test]
fn proto_fields_in_any_order() {
    let labels = bytes(1, r#"{b="2", a="1"}"#);
    for parts in [
        [labels.clone(), entry(1_700_000_000, 7, b"x", &[]), int(3, 99)],
        [int(3, 99), entry(1_700_000_000, 7, b"x", &[]), labels],
    ] {
        let (counts, sink) = proto(&bytes(1, parts.concat()));
        assert_eq!(counts.unwrap().rows, 1);
        assert_eq!((sink.streams, sink.rows), (vec!["a=1,b=2|".to_owned()], vec![row(0, NS, "x")]));
    }
    let (_, sink) = proto(&bytes(1, [bytes(1, "{}"), entry(0, 0, b"a\xffb", &[])].concat()));
    assert_eq!(sink.rows, [row(0, 0, "a\u{fffd}b")]);
}

#[test]
fn proto_faults_are_named() {
    let labels = bytes(1, "{}");
    for (stream, expected) in [
        (entry(0, 0, b"", &[]), "`labels`"),
        (bytes(1, ""), "expected `{`"),
        (bytes(1, b"{a=\"\xff\"}"), "UTF-8"),
        ([labels.clone(), bytes(2, bytes(2, "line"))].concat(), "`timestamp`"),
        ([labels, int(2, 1)].concat(), "entries"),
    ] {
        let error = proto(&bytes(1, stream)).0.unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains('\n'), "{error}");
    }
}

#[test]
fn a_time_that_cannot_be_held_is_refused_by_itself() {
    let labels = bytes(1, r#"{a="1"}"#);
    let all = [(i64::MAX, 0), (0, -1), (1, 5), (0, 1_000_000_000)].map(|(s, ns)| entry(s, ns, b"x", &[])).concat();
    let (counts, sink) = proto(&bytes(1, [labels, all].concat()));
    assert_eq!((counts.unwrap().rows, sink.refused), (4, 3));
    assert_eq!(sink.rows, [row(0, 1_000_000_005, "x")]);
    let mut sink = Lines::default();
    let body = br#"{"streams":[{"stream":{"a":"1"},"values":[["9223372036854775808","a"],["7","x"],["-9223372036854775809","b"]]}]}"#;
    assert_eq!(decode_json(body, &mut sink).unwrap().rows, 3);
    assert_eq!((sink.refused, sink.rows), (2, vec![row(0, 7, "x")]));
}

#[test]
fn lines_of_a_refused_stream_are_counted() {
    let mut sink = Lines { refuse: true, ..Lines::default() };
    let body = br#"{"streams":[{"stream":{"a":"1"},"values":[["1","a"],["2","b"]]}]}"#;
    assert_eq!(decode_json(body, &mut sink).unwrap().rows, 2);
    assert_eq!((sink.refused, sink.rows.len(), sink.streams.len()), (2, 0, 1));
    let mut sink = Lines { refuse: true, ..Lines::default() };
    decode_message(&bytes(1, [bytes(1, "{}"), entry(0, 1, b"", &[]), entry(0, 2, b"", &[])].concat()), &mut sink)
        .unwrap();
    assert_eq!((sink.refused, sink.rows.len()), (2, 0));
}

#[test]
fn label_strings_are_read_as_go_quotes_them() {
    for (text, expected) in [
        ("{}", ""),
        (" { } ", ""),
        (r#"{a="b"}"#, "a=b"),
        (r#"{a="b",}"#, "a=b"),
        (r#"{ a = "b" , _c9="" }"#, "a=b,_c9="),
        (r#"{a="x\"y\\z\n\t"}"#, "a=x\"y\\z\n\t"),
        (r#"{a="\u00e9\U0001F600\x41\101\xc3\xa9"}"#, "a=é😀AAé"),
        ("{a=`raw \\n \"q\"`}", "a=raw \\n \"q\""),
        (r#"{a="}",b="{,="}"#, "a=},b={,="),
        (r#"{a="é"}"#, "a=é"),
        (r#"{a="1",a="2"}"#, "a=1,a=2"),
    ] {
        let pairs = parse_labels(text).expect(text);
        let shown: Vec<_> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(shown.join(","), expected, "{text}");
    }
    for text in [
        "",
        "{",
        "}",
        "a",
        "{a}",
        "{a=}",
        "{a=b}",
        r#"{a="b"#,
        r#"{a="b" c="d"}"#,
        r#"{,}"#,
        r#"{9a="b"}"#,
        r#"{="b"}"#,
        r#"{a="b"} x"#,
        r#"{a="\q"}"#,
        r#"{a="\xg0"}"#,
        r#"{a="\u12"}"#,
        r#"{a="\ud800"}"#,
        r#"{a="\777"}"#,
        r#"{a="\xff"}"#,
        "{a=\"b\nc\"}",
        "{a=`b}",
        "{a='b'}",
        r#"{a="\u+123"}"#,
        r#"{a="\"#,
    ] {
        let error = parse_labels(text).expect_err(text).to_string();
        assert!(error.starts_with("labels: expected"), "{text}: {error}");
    }
}

#[test]
fn reads_what_promtail_sent() {
    let mut sink = Lines::default();
    assert_eq!(decode_proto(CAPTURED, &mut Vec::new(), &mut sink).unwrap().rows, 3);
    // as an independent decoder has it
    let node = "namespace=team-cart,node_name=lke531425-770041-0c7d2f1a0000";
    assert_eq!(
        sink.streams,
        [
            format!("app=frontend,container=frontend,{node}|pod=frontend-577f5f765f-dvbkm,stream=stdout"),
            format!("app=cart,container=cart,{node}|pod=cart-6f6ff55c87-p825w,stream=stdout"),
        ]
    );
    assert_eq!(sink.rows[2].0, 1);
    assert_eq!(Timestamp(sink.rows[0].1).to_string(), "2026-11-22T13:40:38.219720157Z");
    assert!(sink.rows[2].2.contains("cache eviction disabled, cache keeps growing"));
}

#[test]
fn truncation_at_every_byte_never_panics() {
    for end in 0..CAPTURED.len() {
        assert!(decode_proto(&CAPTURED[..end], &mut Vec::new(), &mut Lines::default()).is_err(), "{end}");
    }
    let body = r#"{"streams":[{"stream":{"a":"1"},"values":[["1","a\u00e9",{"pod":"p"}]]}]}"#;
    for end in 0..body.len() {
        assert!(json(&body[..end]).0.is_err(), "{end}");
    }
    let mut scratch = Vec::new();
    let message = crate::wire::snappy::inflate(CAPTURED, 1 << 20, &mut scratch).unwrap();
    for end in 0..message.len() {
        let _ = decode_message(&message[..end], &mut Lines::default());
    }
}

proptest! {
    #[test]
    fn any_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode_json(&body, &mut Lines::default());
        let _ = decode_message(&body, &mut Lines::default());
        let _ = decode_proto(&body, &mut Vec::new(), &mut Lines::default());
    }

    #[test]
    fn any_label_text_never_panics(text in "\\{?([a-z]{0,3}[ =\"`,}\\\\xu0-9é]{0,6}){0,6}") {
        let _ = parse_labels(&text);
    }

    #[test]
    fn any_json_value_survives(line in ".*", value in ".*", ts in any::<i64>()) {
        let body = serde_json::json!({"streams": [{"stream": {"a": value}, "values": [[ts.to_string(), line]]}]});
        let (counts, sink) = json(&body.to_string());
        prop_assert_eq!(counts.unwrap().rows, 1);
        prop_assert_eq!(sink.rows, vec![(0, ts, line)]);
        prop_assert_eq!(sink.streams, vec![format!("a={value}|")]);
    }
}

fn query(result: &str) -> (Result<Counts, DecodeError>, Lines) {
    let mut sink = Lines::default();
    let body = format!(r#"{{"status":"success","data":{{"resultType":"streams","result":[{result}],"stats":{{}}}}}}"#);
    (decode_query(body.as_bytes(), &mut sink), sink)
}

#[test]
fn an_answer_to_a_query_is_streams_with_their_metadata_under_its_name() {
    let (counts, sink) = query(
        r#"{"stream":{"b":"2","a":"1"},"values":[["1700000000000000007","x",{"structuredMetadata":{"pod":"p","c":"x"},
        "parsed":{"level":"info"}}],["2","y",{}],["3","z"]]}"#,
    );
    assert_eq!(counts.unwrap().rows, 3);
    assert_eq!(sink.streams, ["a=1,b=2|pod=p", "a=1,b=2|"]);
    assert_eq!(sink.rows, [row(0, NS, "x"), row(1, 2, "y"), row(1, 3, "z")]);
    let body =
        br#"{"data":{"resultType":"streams","result":[{"stream":{},"values":[["5","x"],["9","y"],["7","z"]]}]}}"#;
    assert_eq!(page(body).unwrap(), Page { lines: 3, newest: Some(Timestamp(9)) });
    for (body, says) in [
        (r#"{"data":{"resultType":"matrix","result":[]}}"#, "a matrix, not streams"),
        (r#"{"data":{"resultType":"streams","result":[{"stream":{},"values":[["x","y"]]}]}}"#, "not a number"),
        (r#"{"status":"error"}"#, "missing field `data`"),
    ] {
        let e = page(body.as_bytes()).unwrap_err().to_string();
        assert!(e.contains(says), "{body}: {e}");
    }
    // What is pushed has no such names.
    assert!(json(r#"{"streams":[{"stream":{},"values":[["1","x",{"structuredMetadata":{"a":"b"}}]]}]}"#).0.is_err());
}

proptest! {
    #[test]
    fn any_answer_is_read_or_refused(result in r#"[\[\]{}",:a-z0-9]{0,80}"#, body in proptest::collection::vec(any::<u8>(), 0..100)) {
        let _ = query(&result);
        let _ = page(&body);
    }
}
