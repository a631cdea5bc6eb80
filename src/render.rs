//! Verdicts as a person wants to read them: what happened in the first line, then when and where, the evidence in the
//! order of time, what was ruled out, what is missing and where to look next.
//!
//! Every text that comes from outside goes through [`clean`]: log lines are hostile.

mod heard;
mod incident;
mod list;
mod memory;
mod text;

use std::collections::BTreeSet;

use whyd_api::dto::{
    Evidence, Incident, IncidentStatus, Learning, Match, Problem, Restart, Root, Severity, Standing, StandingState, Why,
};
use whyd_api::next;
use whyd_signals::{Sample, Timestamp};

pub use list::list;
pub use memory::{Memory, memory};
use text::{Page, clock, date, day_and_clock, span};
pub use text::{Style, clean};

/// The cause where there is none.
const INSUFFICIENT: &str = "insufficient-evidence";

/// What `replay` and `demo` print: one verdict for each cause of each container, the newest instance in full, then the
/// incidents in which nothing restarted. `memory` gives what is to be drawn beside a verdict, if anything is.
pub fn verdicts(
    restarts: &[Restart],
    incidents: &[Incident],
    memory: &dyn Fn(&Restart) -> Option<Memory>,
    style: Style<'_>,
) -> String {
    let mut page = Page::new(style);
    let mut told = BTreeSet::new();
    let mut groups = groups(restarts);
    // What is wrong comes before what was meant.
    groups.sort_by_key(|g| {
        let of = incidents.iter().filter(|i| g.last().is_some_and(|row| concerns(i, row)));
        of.map(|i| if i.severity == Severity::Critical { 0 } else { 1 }).min().unwrap_or(2)
    });
    for group in groups {
        let Some(row) = group.last() else { continue };
        page.gap();
        verdict(&mut page, row, &group, None, memory(row).as_ref());
        for incident in incidents.iter().filter(|i| concerns(i, row)) {
            told.insert(&incident.id);
            page.field("incident", &standing(incident, Some(row)));
            shared(&mut page, incident);
            alerts(&mut page, incident);
        }
        closing(&mut page, row);
    }
    for incident in incidents.iter().filter(|i| !told.contains(&i.id)) {
        page.gap();
        alone(&mut page, incident);
    }
    if restarts.is_empty() && incidents.is_empty() {
        page.headline("nothing restarted and nothing is wrong");
    }
    page.finish()
}

/// What `why` prints: the newest restart in full, the earlier ones a line each. Of an incident that is its root's, and the others are
/// who else is in it.
pub fn why(answer: &Why, style: Style<'_>) -> String {
    let mut page = Page::new(style);
    if let Some((row, earlier)) = answer.restarts.split_first() {
        let drawn = answer.memory.as_ref().map(|m| Memory {
            samples: m.samples.iter().map(|s| Sample { ts: s.at, value: s.bytes }).collect(),
            limit: m.limit_bytes.unwrap_or(0.0),
            ends: m.ends.clone(),
        });
        let is_of_incident = answer.matched == Match::Incident;
        let (own, others): (Vec<&Restart>, Vec<&Restart>) =
            earlier.iter().partition(|other| is_of_incident && tells_same(row, other));
        let mut group = own;
        group.push(row);
        group.sort_by_key(|r| seen_at(r));
        verdict(&mut page, row, &group, answer.now.as_ref(), drawn.as_ref());
        for incident in &answer.incidents {
            page.field("incident", &standing(incident, Some(row)));
            shared(&mut page, incident);
            alerts(&mut page, incident);
        }
        if is_of_incident {
            incident::others(&mut page, row, &others);
            for incident in &answer.incidents {
                incident::calm_members(&mut page, incident, &answer.restarts);
            }
        }
        closing(&mut page, row);
        if let Some(learning) = &answer.learning {
            page.field("learning", &learnt(learning, row));
        }
        if !earlier.is_empty() && !is_of_incident {
            page.section("before that");
            before(&mut page, row, earlier);
        }
    } else {
        for incident in &answer.incidents {
            alone(&mut page, incident);
        }
        heard::of(&mut page, &answer.heard);
        if answer.incidents.is_empty() && answer.heard.is_empty() {
            match unseen(&answer.problems) {
                Some(problem) => page.headline(&format!("no restart of it is known, but {}", problem.detail)),
                None => page.headline("it did not restart, and nothing is wrong with it as far as is known"),
            }
        }
        if let Some(now) = &answer.now {
            page.field("now", &stands(now));
        }
    }
    problems(&mut page, &answer.problems);
    page.finish()
}

/// What keeps the cluster from being seen: of what nobody could see nothing is known to be well.
fn unseen(problems: &[Problem]) -> Option<&Problem> {
    problems.iter().find(|problem| matches!(problem.source.as_deref(), Some("kubernetes" | "pods")))
}

