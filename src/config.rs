//! What the user said, in two stages: a file whose unknown keys are errors, then a valid [`Config`].
//!
//! Every error is reported at once. With no file at all the defaults work inside a cluster.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

/// The configuration file, YAML.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct ConfigFile {
    /// The cluster's name; it is part of every incident's id. Default `cluster`.
    cluster: Option<String>,
    /// Where the log and the state are kept. Default `/var/lib/whyd`.
    data_dir: Option<PathBuf>,
    /// Addresses to listen on.
    listen: ListenFile,
    /// Bounds in time and memory.
    limits: LimitsFile,
    /// The Kubernetes API to watch.
    kubernetes: KubernetesFile,
    /// How a namespace is mapped to a team.
    teams: TeamsFile,
    /// Who may read.
    access: AccessFile,
}

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
struct ListenFile {
    /// API and receivers. Default `0.0.0.0:8080`.
    http: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
struct LimitsFile {
    /// How far back data is kept, for instance `6h`.
    window: Option<String>,
    /// How late a sample or line may come, for instance `10m`.
    lateness: Option<String>,
    /// How often verdicts are revised, for instance `1s`.
    tick: Option<String>,
    /// Memory of all buffers, for instance `2GiB`.
    memory: Option<String>,
    /// Disk of the log, for instance `8GiB`.
    log: Option<String>,
    /// Series known at once.
    series: Option<usize>,
    /// Largest body accepted, for instance `16MiB`.
    body: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
struct KubernetesFile {
    /// `false` watches no cluster. Default `true`.
    enabled: Option<bool>,
    /// URL of an API server; default: the cluster it runs in, else the kubeconfig.
    url: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
struct TeamsFile {
    /// Namespaces named with this prefix belong to the team named by the rest. Default `team-`.
    prefix: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
struct AccessFile {
    /// Whether a request without a token may read everything. Default: only where there are no tokens.
    anonymous: Option<bool>,
    /// Static bearer tokens.
    tokens: Vec<TokenFile>,
}

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
struct TokenFile {
    /// The file that holds the token, so that no secret stands in the configuration.
    token_file: PathBuf,
    /// The teams it may read; empty: all.
    teams: Vec<String>,
}

/// A valid configuration.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Config {
    pub cluster: String,
    pub data_dir: PathBuf,
    pub http: SocketAddr,
    pub window: Duration,
    pub lateness: Duration,
    pub tick: Duration,
    pub memory: usize,
    pub log_bytes: u64,
    pub series: usize,
    pub body: usize,
    pub kubernetes: bool,
    pub kubernetes_url: Option<String>,
    pub team_prefix: String,
    pub anonymous: bool,
    /// Token files and the teams each may read; no team: all.
    pub tokens: Vec<(PathBuf, Vec<String>)>,
}

impl ConfigFile {
    /// Reads a file.
    ///
    /// # Errors
    /// That it cannot be read or is not what the schema says, naming the place.
    pub fn read(path: &Path) -> Result<Self, Vec<String>> {
        let text = std::fs::read_to_string(path).map_err(|e| vec![format!("{}: {e}", path.display())])?;
        Self::parse(&text).map_err(|e| vec![format!("{}: {e}", path.display())])
    }

    /// Parses YAML; an empty text is an empty configuration.
    ///
    /// # Errors
    /// The parser's message.
    pub fn parse(text: &str) -> Result<Self, String> {
        let blank = text.lines().all(|l| l.trim().is_empty() || l.trim_start().starts_with('#'));
        if blank { Ok(Self::default()) } else { serde_saphyr::from_str(text).map_err(|e| e.to_string()) }
    }

