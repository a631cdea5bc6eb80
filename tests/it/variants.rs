//! The bundled captures as another cluster, another network or another day would have sent them: renamed, shuffled,
//! doubled, interrupted by a crash, all at once. What is true of a capture stays true of each of these.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use aho_corasick::{AhoCorasick, MatchKind};
use bytes::Bytes;
use serde_json::Value;
use whyd::capture::Capture;
use whyd::config::{Config, ConfigFile};
use whyd::{replay, wiring};
use whyd_buffers::Snapshot;
use whyd_buffers::wal::Record;
use whyd_collector::wire::kube::listed;
use whyd_collector::wire::snappy;
use whyd_core::{Effect, Message};
use whyd_signals::{Access, Envelope, Media, Resource, Source, Timestamp, Verb};

/// Messages are delayed by at most so much, so that those of different sources pass each other.
const SHUFFLED: Duration = Duration::from_secs(30);
/// Logs come this much later than all else.
const LOGS_LATE: Duration = Duration::from_secs(20);
pub(crate) const SEEDS: [u64; 2] = [7, 20_261_122];

/// A capture's name and its messages.
type Named = (String, Vec<Envelope>);

fn captures() -> Vec<Named> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/captures");
    let mut paths: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    paths.retain(|p| p.join("capture.json").exists());
    paths.sort();
    assert!(paths.len() >= 20, "{} captures", paths.len());
    let read = |p: &std::path::PathBuf| {
        let name = p.file_name().unwrap().to_string_lossy().into_owned();
        (name, Capture::open(p).unwrap().messages().unwrap())
    };
    paths.iter().map(read).collect()
}

fn config() -> Config {
    ConfigFile::default().validate().unwrap()
}

fn replayed(messages: Vec<Envelope>) -> BTreeSet<String> {
    let config = config();
    told(&replay::run(wiring::core(&config), messages, config.lateness).snapshot)
}

/// Rows and incidents without what may depend on when a message came.
fn told(snapshot: &std::sync::Arc<Snapshot>) -> BTreeSet<String> {
    let scoped = snapshot.scoped(&Access::All);
    let root = |r: &Option<whyd_signals::schema::Root>| r.as_ref().map(ToString::to_string).unwrap_or_default();
    let mut told = BTreeSet::new();
    for r in scoped.restarts() {
        let place = format!("{}/{}/{:?}/{:?}", r.namespace, r.workload, r.pod, r.container);
        let end = format!("{:?} {:?} {:?}", r.finished_at, r.exit_code, r.reason);
        let row = format!("row {place} {end}: {} by {} of {}", r.cause, r.mechanism, root(&r.root));
        assert!(told.insert(row.clone()), "twice: {row}");
    }
    for i in scoped.incidents() {
        let incident = format!("incident {} of {}", i.cause, root(&i.root));
        assert!(told.insert(incident.clone()), "twice: {incident}");
        told.extend(i.members.iter().map(|member| format!("{incident}: {member}")));
    }
    told
}

#[track_caller]
fn assert_same(of: &str, expected: &BTreeSet<String>, found: &BTreeSet<String>) {
    let lost: Vec<_> = expected.difference(found).collect();
    let new: Vec<_> = found.difference(expected).collect();
    assert!(lost.is_empty() && new.is_empty(), "{of}\nlost: {lost:#?}\nnew: {new:#?}");
}

/// SplitMix64: small, seeded, the same everywhere.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn up_to(&mut self, most: Duration) -> Duration {
        Duration::from_nanos(self.below(u64::try_from(most.as_nanos()).unwrap()))
    }

    fn pick(&mut self, letters: &str) -> char {
        char::from(letters.as_bytes()[usize::try_from(self.below(letters.len() as u64)).unwrap()])
    }
}

#[test]
fn other_names_change_nothing_but_the_names() {
    for (name, messages) in captures() {
        let expected = replayed(messages.clone());
        for seed in SEEDS {
            let names = Renaming::of(&messages, &mut Random(seed));
            let renamed = messages.iter().map(|m| names.message(m)).collect();
            let expected = expected.iter().map(|row| names.text(row)).collect();
            assert_same(&format!("{name}, seed {seed}"), &expected, &replayed(renamed));
        }
    }
}

#[test]
fn order_of_delivery_changes_nothing() {
    for (name, messages) in captures() {
        let expected = replayed(messages.clone());
        for seed in SEEDS {
            assert_same(&format!("{name}, seed {seed}"), &expected, &replayed(shuffled(&messages, &mut Random(seed))));
        }
    }
}

#[test]
fn everything_delivered_twice_changes_nothing() {
    for (name, messages) in captures() {
        let twice = messages.iter().flat_map(|m| [m.clone(), m.clone()]).collect();
        assert_same(&name, &replayed(messages), &replayed(twice));
    }
}

#[test]
fn a_crash_half_way_changes_nothing() {
    for (name, messages) in captures() {
        let expected = replayed(messages.clone());
        for share in [4, 2] {
            let at = messages.len() / share;
            assert_same(&format!("{name}, killed before message {at}"), &expected, &crashed(&messages, at));
        }
    }
}

#[test]
fn all_captures_at_once_change_nothing_for_each_other() {
    let all = captures();
    let expected = all.iter().flat_map(|(_, messages)| replayed(messages.clone())).collect();
    assert_same("merged", &expected, &replayed(merged(all)));
}

