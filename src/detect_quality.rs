//! What the score of single series says of labelled ones: `<name>.scores.csv` for each, as the scorers of the field read them.
//!
//! Below a folder lie CSV files, some in gzip: `timestamp,value`, or `Data,Label` without times, whose rows are taken to be
//! five minutes apart. Labels are not read. A score is of the values up to its row and of nothing else.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use whyd_anomaly::detector::score::{Least, Scorer};
use whyd_signals::Timestamp;

/// Between rows that have no time.
const STEP: Duration = Duration::from_secs(300);

/// The scores of one file.
#[derive(Debug, Serialize)]
pub struct Scores {
    /// Its name without what it ends with.
    pub series: String,
    /// How many values.
    pub values: usize,
    /// How many of them score above 1.
    pub above: usize,
    /// The highest score.
    pub most: f64,
    /// What one value took, in nanoseconds.
    pub ns: f64,
    /// A score for each row, 0 while it learns.
    #[serde(skip)]
    pub scores: Vec<f64>,
}

/// The scores of all series below `dir`, by name.
///
/// # Errors
/// When a file cannot be read, or there is none.
pub fn scored(dir: &Path) -> Result<Vec<Scores>> {
    let mut files = Vec::new();
    find(dir, &mut files)?;
    ensure!(!files.is_empty(), "{}: no file below it is a series: <name>.csv or <name>.csv.gz", dir.display());
    files.sort();
    files.iter().map(|path| of_file(path).with_context(|| format!("{}", path.display()))).collect()
}

fn find(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(dir).with_context(|| format!("{}", dir.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if series_name(&path).is_some() {
            files.push(path);
        }
    }
    Ok(())
}

/// `MAP.csv` says where the others are from.
fn series_name(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?;
    name.strip_suffix(".csv.gz").or_else(|| name.strip_suffix(".csv")).filter(|name| *name != "MAP")
}

fn of_file(path: &Path) -> Result<Scores> {
    let bytes = std::fs::read(path)?;
    let mut text = String::new();
    match path.extension().is_some_and(|e| e == "gz") {
        true => flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut text)?,
        false => bytes.as_slice().read_to_string(&mut text)?,
    };
    let rows = rows(&text)?;
    let (mut scorer, least, begun) = (Scorer::default(), Least::default(), Instant::now());
    let scores = rows.iter().map(|(ts, value)| scorer.observe(*ts, *value, &least).map_or(0.0, |s| s.anomaly_score));
    let scores: Vec<f64> = scores.collect();
    let ns = begun.elapsed().as_nanos() as f64 / rows.len().max(1) as f64;
    Ok(Scores {
        series: series_name(path).unwrap_or_default().to_owned(),
        values: scores.len(),
        above: scores.iter().filter(|s| **s > 1.0).count(),
        most: scores.iter().copied().fold(0.0, f64::max),
        ns,
        scores,
    })
}

fn rows(text: &str) -> Result<Vec<(Timestamp, f64)>> {
    let mut lines = text.lines();
    let head: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let column = |names: [&str; 2]| head.iter().position(|name| names.contains(name));
    let value = column(["value", "Data"]).context("no column value or Data")?;
    let time = column(["timestamp", "time"]);
    let row = |(n, line): (usize, &str)| -> Result<(Timestamp, f64)> {
        let cells: Vec<&str> = line.split(',').collect();
        let cell = |n: usize| cells.get(n).copied().unwrap_or_default();
        let at = match time {
            Some(time) => {
                let text = format!("{}Z", cell(time).replace(' ', "T"));
                Timestamp::parse(&text).with_context(|| format!("row {}: {:?} is no time", n + 2, cell(time)))?
            }
            None => Timestamp(0).plus(STEP * u32::try_from(n).unwrap_or(u32::MAX)),
        };
        // A cell without a number is a gap.
        Ok((at, cell(value).parse().unwrap_or(f64::NAN)))
    };
    lines.enumerate().map(row).collect()
}

/// Writes a file for each into `out`, which is made. Scores are in 0..1 by `s / (1 + s)`, the same for all, so that one threshold
/// serves all: ½ is a score of 1.
///
/// # Errors
/// When a file cannot be written.
pub fn write(all: &[Scores], out: &Path) -> Result<()> {
    std::fs::create_dir_all(out).with_context(|| format!("{}", out.display()))?;
    for of in all {
        let rows: String = of.scores.iter().map(|s| format!("{}\n", s / (1.0 + s))).collect();
        let path = out.join(format!("{}.scores.csv", of.series));
        std::fs::write(&path, format!("score\n{rows}")).with_context(|| format!("{}", path.display()))?;
    }
    Ok(())
}

/// For people.
pub fn text(all: &[Scores]) -> String {
    let mut out = format!("{:<48} {:>7} {:>8} {:>9} {:>7}\n", "series", "values", "above 1", "highest", "ns each");
    for of in all {
        out.push_str(&format!("{:<48} {:>7} {:>8} {:>9.2} {:>7.0}\n", of.series, of.values, of.above, of.most, of.ns));
    }
    let values: usize = all.iter().map(|of| of.values).sum();
    let ns = all.iter().map(|of| of.ns * of.values as f64).sum::<f64>() / values.max(1) as f64;
    out.push_str(&format!("{values} values, {ns:.0} ns each, {} bytes a series\n", Scorer::BYTES));
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn files_of_both_forms_are_scored_row_by_row() {
        let dir = tempfile::tempdir().unwrap();
        let spike = |n: usize| if n == 900 { 500.0 } else { (n % 7) as f64 };
        let plain: String = (0..1000).map(|n| format!("{},0\n", spike(n))).collect();
        let timed = |n: usize| format!("2026-01-{:02} {:02}:{:02}:00", 1 + n / 1440, n / 60 % 24, n % 60);
        let with_times: String = (0..1000).map(|n| format!("{},{}\n", timed(n), spike(n))).collect();
        std::fs::create_dir(dir.path().join("a")).unwrap();
        std::fs::write(dir.path().join("a/plain.csv"), format!("Data,Label\n{plain}")).unwrap();
        std::fs::write(dir.path().join("timed.csv"), format!("timestamp,value\n{with_times}")).unwrap();
        std::fs::write(dir.path().join("MAP.csv"), "id,file\n").unwrap();
        let all = scored(dir.path()).unwrap();
        assert_eq!(
            all.iter().map(|s| (s.series.as_str(), s.values)).collect::<Vec<_>>(),
            [("plain", 1000), ("timed", 1000)]
        );
        for of in &all {
            let highest = (0..1000).max_by(|a, b| of.scores[*a].total_cmp(&of.scores[*b])).unwrap();
            assert!(highest == 900 && of.most > 1.0 && of.above < 5, "{highest} {} {}", of.most, of.above);
        }
        let out = dir.path().join("out");
        write(&all, &out).unwrap();
        let text = std::fs::read_to_string(out.join("plain.scores.csv")).unwrap();
        let row: f64 = text.lines().nth(901).unwrap().parse().unwrap();
        assert!(text.starts_with("score\n") && text.lines().count() == 1001 && (0.5..1.0).contains(&row));
        assert!(scored(&out.join("none")).is_err());
    }
}
