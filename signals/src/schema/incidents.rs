//! Incidents: one for each root.

use serde::{Deserialize, Serialize};

use super::{Evidence, Root};
use crate::{Access, Team, Timestamp};

/// How bad, by rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Severity {
    Warning,
    Critical,
}

/// Whether it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum IncidentStatus {
    Open,
    Resolved,
}

/// Another incident, and who may know of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Link {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub team: Team,
    /// All teams whose trouble it speaks of: who may not see each of them may not see it.
    pub teams: Vec<Team>,
}

impl Link {
    /// Whether this access may know of it.
    pub fn is_seen_by(&self, access: &Access) -> bool {
        self.teams.iter().all(|team| access.allows(team))
    }
}

/// Trouble with one root and all that it took down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Incident {
    /// A hash of the cluster and the first instance that it began with; never of a time of arrival.
    pub id: String,
    pub team: Team,
    /// Where it began, for whoever routes it; empty where that is a node.
    pub namespace: String,
    pub severity: Severity,
    pub status: IncidentStatus,
    pub opened_at: Timestamp,
    pub resolved_at: Option<Timestamp>,
    pub cause: String,
    pub root: Option<Root>,
    /// `namespace/pod/container`, without the last where it is a pod as a whole; in order.
    pub members: Vec<String>,
    /// How many container instances ended in it.
    pub restarts: u64,
    /// The incident of the same root before this one, which was resolved.
    pub follows: Option<String>,
    /// Ids under which what it holds was told before: of an incident that turned out to be this one's, or that began earlier
    /// than it seemed.
    #[serde(default)]
    pub formerly: Vec<String>,
    /// The suppression that hides it.
    pub suppressed_by: Option<String>,
    /// The incident that tells of this one with others, since they have one root.
    pub part_of: Option<Link>,
    /// The incidents that this one is made of; empty where it is made of members alone.
    pub parts: Vec<Link>,
    /// Namespaces of others that the summary speaks of: who may not see them may not read it.
    pub speaks_of: Vec<String>,
    pub summary: String,
    /// What it rests on, where it has no row that tells so.
    #[serde(default)]
    pub evidence: Vec<Evidence>,
}

impl Incident {
    /// Whether this access may see it: it is of one of its teams, and so is all that it is made of.
    pub fn is_seen_by(&self, access: &Access) -> bool {
        access.allows(&self.team) && self.parts.iter().all(|part| part.is_seen_by(access))
    }

    /// Whether another incident tells this access of it.
    pub fn is_told_by_another(&self, access: &Access) -> bool {
        self.part_of.as_ref().is_some_and(|whole| whole.is_seen_by(access))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_of_several_teams_is_seen_by_whom_sees_all_of_them() {
        let link = |teams: &[&str]| Link {
            id: "whole".into(),
            team: Team::platform(),
            teams: teams.iter().map(|team| Team::new(team)).collect(),
        };
        let incident = Incident {
            id: "i".into(),
            team: Team::platform(),
            namespace: String::new(),
            severity: Severity::Warning,
            status: IncidentStatus::Open,
            opened_at: Timestamp(0),
            resolved_at: None,
            cause: "image-pull".into(),
            root: None,
            members: Vec::new(),
            restarts: 0,
            follows: None,
            formerly: Vec::new(),
            suppressed_by: None,
            part_of: Some(link(&["platform", "a"])),
            parts: vec![link(&["a"]), link(&["b"])],
            speaks_of: Vec::new(),
            summary: String::new(),
            evidence: Vec::new(),
        };
        let of = |teams: &[&str]| Access::Teams(teams.iter().map(|team| Team::new(team)).collect());
        for (access, seen, told) in [
            (Access::All, true, true),
            (of(&["platform"]), false, false),
            (of(&["platform", "a"]), false, true),
            (of(&["platform", "a", "b"]), true, true),
            (of(&["a", "b"]), false, false),
        ] {
            assert_eq!(
                (incident.is_seen_by(&access), incident.is_told_by_another(&access)),
                (seen, told),
                "{access:?}"
            );
        }
    }
}
