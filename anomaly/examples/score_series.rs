//! Scores series of a folder: `score_series <in> <out>`. Each `<name>.csv` of `<in>` has the columns `seconds` and
//! `value`; `<out>/<name>.scores.csv` gets the column `score`, one row each, and the time that one value took is told.
#![allow(clippy::print_stdout)]

use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use whyd_anomaly::detector::score::{Least, Scorer};
use whyd_signals::Timestamp;

fn main() -> std::io::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let [_, from, to] = args.as_slice() else {
        return Err(std::io::Error::other("usage: score_series <in> <out>"));
    };
    std::fs::create_dir_all(to)?;
    let (mut spent, mut values) = (0u128, 0usize);
    for entry in std::fs::read_dir(from)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(".csv")) else {
            continue;
        };
        let text = std::fs::read_to_string(&path)?;
        let rows: Vec<(Timestamp, f64)> = text.lines().skip(1).filter_map(row).collect();
        let mut scorer = Scorer::default();
        let least = Least::default();
        let start = Instant::now();
        let scores: Vec<_> = rows.iter().map(|(ts, value)| scorer.observe(*ts, *value, &least)).collect();
        spent += start.elapsed().as_nanos();
        values += rows.len();
        let mut out = String::from("score,sustained,level,season,local,drift\n");
        for scored in scores {
            let _ = match scored {
                Some(s) => {
                    let [level, season, local, drift] = s.parts;
                    writeln!(out, "{},{},{level},{season},{local},{drift}", bounded(s.anomaly_score), s.sustained)
                }
                None => writeln!(out, "0,0,0,0,0,0"),
            };
        }
        std::fs::write(Path::new(to).join(format!("{name}.scores.csv")), out)?;
    }
    println!("{values} values, {} ns each, {} bytes a series", spent / values.max(1) as u128, Scorer::BYTES);
    Ok(())
}

/// Into 0..1 by the map of the scorer, which applies it by itself only to files where something is above 1; for one
/// threshold over all files it has to be the same for each.
fn bounded(score: f64) -> f64 {
    score / (1.0 + score)
}

fn row(line: &str) -> Option<(Timestamp, f64)> {
    let (seconds, value) = line.split_once(',')?;
    Some((Timestamp((seconds.parse::<f64>().ok()? * 1e9) as i64), value.parse().unwrap_or(f64::NAN)))
}
