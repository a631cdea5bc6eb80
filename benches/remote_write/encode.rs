//! Remote write as a Prometheus sends it that scrapes the kubelets of a cluster: twelve labels a series, twenty series a
//! pod, a sample each fifteen seconds.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::server::Push;

const SAMPLES_OF_PUSH: usize = 2_000;
const SERIES_OF_POD: usize = 20;
const STEP_MS: i64 = 15_000;

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Version {
    One,
    Two,
}

/// In which order the series of a round come.
#[derive(Clone, Copy)]
pub(crate) enum Order {
    Same,
    Shuffled,
}

#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) series: usize,
    pub(crate) rounds: usize,
    pub(crate) order: Order,
    pub(crate) version: Version,
}

/// Splitmix64.
fn mixed(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ n >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ n >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ n >> 31
}

fn labels(series: usize) -> [(&'static str, String); 12] {
    let (pod, metric) = (series / SERIES_OF_POD, series % SERIES_OF_POD);
    let (app, namespace, node) = (pod % 300, pod % 60, pod / 40);
    let text = |s: &str| s.to_owned();
    [
        ("__name__", format!("container_metric_{metric}_total")),
        ("cluster", text("production")),
        ("container", format!("app-{app}")),
        ("endpoint", text("https-metrics")),
        ("image", format!("registry.example/team-{}/app-{app}:v1.{}.0", namespace % 12, mixed(app as u64) % 40)),
        ("instance", format!("10.{}.{}.{}:10250", node >> 16, node >> 8 & 255, node & 255)),
        ("job", text("kubelet")),
        ("metrics_path", text("/metrics/cadvisor")),
        ("namespace", format!("team-{}-{namespace}", namespace % 12)),
        ("node", format!("node-{node}.eu.compute.internal")),
        ("pod", format!("app-{app}-{:08x}-{:05x}", mixed(app as u64) as u32, pod)),
        ("service", text("prometheus-kubelet")),
    ]
}

/// Counters with and without a fraction, sizes and small numbers.
fn value(series: usize, round: usize) -> f64 {
    let (own, noise) = (mixed(series as u64), mixed(((series * 1_000_003) ^ round) as u64));
    match series % 4 {
        0 => round as f64 * 3.75 + (noise % 1000) as f64 / 1000.0,
        1 => (100_000_000 + own % 1_000_000_000 + noise % 1_000_000) as f64,
        2 => (round as u64 * (10 + own % 100)) as f64,
        _ => (noise % 300) as f64,
    }
}

/// The labels of each series, made once: as the fields of 1.0, or as the texts that are symbols of 2.0.
enum Labels {
    Fields(Vec<Vec<u8>>),
    Texts(Vec<[String; 24]>),
}

impl Labels {
    fn of(load: &Load) -> Self {
        let all = (0..load.series).map(labels);
        match load.version {
            Version::One => Self::Fields(all.map(fields).collect()),
            Version::Two => Self::Texts(all.map(texts).collect()),
        }
    }
}

fn fields(labels: [(&str, String); 12]) -> Vec<u8> {
    let mut fields = Vec::new();
    for (name, value) in labels {
        let mut label = Vec::new();
        field(&mut label, 1, name.as_bytes());
        field(&mut label, 2, value.as_bytes());
        field(&mut fields, 1, &label);
    }
    fields
}

fn texts(labels: [(&str, String); 12]) -> [String; 24] {
    let mut texts = labels.into_iter().flat_map(|(name, value)| [name.to_owned(), value]);
    std::array::from_fn(|_| texts.next().unwrap_or_default())
}

impl Load {
    /// All its pushes, the newest as of now.
    pub(crate) fn pushes(&self) -> Vec<Push> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
        let mut order: Vec<usize> = (0..self.series).collect();
        let mut pushes = Vec::new();
        let all = Labels::of(self);
        for round in 0..self.rounds {
            if let Order::Shuffled = self.order {
                for last in (1..order.len()).rev() {
                    order.swap(last, (mixed((round * self.series + last) as u64) % (last as u64 + 1)) as usize);
                }
            }
            let at = now - (self.rounds - round) as i64 * STEP_MS;
            pushes.extend(order.chunks(SAMPLES_OF_PUSH).map(|series| self.push(&all, series, round, at)));
        }
        pushes
    }

    fn push(&self, all: &Labels, series: &[usize], round: usize, at: i64) -> Push {
        // All of a pod have one time.
        let sample = |n: usize| (at + (n / SERIES_OF_POD % 1000) as i64, value(n, round));
        let (message, headers) = match all {
            Labels::Fields(fields) => (version1(series, fields, sample), "content-type: application/x-protobuf\r\n"),
            Labels::Texts(texts) => (
                version2(series, texts, sample),
                "content-type: application/x-protobuf;proto=io.prometheus.write.v2.Request\r\n",
            ),
        };
        let body = snap::raw::Encoder::new().compress_vec(&message).unwrap();
        Push { path: "/api/v1/write", headers, body }
    }
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

/// The sample of a series, as field 2 of both versions.
fn sample(out: &mut Vec<u8>, (ms, value): (i64, f64)) {
    let mut inner = vec![1 << 3 | 1];
    inner.extend_from_slice(&value.to_le_bytes());
    inner.push(2 << 3);
    varint(&mut inner, ms.cast_unsigned());
    field(out, 2, &inner);
}

fn version1(series: &[usize], fields: &[Vec<u8>], of: impl Fn(usize) -> (i64, f64)) -> Vec<u8> {
    let mut message = Vec::new();
    for n in series {
        let mut inner = fields[*n].clone();
        sample(&mut inner, of(*n));
        field(&mut message, 1, &inner);
    }
    message
}

fn version2(series: &[usize], texts: &[[String; 24]], of: impl Fn(usize) -> (i64, f64)) -> Vec<u8> {
    let mut symbols = vec![""];
    let mut numbers: HashMap<&str, u64> = HashMap::from([("", 0)]);
    let mut body = Vec::new();
    for n in series {
        let mut refs = Vec::new();
        for text in &texts[*n] {
            let number = *numbers.entry(text).or_insert_with_key(|text| {
                symbols.push(text);
                symbols.len() as u64 - 1
            });
            varint(&mut refs, number);
        }
        let mut inner = Vec::new();
        field(&mut inner, 1, &refs);
        sample(&mut inner, of(*n));
        // What Prometheus says of each: a counter, without words.
        field(&mut inner, 5, &[1 << 3, 1]);
        field(&mut body, 5, &inner);
    }
    let mut message = Vec::new();
    symbols.iter().for_each(|symbol| field(&mut message, 4, symbol.as_bytes()));
    message.extend_from_slice(&body);
    message
}
