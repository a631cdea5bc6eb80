//! An incident made of others: what they share is its root, all that befell them is its own.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use whyd_signals::Team;
use whyd_signals::schema::{Incident, IncidentStatus, Link, Root, Shared, Sharing};

use super::merged::Pool;
use super::shared::Figures;
use super::stable_id;

/// Members that it names; further ones are counted in its restarts, and named by its parts.
const NAMED: usize = 2_000;

/// What makes one incident of several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Bond {
    /// Their workloads share it beyond chance.
    Shared(Shared, Figures),
    /// The verdicts of several teams name it as their root.
    Root,
}

/// An incident made of others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Whole {
    pub(super) pool: Pool,
    pub(super) bond: Bond,
    /// Ids of the incidents that it is made of.
    pub(super) parts: BTreeSet<String>,
    /// Ids under which it may have been told before.
    pub(super) formerly: Vec<String>,
    /// As it was told last.
    pub(super) made: Option<Arc<Incident>>,
}

impl Whole {
    /// Its id: the same for the same thing and the period in which it began.
    pub(super) fn id(cluster: &str, pool: &Pool, bond: &Bond, period: &str) -> String {
        let (scope, class) = match pool {
            Pool::Cause { team, class } => (team.as_ref().map_or("", Team::as_str), class.clone()),
            Pool::Root { kind, namespace, name } => ("", format!("{kind}/{namespace}/{name}")),
        };
        let thing = match bond {
            Bond::Shared(shared, _) => format!("{}/{}/{}", shared.what.as_str(), shared.value, shared.version),
            Bond::Root => String::new(),
        };
        stable_id(&[cluster, "whole", scope, &class, &thing, period])
    }

    /// Whose it is: of what several teams share, the platform's.
    pub(super) fn team(&self) -> Team {
        match &self.pool {
            Pool::Cause { team: Some(team), .. } => team.clone(),
            _ => Team::platform(),
        }
    }

    /// As an incident; `None` when none of its parts is known any more.
    pub(super) fn incident(&self, id: &str, parts: &[Arc<Incident>], part_of: Option<Link>) -> Option<Incident> {
        // What people asked not to be told of gives neither words nor weight, where others are left. One that is left is told
        // by itself.
        let hidden = is_hidden(parts);
        let told: Vec<&Arc<Incident>> = parts.iter().filter(|part| hidden || part.suppressed_by.is_none()).collect();
        let first = *told.first()?;
        let severity = told.iter().map(|part| part.severity).max()?;
        let mut causes: Vec<&str> = told.iter().map(|part| part.cause.as_str()).collect();
        causes.dedup();
        let cause = match (&self.pool, causes.as_slice()) {
            (_, [one]) => (*one).to_owned(),
            (Pool::Cause { class, .. }, _) => class.clone(),
            // What went wrong first is told, not what it took down.
            (Pool::Root { .. }, all) => (*all.iter().find(|c| **c != "dependency-down")?).to_owned(),
        };
        let told = *told.iter().find(|part| part.cause == cause).unwrap_or(&first);
        let namespaces: BTreeSet<&str> = parts.iter().map(|part| part.namespace.as_str()).collect();
        let all_in_one = namespaces.len() == 1;
        let mut members: Vec<String> = Vec::new();
        for part in parts {
            let room = NAMED.saturating_sub(members.len());
            members.extend(part.members.iter().take(room).cloned());
        }
        let mut speaks_of: BTreeSet<String> = parts.iter().flat_map(|part| part.speaks_of.iter().cloned()).collect();
        let root = match &self.bond {
            Bond::Shared(shared, _) => root_of(shared),
            Bond::Root => told.root.clone()?,
        };
        speaks_of.extend((!root.namespace.is_empty()).then(|| root.namespace.clone()));
        let is_open = parts.iter().any(|part| part.status == IncidentStatus::Open);
        let ended = parts.iter().filter_map(|part| part.resolved_at).max();
        let link = |part: &Arc<Incident>| Link {
            id: part.id.clone(),
            team: part.team.clone(),
            teams: vec![part.team.clone()],
        };
        Some(Incident {
            id: id.to_owned(),
            group: String::new(),
            team: self.team(),
            namespace: if all_in_one { first.namespace.clone() } else { String::new() },
            severity,
            status: if is_open { IncidentStatus::Open } else { IncidentStatus::Resolved },
            opened_at: parts.iter().map(|part| part.opened_at).min()?,
            resolved_at: ended.filter(|_| !is_open),
            summary: self.words(&cause, &root, parts, told),
            cause,
            root: Some(root),
            members,
            restarts: parts.iter().map(|part| part.restarts).sum(),
            follows: None,
            formerly: self.formerly.clone(),
            suppressed_by: parts.iter().find_map(|part| part.suppressed_by.clone()).filter(|_| hidden),
            part_of,
            parts: parts.iter().map(link).collect(),
            speaks_of: speaks_of.into_iter().collect(),
            evidence: Vec::new(),
        })
    }

