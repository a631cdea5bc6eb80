//! The causes, one small file each: what proves it, what contradicts it, how it is said.
//!
//! A further cause is a file with a `CAUSE` and a line in [`ALL`].

mod app_error;
mod bad_rollout;
mod clean_exit;
mod command_not_found;
mod config_changed;
mod config_missing;
mod deleted_by_hand;
mod dependency_down;
mod evicted_storage_limit;
mod grace_exceeded;
mod image_pull;
mod init_failed;
mod job_failed;
mod killed_by_signal;
mod liveness_failed;
mod oom_limit;
pub mod readiness_failed;
mod restarted_by_command;
mod rollout;
mod scaled;
mod segfault;
mod sigterm;
mod startup_failed;

use whyd_signals::schema::RuledOut;

use crate::case::Case;
use crate::finding::Finding;

/// A cause: how it is found and how it is excluded.
pub struct Cause {
    /// Its id, kebab-case.
    pub id: &'static str,
    /// What proves it.
    pub judge: fn(&Case<'_>) -> Option<Finding>,
    /// What contradicts it; `None` where nothing does.
    pub contradict: fn(&Case<'_>) -> Option<RuledOut>,
}

/// The verdict where a needed source is not there.
pub const INSUFFICIENT: &str = "insufficient-evidence";

/// All causes, in the order in which equals are preferred.
pub const ALL: [&Cause; 22] = [
    &oom_limit::CAUSE,
    &evicted_storage_limit::CAUSE,
    &restarted_by_command::CAUSE,
    &rollout::CAUSE,
    &scaled::CAUSE,
    &deleted_by_hand::CAUSE,
    &job_failed::CAUSE,
    &startup_failed::CAUSE,
    &liveness_failed::CAUSE,
    &init_failed::CAUSE,
    &command_not_found::CAUSE,
    &image_pull::CAUSE,
    &config_missing::CAUSE,
    &dependency_down::CAUSE,
    &config_changed::CAUSE,
    &bad_rollout::CAUSE,
    &segfault::CAUSE,
    &killed_by_signal::CAUSE,
    &app_error::CAUSE,
    &clean_exit::CAUSE,
    &grace_exceeded::CAUSE,
    &sigterm::CAUSE,
];

/// Causes that are replacements gone well: no incident.
pub const CLEAN: [&str; 5] = ["rollout", "restarted-by-command", "scaled", "deleted-by-hand", "sigterm"];

#[cfg(test)]
mod tests {
    use super::{ALL, INSUFFICIENT, readiness_failed};

    #[test]
    fn the_vocabulary_names_each_cause_and_no_other() {
        let mut ids: Vec<&str> = ALL.iter().map(|c| c.id).chain([INSUFFICIENT, readiness_failed::ID]).collect();
        ids.sort_unstable();
        assert_eq!(ids, whyd_signals::causes::IDS);
    }
}
