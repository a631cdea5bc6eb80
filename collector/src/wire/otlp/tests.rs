#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::{Value, json};
use whyd_signals::sample::STALE_BITS;
use whyd_signals::sink::{Counts, DecodeError};

use super::*;
use crate::wire::encode::{Lines, Samples, bytes, double, int, varint};
use crate::wire::protobuf::Reader;

const NS: i64 = 1_700_000_000_000_000_007;
/// When the SDK for Python read its metrics.
const SENT: i64 = 1_795_888_821_877_113_571;

/// What a body of metrics came to: each sample as `labels value`, in order, and the counts.
fn metrics(decoded: impl FnOnce(&mut Samples) -> Result<Counts, DecodeError>) -> (Result<Counts, String>, Vec<String>) {
    let mut sink = Samples::default();
    let counts = decoded(&mut sink).map_err(|e| e.to_string());
    let shown = sink.rows.iter().map(|(series, ts, bits)| {
        assert!([NS, SENT].contains(ts), "{ts}");
        let value = if *bits == STALE_BITS { "stale".into() } else { f64::from_bits(*bits).to_string() };
        format!("{} {value}", labels(&sink.series[*series as usize]))
    });
    (counts, shown.collect())
}

/// `name{label="value"}` of the labels as they were handed over, which are to be sorted.
fn labels(raw: &[u8]) -> String {
    let mut reader = Reader::new(raw);
    let (mut name, mut rest, mut last) = (String::new(), Vec::new(), String::new());
    while let Some((1, field)) = reader.field().unwrap() {
        let mut pair = Reader::new(field.bytes("label").unwrap());
        let mut text = || {
            let (_, text) = pair.field().unwrap().unwrap();
            String::from_utf8(text.bytes("text").unwrap().to_vec()).unwrap()
        };
        let (label, value) = (text(), text());
        assert!(last < label, "{last} {label}");
        last.clone_from(&label);
        if label == "__name__" { name = value } else { rest.push(format!("{label}={value}")) }
    }
    format!("{name}{{{}}}", rest.join(","))
}

fn json_metrics(body: &Value) -> (Result<Counts, String>, Vec<String>) {
    metrics(|sink| decode_metrics_json(body.to_string().as_bytes(), sink))
}

/// One resource with these attributes and metrics.
fn request(attributes: &Value, list: &Value) -> Value {
    json!({"resourceMetrics": [{"resource": {"attributes": attributes}, "scopeMetrics": [{"metrics": list}]}]})
}

fn attributes(pairs: &[(&str, &str)]) -> Value {
    pairs.iter().map(|(k, v)| json!({"key": k, "value": {"stringValue": v}})).collect()
}

