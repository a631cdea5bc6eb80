//! Where to look next, cause by cause.

use crate::dto::{Incident, Restart};

/// What a probe's failure is held against.
const COMPARE: &str = "compare the probe's timeout, delay and threshold with what the program needs";

/// What a person would do now, the most telling first. Names are put into commands only where they are plain words.
/// `server` is where the daemon is to be asked, where that is not where it is by default.
pub fn steps(row: &Restart, server: Option<&str>) -> Vec<String> {
    let at = Target { row, server };
    let steps = match row.cause.as_str() {
        "oom-limit" | "oom-child" | "heap-exhausted" => vec![
            at.pod("top pod", "--containers"),
            Some("raise the limit if the use is legitimate, find what grows if it is not".to_owned()),
        ],
        "app-error" | "abort" | "segfault" | "bus-error" | "killed-by-signal" | "init-failed" | "sidecar-failed"
        | "port-conflict" => vec![at.logs()],
        "liveness-failed" | "startup-failed" | "readiness-failed" => vec![at.logs(), Some(COMPARE.to_owned())],
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

/// The same of an incident in which nothing restarted: of the pod that its evidence is of, else of the first in it.
pub fn of_incident(incident: &Incident) -> Vec<String> {
    let pod = incident.evidence.iter().find_map(|e| e.object.strip_prefix("Pod/"));
    let shown = incident.members.iter().find(|m| m.split('/').nth(1).is_some_and(|name| Some(name) == pod));
    let mut parts = shown.or(incident.members.first()).map_or("", String::as_str).split('/').map(word);
    let (namespace, pod) = (parts.next().flatten(), parts.next().flatten());
    let of_pod = |command: &str, rest: &str| Some(format!("kubectl -n {} {command} {}{rest}", namespace?, pod?));
    let steps = match incident.cause.as_str() {
        "readiness-failed" => vec![of_pod("describe pod", ""), of_pod("logs", ""), Some(COMPARE.to_owned())],
        "node-not-ready" => {
            let node = incident.root.as_ref().filter(|root| root.kind == "Node").and_then(|root| word(&root.name));
            vec![node.map(|node| format!("kubectl describe node {node}"))]
        }
        "oom-child" => vec![of_pod("top pod", " --containers"), of_pod("logs", "")],
        _ => Vec::new(),
    };
    steps.into_iter().flatten().collect()
}

struct Target<'a> {
    row: &'a Restart,
    server: Option<&'a str>,
}

impl Target<'_> {
    fn namespace(&self, command: &str) -> Option<String> {
        Some(format!("kubectl -n {} {command}", word(&self.row.namespace)?))
    }

    fn pod(&self, command: &str, rest: &str) -> Option<String> {
        let pod = word(self.row.pod.as_ref()?)?;
        self.namespace(&format!("{command} {pod} {rest}")).map(|c| c.trim_end().to_owned())
    }

    /// What the ended instance wrote: what the container writes, unless another instance came after it.
    fn logs(&self) -> Option<String> {
        if self.row.finished_at.is_none() && !self.row.again {
            // Nothing of it ran.
            return None;
        }
        let container = self.row.container.as_ref().and_then(|c| word(c)).map(|c| format!("-c {c} "));
        let which = if self.row.again { "--previous" } else { "" };
        self.pod("logs", &format!("{}{which}", container.unwrap_or_default()))
    }

    fn root(&self, command: &str, rest: &str) -> Option<String> {
        let root = self.row.root.as_ref()?;
        let (kind, name) = (word(&root.kind)?.to_ascii_lowercase(), word(&root.name)?);
        Some(format!("kubectl -n {} {command} {kind}/{name} {rest}", word(&root.namespace)?).trim_end().to_owned())
    }

    fn why_root(&self) -> Option<String> {
        let root = self.row.root.as_ref()?;
        let server = self.server.map_or(String::new(), |server| format!(" --server {server}"));
        Some(format!("whyd why {} -n {}{server}", word(&root.name)?, word(&root.namespace)?))
    }
}

/// A name that a shell takes as it stands.
fn word(name: &str) -> Option<&str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    (!name.is_empty() && !name.starts_with('-') && name.chars().all(plain)).then_some(name)
}
