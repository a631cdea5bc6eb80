//! What the program needs did not answer, and that had a failure of its own before.

use std::collections::BTreeSet;
use std::time::Duration;

use whyd_buffers::state::{NamespaceState, Record};
use whyd_signals::objects::Pod;
use whyd_signals::schema::{Evidence, Root, RuledOut};

use super::Cause;
use crate::case::Case;
use crate::finding::{Depth, Finding, kube, ruled_out};
use crate::last_words;
use crate::ledger::Failure;

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "dependency-down", judge, contradict };

/// A failure of the dependency further back than this does not explain the end.
const RECENT: Duration = Duration::from_secs(300);
/// How a program says that something else did not answer.
const SAYINGS: [&str; 19] = [
    "connection refused",
    "connection reset",
    "timed out",
    "i/o timeout",
    "connect timeout",
    "connection timeout",
    "timeout exceeded",
    "timeouterror",
    "etimedout",
    "deadline exceeded",
    "no route to host",
    "unreachable",
    "could not connect",
    "could not reach",
    "broken pipe",
    "bad gateway",
    "service unavailable",
    "gateway timeout",
    "no such host",
];

/// Something that the last words say did not answer.
struct Dependency {
    /// `Kind/name`.
    workload: String,
    namespace: String,
}

fn complains(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    SAYINGS.iter().any(|s| lower.contains(s))
}

fn judge(case: &Case<'_>) -> Option<Finding> {
    case.terminated().filter(|t| t.exit_code != 0 && t.reason != "OOMKilled" && t.reason != "StartError")?;
    if case.deleting() || case.evicted() {
        return None;
    }
    let said = case.lines();
    let last = &said[said.len().saturating_sub(30)..];
    let complaint = last.iter().filter(|l| complains(&l.line)).max_by_key(|l| (last_words::weight(&l.line), l.ts))?;
    let hosts: BTreeSet<String> = last.iter().filter(|l| complains(&l.line)).flat_map(|l| hosts(&l.line)).collect();
    let (dependency, (root, key, item)) = hosts
        .iter()
        .flat_map(|h| resolve(case, h))
        .filter(|d| d.workload != case.workload || d.namespace != case.space.name)
        .find_map(|d| failed(case, &d).map(|f| (d, f)))?;
    let summary = format!(
        "{} gave up because {} did not answer: {}",
        case.container.unwrap_or_default(),
        dependency.workload,
        item.text
    );
    let mut finding = Finding::new(CAUSE.id, Depth::Deeper, 80, root, summary)
        .with(Some(case.line(complaint, "what the program says")))
        .with(Some(item))
        .with(case.status("exitCode", "the exit code it chose"))
        .detail(&dependency.workload);
    // Another team's incident is not this team's: it gets one of its own with the same root.
    let team = case.scoped.cluster().team_of(&dependency.namespace);
    finding.incident_key = key.filter(|_| team == case.space.team);
    Some(finding)
}

/// The dependency's own failure before this end: the object at fault, its incident and what shows it.
fn failed(case: &Case<'_>, dependency: &Dependency) -> Option<(Root, Option<String>, Evidence)> {
    let to = case.finished().plus(Duration::from_secs(2));
    let own = format!("{}/{}/", case.space.name, case.workload);
    let earlier = |f: &&Failure| {
        f.workload == dependency.workload
            && f.namespace == dependency.namespace
            && f.finished <= to
            // Where two complain of each other, neither explains the other.
            && (f.own_fault || f.incident_key.as_ref().is_none_or(|k| !k.starts_with(&own)))
            && to.seconds_since(f.finished) <= RECENT.as_secs_f64()
    };
    if let Some(f) = case.failures.iter().filter(earlier).max_by_key(|f| f.finished) {
        return Some((f.root.clone()?, f.incident_key.clone(), f.evidence.clone()?));
    }
    let cluster = case.scoped.cluster();
    let space = cluster.namespace(&dependency.namespace)?;
    let (kind, name) = dependency.workload.split_once('/')?;
    let (resource, record) =
        space.workloads.values().find(|(r, w)| r.kind() == kind && w.object.metadata.name == name)?;
    let root =
        |uid: &str| Root { kind: kind.into(), namespace: space.name.clone(), name: name.into(), uid: uid.into() };
    let object = dependency.workload.clone();
    let meta = &record.object.metadata;
    if let Some(at) = record.deleted_at.filter(|at| *at <= to) {
        let item = kube(Some(at), object, "metadata.name", name, "it was deleted");
        return Some((root(&meta.uid), None, item));
    }
    if record.object.spec.replicas == Some(0) && resource.kind() != "ReplicaSet" {
        let at = record.versions.last().map(|(at, _)| *at);
        return Some((root(&meta.uid), None, kube(at, object, "spec.replicas", 0, "it was scaled to zero")));
    }
    None
}