/// The same message as protobuf, written after the proto files and apart from what reads it.
fn proto_of(body: &Value) -> Vec<u8> {
    let list = |v: &Value| v.as_array().cloned().unwrap_or_default();
    let number = |v: &Value| match v {
        Value::String(s) => s.parse::<i64>().unwrap(),
        v => v.as_i64().unwrap_or_default(),
    };
    let fixed = |field: u64, n: i64| [varint(field * 8 + 1), n.to_le_bytes().to_vec()].concat();
    fn value(v: &Value) -> Vec<u8> {
        let list = |v: &Value| v["values"].as_array().cloned().unwrap_or_default();
        match v.as_object().and_then(|o| o.iter().next()) {
            None => Vec::new(),
            Some((k, v)) => match k.as_str() {
                "stringValue" => bytes(1, v.as_str().unwrap()),
                "boolValue" => int(2, i64::from(v.as_bool().unwrap())),
                "intValue" => int(3, v.as_str().map_or_else(|| v.as_i64().unwrap(), |s| s.parse().unwrap())),
                "doubleValue" => double(4, v.as_f64().unwrap()),
                "arrayValue" => bytes(5, list(v).iter().flat_map(|v| bytes(1, value(v))).collect::<Vec<u8>>()),
                "kvlistValue" => bytes(6, list(v).iter().flat_map(|p| bytes(1, pair(p))).collect::<Vec<u8>>()),
                other => panic!("{other}"),
            },
        }
    }
    fn pair(p: &Value) -> Vec<u8> {
        [bytes(1, p["key"].as_str().unwrap()), bytes(2, value(&p["value"]))].concat()
    }
    let pairs = |field: u64, v: &Value| list(v).iter().flat_map(|p| bytes(field, pair(p))).collect::<Vec<u8>>();
    let point = |kind: &str, p: &Value| {
        let mut out = fixed(3, number(&p["timeUnixNano"]));
        let histogram = kind == "histogram";
        out.extend(pairs(if histogram { 9 } else { 7 }, &p["attributes"]));
        out.extend(int(if histogram { 10 } else { 8 }, number(&p["flags"])));
        if kind == "gauge" || kind == "sum" {
            out.extend(p["asDouble"].as_f64().map_or_else(Vec::new, |x| double(4, x)));
            out.extend(if p["asInt"].is_null() { Vec::new() } else { fixed(6, number(&p["asInt"])) });
            return out;
        }
        out.extend(fixed(4, number(&p["count"])));
        out.extend(p["sum"].as_f64().map_or_else(Vec::new, |x| double(5, x)));
        let packed = |list: Vec<Value>, to: &dyn Fn(&Value) -> [u8; 8]| list.iter().flat_map(to).collect::<Vec<u8>>();
        if histogram {
            out.extend(bytes(6, packed(list(&p["bucketCounts"]), &|v| number(v).to_le_bytes())));
            out.extend(bytes(7, packed(list(&p["explicitBounds"]), &|v| v.as_f64().unwrap().to_le_bytes())));
        } else {
            for q in list(&p["quantileValues"]) {
                let both = [double(1, q["quantile"].as_f64().unwrap()), double(2, q["value"].as_f64().unwrap())];
                out.extend(bytes(6, both.concat()));
            }
        }
        out
    };
    let metric = |m: &Value| {
        let mut out = [bytes(1, m["name"].as_str().unwrap()), bytes(3, m["unit"].as_str().unwrap_or(""))].concat();
        for (kind, field) in [("gauge", 5), ("sum", 7), ("histogram", 9), ("exponentialHistogram", 10), ("summary", 11)]
        {
            let data = &m[kind];
            if data.is_null() {
                continue;
            }
            let mut inner: Vec<u8> = list(&data["dataPoints"]).iter().flat_map(|p| bytes(1, point(kind, p))).collect();
            inner.extend(int(2, number(&data["aggregationTemporality"])));
            inner.extend(int(3, i64::from(data["isMonotonic"].as_bool().unwrap_or_default())));
            out.extend(bytes(field, inner));
        }
        out
    };
    let of = |r: &Value| {
        let mut out = Vec::new();
        for scope in list(&r["scopeMetrics"]) {
            out.extend(bytes(2, list(&scope["metrics"]).iter().flat_map(|m| bytes(2, metric(m))).collect::<Vec<u8>>()));
        }
        // behind what it is the resource of, as a sender may write it
        out.extend(bytes(1, pairs(1, &r["resource"]["attributes"])));
        out
    };
    list(&body["resourceMetrics"]).iter().flat_map(|r| bytes(1, of(r))).collect()
}

/// Both forms of a body of metrics give these samples.
fn check(body: &Value, expected: &[&str]) -> Counts {
    let (counts, rows) = json_metrics(body);
    assert_eq!(rows, expected, "json");
    let proto = proto_of(body);
    let (same, rows) = metrics(|sink| decode_metrics_proto(&proto, sink));
    assert_eq!(rows, expected, "protobuf");
    assert_eq!(same, counts);
    counts.unwrap()
}

