//! What a pod, or one that ended, has that others may have too: a node, a zone, an image, a ConfigMap in some version, and
//! what it said did not answer.

use std::collections::BTreeSet;
use std::time::Duration;

use whyd_buffers::Scoped;
use whyd_buffers::state::NamespaceState;
use whyd_signals::Timestamp;
use whyd_signals::objects::Pod;
use whyd_signals::schema::{Restart, Shared, Sharing};

use crate::case::Case;
use crate::cause::config_changed::{names_read, rewritten};
use crate::changes::OF_ALL;
use crate::complaint::Dependency;

/// The label by which a node says its zone.
const ZONE: &str = "topology.kubernetes.io/zone";
/// A version of a ConfigMap is new for so long.
const NEW: Duration = Duration::from_secs(1800);
const SECOND: Duration = Duration::from_secs(1);
/// Things of one kind that are kept of a row or a pod; a pod has seldom more.
const KEPT: usize = 16;

fn shared(what: Sharing, value: String) -> Shared {
    Shared { what, value, version: String::new() }
}

/// The zone of a node, as its label says.
pub(crate) fn zone_of(scoped: &Scoped, node: &str) -> Option<String> {
    scoped.cluster().node_named(node)?.object.metadata.labels.get(ZONE).cloned()
}

/// What a pod has by its spec; ConfigMaps without their versions, which come and go below it.
pub(crate) fn of_pod(scoped: &Scoped, pod: &Pod) -> Vec<Shared> {
    let containers = pod.spec.containers.iter().chain(&pod.spec.init_containers);
    let images: BTreeSet<&str> = containers.map(|c| c.image.as_str()).filter(|image| !image.is_empty()).collect();
    let maps: BTreeSet<String> = pod.spec.containers.iter().flat_map(|c| names_read(pod, &c.name)).collect();
    let maps = maps.into_iter().filter(|name| !name.is_empty() && !OF_ALL.contains(&name.as_str())).take(KEPT);
    let mut all = of_node(scoped, &pod.spec.node_name);
    all.extend(images.into_iter().take(KEPT).map(|image| shared(Sharing::Image, image.to_owned())));
    all.extend(maps.map(|name| shared(Sharing::Config, format!("{}/{name}", pod.metadata.namespace))));
    all.sort();
    all
}

fn of_node(scoped: &Scoped, node: &str) -> Vec<Shared> {
    if node.is_empty() {
        return Vec::new();
    }
    let zone = zone_of(scoped, node).map(|zone| shared(Sharing::Zone, zone));
    std::iter::once(shared(Sharing::Node, node.to_owned())).chain(zone).collect()
}

/// The resource version that a ConfigMap had at a time, as far as its versions are known; empty where it is not known.
pub(crate) fn version_at(space: &NamespaceState, name: &str, at: Timestamp) -> String {
    let versions = space.config_maps_called(name).flat_map(|map| {
        let first = map.versions.first().map(|(_, v)| (Timestamp::MIN, v));
        first.into_iter().chain(rewritten(map))
    });
    let then = versions.filter(|(written, _)| *written <= at).max_by_key(|(written, _)| *written);
    then.map_or(String::new(), |(_, v)| v.metadata.resource_version.clone())
}

/// What one that ended, or did not start, has that may be to blame: its own container's image and not that of those beside
/// it, and of ConfigMaps the versions that were new then.
pub(crate) fn of_case(case: &Case<'_>, depends_on: &[Dependency], hosts: &[String], row: &Restart) -> Vec<Shared> {
    let mut all = of_node(case.scoped, &case.pod.object.spec.node_name);
    let image = case.spec().map(|c| c.image.clone()).filter(|image| !image.is_empty());
    all.extend(image.map(|image| shared(Sharing::Image, image)));
    all.extend(new_configs(case).into_iter().take(KEPT));
    let workloads = depends_on.iter().map(|d| format!("{}/{}", d.namespace, d.workload));
    let named = workloads.chain(hosts.iter().cloned()).chain(missing(row)).take(KEPT);
    all.extend(named.map(|value| shared(Sharing::Dependency, value)));
    all.sort();
    all.dedup();
    all
}

/// The host that a verdict says is not there.
fn missing(row: &Restart) -> Option<String> {
    let detail = row.cause_detail.as_ref().filter(|_| row.cause == "dependency-missing")?;
    let service = row.root.as_ref().filter(|root| root.kind == "Service");
    Some(service.map_or_else(|| detail.clone(), |root| format!("{}/{root}", root.namespace)))
}

/// The ConfigMaps that the container reads, of which a version was written shortly before the end.
fn new_configs(case: &Case<'_>) -> Vec<Shared> {
    let (from, to) = (case.finished().minus(NEW), case.finished().plus(SECOND));
    let read = case.container.map_or(Vec::new(), |c| names_read(&case.pod.object, c));
    let mut found = Vec::new();
    for name in read.into_iter().filter(|name| !OF_ALL.contains(&name.as_str())) {
        for map in case.space.config_maps_called(&name) {
            let meta = &map.object.metadata;
            let made = meta.creation_timestamp.unwrap_or(map.first_seen);
            let first = map.versions.first().map(|(_, v)| (made, v)).filter(|_| !map.listed || made >= from);
            let written = first.into_iter().chain(rewritten(map)).filter(|(at, _)| from <= *at && *at <= to);
            let Some((_, version)) = written.max_by_key(|(at, _)| *at) else { continue };
            let value = format!("{}/{name}", case.space.name);
            found.push(Shared { what: Sharing::Config, value, version: version.metadata.resource_version.clone() });
        }
    }
    found
}