    fn words(&self, cause: &str, root: &Root, parts: &[Arc<Incident>], told: &Incident) -> String {
        let (shared, figures) = match &self.bond {
            Bond::Shared(shared, figures) => (shared, figures),
            Bond::Root => {
                let teams: BTreeSet<&Team> = parts.iter().map(|part| &part.team).collect();
                return format!("{root} is the root of one trouble of {} teams: {}", teams.len(), told.summary);
            }
        };
        let Figures { both, having, troubled, there, chance } = *figures;
        let version = Some(&shared.version).filter(|v| !v.is_empty());
        let version = version.map_or(String::new(), |v| format!(" in resource version {v}"));
        let thing = match shared.what {
            Sharing::Dependency => format!("that say that {} did not answer", shared.value),
            Sharing::Image => format!("with the image {}", shared.value),
            Sharing::Config => format!("that read the ConfigMap {}{version}", shared.value),
            Sharing::Node => format!("on the node {}", shared.value),
            Sharing::Zone => format!("in the zone {}", shared.value),
        };
        let others = match (troubled - both, there - having) {
            (_, 0) => String::new(),
            (0, others) => format!(", of the {others} others none"),
            (some, others) => format!(", of the {others} others {}", some.min(others)),
        };
        let first = &told.summary;
        format!(
            "{both} of the {having} workloads {thing} are in trouble ({cause}){others}; by chance that is so once in {}; \
             the first: {first}",
            once_in(chance)
        )
    }
}

/// Whether of an incident made of these nobody is to be told: fewer than two of them are to be.
pub(super) fn is_hidden(parts: &[Arc<Incident>]) -> bool {
    let told = parts.iter().filter(|part| part.suppressed_by.is_none()).count();
    told < 2 && told < parts.len()
}

/// How often that is, with two digits.
fn once_in(chance: f64) -> String {
    let times = 1.0 / chance.max(1e-15);
    let scale = 10f64.powf(times.log10().floor() - 1.0).max(1.0);
    let rounded = (times / scale).floor() * scale;
    let digits = format!("{rounded:.0}");
    let mut said = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            said.push(',');
        }
        said.push(digit);
    }
    said
}

/// The thing as a root.
pub(super) fn root_of(shared: &Shared) -> Root {
    let root = |kind: &str, namespace: &str, name: &str| Root {
        kind: kind.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        uid: String::new(),
    };
    let value = shared.value.as_str();
    let mut named = value.splitn(3, '/');
    match (shared.what, named.next(), named.next(), named.next()) {
        (Sharing::Dependency, Some(namespace), Some(kind), Some(name)) => root(kind, namespace, name),
        (Sharing::Config, Some(namespace), Some(name), None) => root("ConfigMap", namespace, name),
        (Sharing::Dependency, ..) => root("Host", "", value),
        (Sharing::Image, ..) => root("Image", "", value),
        (Sharing::Config, ..) => root("ConfigMap", "", value),
        (Sharing::Node, ..) => root("Node", "", value),
        (Sharing::Zone, ..) => root("Zone", "", value),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use whyd_signals::Timestamp;
    use whyd_signals::schema::Severity;

    use super::*;
    use crate::incidents::episodes::incident;
    use crate::incidents::facts::Facts;
    use crate::incidents::{Member, Place, Rules};

    fn member(name: &str, cause: &str, own: bool) -> (Place, Member) {
        let member = Member {
            team: Team::new("a"),
            namespace: "a".into(),
            workload: format!("CronJob/{name}"),
            name: format!("a/{name}/app"),
            pod_uid: String::new(),
            at: Timestamp(0),
            seen: Timestamp(0),
            until: Some(Timestamp(0)),
            cause: cause.into(),
            mechanism: String::new(),
            shares: Vec::new(),
            root: None,
            summary: format!("{name} failed"),
            speaks_of: Vec::new(),
            evidence: Vec::new(),
            own,
            ended: true,
            never_started: false,
        };
        ((Timestamp(0), name.to_owned()), member)
    }

    #[test]
    fn what_attempts_of_a_job_died_of_is_theirs() {
        let (attempt, gave_up) = (member("1", "app-error", false), member("2", "job-failed", true));
        let draft = [(&attempt.0, &attempt.1), (&gave_up.0, &gave_up.1)];
        let made = incident("lab", &Rules::default(), (&draft, &[]), None, Timestamp(0));
        for (group, class) in [("a/CronJob/c/job-failed", Some("app-error")), ("a/Pod/db/oom-limit", None)] {
            assert_eq!(Facts::of(group, &made, (&draft, &[])).class.as_deref(), class, "{group}");
        }
    }

    #[test]
    fn what_is_suppressed_gives_neither_words_nor_severity() {
        let part = |name: &str, severity, suppressed: bool| {
            let (place, member) = member(name, "app-error", true);
            let made = incident("lab", &Rules::default(), (&[(&place, &member)], &[]), None, Timestamp(0));
            Arc::new(Incident { severity, suppressed_by: suppressed.then(|| "known".into()), ..made })
        };
        let pool = Pool::Cause { team: Some(Team::new("a")), class: "app-error".into() };
        let shared = Shared { what: Sharing::Image, value: "i".into(), version: String::new() };
        let figures = Figures { both: 2, having: 2, troubled: 2, there: 9, chance: 0.01 };
        let whole = Whole {
            pool,
            bond: Bond::Shared(shared, figures),
            parts: BTreeSet::new(),
            formerly: Vec::new(),
            made: None,
        };
        let told = |open: bool| {
            let last = part("3", Severity::Warning, !open);
            let parts = [part("1", Severity::Critical, true), part("2", Severity::Warning, !open), last];
            whole.incident("w", &parts, None).unwrap()
        };
        let (some, none) = (told(true), told(false));
        assert_eq!((some.severity, some.suppressed_by), (Severity::Warning, None));
        assert!(some.summary.ends_with("the first: 2 failed") && some.members.len() == 3, "{}", some.summary);
        assert_eq!((none.severity, none.suppressed_by.as_deref()), (Severity::Critical, Some("known")));
    }

    #[test]
    fn how_often_is_told_with_two_digits() {
        for (chance, said) in [(0.01, "100"), (1.0 / 1_221_759.0, "1,200,000"), (0.5, "2"), (1.0 / 61_234.0, "61,000")]
        {
            assert_eq!(once_in(chance), said);
        }
    }
}
