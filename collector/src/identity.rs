//! Which team owns a namespace: decided by the cluster's own objects, never by what a payload says of itself.

use std::collections::BTreeMap;

use whyd_signals::Team;

/// Labels of a namespace that name its team; the first that is there wins.
const LABELS: [&str; 2] = ["apl.io/teamId", "whyd.io/team"];

/// The id that the platform gives its own administrators: a role, not a team.
const ADMIN: &str = "admin";

/// The rule from a namespace to its team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamRule {
    /// What comes before the team's id in the name of a namespace that no label speaks for. Empty: the name is the id.
    pub prefix: String,
}

impl Default for TeamRule {
    fn default() -> Self {
        Self { prefix: "team-".into() }
    }
}

impl TeamRule {
    /// The team of the namespace with this name and these labels; the platform where neither names one.
    ///
    /// `admin` is never a team: `team-admin` is the namespace of the platform's administrators.
    pub fn team_of(&self, namespace: &str, labels: &BTreeMap<String, String>) -> Team {
        let labelled = LABELS.iter().find_map(|l| labels.get(*l).map(|v| v.trim()).filter(|v| !v.is_empty()));
        match labelled.or_else(|| namespace.strip_prefix(self.prefix.as_str())) {
            None | Some("" | ADMIN) => Team::platform(),
            Some(id) => Team::new(id),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn check(rule: &TeamRule, namespace: &str, labels: &[(&str, &str)], expected: &str) {
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        assert_eq!(rule.team_of(namespace, &labels).as_str(), expected, "{namespace} {labels:?}");
    }

    #[test]
    fn labels_then_prefix_then_platform() {
        let rule = TeamRule::default();
        check(&rule, "team-shop", &[], "shop");
        check(&rule, "team-shop", &[("whyd.io/team", "cart")], "cart");
        check(&rule, "team-shop", &[("whyd.io/team", "cart"), ("apl.io/teamId", "pay")], "pay");
        check(&rule, "team-shop", &[("apl.io/teamId", ""), ("whyd.io/team", "cart")], "cart");
        check(&rule, "anything", &[("apl.io/teamId", "pay")], "pay");
        check(&rule, "kube-system", &[], "platform");
        check(&rule, "my-team-shop", &[], "platform");
        check(&rule, "team-team-a", &[], "team-a");
        check(&rule, "", &[], "platform");
    }

    #[test]
    fn admin_is_a_role_and_not_a_team() {
        let rule = TeamRule::default();
        check(&rule, "team-admin", &[], "platform");
        check(&rule, "team-admin", &[("apl.io/teamId", "admin")], "platform");
        check(&rule, "team-administration", &[], "administration");
        check(&rule, "team-", &[], "platform");
    }

    #[test]
    fn the_prefix_is_configurable() {
        check(&TeamRule { prefix: "tenant.".into() }, "tenant.shop", &[], "shop");
        check(&TeamRule { prefix: "tenant.".into() }, "team-shop", &[], "platform");
        check(&TeamRule { prefix: String::new() }, "shop", &[], "shop");
    }
}
