//! `whyd replay`: history through the same core.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, ensure};
use whyd_api::{WrongAt, dto};
use whyd_correlate::rules::Rules;
use whyd_signals::schema::{Incident, IncidentsOfRows, Restart};
use whyd_signals::{Access, Resource, Timestamp};

use super::{ReplayArgs, configured, print};
use crate::capture::Capture;
use crate::config::Config;
use crate::render::Style;
use crate::report::report;
use crate::suspects::Most;
use crate::{replay, suspects, wiring};

pub(super) fn replay(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let mut config = configured(args.config.as_ref())?;
    let capture = Capture::open(&args.capture)?;
    // Ids of incidents depend on the cluster's name: without another it is the recorded one's.
    if config.cluster == Config::default_cluster() {
        config.cluster.clone_from(&capture.about.cluster);
    }
    let mut messages = capture.messages()?;
    if let Some(at) = &args.at {
        let last = messages.last().map_or(capture.about.to, |m| m.received.max(capture.about.to));
        let at = stop(at, capture.start(), last)?;
        messages.retain(|m| m.received <= at);
    }
    ensure!(!messages.is_empty(), "{} holds no messages, so nothing is known of it", args.capture.display());
    let outcome = replay::run(wiring::core(&config), messages, config.lateness);
    let scoped = outcome.snapshot.scoped(&Access::All);
    let changes = match args.config {
        Some(_) => rule_changes(
            &scoped.each_incident().cloned().collect::<Vec<_>>(),
            &outcome.core.incidents_under(&Rules::default(), outcome.at),
        ),
        None => Vec::new(),
    };
    let (restarts, incidents) = (scoped.restarts(), scoped.incidents());
    if args.json {
        let unknown = Resource::ALL.into_iter().filter(|r| !scoped.cluster().synced(*r)).map(|r| dto::Problem {
            source: Some(r.plural().to_owned()),
            detail: "was not recorded: what there is, is unknown".to_owned(),
        });
        let told = capture.problems().iter().chain(&outcome.problems);
        let told = told.map(|p| dto::Problem { source: None, detail: p.clone() });
        let at = WrongAt { first: None, until: outcome.at.minus(config.lateness) };
        let suspects = suspects::ranking((&scoped, &scoped), at, None, Most::default());
        let of_rows = IncidentsOfRows::of(scoped.each_incident().map(AsRef::as_ref));
        let with_id = |row: &Arc<Restart>| dto::Restart {
            incident_id: of_rows.row(row).map(str::to_owned),
            ..dto::Restart::from(row.as_ref())
        };
        let out = dto::Replay {
            restarts: restarts.iter().map(with_id).collect(),
            incidents: incidents.iter().map(|i| dto::Incident::from(i.as_ref())).collect(),
            ranking: suspects.ranking,
            problems: unknown.chain(told).chain(suspects.problems).collect(),
            incident_changes: changes,
        };
        print(&serde_json::to_string_pretty(&out)?)?;
        return Ok(read(&capture));
    }
    let unrecorded: Vec<&str> =
        Resource::ALL.into_iter().filter(|r| !scoped.cluster().synced(*r)).map(Resource::plural).collect();
    let unread = unread(&capture);
    let mut text = match &unread {
        Some(said) if restarts.is_empty() && incidents.is_empty() => {
            format!("{said}\nof what could be read nothing restarted and nothing is wrong")
        }
        Some(said) => format!("{said}\n\n{}", report(&scoped, Style { colour: super::coloured(), ..Style::PLAIN })),
        None => report(&scoped, Style { colour: super::coloured(), ..Style::PLAIN }),
    };
    if !unrecorded.is_empty() {
        text.push_str(&format!("\nnot recorded, so unknown: {}", unrecorded.join(", ")));
    }
    for problem in summed(capture.problems()) {
        text.push_str(&format!("\nnot read: {problem}"));
    }
    for problem in summed(&outcome.problems) {
        text.push_str(&format!("\nnot taken: {problem}"));
    }
    if args.config.is_some() {
        text.push_str(&told_changes(&changes));
    }
    print(&text)?;
    Ok(read(&capture))
}

/// The time at which to stop.
///
/// # Errors
/// One that is none, or at which nothing, or nothing more, is recorded: what was not is unknown, and no silence.
fn stop(text: &str, first: Timestamp, last: Timestamp) -> anyhow::Result<Timestamp> {
    let at = Timestamp::parse(text).with_context(|| format!("--at {text:?} is not an RFC 3339 time"))?;
    ensure!(at >= first, "--at {at} is before the capture, which goes from {first} to {last}");
    ensure!(
        at <= last,
        "--at {at} is after the capture, which goes from {first} to {last}; without --at it is played to its end"
    );
    Ok(at)
}

