//! What the user said, in two stages: a file whose unknown keys are errors, then a valid [`Config`].
//!
//! Every error is reported at once. With no file at all the defaults work inside a cluster.

mod alertmanager;
mod anomaly;
mod otlp;
mod pull;
mod replicas;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use whyd_anomaly::Watched;
use whyd_buffers::ReplicaRule;
use whyd_collector::source::http::OTLP_LIMIT;
use whyd_collector::wire::inflate;
use whyd_correlate::rules::{Matches, Rules, SeverityRule, Suppression};
use whyd_signals::schema::Severity;
use whyd_signals::{Timestamp, causes};

pub use self::alertmanager::AlertmanagerConfig;
use self::alertmanager::AlertmanagerFile;
use self::anomaly::AnomalyFile;
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
struct LimitsFile {
    /// How far back data is kept. Default `6h`.
    window: Option<String>,
    /// How late a sample or line may be, both against the newest of its series or stream and against the clock, and how far
    /// ahead of the clock. The first of a series or stream may be of any age. Default `10m`.
    lateness: Option<String>,
    /// How often verdicts are revised. Default `1s`.
    tick: Option<String>,
    /// Memory of all buffers. At least `64MiB`. Default `2GiB`.
    memory: Option<String>,
    /// Disk of the log, whose oldest records go over it. At least `64MiB`. Default `8GiB`.
    log: Option<String>,
    /// Disk of checkpoints and of the samples and lines in them. At least `16MiB`. Default `2GiB`.
    history: Option<String>,
    /// How long these are kept on disk as Parquet, for instance `7d`. Default: the window.
    retention: Option<String>,
    /// Series known at once; a new one over it is refused, known ones go on. Default 1000000.
    series: Option<usize>,
    /// Of them, those of one team; what belongs to no team has no such bound. Default: half of `series`.
    series_per_team: Option<usize>,
    /// Log streams known at once. Default 100000.
    streams: Option<usize>,
    /// Of them, those of one team, as for series. Default: half of `streams`.
    streams_per_team: Option<usize>,
    /// Largest body accepted, for instance `32MiB`; at most that, and a thirty-second of `memory`. Default `16MiB`, and for OTLP over
    /// HTTP `20MiB`, where that is not over it.
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

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
struct IncidentsFile {
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

/// The largest body where nothing is said.
const BODY: usize = 16 << 20;

/// What bodies may take at once, out of all the memory.
fn inlet_bytes(memory: usize) -> usize {
    memory / 16
}

/// How large a body may be: those that are not whole have half of the room.
fn largest_body(memory: usize) -> usize {
    inlet_bytes(memory) / 2
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
        Self::parse(&text).map_err(|e| vec![format!("{}: {e}", path.display())])
    }

    /// Parses YAML; an empty text is an empty configuration.
    ///
    /// # Errors
    /// The parser's message.
    pub fn parse(text: &str) -> Result<Self, String> {
        let blank = text.lines().all(|l| l.trim().is_empty() || l.trim_start().starts_with('#'));
        if blank {
            return Ok(Self::default());
        }
        // Nothing of the text is repeated: who may start the check may not be allowed to read the file, say a token's.
        if !text.contains(':') && !text.contains('{') {
            return Err("it is not a configuration: no line of it is `key: value`".to_owned());
        }
        serde_saphyr::from_str(text).map_err(|e| e.without_snippet().to_string())
    }

