//! The times at which one root was in trouble, each an incident.

use std::collections::BTreeSet;
use std::time::Duration;

use whyd_signals::schema::{Incident, IncidentStatus, Severity};
use whyd_signals::{Team, Timestamp};

use super::facts::Facts;
use super::head::Head;
use super::{FORMER, Group, Member, Place, stable_id};
use crate::readiness::Readiness;
use crate::rules::Rules;

/// From so many ends on an incident is critical, unless a rule says otherwise.
const CRITICAL: usize = 3;
/// Members that an incident names; further ones are counted in its restarts alone.
pub(super) const NAMED: usize = 200;

/// What a group comes to.
pub(super) struct Episodes {
    pub(super) made: Vec<(Incident, Facts)>,
    /// The member that each began with.
    pub(super) firsts: Vec<Place>,
    /// When the newest trouble has been over for long enough; `None`: it is not over.
    pub(super) resolves: Option<Timestamp>,
}

/// One time of trouble.
pub(super) struct Episode<'a> {
    /// Those that are held and those that its heads keep, in order.
    pub(super) members: Vec<(&'a Place, &'a Member)>,
    /// What was let go of it.
    pub(super) heads: Vec<&'a Head>,
    /// Which of the group's heads these are.
    pub(super) at: Vec<usize>,
    /// Whether any of its members is held.
    pub(super) is_held: bool,
    /// When the trouble is over; `None`: it is not.
    pub(super) over: Option<Timestamp>,
}

/// Trouble that was over before the next began is an episode of its own: a resolved one takes in nothing new.
pub(super) fn cut<'a>(quiet: Duration, group: &'a Group, readiness: &Readiness) -> Vec<Episode<'a>> {
    let mut all: Vec<(&Place, &Member, Option<usize>)> = Vec::with_capacity(group.members.len());
    for (n, head) in group.heads.iter().enumerate() {
        all.extend(head.kept.iter().map(|(place, member)| (place, member, Some(n))));
    }
    all.extend(group.members.iter().map(|(place, member)| (place, member, None)));
    if !group.heads.is_empty() {
        all.sort_by(|a, b| a.0.cmp(b.0));
    }
    let mut episodes: Vec<Episode<'a>> = Vec::new();
    for (place, member, of_head) in all {
        let head = of_head.and_then(|n| Some((n, group.heads.get(n)?)));
        let ends = match (head, member.until, member.pod_uid.as_str()) {
            (Some((_, head)), ..) => head.over(readiness),
            (None, until, "") => until,
            (None, Some(until), uid) => readiness.recovered(uid, until),
            (None, None, _) => None,
        };
        let goes_on = |e: &&mut Episode<'a>| e.over.is_none_or(|over| member.at <= readiness.quiet_until(over, quiet));
        let episode = match episodes.last_mut().filter(goes_on) {
            Some(last) => last,
            None => {
                let (members, heads, at) = (Vec::new(), Vec::new(), Vec::new());
                episodes.push(Episode { members, heads, at, is_held: false, over: Some(Timestamp::MIN) });
                let Some(new) = episodes.last_mut() else { continue };
                new
            }
        };
        episode.members.push((place, member));
        episode.is_held |= head.is_none();
        episode.over = episode.over.zip(ends).map(|(a, b)| a.max(b));
        if let Some((n, head)) = head.filter(|(n, _)| !episode.at.contains(n)) {
            episode.at.push(n);
            episode.heads.push(head);
        }
    }
    episodes
}

/// An incident of each episode of a group.
pub(super) fn episodes(
    cluster: &str,
    rules: &Rules,
    (key, group): (&str, &Group),
    now: Timestamp,
    readiness: &Readiness,
) -> Episodes {
    let (mut made, mut firsts): (Vec<(Incident, Facts)>, Vec<Place>) = (Vec::new(), Vec::new());
    let mut before: Option<String> = None;
    let mut newest = Some(Timestamp::MIN);
    for Episode { members, heads, over, .. } in cut(rules.quiet, group, readiness) {
        let ends = over.map(|over| readiness.quiet_until(over, rules.quiet));
        // What nobody heard yet may be trouble again.
        let resolves = ends.map(|at| if at > now || readiness.is_known(at) { at } else { Timestamp::MAX });
        let mut incident = incident(cluster, rules, (&members, &heads), resolves, now);
        if let (Some((first, _)), Some((last, _))) = (members.first(), members.last()) {
            let last = heads.iter().map(|head| head.range().1).fold((*last).clone(), Ord::max);
            let led = group.led.range((*first).clone()..=last).rev().filter(|place| place != first);
            incident.formerly = led.take(FORMER).map(|(_, id)| stable_id(&[cluster, id])).collect();
            firsts.push((*first).clone());
        }
        key.clone_into(&mut incident.group);
        incident.follows = before.replace(incident.id.clone());
        let facts = Facts::of(key, &incident, (&members, &heads));
        made.push((incident, facts));
        newest = resolves;
    }
    Episodes { made, firsts, resolves: newest }
}

pub(super) fn incident(
    cluster: &str,
    rules: &Rules,
    (members, heads): (&[(&Place, &Member)], &[&Head]),
    resolves: Option<Timestamp>,
    now: Timestamp,
) -> Incident {
    // One whose own trouble it is speaks for all, the first of them.
    let told = members.iter().find(|(_, m)| m.own).or(members.first()).map(|(_, m)| *m);
    let certain = members.iter().find(|(_, m)| m.cause != crate::cause::INSUFFICIENT).map(|(_, m)| *m);
    let told = told.filter(|m| m.cause != crate::cause::INSUFFICIENT).or(certain).or(told);
    let first = members.first().map_or("", |((_, id), _)| id.as_str());
    let resolved = resolves.filter(|at| now >= *at);
    let let_go = heads.iter().map(|head| head.ends).sum::<usize>();
    let ends = members.iter().filter(|(_, m)| m.ended).count() + let_go;
    let mut names: Vec<String> = Vec::new();
    let mut known = BTreeSet::new();
    for name in heads.iter().flat_map(|head| &head.names).chain(members.iter().map(|(_, m)| &m.name)) {
        if names.len() < NAMED && known.insert(name) {
            names.push(name.clone());
        }
    }
    // As of rows the newest is shown.
    let alike = |m: &&Member| told.is_some_and(|told| told.cause == m.cause) && !m.evidence.is_empty();
    let newest = members.iter().rev().map(|(_, m)| *m).find(alike);
    let never_started = members.iter().any(|(_, m)| m.never_started) || heads.iter().any(|head| head.never_started);
    let critical = ends >= CRITICAL || never_started;
    let mut incident = Incident {
        id: stable_id(&[cluster, first]),
        group: String::new(),
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