/// In one clause, that metrics could not say what was unusual.
fn learnt(learning: &Learning, row: &Restart) -> String {
    let day = if seen_at(row).is_some_and(|end| date(end) == date(learning.since)) { clock } else { day_and_clock };
    format!(
        "its metrics, seen since {}, were still being learnt: nothing unusual could be found in them",
        day(learning.since)
    )
}

/// Earlier restarts, those that tell the same together.
fn before(page: &mut Page<'_>, newest: &Restart, earlier: &[Restart]) {
    let mut groups: Vec<Vec<&Restart>> = Vec::new();
    for row in earlier {
        let same = |g: &&mut Vec<&Restart>| {
            g.first().is_some_and(|f| (&f.pod, &f.container, &f.cause) == (&row.pod, &row.container, &row.cause))
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    for group in groups {
        let (Some(last), Some(first)) = (group.first(), group.last()) else { continue };
        let at = |row: &Restart| seen_at(row).map_or_else(|| "-".to_owned(), day_and_clock);
        let times =
            if group.len() == 1 { String::new() } else { format!(", {} times since {}", group.len(), at(first)) };
        // The sentence stands above already where it is the same.
        let words = if last.summary == newest.summary { String::new() } else { format!(": {}", last.summary) };
        let pod = last.pod.as_deref().unwrap_or(&last.workload);
        page.item(&[&at(last)], &format!("{} of {pod}{times}{words}", last.cause), "");
    }
}

fn problems(page: &mut Page<'_>, problems: &[Problem]) {
    if problems.is_empty() {
        return;
    }
    page.section("this answer is not whole");
    for problem in problems {
        page.item(&[problem.source.as_deref().unwrap_or("whyd")], &problem.detail, "");
    }
}

/// Rows that tell the same: one container of one workload, one cause, one root. In the order of their first.
fn groups<'a>(restarts: impl IntoIterator<Item = &'a Restart>) -> Vec<Vec<&'a Restart>> {
    let mut groups: Vec<Vec<&Restart>> = Vec::new();
    for row in restarts {
        match groups.iter_mut().find(|g| g.first().is_some_and(|other| tells_same(row, other))) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    for group in &mut groups {
        group.sort_by_key(|r| seen_at(r));
    }
    groups
}

fn tells_same(row: &Restart, other: &Restart) -> bool {
    (&other.namespace, &other.workload, &other.container, &other.cause, &other.root)
        == (&row.namespace, &row.workload, &row.container, &row.cause, &row.root)
}

fn seen_at(row: &Restart) -> Option<Timestamp> {
    row.finished_at.or_else(|| row.evidence.iter().filter_map(|e| e.at).max())
}

fn verdict(page: &mut Page<'_>, row: &Restart, group: &[&Restart], now: Option<&Standing>, drawn: Option<&Memory>) {
    page.headline(&row.summary);
    let mut cause = row.cause.clone();
    if let Some(detail) = row.cause_detail.as_ref().filter(|d| !row.summary.contains(d.as_str())) {
        cause.push_str(&format!(" ({detail})"));
    }
    if row.mechanism != row.cause && !row.mechanism.is_empty() && row.cause != INSUFFICIENT {
        cause.push_str(&format!(", by way of {}", row.mechanism));
    }
    if row.cause != INSUFFICIENT {
        cause.push_str(&format!(", {:.0} % sure", row.confidence.clamp(0.0, 1.0) * 100.0));
    }
    page.strong_field("cause", &cause);
    page.field("when", &when(row, group, now.map(|now| now.at)));
    if let Some(now) = now {
        page.field("now", &stands(now));
    }
    page.field("where", &place(row));
    if let Some(ending) = ending(row) {
        page.field("ended", &ending);
    }
    if let Some(count) = row.restart_count.filter(|count| *count > 0) {
        page.field("restarts", &format!("{count} before this one, as Kubernetes counts them"));
    }
    if let Some(root) = &row.root {
        page.field("at fault", &named(root));
    }
    let drawing = drawn.map_or(String::new(), |drawn| memory(drawn, page.style));
    if !drawing.is_empty() {
        page.section("memory");
        page.block(&drawing);
    }
}

fn closing(page: &mut Page<'_>, row: &Restart) {
    let of_pod = row.pod.as_ref().map(|pod| format!("Pod/{pod}"));
    evidence(page, &row.evidence, seen_at(row), of_pod.as_deref());
    if !row.changes.is_empty() {
        page.section("changed before");
        for change in &row.changes {
            let by = if change.by.is_empty() { String::new() } else { format!(", by {}", change.by) };
            let detail = if change.detail.is_empty() { String::new() } else { format!(": {}", change.detail) };
            let what = format!("{} {}{detail}{by}", change.object, change.what);
            page.item(&[&clock(change.at)], &what, if change.touches { "" } else { "does not touch it" });
        }
    }
    if !row.ruled_out.is_empty() {
        page.section("ruled out");
        let (told, others) = suspected(row);
        for (causes, because, field) in told {
            page.item(&[&causes.join(", ")], because, field);
        }
        if others > 0 {
            page.item(&["and more"], &format!("{others} others, each by a field; the JSON has them"), "");
        }
    }
    if !row.missing.is_empty() {
        page.field("missing", &row.missing.join(", "));
    }
    look_next(page, &next::steps(row, page.style.server));
}

/// Facts in the order of time; those of another day than this with their date, those of another object than this named.
fn evidence(page: &mut Page<'_>, all: &[Evidence], day: Option<Timestamp>, object: Option<&str>) {
    if all.is_empty() {
        return;
    }
    page.section("evidence");
    let mut evidence: Vec<&Evidence> = all.iter().collect();
    evidence.sort_by_key(|e| e.at);
    let day = day.map(date);
    for item in evidence {
        let at = match item.at {
            Some(at) if Some(date(at)) == day => clock(at),
            Some(at) => day_and_clock(at),
            None => "-".to_owned(),
        };
        page.item(&[&at, source(item)], &fact(item), &found(item, object));
    }
}

fn look_next(page: &mut Page<'_>, steps: &[String]) {
    if steps.is_empty() {
        return;
    }
    page.section("look next");
    for step in steps {
        page.item(&[], step, "");
    }
}

/// An incident without a row: nothing restarted.
fn alone(page: &mut Page<'_>, incident: &Incident) {
    page.headline(&incident.summary);
    page.strong_field("cause", &format!("{}, nothing restarted", incident.cause));
    page.field("incident", &standing(incident, None));
    if let Some(root) = &incident.root {
        page.field("at fault", &named(root));
    }
    if !incident.members.is_empty() {
        let members: Vec<&str> = incident.members.iter().map(String::as_str).collect();
        page.field("affects", &incident::named(&members));
    }
    alerts(page, incident);
    evidence(page, &incident.evidence, Some(incident.opened_at), None);
    look_next(page, &next::of_incident(incident));
}

/// What it has in common with others, where that made one incident of several.
fn shared(page: &mut Page<'_>, incident: &Incident) {
    if !incident.parts.is_empty() {
        page.field("shared", &incident.summary);
    }
}

/// What others raised about it, a line each.
fn alerts(page: &mut Page<'_>, incident: &Incident) {
    for alert in &incident.alerts {
        let severity = if alert.severity.is_empty() { String::new() } else { format!(" ({})", alert.severity) };
        let about = if alert.object.is_empty() { String::new() } else { format!(" for {}", alert.object) };
        let until = alert.until.map_or(String::new(), |at| format!(", until {}", day_and_clock(at)));
        let summary = if alert.summary.is_empty() { String::new() } else { format!(": {}", alert.summary) };
        let fired = day_and_clock(alert.at);
        page.field("alert", &format!("{}{severity} fired {fired}{about}{until}{summary}", alert.name));
    }
}

fn concerns(incident: &Incident, row: &Restart) -> bool {
    let member = format!(
        "{}/{}/{}",
        row.namespace,
        row.pod.as_deref().unwrap_or_default(),
        row.container.as_deref().unwrap_or_default()
    );
    incident.members.contains(&member) || (incident.cause == row.cause && incident.root == row.root)
}

/// How an incident stands; its cause and root are told where they are not those of the verdict beside it.
fn standing(incident: &Incident, beside: Option<&Restart>) -> String {
    let mut severity = match incident.severity {
        Severity::Warning => "warning".to_owned(),
        Severity::Critical => "critical".to_owned(),
    };
    let is_whole = !incident.parts.is_empty();
    if beside.is_some_and(|row| row.cause != incident.cause || is_whole && row.root != incident.root) {
        let of = incident.root.as_ref().map_or(String::new(), |root| format!(" of {}", named(root)));
        severity = format!("{}{of}, {severity}", incident.cause);
    }
    if let Some(by) = &incident.suppressed_by {
        severity = format!("hidden by the suppression {by}, {severity}");
    }
    let opened = day_and_clock(incident.opened_at);
    let id = called(incident);
    match (incident.status, incident.resolved_at) {
        (IncidentStatus::Resolved, Some(at)) => format!("{severity}, from {opened} to {}, {id}", day_and_clock(at)),
        _ => format!("{severity}, open since {opened}, {id}"),
    }
}

/// Its id, with those under which somebody may have been told of it before.
fn called(incident: &Incident) -> String {
    let all = &incident.formerly;
    let (told, rest) = all.split_at(all.len().min(FORMER));
    let formerly = if told.is_empty() { String::new() } else { format!(", formerly {}", told.join(", ")) };
    let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
    format!("id {}{formerly}{more}", incident.id)
}

fn named(root: &Root) -> String {
    let place = if root.namespace.is_empty() { String::new() } else { format!(" in {}", root.namespace) };
    format!("{}/{}{place}", root.kind, root.name)
}

/// How it stands, and for how long.
fn stands(now: &Standing) -> String {
    let Some(since) = now.since else { return now.text.clone() };
    let long = span(now.at.seconds_since(since));
    match now.state {
        StandingState::Running => format!("{}, for {long}", now.text),
        StandingState::Waiting => format!("{}, for {long} by now", now.text),
        StandingState::Ended => format!("{}, {long} ago", now.text),
        // What there is instead may be newer.
        StandingState::Gone => now.text.replacen("the pod is gone", &format!("the pod is gone for {long}"), 1),
    }
}

/// `asked` is what is now, where the answer is of a living daemon.
fn when(row: &Restart, group: &[&Restart], asked: Option<Timestamp>) -> String {
    let Some(at) = seen_at(row) else { return "at a time that is not known".to_owned() };
    let mut when = format!("{} UTC", day_and_clock(at));
    if let Some(asked) = asked {
        when.push_str(&format!(", {} ago", span(asked.seconds_since(at))));
    }
    if let (Some(start), Some(end)) = (row.started_at, row.finished_at) {
        when.push_str(&format!(", {} after its start", span(end.seconds_since(start))));
    }
    if let Some(first) = group.first().and_then(|r| seen_at(r)).filter(|_| group.len() > 1) {
        when.push_str(&format!("; {} times since {}", group.len(), clock(first)));
    }
    when
}

fn place(row: &Restart) -> String {
    let mut parts = Vec::new();
    if let Some(container) = &row.container {
        parts.push(format!("container {container}"));
    }
    match &row.pod {
        Some(pod) => parts.push(format!("pod {pod} of {}", row.workload)),
        None => parts.push(row.workload.clone()),
    }
    parts.push(format!("namespace {}", row.namespace));
    parts.push(format!("team {}", row.team));
    if let Some(node) = &row.node {
        parts.push(format!("node {node}"));
    }
    parts.join(", ")
}

fn ending(row: &Restart) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(code) = row.exit_code {
        parts.push(match row.signal.and_then(signal_name) {
            Some(name) => format!("exit code {code} ({name})"),
            None => format!("exit code {code}"),
        });
    }
    parts.extend(row.reason.clone());
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        _ => return None,
    })
}