    /// The valid configuration.
    ///
    /// # Errors
    /// Everything that is wrong, each with its key.
    pub fn validate(self) -> Result<Config, Vec<String>> {
        let mut wrong = Errors::default();
        let watch = wrong.watch(self.anomaly);
        let l = &self.limits;
        let http = wrong.address("listen.http", self.listen.http.as_deref().unwrap_or("0.0.0.0:8080"));
        let memory = wrong.bytes("limits.memory", l.memory.as_deref().unwrap_or("2GiB")) as usize;
        let body = l.body.as_deref().map(|text| wrong.bytes("limits.body", text) as usize);
        if body.is_some_and(|body| body > largest_body(memory).min(inflate::LIMIT)) {
            let why =
                "limits.body: must be at most 32MiB, and a thirty-second of limits.memory; lower it, or raise that";
            wrong.0.push(why.into());
        }
        let body_or = |usual: usize| body.unwrap_or(usual.min(largest_body(memory)));
        let series = l.series.unwrap_or(1_000_000);
        let streams = l.streams.unwrap_or(100_000);
        let config = Config {
            cluster: self.cluster.unwrap_or_else(|| Config::default_cluster().into()),
            data_dir: self.data_dir.unwrap_or_else(|| "/var/lib/whyd".into()),
            http,
            window: wrong.duration("limits.window", l.window.as_deref().unwrap_or("6h")),
            lateness: wrong.duration("limits.lateness", l.lateness.as_deref().unwrap_or("10m")),
            tick: wrong.duration("limits.tick", l.tick.as_deref().unwrap_or("1s")),
            memory,
            log_bytes: wrong.bytes("limits.log", l.log.as_deref().unwrap_or("8GiB")),
            history_bytes: wrong.bytes("limits.history", l.history.as_deref().unwrap_or("2GiB")),
            retention: match &l.retention {
                Some(text) => wrong.duration("limits.retention", text),
                None => Errors::default().duration("", l.window.as_deref().unwrap_or("6h")),
            },
            series,
            series_per_team: l.series_per_team.unwrap_or(series.div_ceil(2)),
            streams,
            streams_per_team: l.streams_per_team.unwrap_or(streams.div_ceil(2)),
            body: body_or(BODY),
            otlp_body: body_or(OTLP_LIMIT),
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
        let unsound = |keys: [&str; 2]| wrong.0.iter().any(|why| keys.iter().any(|key| why.starts_with(key)));
        let sound_retention = !unsound(["limits.window:", "limits.retention:"]);
        let sound_lateness = !unsound(["limits.window:", "limits.lateness:"]);
        if sound_retention && config.retention < config.window {
            wrong.0.push("limits.retention: must not be shorter than limits.window".into());
        }
        if sound_lateness && config.lateness > config.window {
            wrong.0.push("limits.lateness: must not be longer than limits.window".into());
        }
        for pull in config.pulls.iter().filter(|p| p.history.is_some_and(|h| h > config.window)) {
            wrong.0.push(format!("pull: {}: history must not be longer than limits.window", pull.name));
        }
        for (key, of_team, of_all, all) in [
            ("limits.seriesPerTeam", config.series_per_team, "limits.series", config.series),
            ("limits.streamsPerTeam", config.streams_per_team, "limits.streams", config.streams),
        ] {
            if of_team == 0 || of_team > all {
                wrong.0.push(format!("{key}: must be at least 1 and at most {of_all}; leave it out for half of that"));
            }
        }
        for (key, bytes, least) in [
            ("limits.log", config.log_bytes, 64 << 20),
            ("limits.history", config.history_bytes, 16 << 20),
            ("limits.body", config.body as u64, 1 << 10),
        ] {
            if bytes < least {
                let least = if least < 1 << 20 { "1KiB".to_owned() } else { format!("{}MiB", least >> 20) };
                wrong.0.push(format!("{key}: must be at least {least}"));
            }
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
        if config.memory < 64 << 20 {
            wrong.0.push("limits.memory: must be at least 64MiB".into());
        }
        if wrong.0.is_empty() { Ok(config) } else { Err(wrong.0) }
    }
}

/// A duration as people write it: `250ms`, `90s`, `10m`, `6h`, `2d`.
pub fn duration(text: &str) -> Option<Duration> {
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let scale = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        _ => return None,
    };
    let seconds = number.parse::<f64>().ok()? * scale;
    (seconds > 0.0 && seconds < 1e9).then(|| Duration::from_secs_f64(seconds))
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

    fn rules(&mut self, file: IncidentsFile) -> Rules {
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

    fn duration(&mut self, key: &str, text: &str) -> Duration {
        duration(text).unwrap_or_else(|| {
            self.0.push(format!("{key}: {text:?} is not a duration, write for instance 90s, 10m or 6h"));
            Duration::from_secs(1)
        })
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
    fn bodies_and_shares_follow_what_there_is() {
        let read = |text: &str| ConfigFile::parse(text).unwrap().validate();
        let usual = read("").unwrap();
        assert_eq!((usual.body, usual.otlp_body, usual.inlet_bytes()), (16 << 20, 20 << 20, 128 << 20));
        assert_eq!((usual.series, usual.series_per_team), (1_000_000, 500_000));
        assert_eq!((usual.streams, usual.streams_per_team), (100_000, 50_000));
        assert_eq!(read("limits: {streams: 9, streamsPerTeam: 3}\n").unwrap().streams_per_team, 3);
        let text = "limits: {series: 5, seriesPerTeam: 6, streams: 0, log: 1KiB, history: 1KiB, body: 0}\n";
        let wrong = read(text).unwrap_err();
        for key in ["seriesPerTeam", "streamsPerTeam", "log", "history", "body"] {
            assert!(
                wrong.iter().any(|w| w.starts_with(&format!("limits.{key}: must be at least"))),
                "{key}: {wrong:?}"
            );
        }
        let small = read("limits: {memory: 64MiB, series: 7}\n").unwrap();
        assert_eq!((small.body, small.otlp_body, small.series_per_team), (2 << 20, 2 << 20, 4));
        let wrong = read("limits: {memory: 256MiB, body: 9MiB, seriesPerTeam: 0}\n").unwrap_err();
        assert!(wrong.iter().any(|w| w.starts_with("limits.body: ")), "{wrong:?}");
        assert!(wrong.iter().any(|w| w.starts_with("limits.seriesPerTeam: ")), "{wrong:?}");
        assert_eq!(read("limits: {memory: 256MiB, body: 8MiB}\n").unwrap().body, 8 << 20);
    }

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
    fn nothing_of_the_file_is_repeated() {
        for secret in
            ["hunter2\n", "cluster: [hunter2\n", "hunter2: 1\nlimits: {tick: {}}\n", "limits: {tick: [hunter2]}\n"]
        {
            let why = ConfigFile::parse(secret).unwrap_err();
            assert!(!why.contains("tick: [hunter2") && !why.contains("[hunter2") && !why.contains(" | "), "{why}");
        }
        assert!(!ConfigFile::parse("hunter2\n").unwrap_err().contains("hunter2"));
    }

    #[test]
    fn an_unknown_key_is_named() {
        let e = ConfigFile::parse("limit: {window: 6h}\n").unwrap_err();
        assert!(e.contains("limit"), "{e}");
    }
}