    /// The valid configuration.
    ///
    /// # Errors
    /// Everything that is wrong, each with its key.
    pub fn validate(self) -> Result<Config, Vec<String>> {
        let mut wrong = Errors::default();
        let l = &self.limits;
        let config = Config {
            cluster: self.cluster.unwrap_or_else(|| "cluster".into()),
            data_dir: self.data_dir.unwrap_or_else(|| "/var/lib/whyd".into()),
            http: wrong.address("listen.http", self.listen.http.as_deref().unwrap_or("0.0.0.0:8080")),
            window: wrong.duration("limits.window", l.window.as_deref().unwrap_or("6h")),
            lateness: wrong.duration("limits.lateness", l.lateness.as_deref().unwrap_or("10m")),
            tick: wrong.duration("limits.tick", l.tick.as_deref().unwrap_or("1s")),
            memory: wrong.bytes("limits.memory", l.memory.as_deref().unwrap_or("2GiB")) as usize,
            log_bytes: wrong.bytes("limits.log", l.log.as_deref().unwrap_or("8GiB")),
            series: l.series.unwrap_or(1_000_000),
            body: wrong.bytes("limits.body", l.body.as_deref().unwrap_or("16MiB")) as usize,
            kubernetes: self.kubernetes.enabled.unwrap_or(true),
            kubernetes_url: self.kubernetes.url,
            team_prefix: self.teams.prefix.unwrap_or_else(|| "team-".into()),
            anonymous: self.access.anonymous.unwrap_or(self.access.tokens.is_empty()),
            tokens: self.access.tokens.into_iter().map(|t| (t.token_file, t.teams)).collect(),
        };
        if config.cluster.is_empty() {
            wrong.0.push("cluster: must not be empty".into());
        }
        if config.lateness > config.window {
            wrong.0.push("limits.lateness: must not be longer than limits.window".into());
        }
        if config.memory < 64 << 20 {
            wrong.0.push("limits.memory: must be at least 64MiB".into());
        }
        if wrong.0.is_empty() { Ok(config) } else { Err(wrong.0) }
    }
}

#[derive(Default)]
struct Errors(Vec<String>);

impl Errors {
    fn address(&mut self, key: &str, text: &str) -> SocketAddr {
        text.parse().unwrap_or_else(|_| {
            self.0.push(format!("{key}: {text:?} is not an address, write for instance 0.0.0.0:8080"));
            SocketAddr::from(([0, 0, 0, 0], 0))
        })
    }

    fn duration(&mut self, key: &str, text: &str) -> Duration {
        let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let scale = match unit {
            "ms" => Some(0.001),
            "s" => Some(1.0),
            "m" => Some(60.0),
            "h" => Some(3600.0),
            "d" => Some(86400.0),
            _ => None,
        };
        match (number.parse::<f64>(), scale) {
            (Ok(n), Some(scale)) if n > 0.0 && n.is_finite() && n * scale < 1e9 => Duration::from_secs_f64(n * scale),
            _ => {
                self.0.push(format!("{key}: {text:?} is not a duration, write for instance 90s, 10m or 6h"));
                Duration::from_secs(1)
            }
        }
    }

    fn bytes(&mut self, key: &str, text: &str) -> u64 {
        let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let shift = match unit {
            "B" | "" => Some(0),
            "KiB" => Some(10),
            "MiB" => Some(20),
            "GiB" => Some(30),
            _ => None,
        };
        match (number.parse::<u64>(), shift) {
            (Ok(n), Some(shift)) if n < 1 << 30 => n << shift,
            _ => {
                self.0.push(format!("{key}: {text:?} is not a size, write for instance 512MiB or 2GiB"));
                1 << 30
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_is_a_working_configuration() {
        let config = ConfigFile::parse("").unwrap().validate().unwrap();
        assert_eq!(config.http.port(), 8080);
        assert_eq!(config.window, Duration::from_secs(6 * 3600));
    }

    #[test]
    fn every_error_is_told_at_once_with_its_key() {
        let text = "listen: {http: nowhere}\nlimits: {window: 6, memory: 1MiB, log: 3parsecs}\n";
        let wrong = ConfigFile::parse(text).unwrap().validate().unwrap_err();
        let keys: Vec<&str> = wrong.iter().filter_map(|w| w.split(':').next()).collect();
        for key in ["listen.http", "limits.window", "limits.memory", "limits.log"] {
            assert!(keys.contains(&key), "{key} in {wrong:?}");
        }
    }

    #[test]
    fn an_unknown_key_is_named() {
        let e = ConfigFile::parse("limit: {window: 6h}\n").unwrap_err();
        assert!(e.contains("limit"), "{e}");
    }
}
