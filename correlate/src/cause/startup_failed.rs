//! The kubelet restarted the container because it was not up within its startup probe's time.

use super::Cause;
use crate::case::Case;
use crate::probe::RestartingProbe;

/// See [`super::ALL`].
pub(super) const CAUSE: Cause =
    Cause { id: "startup-failed", judge: |c: &Case<'_>| PROBE.judge(c), contradict: |c| PROBE.contradict(c) };

const PROBE: RestartingProbe = RestartingProbe {
    cause: "startup-failed",
    name: "startup",
    metric_type: "Startup",
    declared: |c| c.startup_probe.is_some(),
    score: 87,
};