/// Each source's messages keep their order, as on one connection; what comes from different sources does not.
pub(crate) fn shuffled(messages: &[Envelope], random: &mut Random) -> Vec<Envelope> {
    let mut last: BTreeMap<Media, Timestamp> = BTreeMap::new();
    let mut out = Vec::new();
    // A list is one answer, and what was listed comes before what was watched.
    let start = messages.first().unwrap().received;
    for m in messages {
        let mut m = m.clone();
        match m.media {
            Media::Kube(..) if m.received == start => {}
            Media::Kube(resource, _) => {
                let stream = last.entry(Media::Kube(resource, Verb::Apply)).or_insert(start);
                *stream = (*stream).max(m.received.plus(random.up_to(SHUFFLED)));
                m.received = *stream;
            }
            _ if m.media.source() == Source::Loki => m.received = m.received.plus(LOGS_LATE + random.up_to(SHUFFLED)),
            _ => m.received = m.received.plus(random.up_to(SHUFFLED)),
        }
        out.push(m);
    }
    out.sort_by_key(|m| m.received);
    out
}

/// The core dies before this message; another one reads the log back and goes on.
fn crashed(messages: &[Envelope], at: usize) -> BTreeSet<String> {
    let config = config();
    let (before, after) = messages.split_at(at);
    let mut log: Vec<Record> = Vec::new();
    let mut first = wiring::core(&config);
    for envelope in before {
        let at = envelope.received;
        for effect in first.step(at, Message::Input { token: 0, envelope: envelope.clone() }) {
            if let Effect::Append(record) = effect {
                let lsn = record.lsn;
                log.push(record);
                first.step(at, Message::Durable(lsn));
            }
        }
    }
    drop(first);
    let mut second = wiring::core(&config);
    for record in log {
        second.step(record.envelope.received, Message::Replayed(record));
    }
    told(&replay::run(second, after.to_vec(), config.lateness).snapshot)
}

/// One stream of several captures: what was listed by any is listed at the first start, the rest follows in time.
fn merged(all: Vec<Named>) -> Vec<Envelope> {
    let start = all.iter().map(|(_, m)| m.first().unwrap().received).min().unwrap();
    let mut lists: BTreeMap<Resource, BTreeMap<String, (u64, Envelope)>> = BTreeMap::new();
    let mut rest = Vec::new();
    for (_, messages) in all {
        let mut seen = BTreeSet::new();
        for mut m in messages {
            match m.media {
                Media::Kube(resource, Verb::Listed) => {
                    seen.insert(resource);
                    lists.entry(resource).or_default();
                }
                Media::Kube(resource, Verb::Apply) if !seen.contains(&resource) => {
                    let object: Value = serde_json::from_slice(&m.body).unwrap();
                    let uid = object["metadata"]["uid"].as_str().unwrap().to_owned();
                    let version = object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
                    m.received = start;
                    let listed = lists.entry(resource).or_default();
                    if listed.get(&uid).is_none_or(|(v, _)| version < *v) {
                        listed.insert(uid, (version, m));
                    }
                }
                _ => rest.push(m),
            }
        }
    }
    let mut out = Vec::new();
    for (resource, objects) in lists {
        let uids: Vec<String> = objects.keys().cloned().collect();
        out.extend(objects.into_values().map(|(_, m)| m));
        out.push(listed(resource, start, &uids).unwrap());
    }
    rest.sort_by_key(|m| (m.received, m.media.source()));
    out.extend(rest);
    out
}

/// Other names of the same length for all that somebody chose or a server made up.
struct Renaming {
    names: AhoCorasick,
    others: Vec<String>,
}

impl Renaming {
    fn of(messages: &[Envelope], random: &mut Random) -> Self {
        let mut others: BTreeMap<String, String> = BTreeMap::new();
        for m in messages {
            let Media::Kube(resource, verb) = m.media else { continue };
            if verb == Verb::Listed {
                continue;
            }
            let object: Value = serde_json::from_slice(&m.body).unwrap();
            let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default();
            let uid = text("uid");
            if !others.contains_key(uid) {
                let other: String =
                    uid.chars().map(|c| if c == '-' { c } else { random.pick("0123456789abcdef") }).collect();
                // A control group's path writes it in its own way.
                others.insert(uid.replace('-', "_"), other.replace('-', "_"));
                others.insert(uid.to_owned(), other);
            }
            let chosen = match resource {
                Resource::Nodes
                | Resource::Deployments
                | Resource::StatefulSets
                | Resource::DaemonSets
                | Resource::Jobs => Some(text("name")),
                Resource::ConfigMaps => Some(text("name")).filter(|n| *n != "kube-root-ca.crt"),
                // The prefix is the rule by which a namespace has a team.
                Resource::Namespaces => text("name").strip_prefix("team-"),
                _ => None,
            };
            for name in chosen.into_iter().filter(|n| !n.is_empty()) {
                let other = |c: char| match c {
                    '0'..='9' => random.pick("0123456789"),
                    'a'..='z' => random.pick("bcdfghjklmnpqrstvwxz"),
                    other => other,
                };
                let prefix = if resource == Resource::Namespaces { "team-" } else { "" };
                let new: String = name.chars().map(other).collect();
                others.entry(format!("{prefix}{name}")).or_insert(format!("{prefix}{new}"));
            }
        }
        // Of two names that begin alike the longer is meant.
        let names = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(others.keys()).unwrap();
        Self { names, others: others.into_values().collect() }
    }

    fn text(&self, text: &str) -> String {
        self.names.replace_all(text, &self.others)
    }

    fn message(&self, m: &Envelope) -> Envelope {
        let body = match m.media {
            Media::RemoteWrite1(_) | Media::RemoteWrite2(_) | Media::LokiProto => {
                let mut scratch = Vec::new();
                let inflated = snappy::inflate(&m.body, 64 << 20, &mut scratch).unwrap();
                snap::raw::Encoder::new().compress_vec(&self.names.replace_all_bytes(inflated, &self.others)).unwrap()
            }
            _ => self.names.replace_all_bytes(&m.body, &self.others),
        };
        Envelope { body: Bytes::from(body), ..m.clone() }
    }
}
