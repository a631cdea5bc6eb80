//! The section `alertmanager`.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Errors;
use crate::alerting::Credential;

/// How often alerts may be sent.
const INTERVAL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3600));
/// Peers of one Alertmanager cluster.
const PEERS: usize = 16;

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(super) struct AlertmanagerFile {
    /// The URL of every peer, for instance `http://alertmanager-0.alertmanager:9093`; never that of a load balancer
    /// before several. Default: none, incidents are told to nobody.
    urls: Vec<String>,
    /// How often an open incident is sent; it ends by itself four of these after the last. Default `1m`.
    interval: Option<String>,
    /// The URL under which people reach whyd, for the links of alerts. Default `http://localhost:PORT`.
    external_url: Option<String>,
    /// The file that holds a bearer token for the peers.
    token_file: Option<PathBuf>,
    /// The name for basic authentication; needs `passwordFile`.
    username: Option<String>,
    /// The file that holds the password for basic authentication.
    password_file: Option<PathBuf>,
}

/// Where and how incidents are told.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct AlertmanagerConfig {
    /// Every peer, without a slash at the end.
    pub urls: Vec<String>,
    pub interval: Duration,
    /// Where people reach the daemon, without a slash at the end, where it is said.
    pub external_url: Option<String>,
    pub credential: Option<Credential>,
}

impl Errors {
    pub(super) fn alertmanager(&mut self, file: AlertmanagerFile) -> AlertmanagerConfig {
        let mut urls: Vec<String> = Vec::new();
        for (n, text) in file.urls.iter().enumerate() {
            let key = format!("alertmanager.urls[{n}]");
            let url = self.url(&key, text);
            if urls.contains(&url) {
                self.told.push(format!("{key}: stands twice"));
            }
            urls.push(url);
        }
        if urls.len() > PEERS {
            self.told.push(format!("alertmanager.urls: more than {PEERS} peers"));
        }
        let interval = file.interval.as_deref().unwrap_or("1m");
        let interval = self.bounded("alertmanager.interval", interval, INTERVAL, "1s and 1h");
        let external_url = file.external_url.as_ref().map(|text| self.url("alertmanager.externalUrl", text));
        let credential = match (file.token_file, file.username, file.password_file) {
            (None, None, None) => None,
            (Some(token_file), None, None) => Some(Credential::Bearer { token_file }),
            (None, Some(username), Some(password_file)) => Some(Credential::Basic { username, password_file }),
            _ => {
                self.told.push("alertmanager: say tokenFile alone, or username and passwordFile".into());
                None
            }
        };
        AlertmanagerConfig { urls, interval, external_url, credential }
    }

    /// An absolute URL without a slash at its end. What is said of a wrong one does not repeat it: it may hold a secret.
    pub(super) fn url(&mut self, key: &str, text: &str) -> String {
        let url = Url::parse(text).ok().filter(|u| matches!(u.scheme(), "http" | "https") && u.has_host());
        match url {
            None => self.told.push(format!("{key}: is not a URL, write for instance http://host:9093")),
            Some(url) if !url.username().is_empty() || url.password().is_some() => {
                self.told.push(format!("{key}: must hold no credentials; they belong into a file: tokenFile, or for alertmanager passwordFile"));
            }
            Some(url) if url.query().is_some() || url.fragment().is_some() => {
                self.told.push(format!("{key}: must end with the path, without ? and #"));
            }
            Some(_) => {}
        }
        text.trim_end_matches('/').to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::super::ConfigFile;
    use super::*;

    fn wrong(text: &str) -> Vec<String> {
        ConfigFile::parse(text).unwrap().validate().unwrap_err()
    }

    #[test]
    fn peers_and_credentials() {
        let none = ConfigFile::parse("").unwrap().validate().unwrap().alertmanager;
        assert!(none.urls.is_empty());
        assert_eq!((none.interval, none.external_url), (Duration::from_secs(60), None));
        let text = "alertmanager: {urls: [\"http://am-0:9093/\", \"https://am-1/x\"], interval: 30s, \
            externalUrl: \"https://whyd.example/\", username: whyd, passwordFile: /secret}\n";
        let good = ConfigFile::parse(text).unwrap().validate().unwrap().alertmanager;
        assert_eq!(good.urls, ["http://am-0:9093", "https://am-1/x"]);
        assert_eq!(good.external_url.as_deref(), Some("https://whyd.example"));
        let (username, password_file) = ("whyd".into(), "/secret".into());
        assert_eq!(good.credential, Some(Credential::Basic { username, password_file }));
    }

    #[test]
    fn every_error_is_told_at_once_and_without_secrets() {
        let errors = wrong(
            "alertmanager: {urls: [am, \"http://u:hunter2@am\", \"http://am?a=b\", \"http://b\", \"http://b/\"], \
            interval: 500ms, externalUrl: \"ftp://x\", username: whyd}\n",
        );
        let keys = ["urls[0]", "urls[1]", "urls[2]", "urls[4]", "interval", "externalUrl", "alertmanager: say"];
        for key in keys {
            assert!(errors.iter().any(|e| e.contains(key)), "{key} in {errors:?}");
        }
        assert_eq!(errors.len(), keys.len(), "{errors:?}");
        assert!(!errors.concat().contains("hunter2"), "{errors:?}");
    }
}
