//! The only file that names every crate: from a configuration to the parts, in the order in which the data flows.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc::Receiver;
use whyd_anomaly::templates::{self, Miner};
use whyd_anomaly::{Config as DetectorConfig, Detectors};
use whyd_api::alertmanager::read;
use whyd_api::{Anonymous, Door, Grant};
use whyd_buffers::{Limits, Writer};
use whyd_collector::identity::TeamRule;
use whyd_collector::inlet::{self, Delivery, InletLimits};
use whyd_collector::source::Gate;
use whyd_collector::source::http::{BodyLimits, LabelLimits, Receivers};
use whyd_collector::{Clock, Inlet};
use whyd_core::{Core, CoreConfig};
use whyd_correlate::rules;
use whyd_signals::{Token, token};

use crate::alerting::Credential;
use crate::config::{Config, PullConfig, ReaderToken};

/// The synchronous core over empty buffers.
pub fn core(config: &Config) -> Core {
    core_within(config, |_| {})
}

/// A miner of templates that knows none.
pub(crate) fn miner(config: &Config) -> Miner {
    Miner::new(templates::Limits { bytes: config.memory / 32, ..templates::Limits::default() })
}

/// The same within other bounds of the buffers than those that the configuration has names for.
pub fn core_within(config: &Config, bound: impl FnOnce(&mut Limits)) -> Core {
    let mut limits = Limits {
        bytes: config.memory / 2,
        window: config.window,
        lateness: config.lateness,
        series: config.series,
        series_of_team: config.series_per_team,
        streams: config.streams,
        streams_of_team: config.streams_per_team,
        ..Limits::default()
    };
    bound(&mut limits);
    let rule = TeamRule { prefix: config.team_prefix.clone() };
    let writer = Writer::new(limits, Box::new(miner(config)))
        .with_replicas(config.replicas.clone())
        .with_teams(Arc::new(move |n, l| rule.team_of(n, l)));
    let detectors = Detectors::new(DetectorConfig {
        bytes: config.memory / 16,
        asked: config.watch.clone(),
        ..DetectorConfig::default()
    });
    let core = CoreConfig {
        cluster: config.cluster.clone(),
        lateness: config.lateness,
        rules: config.rules.clone(),
        keep: config.window + config.lateness,
        symbols: config.memory / 32,
        pulls: config.pulls.iter().flat_map(PullConfig::targets).collect(),
        pushing: config.pulls.iter().filter(|p| p.pushes).flat_map(PullConfig::targets).collect(),
    };
    Core::new(&core, writer, detectors)
}

/// What decides what is made of the same input: a checkpoint of another build or configuration is none.
pub fn made_by(config: &Config) -> String {
    let Config { cluster, lateness, rules, replicas, team_prefix, .. } = config;
    let version = env!("CARGO_PKG_VERSION");
    format!("{version} {:?}", (cluster, lateness, rules, replicas, team_prefix))
}

/// Where bodies go to the core: a queue, and the core's end of it.
pub fn inlet(config: &Config) -> (Inlet, Receiver<Delivery>) {
    inlet::inlet(InletLimits { bytes: config.inlet_bytes(), ..InletLimits::default() })
}

/// What the receivers are given.
///
/// # Errors
/// Those of [`write_token`].
pub fn receivers(config: &Config, inlet: Inlet, clock: &Clock) -> Result<Receivers, String> {
    let limits = BodyLimits {
        received: config.body,
        inflated: BodyLimits::default().inflated.min(config.inlet_bytes()),
        otlp: config.otlp_body,
        // The configuration has no names for them.
        labels: LabelLimits { labels: Limits::default().labels, bytes: Limits::default().label_bytes },
    };
    let token = write_token(config)?;
    Ok(Receivers { inlet, gate: Gate::new(token), limits, clock: Arc::clone(clock) })
}

/// The token that senders need, read from its file.
///
/// # Errors
/// That the file cannot be read, or holds none.
pub fn write_token(config: &Config) -> Result<Option<Token>, String> {
    let Some(file) = &config.write_token else { return Ok(None) };
    let wrong = |why: &str| format!("access.writeTokenFile: {}: {why}", file.display());
    let text = std::fs::read_to_string(file).map_err(|e| wrong(&e.to_string()))?;
    Token::new(text.trim()).map(Some).ok_or_else(|| wrong(&format!("the token {}", token::UNFIT)))
}

