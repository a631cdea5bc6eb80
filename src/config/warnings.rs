//! What a configuration says that is allowed and does nothing.

use whyd_signals::Timestamp;

use super::Config;

impl Config {
    /// What has no effect at this time, each with its key.
    pub fn warnings(&self, now: Timestamp) -> Vec<String> {
        let numbered = self.rules.suppressions.iter().enumerate();
        let over = numbered.filter(|(_, s)| s.until <= now);
        let tell = |(n, s): (usize, &whyd_correlate::rules::Suppression)| {
            format!(
                "incidents.suppressions[{n}].until: {} is over: {:?} hides only what opened before; take it out, or set a later time",
                s.until, s.name
            )
        };
        over.map(tell).collect()
    }
}

#[cfg(test)]
mod tests {
    use whyd_signals::Timestamp;

    use crate::config::ConfigFile;

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
