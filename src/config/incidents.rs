//! What people say about incidents.

use schemars::JsonSchema;
use serde::Deserialize;
use whyd_correlate::rules::{Matches, Rules, SeverityRule, Suppression};
use whyd_signals::schema::Severity;
use whyd_signals::{Timestamp, causes, names};

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
                "" => {
                    self.told.push(format!("{key}.severity: is missing, write warning or critical"));
                    Severity::Warning
                }
                other => {
                    self.told.push(format!("{key}.severity: {other:?} is neither warning nor critical"));
                    Severity::Warning
                }
            };
            let matches = self.matches(&key, rule.cause, rule.namespace, rule.workload);
            let first = severities.iter().position(|r: &SeverityRule| covers(&r.matches, &matches));
            if let Some(first) = first {
                self.told.push(format!(
                    "{key}: decides nothing, incidents.severities[{first}] fits all that it fits and comes first; put the \
                     narrower one before it"
                ));
            }
            severities.push(SeverityRule { matches, severity });
        }
        let mut suppressions = Vec::new();
        for (n, rule) in file.suppressions.into_iter().enumerate() {
            let key = format!("incidents.suppressions[{n}]");
            if rule.name.is_empty() {
                self.told.push(format!("{key}.name: must not be empty, it is shown with what it hid"));
            } else if let Some(first) = suppressions.iter().position(|other: &Suppression| other.name == rule.name) {
                self.told.push(format!(
                    "{key}.name: {:?} is that of incidents.suppressions[{first}] too, and what it hid could not be told apart",
                    rule.name
                ));
            }
            let until = Timestamp::parse(&rule.until).unwrap_or_else(|| {
                let why = match rule.until.as_str() {
                    "" => "is missing".to_owned(),
                    text => format!("{text:?} is no time"),
                };
                self.told.push(format!("{key}.until: {why}, write for instance 2026-12-31T00:00:00Z"));
                Timestamp(0)
            });
            if rule.cause.is_none() && rule.namespace.is_none() && rule.workload.is_none() {
                self.told.push(format!("{key}: would hide every incident; name a cause, a namespace or a workload"));
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
            self.told.push(format!("{key}.cause: {cause:?} is no cause; they are {}", causes::IDS.join(", ")));
        }
        if let Some(name) = namespace.as_ref().filter(|name| !names::is_namespace(name)) {
            self.told.push(format!("{key}.namespace: {name:?} is no namespace's name{}", wildcards(name)));
        }
        let workload = workload.map(|text| match workload_of(&text) {
            Ok(workload) => workload,
            Err(why) => {
                self.told.push(format!("{key}.workload: {text:?} {why}{}", wildcards(&text)));
                text
            }
        });
        Matches { cause, namespace, workload }
    }
}

fn wildcards(text: &str) -> &'static str {
    if text.contains(['*', '?']) { "; there are no wildcards, write a rule for each" } else { "" }
}

/// A workload as the ledger writes it, of one as people do.
///
/// # Errors
/// Why there can be none of this name.
fn workload_of(text: &str) -> Result<String, &'static str> {
    let (kind, name) = text.split_once('/').map_or((None, text), |(kind, name)| (Some(kind), name));
    if !names::is_object(name) {
        return Err("is no workload's name, write Kind/name or name");
    }
    let Some(kind) = kind else { return Ok(name.to_owned()) };
    if let Some(known) = names::kind(kind) {
        return Ok(format!("{known}/{name}"));
    }
    // Kinds of others are not known; all of them are written so.
    let is_kind = kind.starts_with(|c: char| c.is_ascii_uppercase()) && kind.chars().all(|c| c.is_ascii_alphanumeric());
    if is_kind { Ok(text.to_owned()) } else { Err("has no kind as Kubernetes writes it, for instance Deployment/cart") }
}

/// Whether all that fits `narrow` fits `wide`.
fn covers(wide: &Matches, narrow: &Matches) -> bool {
    let same = |wide: &Option<String>, narrow: &Option<String>| wide.is_none() || wide == narrow;
    let bare = |workload: &str| workload.rsplit('/').next().map(str::to_owned);
    same(&wide.cause, &narrow.cause)
        && same(&wide.namespace, &narrow.namespace)
        && (same(&wide.workload, &narrow.workload) || narrow.workload.as_deref().and_then(bare) == wide.workload)
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

    #[test]
    fn what_can_never_match_is_refused_and_what_kubectl_takes_is_taken() {
        let of = |rule: &str| {
            let text =
                format!("incidents: {{suppressions: [{{name: known, until: \"2026-12-31T00:00:00Z\", {rule}}}]}}\n");
            ConfigFile::parse(&text).and_then(ConfigFile::validate)
        };
        for (written, meant) in [
            ("deploy/cart", "Deployment/cart"),
            ("sts/db", "StatefulSet/db"),
            ("Rollout/cart", "Rollout/cart"),
            ("cart.v2", "cart.v2"),
        ] {
            let config = of(&format!("workload: {written}")).unwrap();
            assert_eq!(config.rules.suppressions[0].matches.workload.as_deref(), Some(meant));
        }
        for (rule, key, says) in [
            ("namespace: \"team-*\"", "namespace", "no wildcards"),
            ("namespace: Team", "namespace", "is no namespace's name"),
            ("workload: \"cart-*\"", "workload", "no wildcards"),
            ("workload: team-shop/deploy/cart", "workload", "Kind/name"),
            ("workload: rollout/cart", "workload", "Deployment/cart"),
        ] {
            let wrong = of(rule).unwrap_err();
            let at = format!("incidents.suppressions[0].{key}: ");
            assert!(wrong.len() == 1 && wrong[0].starts_with(&at) && wrong[0].contains(says), "{rule}: {wrong:?}");
        }
        let missing = "incidents: {suppressions: [{name: known, workload: cart}]}\n";
        let wrong = ConfigFile::parse(missing).and_then(ConfigFile::validate).unwrap_err();
        assert!(wrong.len() == 1 && wrong[0].contains("until: is missing"), "{wrong:?}");
    }

    #[test]
    fn a_rule_that_another_leaves_nothing_to_decide_is_refused() {
        let of = |rules: &str| {
            ConfigFile::parse(&format!("incidents: {{severities: [{rules}]}}\n")).and_then(ConfigFile::validate)
        };
        let all = "{severity: warning}";
        let cart = "{workload: Deployment/cart, severity: critical}";
        let bare = "{workload: cart, severity: warning}";
        assert!(of(&format!("{cart}, {bare}, {all}")).is_ok());
        for rules in [format!("{all}, {cart}"), format!("{bare}, {cart}"), format!("{cart}, {cart}")] {
            let wrong = of(&rules).unwrap_err();
            assert!(wrong.len() == 1 && wrong[0].starts_with("incidents.severities[1]: "), "{rules}: {wrong:?}");
        }
    }
}
