//! The container's command is a program for another kind of machine, or no program.

use super::Cause;
use crate::case::Case;
use crate::unstartable::Unstartable;

/// See [`super::ALL`].
pub(super) const CAUSE: Cause =
    Cause { id: "exec-format", judge: |c: &Case<'_>| START.judge(c), contradict: |c| START.contradict(c) };

const START: Unstartable = Unstartable {
    cause: "exec-format",
    exit: None,
    sayings: &["exec format error", "cannot execute binary file"],
    wrong: "is not made for this machine",
};
