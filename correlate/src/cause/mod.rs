//! The causes, one small file each: what proves it, what contradicts it, how it is said.
//!
//! A further cause is a file with a `CAUSE` and a line in [`ALL`], and its id in `whyd_signals::causes`.

mod abort;
mod admission;
mod app_error;
mod bad_rollout;
mod bus_error;
mod clean_exit;
mod command_not_found;
pub(crate) mod config_changed;
mod config_missing;
mod deleted_by_hand;
pub(crate) mod dependency_down;
mod dependency_missing;
mod drained;
mod evicted_disk;
mod evicted_memory;
mod evicted_pids;
mod evicted_storage_limit;
mod exec_format;
mod grace_exceeded;
mod heap_exhausted;
mod hook_failed;
pub(crate) mod image_pull;
mod in_place_resize;
mod init_failed;
mod job_failed;
mod killed_by_signal;
mod liveness_failed;
mod node_lost;
pub mod node_not_ready;
mod node_rebooted;
mod not_executable;
pub mod oom_child;
mod oom_false;
mod oom_limit;
mod oom_node;
mod port_conflict;
mod preempted;
mod quota;
pub mod readiness_failed;
mod restarted_by_command;
mod rollout;
pub(crate) mod sandbox;
mod scaled;
mod security_context;
mod segfault;
mod sidecar_failed;
mod sigterm;
mod spec_changed;
mod startup_failed;
mod status_unknown;
pub(crate) mod unschedulable;
mod volume;

use whyd_signals::Team;
use whyd_signals::schema::{Evidence, Restart, RuledOut};

use crate::case::{Case, Ending};
use crate::finding::Finding;
use crate::probe;
use crate::refused::Refused;

/// A cause: how it is found and how it is excluded.
pub struct Cause {
    /// Its id, kebab-case.
    pub id: &'static str,
    /// What proves it.
    pub judge: fn(&Case<'_>) -> Option<Finding>,
    /// What contradicts it; `None` where nothing does.
    pub contradict: fn(&Case<'_>) -> Option<RuledOut>,
}

/// The metric of what a container's memory holds that cannot be given back.
pub const WORKING_SET: &str = "container_memory_working_set_bytes";

/// The metrics that verdicts read.
pub const METRICS: [&str; 5] =
    [WORKING_SET, oom_child::OOM_EVENTS, probe::PROBE_TOTAL, probe::THROTTLED, probe::PERIODS];

/// The verdict where a needed source is not there.
pub const INSUFFICIENT: &str = "insufficient-evidence";

/// The mechanism of an instance whose end nobody saw.
pub(crate) const UNSEEN: &str = "unseen";

/// All causes of an ended instance or a pod that did not start, in the order in which equals are preferred.
pub const ALL: [&Cause; 48] = [
    &oom_node::CAUSE,
    &oom_limit::CAUSE,
    &oom_child::CAUSE,
    &oom_false::CAUSE,
    &evicted_storage_limit::CAUSE,
    &evicted_memory::CAUSE,
    &evicted_disk::CAUSE,
    &evicted_pids::CAUSE,
    &preempted::CAUSE,
    &drained::CAUSE,
    &node_lost::CAUSE,
    &node_rebooted::CAUSE,
    &restarted_by_command::CAUSE,
    &rollout::CAUSE,
    &scaled::CAUSE,
    &deleted_by_hand::CAUSE,
    &job_failed::CAUSE,
    &spec_changed::CAUSE,
    &in_place_resize::CAUSE,
    &hook_failed::CAUSE,
    &sandbox::CAUSE,
    &startup_failed::CAUSE,
    &liveness_failed::CAUSE,
    &command_not_found::CAUSE,
    &not_executable::CAUSE,
    &exec_format::CAUSE,
    &init_failed::CAUSE,
    &sidecar_failed::CAUSE,
    &image_pull::CAUSE,
    &security_context::CAUSE,
    &config_missing::CAUSE,
    &volume::CAUSE,
    &unschedulable::CAUSE,
    &dependency_down::CAUSE,
    &dependency_missing::CAUSE,
    &config_changed::CAUSE,
    &bad_rollout::CAUSE,
    &port_conflict::CAUSE,
    &heap_exhausted::CAUSE,
    &segfault::CAUSE,
    &abort::CAUSE,
    &bus_error::CAUSE,
    &status_unknown::CAUSE,
    &killed_by_signal::CAUSE,
    &app_error::CAUSE,
    &clean_exit::CAUSE,
    &grace_exceeded::CAUSE,
    &sigterm::CAUSE,
];

/// The causes for which a pod was never made, the first that fits.
pub(crate) const REFUSALS: [fn(&Refused<'_>) -> Option<Finding>; 3] =
    [quota::judge, security_context::refusal, admission::judge];

/// Causes that are replacements gone well: no incident.
pub const CLEAN: [&str; 5] = ["rollout", "restarted-by-command", "scaled", "deleted-by-hand", "sigterm"];

/// Exit codes that a program chooses: not those of a clean end, a signal, a shell or the runtime.
pub(crate) fn is_own(code: i32) -> bool {
    code != 0 && !(126..=128 + 31).contains(&code)
}

/// That the pod has no running container yet, as evidence.
pub(crate) fn waits(case: &Case<'_>) -> Option<Evidence> {
    let Ending::NeverStarted { .. } = case.ending else { return None };
    let status = case.pod.object.statuses().find(|s| s.state.waiting.is_some())?;
    let waiting = status.state.waiting.as_ref()?;
    let list = case.pod.object.status_list(&status.name);
    let field = format!("status.{list}[{}].state.waiting.reason", status.name);
    Some(case.of_pod(Some(case.seen_at), &field, waiting.reason.clone(), "its containers are not made"))
}

/// A row of which nothing is said yet.
pub(crate) fn blank_row() -> Restart {
    Restart {
        team: Team::platform(),
        namespace: String::new(),
        workload: String::new(),
        pod: None,
        pod_uid: None,
        node: None,
        container: None,
        owner: String::new(),
        container_id: String::new(),
        restart_count: None,
        started_at: None,
        finished_at: None,
        exit_code: None,
        signal: None,
        reason: None,
        again: false,
        mechanism: String::new(),
        cause: String::new(),
        cause_detail: None,
        confidence: 0.0,
        root: None,
        summary: String::new(),
        evidence: Vec::new(),
        ruled_out: Vec::new(),
        changes: Vec::new(),
        missing: Vec::new(),
        speaks_of: Vec::new(),
        shares: Vec::new(),
        incident_key: None,
        seen_at: whyd_signals::Timestamp(0),
    }
}

#[cfg(test)]
mod tests {
    use super::{ALL, INSUFFICIENT, node_not_ready, readiness_failed};

    #[test]
    fn the_vocabulary_names_each_cause_and_no_other() {
        let others = [INSUFFICIENT, readiness_failed::ID, node_not_ready::ID, "quota", "admission"];
        let mut ids: Vec<&str> = ALL.iter().map(|c| c.id).chain(others).collect();
        ids.sort_unstable();
        assert_eq!(ids, whyd_signals::causes::IDS);
    }
}
