//! What a runtime says of a container that it could not start: of which part of it, so that a missing mount is not taken
//! for a missing command.

use whyd_buffers::state::EventSeen;

use crate::case::{Case, Ending};

/// What the words are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About<'a> {
    /// The command: what is said after it is named.
    Command(&'a str),
    /// There is none.
    NoCommand,
    /// The mount at this path in the container.
    Mount(&'a str),
    /// The working directory of this path.
    WorkingDir(&'a str),
}

/// How runtimes name the command: runc, runc and crun, gVisor twice.
const COMMAND: [&str; 4] = ["exec: \"", "executable file", "failed to load ", "error finding executable"];
/// `failed to generate container "ID" spec: failed to generate spec: no command specified`
const NO_COMMAND: &str = "no command specified";
/// `error mounting "SOURCE" to rootfs at "DESTINATION": ...`
const MOUNT: [&str; 2] = ["error mounting \"", "\" to rootfs at \""];
/// `chdir to cwd ("/srv/app") set in config.json failed: ...`
const WORKING_DIR: &str = "chdir to cwd (\"";

/// What an error of the runtime is about; `None` where it is none of these.
pub(crate) fn about(message: &str) -> Option<About<'_>> {
    let quoted = |from: &'static str| message.split_once(from)?.1.split('"').next();
    if let Some(path) = quoted(MOUNT[0]).and_then(|_| quoted(MOUNT[1])) {
        return Some(About::Mount(path));
    }
    if let Some(path) = quoted(WORKING_DIR) {
        return Some(About::WorkingDir(path));
    }
    if message.contains(NO_COMMAND) {
        return Some(About::NoCommand);
    }
    COMMAND.iter().find_map(|name| message.find(name)).map(|at| About::Command(&message[at..]))
}

/// What the runtime or the kubelet said when the container could not be started.
pub(crate) struct StartError<'a> {
    /// The words.
    pub(crate) said: &'a str,
    /// The newest event with such words.
    pub(crate) event: Option<&'a EventSeen>,
}

impl<'a> StartError<'a> {
    /// The newest error of this container that is `meant`, by its status or, where that has no words, by its events.
    pub(crate) fn of(case: &'a Case<'_>, meant: impl Fn(About<'_>) -> bool) -> Option<Self> {
        let is_meant = |message: &str| about(message).is_some_and(&meant);
        let event = case.pod_events("Failed").filter(|e| is_meant(&e.event.message)).max_by_key(|e| e.at);
        let status = match case.ending {
            Ending::Ended { terminated: t, .. } if t.reason == "StartError" || t.reason == "ContainerCannotRun" => {
                t.message.as_str()
            }
            Ending::NeverStarted { reason, message }
                if reason == "RunContainerError" || reason == "CreateContainerError" =>
            {
                message.as_str()
            }
            _ => return None,
        };
        let by_event = || event.filter(|_| about(status).is_none()).map(|e| e.event.message.as_str());
        let said = Some(status).filter(|s| is_meant(s)).or_else(by_event)?;
        Some(Self { said, event })
    }
}

#[cfg(test)]
mod tests {
    use super::{About, about};

    #[test]
    fn a_mount_and_a_directory_are_not_the_command() {
        let of = |rest: &str| format!("runc create failed: unable to start container process: {rest}");
        let check = |message: &str, expected: Option<About<'_>>| assert_eq!(about(message), expected, "{message}");
        check(
            &of(r#"exec: "/app": stat /app: no such file or directory"#),
            Some(About::Command(r#"exec: "/app": stat /app: no such file or directory"#)),
        );
        check(
            &of(r#"error during container init: error mounting "/a" to rootfs at "/etc/b": no such file or directory"#),
            Some(About::Mount("/etc/b")),
        );
        check(
            &of(r#"error during container init: chdir to cwd ("/srv") set in config.json failed: permission denied"#),
            Some(About::WorkingDir("/srv")),
        );
        check("failed to generate spec: no command specified", Some(About::NoCommand));
        check(&of("error during container init: permission denied"), None);
    }
}
