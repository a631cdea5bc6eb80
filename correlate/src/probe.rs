//! What a failing probe leaves behind, for the two probes that restart a container.

use std::time::Duration;

use whyd_buffers::state::EventSeen;
use whyd_signals::Sample;
use whyd_signals::objects::{Container, Probe};
use whyd_signals::schema::{Evidence, RuledOut};

use crate::case::Case;
use crate::finding::{Basis, Depth, Finding, event, ruled_out};

/// One of the probes by which the kubelet restarts a container.
pub(crate) struct RestartingProbe {
    /// Cause id.
    pub(crate) cause: &'static str,
    /// As the kubelet writes it: `liveness`, `startup`.
    pub(crate) name: &'static str,
    /// As the kubelet's metric writes it.
    pub(crate) metric_type: &'static str,
    /// Whether a container's spec has it.
    pub(crate) declared: fn(&Container) -> bool,
    /// Score of a finding with events.
    pub(crate) score: u32,
}

pub(crate) const PROBE_TOTAL: &str = "prober_probe_total";
pub(crate) const THROTTLED: &str = "container_cpu_cfs_throttled_periods_total";
pub(crate) const PERIODS: &str = "container_cpu_cfs_periods_total";
/// The last scrape of an instance may come so late.
const SCRAPE: Duration = Duration::from_secs(15);
/// Over so long before the end throttling is looked at, and from this share on it is told.
const THROTTLE_WINDOW: Duration = Duration::from_secs(120);
const HELD_BACK: f64 = 0.25;

impl RestartingProbe {
    /// The finding, from the kubelet's own `Killing`, else from its count of failed probes.
    pub(crate) fn judge(&self, case: &Case<'_>) -> Option<Finding> {
        let t = case.terminated()?;
        // The status proves who killed it: the OOM killer's SIGKILL is not the kubelet's.
        if t.reason == "OOMKilled" && t.exit_code == 137 || case.deleting() || case.evicted() {
            return None;
        }
        if let Some(killing) = self.killing(case) {
            return Some(self.killed(case, killing));
        }
        if case.events_known() || !case.spec().is_some_and(self.declared) || proves_itself(t.exit_code) {
            return None;
        }
        let (count, at) = self.failed_probes(case)?;
        let name = case.container.unwrap_or_default();
        let summary = format!("{name} was restarted while its {} probe failed {count:.0} times", self.name);
        let item = case.sample(PROBE_TOTAL, at, format!("{} probes failed until then", self.name));
        let status = case.status("exitCode", "how it went when told to stop");
        let certain = matches!(t.exit_code, 0 | 137 | 143);
        Some(
            Finding::new(self.cause, Depth::Mechanism, self.score - 15, case.pod_root(), summary)
                .basis(Basis::Inferred)
                .with(Some(item))
                .with(status)
                .unless((!certain).then_some("events")),
        )
    }

    fn killing<'a>(&self, case: &'a Case<'_>) -> Option<&'a EventSeen> {
        let said = format!("failed {} probe", self.name);
        case.events("Killing").find(|e| e.event.message.contains(&said))
    }

    /// The kubelet said that it killed the container: why the probe failed, and what lies behind that.
    fn killed(&self, case: &Case<'_>, killing: &EventSeen) -> Finding {
        let name = case.container.unwrap_or_default();
        let prefix = format!("{} probe failed", self.name);
        let of_it = |e: &&EventSeen| e.event.message.to_ascii_lowercase().starts_with(&prefix);
        let own = case.events("Unhealthy").filter(of_it).max_by_key(|e| e.at);
        // The kubelet tells of what goes on and on only so often: then the last time that it did is what is known.
        let before = case.pod_events("Unhealthy").filter(of_it).filter(|e| e.at < case.finished());
        let unhealthy = own.or(before.max_by_key(|e| e.at));
        let why = unhealthy.map(|e| because(&e.event.message));
        let age = unhealthy.filter(|_| own.is_none()).map(|e| case.finished().seconds_since(e.at));
        let behind = self.behind(case);
        let mut words = why.clone().map_or(String::new(), |w| match age {
            Some(age) => format!(" ({w}, as last told {age:.0} s before)"),
            None => format!(" ({w})"),
        });
        if let Some((behind, _)) = &behind {
            words.push_str(&format!("; {behind}"));
        }
        let summary = format!("{name} was restarted because its {} probe failed{words}", self.name);
        let finding = Finding::new(self.cause, Depth::Mechanism, self.score, case.pod_root(), summary)
            .with(unhealthy.map(|e| told(e, age)))
            .with(Some(event(killing)))
            .with(behind.map(|(_, item)| item))
            .with(case.status("exitCode", "how it went when told to stop"));
        match why {
            Some(w) => finding.detail(&w),
            None => finding,
        }
    }

