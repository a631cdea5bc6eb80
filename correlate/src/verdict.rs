//! From a case to its row: all causes are asked, the most specific wins, the others are ruled out by a field.

use whyd_signals::Resource;
use whyd_signals::schema::{Restart, RuledOut};

use crate::case::{Case, Ending};
use crate::cause::dependency_down::depends_on;
use crate::cause::{ALL, CLEAN, INSUFFICIENT, UNSEEN, blank_row};
use crate::complaint::Dependency;
use crate::finding::{Depth, Finding};
use crate::{replacement, shares};

/// What was found out about a case.
pub(crate) struct Verdict {
    /// `None` where it is no restart: the pod of a workload that was itself deleted, a container that started after
    /// all, an end that was meant.
    pub(crate) row: Option<Restart>,
    /// What it says it depends on: it may look different once it is known what befell that.
    pub(crate) depends_on: Vec<Dependency>,
}

/// The row of a case.
pub(crate) fn judge(case: &Case<'_>) -> Verdict {
    let nothing = Verdict { row: None, depends_on: Vec::new() };
    if case.deleting() && owner_gone(case) || meant(case) {
        return nothing;
    }
    if let Ending::Unseen { restart_count, after } = case.ending {
        return Verdict { row: Some(unseen(case, *restart_count, *after)), depends_on: Vec::new() };
    }
    let mut findings: Vec<Finding> = ALL.iter().filter_map(|c| (c.judge)(case)).collect();
    // A stable sort: of equals the one listed first wins.
    findings.sort_by_key(|f| std::cmp::Reverse(f.score));
    let unstarted = not_started(case);
    if findings.is_empty() && case.terminated().is_none() && unstarted.is_none() {
        return nothing;
    }
    let mut row = blank(case);
    row.ruled_out = excluded(case, &findings);
    let mechanism = findings.iter().find(|f| f.depth == Depth::Mechanism).or(findings.first());
    row.mechanism = mechanism.map_or(INSUFFICIENT, |f| f.cause).to_owned();
    row.missing = absent(case);
    match findings.into_iter().next() {
        Some(winner) => fill(&mut row, case, winner),
        None => {
            row.cause = INSUFFICIENT.into();
            row.summary = "nothing that was seen explains this end".into();
            row.root = Some(case.pod_root());
            row.evidence.extend(case.status("exitCode", "how it ended"));
            if let Some((summary, words)) = unstarted {
                row.summary = summary;
                row.evidence.push(words);
            }
            row.incident_key = Some(incident_key(case, &row));
            if row.missing.is_empty() {
                row.missing.push("runtime".into());
            }
        }
    }
    // A person who debugs in the pod harms nothing by leaving.
    if case.container.is_some_and(|c| case.pod.object.is_ephemeral(c)) {
        row.incident_key = None;
    }
    row.changes = case.changes.before(case, row.root.as_ref());
    let (depends_on, hosts) = depends_on(case);
    if row.incident_key.is_some() {
        row.shares = shares::of_case(case, &depends_on, &hosts, &row);
    }
    row.evidence.sort_by_key(|e| e.at);
    // The last sample before an end may be the one at which a detector spoke: its words are kept, told first.
    row.evidence.dedup_by(|b, a| a.source == b.source && a.at == b.at && a.field == b.field && a.value == b.value);
    Verdict { row: Some(row), depends_on }
}

