//! A command that the runtime, or the shell it was given to, could not start: three causes, told apart by their words.

use whyd_signals::schema::RuledOut;

use crate::case::Case;
use crate::finding::{Depth, Finding, event, ruled_out};
use crate::start_error::{About, StartError};

/// One reason for which a command cannot be started.
pub(crate) struct Unstartable {
    /// Cause id.
    pub(crate) cause: &'static str,
    /// What a shell makes of it.
    pub(crate) exit: Option<i32>,
    /// How runtimes and shells say it, in lower case.
    pub(crate) sayings: &'static [&'static str],
    /// What is wrong, after the command.
    pub(crate) wrong: &'static str,
}

impl Unstartable {
    fn says_so(&self, message: &str) -> bool {
        let lower = message.to_ascii_lowercase();
        self.sayings.iter().any(|s| lower.contains(s))
    }

    /// The finding.
    pub(crate) fn judge(&self, case: &Case<'_>) -> Option<Finding> {
        if case.deleting() {
            return None;
        }
        let by_runtime = StartError::of(case, |about| matches!(about, About::Command(words) if self.says_so(words)));
        let started = case.terminated().filter(|t| t.reason != "StartError" && t.reason != "ContainerCannotRun");
        if by_runtime.is_none() && !started.is_some_and(|t| self.by_shell(case, t.exit_code)) {
            return None;
        }
        let name = case.container.unwrap_or_default();
        let words = case.lines().iter().rev().find(|l| self.says_so(&l.line));
        let command = case.spec().and_then(|c| c.command.first());
        let summary = match (words, command) {
            (Some(line), _) => format!("a command of {name} {}: {}", self.wrong, line.line.trim()),
            (None, Some(command)) if by_runtime.is_some() => format!("the command {command} of {name} {}", self.wrong),
            _ => format!("a command of {name} {}", self.wrong),
        };
        let item = command.map(|c| case.of_pod(None, &case.spec_field("command[0]"), c.clone(), "what was to be run"));
        Some(
            Finding::new(self.cause, Depth::Mechanism, 85, case.workload_root(), summary)
                .with(case.status("reason", "how the runtime names it"))
                .with(case.status("exitCode", "what is reported for it"))
                .with(case.status("message", "the runtime's words").filter(|e| e.value != ""))
                .with(item)
                .with(words.map(|l| case.line(l, "its last words")))
                .with(by_runtime.and_then(|e| e.event).map(event)),
        )
    }

    /// A shell's own exit code, or the words of what took the command's place.
    fn by_shell(&self, case: &Case<'_>, exit: i32) -> bool {
        // What the runtime's own helper prints in place of the program, and nothing after it:
        // `exec /app: exec format error`.
        let said = case.lines();
        let first = said.len() <= 3 && said.iter().any(|l| l.line.contains("exec ") && self.says_so(&l.line));
        self.exit == Some(exit) || matches!(exit, 1 | 2 | 126 | 127 | 255) && first
    }

    /// Why it is not this.
    pub(crate) fn contradict(&self, case: &Case<'_>) -> Option<RuledOut> {
        let t = case.terminated().filter(|t| t.reason != "StartError" && Some(t.exit_code) != self.exit)?;
        let because = format!("it started and ended with exit {}", t.exit_code);
        Some(ruled_out(self.cause, because, &case.field("exitCode"), t.exit_code))
    }
}
