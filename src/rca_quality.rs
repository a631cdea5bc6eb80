//! How often the root of a fault is ranked first, on cases whose root is known.
//!
//! Captures are replayed as a living daemon would have seen them: all of a cluster go through one core in the order of
//! time, and each case is ranked when its own window has ended. Tables of metrics go to the same ranking as series.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use whyd_correlate::ranking::{self, Facts, Ranked};
use whyd_signals::{Access, Timestamp};

use crate::capture::Capture;
use crate::config::Config;
use crate::rca_cases::{self, Truth};
use crate::replay::Replay;
use crate::suspects::{Most, Suspects};
use crate::wiring;

/// What is told of when it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// The time.
    Onset,
    /// Nothing: it is looked for in the capture's window.
    Nothing,
}

/// The ranking of one case.
#[derive(Debug, Clone, Serialize)]
pub struct Case {
    /// Its folder.
    pub case: String,
    /// The set that it is of.
    pub set: String,
    /// The kind of fault.
    pub kind: String,
    /// What was to be first.
    pub root: String,
    /// Where it was, from 1; absent where it was not among the candidates.
    pub rank: Option<usize>,
    /// How far the onset that was found is from the true one, in seconds.
    pub onset_error: f64,
    /// How long the ranking took, in milliseconds.
    pub took_ms: f64,
    /// The names, best first.
    pub ranking: Vec<String>,
    /// Why, of the first ones and of the root.
    pub because: Vec<String>,
}

/// How often the root was among the first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quality {
    /// The set, with the kind of fault, or `ALL`.
    pub of: String,
    /// How many cases.
    pub cases: usize,
    /// The share with the root first.
    pub ac1: f64,
    /// The share with the root among the first three.
    pub ac3: f64,
    /// The share with the root among the first five.
    pub ac5: f64,
    /// The mean of the shares from the first one to the first five.
    pub avg5: f64,
}

/// The rankings of all cases below `dir`, by name.
///
/// # Errors
/// When a case cannot be read, or there is none.
pub fn cases(dir: &Path, config: &Config, told: Told) -> Result<Vec<Case>> {
    let entries = std::fs::read_dir(dir).with_context(|| format!("{}", dir.display()))?;
    let (mut tables, mut captures) = (Vec::new(), Vec::new());
    for entry in entries {
        let path = entry?.path();
        if path.join("capture.json").exists() {
            captures.push(path);
        } else if path.join("metrics.csv.gz").exists() && path.join("truth.json").exists() {
            tables.push(path);
        }
    }
    captures.sort();
    let mut cases = Vec::new();
    for path in tables {
        cases.push(of_table(&path).with_context(|| format!("{}", path.display()))?);
    }
    let mut clusters: BTreeMap<String, Vec<(PathBuf, Capture)>> = BTreeMap::new();
    for path in captures {
        let capture = Capture::open(&path)?;
        clusters.entry(capture.about.cluster.clone()).or_default().push((path, capture));
    }
    for (cluster, captures) in clusters {
        cases.extend(of_cluster(cluster, captures, config, told)?);
    }
    ensure!(!cases.is_empty(), "{}: no folder in it holds truth.json with a capture or metrics.csv.gz", dir.display());
    cases.sort_by(|a, b| a.case.cmp(&b.case));
    Ok(cases)
}

fn of_table(path: &Path) -> Result<Case> {
    let truth = Truth::read(path)?;
    let (names, facts) = rca_cases::read(path, &truth)?;
    let end = facts.series.iter().filter_map(|s| s.times.last()).max().map_or(i64::MAX, |t| t.saturating_add(1));
    // A table's fault part begins with the fault: there is nothing to be looked for.
    Ok(ranked(path, &truth, &names, &facts, truth.onset()..end, None, |_| Vec::new()))
}

/// The captures of one cluster through one core.
fn of_cluster(cluster: String, captures: Vec<(PathBuf, Capture)>, config: &Config, told: Told) -> Result<Vec<Case>> {
    let mut config = config.clone();
    config.cluster = cluster;
    let mut messages = Vec::new();
    for (_, capture) in &captures {
        messages.extend(capture.messages()?);
    }
    messages.sort_by_key(|m| (m.received, m.media.source()));
    let mut messages = messages.into_iter().peekable();
    let mut captures = captures;
    captures.sort_by_key(|(_, capture)| capture.about.to);
    let mut replay = Replay::new(wiring::core(&config));
    let mut cases = Vec::new();
    for (path, capture) in captures {
        let to = capture.about.to;
        while let Some(message) = messages.next_if(|m| m.received <= to) {
            replay.feed(message);
        }
        if !path.join("truth.json").exists() {
            continue;
        }
        let truth = Truth::read(&path)?;
        let scoped = replay.snapshot().scoped(&Access::All);
        let from = to.minus(config.window);
        let suspects = Suspects::of((&scoped, &scoped), (from, to), None, Most::default());
        let names: Vec<String> = suspects.who.iter().map(|s| s.name.clone()).collect();
        let search = (told == Told::Nothing).then_some(capture.about.from);
        let window = truth.onset()..to.0.saturating_add(1);
        cases.push(ranked(&path, &truth, &names, &suspects.facts, window, search, |r| suspects.told(r)));
    }
    Ok(cases)
}

