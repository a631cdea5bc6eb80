//! The same samples into whyd and into the real Prometheus, and the same queries to both: the answers agree to 1e-9.
//!
//! The arithmetic is that of Debian's Prometheus, 2.42. Later ones differ in the open start of ranges (3.0) and in the
//! compensated sums of `sum` and `avg` (2.53 and later).

mod prometheus;
mod queries;
mod samples;
mod written;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use serde_json::Value;
use tower::ServiceExt;
use whyd::capture::Capture;
use whyd::config::ConfigFile;
use whyd::log_health::LogShown;
use whyd::view::{Shown, View};
use whyd::{replay, wiring};
use whyd_api::{Anonymous, Api, Door, Grant};
use whyd_signals::{Access, Compression, Envelope, Media};

use prometheus::Prometheus;
use queries::{Queries, Query};

/// `PROMQL_SEED` in the environment sets another, which makes other samples and asks other queries.
const SEED: u64 = 42;
const QUERIES: usize = 150;
const TOLERANCE: f64 = 1e-9;

fn capture() -> Vec<Envelope> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/captures/oom-limit");
    Capture::open(path).unwrap().messages().unwrap()
}

/// The metrics of a capture and generated ones, in order of receipt, and when they begin.
fn bodies(seed: u64) -> (Vec<Envelope>, i64) {
    let mut bodies: Vec<Envelope> =
        capture().into_iter().filter(|m| m.media == Media::RemoteWrite1(Compression::Snappy)).collect();
    let start = bodies.first().unwrap().received.nanos() / 1_000_000;
    bodies.extend(samples::generated(start, seed));
    bodies.sort_by_key(|m| m.received);
    (bodies, start)
}

/// whyd's API over these messages, in this process.
fn whyd(messages: Vec<Envelope>, grants: Vec<Grant>) -> Router {
    let config = ConfigFile::default().validate().unwrap();
    let outcome = replay::run(wiring::core(&config), messages, config.lateness);
    assert!(outcome.problems.is_empty(), "{:?}", outcome.problems);
    let view = Arc::new(View::new(Shown::of(&outcome.core, LogShown::default())));
    view.ready();
    let (door, now) = (Door::new(Anonymous::All, grants).unwrap(), outcome.at);
    whyd_api::router(Api::new(view, door, Arc::new(move || now)), Router::new())
}

