//! Where an anomaly is, beside its pod: the node, the volume, the device.
//!
//! Whoever exports a series of a node need not be what it is about: those are the node's. A volume's series have no pod, and
//! belong to one that mounts it.

use whyd_anomaly::place::{is_node_metric, place};
use whyd_buffers::{Scoped, SeriesMeta};
use whyd_signals::objects::Pod;
use whyd_signals::schema::Anomaly;

/// Says where it is, of a series whose metric is listed or asked for.
pub(super) fn placed(mut found: Anomaly, meta: &SeriesMeta, scoped: &Scoped) -> Anomaly {
    let label = |name: &str| meta.label(name).filter(|value| !value.is_empty());
    let exporter = || Some(&scoped.cluster().pod_named(&meta.namespace, &meta.pod)?.object);
    let node = is_node_metric(&meta.name).then(|| {
        found.pod.clear();
        found.container.clear();
        found.workload.clear();
        let named = Some(meta.node.as_ref()).filter(|node| !node.is_empty()).or_else(|| label("nodename"));
        named.or_else(|| Some(exporter()?.spec.node_name.as_str())).or_else(|| label("instance")).unwrap_or_default()
    });
    if found.pod.is_empty()
        && let Some(claim) = label("persistentvolumeclaim")
        && let Some(namespace) = scoped.cluster().namespace(&meta.namespace)
    {
        let living = namespace.pods.values().filter(|pod| pod.deleted_at.is_none()).map(|pod| &pod.object);
        let mounting = living.filter(|pod| mounts(pod, claim)).min_by_key(|pod| pod.metadata.name.as_str());
        found.pod = mounting.map(|pod| pod.metadata.name.clone()).unwrap_or_default();
        found.workload = mounting.map(|pod| namespace.workload_of(pod)).unwrap_or_default();
    }
    if let Some(place) = place(node, label) {
        found.text.push_str(&format!(" ({place})"));
    }
    found
}

fn mounts(pod: &Pod, claim: &str) -> bool {
    pod.spec.volumes.iter().filter_map(|v| v.persistent_volume_claim.as_ref()).any(|of| of.claim_name == claim)
}