fn fill(row: &mut Restart, case: &Case<'_>, winner: Finding) {
    row.cause = winner.cause.into();
    row.confidence = winner.confidence();
    row.cause_detail = winner.detail;
    row.root = Some(winner.root);
    row.summary = winner.summary;
    row.evidence = winner.evidence;
    row.speaks_of = winner.speaks_of;
    // A replacement that went well is no incident; one that was killed past its grace did not go well.
    let clean = CLEAN.contains(&row.cause.as_str()) && (case.deleting() || row.cause != "sigterm");
    let clean = clean && row.mechanism != "grace-exceeded";
    let key = winner.incident_key.unwrap_or_else(|| incident_key(case, row));
    row.incident_key = (!clean).then_some(key);
    let mut missing = |source: &str| {
        if !row.missing.iter().any(|m| m == source) {
            row.missing.push(source.into());
        }
    };
    if let Some(source) = winner.unseen {
        missing(source);
    }
    if let Some(source) = winner.doubt {
        missing(source);
        let why = if source == "logs" { case.unheard() } else { None };
        let why = why.map_or(String::new(), |why| format!(": {why}"));
        row.summary = format!("likely {}, but without {source} other causes cannot be excluded{why}", row.cause);
        row.cause_detail = Some(row.cause.clone());
        row.cause = INSUFFICIENT.into();
        row.confidence /= 2.0;
        // It stays with the likely ones of its workload, so that doubt makes no incident of its own.
    }
}

/// A container that could not be started for a reason that no cause knows: in the words of whoever tried.
fn not_started(case: &Case<'_>) -> Option<(String, whyd_signals::schema::Evidence)> {
    let name = case.container?;
    let (message, words) = match case.ending {
        Ending::Ended { terminated: t, .. } if t.reason == "StartError" || t.reason == "ContainerCannotRun" => {
            (&t.message, case.status("message", "the runtime's words")?)
        }
        Ending::NeverStarted { message, .. } => {
            let field = case.waiting_field("message");
            (message, case.of_pod(Some(case.seen_at), &field, message.clone(), "why it waits"))
        }
        _ => return None,
    };
    (!message.is_empty()).then(|| (format!("{name} could not be started: {}", message.trim()), words))
}

/// An instance that must have ended and of which nothing was seen.
fn unseen(case: &Case<'_>, count: i64, after: whyd_signals::Timestamp) -> Restart {
    let mut row = blank(case);
    row.container_id = format!("unseen/{count}");
    row.mechanism = UNSEEN.into();
    row.cause = INSUFFICIENT.into();
    let name = case.container.unwrap_or_default();
    row.summary = format!(
        "restart {} of {name} happened between two looks, after {}: nobody saw how it ended",
        count + 1,
        after.whole()
    );
    row.root = Some(case.pod_root());
    row.missing = vec!["status".into()];
    // It was before the one that is told of.
    let told = case.pod.object.statuses().find(|s| s.name == name);
    let told = told.and_then(|s| s.last_state.terminated.as_ref()?.started_at).filter(|at| at.nanos() > 0);
    row.seen_at = told.map_or(row.seen_at, |at| at.max(after).min(row.seen_at));
    let now = case.pod.object.statuses().find(|s| s.name == name).map_or(count + 1, |s| s.restart_count);
    let field = format!("status.{}[{name}].restartCount", case.pod.object.status_list(name));
    row.evidence.push(case.of_pod(
        Some(case.seen_at),
        &field,
        now,
        "the count rose by more than the ends that were seen",
    ));
    row.confidence = 0.1;
    // It is most likely one more of what its workload died of otherwise.
    let mut newest = case.failures.of(&case.space.name, &case.workload).rev();
    let known = newest.find(|f| !f.wanted).and_then(|f| f.incident_key.clone());
    row.incident_key = Some(known.unwrap_or_else(|| incident_key(case, &row)));
    row
}

/// An end that is as it should be: what finishes well without being meant to go on, and the sidecars of a pod whose
/// work is done.
fn meant(case: &Case<'_>) -> bool {
    let (Some(t), Some(name)) = (case.terminated(), case.container) else { return false };
    let pod = &case.pod.object;
    let finishes = pod.is_init(name) || pod.is_ephemeral(name) || pod.spec.restart_policy != "Always";
    if t.exit_code == 0 && finishes && !pod.is_sidecar(name) && !case.deleting() && !case.evicted() {
        return true;
    }
    let done = |s: &whyd_signals::objects::ContainerStatus| {
        s.state.terminated.as_ref().is_some_and(|m| m.finished_at <= t.finished_at)
    };
    let others = &pod.status.container_statuses;
    pod.is_sidecar(name) && pod.spec.restart_policy != "Always" && !others.is_empty() && others.iter().all(done)
}

