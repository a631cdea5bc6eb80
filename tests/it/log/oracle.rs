//! What is sent in a simulation, and what has to be seen of it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde_json::json;
use whyd_collector::wire::kube::slim;
use whyd_core::Core;
use whyd_signals::{Access, Compression, Media, Resource, Timestamp, Verb};

use super::random::Random;

const SERIES: usize = 5;
const PODS: usize = 3;
const NAMESPACE: &str = "team-pay";
/// How many namespaces come and go, one after another and then again.
const SPACES: i64 = 40;
/// How long each is there.
const SPACE_LASTS: i64 = 900_000;

/// Where rows of `ms` are, where namespaces come and go.
pub(super) fn space_at(ms: i64) -> i64 {
    ms / SPACE_LASTS % SPACES + 1
}

/// The namespace of this number; all pods are in the first.
fn space_name(space: i64) -> String {
    if space == 0 { NAMESPACE.to_owned() } else { format!("{NAMESPACE}-{space}") }
}

fn space_of(namespace: &str) -> i64 {
    namespace.strip_prefix(NAMESPACE).unwrap().strip_prefix('-').map_or(0, |n| n.parse().unwrap())
}

/// One row, as it is told apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Row {
    Sample { space: i64, series: usize, ms: i64, bits: u64 },
    Line { space: i64, pod: usize, ns: i64, text: String },
    Pod { pod: usize, version: u64 },
}

/// A body and the rows in it.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) media: Media,
    pub(super) body: Bytes,
    rows: Vec<Row>,
}

fn pod_name(pod: usize) -> String {
    format!("web-{pod}")
}

impl Message {
    /// Samples, lines or a pod around `now`, some of them late, in this namespace.
    pub(super) fn any(random: &mut Random, now: Timestamp, space: i64) -> Self {
        let late = if random.one_in(4) { random.below(500_000) as i64 } else { random.below(3000) as i64 };
        let ms = now.0 / 1_000_000 - late;
        match random.below(5) {
            0 | 1 => Self::samples(random, ms, space),
            2 | 3 => Self::lines(random, ms, space),
            _ => Self::pod(random),
        }
    }

    fn samples(random: &mut Random, ms: i64, space: i64) -> Self {
        let (mut message, mut rows) = (Vec::new(), BTreeSet::new());
        for _ in 0..1 + random.below(4) {
            let series = random.below(SERIES);
            let ms = ms - random.below(3) as i64;
            let mut one = labels(series, space);
            if rows.insert(sample(&mut one, (space, series), ms)) {
                field(&mut message, 0x0a, &one);
            }
        }
        let body = snap::raw::Encoder::new().compress_vec(&message).unwrap().into();
        Self { media: Media::RemoteWrite1(Compression::Snappy), body, rows: rows.into_iter().collect() }
    }

    /// So many samples of one series, a millisecond apart.
    pub(super) fn run(series: usize, from_ms: i64, count: i64) -> Self {
        let mut one = labels(series, 0);
        let mut rows = Vec::new();
        for ms in from_ms..from_ms + count {
            rows.push(sample(&mut one, (0, series), ms));
        }
        let mut message = Vec::new();
        field(&mut message, 0x0a, &one);
        let body = snap::raw::Encoder::new().compress_vec(&message).unwrap().into();
        Self { media: Media::RemoteWrite1(Compression::Snappy), body, rows }
    }

    fn lines(random: &mut Random, ms: i64, space: i64) -> Self {
        let pod = random.below(PODS);
        let mut rows = Vec::new();
        let mut values = Vec::new();
        for n in 0..1 + random.below(4) {
            let (ns, text) = (ms * 1_000_000 + n as i64, format!("line {:x}", random.next()));
            values.push(json!([ns.to_string(), text]));
            rows.push(Row::Line { space, pod, ns, text });
        }
        let stream = json!({"namespace": space_name(space), "pod": pod_name(pod), "container": "app"});
        let body = json!({"streams": [{"stream": stream, "values": values}]}).to_string();
        Self { media: Media::LokiJson, body: body.into(), rows }
    }

    fn pod(random: &mut Random) -> Self {
        let (pod, version) = (random.below(PODS), random.next() >> 1);
        let object = json!({"metadata": {
            "name": pod_name(pod), "namespace": NAMESPACE, "uid": format!("uid-{pod}-{version}"),
            "resourceVersion": version.to_string(), "creationTimestamp": "2026-01-01T00:00:00Z",
        }});
        let body = slim(Resource::Pods, object.to_string().as_bytes()).unwrap();
        Self { media: Media::Kube(Resource::Pods, Verb::Apply), body, rows: vec![Row::Pod { pod, version }] }
    }
}