/// Former ids of an incident that are told.
const FORMER: usize = 3;

/// What a person would suspect first; the rest is told to those who ask for all of it.
const SUSPECTED: [&str; 14] = [
    "oom-limit",
    "oom-node",
    "liveness-failed",
    "startup-failed",
    "killed-by-signal",
    "dependency-down",
    "config-changed",
    "bad-rollout",
    "app-error",
    "evicted-memory",
    "node-rebooted",
    "deleted-by-hand",
    "rollout",
    "restarted-by-command",
];

/// The suspects that are ruled out, those together that are so for one reason, and how many others there are.
fn suspected(row: &Restart) -> (Vec<(Vec<&str>, &str, &str)>, usize) {
    let mut told: Vec<(Vec<&str>, &str, &str)> = Vec::new();
    for cause in SUSPECTED {
        let Some(other) = row.ruled_out.iter().find(|r| r.cause == cause) else { continue };
        match told.iter_mut().find(|(_, because, _)| *because == other.because) {
            Some((causes, _, _)) => causes.push(cause),
            None => told.push((vec![cause], &other.because, &other.field)),
        }
    }
    let named: usize = told.iter().map(|(causes, _, _)| causes.len()).sum();
    if told.is_empty() {
        told.extend(row.ruled_out.iter().map(|r| (vec![r.cause.as_str()], r.because.as_str(), r.field.as_str())));
        return (told, 0);
    }
    (told, row.ruled_out.len() - named)
}

fn source(item: &Evidence) -> &'static str {
    use whyd_api::dto::EvidenceSource as Source;
    match item.source {
        Source::Kube => "kube",
        Source::Events => "events",
        Source::Metrics => "metrics",
        Source::Logs => "logs",
    }
}

/// Where it was found; the object only where it is another than the pod.
fn found(item: &Evidence, object: Option<&str>) -> String {
    if object == Some(item.object.as_str()) { item.field.clone() } else { format!("{} {}", item.object, item.field) }
}

/// What was found, and the same in words where the words add something. A sample's figure stands in its words.
fn fact(item: &Evidence) -> String {
    let value = match &item.value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if item.text.is_empty() {
        return value;
    }
    if value.is_empty() || item.value.is_number() && source(item) == "metrics" || item.text.contains(&value) {
        return item.text.clone();
    }
    format!("{}: {value}", item.text)
}

#[cfg(test)]
mod tests;
