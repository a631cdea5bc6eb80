//! The program was ended by SIGBUS: a truncated mapped file, a full tmpfs, a misaligned access.

use super::Cause;
use crate::case::Case;
use crate::signal::OwnSignal;

/// See [`super::ALL`].
pub(super) const CAUSE: Cause =
    Cause { id: "bus-error", judge: |c: &Case<'_>| SIGNAL.judge(c), contradict: |c| SIGNAL.contradict(c) };

const SIGNAL: OwnSignal =
    OwnSignal { cause: "bus-error", exit: 135, name: "SIGBUS", did: "touched memory that is not backed" };
