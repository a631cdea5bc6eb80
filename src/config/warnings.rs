//! What a configuration says that is allowed and does nothing, or hardly what was meant.

use whyd_signals::{Access, Timestamp};

use super::Config;

impl Config {
    /// What has no effect at this time, or hardly the one that was meant, each with its key.
    pub fn warnings(&self, now: Timestamp) -> Vec<String> {
        let numbered = self.rules.suppressions.iter().enumerate();
        let over = numbered.filter(|(_, s)| s.until <= now);
        let tell = |(n, s): (usize, &whyd_correlate::rules::Suppression)| {
            format!(
                "incidents.suppressions[{n}].until: {} is over: {:?} hides only what opened before; take it out, or set a later time",
                s.until, s.name
            )
        };
        over.map(tell).chain(self.namespaces_as_teams()).collect()
    }

    /// Teams of tokens that look like namespaces.
    fn namespaces_as_teams(&self) -> impl Iterator<Item = String> {
        let prefix = self.team_prefix.as_str();
        let tokens = self.tokens.iter().enumerate();
        tokens.flat_map(move |(n, token)| {
            let teams = match &token.opens {
                Access::Teams(teams) => teams.iter().map(|team| team.as_str()).collect(),
                Access::All => Vec::new(),
            };
            teams.into_iter().filter_map(move |team| {
                let rest = team.strip_prefix(prefix).filter(|rest| !prefix.is_empty() && !rest.is_empty())?;
                Some(format!(
                    "access.tokens[{n}].teams: {team:?} begins with teams.prefix, as a namespace does: the namespace {team:?} is of \
                     the team {rest:?}, unless a label of it says otherwise"
                ))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use whyd_signals::Timestamp;

    use crate::config::ConfigFile;

    #[test]
    fn a_namespace_in_the_place_of_a_team_is_told() {
        let told = |more: &str, teams: &str| {
            let text = format!("{more}access: {{tokens: [{{tokenFile: /a}}, {{tokenFile: /b, teams: [{teams}]}}]}}\n");
            ConfigFile::parse(&text).unwrap().validate().unwrap().warnings(Timestamp(0))
        };
        let one = told("", "shop, team-pay");
        assert!(one.len() == 1 && one[0].starts_with("access.tokens[1].teams: \"team-pay\" begins"), "{one:?}");
        assert!(one[0].contains("is of the team \"pay\""), "{one:?}");
        assert!(told("", "pay, team-").is_empty());
        assert!(told("teams: {prefix: \"\"}\n", "team-pay").is_empty());
    }

    #[test]
    fn a_suppression_that_is_over_is_told_and_no_error() {
        let text = "incidents: {suppressions: [{name: old, workload: cart, until: \"2020-01-01T00:00:00Z\"}, \
            {name: new, workload: cart, until: \"2030-01-01T00:00:00Z\"}]}\n";
        let config = ConfigFile::parse(text).unwrap().validate().unwrap();
        let at = |text: &str| config.warnings(Timestamp::parse(text).unwrap());
        let told = at("2026-01-01T00:00:00Z");
        assert!(told.len() == 1 && told[0].starts_with("incidents.suppressions[0].until: "), "{told:?}");
        assert!(at("2019-01-01T00:00:00Z").is_empty());
    }
}
