//! Scenarios of our own for what no capture shows: built from the objects and messages that the Kubernetes sources
//! document, each marked as synthetic and naming them. `fixtures/scenarios/README.md` has the format.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use whyd::config::ConfigFile;
use whyd::replay::Replay;
use whyd::suspects::Most;
use whyd::{replay, suspects, wiring};
use whyd_api::WrongAt;
use whyd_api::alertmanager::outbox::Settings;
use whyd_api::alertmanager::{Outbox, Sight};
use whyd_collector::wire::kube::{envelope, listed, slim};
use whyd_correlate::cohorts;
use whyd_signals::schema::{Incident, Shared};
use whyd_signals::{Access, Compression, Envelope, Media, Resource, Timestamp, Verb, causes};

use crate::checkpoints::ends_the_same;
use crate::variants::{Random, SEEDS, shuffled};

const NAMESPACE: &str = "team-shop";
/// Second 0 of every scenario.
const START: &str = "2026-01-01T00:00:00Z";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    /// What happens, for people.
    about: String,
    /// Where Kubernetes says so.
    source: String,
    /// Resources that are not watched.
    #[serde(default)]
    unwatched: Vec<String>,
    /// Whether it is played shuffled, doubled and interrupted, too.
    #[serde(default)]
    twins: bool,
    steps: Vec<Step>,
    expect: Expect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// Seconds from the start.
    at: u64,
    /// An object, merged into what it was before.
    apply: Option<Value>,
    /// `Kind/name`.
    delete: Option<String>,
    event: Option<EventStep>,
    log: Option<LogStep>,
    metric: Option<MetricStep>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventStep {
    /// `Kind/name`, with `/container` for one of a pod.
    about: String,
    reason: String,
    message: String,
    #[serde(default = "one")]
    count: i64,
    /// When it first happened, in seconds from the start.
    first: Option<u64>,
}

