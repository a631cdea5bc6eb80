//! The program aborted itself: an assertion, a runtime's fatal error, a failed allocation.

use super::Cause;
use crate::case::Case;
use crate::signal::OwnSignal;

/// See [`super::ALL`].
pub(super) const CAUSE: Cause =
    Cause { id: "abort", judge: |c: &Case<'_>| SIGNAL.judge(c), contradict: |c| SIGNAL.contradict(c) };

const SIGNAL: OwnSignal = OwnSignal { cause: "abort", exit: 134, name: "SIGABRT", did: "aborted itself" };
