//! The container's command is a file that may not be executed.

use super::Cause;
use crate::case::Case;
use crate::unstartable::Unstartable;

/// See [`super::ALL`].
pub(super) const CAUSE: Cause =
    Cause { id: "not-executable", judge: |c: &Case<'_>| START.judge(c), contradict: |c| START.contradict(c) };

const START: Unstartable = Unstartable {
    cause: "not-executable",
    exit: Some(126),
    sayings: &["permission denied", "is a directory"],
    wrong: "must not be executed",
};
