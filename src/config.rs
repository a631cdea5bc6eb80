//! What the user said, in two stages: a file whose unknown keys are errors, then a valid [`Config`].
//!
//! Every error is reported at once. With no file at all the defaults work inside a cluster.

mod alertmanager;
mod anomaly;
mod errors;
mod incidents;
mod limits;
mod otlp;
mod pull;
mod replicas;
mod unknown;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use whyd_anomaly::Watched;
use whyd_buffers::ReplicaRule;
use whyd_correlate::rules::Rules;

pub use self::alertmanager::AlertmanagerConfig;
use self::alertmanager::AlertmanagerFile;
use self::anomaly::AnomalyFile;
use self::errors::Errors;
pub use self::errors::duration;
use self::incidents::IncidentsFile;
use self::limits::{Limits, LimitsFile, inlet_bytes};
use self::otlp::OtlpFile;
pub use self::otlp::{OtlpConfig, Port};
pub use self::pull::PullConfig;
use self::pull::PullFile;
use self::replicas::ReplicasFile;

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
    /// Listeners for OTLP alone; `listen.http` receives it too, below `/otlp`.
    otlp: OtlpFile,
    /// Bounds in time and memory.
    limits: LimitsFile,
    /// The Kubernetes API to watch.
    kubernetes: KubernetesFile,
    /// Sources that are asked, for what they do not send and for what was missed.
    pull: PullFile,
    /// Which metrics are held against their own past.
    anomaly: AnomalyFile,
    /// How replicas that send the same are told from each other.
    replicas: ReplicasFile,
    /// How a namespace is mapped to a team.
    teams: TeamsFile,
    /// Who may read, and who may write.
    access: AccessFile,
    /// Rules about incidents.
    incidents: IncidentsFile,
    /// Whom incidents are told to.
    alertmanager: AlertmanagerFile,
}

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
struct ListenFile {
    /// API and receivers. Default `0.0.0.0:8080`.
    http: Option<String>,
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
    /// The file that holds the bearer token that every sender needs: of remote write, Loki pushes, OTLP and the webhook.
    /// Default: whoever reaches a port may write.
    write_token_file: Option<PathBuf>,
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
    pub history_bytes: u64,
    pub retention: Duration,
    pub series: usize,
    pub series_per_team: usize,
    pub streams: usize,
    pub streams_per_team: usize,
    /// The largest body, as received.
    pub body: usize,
    /// Of OTLP over HTTP.
    pub otlp_body: usize,
    pub otlp: OtlpConfig,
    pub kubernetes: bool,
    pub kubernetes_url: Option<String>,
    pub pulls: Vec<PullConfig>,
    /// Metrics that are watched beside those that are watched unasked.
    pub watch: Vec<Watched>,
    pub replicas: ReplicaRule,
    pub team_prefix: String,
    pub anonymous: bool,
    /// Token files and the teams each may read; no team: all.
    pub tokens: Vec<(PathBuf, Vec<String>)>,
    /// The file of the token that senders need, if they need one.
    pub write_token: Option<PathBuf>,
    pub rules: Rules,
    pub alertmanager: AlertmanagerConfig,
}

impl Config {
    /// Bytes of bodies being received, waiting or not yet answered.
    pub fn inlet_bytes(&self) -> usize {
        inlet_bytes(self.memory)
    }

    /// The cluster's name where none is said.
    pub fn default_cluster() -> &'static str {
        "cluster"
    }

    /// The URL for links to the daemon.
    pub fn external_url(&self) -> String {
        let said = self.alertmanager.external_url.clone();
        said.unwrap_or_else(|| format!("http://localhost:{}", self.http.port()))
    }
}

impl ConfigFile {
    /// Reads a file.
    ///
    /// # Errors
    /// That it cannot be read or is not what the schema says, naming the place.
    pub fn read(path: &Path) -> Result<Self, Vec<String>> {
        let text = std::fs::read_to_string(path).map_err(|e| vec![format!("{}: {e}", path.display())])?;
        Self::parse(&text).map_err(|all| all.into_iter().map(|e| format!("{}: {e}", path.display())).collect())
    }

