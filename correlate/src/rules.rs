//! What people may say about incidents: how long quiet has to last, how bad a cause is, what is known and hidden.

use std::time::Duration;

use whyd_signals::Timestamp;
use whyd_signals::schema::{Incident, Severity};

/// An incident is over when its pods have been well for so long. Longer than the kubelet's longest back-off.
const QUIET: Duration = Duration::from_secs(900);

/// The rules, in the order in which they were written.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// How long nothing may happen before an incident is resolved.
    pub quiet: Duration,
    /// The first that fits decides.
    pub severities: Vec<SeverityRule>,
    /// The first that fits hides.
    pub suppressions: Vec<Suppression>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { quiet: QUIET, severities: Vec::new(), suppressions: Vec::new() }
    }
}

/// Which incidents a rule is about; what is not said fits all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matches {
    /// The cause.
    pub cause: Option<String>,
    /// The namespace of the first that was hit.
    pub namespace: Option<String>,
    /// Its workload, `Kind/name` or `name`.
    pub workload: Option<String>,
}

impl Matches {
    fn fits(&self, cause: &str, namespace: &str, workload: &str) -> bool {
        let same = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|w| w == is);
        let bare = workload.split_once('/').map_or(workload, |(_, name)| name);
        same(&self.cause, cause)
            && same(&self.namespace, namespace)
            && self.workload.as_ref().is_none_or(|w| w == workload || w == bare)
    }
}

/// How bad incidents of a kind are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeverityRule {
    /// Which.
    pub matches: Matches,
    /// How bad.
    pub severity: Severity,
}

/// Incidents that are known and not to be told, until a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suppression {
    /// Its name, shown with what it hid.
    pub name: String,
    /// Which.
    pub matches: Matches,
    /// Incidents that open later are told again.
    pub until: Timestamp,
    /// Why, for those who look later.
    pub reason: String,
}

impl Rules {
    /// Lets the rules have their say on an incident whose first member is this workload's.
    pub(crate) fn apply(&self, incident: &mut Incident, namespace: &str, workload: &str) {
        let fits = |m: &Matches| m.fits(&incident.cause, namespace, workload);
        let severity = self.severities.iter().find(|r| fits(&r.matches)).map(|r| r.severity);
        let hides = |s: &&Suppression| fits(&s.matches) && incident.opened_at < s.until;
        let hidden = self.suppressions.iter().find(hides).map(|s| s.name.clone());
        incident.severity = severity.unwrap_or(incident.severity);
        incident.suppressed_by = hidden;
    }
}
