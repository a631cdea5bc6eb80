//! The container's command names nothing that can be run.

use super::Cause;
use crate::case::Case;
use crate::unstartable::Unstartable;

/// See [`super::ALL`].
pub(super) const CAUSE: Cause =
    Cause { id: "command-not-found", judge: |c: &Case<'_>| START.judge(c), contradict: |c| START.contradict(c) };

const START: Unstartable = Unstartable {
    cause: "command-not-found",
    exit: Some(127),
    sayings: &["executable file not found", "no such file or directory", "command not found", ": not found"],
    wrong: "is not in the image",
};
