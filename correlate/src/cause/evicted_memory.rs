//! The kubelet evicted the pod because its node ran short of memory.

use super::Cause;
use crate::case::Case;
use crate::eviction::Shortage;

/// See [`super::ALL`].
pub(super) const CAUSE: Cause =
    Cause { id: "evicted-memory", judge: |c: &Case<'_>| SHORTAGE.judge(c), contradict: |c| SHORTAGE.contradict(c) };

const SHORTAGE: Shortage =
    Shortage { cause: "evicted-memory", what: "memory", resources: &["memory"], pressure: "MemoryPressure" };
