//! What the user said, in two stages: a file whose unknown keys are errors, then a valid [`Config`].
//!
//! Every error is reported at once. With no file at all the defaults work inside a cluster.

mod access;
mod alertmanager;
mod anomaly;
mod errors;
mod incidents;
mod limits;
mod otlp;
mod pull;
mod replicas;
mod unknown;
mod warnings;
mod yaml;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use whyd_anomaly::Watched;
use whyd_buffers::ReplicaRule;
use whyd_correlate::rules::Rules;

use self::access::AccessFile;
pub use self::access::ReaderToken;
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
use self::unknown::Unknown;

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
    /// Tokens of readers, in the order of the file.
    pub tokens: Vec<ReaderToken>,
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

/// A file's text as far as it could be read.
#[derive(Debug, Default)]
struct Looked {
    /// What it says, without what is wrong; `None` where that leaves nothing to go on with.
    file: Option<ConfigFile>,
    wrong: Vec<String>,
    /// Keys whose value could not be taken.
    lost: Vec<String>,
}

impl ConfigFile {
    /// Reads and checks a file: the configuration as far as it is one, so that more can be looked at, and all that is wrong.
    pub fn examine(path: &Path) -> (Option<Config>, Vec<String>) {
        let of_file = |e: String| format!("{}: {e}", path.display());
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) => return (None, vec![of_file(format!("cannot be read: {e}"))]),
        };
        let Looked { file, mut wrong, lost } = Self::look(&text);
        let config = file.map(|file| file.checked(lost)).map(|(config, more)| {
            wrong.extend(more);
            config
        });
        (config, wrong.into_iter().map(of_file).collect())
    }

    /// Parses YAML; an empty text is an empty configuration.
    ///
    /// # Errors
    /// The parser's message where it is no YAML; else the keys that are none, the values that are none for their key, and
    /// what else is wrong.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let Looked { file, mut wrong, lost } = Self::look(text);
        match file {
            Some(file) if wrong.is_empty() => Ok(file),
            file => {
                wrong.extend(file.into_iter().flat_map(|file| file.checked(lost.clone()).1));
                Err(wrong)
            }
        }
    }

    fn look(text: &str) -> Looked {
        let blank = text.lines().all(|l| l.trim().is_empty() || l.trim_start().starts_with('#'));
        if blank {
            return Looked { file: Some(Self::default()), ..Looked::default() };
        }
        let not = |why: String| Looked { wrong: vec![why], ..Looked::default() };
        // Nothing of the text is repeated: who may start the check may not be allowed to read the file, say a token's.
        if !text.contains(':') && !text.contains('{') {
            return not("it is not a configuration: no line of it is `key: value`".to_owned());
        }
        let mut wrong = Vec::new();
        let value = match yaml::value(text) {
            Ok((value, repeated)) => {
                wrong.extend(repeated);
                value
            }
            Err(why) => return not(why),
        };
        if !value.is_object() {
            return not("it is not a configuration: it is no mapping, whose lines are `key: value`".to_owned());
        }
        let Unknown { wrong: more, lost, file: known } = unknown::keys(value, schemars::schema_for!(Self).as_value());
        wrong.extend(more);
        if wrong.is_empty() {
            // From the text itself: what is text there keeps its letters.
            return match yaml::read(text) {
                Ok(file) => Looked { file: Some(file), wrong, lost },
                Err(why) => not(why),
            };
        }
        let file = serde_json::from_value(known).ok();
        if file.is_none() {
            wrong.push("what else is wrong shows when this is right".to_owned());
        }
        Looked { file, wrong, lost }
    }

    /// The valid configuration.
    ///
    /// # Errors
    /// Everything that is wrong, each with its key.
    pub fn validate(self) -> Result<Config, Vec<String>> {
        let (config, wrong) = self.checked(Vec::new());
        if wrong.is_empty() { Ok(config) } else { Err(wrong) }
    }

    /// The configuration, with some other value where one is wrong, and everything that is beside what is `lost` already.
    fn checked(self, lost: Vec<String>) -> (Config, Vec<String>) {
        let mut wrong = Errors { lost, ..Errors::default() };
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
            pulls: wrong.pulls(self.pull, window, &watch),
            watch,
            replicas: wrong.replicas(self.replicas),
            team_prefix: self.teams.prefix.unwrap_or_else(|| "team-".into()),
            anonymous: self.access.anonymous.unwrap_or(self.access.tokens.is_none()),
            write_token: self.access.write_token_file,
            tokens: wrong.tokens(self.access.tokens),
            rules: wrong.rules(self.incidents),
            alertmanager: wrong.alertmanager(self.alertmanager),
        };
        let dir = config.data_dir.as_os_str().as_encoded_bytes();
        if dir.is_empty() {
            wrong.told.push("dataDir: must not be empty; leave it out for /var/lib/whyd".into());
        } else if dir == b"~" || dir.starts_with(b"~/") {
            wrong.told.push(
                "dataDir: `~` stands for no folder here, only a shell puts one in its place; write the whole path"
                    .into(),
            );
        }
        if !dir.is_empty() && !dir.starts_with(b"~") && config.data_dir.is_relative() {
            wrong.told.push(format!(
                "dataDir: {:?} would be another folder wherever whyd is started; write the whole path, which begins with /",
                config.data_dir.display().to_string()
            ));
        }
        if config.cluster.is_empty() {
            wrong.told.push("cluster: must not be empty".into());
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
                wrong.told.push(format!("{key}: {other} listens at the same address"));
            }
        }
        (config, wrong.all())
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
    fn what_is_wrong_says_what_is_allowed() {
        for (text, says) in [
            ("dataDir: data\n", "dataDir: \"data\" would be another folder"),
            ("dataDir: ./data\n", "write the whole path"),
            (
                "listen: {http: \"localhost:8080\"}\n",
                "listen.http: \"localhost:8080\" is not an address, no name is looked up here",
            ),
            (
                "alertmanager: {urls: [\"http://a\"], interval: 0s}\n",
                "alertmanager.interval: must be between 1s and 1h",
            ),
            (
                "pull: {prometheus: [{name: a, url: \"http://a\", interval: 0s}]}\n",
                "interval: must be between 1s and 1h",
            ),
            ("pull: {loki: [{url: \"http://a\"}]}\n", "pull.loki[0].name: is missing"),
            ("limits: {tick: 0s}\n", "limits.tick: \"0s\" is no time at all"),
            (
                "incidents: {suppressions: [{name: a, cause: rollout, until: \"2030-01-01T00:00:00Z\"}, \
                 {name: a, cause: scaled, until: \"2030-01-01T00:00:00Z\"}]}\n",
                "incidents.suppressions[1].name: \"a\" is that of incidents.suppressions[0] too",
            ),
        ] {
            let wrong = ConfigFile::parse(text).unwrap().validate().unwrap_err();
            assert!(wrong.len() == 1 && wrong[0].contains(says), "{text}: {wrong:?}");
        }
        assert!(ConfigFile::parse("dataDir: /data\n").unwrap().validate().is_ok());
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
    fn what_is_no_yaml_is_said_to_be_none_with_its_place() {
        for (text, place) in [
            ("limits:\n  window: 6h\n bad: 1\n", "line 3, column 2"),
            ("limits: {window: 6h\nlisten: {http: a}\n", "line 2"),
            ("cluster: \"abc\nlimits: {}\n", "line 1"),
            ("limits:\n  window: *x\n", "line 2, column 11"),
        ] {
            let wrong = ConfigFile::parse(text).unwrap_err();
            assert!(wrong.len() == 1 && wrong[0].starts_with("it is not YAML: "), "{text}: {wrong:?}");
            assert!(wrong[0].contains(place) && !wrong[0].contains("unknown field"), "{text}: {wrong:?}");
        }
        let two = ConfigFile::parse("cluster: a\n---\ncluster: b\n").unwrap_err();
        assert!(two.len() == 1 && two[0].contains("more than one document"), "{two:?}");
        let list = ConfigFile::parse("- cluster: a\n").unwrap_err();
        assert!(list.len() == 1 && list[0].contains("no mapping"), "{list:?}");
    }

    #[test]
    fn keys_that_are_none_and_values_that_are_none_are_told_in_one_go() {
        let text = "limits: {tick: [1], series: lots, log: 3parsecs, windwo: 6h}\nlisten: {http: nowhere}\n\
            kubernetes: {enabled: maybe}\ncluster: {a: 1}\naccess: {tokens: 3}\nteams: 5\ncluster: twice\n";
        let wrong = ConfigFile::parse(text).unwrap_err();
        let text = text.replace("cluster: {a: 1}\n", "").replace("cluster: twice", "cluster: {a: 1}");
        let all = [ConfigFile::parse(&text).unwrap_err(), wrong.clone()];
        assert!(wrong.iter().any(|w| w.contains("duplicate") && w.contains("line 7")), "{wrong:?}");
        for wrong in all {
            for says in [
                "limits.tick: must be a text, not a list",
                "limits.series: must be a whole number, not a text",
                "limits.log: ",
                "limits.windwo: is no key",
                "listen.http: ",
                "kubernetes.enabled: must be true or false, not a text",
                "access.tokens: must be a list, not a number",
                "teams: must be a mapping, not a number",
            ] {
                assert!(wrong.iter().any(|w| w.starts_with(says)), "{says}: {wrong:?}");
            }
            assert_eq!(wrong.len(), 9, "{wrong:?}");
        }
    }

    #[test]
    fn an_unknown_key_is_named() {
        let e = ConfigFile::parse("limit: {window: 6h}\n").unwrap_err().concat();
        assert!(e.contains("limit"), "{e}");
    }
}
