//! Incidents: one for each root.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Evidence, Restart, Root};
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
    /// The [key](super::Restart::incident_key) of the rows that it holds; empty of one that is made of others.
    #[serde(default)]
    pub group: String,
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

/// Which incident each row of the ledger is of.
#[derive(Debug)]
pub struct IncidentsOfRows<'a> {
    /// When each of a group was opened, in order of time.
    by_group: BTreeMap<&'a str, Vec<(Timestamp, &'a str)>>,
}

impl<'a> IncidentsOfRows<'a> {
    /// Of these incidents: whoever may not see one is not told its id.
    pub fn of(incidents: impl Iterator<Item = &'a Incident>) -> Self {
        let mut by_group: BTreeMap<&str, Vec<(Timestamp, &str)>> = BTreeMap::new();
        for incident in incidents.filter(|incident| !incident.group.is_empty()) {
            by_group.entry(&incident.group).or_default().push((incident.opened_at, &incident.id));
        }
        by_group.values_mut().for_each(|of| of.sort_unstable());
        Self { by_group }
    }

    /// The id of the one that holds this row; `None` where it is in none, or in one that is not kept or not seen.
    pub fn row(&self, row: &Restart) -> Option<&'a str> {
        let of = self.by_group.get(row.incident_key.as_deref()?)?;
        let at = row.finished_at.unwrap_or(row.seen_at);
        let after = of.partition_point(|(opened, _)| *opened <= at);
        Some(of.get(after.checked_sub(1)?)?.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incident() -> Incident {
        Incident {
            id: "i".into(),
            group: String::new(),
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
            part_of: None,
            parts: Vec::new(),
            speaks_of: Vec::new(),
            summary: String::new(),
            evidence: Vec::new(),
        }
    }

    #[test]
    fn what_is_made_of_several_teams_is_seen_by_whom_sees_all_of_them() {
        let link = |teams: &[&str]| Link {
            id: "whole".into(),
            team: Team::platform(),
            teams: teams.iter().map(|team| Team::new(team)).collect(),
        };
        let incident =
            Incident { part_of: Some(link(&["platform", "a"])), parts: vec![link(&["a"]), link(&["b"])], ..incident() };
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

    #[test]
    fn a_row_is_of_the_incident_of_its_key_that_was_opened_last_before_it() {
        let incident = |id: &str, group: &str, opened: i64| Incident {
            id: id.into(),
            group: group.into(),
            opened_at: Timestamp(opened),
            ..incident()
        };
        let all = [incident("late", "k", 50), incident("early", "k", 10), incident("whole", "", 0)];
        let of = IncidentsOfRows::of(all.iter());
        let row = |key: Option<&str>, at: i64| Restart {
            team: Team::new("a"),
            namespace: String::new(),
            workload: String::new(),
            pod: None,
            pod_uid: None,
            node: None,
            container: None,
            owner: String::new(),
            container_id: String::new(),
            restart_count: None,
            started_at: None,
            finished_at: Some(Timestamp(at)),
            exit_code: None,
            signal: None,
            reason: None,
            again: false,
            mechanism: String::new(),
            cause: String::new(),
            cause_detail: None,
            confidence: 1.0,
            root: None,
            summary: String::new(),
            evidence: Vec::new(),
            ruled_out: Vec::new(),
            changes: Vec::new(),
            missing: Vec::new(),
            speaks_of: Vec::new(),
            shares: Vec::new(),
            incident_key: key.map(str::to_owned),
            seen_at: Timestamp(at + 100),
        };
        let id = |key, at| of.row(&row(key, at));
        assert_eq!(
            [id(Some("k"), 10), id(Some("k"), 49), id(Some("k"), 50)],
            [Some("early"), Some("early"), Some("late")]
        );
        assert_eq!([id(Some("k"), 9), id(Some("other"), 60), id(None, 60), id(Some(""), 60)], [None; 4]);
    }
}
