//! What the program needs did not answer, and that was in trouble of its own.

use std::net::IpAddr;

use whyd_signals::objects::Workload;
use whyd_signals::schema::{Evidence, Root, RuledOut};
use whyd_signals::{Resource, Timestamp};

use super::{Cause, is_own};
use crate::case::Case;
use crate::complaint::{self, Complaint, Dependency};
use crate::failures::Failure;
use crate::finding::{Basis, Depth, Finding, kube, ruled_out};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "dependency-down", judge, contradict };

fn complains(line: &str) -> bool {
    complaint::unanswered(line) || complaint::unresolved(line)
}

/// Whether the program ended by its own choice, so that its words say why.
fn gave_up(case: &Case<'_>) -> bool {
    let own = |t: &whyd_signals::objects::Terminated| {
        is_own(t.exit_code) && t.reason != "OOMKilled" && t.reason != "StartError"
    };
    case.terminated().is_some_and(own) && !case.deleting() && !case.evicted()
}

fn judge(case: &Case<'_>) -> Option<Finding> {
    if !gave_up(case) {
        return None;
    }
    let Complaint { line, hosts } = complaint::of(case.lines(), complains)?;
    let (dependency, trouble) = candidates(case, line, &hosts).into_iter().find_map(|d| {
        let trouble = trouble(case, &d)?;
        Some((d, trouble))
    })?;
    let container = case.container.unwrap_or_default();
    let summary = format!("{container} gave up because {} did not answer: {}", dependency.workload, trouble.shown.text);
    let of_root = format!("{}/{}/{}", trouble.root.namespace, trouble.root, CAUSE.id);
    let mut finding = Finding::new(CAUSE.id, Depth::Deeper, 80, trouble.root, summary)
        .basis(Basis::Said)
        .with(Some(case.line(line, "what the program says")))
        .with(Some(trouble.shown))
        .with(case.status("exitCode", "the exit code it chose"))
        .detail(&dependency.workload);
    if dependency.namespace != case.space.name {
        finding.speaks_of.push(dependency.namespace.clone());
    }
    // Another team's incident is not this team's: it gets one of its own with the same root, whatever of it was hit.
    let team = case.scoped.cluster().team_of(&dependency.namespace);
    let own = &case.space.team;
    finding.incident_key = Some(match trouble.incident_key {
        Some(key) if team == *own => key,
        Some(key) => format!("team {own}/{}", of_no_team(&key)),
        None => format!("team {own}/{of_root}"),
    });
    Some(finding)
}

/// The key of an incident without the team that it is told to.
fn of_no_team(key: &str) -> &str {
    key.strip_prefix("team ").and_then(|rest| rest.split_once('/')).map_or(key, |(_, rest)| rest)
}

/// The workloads that the complaint may mean, others than the program's own: those that a host stands for, else those
/// that listen on the port beside an address that nothing is known to bear.
fn candidates(case: &Case<'_>, line: &whyd_buffers::LogLine, hosts: &[String]) -> Vec<Dependency> {
    let own = |d: &Dependency| d.workload == case.workload && d.namespace == case.space.name;
    let mut found: Vec<Dependency> = hosts.iter().flat_map(|h| complaint::resolve(case, h)).collect();
    if found.is_empty() && !case.scoped.cluster().synced(Resource::Services) {
        let ports = hosts.iter().filter_map(|h| complaint::port_of(&line.line, h));
        found.extend(ports.flat_map(|port| complaint::listening(case.space, port)));
    }
    found.retain(|d| !own(d));
    found
}

/// What is wrong with a dependency: the object at fault, its incident, what shows it.
struct Trouble {
    root: Root,
    incident_key: Option<String>,
    shown: Evidence,
}

fn trouble(case: &Case<'_>, dependency: &Dependency) -> Option<Trouble> {
    let at = case.finished();
    let own = format!("{}/{}/", case.space.name, case.workload);
    let explains = |f: &&Failure| {
        // Where two complain of each other, neither explains the other.
        let is_own = |k: &String| of_no_team(k).starts_with(&own);
        f.own_fault || !f.incident_key.as_ref().is_some_and(is_own)
    };
    // A failure before one that somebody wanted, the latest of those.
    let mut found = None;
    for failure in case.failures.lasting(&dependency.namespace, &dependency.workload, at).filter(explains) {
        if !failure.wanted {
            found = Some(failure);
            break;
        }
        found.get_or_insert(failure);
    }
    if let Some(f) = found.filter(|f| f.root.is_some() && f.evidence.is_some()) {
        return Some(Trouble {
            root: f.root.clone()?,
            incident_key: f.incident_key.clone(),
            shown: f.evidence.clone()?,
        });
    }
    gone(case, dependency, at)
}

