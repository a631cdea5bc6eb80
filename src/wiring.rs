//! The only file that names every crate: from a configuration to the parts, in the order in which the data flows.

use std::sync::Arc;

use whyd_anomaly::templates::{self, Miner};
use whyd_anomaly::{Config as DetectorConfig, Detectors};
use whyd_api::alertmanager::read;
use whyd_api::{Anonymous, Door, Grant};
use whyd_buffers::{Limits, Writer};
use whyd_collector::Clock;
use whyd_collector::identity::TeamRule;
use whyd_correlate::rules;
use whyd_signals::{Access, Team};

use crate::config::Config;
use crate::core::{Core, CoreConfig};

/// The synchronous core over empty buffers.
pub fn core(config: &Config) -> Core {
    let limits = Limits {
        bytes: config.memory / 2,
        window: config.window,
        lateness: config.lateness,
        series: config.series,
        ..Limits::default()
    };
    let rule = TeamRule { prefix: config.team_prefix.clone() };
    let miner = Miner::new(templates::Limits { bytes: config.memory / 32, ..templates::Limits::default() });
    let writer = Writer::new(limits, Box::new(miner))
        .with_replicas(config.replicas.clone())
        .with_teams(Arc::new(move |n, l| rule.team_of(n, l)));
    let detectors = Detectors::new(DetectorConfig { bytes: config.memory / 16, ..DetectorConfig::default() });
    let core = CoreConfig { cluster: config.cluster.clone(), lateness: config.lateness, rules: config.rules.clone() };
    Core::new(&core, writer, detectors)
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
/// Every token file that cannot be read, and what [`Door::new`] says of the tokens.
pub fn door(config: &Config) -> Result<Door, Vec<String>> {
    let mut wrong = Vec::new();
    let mut grants = Vec::new();
    for (file, teams) in &config.tokens {
        match std::fs::read_to_string(file) {
            Err(e) => wrong.push(format!("access.tokens: {}: {e}", file.display())),
            Ok(token) if teams.is_empty() => grants.push(Grant::new(token.trim(), Access::All)),
            Ok(token) => {
                let teams = teams.iter().map(|t| Team::new(t)).collect();
                grants.push(Grant::new(token.trim(), Access::Teams(teams)));
            }
        }
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
