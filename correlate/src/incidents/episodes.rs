//! The times at which one root was in trouble, each an incident.

use std::collections::BTreeSet;

use whyd_signals::schema::{Incident, IncidentStatus, Severity};
use whyd_signals::{Team, Timestamp};

use super::facts::Facts;
use super::{FORMER, Group, Member, Place, stable_id};
use crate::readiness::Readiness;
use crate::rules::Rules;

/// From so many ends on an incident is critical, unless a rule says otherwise.
const CRITICAL: usize = 3;
/// Members that an incident names; further ones are counted in its restarts alone.
const NAMED: usize = 200;

/// What a group comes to.
pub(super) struct Episodes {
    pub(super) made: Vec<(Incident, Facts)>,
    /// The member that each began with.
    pub(super) firsts: Vec<Place>,
    /// When the newest trouble is over; `None`: it is not.
    pub(super) over: Option<Timestamp>,
}

/// Trouble that was over before the next began is an incident of its own: a resolved one takes in nothing new.
pub(super) fn episodes(
    cluster: &str,
    rules: &Rules,
    (key, group): (&str, &Group),
    now: Timestamp,
    readiness: &Readiness,
) -> Episodes {
    let (mut made, mut firsts): (Vec<(Incident, Facts)>, Vec<Place>) = (Vec::new(), Vec::new());
    let mut make = |draft: &[(&Place, &Member)], over: Option<Timestamp>| {
        let mut incident = incident(cluster, rules, draft, over, now);
        if let (Some((first, _)), Some((last, _))) = (draft.first(), draft.last()) {
            let led = group.led.range(*first..=*last).rev().filter(|place| place != first);
            incident.formerly = led.take(FORMER).map(|(_, id)| stable_id(&[cluster, id])).collect();
            firsts.push((*first).clone());
        }
        let facts = Facts::of(key, &incident, draft);
        made.push((incident, facts));
    };
    let mut draft: Vec<(&Place, &Member)> = Vec::new();
    // When the trouble of the draft is over; `None`: it is not.
    let mut over: Option<Timestamp> = Some(Timestamp::MIN);
    for (place, member) in &group.members {
        if !draft.is_empty() && over.is_some_and(|over| member.at > over.plus(rules.quiet)) {
            make(&draft, over);
            draft.clear();
            over = Some(Timestamp::MIN);
        }
        draft.push((place, member));
        let ends = match (member.until, member.pod_uid.as_str()) {
            (until, "") => until,
            (Some(until), uid) => readiness.recovered(uid, until),
            (None, _) => None,
        };
        over = over.zip(ends).map(|(a, b)| a.max(b));
    }
    if !draft.is_empty() {
        make(&draft, over);
    }
    let mut before: Option<String> = None;
    for (incident, _) in &mut made {
        incident.follows = before.replace(incident.id.clone());
    }
    Episodes { made, firsts, over }
}

pub(super) fn incident(
    cluster: &str,
    rules: &Rules,
    members: &[(&Place, &Member)],
    over: Option<Timestamp>,
    now: Timestamp,
) -> Incident {
    // One whose own trouble it is speaks for all, the first of them.
    let told = members.iter().find(|(_, m)| m.own).or(members.first()).map(|(_, m)| *m);
    let certain = members.iter().find(|(_, m)| m.cause != crate::cause::INSUFFICIENT).map(|(_, m)| *m);
    let told = told.filter(|m| m.cause != crate::cause::INSUFFICIENT).or(certain).or(told);
    let first = members.first().map_or("", |((_, id), _)| id.as_str());
    let resolved = over.map(|over| over.plus(rules.quiet)).filter(|at| now >= *at);
    let ends = members.iter().filter(|(_, m)| m.ended).count();
    let mut names: Vec<String> = Vec::new();
    let mut known = BTreeSet::new();
    for (_, member) in members {
        if names.len() < NAMED && known.insert(&member.name) {
            names.push(member.name.clone());
        }
    }
    // As of rows the newest is shown.
    let alike = |m: &&Member| told.is_some_and(|told| told.cause == m.cause) && !m.evidence.is_empty();
    let newest = members.iter().rev().map(|(_, m)| *m).find(alike);
    let critical = ends >= CRITICAL || members.iter().any(|(_, m)| m.never_started);
    let mut incident = Incident {
        id: stable_id(&[cluster, first]),
        team: told.map_or_else(Team::platform, |m| m.team.clone()),
        namespace: told.map_or_else(String::new, |m| m.namespace.clone()),
        severity: if critical { Severity::Critical } else { Severity::Warning },
        status: if resolved.is_some() { IncidentStatus::Resolved } else { IncidentStatus::Open },
        opened_at: members.first().map_or(now, |(_, m)| m.at),
        resolved_at: resolved,
        cause: told.map_or_else(String::new, |m| m.cause.clone()),
        root: told.and_then(|m| m.root.clone()),
        members: names,
        restarts: ends as u64,
        follows: None,
        formerly: Vec::new(),
        suppressed_by: None,
        part_of: None,
        parts: Vec::new(),
        speaks_of: told.map_or_else(Vec::new, |m| m.speaks_of.clone()),
        summary: told.map_or_else(String::new, |m| m.summary.clone()),
        evidence: newest.map_or_else(Vec::new, |m| m.evidence.clone()),
    };
    if let Some(told) = told {
        rules.apply(&mut incident, &told.namespace, &told.workload);
    }
    incident
}