/// All that was sent and all that was acknowledged.
#[derive(Default)]
pub(super) struct Oracle {
    tried: BTreeSet<Row>,
    acknowledged: BTreeSet<Row>,
}

impl Oracle {
    pub(super) fn tried(&mut self, message: &Message) {
        self.tried.extend(message.rows.iter().cloned());
    }

    /// How many namespaces had rows that were acknowledged.
    pub(super) fn spaces(&self) -> usize {
        let space = |row: &Row| match row {
            Row::Sample { space, .. } | Row::Line { space, .. } => *space,
            Row::Pod { .. } => 0,
        };
        self.acknowledged.iter().map(space).collect::<BTreeSet<_>>().len()
    }

    pub(super) fn acknowledged(&mut self, message: &Message) {
        self.acknowledged.extend(message.rows.iter().cloned());
    }

    /// What readers see is all that was acknowledged, once, and nothing that nobody sent; what is older than `since` may be
    /// gone. Gives how much that is.
    pub(super) fn check(&self, core: &Core, since: Timestamp, why: &str) -> u64 {
        let scoped = core.snapshot().scoped(&Access::All);
        let mut seen: BTreeMap<Row, usize> = BTreeMap::new();
        for (id, meta) in scoped.all_series() {
            let series = meta.name.strip_prefix('m').and_then(|n| n.parse().ok()).unwrap();
            for sample in scoped.slice(id, Timestamp::MIN, Timestamp::MAX) {
                let (ms, bits) = (sample.ts.0 / 1_000_000, sample.value.to_bits());
                *seen.entry(Row::Sample { space: space_of(&meta.namespace), series, ms, bits }).or_default() += 1;
            }
        }
        let samples = seen.len() as u64;
        for (space, pod) in (0..=SPACES).flat_map(|space| (0..PODS).map(move |pod| (space, pod))) {
            for line in scoped.lines_of(&space_name(space), &pod_name(pod), "", Timestamp::MIN, Timestamp::MAX) {
                *seen.entry(Row::Line { space, pod, ns: line.ts.0, text: line.line }).or_default() += 1;
            }
        }
        let (lines, stats) = (seen.len() as u64 - samples, core.stats());
        for space in scoped.cluster().namespaces() {
            for uid in space.pods.keys() {
                let mut parts = uid.split('-').skip(1).map(|n| n.parse::<u64>().unwrap());
                let (pod, version) = (parts.next().unwrap() as usize, parts.next().unwrap());
                *seen.entry(Row::Pod { pod, version }).or_default() += 1;
            }
        }
        assert_eq!((stats.samples_held, stats.lines_held), (samples, lines), "{why}: rows that are held twice");
        for (row, times) in &seen {
            assert_eq!(*times, 1, "{why}: {row:?}");
            assert!(self.tried.contains(row), "{why}: nobody sent {row:?}");
        }
        let lasts = |row: &&Row| match row {
            Row::Sample { ms, .. } => ms.saturating_mul(1_000_000) >= since.0,
            Row::Line { ns, .. } => *ns >= since.0,
            Row::Pod { .. } => since == Timestamp::MIN,
        };
        let lost: Vec<&Row> = self.acknowledged.iter().filter(lasts).filter(|row| !seen.contains_key(row)).collect();
        assert!(lost.is_empty(), "{why}: lost {lost:?}");
        seen.len() as u64
    }
}

fn labels(series: usize, space: i64) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in [("__name__", format!("m{series}")), ("namespace", space_name(space))] {
        let mut label = Vec::new();
        field(&mut label, 0x0a, name.as_bytes());
        field(&mut label, 0x12, value.as_bytes());
        field(&mut out, 0x0a, &label);
    }
    out
}

/// The same time has the same value, whoever sends it.
fn sample(out: &mut Vec<u8>, (space, series): (i64, usize), ms: i64) -> Row {
    let value = (ms % 1000) as f64 + series as f64;
    let mut sample = vec![0x09];
    sample.extend_from_slice(&value.to_le_bytes());
    sample.push(0x10);
    varint(&mut sample, ms as u64);
    field(out, 0x12, &sample);
    Row::Sample { space, series, ms, bits: value.to_bits() }
}

fn field(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}
