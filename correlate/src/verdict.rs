//! From a case to its row: all causes are asked, the most specific wins, the others are ruled out by a field.

use whyd_signals::Resource;
use whyd_signals::schema::{Restart, RuledOut};

use crate::case::{Case, Ending};
use crate::cause::{ALL, CLEAN, INSUFFICIENT};
use crate::finding::{Depth, Finding};
use crate::replacement;

/// The row of a case; `None` where it is no restart: the pod of a workload that was itself deleted,
/// or a container that started after all.
pub(crate) fn judge(case: &Case<'_>) -> Option<Restart> {
    if case.deleting() && owner_gone(case) {
        return None;
    }
    let mut findings: Vec<Finding> = ALL.iter().filter_map(|c| (c.judge)(case)).collect();
    // A stable sort: of equals the one listed first wins.
    findings.sort_by_key(|f| std::cmp::Reverse(f.score));
    if findings.is_empty() && case.terminated().is_none() {
        return None;
    }
    let ruled_out = excluded(case, &findings);
    let mechanism = findings.iter().find(|f| f.depth == Depth::Mechanism).or(findings.first());
    let mechanism = mechanism.map_or(INSUFFICIENT, |f| f.cause).to_owned();
    let mut row = blank(case);
    row.mechanism = mechanism;
    row.ruled_out = ruled_out;
    row.missing = absent(case);
    match findings.into_iter().next() {
        Some(winner) => fill(&mut row, case, winner),
        None => {
            row.cause = INSUFFICIENT.into();
            row.summary = "nothing that was seen explains this end".into();
            row.root = Some(case.pod_root());
            row.evidence.extend(case.status("exitCode", "how it ended"));
            row.incident_key = Some(incident_key(case, &row));
            if row.missing.is_empty() {
                row.missing.push("runtime".into());
            }
        }
    }
    row.evidence.sort_by_key(|e| e.at);
    // The last sample before an end may be the one at which a detector spoke: its words are kept, told first.
    row.evidence.dedup_by(|b, a| a.source == b.source && a.at == b.at && a.field == b.field && a.value == b.value);
    Some(row)
}

fn fill(row: &mut Restart, case: &Case<'_>, winner: Finding) {
    row.cause = winner.cause.into();
    row.cause_detail = winner.detail;
    row.confidence = f64::from(winner.score) / 100.0;
    row.root = Some(winner.root);
    row.summary = winner.summary;
    row.evidence = winner.evidence;
    if let Some(source) = winner.doubt {
        row.summary = format!("likely {}, but without {source} other causes cannot be excluded", row.cause);
        row.cause_detail = Some(row.cause.clone());
        row.cause = INSUFFICIENT.into();
        row.confidence /= 2.0;
        if !row.missing.iter().any(|m| m == source) {
            row.missing.push(source.into());
        }
    }
    row.incident_key = if CLEAN.contains(&row.cause.as_str()) {
        None
    } else {
        Some(winner.incident_key.unwrap_or_else(|| incident_key(case, row)))
    };
}

/// One root and one cause make one incident; of a pod the workload is the root, since its name changes.
fn incident_key(case: &Case<'_>, row: &Restart) -> String {
    match row.root.as_ref().filter(|r| r.kind != "Pod") {
        Some(root) => format!("{}/{root}/{}", case.space.name, row.cause),
        None => format!("{}/{}/{}", case.space.name, case.workload, row.cause),
    }
}

fn excluded(case: &Case<'_>, findings: &[Finding]) -> Vec<RuledOut> {
    let others = ALL.iter().filter(|c| findings.iter().all(|f| f.cause != c.id));
    others.filter_map(|c| (c.contradict)(case)).collect()
}

/// Sources of which nothing came for this namespace.
fn absent(case: &Case<'_>) -> Vec<String> {
    let there = [("events", case.events_known()), ("metrics", case.metrics_known()), ("logs", case.logs_known())];
    there.iter().filter(|(_, known)| !known).map(|(name, _)| (*name).to_owned()).collect()
}

/// Whether the pod went with its workload or namespace: what is taken down later says nothing of it.
fn owner_gone(case: &Case<'_>) -> bool {
    let then = case.deletion_asked().unwrap_or(case.seen_at).plus(replacement::NEAR);
    let leaving = |n: &whyd_buffers::state::Record<whyd_signals::objects::Namespace>| {
        n.object.metadata.deletion_timestamp.or(n.deleted_at).is_some_and(|at| at <= then)
    };
    if case.space.namespace.as_ref().is_some_and(leaving) {
        return true;
    }
    let Some(owner) = case.pod.object.metadata.controller() else { return true };
    let Some((resource, record)) = case.space.owner(&owner.uid) else { return owner.kind == "Job" };
    let up = record.object.metadata.controller().and_then(|o| case.space.owner(&o.uid)).map(|(_, w)| w);
    let going = |w| replacement::going(w, then);
    going(record) && (resource != Resource::ReplicaSets || up.is_none_or(going)) || up.is_some_and(going)
}

fn blank(case: &Case<'_>) -> Restart {
    let pod = &case.pod.object;
    let t = case.terminated();
    let text = |s: &str| (!s.is_empty()).then(|| s.to_owned());
    let (reason, restart_count) = match case.ending {
        Ending::Ended { terminated, restart_count, .. } => (text(&terminated.reason), Some(*restart_count)),
        Ending::NeverStarted { reason, .. } => (text(reason), Some(0)),
        Ending::Replaced => (None, None),
    };
    Restart {
        team: case.space.team.clone(),
        namespace: case.space.name.clone(),
        workload: case.workload.clone(),
        pod: Some(pod.metadata.name.clone()),
        pod_uid: Some(pod.metadata.uid.clone()),
        node: text(&pod.spec.node_name),
        container: case.container.map(str::to_owned),
        container_id: t.map_or(String::new(), |t| t.container_id.clone()),
        restart_count,
        started_at: t.and_then(|t| t.started_at).filter(|at| at.nanos() > 0),
        finished_at: t.and_then(|t| t.finished_at),
        exit_code: t.map(|t| t.exit_code),
        signal: t.and_then(|t| t.signal.or_else(|| (129..160).contains(&t.exit_code).then(|| t.exit_code - 128))),
        reason,
        mechanism: String::new(),
        cause: String::new(),
        cause_detail: None,
        confidence: 0.0,
        root: None,
        summary: String::new(),
        evidence: Vec::new(),
        ruled_out: Vec::new(),
        missing: Vec::new(),
        incident_key: None,
        seen_at: case.seen_at,
    }
}