/// A dependency that was deleted, or had no pods because none were wanted, when the instance ended.
fn gone(case: &Case<'_>, dependency: &Dependency, at: Timestamp) -> Option<Trouble> {
    let space = case.scoped.cluster().namespace(&dependency.namespace)?;
    let (kind, name) = dependency.workload.split_once('/')?;
    // Of several of this name the one that was there then, else the last that was.
    let end = |w: &whyd_buffers::state::Record<Workload>| w.object.metadata.deletion_timestamp.or(w.deleted_at);
    let named = space.workloads_called(name).filter(|(r, _)| r.kind() == kind);
    let there = named.filter(|(_, w)| w.object.metadata.creation_timestamp.is_none_or(|made| made <= at.plus(SECOND)));
    let (_, record) =
        there.max_by_key(|(_, w)| (end(w).unwrap_or(Timestamp::MAX), w.object.metadata.creation_timestamp))?;
    let uid = record.object.metadata.uid.clone();
    let root = Root { kind: kind.into(), namespace: space.name.clone(), name: name.into(), uid };
    let object = dependency.workload.clone();
    let deleted = record.object.metadata.deletion_timestamp.or(record.deleted_at).filter(|d| *d <= at.plus(SECOND));
    if let Some(deleted) = deleted {
        let shown = kube(Some(deleted), object, "metadata.name", name, "it was deleted");
        return Some(Trouble { root, incident_key: None, shown });
    }
    // As of the end: it may have been scaled up again since.
    let (since, then) = record.versions.iter().rev().find(|(seen, _)| *seen <= at.plus(SECOND))?;
    let none = |w: &Workload| w.spec.replicas == Some(0);
    if !none(then) {
        return None;
    }
    let shown = kube(Some(*since), object, "spec.replicas", 0, "it was scaled to zero");
    Some(Trouble { root, incident_key: None, shown })
}

const SECOND: std::time::Duration = std::time::Duration::from_secs(2);

/// What it may have given up on, when it ended by its own choice complaining of something: workloads, else hosts that stand
/// for none.
pub(crate) fn depends_on(case: &Case<'_>) -> (Vec<Dependency>, Vec<String>) {
    let complaint = if gave_up(case) { complaint::of(case.lines(), complains) } else { None };
    let Some(Complaint { line, hosts }) = complaint else { return (Vec::new(), Vec::new()) };
    let found = candidates(case, line, &hosts);
    let mut outside = Vec::new();
    if found.is_empty() {
        // A word with a dot is a host for sure where a port stands beside it.
        let is_host = |h: &&String| h.parse::<IpAddr>().is_ok() || complaint::port_of(&line.line, h).is_some();
        let elsewhere = |h: &&String| !is_loopback(h) && complaint::resolve(case, h).is_empty();
        outside.extend(hosts.iter().filter(is_host).filter(elsewhere).cloned());
    }
    (found, outside)
}

/// Whether a host is the pod itself.
fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified())
}

fn contradict(case: &Case<'_>) -> Option<RuledOut> {
    if !gave_up(case) {
        let t = case.terminated()?;
        let because = match t.exit_code {
            0 => "exit 0 is no error".to_owned(),
            code => format!("exit {code} is no code that it chose"),
        };
        return (!is_own(t.exit_code)).then(|| ruled_out(CAUSE.id, because, &case.field("exitCode"), t.exit_code));
    }
    let last = case.lines().last()?;
    let Some(Complaint { line, hosts }) = complaint::of(case.lines(), complains) else {
        let because = "its last words complain of nothing that did not answer".to_owned();
        return Some(ruled_out(CAUSE.id, because, "logs", last.line.clone()));
    };
    // A name that nobody can be found for proves nothing: it may stand for what failed.
    if candidates(case, line, &hosts).is_empty() {
        return None;
    }
    let because = "what its last words name was in no trouble of its own".to_owned();
    Some(ruled_out(CAUSE.id, because, "logs", line.line.clone()))
}