    /// What may lie behind a failing probe, in words and as evidence: a processor held back, a start that takes longer
    /// than it is given, something else that does not answer.
    fn behind(&self, case: &Case<'_>) -> Option<(String, Evidence)> {
        if let Some(line) = case.lines().iter().rev().find(|l| crate::complaint::unanswered(&l.line)) {
            return Some((
                "it says that something else did not answer".to_owned(),
                case.line(line, "what it waits for"),
            ));
        }
        if let Some((share, sample)) = throttled(case) {
            let words = format!("its processor time was cut in {:.0} % of the periods", share * 100.0);
            return Some((words, case.sample(THROTTLED, sample, "periods in which it was held back".to_owned())));
        }
        let spec = case.spec()?;
        let probe = self.probe(spec)?;
        // It was never ready before it was killed: the probe gave it less time than it needs.
        let given = probe.initial_delay_seconds + probe.period_seconds.max(1) * probe.failure_threshold.max(1);
        let lived = case.finished().seconds_since(case.started());
        let never_ready =
            lived <= (given + case.pod.object.spec.termination_grace_period_seconds.unwrap_or(30) + 10) as f64;
        let field = case.spec_field(&format!("{}Probe.failureThreshold", self.name));
        let words = format!("it is given {given} s from its start");
        let item = case.of_pod(None, &field, probe.failure_threshold.max(1), "probes that may fail in a row");
        never_ready.then_some((words, item))
    }

