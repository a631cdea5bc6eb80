//! The program was ended by SIGSEGV.

use super::Cause;
use crate::case::Case;
use crate::signal::OwnSignal;

/// See [`super::ALL`].
pub(super) const CAUSE: Cause =
    Cause { id: "segfault", judge: |c: &Case<'_>| SIGNAL.judge(c), contradict: |c| SIGNAL.contradict(c) };

const SIGNAL: OwnSignal =
    OwnSignal { cause: "segfault", exit: 139, name: "SIGSEGV", did: "made an invalid memory access" };
