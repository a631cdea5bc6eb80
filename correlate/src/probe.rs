//! What a failing probe leaves behind, for the two probes that restart a container.

use whyd_signals::Timestamp;
use whyd_signals::schema::RuledOut;

use crate::case::Case;
use crate::finding::{Depth, Finding, event, ruled_out};

/// One of the probes by which the kubelet restarts a container.
pub(crate) struct RestartingProbe {
    /// Cause id.
    pub(crate) cause: &'static str,
    /// As the kubelet writes it: `liveness`, `startup`.
    pub(crate) name: &'static str,
    /// As the kubelet's metric writes it.
    pub(crate) metric_type: &'static str,
    /// Whether a container's spec has it.
    pub(crate) declared: fn(&whyd_signals::objects::Container) -> bool,
    /// Score of a finding with events.
    pub(crate) score: u32,
}

const PROBE_TOTAL: &str = "prober_probe_total";

impl RestartingProbe {
    /// The finding, from the kubelet's own `Killing`, else from its count of failed probes.
    pub(crate) fn judge(&self, case: &Case<'_>) -> Option<Finding> {
        let t = case.terminated().filter(|t| t.reason != "OOMKilled")?;
        if case.deleting() || case.evicted() {
            return None;
        }
        let said = format!("failed {} probe", self.name);
        let name = case.container.unwrap_or_default();
        if let Some(killing) = case.events("Killing").find(|e| e.event.message.contains(&said)) {
            let prefix = format!("{} probe failed", self.name);
            let unhealthy = case
                .events("Unhealthy")
                .filter(|e| e.event.message.to_ascii_lowercase().starts_with(&prefix))
                .max_by_key(|e| e.at);
            let why = unhealthy.map(|e| because(&e.event.message));
            let summary = format!(
                "{name} was restarted because its {} probe failed{}",
                self.name,
                why.map_or(String::new(), |w| format!(" ({w})"))
            );
            let finding = Finding::new(self.cause, Depth::Mechanism, self.score, case.pod_root(), summary)
                .with(unhealthy.map(event))
                .with(Some(event(killing)))
                .with(case.status("exitCode", "how it went when told to stop"));
            return Some(match why {
                Some(w) => finding.detail(w),
                None => finding,
            });
        }
        if case.events_known() || !case.spec().is_some_and(self.declared) {
            return None;
        }
        let (count, at) = self.failed_probes(case)?;
        let summary = format!("{name} was restarted while its {} probe failed {count:.0} times", self.name);
        let item = case.sample(PROBE_TOTAL, at, format!("{} probes failed until then", self.name));
        let status = case.status("exitCode", "how it went when told to stop");
        let certain = t.exit_code == 137 || t.exit_code == 143 || t.exit_code == 0;
        Some(
            Finding::new(self.cause, Depth::Mechanism, self.score - 15, case.pod_root(), summary)
                .with(Some(item))
                .with(status)
                .unless((!certain).then_some("events")),
        )
    }

    /// How many probes failed while the instance lived, as the kubelet counted.
    fn failed_probes(&self, case: &Case<'_>) -> Option<(f64, whyd_signals::Sample)> {
        let threshold = case.spec().and_then(|c| match self.name {
            "liveness" => c.liveness_probe.as_ref(),
            _ => c.startup_probe.as_ref(),
        })?;
        let to = case.finished().plus(std::time::Duration::from_secs(15));
        let ids = case.scoped.series_of(PROBE_TOTAL, &case.space.name, case.pod_name(), case.container);
        let mut found = None;
        for id in ids {
            let Some(meta) = case.scoped.meta(id) else { continue };
            if meta.label("probe_type") != Some(self.metric_type) || meta.label("result") != Some("failed") {
                continue;
            }
            let Some(last) = case.scoped.asof(id, to).filter(|s| s.ts >= case.started()) else { continue };
            let before = case.scoped.asof(id, case.started()).map_or(0.0, |s| s.value);
            if last.value - before >= (threshold.failure_threshold.max(1) - 1).max(1) as f64 {
                found = Some((last.value - before, last));
            }
        }
        found
    }

    /// Why it is not this probe.
    pub(crate) fn contradict(&self, case: &Case<'_>) -> Option<RuledOut> {
        let spec = case.spec()?;
        case.terminated()?;
        if !(self.declared)(spec) {
            let field = format!("spec.containers[{}].{}Probe", spec.name, self.name);
            return Some(ruled_out(
                self.cause,
                format!("{} has no {} probe", spec.name, self.name),
                &field,
                serde_json::Value::Null,
            ));
        }
        if !case.events_known() {
            return None;
        }
        let because = format!("no Killing event for a {} probe while it lived", self.name);
        Some(ruled_out(self.cause, because, "events.Killing", serde_json::Value::Null))
    }
}

/// Why a probe failed, from the kubelet's message.
fn because(message: &str) -> &'static str {
    let lower = message.to_ascii_lowercase();
    if lower.contains("deadline exceeded") || lower.contains("timeout") || lower.contains("timed out") {
        "timeout"
    } else if lower.contains("connection refused") {
        "connection refused"
    } else if lower.contains("statuscode") {
        "HTTP status"
    } else {
        "probe command failed"
    }
}

/// The newest readiness failure of a pod at or after `since`.
pub(crate) fn unready_since<'a>(
    space: &'a whyd_buffers::state::NamespaceState,
    uid: &str,
    since: Timestamp,
) -> Option<&'a whyd_buffers::state::EventSeen> {
    space
        .events_about(uid)
        .filter(|e| {
            e.event.reason == "Unhealthy" && e.event.message.starts_with("Readiness probe failed") && e.at >= since
        })
        .max_by_key(|e| e.at)
}
