//! Root-cause cases that are tables of metrics: `metrics.csv.gz` and `truth.json` in a folder.
//!
//! A column is `<candidate>_<metric>`; time is in seconds. What was normal is either the part before the fault or a file
//! of its own, whose time is moved so that it ends a step before.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use whyd_correlate::ranking::{Bad, Facts, Series};

const SECOND: f64 = 1e9;

/// What is known of a case.
#[derive(Debug, Clone, Deserialize)]
pub struct Truth {
    /// The set that it is of.
    #[serde(default = "captures", rename = "set")]
    pub set: String,
    /// The kind of fault.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// What is to be ranked first.
    pub root_service: String,
    /// When the fault began, in seconds.
    pub t_inject: f64,
    #[serde(default)]
    alert: Option<Alert>,
    #[serde(default)]
    normal_file: Option<String>,
    #[serde(default)]
    candidates: Vec<String>,
}

fn captures() -> String {
    "captures".to_owned()
}

/// What an operator was alerted of.
#[derive(Debug, Clone, Deserialize)]
struct Alert {
    metric: String,
    stat: String,
}

impl Truth {
    /// Reads `truth.json` of a case's folder.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(case: &Path) -> Result<Self> {
        let file = case.join("truth.json");
        let text = std::fs::read(&file).with_context(|| format!("{}", file.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{}", file.display()))
    }

    /// When the fault began, in nanoseconds.
    pub fn onset(&self) -> i64 {
        (self.t_inject * SECOND) as i64
    }
}

/// The facts of a case, and the candidates' names in their order.
///
/// # Errors
/// When a table cannot be read.
pub fn read(case: &Path, truth: &Truth) -> Result<(Vec<String>, Facts)> {
    let fault = Table::read(&case.join("metrics.csv.gz"))?;
    let normal = truth.normal_file.as_ref().map(|file| Table::read(&case.join(file))).transpose()?;
    let graph = match &truth.normal_file {
        Some(file) => case.join(file).with_file_name("graph.csv"),
        None => case.join("graph.csv"),
    };
    let mut names = truth.candidates.clone();
    names.sort();
    let mut facts = Facts { candidates: u32::try_from(names.len())?, ..Facts::default() };
    let mut metrics: BTreeMap<String, u32> = BTreeMap::new();
    for (column, values) in &fault.columns {
        let owner = names
            .iter()
            .enumerate()
            .filter(|(_, n)| column.strip_prefix(n.as_str()).is_some_and(|r| r.starts_with('_')));
        let Some((candidate, name)) = owner.max_by_key(|(_, n)| n.len()) else { continue };
        let metric = column.get(name.len()..).unwrap_or_default().trim_start_matches('_');
        let bad = match &truth.alert {
            Some(alert) if metric != format!("{}__{}", alert.metric, alert.stat) => continue,
            Some(alert) if alert.metric == "availability" => Bad::Less,
            Some(_) => Bad::More,
            None => Bad::Both,
        };
        let mut rows: Vec<(f64, f64)> = Vec::new();
        if let Some(normal) = &normal {
            let Some(before) = normal.columns.get(column) else { continue };
            let shift = fault.time.first().unwrap_or(&0.0) - fault.step() - normal.time.last().unwrap_or(&0.0);
            rows.extend(normal.time.iter().map(|t| t + shift).zip(before.iter().copied()));
        }
        rows.extend(fault.time.iter().copied().zip(values.iter().copied()));
        rows.retain(|row| row.1.is_finite());
        let next = u32::try_from(metrics.len())?;
        let metric = *metrics.entry(metric.to_owned()).or_insert(next);
        let (times, values) = rows.iter().map(|row| ((row.0 * SECOND) as i64, row.1)).unzip();
        facts.series.push(Series { candidate: u32::try_from(candidate)?, metric, times, values, bad });
    }
    if graph.exists() {
        facts.calls = calls(&std::fs::read_to_string(&graph).with_context(|| format!("{}", graph.display()))?, &names);
    }
    Ok((names, facts))
}

/// Of a table in which a row calls the columns that hold 1.
fn calls(text: &str, names: &[String]) -> Vec<(u32, u32)> {
    let place = |name: &str| names.iter().position(|n| n == name).and_then(|at| u32::try_from(at).ok());
    let mut lines = text.lines();
    let columns: Vec<Option<u32>> = lines.next().unwrap_or_default().split(',').skip(1).map(place).collect();
    let mut calls = Vec::new();
    for line in lines {
        let mut cells = line.split(',');
        let Some(caller) = cells.next().and_then(place) else { continue };
        let callees = cells.zip(&columns).filter(|(cell, _)| cell.parse() == Ok(1.0)).filter_map(|(_, c)| *c);
        calls.extend(callees.map(|callee| (caller, callee)));
    }
    calls
}

/// A table with a column of time.
struct Table {
    time: Vec<f64>,
    columns: BTreeMap<String, Vec<f64>>,
}

impl Table {
    fn read(file: &Path) -> Result<Self> {
        let mut text = String::new();
        let opened = File::open(file).with_context(|| format!("{}", file.display()))?;
        MultiGzDecoder::new(opened).read_to_string(&mut text).with_context(|| format!("{}", file.display()))?;
        Self::parse(&text).with_context(|| format!("{}: no column time", file.display()))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let names: Vec<&str> = lines.next()?.split(',').collect();
        let mut columns: Vec<Vec<f64>> = vec![Vec::new(); names.len()];
        for line in lines.filter(|line| !line.is_empty()) {
            let mut cells = line.split(',');
            for column in &mut columns {
                column.push(cells.next().and_then(|cell| cell.parse().ok()).unwrap_or(f64::NAN));
            }
        }
        let mut columns: BTreeMap<String, Vec<f64>> = names.into_iter().map(str::to_owned).zip(columns).collect();
        Some(Self { time: columns.remove("time")?, columns })
    }

