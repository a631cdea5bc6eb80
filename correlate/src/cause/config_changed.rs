//! A ConfigMap that the container reads was changed, and the program does not bear it.

use std::sync::Arc;
use std::time::Duration;

use whyd_buffers::state::Record;
use whyd_signals::Timestamp;
use whyd_signals::objects::{ConfigMap, Pod};
use whyd_signals::schema::RuledOut;

use super::Cause;
use crate::case::Case;
use crate::failures::AFTERMATH;
use crate::finding::{Basis, Depth, Finding, kube, ruled_out};
use crate::last_words;

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "config-changed", judge, contradict };

/// A change further back than this is not blamed.
const RECENT: Duration = Duration::from_secs(1800);
/// Without a word of the program a change is blamed only for what failed so soon after it: the kubelet takes up to
/// about this long to bring a changed ConfigMap into a volume.
const SOON: Duration = Duration::from_secs(150);
/// Words by which a program speaks of its configuration.
const WORDS: [&str; 14] = [
    "config",
    "setting",
    ".conf",
    ".yaml",
    ".yml",
    ".toml",
    ".json",
    ".ini",
    ".properties",
    "option",
    "parameter",
    "environment variable",
    "env var",
    "feature flag",
];

fn judge(case: &Case<'_>) -> Option<Finding> {
    let t = case
        .terminated()
        .filter(|t| super::is_own(t.exit_code) && t.reason != "OOMKilled" && t.reason != "StartError")?;
    if case.deleting() || case.evicted() {
        return None;
    }
    let (map, at) = changed(case)?;
    if failed_before(case, at) {
        return None;
    }
    let name = &map.object.metadata.name;
    let said = case.lines();
    let words = said.iter().rev().take(20).find(|l| speaks_of_it(&l.line, name));
    let others = case.failures.between((&case.space.name, &case.workload), at, None).next().map(|f| f.finished);
    let own = Some(case.finished()).filter(|f| *f >= at);
    let soon = own.into_iter().chain(others).min().is_some_and(|f| f.seconds_since(at) <= SOON.as_secs_f64());
    let score = match words {
        Some(_) => 76,
        None if soon => 64,
        None => return None,
    };
    let because = words.map_or(String::new(), |l| format!(": {}", l.line.trim()));
    let container = case.container.unwrap_or_default();
    let summary = format!("{container} ends with exit {} since ConfigMap {name} was changed{because}", t.exit_code);
    let version = map.object.metadata.resource_version.clone();
    let object = format!("ConfigMap/{name}");
    Some(
        Finding::new(CAUSE.id, Depth::Deeper, score, case.root("ConfigMap", name, &map.object.metadata.uid), summary)
            .basis(if words.is_some() { Basis::Said } else { Basis::Inferred })
            .with(Some(kube(Some(at), object, "metadata.resourceVersion", version, "the ConfigMap was changed")))
            .with(words.map(|l| case.line(l, "what the program says of it")))
            .with(case.status("exitCode", "the exit code it chose")),
    )
}

fn speaks_of_it(line: &str, map: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    last_words::weight(line) > 0 && (WORDS.iter().any(|w| lower.contains(w)) || line.contains(map))
}

/// The ConfigMap that the container reads and that was changed last before the end.
fn changed<'a>(case: &Case<'a>) -> Option<(&'a Record<ConfigMap>, Timestamp)> {
    let read = names_read(&case.pod.object, case.container?);
    let maps = read.iter().flat_map(|name| case.space.config_maps_called(name));
    let changes = maps.flat_map(|m| rewritten(m).into_iter().map(move |(at, _)| (m, at)));
    changes
        .filter(|(_, at)| *at <= case.finished().plus(SECOND))
        .filter(|(_, at)| case.finished().seconds_since(*at) <= RECENT.as_secs_f64())
        .max_by_key(|(_, at)| *at)
}