/// The workloads behind a host name or address.
fn resolve(case: &Case<'_>, host: &str) -> Vec<Dependency> {
    let cluster = case.scoped.cluster();
    if host.parse::<std::net::IpAddr>().is_ok() {
        let spaces = cluster.namespaces();
        return spaces
            .flat_map(|s| {
                let by_pod = s.pods.values().filter(|p| has_address(case, p, host)).map(|p| s.workload_of(&p.object));
                let by_service = s.services.values().filter(|v| v.object.spec.cluster_ip == host);
                let behind = by_service.flat_map(|v| selected(s, &v.object.spec.selector));
                by_pod
                    .chain(behind)
                    .map(|workload| Dependency { workload, namespace: s.name.clone() })
                    .collect::<Vec<_>>()
            })
            .collect();
    }
    let mut labels = host.split('.');
    let (Some(name), second) = (labels.next(), labels.next()) else { return Vec::new() };
    // `pod.service.namespace.svc` of a StatefulSet, `service.namespace.svc`, `service`.
    let candidates = [
        (name, second.unwrap_or(&case.space.name)),
        (second.unwrap_or(name), labels.next().unwrap_or(&case.space.name)),
    ];
    let mut found = Vec::new();
    for (service, namespace) in candidates {
        let Some(space) = cluster.namespace(namespace) else { continue };
        let of_service = space.services.values().filter(|v| v.object.metadata.name == service);
        let mut names: Vec<String> = of_service.flat_map(|v| selected(space, &v.object.spec.selector)).collect();
        if names.is_empty() {
            // Services are not always watched: by convention a service is named as what it serves.
            names = space
                .workloads
                .values()
                .filter(|(r, w)| r.kind() != "ReplicaSet" && w.object.metadata.name == service)
                .map(|(r, w)| format!("{}/{}", r.kind(), w.object.metadata.name))
                .collect();
        }
        found.extend(names.into_iter().map(|workload| Dependency { workload, namespace: namespace.to_owned() }));
    }
    found
}

/// Whether the pod had this address of its own when the instance ended: addresses are given anew.
fn has_address(case: &Case<'_>, pod: &Record<Pod>, host: &str) -> bool {
    let there = pod.deleted_at.is_none_or(|at| at >= case.started());
    pod.object.status.pod_ip == host && !pod.object.spec.host_network && there
}

/// The workloads of the pods that a selector selects.
fn selected(space: &NamespaceState, selector: &std::collections::BTreeMap<String, String>) -> BTreeSet<String> {
    if selector.is_empty() {
        return BTreeSet::new();
    }
    let matches =
        |labels: &std::collections::BTreeMap<String, String>| selector.iter().all(|(k, v)| labels.get(k) == Some(v));
    let pods = space.pods.values().filter(|p| matches(&p.object.metadata.labels)).map(|p| space.workload_of(&p.object));
    let empty = space
        .workloads
        .values()
        .filter(|(r, w)| r.kind() != "ReplicaSet" && matches(&w.object.spec.template.metadata.labels))
        .map(|(r, w)| format!("{}/{}", r.kind(), w.object.metadata.name));
    pods.chain(empty).collect()
}

/// Words after which a bare name is a host.
const BEFORE_HOST: [&str; 8] = ["host", "dial", "lookup", "to", "reach", "database", "server", "upstream"];

/// Host names and addresses in a line, without port and scheme. A bare word is one only where something says so.
fn hosts(line: &str) -> Vec<String> {
    let split = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']' | '/' | '@'));
    let mut found = Vec::new();
    let mut before = String::new();
    for word in line.split(split).filter(|w| !w.is_empty()) {
        let (scheme, token) = word.rsplit_once("//").map_or((false, word), |(_, rest)| (true, rest));
        let token = token.split('/').next().unwrap_or(token);
        let token = token.rsplit('@').next().unwrap_or(token);
        let token = token.trim_matches(|c| matches!(c, ':' | '.' | '-' | '[' | ']'));
        let (host, port) = token.rsplit_once(':').map_or((token, None), |(h, p)| (h, Some(p)));
        let has_port = port.is_some_and(|p| p.parse::<u16>().is_ok());
        let host = if has_port { host } else { token };
        let name = host.contains(|c: char| c.is_ascii_alphabetic()) && !host.contains(':');
        let said = scheme || has_port || host.contains('.') || BEFORE_HOST.contains(&before.as_str());
        if host.parse::<std::net::IpAddr>().is_ok() || name && said {
            found.push(host.to_ascii_lowercase());
        }
        before = word.trim_matches(':').to_ascii_lowercase();
    }
    found
}

fn contradict(case: &Case<'_>) -> Option<RuledOut> {
    case.terminated()?;
    let said = case.lines();
    if said.is_empty() {
        return None;
    }
    let last = &said[said.len().saturating_sub(30)..];
    let complaint = last.iter().find(|l| complains(&l.line));
    let because = match complaint {
        None => "its last words complain of nothing that did not answer",
        Some(_) => "nothing that its last words name had a failure of its own before",
    };
    let value = complaint.map_or(serde_json::Value::Null, |l| l.line.to_string().into());
    Some(ruled_out(CAUSE.id, because.to_owned(), "logs", value))
}

#[cfg(test)]
mod tests {
    use super::hosts;

    #[test]
    fn hosts_are_found_with_and_without_port() {
        let line = "FATAL: could not reach database db.shop.svc.cluster.local:5432: dial tcp 10.1.2.3:5432: connection refused";
        let found = hosts(line);
        assert!(found.contains(&"db.shop.svc.cluster.local".to_owned()), "{found:?}");
        assert!(found.contains(&"10.1.2.3".to_owned()), "{found:?}");
        assert!(hosts("http://cache:6379/x timed out").contains(&"cache".to_owned()));
        assert!(hosts("postgres://[redacted]@db/shop: connection refused").contains(&"db".to_owned()));
        assert!(hosts("lookup paydb: no such host").contains(&"paydb".to_owned()));
        assert!(hosts("error: invalid paydb field in request body, read timed out").is_empty());
    }
}
