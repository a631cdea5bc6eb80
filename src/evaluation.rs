//! How often whyd is right, on captures whose truth is known: per cause, what it was taken for, and whether its
//! confidence is worth what it says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use whyd_signals::Access;
use whyd_signals::schema::{Incident, Restart};

use crate::capture::Capture;
use crate::config::Config;
use crate::{replay, wiring};

/// What is expected where nothing is wrong, and what is found where nothing is told.
pub const NONE: &str = "none";

/// What must be found of one container of one workload.
#[derive(Debug, Clone, Deserialize)]
struct Expected {
    workload: String,
    #[serde(default)]
    container: Option<String>,
    cause: String,
    /// Causes that are right too.
    #[serde(default)]
    accept: Vec<String>,
    /// Causes further down the chain that are right too.
    #[serde(default)]
    deeper: Vec<String>,
    /// Causes that rows without an exit code may have besides.
    #[serde(default)]
    also: Vec<String>,
}

impl Expected {
    fn allows(&self, cause: &str) -> bool {
        let all = self.accept.iter().chain(&self.deeper).chain(&self.also).map(String::as_str);
        all.chain([self.cause.as_str()]).any(|c| c == cause)
    }

    fn is_of(&self, row: &Restart) -> bool {
        let bare = |w: &str| w.rsplit('/').next().unwrap_or_default().to_owned();
        let container = row.exit_code.is_none() || self.container == row.container || self.container.is_none();
        bare(&self.workload) == bare(&row.workload) && container
    }
}

/// An ended instance that a change ended and no fault: a row of it is right when it says so.
#[derive(Debug, Clone, Deserialize)]
struct Termination {
    pod: String,
    #[serde(default)]
    optional: Vec<String>,
}

/// What is known of a capture: `truth.json` of the shared ones, `expected.json` of the bundled ones.
#[derive(Debug, Default, Deserialize)]
struct Truth {
    expected: Vec<Expected>,
    #[serde(default)]
    terminations: Vec<Termination>,
}

/// One thing that was to be found, or that was found and should not have been.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// The capture's folder.
    pub capture: String,
    /// `Kind/name`.
    pub workload: String,
    /// The cause that is true, or [`NONE`].
    pub expected: String,
    /// The cause that was found, or [`NONE`].
    pub found: String,
    /// Whether that is right.
    pub right: bool,
    /// How sure the verdict was, 0 to 1; absent where there was none.
    pub confidence: Option<f64>,
}

/// Precision and recall of one cause.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Score {
    /// The cause.
    pub cause: String,
    /// Verdicts that name it and are right.
    pub right: usize,
    /// Verdicts that name it and are wrong.
    pub wrong: usize,
    /// What it was true of and was not found.
    pub missed: usize,
    /// `right / (right + wrong)`; absent where it was never named.
    pub precision: Option<f64>,
    /// `right / (right + missed)`; absent where it was never true.
    pub recall: Option<f64>,
}

/// Verdicts of about the same confidence.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bin {
    /// The lowest confidence in it.
    pub from: f64,
    /// How many verdicts.
    pub verdicts: usize,
    /// Their mean confidence.
    pub confidence: f64,
    /// The share of them that is right.
    pub accuracy: f64,
}

/// The whole.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// How many captures were looked at.
    pub captures: usize,
    /// How many of them hold nothing wrong.
    pub captures_right: usize,
    /// By cause.
    pub causes: Vec<Score>,
    /// Expected and found, with how often.
    pub confusion: Vec<(String, String, usize)>,
    /// Whether confidence keeps its word.
    pub calibration: Vec<Bin>,
    /// The mean distance of confidence and accuracy over the bins, weighted by their verdicts.
    pub calibration_error: f64,
    /// All that was looked at.
    pub findings: Vec<Finding>,
}

/// The captures below `dir` whose truth is known.
///
/// # Errors
/// When the folder cannot be listed or holds none.
pub fn captures(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).with_context(|| format!("{}", dir.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let labelled = path.join("truth.json").exists() || path.join("expected.json").exists();
        if path.join("capture.json").exists() && labelled {
            found.push(path);
        }
    }
    found.sort();
    ensure!(!found.is_empty(), "{}: no folder in it holds a capture with truth.json or expected.json", dir.display());
    Ok(found)
}