#[test]
fn every_kind_of_metric() {
    let point = |more: Value| {
        let mut point = json!({"timeUnixNano": NS.to_string(), "attributes": attributes(&[("http.method", "GET")])});
        point.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([point])
    };
    let body = request(
        &json!([]),
        &json!([
            {"name": "temp", "unit": "Cel", "gauge": {"dataPoints": point(json!({"asDouble": 21.5}))}},
            {"name": "jobs", "sum": {"dataPoints": point(json!({"asInt": "-3"})), "aggregationTemporality": 2}},
            {"name": "http.requests", "unit": "{request}", "sum": {
                "dataPoints": point(json!({"asInt": 7})), "aggregationTemporality": 2, "isMonotonic": true}},
            {"name": "latency", "unit": "s", "histogram": {"aggregationTemporality": 2, "dataPoints": point(json!({
                "count": "6", "sum": 1.5, "bucketCounts": ["1", "2", 3], "explicitBounds": [0.005, 1]}))}},
            {"name": "bare", "histogram": {"aggregationTemporality": 2, "dataPoints": point(json!({"count": 2}))}},
            {"name": "gc", "unit": "ms", "summary": {"dataPoints": point(json!({
                "count": 4, "sum": 8.25, "quantileValues": [{"quantile": 0.5, "value": 2.0}, {"quantile": 0.99, "value": 4.0}]}))}},
        ]),
    );
    let counts = check(
        &body,
        &[
            "temp_celsius{http_method=GET} 21.5",
            "jobs{http_method=GET} -3",
            "http_requests_total{http_method=GET} 7",
            "latency_seconds_sum{http_method=GET} 1.5",
            "latency_seconds_count{http_method=GET} 6",
            "latency_seconds_bucket{http_method=GET,le=0.005} 1",
            "latency_seconds_bucket{http_method=GET,le=1} 3",
            "latency_seconds_bucket{http_method=GET,le=+Inf} 6",
            "bare_count{http_method=GET} 2",
            "bare_bucket{http_method=GET,le=+Inf} 2",
            "gc_milliseconds_sum{http_method=GET} 8.25",
            "gc_milliseconds_count{http_method=GET} 4",
            "gc_milliseconds{http_method=GET,quantile=0.5} 2",
            "gc_milliseconds{http_method=GET,quantile=0.99} 4",
        ],
    );
    assert_eq!((counts.rows, counts.rejected), (14, Some(0)));
}

#[test]
fn a_resource_is_a_pod_and_a_target() {
    let pod = attributes(&[
        ("service.namespace", "shop"),
        ("service.name", "cart"),
        ("service.instance.id", "i-1"),
        ("k8s.namespace.name", "team-cart"),
        ("k8s.pod.name", "cart-0"),
        ("k8s.container.name", "app"),
        ("k8s.node.name", "n1"),
        ("k8s.pod.uid", "u-1"),
    ]);
    let gauge = |pairs: &[(&str, &str)]| {
        json!([{"name": "up", "gauge": {"dataPoints": [
            {"asInt": 1, "timeUnixNano": NS, "attributes": attributes(pairs)}]}}])
    };
    let info = "target_info{container=app,instance=i-1,job=shop/cart,k8s_container_name=app,\
        k8s_namespace_name=team-cart,k8s_node_name=n1,k8s_pod_name=cart-0,k8s_pod_uid=u-1,namespace=team-cart,node=n1,\
        pod=cart-0} 1";
    let own = "up{container=app,instance=i-1,job=shop/cart,namespace=team-cart,node=n1,pod=cart-0} 1";
    let counts = check(&request(&pod, &gauge(&[])), &[own, info]);
    assert_eq!((counts.rows, counts.rejected), (2, Some(0)));
    // what it says of itself is never overruled by its own points, but whom they are about is
    let told = "up{Zone=z,instance=i-1,job=shop/cart,namespace=team-pay,node=n1,pod=pay-0} 1";
    let about = [("namespace", "team-pay"), ("pod", "pay-0"), ("job", "x"), ("Zone", "z"), ("__name__", "y")];
    check(&request(&pod, &gauge(&about)), &[told, info]);
    // nothing says whose the attributes are
    let bare = attributes(&[("k8s.pod.name", "cart-0"), ("os.type", "linux")]);
    check(&request(&bare, &gauge(&[])), &["up{pod=cart-0} 1"]);
    let service = attributes(&[("service.name", "cart")]);
    check(&request(&service, &gauge(&[])), &["up{job=cart} 1"]);
}

#[test]
fn labels_that_become_one_are_joined_and_values_are_text() {
    let point = json!({"asInt": 1, "timeUnixNano": NS, "attributes": [
        {"key": "b.c", "value": {"stringValue": "2"}},
        {"key": "b_c", "value": {"stringValue": "3"}},
        {"key": "b-c", "value": {"stringValue": "1"}},
        {"key": "empty", "value": {"stringValue": ""}},
        {"key": "nothing", "value": {}},
        {"key": "é", "value": {"stringValue": "no name"}},
        {"key": "yes", "value": {"boolValue": true}},
        {"key": "n", "value": {"intValue": "-9223372036854775808"}},
        {"key": "x", "value": {"doubleValue": 1e300}},
        {"key": "list", "value": {"arrayValue": {"values": [{"stringValue": "a\"b"}, {}, {"intValue": 1}]}}},
        {"key": "map", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"boolValue": false}}]}}},
    ]});
    let body = request(&json!([]), &json!([{"name": "up", "gauge": {"dataPoints": [point]}}]));
    let expected =
        "up{b_c=1;2;3,list=[\"a\\\"b\",null,1],map={\"k\":false},n=-9223372036854775808,x=1e+300,yes=true} 1";
    check(&body, &[expected]);
}

