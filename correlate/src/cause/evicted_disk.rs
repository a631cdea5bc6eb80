//! The kubelet evicted the pod because its node ran short of disk.

use super::Cause;
use crate::case::Case;
use crate::eviction::Shortage;

/// See [`super::ALL`].
pub(super) const CAUSE: Cause =
    Cause { id: "evicted-disk", judge: |c: &Case<'_>| SHORTAGE.judge(c), contradict: |c| SHORTAGE.contradict(c) };

const SHORTAGE: Shortage = Shortage {
    cause: "evicted-disk",
    what: "disk",
    resources: &["ephemeral-storage", "nodefs", "imagefs", "inodes"],
    pressure: "DiskPressure",
};
