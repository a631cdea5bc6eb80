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
    /// As it was told last.
    pub(super) made: Option<Arc<Incident>>,
}

impl Whole {
    /// Its id: the same for the same thing and the same first incident.
    pub(super) fn id(cluster: &str, pool: &Pool, bond: &Bond, first: &str) -> String {
        let (scope, class) = match pool {
            Pool::Cause { team, class } => (team.as_ref().map_or("", Team::as_str), class.clone()),
            Pool::Root { kind, namespace, name } => ("", format!("{kind}/{namespace}/{name}")),
        };
        let thing = match bond {
            Bond::Shared(shared, _) => format!("{}/{}/{}", shared.what.as_str(), shared.value, shared.version),
            Bond::Root => String::new(),
        };
        stable_id(&[cluster, "whole", scope, &class, &thing, first])
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
        let first = parts.first()?;
        let mut causes: Vec<&str> = parts.iter().map(|part| part.cause.as_str()).collect();
        causes.dedup();
        let cause = match (&self.pool, causes.as_slice()) {
            (_, [one]) => (*one).to_owned(),
            (Pool::Cause { class, .. }, _) => class.clone(),
            // What went wrong first is told, not what it took down.
            (Pool::Root { .. }, all) => (*all.iter().find(|c| **c != "dependency-down")?).to_owned(),
        };
        let told = parts.iter().find(|part| part.cause == cause).unwrap_or(first);
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
        let hidden = parts.iter().all(|part| part.suppressed_by.is_some());
        let link = |part: &Arc<Incident>| Link {
            id: part.id.clone(),
            team: part.team.clone(),
            teams: vec![part.team.clone()],
        };
        Some(Incident {
            id: id.to_owned(),
            team: self.team(),
            namespace: if all_in_one { first.namespace.clone() } else { String::new() },
            severity: parts.iter().map(|part| part.severity).max()?,
            status: if is_open { IncidentStatus::Open } else { IncidentStatus::Resolved },
            opened_at: parts.iter().map(|part| part.opened_at).min()?,
            resolved_at: ended.filter(|_| !is_open),
            summary: self.words(&cause, &root, parts, told),
            cause,
            root: Some(root),
            members,
            restarts: parts.iter().map(|part| part.restarts).sum(),
            follows: None,
            suppressed_by: first.suppressed_by.clone().filter(|_| hidden),
            part_of,
            parts: parts.iter().map(link).collect(),
            speaks_of: speaks_of.into_iter().collect(),
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

fn root_of(shared: &Shared) -> Root {
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
    use super::once_in;

    #[test]
    fn how_often_is_told_with_two_digits() {
        for (chance, said) in [(0.01, "100"), (1.0 / 1_221_759.0, "1,200,000"), (0.5, "2"), (1.0 / 61_234.0, "61,000")]
        {
            assert_eq!(once_in(chance), said);
        }
    }
}
