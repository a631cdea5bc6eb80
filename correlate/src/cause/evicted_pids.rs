//! The kubelet evicted the pod because its node ran short of process ids.

use super::Cause;
use crate::case::Case;
use crate::eviction::Shortage;

/// See [`super::ALL`].
pub(super) const CAUSE: Cause =
    Cause { id: "evicted-pids", judge: |c: &Case<'_>| SHORTAGE.judge(c), contradict: |c| SHORTAGE.contradict(c) };

const SHORTAGE: Shortage =
    Shortage { cause: "evicted-pids", what: "process ids", resources: &["pids", "pid"], pressure: "PIDPressure" };