#[test]
fn what_is_not_kept_is_refused_by_point() {
    let points = json!([{"timeUnixNano": NS, "asInt": 1, "count": 1}, {"timeUnixNano": NS, "asInt": 1, "count": 1}]);
    let body = request(
        &json!([]),
        &json!([
            {"name": "delta", "sum": {"dataPoints": points, "aggregationTemporality": 1, "isMonotonic": true}},
            {"name": "unsaid", "histogram": {"dataPoints": points}},
            {"name": "exponential", "exponentialHistogram": {"dataPoints": points, "aggregationTemporality": 2}},
            {"name": "@", "gauge": {"dataPoints": points}},
            {"name": "valueless", "gauge": {"dataPoints": [{"timeUnixNano": NS}]}},
            {"name": "timeless", "gauge": {"dataPoints": [{"asInt": 1}]}},
            {"name": "nothing"},
            {"name": "good", "gauge": {"dataPoints": [{"timeUnixNano": NS, "asInt": 1}]}},
        ]),
    );
    let counts = check(&body, &["good{} 1"]);
    assert_eq!((counts.rows, counts.histograms, counts.rejected), (11, 2, Some(10)));
    let named = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "a", "sum": {
        "aggregationTemporality": "AGGREGATION_TEMPORALITY_CUMULATIVE", "dataPoints": [{"timeUnixNano": NS, "asInt": 2}]}}]}]}]});
    assert_eq!(json_metrics(&named).1, ["a{} 2"]);
}

#[test]
fn a_point_is_rejected_once_whatever_of_it_is_refused() {
    let body = request(
        &json!([]),
        &json!([{"name": "latency", "histogram": {"aggregationTemporality": 2, "dataPoints": [
            {"timeUnixNano": NS, "count": 2, "sum": 1.0, "bucketCounts": [1, 1], "explicitBounds": [1.0]}]}}]),
    );
    let mut sink = Samples { refuse: Some("_bucket"), ..Samples::default() };
    let counts = decode_metrics_json(body.to_string().as_bytes(), &mut sink).unwrap();
    assert_eq!((counts.rows, counts.rejected, sink.refused, sink.rows.len()), (4, Some(1), 2, 2));
}

#[test]
fn many_attributes_of_one_name_are_joined_once() {
    let value = "v".repeat(16 << 10);
    let pairs: Vec<(String, &str)> =
        (0..1000).map(|n| (format!("a{}", ["-", "."][n % 2].repeat(1 + n / 2)), value.as_str())).collect();
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    let of = attributes(&pairs);
    let body = request(
        &json!([]),
        &json!([{"name": "up", "gauge": {"dataPoints": [
        {"timeUnixNano": NS, "asInt": 1, "attributes": of}]}}]),
    );
    let mut sink = Samples::default();
    let counts = decode_metrics_proto(&proto_of(&body), &mut sink).unwrap();
    // Sixteen mebibytes of labels are too many for a series; that they were made costs what they are.
    assert_eq!((counts.rows, sink.refused), (1, 1));
}

#[test]
fn what_a_resource_says_is_not_said_again_without_end() {
    let points: Vec<Value> = (0..1100).map(|_| json!({"timeUnixNano": NS, "asInt": 1})).collect();
    let of = |pod: usize| {
        let pod = "p".repeat(pod);
        request(&attributes(&[("k8s.pod.name", &pod)]), &json!([{"name": "up", "gauge": {"dataPoints": points}}]))
    };
    let (small, large, over) = (1 << 10, 1 << 20, (1 << 20) + 1);
    let kept = |body: &Value| {
        let mut sink = Samples::default();
        let counts = decode_metrics_proto(&proto_of(body), &mut sink).unwrap();
        assert_eq!((counts.rows, sink.refused + sink.rows.len() as u64), (1100, 1100));
        assert_eq!(counts.rejected, Some(sink.refused));
        sink.rows.len()
    };
    assert_eq!(kept(&of(small)), 1100);
    assert_eq!(kept(&of(large - "uppod".len())), 1024, "a mebibyte each, and 1024 in all");
    assert_eq!(kept(&of(over)), 0);

    let record = json!({"timeUnixNano": NS, "body": {"stringValue": "x"}});
    for (pod, expected) in [(small, 1100), (large - "pod".len(), 1024), (over, 0)] {
        let resource = json!({"attributes": [{"key": "k8s.pod.name", "value": {"stringValue": "p".repeat(pod)}}]});
        let records: Vec<&Value> = (0..1100).map(|_| &record).collect();
        let body = json!({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]});
        let (counts, sink) = logs(&body.to_string());
        assert_eq!((counts.unwrap().rows, sink.rows.len(), sink.refused), (1100, expected, 1100 - expected as u64));
    }
}