    /// The usual time between two rows.
    fn step(&self) -> f64 {
        let mut steps: Vec<f64> = self.time.windows(2).filter_map(|pair| Some(pair.last()? - pair.first()?)).collect();
        steps.sort_unstable_by(f64::total_cmp);
        steps.get(steps.len() / 2).copied().unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    #[test]
    fn a_case_is_read_with_its_normal_part_moved_and_its_alert_s_metric_only() {
        let dir = tempfile::tempdir().unwrap();
        let case = dir.path().join("c");
        std::fs::create_dir(&case).unwrap();
        let write = |file: &Path, text: &str| {
            let mut gz = GzEncoder::new(File::create(file).unwrap(), Compression::fast());
            gz.write_all(text.as_bytes()).unwrap();
            gz.finish().unwrap();
        };
        write(&dir.path().join("normal.csv.gz"), "time,a__latency__p50,a_b__latency__p50\n0,1,5\n300,,6\n");
        write(
            &case.join("metrics.csv.gz"),
            "time,a__latency__p50,a_b__latency__p50,a__rate__p50\n9000,2,7,1\n9300,3,8,1\n",
        );
        std::fs::write(dir.path().join("graph.csv"), ",a,a_b\na,0.0,1.0\na_b,0.0,0.0\n").unwrap();
        let truth = r#"{"set":"x","root_service":"a","t_inject":9000,"alert":{"node":"a","metric":"latency","stat":"p50"},
            "normal_file":"../normal.csv.gz","candidates":["a_b","a"]}"#;
        std::fs::write(case.join("truth.json"), truth).unwrap();
        let (names, facts) = read(&case, &Truth::read(&case).unwrap()).unwrap();
        assert_eq!(names, ["a", "a_b"]);
        assert_eq!(facts.calls, [(0, 1)]);
        let rows: Vec<_> = facts.series.iter().map(|s| (s.candidate, s.metric, s.values.clone(), s.bad)).collect();
        assert_eq!(rows, [(0, 0, vec![1.0, 2.0, 3.0], Bad::More), (1, 0, vec![5.0, 6.0, 7.0, 8.0], Bad::More)]);
        let seconds: Vec<i64> = facts.series[0].times.iter().map(|t| t / 1_000_000_000).collect();
        assert_eq!(seconds, [8400, 9000, 9300]);
    }
}