    /// Parses YAML; an empty text is an empty configuration.
    ///
    /// # Errors
    /// The parser's message; where there are keys that are none, all of them, and what else is wrong.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let blank = text.lines().all(|l| l.trim().is_empty() || l.trim_start().starts_with('#'));
        if blank {
            return Ok(Self::default());
        }
        // Nothing of the text is repeated: who may start the check may not be allowed to read the file, say a token's.
        if !text.contains(':') && !text.contains('{') {
            return Err(vec!["it is not a configuration: no line of it is `key: value`".to_owned()]);
        }
        if let Ok(file) = serde_saphyr::from_str::<serde_json::Value>(text) {
            let (mut wrong, known) = unknown::keys(file, schemars::schema_for!(Self).as_value());
            if !wrong.is_empty() {
                let rest = serde_json::from_value::<Self>(known).map(Self::validate);
                wrong.extend(rest.into_iter().flat_map(|checked| checked.err().unwrap_or_default()));
                return Err(wrong);
            }
        }
        serde_saphyr::from_str(text).map_err(|e| vec![e.without_snippet().to_string()])
    }

    /// The valid configuration.
    ///
    /// # Errors
    /// Everything that is wrong, each with its key.
    pub fn validate(self) -> Result<Config, Vec<String>> {
        let mut wrong = Errors::default();
        let watch = wrong.watch(self.anomaly);
        let http = wrong.address("listen.http", self.listen.http.as_deref().unwrap_or("0.0.0.0:8080"));
        let Limits {
            window,
            lateness,
            tick,
            memory,
            log_bytes,
            history_bytes,
            retention,
            series,
            series_per_team,
            streams,
            streams_per_team,
            body,
            otlp_body,
        } = wrong.limits(&self.limits);
        let config = Config {
            cluster: self.cluster.unwrap_or_else(|| Config::default_cluster().into()),
            data_dir: self.data_dir.unwrap_or_else(|| "/var/lib/whyd".into()),
            http,
            window,
            lateness,
            tick,
            memory,
            log_bytes,
            history_bytes,
            retention,
            series,
            series_per_team,
            streams,
            streams_per_team,
            body,
            otlp_body,
            otlp: wrong.otlp(&self.otlp),
            kubernetes: self.kubernetes.enabled.unwrap_or(true),
            kubernetes_url: self.kubernetes.url.map(|text| wrong.url("kubernetes.url", &text)),
            pulls: wrong.pulls(self.pull, &watch),
            watch,
            replicas: wrong.replicas(self.replicas),
            team_prefix: self.teams.prefix.unwrap_or_else(|| "team-".into()),
            anonymous: self.access.anonymous.unwrap_or(self.access.tokens.is_empty()),
            write_token: self.access.write_token_file,
            tokens: self.access.tokens.into_iter().map(|t| (t.token_file, t.teams)).collect(),
            rules: wrong.rules(self.incidents),
            alertmanager: wrong.alertmanager(self.alertmanager),
        };
        if config.cluster.is_empty() {
            wrong.0.push("cluster: must not be empty".into());
        }
        for pull in config.pulls.iter().filter(|p| p.history.is_some_and(|h| h > config.window)) {
            wrong.0.push(format!("pull: {}: history must not be longer than limits.window", pull.name));
        }
        let asked = |port: Port| if let Port::At(at) = port { Some(at) } else { None };
        let listeners = [
            ("listen.http", Some(config.http)),
            ("otlp.grpc", asked(config.otlp.grpc)),
            ("otlp.http", asked(config.otlp.http)),
        ];
        for (n, (key, at)) in listeners.iter().enumerate() {
            let same = |other: &&(&str, Option<SocketAddr>)| at.is_some_and(|at| at.port() != 0) && other.1 == *at;
            for (other, _) in listeners.iter().take(n).filter(same) {
                wrong.0.push(format!("{key}: {other} listens at the same address"));
            }
        }
        if wrong.0.is_empty() { Ok(config) } else { Err(wrong.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_would_show_once_it_runs_is_told() {
        let read = |text: &str| ConfigFile::parse(text).unwrap().validate();
        for url in ["api.example:6443", "10.0.0.1:6443", "foo", "/api"] {
            let wrong = read(&format!("kubernetes: {{url: \"{url}\"}}\n")).unwrap_err();
            assert!(wrong.len() == 1 && wrong[0].starts_with("kubernetes.url: is not a URL"), "{wrong:?}");
        }
        let sound = read("kubernetes: {url: \"https://10.0.0.1:6443/\"}\n").unwrap();
        assert_eq!(sound.kubernetes_url.as_deref(), Some("https://10.0.0.1:6443"));
        let wrong = read("limits: {window: \"6 h\"}\n").unwrap_err();
        assert!(wrong.len() == 1 && wrong[0].starts_with("limits.window:"), "{wrong:?}");
        let wrong = read("listen: {http: \"127.0.0.1:1\"}\notlp: {grpc: \"127.0.0.1:1\", http: \"127.0.0.1:1\"}\n")
            .unwrap_err();
        assert_eq!(wrong.len(), 3, "{wrong:?}");
        assert!(
            read("listen: {http: \"127.0.0.1:0\"}\notlp: {grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\"}\n").is_ok()
        );
    }

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
    fn nothing_of_the_file_is_repeated() {
        for secret in
            ["hunter2\n", "cluster: [hunter2\n", "hunter2: 1\nlimits: {tick: {}}\n", "limits: {tick: [hunter2]}\n"]
        {
            let why = ConfigFile::parse(secret).unwrap_err().join("; ");
            assert!(!why.contains("tick: [hunter2") && !why.contains("[hunter2") && !why.contains(" | "), "{why}");
        }
        assert!(!ConfigFile::parse("hunter2\n").unwrap_err().concat().contains("hunter2"));
    }

    #[test]
    fn an_unknown_key_is_named() {
        let e = ConfigFile::parse("limit: {window: 6h}\n").unwrap_err().concat();
        assert!(e.contains("limit"), "{e}");
    }
}
