//! A newer revision replaced the pod; nothing failed.

use super::Cause;
use crate::case::Case;
use crate::finding::ruled_out;
use crate::replacement::{Kind, judge};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause {
    id: "rollout",
    judge: |c: &Case<'_>| judge(c, "rollout", Kind::Rollout, "a newer revision of"),
    contradict: |c| {
        if c.deletion_asked().is_some() {
            return None;
        }
        let because = "the pod was not deleted".to_owned();
        Some(ruled_out("rollout", because, "metadata.deletionTimestamp", serde_json::Value::Null))
    },
};
