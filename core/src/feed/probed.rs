//! What the cluster's objects say of a container whose probe failed.

use whyd_anomaly::detector::probes::{Consequence, Probed, Restarted};
use whyd_buffers::{Scoped, SeriesMeta};
use whyd_signals::Resource;

/// Of the container that this series of a probe of this kind is about.
pub(super) fn probed(meta: &SeriesMeta, kind: &str, scoped: &Scoped) -> Probed {
    let goes = goes(&meta.namespace, &meta.pod, scoped);
    let Some(pod) = scoped.cluster().pod_named(&meta.namespace, &meta.pod) else {
        return Probed { goes, ..Probed::default() };
    };
    let status = pod.object.statuses().find(|status| status.name == *meta.container);
    let restarted = status.filter(|status| status.restart_count > 0).and_then(|status| {
        let after_failure = status.last_state.terminated.as_ref().is_some_and(|ended| ended.exit_code != 0);
        Some(Restarted { at: status.state.running.as_ref()?.started_at?, after_failure })
    });
    let spec = pod.object.container(&meta.container);
    let probe = spec.and_then(|spec| match Consequence::of(kind) {
        Consequence::Waits => spec.startup_probe.as_ref(),
        Consequence::Kills => spec.liveness_probe.as_ref(),
        Consequence::SendsNone => spec.readiness_probe.as_ref(),
    });
    let threshold = probe.and_then(|probe| u32::try_from(probe.failure_threshold).ok()).filter(|n| *n > 0);
    Probed { goes, restarted, threshold }
}

/// Whether a pod is being deleted, or gone: its probes may fail.
pub(super) fn goes(namespace: &str, pod: &str, scoped: &Scoped) -> bool {
    match scoped.cluster().pod_named(namespace, pod) {
        Some(pod) => pod.deleted_at.is_some() || pod.object.metadata.deletion_timestamp.is_some(),
        None => scoped.cluster().synced(Resource::Pods),
    }
}
