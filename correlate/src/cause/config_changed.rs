//! A ConfigMap that the container reads was changed, and the program does not bear it.

use std::time::Duration;

use whyd_buffers::state::Record;
use whyd_signals::Timestamp;
use whyd_signals::objects::{ConfigMap, Pod};
use whyd_signals::schema::RuledOut;

use super::Cause;
use crate::case::Case;
use crate::finding::{Depth, Finding, kube, ruled_out};
use crate::last_words;

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "config-changed", judge, contradict };

/// A change further back than this is not blamed.
const RECENT: Duration = Duration::from_secs(1800);
/// Words by which a program speaks of its configuration.
const WORDS: [&str; 5] = ["config", "setting", ".conf", ".yaml", ".toml"];

fn judge(case: &Case<'_>) -> Option<Finding> {
    let t = case.terminated().filter(|t| t.exit_code != 0 && t.reason != "OOMKilled" && t.reason != "StartError")?;
    if case.deleting() || case.evicted() {
        return None;
    }
    let (map, at) = changed(case)?;
    let name = &map.object.metadata.name;
    let said = case.lines();
    let about = |line: &str| {
        let lower = line.to_ascii_lowercase();
        last_words::weight(line) > 0 && (WORDS.iter().any(|w| lower.contains(w)) || line.contains(name.as_str()))
    };
    let words = said.iter().rev().take(20).find(|l| about(&l.line));
    // The change is innocent unless the program speaks of it; a silent program leaves only the timing.
    let score = match (words, said.is_empty()) {
        (Some(_), _) => 76,
        (None, true) if first_since(case, at) => 64,
        _ => return None,
    };
    let because = words.map_or(String::new(), |l| format!(": {}", l.line.trim()));
    let container = case.container.unwrap_or_default();
    let summary = format!("{container} ends with exit {} since ConfigMap {name} was changed{because}", t.exit_code);
    let version = map.object.metadata.resource_version.clone();
    let object = format!("ConfigMap/{name}");
    Some(
        Finding::new(CAUSE.id, Depth::Deeper, score, case.root("ConfigMap", name, &map.object.metadata.uid), summary)
            .with(Some(kube(Some(at), object, "metadata.resourceVersion", version, "the ConfigMap was changed")))
            .with(words.map(|l| case.line(l, "what the program says of it")))
            .with(case.status("exitCode", "the exit code it chose")),
    )
}

/// The ConfigMap that the container reads and that was changed last before the end.
fn changed<'a>(case: &Case<'a>) -> Option<(&'a Record<ConfigMap>, Timestamp)> {
    let read = names_read(&case.pod.object, case.container?);
    let maps = case.space.config_maps.values().filter(|m| read.contains(&m.object.metadata.name));
    let changes = maps.flat_map(|m| {
        // The first version is its making, or how it was listed: no change.
        m.versions.iter().skip(1).map(move |(seen, v)| (m, v.metadata.changed_at.unwrap_or(*seen)))
    });
    changes
        .filter(|(_, at)| *at <= case.finished().plus(Duration::from_secs(1)))
        .filter(|(_, at)| case.finished().seconds_since(*at) <= RECENT.as_secs_f64())
        .max_by_key(|(_, at)| *at)
}

/// Whether no instance of the workload failed before the change.
fn first_since(case: &Case<'_>, at: Timestamp) -> bool {
    !case.failures.iter().any(|f| f.workload == case.workload && f.finished < at)
}

/// The ConfigMaps that a container of the pod reads: volumes, projected volumes, environment.
fn names_read(pod: &Pod, container: &str) -> Vec<String> {
    let volumes = pod.spec.volumes.iter().flat_map(|v| {
        let projected = v.projected.iter().flat_map(|p| p.sources.iter().filter_map(|s| s.config_map.as_ref()));
        v.config_map.iter().chain(projected).map(|m| m.name.clone())
    });
    let spec = pod.container(container);
    let env = spec.into_iter().flat_map(|c| {
        let keys =
            c.env.iter().filter_map(|e| e.value_from.as_ref()?.config_map_key_ref.as_ref()).map(|k| k.name.clone());
        let whole = c.env_from.iter().filter_map(|e| e.config_map_ref.as_ref()).map(|m| m.name.clone());
        keys.chain(whole).collect::<Vec<_>>()
    });
    volumes.chain(env).collect()
}

fn contradict(case: &Case<'_>) -> Option<RuledOut> {
    case.terminated()?;
    if !case.scoped.cluster().synced(whyd_signals::Resource::ConfigMaps) {
        return None;
    }
    match changed(case) {
        None => {
            let because = "no ConfigMap that it reads was changed before its end".to_owned();
            Some(ruled_out(CAUSE.id, because, "configmaps.metadata.resourceVersion", serde_json::Value::Null))
        }
        Some((map, at)) => {
            let name = &map.object.metadata.name;
            let because = format!("ConfigMap {name} was changed at {at}, but its last words do not speak of it");
            Some(ruled_out(CAUSE.id, because, "logs", name.clone()))
        }
    }
}