/// The versions of a ConfigMap that changed it, each with its time. One whose writing is told may be the first that was
/// seen: what is made is written too, but then at its creation.
pub(crate) fn rewritten(map: &Record<ConfigMap>) -> Vec<(Timestamp, &Arc<ConfigMap>)> {
    // What is taken away has a new version too, and is no other configuration for that.
    let goes =
        |seen: &Timestamp, v: &ConfigMap| v.metadata.deletion_timestamp.is_some() || map.deleted_at == Some(*seen);
    let numbered = map.versions.iter().filter(|(seen, v)| !goes(seen, v)).enumerate();
    let changes = numbered.filter_map(|(n, (seen, v))| match (n, v.metadata.changed_at) {
        (0, Some(at)) if v.metadata.creation_timestamp.is_some_and(|made| at > made.plus(SECOND)) => Some((at, v)),
        (0, _) => None,
        (_, at) => Some((at.unwrap_or(*seen), v)),
    });
    changes.collect()
}

const SECOND: Duration = Duration::from_secs(1);

/// Whether an instance of the workload failed by itself before the change.
fn failed_before(case: &Case<'_>, at: Timestamp) -> bool {
    case.failures.ailed((&case.space.name, &case.workload), None, at, at.minus(AFTERMATH))
}

/// The ConfigMaps that a container of the pod reads: volumes that it mounts, projected ones too, and environment.
pub(crate) fn names_read(pod: &Pod, container: &str) -> Vec<String> {
    let Some(spec) = pod.container(container) else { return Vec::new() };
    let mounted = pod.spec.volumes.iter().filter(|v| spec.volume_mounts.iter().any(|m| m.name == v.name));
    let volumes = mounted.flat_map(|v| {
        let projected = v.projected.iter().flat_map(|p| p.sources.iter().filter_map(|s| s.config_map.as_ref()));
        v.config_map.iter().map(|m| m.name.clone()).chain(projected.map(|m| m.name.clone()))
    });
    let keys =
        spec.env.iter().filter_map(|e| e.value_from.as_ref()?.config_map_key_ref.as_ref()).map(|k| k.name.clone());
    let whole = spec.env_from.iter().filter_map(|e| e.config_map_ref.as_ref()).map(|m| m.name.clone());
    volumes.chain(keys).chain(whole).collect()
}

fn contradict(case: &Case<'_>) -> Option<RuledOut> {
    let t = case.terminated()?;
    if !case.scoped.cluster().synced(whyd_signals::Resource::ConfigMaps) {
        return None;
    }
    let Some((map, at)) = changed(case) else {
        // An edit nearby is named: it is what people would suspect.
        let other = case.changes.last_config(&case.space.name, case.finished().minus(RECENT), case.finished());
        return Some(match other {
            Some(change) => {
                let (name, at) = (&change.name, change.ts.whole());
                let because = format!("ConfigMap {name} was changed at {at}, which it does not read");
                let versions = case.space.config_maps_called(name).flat_map(rewritten);
                let version = versions.filter(|(written, _)| *written == change.ts).map(|(_, v)| v).next();
                let version = version.map_or("", |v| v.metadata.resource_version.as_str());
                ruled_out(CAUSE.id, because, "configmaps.metadata.resourceVersion", version)
            }
            None => {
                let because = "no ConfigMap that it reads was changed before its end".to_owned();
                ruled_out(CAUSE.id, because, "configmaps.metadata.resourceVersion", serde_json::Value::Null)
            }
        });
    };
    let changed = at.whole();
    let name = &map.object.metadata.name;
    let version = map.object.metadata.resource_version.clone();
    if !super::is_own(t.exit_code) || t.reason == "OOMKilled" {
        let because = format!("ConfigMap {name} was changed at {changed}, but the program did not end itself");
        return Some(ruled_out(CAUSE.id, because, &case.field("exitCode"), t.exit_code));
    }
    if failed_before(case, at) {
        let because = format!("ConfigMap {name} was changed at {changed}, when it was failing already");
        return Some(ruled_out(CAUSE.id, because, "configmaps.metadata.resourceVersion", version));
    }
    let last = case.lines().last()?;
    let because = format!("ConfigMap {name} was changed at {changed}, but its last words do not speak of it");
    Some(ruled_out(CAUSE.id, because, "logs", last.line.clone()))
}
