//! The workload was scaled down.

use super::Cause;
use crate::case::Case;
use crate::finding::ruled_out;
use crate::replacement::{Kind, judge};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause {
    id: "scaled",
    judge: |c: &Case<'_>| judge(c, "scaled", Kind::Scaled, "fewer replicas were wanted of"),
    contradict: |c| {
        if c.deletion_asked().is_some() {
            return None;
        }
        let because = "the pod was not deleted".to_owned();
        Some(ruled_out("scaled", because, "metadata.deletionTimestamp", serde_json::Value::Null))
    },
};
