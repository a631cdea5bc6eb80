//! What is known to be missing: times for which a source that is asked did not answer.

use whyd_signals::Ranges;

/// Of which times metrics and log lines may be missing. It names no source, and so no team.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Lacking {
    pub metrics: Ranges,
    pub logs: Ranges,
}