#[test]
fn no_recorded_value_is_the_stale_marker() {
    let at = |more: Value| {
        let mut point = json!({"timeUnixNano": NS, "flags": 1});
        point.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([point])
    };
    let body = request(
        &json!([]),
        &json!([
            {"name": "gauge", "gauge": {"dataPoints": at(json!({}))}},
            {"name": "h", "histogram": {"aggregationTemporality": 2, "dataPoints": at(json!({"count": 0, "sum": 0.0}))}},
        ]),
    );
    let expected = ["gauge{} stale", "h_sum{} stale", "h_count{} stale", "h_bucket{le=+Inf} stale"];
    check(&body, &expected);
}

#[test]
fn json_in_any_order_with_what_nobody_knows() {
    let body = format!(
        r#" {{"x": [1, {{}}], "resourceMetrics": [{{"scopeMetrics": [{{"metrics": [{{"gauge": {{"dataPoints": [
            {{"asDouble": "NaN", "timeUnixNano": "{NS}", "later": null}}, {{"asDouble": "-Infinity", "timeUnixNano": {NS}}}]}},
            "unit": null, "name": "t\u0065mp", "description": 7}}], "scope": {{}}}}], "resource": {{"attributes": [
            {{"value": {{"stringValue": "cart"}}, "key": "service.name"}}], "entityRefs": []}}}}, {{}}]}} "#
    );
    let (counts, rows) = metrics(|sink| decode_metrics_json(body.as_bytes(), sink));
    assert_eq!((counts.unwrap().rows, rows), (2, vec!["temp{job=cart} NaN".into(), "temp{job=cart} -inf".to_owned()]));
    assert_eq!(json_metrics(&json!({})).0.unwrap().rows, 0);
}