fn ranked(
    path: &Path,
    truth: &Truth,
    names: &[String],
    facts: &Facts,
    window: std::ops::Range<i64>,
    search: Option<Timestamp>,
    told: impl Fn(&Ranked) -> Vec<String>,
) -> Case {
    let began = Instant::now();
    let (onset, ranked) = match search {
        Some(from) => ranking::find(facts, from.0, window.end),
        None => (window.start, ranking::Prepared::of(facts, window.end).at(window.start)),
    };
    let took_ms = began.elapsed().as_secs_f64() * 1e3;
    let name = |r: &Ranked| names.get(r.candidate as usize).cloned().unwrap_or_default();
    let mut ranking: Vec<String> = Vec::new();
    let mut because = Vec::new();
    for (n, r) in ranked.iter().enumerate() {
        let name = name(r);
        if n < 3 || name == truth.root_service {
            because.push(format!("{}. {name} {:.2}: {}", n + 1, r.score, told(r).join("; ")));
        }
        if !ranking.contains(&name) {
            ranking.push(name);
        }
    }
    Case {
        case: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        set: truth.set.clone(),
        kind: truth.kind.clone().unwrap_or_else(|| "-".to_owned()),
        root: truth.root_service.clone(),
        rank: ranking.iter().position(|n| *n == truth.root_service).map(|at| at + 1),
        onset_error: (onset - truth.onset()) as f64 / 1e9,
        took_ms,
        ranking,
        because,
    }
}

/// The quality by set, by kind of fault, and of all.
pub fn quality(cases: &[Case]) -> Vec<Quality> {
    let mut groups: BTreeMap<(u8, String), Vec<usize>> = BTreeMap::new();
    for case in cases {
        let rank = case.rank.unwrap_or(usize::MAX);
        let names = [(0, case.set.clone()), (1, format!("{} {}", case.set, case.kind)), (2, "ALL".to_owned())];
        names.into_iter().for_each(|name| groups.entry(name).or_default().push(rank));
    }
    let of = |((_, of), ranks): ((u8, String), Vec<usize>)| {
        let ac = |k: usize| ranks.iter().filter(|rank| **rank <= k).count() as f64 / ranks.len().max(1) as f64;
        let avg5 = (1..=5).map(ac).sum::<f64>() / 5.0;
        Quality { of, cases: ranks.len(), ac1: ac(1), ac3: ac(3), ac5: ac(5), avg5 }
    };
    groups.into_iter().map(of).collect()
}

/// The rankings as the scorers of the field read them.
pub fn rankings(cases: &[Case]) -> BTreeMap<&str, &[String]> {
    cases.iter().map(|case| (case.case.as_str(), case.ranking.as_slice())).collect()
}

/// For people: the misses first.
pub fn text(cases: &[Case], rows: &[Quality]) -> String {
    let mut out = String::new();
    for case in cases.iter().filter(|case| case.rank != Some(1)) {
        let rank = case.rank.map_or("not ranked".to_owned(), |rank| format!("rank {rank}"));
        out.push_str(&format!("{} {} {}: {rank}", case.case, case.kind, case.root));
        if case.onset_error != 0.0 {
            out.push_str(&format!(", onset off by {:.0} s", case.onset_error));
        }
        for line in &case.because {
            let line: String = line.chars().take(300).collect();
            out.push_str(&format!("\n    {line}"));
        }
        out.push('\n');
    }
    let slowest = cases.iter().map(|case| case.took_ms).fold(0.0, f64::max);
    out.push_str(&format!("the slowest ranking took {slowest:.1} ms\n\n"));
    out.push_str(&format!("{:<44}{:>6}{:>8}{:>8}{:>8}{:>8}", "of", "cases", "AC@1", "AC@3", "AC@5", "Avg@5"));
    for q in rows {
        let Quality { of, cases, ac1, ac3, ac5, avg5 } = q;
        out.push_str(&format!("\n{of:<44}{cases:>6}{ac1:>8.3}{ac3:>8.3}{ac5:>8.3}{avg5:>8.3}"));
    }
    out
}
