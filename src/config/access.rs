//! The section `access`: who may read, and who may write.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use whyd_signals::{Access, Team};

use super::Errors;

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(super) struct AccessFile {
    /// Whether a request without a token may read everything. Default: only where there are no tokens.
    pub(super) anonymous: Option<bool>,
    /// Static bearer tokens of readers, one at least. Left out: everything is open to whoever reaches the port, which
    /// `anonymous: true` says as well.
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<TokenFile>", length(min = 1))]
    pub(super) tokens: Option<Vec<TokenFile>>,
    /// The file that holds the bearer token that every sender needs: of remote write, Loki pushes, OTLP and the webhook; another
    /// one than any reader's. Default: whoever reaches a port may write.
    pub(super) write_token_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(super) struct TokenFile {
    /// The file that holds the token, so that no secret stands in the configuration.
    token_file: PathBuf,
    /// The teams it may read, one at least. Left out: all, and `/metrics`.
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>", length(min = 1))]
    teams: Option<Vec<String>>,
}

/// A key with nothing behind it is not one that was left out: a template whose list is empty writes it so.
fn said<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<T>>, D::Error> {
    Option::<Vec<T>>::deserialize(deserializer).map(|list| Some(list.unwrap_or_default()))
}

/// The token of a reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderToken {
    /// The file that holds it.
    pub file: PathBuf,
    /// What it opens.
    pub opens: Access,
}

impl Errors {
    pub(super) fn tokens(&mut self, tokens: Option<Vec<TokenFile>>) -> Vec<ReaderToken> {
        if tokens.as_ref().is_some_and(Vec::is_empty) {
            self.told.push(
                "access.tokens: is empty, so it would keep nobody out; name the tokens, or, if everything is to be open to whoever \
                 reaches the port, write `anonymous: true` in its place"
                    .into(),
            );
        }
        let mut all = Vec::new();
        for (n, TokenFile { token_file: file, teams }) in tokens.into_iter().flatten().enumerate() {
            let key = format!("access.tokens[{n}]");
            if file.as_os_str().is_empty() {
                self.told.push(format!("{key}.tokenFile: is missing"));
            }
            if teams.as_ref().is_some_and(Vec::is_empty) {
                self.told.push(format!(
                    "{key}.teams: is empty, so it would open nothing; name the teams, or leave the key `teams` out to open all teams"
                ));
            }
            for (m, _) in teams.iter().flatten().enumerate().filter(|(_, team)| team.trim().is_empty()) {
                self.told.push(format!("{key}.teams[{m}]: must not be empty"));
            }
            let of = |teams: Vec<String>| Access::Teams(teams.iter().map(|team| Team::new(team)).collect());
            all.push(ReaderToken { file, opens: teams.map_or(Access::All, of) });
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::super::ConfigFile;
    use super::*;

    #[test]
    fn all_teams_are_opened_by_leaving_the_key_out_alone() {
        let read = |teams: &str| {
            let text = format!("access: {{tokens: [{{tokenFile: /t{teams}}}]}}\n");
            ConfigFile::parse(&text).and_then(ConfigFile::validate).map(|config| config.tokens)
        };
        assert_eq!(read("").unwrap()[0].opens, Access::All);
        let shop = read(", teams: [shop]").unwrap().remove(0).opens;
        assert!(shop.allows(&Team::new("shop")) && !shop.allows(&Team::new("cart")) && shop != Access::All);
        for nothing in [", teams: []", ", teams: ", ", teams: null", ", teams: ~"] {
            let wrong = read(nothing).unwrap_err();
            assert!(
                wrong.len() == 1 && wrong[0].starts_with("access.tokens[0].teams: is empty"),
                "{nothing}: {wrong:?}"
            );
            assert!(wrong[0].contains("leave the key `teams` out to open all teams"), "{wrong:?}");
        }
        for empty in ["[]", "", "null", "~"] {
            let text = format!("access: {{tokens: {empty}}}\n");
            let wrong = ConfigFile::parse(&text).and_then(ConfigFile::validate).unwrap_err();
            assert!(wrong.len() == 1 && wrong[0].starts_with("access.tokens: is empty"), "{empty}: {wrong:?}");
            assert!(wrong[0].contains("write `anonymous: true` in its place"), "{wrong:?}");
        }
        for open in ["", "access: {}\n", "access: {anonymous: true}\n"] {
            let config = ConfigFile::parse(open).and_then(ConfigFile::validate).unwrap();
            assert!(config.anonymous && config.tokens.is_empty(), "{open}");
        }
        let wrong = read(", teams: [shop, \"\"]").unwrap_err();
        assert!(wrong.len() == 1 && wrong[0].starts_with("access.tokens[0].teams[1]: "), "{wrong:?}");
        let wrong = ConfigFile::parse("access: {tokens: [{teams: [shop]}]}\n").unwrap().validate().unwrap_err();
        assert_eq!(wrong, ["access.tokens[0].tokenFile: is missing"]);
    }
}