/// A recording that could not be read whole proves nothing by what it lacks: that is no success.
fn read(capture: &Capture) -> ExitCode {
    if capture.problems().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// That the recording could not be read whole, and what of it; `None` where it could.
fn unread(capture: &Capture) -> Option<String> {
    let mut files: Vec<&str> = capture.problems().iter().map(|problem| place(problem)).collect();
    files.dedup();
    // `kube/pods.watch.ndjson` holds pods, `loki_push/index.ndjson` what was pushed to Loki.
    let whats: BTreeSet<&str> = files.iter().map(|file| what(file)).collect();
    let whats: Vec<&str> = whats.into_iter().collect();
    (!files.is_empty()).then(|| {
        format!(
            "{} of this recording could not be read whole: what is missing there is missing below",
            whats.join(", ")
        )
    })
}

fn what(file: &str) -> &str {
    match file.split_once('/') {
        Some(("kube", name)) => name.split('.').next().unwrap_or(name),
        Some((folder, _)) => folder,
        None => file,
    }
}

/// The file that a problem is about.
fn place(problem: &str) -> &str {
    problem.split(':').next().unwrap_or(problem)
}

/// Problems of one file, or of one kind of message, as one: the first of them, and how many there are.
fn summed(problems: &[String]) -> Vec<String> {
    let mut groups: Vec<(&str, &String, usize)> = Vec::new();
    for problem in problems {
        // `message 12 (LokiProto): why`
        let message = problem.strip_prefix("message ").and_then(|rest| rest.split_once(' '));
        let about = message.map_or_else(|| place(problem), |(_, of)| place(of));
        match groups.iter_mut().find(|(known, ..)| *known == about) {
            Some((.., n)) => *n += 1,
            None => groups.push((about, problem, 1)),
        }
    }
    let told = groups.into_iter().map(|(_, first, n)| match n {
        1 => first.clone(),
        n => format!("{first} (and {} more like it)", n - 1),
    });
    told.collect()
}

/// How the rules of the configuration change the incidents that there would be without them.
fn rule_changes(incidents: &[Arc<Incident>], without: &[Incident]) -> Vec<dto::IncidentChange> {
    let mut changes = Vec::new();
    let mut tell = |i: &Incident, what: String| {
        let root = i.root.as_ref().map_or(String::new(), |r| format!(" of {r}"));
        changes.push(dto::IncidentChange { id: i.id.clone(), what: format!("{}{root}: {what}", i.cause) });
    };
    for was in without {
        let Some(is) = incidents.iter().find(|i| i.id == was.id) else {
            tell(was, "is no incident of its own any more".to_owned());
            continue;
        };
        if is.suppressed_by != was.suppressed_by {
            tell(is, format!("is hidden by the suppression {}", is.suppressed_by.as_deref().unwrap_or("none")));
        }
        if is.severity != was.severity {
            tell(is, format!("is {:?} instead of {:?}", is.severity, was.severity).to_lowercase());
        }
        if is.status != was.status || is.resolved_at != was.resolved_at {
            let end = |i: &Incident| i.resolved_at.map_or("still open".to_owned(), |at| format!("resolved at {at}"));
            tell(is, format!("is {} instead of {}", end(is), end(was)));
        }
    }
    // What is made of others is so by the same rules.
    let made_of_members = incidents.iter().filter(|i| i.parts.is_empty());
    for is in made_of_members.filter(|i| without.iter().all(|w| w.id != i.id)) {
        tell(is, "is an incident of its own".to_owned());
    }
    changes
}

fn told_changes(changes: &[dto::IncidentChange]) -> String {
    if changes.is_empty() {
        return "\nthe rules of the configuration change no incident".to_owned();
    }
    let lines: Vec<String> =
        changes.iter().map(|c| format!("  {}  {}", c.id.get(..8).unwrap_or(&c.id), c.what)).collect();
    format!("\nwhat the rules of the configuration change\n{}", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_is_not_recorded_is_refused() {
        let (first, last) = (Timestamp(1_000_000_000), Timestamp(9_000_000_000));
        for (at, says) in [
            ("1970-01-01T00:00:00Z", "is before the capture, which goes from 1970-01-01T00:00:01"),
            ("1970-01-01T00:00:10Z", "is after the capture, which goes from 1970-01-01T00:00:01"),
            ("soon", "is not an RFC 3339 time"),
        ] {
            let why = stop(at, first, last).unwrap_err().to_string();
            assert!(why.starts_with("--at ") && why.contains(says), "{why}");
        }
        for (at, stopped) in [("1970-01-01T00:00:01Z", first), ("1970-01-01T00:00:09Z", last)] {
            assert_eq!(stop(at, first, last).unwrap(), stopped);
        }
    }

    #[test]
    fn problems_of_one_file_are_one_line() {
        let of = |file: &str, n: usize| format!("{file}:{n}: 9 bytes at 90 are beyond the 50 of bodies.bin");
        let mut problems: Vec<String> = (1..=90).map(|n| of("loki_push/index.ndjson", n)).collect();
        problems.push(of("kube/pods.watch.ndjson", 7));
        let told = summed(&problems);
        assert_eq!(told, [format!("{} (and 89 more like it)", problems[0]), problems[90].clone()]);
        assert_eq!(what(place(&problems[90])), "pods");
        let messages = ["message 1 (LokiProto): bad", "message 2 (LokiProto): bad", "message 3 (LokiJson): bad"];
        assert_eq!(
            summed(&messages.map(str::to_owned)),
            ["message 1 (LokiProto): bad (and 1 more like it)", "message 3 (LokiJson): bad"]
        );
    }
}