#[test]
fn faults_are_named_in_one_line() {
    let point = |fields: &str| {
        format!(
            r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"a","gauge":{{"dataPoints":[{fields}]}}}}]}}]}}]}}"#
        )
    };
    let many = format!(r#"{{"attributes":[{}]}}"#, vec![r#"{"key":"k"}"#; 1025].join(","));
    let deep = format!(
        r#"{{"attributes":[{{"key":"k","value":{}{}}}]}}"#,
        r#"{"arrayValue":{"values":["#.repeat(40),
        "]}}".repeat(40)
    );
    for (body, expected) in [
        (String::new(), "EOF"),
        ("[]".into(), "a message"),
        (r#"{"resourceMetrics":[[]]}"#.into(), "a message"),
        (point("[[],1]"), "a message"),
        (point(r#"{"attributes":[["k",{}]]}"#), "a message"),
        (point(r#"{"attributes":[{"key":"k","value":["x"]}]}"#), "a message"),
        ("{} {}".into(), "trailing"),
        (r#"{"resourceMetrics":{}}"#.into(), "an array"),
        (point(r#"{"timeUnixNano":-1}"#), "timeUnixNano"),
        (point(r#"{"timeUnixNano":"soon"}"#), "64-bit integer"),
        (point(r#"{"timeUnixNano":1,"asInt":"18446744073709551615"}"#), "asInt"),
        (point(r#"{"timeUnixNano":1,"asDouble":"wide"}"#), "a number"),
        (point(r#"{"attributes":[{"key":1}]}"#), "a string"),
        (point(&many), "more than 1024 attributes"),
        (point(&deep), "32 deep"),
    ] {
        let error = metrics(|sink| decode_metrics_json(body.as_bytes(), sink)).0.expect_err(&body);
        assert!(error.contains(expected) && !error.contains('\n'), "{body}: {error}");
    }
    let nested = |depth: usize| (0..depth).fold(Vec::new(), |inner, _| bytes(5, bytes(1, inner)));
    for (attribute, expected) in [
        (bytes(7, bytes(1, b"\xff")), "UTF-8"),
        (bytes(7, bytes(2, nested(40))), "32 deep"),
        (bytes(7, bytes(1, "k")).repeat(1025), "more than 1024"),
        (int(3, 1), "time_unix_nano"),
        (bytes(7, [0x0a, 9]), "ends within"),
    ] {
        let gauge = [bytes(1, "a"), bytes(5, bytes(1, attribute))].concat();
        let body = bytes(1, bytes(2, bytes(2, gauge)));
        let error = metrics(|sink| decode_metrics_proto(&body, sink)).0.expect_err(expected);
        assert!(error.contains(expected), "{error}");
    }
    let histogram = [int(2, 2), bytes(1, bytes(6, [0; 9]))].concat();
    let odd = bytes(1, bytes(2, bytes(2, [bytes(1, "a"), bytes(9, histogram)].concat())));
    assert!(metrics(|sink| decode_metrics_proto(&odd, sink)).0.unwrap_err().contains("within a number"));
}

#[test]
fn a_tower_of_brackets_is_an_error_and_no_overflow() {
    for open in ["[", "{\"resourceMetrics\":[", "{\"x\":"] {
        let tower = open.repeat(200_000);
        assert!(decode_metrics_json(tower.as_bytes(), &mut Samples::default()).is_err());
        assert!(decode_logs_json(tower.as_bytes(), &mut Lines::default()).is_err());
    }
    let deep = bytes(1, bytes(1, bytes(1, bytes(2, (0..9_000).fold(Vec::new(), |v, _| bytes(5, bytes(1, v)))))));
    assert!(decode_metrics_proto(&deep, &mut Samples::default()).is_err());
}

#[test]
fn a_time_that_cannot_be_held_is_refused_by_itself() {
    let body = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":[
        {"timeUnixNano":"18446744073709551615","asInt":1},{"timeUnixNano":"7","asInt":2}]}}]}]}]}"#;
    let mut sink = Samples::default();
    let counts = decode_metrics_json(body.as_bytes(), &mut sink).unwrap();
    assert_eq!((counts.rows, counts.rejected, sink.refused), (2, Some(1), 1));
    assert_eq!(sink.rows, [(0, 7, 2f64.to_bits())]);
    let body = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[
        {"timeUnixNano":"18446744073709551615","body":{"stringValue":"a"}},
        {"timeUnixNano":"7","body":{"stringValue":"b"}}]}]}]}"#;
    let (counts, sink) = logs(body);
    let counts = counts.unwrap();
    assert_eq!((counts.rows, counts.rejected, sink.refused), (2, Some(1), 1));
    assert_eq!(sink.rows, [(0, 7, "b".to_owned())]);
}

fn logs(body: &str) -> (Result<Counts, String>, Lines) {
    let mut sink = Lines::default();
    (decode_logs_json(body.as_bytes(), &mut sink).map_err(|e| e.to_string()), sink)
}

#[test]
fn records_are_lines_of_the_stream_of_their_resource() {
    let resource = r#"{"attributes":[{"key":"service.name","value":{"stringValue":"cart"}},
        {"key":"k8s.pod.name","value":{"stringValue":"cart-0"}},
        {"key":"k8s.namespace.name","value":{"stringValue":"team-cart"}},
        {"key":"os.type","value":{"stringValue":"linux"}}]}"#;
    let (counts, sink) = logs(&format!(
        r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[
            {{"timeUnixNano":"{NS}","severityNumber":17,"severityText":"ERR","body":{{"stringValue":"boom"}},
              "attributes":[{{"key":"http.route","value":{{"stringValue":"/"}}}},{{"key":"level","value":{{"stringValue":"x"}}}},
                {{"key":"k8s.container.name","value":{{"stringValue":"app"}}}}],
              "traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","flags":1}},
            {{"observedTimeUnixNano":{NS},"severityText":"notice","body":{{"kvlistValue":{{"values":[
              {{"key":"msg","value":{{"stringValue":"hi"}}}},{{"key":"n","value":{{"intValue":"2"}}}}]}}}}}},
            {{"timeUnixNano":1,"eventName":"device.started"}},
            {{"body":{{"stringValue":"when?"}}}}]}}],"resource":{resource}}}]}}"#
    ));
    let counts = counts.unwrap();
    assert_eq!((counts.rows, counts.rejected, sink.refused), (4, Some(1), 1));
    let pod = "namespace=team-cart,pod=cart-0,service_name=cart";
    assert_eq!(
        sink.streams,
        [
            format!(
                "{pod}|container=app,http_route=/,level=error,span_id=eee19b7ec3c1b174,\
                 trace_id=5b8efff798038103d269b633813fc60c"
            ),
            format!("{pod}|level=notice"),
            format!("{pod}|"),
        ]
    );
    assert_eq!(
        sink.rows,
        [(0, NS, "boom".to_owned()), (1, NS, r#"{"msg":"hi","n":2}"#.to_owned()), (2, 1, "device.started".to_owned())]
    );
}

#[test]
fn an_exception_is_lines_below_its_record() {
    let of = |attributes: &Value| {
        let record = json!({"timeUnixNano": NS, "body": {"stringValue": "boom"}, "attributes": attributes});
        let body = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).to_string();
        let (counts, sink) = logs(&body);
        assert_eq!((counts.unwrap().rejected, sink.streams.len()), (Some(0), 1));
        sink.rows.into_iter().map(|(_, _, line)| line).collect::<Vec<_>>()
    };
    let (kind, message) = (("exception.type", "java.io.IOException"), ("exception.message", "no route"));
    assert_eq!(of(&attributes(&[kind, message])), ["boom", "java.io.IOException: no route"]);
    assert_eq!(of(&attributes(&[message])), ["boom", "no route"]);
    let trace = ("exception.stacktrace", "java.io.IOException: no route\r\n\n\tat shop.Db.open(Db.java:3)\n");
    let expected = ["boom", "java.io.IOException: no route", "\tat shop.Db.open(Db.java:3)"];
    assert_eq!(of(&attributes(&[kind, message, trace])), expected);
    let long = "x\n".repeat(1000);
    assert_eq!(of(&attributes(&[("exception.stacktrace", &long)])).len(), 257);
}

