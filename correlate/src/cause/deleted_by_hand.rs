//! Somebody deleted the pod; its owner made another.

use super::Cause;
use crate::case::Case;
use crate::finding::ruled_out;
use crate::replacement::{Kind, judge};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause {
    id: "deleted-by-hand",
    judge: |c: &Case<'_>| judge(c, "deleted-by-hand", Kind::ByHand, "somebody deleted"),
    contradict: |c| {
        if c.deletion_asked().is_some() {
            return None;
        }
        let because = "the pod was not deleted".to_owned();
        Some(ruled_out("deleted-by-hand", because, "metadata.deletionTimestamp", serde_json::Value::Null))
    },
};
