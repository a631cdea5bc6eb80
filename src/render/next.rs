//! Where to look next, cause by cause.

use whyd_api::dto::Restart;

/// What a person would do now, the most telling first. Names are put into commands only where they are plain words.
pub(super) fn steps(row: &Restart) -> Vec<String> {
    let at = Target { row };
    let steps = match row.cause.as_str() {
        "oom-limit" | "oom-child" | "heap-exhausted" => vec![
            at.pod("top pod", "--containers"),
            Some("raise the limit if the use is legitimate, find what grows if it is not".to_owned()),
        ],
        "app-error" | "abort" | "segfault" | "bus-error" | "killed-by-signal" | "init-failed" | "sidecar-failed"
        | "port-conflict" => vec![at.logs()],
        "liveness-failed" | "startup-failed" | "readiness-failed" => vec![
            at.logs(),
            Some("compare the probe's timeout, delay and threshold with what the program needs".to_owned()),
        ],
        "image-pull" => {
            vec![
                at.pod("describe pod", ""),
                Some("check the image's name, tag, pull policy and pull secret".to_owned()),
            ]
        }
        "config-missing" => vec![at.namespace("get configmaps,secrets"), at.pod("describe pod", "")],
        "config-changed" => vec![at.root("get", "-o yaml"), at.logs()],
        "bad-rollout" => vec![at.root("rollout history", ""), at.root("rollout undo", ""), at.logs()],
        "rollout" | "restarted-by-command" => vec![at.root("rollout history", "")],
        "dependency-down" => vec![at.why_root(), at.logs()],
        "dependency-missing" => vec![at.namespace("get services"), at.logs()],
        "command-not-found" | "not-executable" | "exec-format" => {
            vec![at.pod("describe pod", ""), Some("check command and args against what the image holds".to_owned())]
        }
        "clean-exit" => {
            vec![at.logs(), Some("a program that is meant to end belongs in a Job or CronJob".to_owned())]
        }
        "evicted-storage-limit" => {
            vec![
                at.pod("describe pod", ""),
                Some("look at what it writes: emptyDir volumes and the container's own files count".to_owned()),
            ]
        }
        "job-failed" => vec![at.root("describe", ""), at.logs()],
        "unschedulable" | "quota" | "admission" => {
            vec![at.pod("describe pod", ""), at.namespace("describe resourcequotas")]
        }
        "insufficient-evidence" => vec![at.pod("describe pod", ""), at.logs()],
        "deleted-by-hand" | "scaled" => vec![at.namespace("get events --sort-by=.lastTimestamp")],
        _ => vec![at.pod("describe pod", "")],
    };
    steps.into_iter().flatten().collect()
}

struct Target<'a> {
    row: &'a Restart,
}

impl Target<'_> {
    fn namespace(&self, command: &str) -> Option<String> {
        Some(format!("kubectl -n {} {command}", word(&self.row.namespace)?))
    }

    fn pod(&self, command: &str, rest: &str) -> Option<String> {
        let pod = word(self.row.pod.as_ref()?)?;
        self.namespace(&format!("{command} {pod} {rest}")).map(|c| c.trim_end().to_owned())
    }

    /// What the ended instance wrote.
    fn logs(&self) -> Option<String> {
        let container = self.row.container.as_ref().and_then(|c| word(c)).map(|c| format!("-c {c} "));
        self.pod("logs", &format!("{}--previous", container.unwrap_or_default()))
    }

    fn root(&self, command: &str, rest: &str) -> Option<String> {
        let root = self.row.root.as_ref()?;
        let (kind, name) = (word(&root.kind)?.to_ascii_lowercase(), word(&root.name)?);
        Some(format!("kubectl -n {} {command} {kind}/{name} {rest}", word(&root.namespace)?).trim_end().to_owned())
    }

    fn why_root(&self) -> Option<String> {
        let root = self.row.root.as_ref()?;
        Some(format!("whyd why {} -n {}", word(&root.name)?, word(&root.namespace)?))
    }
}

/// A name that a shell takes as it stands.
fn word(name: &str) -> Option<&str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    (!name.is_empty() && !name.starts_with('-') && name.chars().all(plain)).then_some(name)
}