#[test]
fn records_as_protobuf() {
    let fixed = |field: u64, n: i64| [varint(field * 8 + 1), n.to_le_bytes().to_vec()].concat();
    let pair = |k: &str, v: &str| [bytes(1, k), bytes(2, bytes(1, v))].concat();
    let record = [
        bytes(9, [0x5b, 0x0f]),
        bytes(6, pair("http.route", "/")),
        bytes(5, bytes(7, b"foo")),
        int(2, 9),
        bytes(3, "INFO"),
        fixed(11, 5),
        fixed(1, NS),
        bytes(99, "new"),
    ];
    let resource = bytes(1, bytes(1, pair("k8s.pod.name", "cart-0")));
    let body = bytes(1, [bytes(2, bytes(2, record.concat())), resource].concat());
    let mut sink = Lines::default();
    let counts = decode_logs_proto(&body, &mut sink).unwrap();
    assert_eq!((counts.rows, counts.rejected), (1, Some(0)));
    assert_eq!(sink.streams, ["pod=cart-0|http_route=/,level=info,trace_id=5b0f"]);
    assert_eq!(sink.rows, [(0, NS, "Zm9v".to_owned())]);
    let mut sink = Lines { refuse: true, ..Lines::default() };
    assert_eq!(decode_logs_proto(&body, &mut sink).unwrap().rejected, Some(1));
    assert_eq!(sink.refused, 1);
}

#[test]
fn answers_in_both_encodings() {
    use Encoding::{Json, Proto};
    assert_eq!(accepted(Signal::Metrics, Json, None), "{}");
    assert_eq!(accepted(Signal::Logs, Proto, None), "");
    let partial: Value = serde_json::from_slice(&accepted(Signal::Metrics, Json, Some((300, "why")))).unwrap();
    assert_eq!(partial, json!({"partialSuccess": {"rejectedDataPoints": "300", "errorMessage": "why"}}));
    let proto = bytes(1, [int(1, 300), bytes(2, "why")].concat());
    assert_eq!(accepted(Signal::Logs, Proto, Some((300, "why"))), proto);
    let full: Value = serde_json::from_slice(&status(Json, Code::Unavailable, "full")).unwrap();
    assert_eq!(full, json!({"code": 14, "message": "full"}));
    assert_eq!(status(Proto, Code::InvalidArgument, "bad"), [int(1, 3), bytes(2, "bad")].concat());
}