fn one() -> i64 {
    1
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogStep {
    namespace: Option<String>,
    pod: String,
    container: String,
    line: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MetricStep {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    rows: Vec<Row>,
    incidents: Vec<Told>,
    /// What is told to be shared, as `kind value` with the version where there is one; all of it, where that is said.
    cohorts: Option<Vec<String>>,
    /// Alerts that are told, where that is said.
    alerts: Option<Alerts>,
    /// Who is ranked first when the last message came, where that is said.
    suspect: Option<First>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct First {
    name: String,
    /// Words that a reason must hold.
    says: Vec<String>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Alerts {
    /// In all, over the time of the scenario.
    told: usize,
    /// Those that fire when the last message came, in order: the team, and the root of the incident.
    firing: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// The pod's name; absent where none was made.
    pod: Option<String>,
    container: Option<String>,
    exit: Option<i32>,
    cause: String,
    /// Where it is not the cause.
    mechanism: Option<String>,
    /// `Kind/name`.
    root: String,
    /// Causes that must be ruled out.
    #[serde(default)]
    ruled_out: Vec<String>,
    #[serde(default)]
    missing: Vec<String>,
    /// Words that the text of an item of evidence must hold, or a line of its.
    #[serde(default)]
    shows: Vec<String>,
    /// Words that the summary must hold.
    #[serde(default)]
    says: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    cause: String,
    root: String,
    /// Whose it is, where that is said.
    team: Option<String>,
    /// Of how many incidents it is made.
    #[serde(default)]
    parts: usize,
    /// Whether it is part of another.
    #[serde(default)]
    part: bool,
    /// Words that the summary must hold.
    #[serde(default)]
    says: Vec<String>,
}

/// A list item with `each` stands for as many as that names, in which `$each` is the name; `a-1..3` are `a-1` to `a-3`.
fn repeated(items: &mut Value) {
    let Value::Array(list) = items else { return };
    let mut all = Vec::new();
    for mut item in std::mem::take(list) {
        let Some(Value::Array(names)) = item.as_object_mut().and_then(|o| o.remove("each")) else {
            all.push(item);
            continue;
        };
        for name in names.iter().flat_map(|name| named_by(name.as_str().expect("a name"))) {
            let mut one = item.clone();
            put_name(&mut one, &name);
            all.push(one);
        }
    }
    *list = all;
}

fn named_by(name: &str) -> Vec<String> {
    let range = name.rsplit_once('-').and_then(|(of, range)| {
        let (from, to) = range.split_once("..")?;
        Some((of, from.parse::<u32>().ok()?, to.parse::<u32>().ok()?))
    });
    range.map_or_else(|| vec![name.to_owned()], |(of, from, to)| (from..=to).map(|n| format!("{of}-{n}")).collect())
}

fn put_name(value: &mut Value, name: &str) {
    match value {
        Value::String(text) => *text = text.replace("$each", name),
        Value::Array(items) => items.iter_mut().for_each(|item| put_name(item, name)),
        Value::Object(fields) => fields.values_mut().for_each(|field| put_name(field, name)),
        _ => {}
    }
}

fn at(second: u64) -> Timestamp {
    Timestamp::parse(START).unwrap().plus(Duration::from_secs(second))
}

/// Every `T+n` becomes the time n seconds from the start, as the API server writes it.
fn with_times(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some(second) = text.strip_prefix("T+").and_then(|n| n.parse().ok()) {
                *text = whole(second);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(with_times),
        Value::Object(fields) => fields.values_mut().for_each(with_times),
        _ => {}
    }
}

fn whole(second: u64) -> String {
    format!("{}Z", at(second).to_string().split('.').next().unwrap())
}

/// JSON merge patch (RFC 7386); lists whose items have a name or type are merged item by item.
fn merge(into: &mut Value, patch: Value) {
    match (into, patch) {
        (Value::Object(into), Value::Object(patch)) => {
            for (key, value) in patch {
                if value.is_null() {
                    into.remove(&key);
                } else {
                    merge(into.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (Value::Array(into), Value::Array(patch)) if patch.iter().all(|p| named(p).is_some()) => {
            for item in patch {
                match into.iter_mut().find(|i| named(i) == named(&item)) {
                    Some(known) => merge(known, item),
                    None => into.push(item),
                }
            }
        }
        (into, patch) => *into = patch,
    }
}

fn named(item: &Value) -> Option<&Value> {
    item.get("name").or_else(|| item.get("type"))
}

/// The objects as they are now.
#[derive(Default)]
struct Cluster {
    objects: BTreeMap<String, Value>,
    version: u64,
}

impl Cluster {
    fn apply(&mut self, second: u64, mut patch: Value) -> Envelope {
        with_times(&mut patch);
        let kind = patch["kind"].as_str().expect("a kind").to_owned();
        let name = patch["metadata"]["name"].as_str().expect("metadata.name").to_owned();
        let resource = resource_of(&kind);
        let object = self.objects.entry(format!("{kind}/{name}")).or_insert_with(|| {
            let mut meta = Map::new();
            meta.insert("uid".into(), json!(uid(&kind, &name)));
            meta.insert("creationTimestamp".into(), json!(whole(second)));
            meta.insert("generation".into(), json!(1));
            if !matches!(resource, Resource::Nodes | Resource::Namespaces) {
                meta.insert("namespace".into(), json!(NAMESPACE));
            }
            json!({"kind": kind, "metadata": meta})
        });
        merge(object, patch);
        for owner in object["metadata"]["ownerReferences"].as_array_mut().into_iter().flatten() {
            let made_up = uid(owner["kind"].as_str().unwrap(), owner["name"].as_str().unwrap());
            let fields = owner.as_object_mut().unwrap();
            fields.entry("uid").or_insert(json!(made_up));
            fields.entry("controller").or_insert(json!(true));
        }
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let body = slim(resource, object.to_string().as_bytes()).unwrap();
        envelope(resource, Verb::Apply, at(second), body)
    }

    fn delete(&mut self, second: u64, name: &str) -> Envelope {
        let mut object = self.objects.remove(name).unwrap_or_else(|| panic!("{name} is not there"));
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let resource = resource_of(object["kind"].as_str().unwrap());
        let body = slim(resource, object.to_string().as_bytes()).unwrap();
        envelope(resource, Verb::Delete, at(second), body)
    }

    fn event(&mut self, second: u64, event: &EventStep) -> Envelope {
        self.version += 1;
        let parts: Vec<&str> = event.about.split('/').collect();
        let (kind, name) = (parts[0], parts[1]);
        let node = kind == "Node";
        let namespace = if node { "default" } else { NAMESPACE };
        // The kubelet names its node by the name, in place of a uid.
        let about = self
            .objects
            .get(&format!("{kind}/{name}"))
            .map_or(json!(uid(kind, name)), |o| o["metadata"]["uid"].clone());
        let mut involved = json!({"kind": kind, "name": name, "uid": if node { json!(name) } else { about }});
        if !node {
            involved["namespace"] = json!(namespace);
        }
        if let Some(container) = parts.get(2) {
            involved["fieldPath"] = json!(format!("spec.containers{{{container}}}"));
        }
        let uid = format!("event-{}-{}-{}", event.about.replace('/', "-"), event.reason, event.message.len());
        let object = json!({
            "kind": "Event",
            "metadata": {
                "name": uid, "namespace": namespace, "uid": uid,
                "resourceVersion": self.version.to_string(), "creationTimestamp": whole(event.first.unwrap_or(second)),
            },
            "involvedObject": involved, "reason": event.reason, "message": event.message,
            "firstTimestamp": whole(event.first.unwrap_or(second)), "lastTimestamp": whole(second),
            "count": event.count, "type": "Warning",
        });
        envelope(
            Resource::Events,
            Verb::Apply,
            at(second),
            slim(Resource::Events, object.to_string().as_bytes()).unwrap(),
        )
    }
}

fn resource_of(kind: &str) -> Resource {
    Resource::ALL.into_iter().find(|r| r.kind() == kind).unwrap_or_else(|| panic!("{kind} is not watched"))
}

/// Looks like a uid, and is the same for the same object.
fn uid(kind: &str, name: &str) -> String {
    let hash = kind
        .bytes()
        .chain(name.bytes())
        .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    format!("{:08x}-{:04x}-4000-8000-{:012x}", hash >> 32, (hash >> 16) & 0xffff, hash & 0xffff_ffff_ffff)
}

fn log(second: u64, step: &LogStep) -> Envelope {
    let namespace = step.namespace.as_deref().unwrap_or(NAMESPACE);
    let labels = json!({"namespace": namespace, "pod": step.pod, "container": step.container});
    let body = json!({"streams": [{"stream": labels, "values": [[at(second).nanos().to_string(), step.line]]}]});
    Envelope { received: at(second), media: Media::LokiJson, tenant: None, body: Bytes::from(body.to_string()) }
}

fn metric(second: u64, step: &MetricStep) -> Envelope {
    let mut labels = step.labels.clone();
    labels.insert("__name__".into(), step.name.clone());
    labels.entry("namespace".into()).or_insert(NAMESPACE.into());
    let text = |field: u8, value: &[u8]| [&[field << 3 | 2, u8::try_from(value.len()).unwrap()], value].concat();
    let mut series: Vec<u8> =
        labels.iter().flat_map(|(k, v)| text(1, &[text(1, k.as_bytes()), text(2, v.as_bytes())].concat())).collect();
    let mut sample = vec![1 << 3 | 1];
    sample.extend(step.value.to_le_bytes());
    sample.push(2 << 3);
    let mut ms = u64::try_from(at(second).nanos() / 1_000_000).unwrap();
    while ms >= 0x80 {
        sample.push(u8::try_from(ms % 128).unwrap() | 0x80);
        ms /= 128;
    }
    sample.push(u8::try_from(ms).unwrap());
    series.extend(text(2, &sample));
    let mut request = vec![1 << 3 | 2];
    let mut length = series.len();
    while length >= 0x80 {
        request.push(u8::try_from(length % 128).unwrap() | 0x80);
        length /= 128;
    }
    request.push(u8::try_from(length).unwrap());
    request.extend(series);
    let body = snap::raw::Encoder::new().compress_vec(&request).unwrap();
    Envelope {
        received: at(second),
        media: Media::RemoteWrite1(Compression::Snappy),
        tenant: None,
        body: Bytes::from(body),
    }
}

fn messages(scenario: &Scenario) -> Vec<Envelope> {
    let mut out: Vec<Envelope> = Resource::ALL
        .into_iter()
        .filter(|r| !scenario.unwatched.iter().any(|u| u == r.plural()))
        .map(|r| listed(r, at(0), &[]).unwrap())
        .collect();
    let mut cluster = Cluster::default();
    out.push(cluster.apply(0, json!({"kind": "Namespace", "metadata": {"name": NAMESPACE}})));
    for step in &scenario.steps {
        let Step { at, apply, delete, event, log: line, metric: sample } = step;
        out.extend(apply.clone().map(|patch| cluster.apply(*at, patch)));
        out.extend(delete.as_ref().map(|name| cluster.delete(*at, name)));
        out.extend(event.as_ref().map(|e| cluster.event(*at, e)));
        out.extend(line.as_ref().map(|l| log(*at, l)));
        out.extend(sample.as_ref().map(|m| metric(*at, m)));
    }
    out.sort_by_key(|m| (m.received, m.media.source()));
    out
}

/// Runs a scenario; gives what differs from what it expects, in words.
fn check(name: &str, scenario: &Scenario) -> Vec<String> {
    assert!(!scenario.about.is_empty() && !scenario.source.is_empty(), "{name}: about and source");
    let mut wrong = played(scenario, messages(scenario));
    if let Some(expected) = &scenario.expect.alerts {
        let found = alerts(messages(scenario));
        if found != *expected {
            wrong.push(format!("{found:?}, expected {expected:?}"));
        }
    }
    wrong
}

/// The alerts that are told while these messages come, looked at after each.
fn alerts(messages: Vec<Envelope>) -> Alerts {
    let config = ConfigFile::default().validate().unwrap();
    let interval = Duration::from_secs(60);
    let settings =
        Settings { cluster: config.cluster.clone(), interval, external_url: String::new(), settles: Duration::ZERO };
    let mut outbox = Outbox::new(settings, Vec::new());
    let mut replay = Replay::new(wiring::core(&config));
    let (mut told, mut firing) = (BTreeSet::new(), Vec::new());
    let end = messages.last().unwrap().received.plus(Duration::from_secs(2));
    // Time goes on for a moment, and with it the incidents.
    let last = Envelope { received: end, ..messages.last().unwrap().clone() };
    for envelope in messages.into_iter().chain([last]) {
        let at = envelope.received;
        replay.feed(envelope);
        let incidents: Vec<Arc<Incident>> = replay.snapshot().scoped(&Access::All).each_incident().cloned().collect();
        outbox.due(at, Sight::Whole, &incidents, &|_, incident| incident.into());
        let now = outbox.told().filter(|told| told.ended.is_none()).map(|told| &told.identity);
        let known: Vec<_> = now.map(|i| (i.incident_id.clone(), i.team.clone())).collect();
        told.extend(known.iter().map(|(id, _)| id.clone()));
        let root = |id: &String| incidents.iter().find(|i| i.id == *id).and_then(|i| i.root.clone()).unwrap();
        firing = known.iter().map(|(id, team)| format!("{team} {}", root(id))).collect();
        firing.sort();
    }
    Alerts { told: told.len(), firing }
}

/// Its verdicts are those whatever the order of arrival, told twice, and over a restart of the daemon.
fn check_twins(name: &str, scenario: &Scenario) -> Vec<String> {
    let straight = messages(scenario);
    let mut wrong = Vec::new();
    for seed in SEEDS {
        let found = played(scenario, shuffled(&straight, &mut Random(seed)));
        wrong.extend(found.into_iter().map(|w| format!("shuffled by {seed}: {w}")));
    }
    let twice = straight.iter().flat_map(|m| [m.clone(), m.clone()]).collect();
    wrong.extend(played(scenario, twice).into_iter().map(|w| format!("told twice: {w}")));
    let last = straight.len() - 1;
    ends_the_same(name, straight, &[last / 2, last - 3, last - 1, last]);
    wrong
}

/// What differs from what is expected when these messages come, in words.
fn played(scenario: &Scenario, messages: Vec<Envelope>) -> Vec<String> {
    let config = ConfigFile::default().validate().unwrap();
    let outcome = replay::run(wiring::core(&config), messages, config.lateness);
    assert!(outcome.problems.is_empty(), "{}: {:?}", scenario.about, outcome.problems);
    let scoped = outcome.snapshot.scoped(&Access::All);
    let mut wrong = Vec::new();
    let mut left = scoped.restarts();
    for e in &scenario.expect.rows {
        let mechanism = e.mechanism.as_ref().unwrap_or(&e.cause);
        let place = left.iter().position(|r| {
            let root = r.root.as_ref().map(ToString::to_string);
            (&r.pod, &r.container, r.exit_code) == (&e.pod, &e.container, e.exit)
                && r.cause == e.cause
                && r.mechanism == *mechanism
                && root.as_ref() == Some(&e.root)
        });
        let Some(place) = place else {
            wrong.push(format!(
                "no row {:?}/{:?} {:?}: {} by {mechanism} of {}",
                e.pod, e.container, e.exit, e.cause, e.root
            ));
            continue;
        };
        let row = left.remove(place);
        let ruled_out: BTreeSet<&str> = row.ruled_out.iter().map(|r| r.cause.as_str()).collect();
        wrong.extend(
            e.ruled_out.iter().filter(|c| !ruled_out.contains(c.as_str())).map(|c| format!("{c} is not ruled out")),
        );
        wrong.extend(
            e.missing.iter().filter(|m| !row.missing.contains(m)).map(|m| format!("{m} is not named as missing")),
        );
        wrong.extend(
            e.says
                .iter()
                .filter(|s| !row.summary.contains(s.as_str()))
                .map(|s| format!("{s:?} is not in {:?}", row.summary)),
        );
        for words in &e.shows {
            let shown =
                |i: &whyd_signals::schema::Evidence| i.text.contains(words) || i.value.to_string().contains(words);
            if !row.evidence.iter().any(shown) {
                wrong.push(format!("no evidence shows {words:?}"));
            }
        }
        if row.evidence.is_empty() {
            wrong.push(format!("no evidence for {}", row.cause));
        }
    }
    for r in left {
        let root = r.root.as_ref().map(ToString::to_string);
        wrong.push(format!(
            "row {:?}/{:?} {:?}: {} by {} of {root:?}: {}",
            r.pod, r.container, r.exit_code, r.cause, r.mechanism, r.summary
        ));
    }
    let mut told: Vec<Arc<Incident>> = scoped.incidents();
    if let Some(expected) = &scenario.expect.cohorts {
        let found = cohorts::of(&scoped, at(0), Timestamp::MAX).cohorts.into_iter().map(|c| c.shared);
        let words = |s: Shared| format!("{} {} {}", s.what.as_str(), s.value, s.version).trim_end().to_owned();
        let found: Vec<String> = found.map(words).collect();
        if found != *expected {
            wrong.push(format!("shared {found:?}, expected {expected:?}"));
        }
    }
    if let Some(expected) = &scenario.expect.suspect {
        let at = WrongAt { first: None, until: outcome.at.minus(config.lateness) };
        let ranking = suspects::ranking((&scoped, &scoped), at, None, Most::default()).ranking;
        let first = ranking.first();
        let says = |words: &String| first.is_some_and(|r| r.because.iter().any(|because| because.contains(words)));
        if first.is_none_or(|r| r.name != expected.name) || !expected.says.iter().all(says) {
            wrong.push(format!("suspected are {ranking:?}, expected {} first, {:?}", expected.name, expected.says));
        }
    }
    let root = |i: &Incident| i.root.as_ref().map(ToString::to_string).unwrap_or_default();
    for e in &scenario.expect.incidents {
        let fits = |i: &Incident| {
            i.cause == e.cause
                && root(i) == e.root
                && (e.part || i.parts.len() == e.parts)
                && e.team.as_ref().is_none_or(|team| i.team.as_str() == team)
                && e.says.iter().all(|words| i.summary.contains(words.as_str()))
        };
        if e.part {
            // Of whoever sees all; its team sees it alone.
            let parts: Vec<_> = scoped.each_incident().filter(|i| i.part_of.is_some() && fits(i)).collect();
            let team = Access::Teams(parts.iter().map(|i| i.team.clone()).collect());
            let seen = outcome.snapshot.scoped(&team).incidents();
            if !parts.iter().any(|part| (e.parts == 0 || part.parts.len() == e.parts) && seen.contains(part)) {
                wrong.push(format!("no part {} of {} that its team sees", e.cause, e.root));
            }
            continue;
        }
        match told.iter().position(|i| fits(i)) {
            Some(place) => drop(told.remove(place)),
            None => wrong.push(format!("no incident {} of {} of {} parts: {:?}", e.cause, e.root, e.parts, e.says)),
        }
    }
    let left =
        told.iter().map(|i| format!("incident {} of {}, {} parts: {}", i.cause, root(i), i.parts.len(), i.summary));
    wrong.extend(left);
    wrong
}

#[test]
fn every_scenario_has_its_verdicts() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/scenarios");
    let only = std::env::var("WHYD_SCENARIO").ok();
    let mut shown: BTreeSet<String> = BTreeSet::new();
    let mut wrong = Vec::new();
    let mut paths: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "yaml"));
    paths.sort();
    for path in paths {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if only.as_ref().is_some_and(|o| *o != name) {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# synthetic"), "{name} does not say that it is synthetic");
        let mut value: Value = serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        for list in ["/steps", "/expect/rows", "/expect/incidents"] {
            value.pointer_mut(list).into_iter().for_each(repeated);
        }
        let scenario: Scenario = serde_json::from_value(value).unwrap_or_else(|e| panic!("{name}: {e}"));
        shown.extend(scenario.expect.rows.iter().map(|r| r.cause.clone()));
        shown.extend(scenario.expect.rows.iter().filter_map(|r| r.mechanism.clone()));
        shown.extend(scenario.expect.incidents.iter().map(|i| i.cause.clone()));
        wrong.extend(check(&name, &scenario).into_iter().map(|w| format!("{name}: {w}")));
        if scenario.twins {
            wrong.extend(check_twins(&name, &scenario).into_iter().map(|w| format!("{name}: {w}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    if only.is_none() {
        let captured = captured_causes();
        let lacking: Vec<&str> =
            causes::IDS.into_iter().filter(|id| !shown.contains(*id) && !captured.contains(*id)).collect();
        assert!(lacking.is_empty(), "neither a capture nor a scenario shows {lacking:?}");
    }
}

fn captured_causes() -> BTreeSet<String> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/captures");
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let Ok(text) = std::fs::read(entry.unwrap().path().join("expected.json")) else { continue };
        let expected: Vec<Value> = serde_json::from_slice(&text).unwrap();
        found.extend(expected.iter().filter_map(|e| e["cause"].as_str().map(str::to_owned)));
    }
    found
}
