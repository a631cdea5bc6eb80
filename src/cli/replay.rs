//! `whyd replay`: history through the same core.

use std::process::ExitCode;

use anyhow::Context;
use whyd_api::dto;
use whyd_signals::{Access, Resource, Timestamp};

use super::{ReplayArgs, configured, print};
use crate::capture::Capture;
use crate::render::Style;
use crate::report::report;
use crate::{replay, wiring};

pub(super) fn replay(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let mut config = configured(args.config.as_ref())?;
    let capture = Capture::open(&args.capture)?;
    if args.config.is_none() {
        config.cluster.clone_from(&capture.about.cluster);
    }
    let mut messages = capture.messages()?;
    if let Some(at) = &args.at {
        let at = Timestamp::parse(at).with_context(|| format!("--at {at:?} is not an RFC 3339 time"))?;
        messages.retain(|m| m.received <= at);
    }
    let outcome = replay::run(wiring::core(&config), messages, config.lateness);
    let scoped = outcome.snapshot.scoped(&Access::All);
    let (restarts, incidents) = (scoped.restarts(), scoped.incidents());
    if args.json {
        let unknown = Resource::ALL.into_iter().filter(|r| !scoped.cluster().synced(*r)).map(|r| dto::Problem {
            source: Some(r.plural().to_owned()),
            detail: "was not recorded: what there is, is unknown".to_owned(),
        });
        let told = capture.problems().iter().chain(&outcome.problems);
        let told = told.map(|p| dto::Problem { source: None, detail: p.clone() });
        let out = dto::Replay {
            restarts: restarts.iter().map(|r| dto::Restart::from(r.as_ref())).collect(),
            incidents: incidents.iter().map(|i| dto::Incident::from(i.as_ref())).collect(),
            ranking: Vec::new(),
            problems: unknown.chain(told).collect(),
        };
        return print(&serde_json::to_string_pretty(&out)?);
    }
    print(&report(&scoped, Style { colour: super::coloured(), ..Style::PLAIN }))
}