#[test]
fn reads_what_the_sdk_for_python_sent() {
    let (counts, rows) =
        metrics(|sink| decode_metrics_proto(include_bytes!("../../../../fixtures/wire/otlp_metrics.bin"), sink));
    let counts = counts.unwrap();
    assert_eq!((counts.rows, counts.rejected), (23, Some(0)));
    let pod = "container=app";
    let of = "instance=http-none,job=shop/cart";
    let at = "namespace=team-cart,pod=cart-0";
    let duration = "http_server_duration_seconds";
    for expected in [
        format!("http_server_requests_total{{{pod},http_method=GET,{of},{at}}} 5"),
        format!("http_server_requests_total{{{pod},http_method=POST,{of},{at}}} 2"),
        format!("{duration}_sum{{{pod},{of},{at},route=/}} 7.703"),
        format!("{duration}_bucket{{{pod},{of},le=5,{at},route=/}} 2"),
        format!("{duration}_bucket{{{pod},{of},le=10,{at},route=/}} 3"),
        format!("{duration}_bucket{{{pod},{of},le=+Inf,{at},route=/}} 3"),
        format!("queue_size{{{pod},{of},{at}}} 4"),
        format!("memory_usage_bytes{{{pod},{of},{at}}} 1234.5"),
        format!(
            "target_info{{{pod},{of},k8s_container_name=app,k8s_namespace_name=team-cart,k8s_pod_name=cart-0,{at},\
             telemetry_sdk_language=python,telemetry_sdk_name=opentelemetry,telemetry_sdk_version=1.45.2}} 1"
        ),
    ] {
        assert!(rows.contains(&expected), "{expected} in {rows:#?}");
    }
    let mut sink = Lines::default();
    let counts = decode_logs_proto(include_bytes!("../../../../fixtures/wire/otlp_logs.bin"), &mut sink).unwrap();
    assert_eq!((counts.rows, counts.rejected), (8, Some(0)));
    let lines: Vec<&str> = sink.rows.iter().map(|(_, _, line)| line.as_str()).collect();
    assert_eq!(lines[..4], ["started", "no route to db:5432", "it broke", "Traceback (most recent call last):"]);
    assert_eq!(lines[4..6], ["  File \"/srv/app/send.py\", line 65, in <module>", "    1 / 0"]);
    assert_eq!(lines[7..], ["ZeroDivisionError: division by zero"]);
    assert!(sink.rows.iter().all(|(_, ts, _)| (SENT..SENT + 60_000_000_000).contains(ts)));
    for (stream, level) in sink.streams.iter().zip(["info", "error", "error"]) {
        assert!(stream.starts_with("container=app,namespace=team-cart,pod=cart-0,service_name=cart|"), "{stream}");
        assert!(stream.contains(&format!(",level={level}")), "{stream}");
    }
    assert!(sink.streams[2].contains("exception_type=ZeroDivisionError"));
}

#[test]
fn truncation_at_every_byte_never_panics() {
    let mut text = String::new();
    for n in 0..3 {
        let _ = write!(text, "{n}");
    }
    let point = json!({"asInt": 1, "timeUnixNano": NS, "attributes": attributes(&[("a", &text)])});
    let body =
        request(&attributes(&[("service.name", "x")]), &json!([{"name": "up", "gauge": {"dataPoints": [point]}}]));
    let proto = proto_of(&body);
    let json = body.to_string();
    for end in 0..proto.len() {
        let _ = decode_metrics_proto(&proto[..end], &mut Samples::default());
        let _ = decode_logs_proto(&proto[..end], &mut Lines::default());
    }
    for end in 0..json.len() {
        assert!(decode_metrics_json(&json.as_bytes()[..end], &mut Samples::default()).is_err(), "{end}");
    }
}

proptest! {
    #[test]
    fn any_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode_metrics_proto(&body, &mut Samples::default());
        let _ = decode_logs_proto(&body, &mut Lines::default());
        let _ = decode_metrics_json(&body, &mut Samples::default());
        let _ = decode_logs_json(&body, &mut Lines::default());
        for nested in [bytes(5, &body), bytes(7, &body), bytes(9, &body), bytes(11, &body)] {
            let _ = decode_metrics_proto(&bytes(1, bytes(2, bytes(2, nested))), &mut Samples::default());
        }
    }

    #[test]
    fn a_value_of_any_text_survives(value in ".+", name in "[a-z]{1,5}(\\.[a-z]{1,5}){0,2}") {
        let point = json!({"asInt": 1, "timeUnixNano": NS, "attributes": attributes(&[("k", &value)])});
        let body = request(&json!([]), &json!([{"name": name, "gauge": {"dataPoints": [point]}}]));
        check(&body, &[&format!("{}{{k={value}}} 1", name.replace('.', "_"))]);
    }
}