    fn probe<'a>(&self, spec: &'a Container) -> Option<&'a Probe> {
        match self.name {
            "liveness" => spec.liveness_probe.as_ref(),
            _ => spec.startup_probe.as_ref(),
        }
    }

    /// How many probes failed while the instance lived, as the kubelet counted, and no more of them than the next
    /// instance's.
    fn failed_probes(&self, case: &Case<'_>) -> Option<(f64, Sample)> {
        let threshold = case.spec().and_then(|c| self.probe(c))?.failure_threshold.max(1);
        let late = case.finished().plus(SCRAPE);
        let to = case.neighbours.1.map_or(late, |next| late.min(next.max(case.finished())));
        let ids = case.scoped.series_of(PROBE_TOTAL, &case.space.name, case.pod_name(), case.container);
        let mut found = None;
        for id in ids {
            let Some(meta) = case.scoped.meta(id) else { continue };
            if meta.label("probe_type") != Some(self.metric_type) {
                continue;
            }
            let Some(last) = case.scoped.asof(id, to).filter(|s| s.ts >= case.started()) else { continue };
            let before = case.scoped.asof(id, case.started()).map_or(0.0, |s| s.value);
            let rise = last.value - before;
            match meta.label("result") {
                // A startup probe that once succeeded is not asked again.
                Some("successful") if self.metric_type == "Startup" && rise > 0.0 => return None,
                // The last scrape is older than the last probe.
                Some("failed") if rise >= (threshold - 1).max(1) as f64 => found = Some((rise, last)),
                _ => {}
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
        if !case.events_known() || self.killing(case).is_some() {
            return None;
        }
        let because = format!("no Killing event for a {} probe while it lived", self.name);
        Some(ruled_out(self.cause, because, "events.Killing", serde_json::Value::Null))
    }
}

/// Exit codes that say by themselves what happened: no probe did it.
fn proves_itself(code: i32) -> bool {
    matches!(code, 126 | 127 | 134 | 135 | 139)
}

/// Why a probe failed, from the kubelet's message.
fn because(message: &str) -> String {
    let lower = message.to_ascii_lowercase();
    if let Some((_, code)) = lower.split_once("statuscode: ") {
        let code: String = code.chars().take_while(char::is_ascii_digit).collect();
        return format!("HTTP status {code}");
    }
    let said = |words: &[&str]| words.iter().any(|w| lower.contains(w));
    let why = if said(&["does not implement the grpc health protocol"]) {
        "no gRPC health service"
    } else if said(&["server gave http response to https client", "malformed http response"]) {
        "another protocol"
    } else if said(&["deadline exceeded", "timeout", "timed out"]) {
        "timeout"
    } else if said(&["connection refused"]) {
        "connection refused"
    } else if said(&["no route to host", "network is unreachable", "host is down"]) {
        "no route"
    } else if said(&["connection reset", "broken pipe", "eof"]) {
        "connection broken"
    } else if said(&["no such host", "server misbehaving"]) {
        "host not found"
    } else if said(&["service unhealthy (responded with", "not_serving", "unhealthy state"]) {
        "not serving"
    } else if said(&["health rpc probe failed"]) {
        "gRPC health check failed"
    } else if said(&["failed to connect service at", "dial tcp"]) {
        "connection failed"
    } else if said(&["probe failed: get \""]) {
        "HTTP request failed"
    } else {
        "probe command failed"
    };
    why.to_owned()
}

/// A failed probe as the kubelet told of it; of one that is older than the instance also how old.
fn told(seen: &EventSeen, age: Option<f64>) -> Evidence {
    let mut item = event(seen);
    if let Some(age) = age {
        item.text.push_str(&format!(", last told {age:.0} s before this end, of an instance before it"));
    }
    item
}

/// The share of periods in which the container's processor time was cut, over the end of its life, where it is large.
fn throttled(case: &Case<'_>) -> Option<(f64, Sample)> {
    let (from, to) = (case.finished().minus(THROTTLE_WINDOW).max(case.started()), case.finished());
    let rise = |metric: &str| {
        let ids = case.scoped.series_of(metric, &case.space.name, case.pod_name(), case.container);
        let slices = ids.into_iter().map(|id| case.scoped.slice(id, from, to));
        let ends = slices.filter_map(|s| Some((*s.first()?, *s.last()?)));
        ends.map(|(first, last)| (last.value - first.value, last)).max_by(|a, b| a.0.total_cmp(&b.0))
    };
    let ((cut, sample), (all, _)) = (rise(THROTTLED)?, rise(PERIODS)?);
    let share = cut / all;
    (all > 0.0 && share >= HELD_BACK).then_some((share, sample))
}

#[cfg(test)]
mod tests {
    use super::because;

    #[test]
    fn a_command_is_blamed_only_where_one_ran() {
        let check = |output: &str, expected: &str| {
            assert_eq!(because(&format!("Liveness probe failed: {output}")), expected, "{output}");
        };
        check("HTTP probe failed with statuscode: 503", "HTTP status 503");
        check("Get \"http://10.0.0.7:80/\": dial tcp 10.0.0.7:80: connect: no route to host", "no route");
        check("Get \"https://10.0.0.7/\": http: server gave HTTP response to HTTPS client", "another protocol");
        check(
            "Get \"http://10.0.0.7/\": net/http: HTTP/1.x transport connection broken: malformed HTTP response \"x\"",
            "another protocol",
        );
        check("Get \"https://10.0.0.7/\": remote error: tls: internal error", "HTTP request failed");
        check("service unhealthy (responded with \"NOT_SERVING\")", "not serving");
        check("service unhealthy (responded with \"UNKNOWN\")", "not serving");
        check(
            "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): unknown service grpc.health.v1.Health",
            "no gRPC health service",
        );
        check(
            "error: health rpc probe failed: rpc error: code = PermissionDenied desc = no",
            "gRPC health check failed",
        );
        check("cat: /tmp/healthy: No such file or directory", "probe command failed");
    }
}