fn truth(path: &Path) -> Result<Truth> {
    let file = path.join("truth.json");
    if file.exists() {
        return serde_json::from_slice(&fs::read(&file)?).with_context(|| format!("{}", file.display()));
    }
    let file = path.join("expected.json");
    let expected = serde_json::from_slice(&fs::read(&file)?).with_context(|| format!("{}", file.display()))?;
    Ok(Truth { expected, terminations: Vec::new() })
}

/// Replays one capture and holds its verdicts against the truth.
///
/// # Errors
/// When the capture or its truth cannot be read.
pub fn look_at(path: &Path, config: &Config) -> Result<Vec<Finding>> {
    let truth = truth(path)?;
    let capture = Capture::open(path)?;
    let outcome = replay::run(wiring::core(config), capture.messages()?, config.lateness);
    let scoped = outcome.snapshot.scoped(&Access::All);
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(findings(&name, &truth, &scoped.restarts(), &scoped.incidents()))
}

fn findings(
    capture: &str,
    truth: &Truth,
    rows: &[std::sync::Arc<Restart>],
    incidents: &[std::sync::Arc<Incident>],
) -> Vec<Finding> {
    let find = |workload: &str, expected: &str, found: &str, right: bool, confidence: Option<f64>| Finding {
        capture: capture.to_owned(),
        workload: workload.to_owned(),
        expected: expected.to_owned(),
        found: found.to_owned(),
        right,
        confidence,
    };
    let mut out = Vec::new();
    let wanted: Vec<&Expected> = truth.expected.iter().filter(|e| e.cause != NONE).collect();
    let mut told: BTreeSet<&str> = BTreeSet::new();
    let replaced = |row: &Restart| {
        truth.terminations.iter().any(|t| Some(&t.pod) == row.pod.as_ref() && t.optional.contains(&row.cause))
    };
    // The bundled truth does not list the replacements that went well and may have a row.
    let clean = |row: &Restart| truth.terminations.is_empty() && row.incident_key.is_none();
    for row in rows {
        match wanted.iter().find(|e| e.is_of(row) && !replaced(row) && (e.allows(&row.cause) || !clean(row))) {
            Some(e) => {
                told.insert(&e.workload);
                let right = e.allows(&row.cause) || e.accept.contains(&row.mechanism) && e.deeper.contains(&row.cause);
                // Another cause that is right too counts for the true one.
                let found = if right { e.cause.as_str() } else { row.cause.as_str() };
                out.push(find(&row.workload, &e.cause, found, right, Some(row.confidence)));
            }
            None => {
                let right = clean(row) || replaced(row);
                let expected = if right { row.cause.as_str() } else { NONE };
                out.push(find(&row.workload, expected, &row.cause, right, Some(row.confidence)));
            }
        }
    }
    for e in wanted.iter().filter(|e| !told.contains(e.workload.as_str())) {
        // Where nothing restarted the incident carries the cause.
        let found = incidents.iter().find(|i| e.allows(&i.cause));
        let cause = found.map_or(NONE, |_| e.cause.as_str());
        out.push(find(&e.workload, &e.cause, cause, found.is_some(), None));
    }
    if wanted.is_empty() && out.is_empty() {
        let found = incidents.first().map_or(NONE, |i| i.cause.as_str());
        out.push(find("all", NONE, found, incidents.is_empty(), None));
    }
    out
}

