//! The kubelet restarted the container because its liveness probe failed.

use super::Cause;
use crate::case::Case;
use crate::probe::RestartingProbe;

/// See [`super::ALL`].
pub(super) const CAUSE: Cause =
    Cause { id: "liveness-failed", judge: |c: &Case<'_>| PROBE.judge(c), contradict: |c| PROBE.contradict(c) };

const PROBE: RestartingProbe = RestartingProbe {
    cause: "liveness-failed",
    name: "liveness",
    metric_type: "Liveness",
    declared: |c| c.liveness_probe.is_some(),
    score: 86,
};
