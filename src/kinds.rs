//! Kinds of objects as people write them.

/// The kind as the API has it, of a workload or pod as kubectl takes it: `deploy`, `sts`, `deployments.apps`.
pub(crate) fn kind(word: &str) -> Option<&'static str> {
    let lower = word.to_ascii_lowercase();
    // `deployments.apps` names the group too.
    Some(match lower.split('.').next().unwrap_or_default() {
        "po" | "pod" | "pods" => "Pod",
        "deploy" | "deployment" | "deployments" => "Deployment",
        "sts" | "statefulset" | "statefulsets" => "StatefulSet",
        "ds" | "daemonset" | "daemonsets" => "DaemonSet",
        "rs" | "replicaset" | "replicasets" => "ReplicaSet",
        "job" | "jobs" => "Job",
        "cj" | "cronjob" | "cronjobs" => "CronJob",
        _ => return None,
    })
}