impl Evaluation {
    /// What the findings come to.
    pub fn of(findings: Vec<Finding>) -> Self {
        let mut scores: BTreeMap<&str, Score> = BTreeMap::new();
        let mut confusion: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        let mut captures: BTreeMap<&str, bool> = BTreeMap::new();
        for f in &findings {
            *confusion.entry((&f.expected, &f.found)).or_default() += 1;
            *captures.entry(&f.capture).or_insert(true) &= f.right;
            if f.right {
                scores.entry(&f.expected).or_default().right += 1;
            } else {
                scores.entry(&f.found).or_default().wrong += 1;
                scores.entry(&f.expected).or_default().missed += 1;
            }
        }
        let share = |part: usize, whole: usize| (whole > 0).then(|| part as f64 / whole as f64);
        let causes = scores.iter().filter(|(cause, _)| **cause != NONE).map(|(cause, s)| Score {
            cause: (*cause).to_owned(),
            precision: share(s.right, s.right + s.wrong),
            recall: share(s.right, s.right + s.missed),
            ..s.clone()
        });
        let causes = causes.collect();
        let confusion = confusion.iter().map(|((e, f), n)| ((*e).to_owned(), (*f).to_owned(), *n)).collect();
        let (captures_right, captures) = (captures.values().filter(|r| **r).count(), captures.len());
        let calibration = calibration(&findings);
        let all: usize = calibration.iter().map(|b| b.verdicts).sum();
        let off = |b: &Bin| (b.confidence - b.accuracy).abs() * b.verdicts as f64 / all.max(1) as f64;
        let calibration_error = calibration.iter().map(off).sum();
        Self { captures, captures_right, causes, confusion, calibration, calibration_error, findings }
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut out = format!("{}/{} captures right\n\n", self.captures_right, self.captures);
        let percent = |p: Option<f64>| p.map_or("     -".to_owned(), |p| format!("{:5.1}%", p * 100.0));
        out.push_str(&format!(
            "{:<24}{:>6}{:>6}{:>7}{:>11}{:>9}\n",
            "cause", "right", "wrong", "missed", "precision", "recall"
        ));
        for s in &self.causes {
            let (precision, recall) = (percent(s.precision), percent(s.recall));
            out.push_str(&format!(
                "{:<24}{:>6}{:>6}{:>7}{precision:>11}{recall:>9}\n",
                s.cause, s.right, s.wrong, s.missed
            ));
        }
        let mistaken: Vec<_> = self.confusion.iter().filter(|(e, f, _)| e != f).collect();
        out.push_str(if mistaken.is_empty() {
            "\nnothing was taken for something else\n"
        } else {
            "\ntaken for something else\n"
        });
        for (expected, found, n) in mistaken {
            out.push_str(&format!("  {n:>4}  {expected} was called {found}\n"));
        }
        for f in self.findings.iter().filter(|f| !f.right) {
            out.push_str(&format!("        {}: {} is {}, called {}\n", f.capture, f.workload, f.expected, f.found));
        }
        out.push_str(&format!("\nconfidence, off by {:.3} on the average\n", self.calibration_error));
        for b in &self.calibration {
            let (says, is) = (b.confidence * 100.0, b.accuracy * 100.0);
            out.push_str(&format!("  {:>4} verdicts say {says:5.1}% and are right in {is:5.1}%\n", b.verdicts));
        }
        out.pop();
        out
    }
}

/// Ten bins of confidence, the empty ones left out.
fn calibration(findings: &[Finding]) -> Vec<Bin> {
    let mut bins: BTreeMap<u32, (usize, f64, usize)> = BTreeMap::new();
    for f in findings {
        let Some(confidence) = f.confidence else { continue };
        let bin = bins.entry((confidence * 10.0).floor().clamp(0.0, 9.0) as u32).or_default();
        *bin = (bin.0 + 1, bin.1 + confidence, bin.2 + usize::from(f.right));
    }
    let bin = |(n, (verdicts, sum, right)): (u32, (usize, f64, usize))| Bin {
        from: f64::from(n) / 10.0,
        verdicts,
        confidence: sum / verdicts as f64,
        accuracy: right as f64 / verdicts as f64,
    };
    bins.into_iter().map(bin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(expected: &str, found: &str, confidence: f64) -> Finding {
        Finding {
            capture: expected.to_owned(),
            workload: "Deployment/a".to_owned(),
            expected: expected.to_owned(),
            found: found.to_owned(),
            right: expected == found,
            confidence: Some(confidence),
        }
    }

    #[test]
    fn scores_are_by_cause() {
        let all = vec![
            finding("oom-limit", "oom-limit", 0.95),
            finding("oom-limit", "oom-limit", 0.95),
            finding("oom-limit", "app-error", 0.85),
            finding("app-error", "app-error", 0.85),
            finding(NONE, "app-error", 0.85),
        ];
        let e = Evaluation::of(all);
        let of = |cause: &str| e.causes.iter().find(|s| s.cause == cause).map(|s| (s.precision, s.recall));
        assert_eq!(of("oom-limit"), Some((Some(1.0), Some(2.0 / 3.0))));
        assert_eq!(of("app-error"), Some((Some(1.0 / 3.0), Some(1.0))));
        assert_eq!(of(NONE), None);
        assert_eq!((e.captures, e.captures_right), (3, 1));
        assert!(e.confusion.contains(&("oom-limit".into(), "app-error".into(), 1)));
        let bins: Vec<(usize, f64)> = e.calibration.iter().map(|b| (b.verdicts, b.accuracy)).collect();
        assert_eq!(bins, [(3, 1.0 / 3.0), (2, 1.0)]);
        assert!((e.calibration_error - (0.05 * 2.0 / 5.0 + (0.85 - 1.0 / 3.0) * 3.0 / 5.0)).abs() < 1e-9);
    }
}