/// One root and one cause make one incident; of a pod the workload is the root, since its name changes.
fn incident_key(case: &Case<'_>, row: &Restart) -> String {
    let cause = match case.pod.object.metadata.controller().filter(|o| o.kind == "Job") {
        // What a Job's attempts died of is one trouble with its giving up.
        Some(_) if row.cause == "app-error" => "job-failed",
        _ => row.cause.as_str(),
    };
    match row.root.as_ref().filter(|r| r.kind != "Pod") {
        // A node is no namespace's: one trouble of it is one incident for each team.
        Some(root) if root.kind == "Node" => format!("team {}/{root}/{cause}", case.space.team),
        Some(root) => format!("{}/{root}/{cause}", case.space.name),
        None => format!("{}/{}/{cause}", case.space.name, case.workload),
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
    // A drained or preempted pod that nobody owns was taken away all the same.
    let Some(owner) = case.pod.object.metadata.controller() else { return case.disruption().is_none() };
    if let Some(job) = case.space.jobs.get(&owner.uid) {
        return job.object.metadata.deletion_timestamp.or(job.deleted_at).is_some_and(|at| at <= then);
    }
    let Some((resource, record)) = case.space.owner(&owner.uid) else { return owner.kind == "Job" };
    let up = record.object.metadata.controller().and_then(|o| case.space.owner(&o.uid)).map(|(_, w)| w);
    let going = |w| replacement::going(w, then);
    going(record) && (resource != Resource::ReplicaSets || up.is_none_or(going)) || up.is_some_and(going)
}

/// Whether the container goes on with another instance: one has started since, or its restart policy makes one.
fn goes_on(case: &Case<'_>) -> bool {
    let Some(name) = case.container else { return false };
    let code = match case.ending {
        Ending::Ended { terminated, .. } => terminated.exit_code,
        // Its count rose because another was started.
        Ending::Unseen { .. } => return true,
        _ => return false,
    };
    if case.neighbours.1.is_some() {
        return true;
    }
    let pod = &case.pod.object;
    let over = matches!(pod.status.phase.as_str(), "Failed" | "Succeeded");
    if over || case.deletion_asked().is_some() || case.evicted() || pod.is_ephemeral(name) {
        return false;
    }
    if pod.is_sidecar(name) {
        return true;
    }
    let own = case.spec().and_then(|c| c.restart_policy.as_deref());
    match own.unwrap_or(&pod.spec.restart_policy) {
        "Never" => false,
        "OnFailure" => code != 0,
        _ => !pod.is_init(name) || code != 0,
    }
}

fn blank(case: &Case<'_>) -> Restart {
    let pod = &case.pod.object;
    let t = case.terminated();
    let text = |s: &str| (!s.is_empty()).then(|| s.to_owned());
    let (reason, restart_count) = match case.ending {
        Ending::Ended { terminated, restart_count, .. } => (text(&terminated.reason), Some(*restart_count)),
        Ending::NeverStarted { reason, .. } => (text(reason), Some(0)),
        Ending::Unseen { restart_count, .. } => (None, Some(*restart_count)),
        Ending::Failed => (text(&pod.status.reason), None),
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
        owner: pod.metadata.controller().map_or(String::new(), |o| o.name.clone()),
        container_id: t.map_or(String::new(), |t| t.container_id.clone()),
        restart_count,
        started_at: t.and_then(|t| t.started_at).filter(|at| at.nanos() > 0),
        finished_at: t.and_then(|t| t.finished_at),
        exit_code: t.map(|t| t.exit_code),
        signal: t.and_then(|t| t.signal.or_else(|| (129..160).contains(&t.exit_code).then(|| t.exit_code - 128))),
        reason,
        again: goes_on(case),
        seen_at: case.seen_at,
        ..blank_row()
    }
}
