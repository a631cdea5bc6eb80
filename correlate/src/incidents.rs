//! Incidents: one for each root, derived from the ledger's rows, so that they are the same however they came in.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use whyd_buffers::Scoped;
use whyd_signals::schema::{Incident, IncidentStatus, Restart, Root, Severity};
use whyd_signals::{Team, Timestamp};

use crate::cause::readiness_failed;
use crate::ledger::Unready;

/// An incident is over when nothing of it happened for this long and its pods are ready.
const QUIET: Duration = Duration::from_secs(900);
/// A pod that is unready around a restart of its workload is part of that restart.
const AROUND: Duration = Duration::from_secs(120);
/// From so many ends on it is critical.
const CRITICAL: usize = 3;

struct Draft {
    team: Team,
    cause: String,
    root: Option<Root>,
    /// Whether cause and root were taken from a row of the root's own workload, not from one it took down.
    own: bool,
    opened: Timestamp,
    last: Timestamp,
    members: Vec<String>,
    ends: usize,
    never_started: bool,
    pods: Vec<(String, String)>,
    summary: String,
}

/// The incidents of these rows and unready pods as of `now`, in order of opening.
pub(crate) fn from_rows<'a>(
    cluster: &str,
    rows: &[Arc<Restart>],
    unready: impl Iterator<Item = &'a Unready>,
    now: Timestamp,
    scoped: &Scoped,
) -> Vec<Arc<Incident>> {
    let mut drafts: BTreeMap<String, Draft> = BTreeMap::new();
    for row in rows {
        let Some(key) = &row.incident_key else { continue };
        add_row(drafts.entry(key.clone()).or_insert_with(|| from_row(row)), row, key);
    }
    for pod in unready {
        let in_restart = rows.iter().any(|r| {
            let at = r.finished_at.unwrap_or(r.seen_at);
            let near = pod.since.minus(AROUND) <= at && at <= pod.until.unwrap_or(now).plus(AROUND);
            r.workload == pod.workload && r.namespace == pod.namespace && r.incident_key.is_some() && near
        });
        if !in_restart {
            let key = format!("{}/{}/{}", pod.namespace, pod.workload, readiness_failed::ID);
            add_unready(drafts.entry(key).or_insert_with(|| from_unready(pod, scoped)), pod, now);
        }
    }
    let mut incidents: Vec<Arc<Incident>> =
        drafts.into_values().map(|d| Arc::new(finish(cluster, d, now, scoped))).collect();
    incidents.sort_by(|a, b| (a.opened_at, &a.id).cmp(&(b.opened_at, &b.id)));
    incidents
}

fn from_row(row: &Restart) -> Draft {
    let at = row.finished_at.unwrap_or(row.seen_at);
    Draft {
        team: row.team.clone(),
        cause: row.cause.clone(),
        root: row.root.clone(),
        own: false,
        opened: at,
        last: at,
        members: Vec::new(),
        ends: 0,
        never_started: false,
        pods: Vec::new(),
        summary: row.summary.clone(),
    }
}

fn add_row(draft: &mut Draft, row: &Restart, key: &str) {
    let own = key.ends_with(&format!("/{}", row.cause));
    if own && !draft.own {
        draft.own = true;
        (draft.cause, draft.root, draft.summary) = (row.cause.clone(), row.root.clone(), row.summary.clone());
        draft.team = row.team.clone();
    }
    let at = row.finished_at.unwrap_or(row.seen_at);
    draft.opened = draft.opened.min(at);
    draft.last = draft.last.max(at);
    draft.ends += usize::from(row.exit_code.is_some());
    draft.never_started |= row.exit_code.is_none();
    let pod = row.pod.clone().unwrap_or_default();
    let container = row.container.as_ref().map_or(String::new(), |c| format!("/{c}"));
    let member = format!("{}/{pod}{container}", row.namespace);
    if !draft.members.contains(&member) {
        draft.members.push(member);
    }
    let uid = row.pod_uid.clone().unwrap_or_default();
    if !draft.pods.iter().any(|(_, u)| *u == uid) {
        draft.pods.push((row.namespace.clone(), uid));
    }
}

fn from_unready(pod: &Unready, scoped: &Scoped) -> Draft {
    // Several pods of a workload may turn at one time, and none of them is the first.
    let (kind, name) = pod.workload.split_once('/').unwrap_or(("Pod", &pod.pod));
    let root = Root { kind: kind.into(), namespace: pod.namespace.clone(), name: name.into(), uid: String::new() };
    Draft {
        team: scoped.cluster().team_of(&pod.namespace),
        cause: readiness_failed::ID.into(),
        root: Some(root),
        own: true,
        opened: pod.since,
        last: pod.since,
        members: Vec::new(),
        ends: 0,
        never_started: false,
        pods: Vec::new(),
        summary: format!("{} is not ready: {}", pod.workload, pod.message),
    }
}

fn add_unready(draft: &mut Draft, pod: &Unready, now: Timestamp) {
    draft.opened = draft.opened.min(pod.since);
    draft.last = draft.last.max(pod.until.unwrap_or(now));
    draft.members.push(format!("{}/{}", pod.namespace, pod.pod));
    draft.pods.push((pod.namespace.clone(), pod.pod_uid.clone()));
}

fn finish(cluster: &str, draft: Draft, now: Timestamp, scoped: &Scoped) -> Incident {
    let over = draft.last.plus(QUIET);
    let unready = draft.pods.iter().any(|(namespace, uid)| {
        let pod = scoped.cluster().namespace(namespace).and_then(|n| n.pods.get(uid));
        pod.is_some_and(|p| {
            let settled = matches!(p.object.status.phase.as_str(), "Failed" | "Succeeded");
            p.deleted_at.is_none() && !settled && p.object.condition("Ready").is_some_and(|c| c.status != "True")
        })
    });
    let resolved = (now >= over && !unready).then_some(over);
    let critical = draft.never_started || draft.ends >= CRITICAL;
    let root_uid = draft.root.as_ref().map_or(String::new(), |r| format!("{}{}{}", r.uid, r.kind, r.name));
    let first = draft.members.first().cloned().unwrap_or_default();
    Incident {
        // One root may have trouble of two kinds at a time.
        id: stable_id(&[cluster, &root_uid, &draft.cause, &first]),
        team: draft.team,
        severity: if critical { Severity::Critical } else { Severity::Warning },
        status: if resolved.is_some() { IncidentStatus::Resolved } else { IncidentStatus::Open },
        opened_at: draft.opened,
        resolved_at: resolved,
        cause: draft.cause,
        root: draft.root,
        members: draft.members,
        summary: draft.summary,
    }
}

/// 128 bits of FNV-1a over the parts: the same in every process and version.
fn stable_id(parts: &[&str]) -> String {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let bytes = parts.iter().flat_map(|p| p.bytes().chain([0]));
    let hash = bytes.fold(OFFSET, |h, b| (h ^ u128::from(b)).wrapping_mul(PRIME));
    format!("{hash:032x}")
}