async fn ask(router: &Router, path: &str, form: &str) -> (u16, Value) {
    let request = Request::post(format!("/prometheus/api/v1/{path}"));
    let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let answer = router.clone().oneshot(request.body(Body::from(form.to_owned())).unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_agree_with_the_real_prometheus() {
    let seed = std::env::var("PROMQL_SEED").map_or(SEED, |seed| seed.parse().unwrap());
    let mut real = Prometheus::start().await;
    let (bodies, start) = bodies(seed);
    for body in &bodies {
        real.write(&body.body).await;
    }
    let whyd = whyd(bodies, Vec::new());

    // Names first: both hold the same series.
    for path in ["labels", "series"] {
        let form = "match%5B%5D=%7B__name__%3D~%22.%2B%22%7D";
        let (ours, theirs) = (ask(&whyd, path, form).await, real.ask(path, form).await);
        let sorted = |v: &Value| {
            let mut all: Vec<String> = v["data"].as_array().unwrap().iter().map(Value::to_string).collect();
            all.sort();
            all
        };
        assert_eq!(sorted(&ours.1), sorted(&theirs.1), "{path}");
    }

    let mut queries = Queries::new(seed, start);
    let (mut answered, mut values, mut wrong) = (0, 0, Vec::new());
    for n in 0..QUERIES {
        let query = queries.next_query();
        let (path, form) = query.request();
        let (ours, theirs) = (ask(&whyd, path, &form).await, real.ask(path, &form).await);
        match differ(&query, &ours, &theirs) {
            Ok(compared) => {
                answered += usize::from(compared > 0);
                values += compared;
            }
            Err(why) => wrong.push(format!("seed {seed}, query {n}: {query:?}\n  {why}")),
        }
    }
    for query in written(start) {
        let (path, form) = query.request();
        let (ours, theirs) = (ask(&whyd, path, &form).await, real.ask(path, &form).await);
        // What is not supported is refused, whatever is asked of it.
        if ours.1["error"].as_str().is_some_and(|why| why.contains("is not supported by whyd")) {
            assert_eq!(ours.0, 400, "{query:?}");
        } else if let Err(why) = differ(&query, &ours, &theirs) {
            wrong.push(format!("{query:?}\n  {why}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(answered * 10 >= QUERIES * 8, "only {answered} of {QUERIES} queries gave values");
    assert!(values > 10_000, "only {values} values were compared");
}

/// The queries of [`written`] at an instant within the samples.
fn written(start: i64) -> Vec<Query> {
    let plain = written::QUERIES.iter().map(|text| (*text).to_owned());
    let words = written::WORDS.iter().flat_map(|word| written::PLACES.iter().map(|place| place.replace('@', word)));
    let patterns = written::PATTERNS.iter().flat_map(|pattern| {
        let quoted = pattern.replace('\\', "\\\\");
        [format!("gen_zone{{zone=~\"{quoted}\"}}"), format!("gen_zone{{zone!~\"{quoted}\"}}")]
    });
    plain.chain(words).chain(patterns).map(|text| Query::at(text, start + 600_000)).collect()
}

/// A time, a value and its text.
type Sample = (f64, f64, String);
/// Each series by its labels, in the order of the answer.
type Answer = Vec<(BTreeMap<String, String>, Vec<Sample>)>;

fn answer(data: &Value) -> Answer {
    let sample = |s: &Value| {
        let text = s[1].as_str().unwrap();
        (s[0].as_f64().unwrap(), text.replace("Inf", "inf").parse().unwrap(), text.to_owned())
    };
    if data["resultType"] == "scalar" {
        return vec![(BTreeMap::new(), vec![sample(&data["result"])])];
    }
    let one = |series: &Value| {
        let labels = serde_json::from_value(series["metric"].clone()).unwrap();
        let values = series.get("values").map_or_else(
            || vec![sample(&series["value"])],
            |values| values.as_array().unwrap().iter().map(sample).collect(),
        );
        (labels, values)
    };
    data["result"].as_array().unwrap().iter().map(one).collect()
}

fn near(a: f64, b: f64) -> bool {
    a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= TOLERANCE * a.abs().max(b.abs())
}

/// What a number looks like, whatever its digits are.
fn shape(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect()
}

/// How many values agree, or the first thing that does not.
fn differ(query: &Query, ours: &(u16, Value), theirs: &(u16, Value)) -> Result<usize, String> {
    let kind = |a: &(u16, Value)| (a.0, a.1["errorType"].clone());
    if kind(ours) != kind(theirs) {
        return Err(format!("whyd {:?} {}, Prometheus {:?} {}", ours.0, ours.1["error"], theirs.0, theirs.1["error"]));
    }
    if ours.0 != 200 {
        return Ok(0);
    }
    if ours.1["data"]["resultType"] != theirs.1["data"]["resultType"] {
        return Err("the types differ".to_owned());
    }
    let (mut a, mut b) = (answer(&ours.1["data"]), answer(&theirs.1["data"]));
    // Without an order of its own an instant vector is in that of the storage.
    if !query.ordered {
        a.sort_by(|x, y| x.0.cmp(&y.0));
        b.sort_by(|x, y| x.0.cmp(&y.0));
    }
    if a.len() != b.len() {
        return Err(format!("{} series, not {}", a.len(), b.len()));
    }
    let mut compared = 0;
    for ((labels, values), (other, others)) in a.iter().zip(&b) {
        if labels != other {
            return Err(format!("{labels:?}, not {other:?}"));
        }
        if values.len() != others.len() {
            return Err(format!("{labels:?}: {} values, not {}", values.len(), others.len()));
        }
        for (x, y) in values.iter().zip(others) {
            // Where the numbers are the same, so is how they are written, up to the last of seventeen digits: halfway
            // between two of them the one rounds up and the other to the even one, and both are read as the same number.
            let written = x.1.to_bits() != y.1.to_bits() || shape(&x.2) == shape(&y.2);
            if (x.0 - y.0).abs() > 1e-6 || !near(x.1, y.1) || !written {
                return Err(format!("{labels:?}: {x:?}, not {y:?}"));
            }
            compared += 1;
        }
    }
    Ok(compared)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_team_sees_its_own_series_alone() {
    let whyd = whyd(capture(), vec![Grant::new("cart", Access::team("cart"))]);
    let everything = "match%5B%5D=%7B__name__%3D~%22.%2B%22%7D";
    let namespaces = async |token: Option<&str>| {
        let mut request = Request::get(format!("/prometheus/api/v1/series?{everything}"));
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let answer = whyd.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let body: Value = serde_json::from_slice(&to_bytes(answer.into_body(), usize::MAX).await.unwrap()).unwrap();
        let series = body["data"].as_array().unwrap().clone();
        let text = |s: &Value, label: &str| s[label].as_str().unwrap_or_default().to_owned();
        let own = series.iter().filter(|s| text(s, "__name__").starts_with("whyd_restart_total")).count();
        (series.iter().map(|s| text(s, "namespace")).collect::<BTreeSet<_>>(), own)
    };
    let (all, restarts) = namespaces(None).await;
    assert!(all.len() > 1 && all.contains("team-cart") && restarts > 0, "{all:?} {restarts}");
    let (own, restarts) = namespaces(Some("cart")).await;
    assert_eq!(own, BTreeSet::from(["team-cart".to_owned()]));
    assert!(restarts > 0);
}
