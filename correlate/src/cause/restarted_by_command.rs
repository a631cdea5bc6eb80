//! Somebody restarted the workload (kubectl rollout restart).

use super::Cause;
use crate::case::Case;
use crate::finding::ruled_out;
use crate::replacement::{Kind, judge};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause {
    id: "restarted-by-command",
    judge: |c: &Case<'_>| judge(c, "restarted-by-command", Kind::RestartedByCommand, "somebody restarted"),
    contradict: |c| {
        if c.deletion_asked().is_some() {
            return None;
        }
        let because = "the pod was not deleted".to_owned();
        Some(ruled_out("restarted-by-command", because, "metadata.deletionTimestamp", serde_json::Value::Null))
    },
};
