//! What people say about incidents.

use schemars::JsonSchema;
use serde::Deserialize;
use whyd_correlate::rules::{Matches, Rules, SeverityRule, Suppression};
use whyd_signals::schema::Severity;
use whyd_signals::{Timestamp, causes};

use super::Errors;

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(super) struct IncidentsFile {
    /// How long nothing may happen before an incident is resolved. Default `15m`, longer than the longest back-off.
    quiet: Option<String>,
    /// How bad incidents of a kind are; the first that fits decides. What no rule fits is critical from its third
    /// restart on, or where something never started.
    severities: Vec<SeverityFile>,
    /// Incidents that are known and not to be told; the first that fits hides.
    suppressions: Vec<SuppressionFile>,
}

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
struct SeverityFile {
    /// Only of this cause.
    cause: Option<String>,
    /// Only in this namespace.
    namespace: Option<String>,
    /// Only of this workload, `Kind/name` or `name`.
    workload: Option<String>,
    /// `warning` or `critical`.
    severity: String,
}

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
struct SuppressionFile {
    /// Its name, shown with what it hid.
    name: String,
    /// Only of this cause.
    cause: Option<String>,
    /// Only in this namespace.
    namespace: Option<String>,
    /// Only of this workload, `Kind/name` or `name`.
    workload: Option<String>,
    /// Incidents that open later are told again; RFC 3339.
    until: String,
    /// Why, for those who look later.
    reason: String,
}

impl Errors {
    pub(super) fn rules(&mut self, file: IncidentsFile) -> Rules {
        let quiet = file.quiet.map_or(Rules::default().quiet, |text| self.duration("incidents.quiet", &text));
        let mut severities = Vec::new();
        for (n, rule) in file.severities.into_iter().enumerate() {
            let key = format!("incidents.severities[{n}]");
            let severity = match rule.severity.as_str() {
                "warning" => Severity::Warning,
                "critical" => Severity::Critical,
                other => {
                    self.0.push(format!("{key}.severity: {other:?} is neither warning nor critical"));
                    Severity::Warning
                }
            };
            let matches = self.matches(&key, rule.cause, rule.namespace, rule.workload);
            severities.push(SeverityRule { matches, severity });
        }
        let mut suppressions = Vec::new();
        for (n, rule) in file.suppressions.into_iter().enumerate() {
            let key = format!("incidents.suppressions[{n}]");
            if rule.name.is_empty() {
                self.0.push(format!("{key}.name: must not be empty, it is shown with what it hid"));
            }
            let until = Timestamp::parse(&rule.until).unwrap_or_else(|| {
                self.0
                    .push(format!("{key}.until: {:?} is no time, write for instance 2026-12-31T00:00:00Z", rule.until));
                Timestamp(0)
            });
            if rule.cause.is_none() && rule.namespace.is_none() && rule.workload.is_none() {
                self.0.push(format!("{key}: would hide every incident; name a cause, a namespace or a workload"));
            }
            let matches = self.matches(&key, rule.cause, rule.namespace, rule.workload);
            suppressions.push(Suppression { name: rule.name, matches, until, reason: rule.reason });
        }
        Rules { quiet, severities, suppressions }
    }

    fn matches(
        &mut self,
        key: &str,
        cause: Option<String>,
        namespace: Option<String>,
        workload: Option<String>,
    ) -> Matches {
        if let Some(cause) = cause.as_ref().filter(|c| !causes::IDS.contains(&c.as_str())) {
            self.0.push(format!("{key}.cause: {cause:?} is no cause; they are {}", causes::IDS.join(", ")));
        }
        Matches { cause, namespace, workload }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::config::ConfigFile;

    #[test]
    fn rules_about_incidents_are_checked() {
        let good = "incidents: {quiet: 5m, severities: [{cause: rollout, severity: warning}], suppressions: \
            [{name: known, workload: cart, until: \"2026-12-31T00:00:00Z\", reason: SHOP-1}]}\n";
        let config = ConfigFile::parse(good).unwrap().validate().unwrap();
        assert_eq!(config.rules.quiet, Duration::from_secs(300));
        assert_eq!((config.rules.severities.len(), config.rules.suppressions.len()), (1, 1));
        let bad = "incidents: {severities: [{cause: oom, severity: bad}], suppressions: [{name: \"\", until: soon}]}\n";
        let wrong = ConfigFile::parse(bad).unwrap().validate().unwrap_err();
        for key in [
            "severities[0].severity",
            "severities[0].cause",
            "suppressions[0].name",
            "suppressions[0].until",
            "suppressions[0]:",
        ] {
            assert!(wrong.iter().any(|w| w.contains(key)), "{key} in {wrong:?}");
        }
    }
}