/// What is wrong with the files that are read again at each question to a source or notification of an Alertmanager.
pub fn unreadable(config: &Config) -> Vec<String> {
    let of_pulls = config.pulls.iter().flat_map(|pull| {
        let both = [("tokenFile", &pull.token_file), ("caFile", &pull.ca_file)];
        both.into_iter().filter_map(|(key, file)| Some((format!("pull: {}: {key}", pull.name), file.as_ref()?)))
    });
    let of_alertmanager = config.alertmanager.credential.iter().map(|credential| match credential {
        Credential::Bearer { token_file } => ("alertmanager.tokenFile".to_owned(), token_file),
        Credential::Basic { password_file, .. } => ("alertmanager.passwordFile".to_owned(), password_file),
    });
    let wrong = |(key, file): (String, &PathBuf)| {
        let error = std::fs::read(file).err()?;
        Some(format!("{key}: {}: {error}", file.display()))
    };
    of_pulls.chain(of_alertmanager).filter_map(wrong).collect()
}

/// What the Alertmanager API has to know besides the incidents.
pub fn alerts_read(config: &Config, clock: &Clock) -> read::Settings {
    let suppression = |s: &rules::Suppression| read::Suppression {
        name: s.name.clone(),
        cause: s.matches.cause.clone(),
        namespace: s.matches.namespace.clone(),
        workload: s.matches.workload.clone(),
        until: s.until,
        reason: s.reason.clone(),
    };
    read::Settings {
        cluster: config.cluster.clone(),
        interval: config.alertmanager.interval,
        external_url: config.external_url(),
        suppressions: config.rules.suppressions.iter().map(suppression).collect(),
        started: clock(),
        now: Arc::clone(clock),
    }
}

/// The door of the API, its tokens read from their files.
///
/// # Errors
/// Every token file that cannot be read, tokens that several hold, that of the senders among them, and what [`Door::new`] says.
pub fn door(config: &Config) -> Result<Door, Vec<String>> {
    let mut wrong = Vec::new();
    let mut grants = Vec::new();
    // Whose each is: neither a token nor a part of it is ever told.
    let mut read: Vec<(String, String)> = Vec::new();
    // That it is there is said of the configuration.
    let named = config.tokens.iter().enumerate().filter(|(_, t)| !t.file.as_os_str().is_empty());
    for (n, ReaderToken { file, opens }) in named {
        let at = format!("access.tokens[{n}].tokenFile");
        match std::fs::read_to_string(file) {
            Err(e) => wrong.push(format!("{at}: {}: {e}", file.display())),
            Ok(token) => {
                let token = token.trim();
                if Token::new(token).is_none() {
                    wrong.push(format!("{at}: {}: the token {}", file.display(), token::UNFIT));
                } else if let Some((first, _)) = read.iter().find(|(_, known)| known == token) {
                    wrong.push(format!("{at}: {}: holds the same token as {first}; give each its own", file.display()));
                } else {
                    grants.push(Grant::new(token, opens.clone()));
                    read.push((format!("{at} ({})", file.display()), token.to_owned()));
                }
            }
        }
    }
    let senders = config.write_token.as_ref().and_then(|file| Some((file, std::fs::read_to_string(file).ok()?)));
    if let Some((file, token)) = senders
        && let Some((reader, _)) = read.iter().find(|(_, known)| known == token.trim())
    {
        wrong.push(format!(
            "access.writeTokenFile: {}: holds the same token as {reader}, so that who may read could write; give each its own",
            file.display()
        ));
    }
    let anonymous = if config.anonymous { Anonymous::All } else { Anonymous::None };
    let door = Door::new(anonymous, grants);
    match door {
        Ok(door) if wrong.is_empty() => Ok(door),
        Ok(_) => Err(wrong),
        Err(more) => {
            wrong.extend(more);
            Err(wrong)
        }
    }
}
