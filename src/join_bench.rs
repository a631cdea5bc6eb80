//! `whyd bench join`: the two joins that everything else is made of, over data whose answer is known, beside other engines.
//!
//! The data of `gen_join.py` goes through the core as senders would send it: remote write, Loki pushes and Kubernetes events,
//! merged by their times. Two queries are then asked of the tables as any caller asks: for each event the last sample of five
//! metrics, and for each event the error lines of its pod from five minutes before to one minute after. What they answer is
//! laid out as `bench_join.py` does, so that the digests compare.

mod index;
mod load;
mod wire;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type, TimestampNanosecondType};
use serde::Serialize;
use whyd_buffers::{Level, Scoped, Snapshot};
use whyd_correlate::engine::{Engine, EngineLimits};
use whyd_correlate::joins::kernel::asof_newest;
use whyd_correlate::tables::tables;
use whyd_signals::Access;

use crate::config::Config;

/// Bytes that queries may take; far more than they need.
const QUERY_MEMORY: usize = 8 << 30;

const METRICS: [&str; 5] = [
    "container_cpu_usage_seconds_total",
    "container_memory_working_set_bytes",
    "container_network_receive_bytes_total",
    "kube_pod_container_status_restarts_total",
    "http_requests_total",
];

const ASOF: &str = "
    SELECT e.team, date_bin(INTERVAL '1 minute', e.ts) AS minute, i.name, count(s.value) AS n, sum(s.value) AS total
    FROM events e
    JOIN series i ON i.namespace = e.namespace AND i.pod = e.name
    ASOF JOIN samples s MATCH_CONDITION (e.ts >= s.ts) ON s.series_id = i.series_id
    WHERE i.name IN ({})
    GROUP BY 1, 2, 3";

const INTERVAL: &str = "
    SELECT e.team, date_bin(INTERVAL '1 minute', e.ts) AS minute, g.line, count(*) AS n
    FROM events e
    JOIN logs g ON g.namespace = e.namespace AND g.pod = e.name
        AND g.ts BETWEEN e.ts - INTERVAL '5 minutes' AND e.ts + INTERVAL '1 minute'
    WHERE g.level = 'error'
    GROUP BY 1, 2, 3";

/// One line of the comparison: the keys of `bench_join.py`, and what the index cost.
#[derive(Debug, Serialize)]
pub struct Figures {
    engine: &'static str,
    ver: &'static str,
    threads: usize,
    load_s: f64,
    load_cpu: f64,
    /// Processor seconds to make the index from rows that are decoded: what other engines are given by their load.
    index_cpu: f64,
    /// Of it, for samples and for lines.
    index_parts: [f64; 2],
    asof_wall: f64,
    asof_cpu: f64,
    interval_wall: f64,
    interval_cpu: f64,
    total_wall: f64,
    total_cpu: f64,
    rss_after_load: u64,
    peak_rss: u64,
    rows: [usize; 2],
    pairs: u64,
    sha: String,
    /// Microseconds that one event costs the loop, which asks the kernels and plans nothing: the median, and 99 of 100.
    event_us: [f64; 2],
}

/// Loads the data of a folder and asks.
///
/// # Errors
/// When the data cannot be read, a row is not taken in, or a query fails.
pub fn run(dir: &Path, config: &Config, threads: usize, reps: usize, told: impl Fn(&str)) -> Result<Figures> {
    let (begun, cpu) = (Instant::now(), cpu_seconds()?);
    let snapshot = load::load(dir, config, &told)?;
    let (load_s, load_cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds()? - cpu);
    let rss_after_load = memory("VmRSS")?;

    let limits = EngineLimits {
        memory_bytes: QUERY_MEMORY,
        target_partitions: threads,
        max_rows: 10_000_000,
        timeout: Duration::from_secs(600),
    };
    let engine = Engine::new(limits)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let names = METRICS.map(|name| format!("'{name}'")).join(", ");
    let queries = [ASOF.replace("{}", &names), INTERVAL.to_owned()];
    let mut asked = [Vec::new(), Vec::new()];
    let mut answers = [Vec::new(), Vec::new()];
    for rep in 0..reps.max(1) {
        told(&format!("asking, {} of {reps}", rep + 1));
        for ((sql, taken), answer) in queries.iter().zip(&mut asked).zip(&mut answers) {
            answer.clear();
            let (begun, cpu) = (Instant::now(), cpu_seconds()?);
            *answer = runtime.block_on(engine.query(of(&snapshot), sql))?;
            taken.push((begun.elapsed().as_secs_f64(), cpu_seconds()? - cpu));
        }
    }
    let peak_rss = memory("VmHWM")?;
    let event_us = one_by_one(&snapshot.scoped(&Access::All));
    let [asof, interval] = &answers;
    let (asof, interval) = (asof_lines(asof)?, interval_lines(interval)?);
    let pairs = interval.iter().filter_map(|l| l.rsplit('|').next()?.parse::<u64>().ok()).sum();
    let [asof_taken, interval_taken] = &asked;
    let both: Vec<(f64, f64)> = asof_taken.iter().zip(interval_taken).map(|(a, b)| (a.0 + b.0, a.1 + b.1)).collect();
    drop((snapshot, answers));
    told("the index alone");
    let index_parts = index::cpu(dir, config)?;
    Ok(Figures {
        engine: "whyd",
        ver: env!("CARGO_PKG_VERSION"),
        threads,
        load_s,
        load_cpu,
        index_cpu: index_parts.iter().sum(),
        index_parts,
        asof_wall: median(asof_taken.iter().map(|t| t.0)),
        asof_cpu: median(asof_taken.iter().map(|t| t.1)),
        interval_wall: median(interval_taken.iter().map(|t| t.0)),
        interval_cpu: median(interval_taken.iter().map(|t| t.1)),
        total_wall: median(both.iter().map(|t| t.0)),
        total_cpu: median(both.iter().map(|t| t.1)),
        rss_after_load,
        peak_rss,
        rows: [asof.len(), interval.len()],
        pairs,
        sha: digest(&asof, &interval),
        event_us,
    })
}

/// The same two questions of each event by itself.
fn one_by_one(scoped: &Scoped) -> [f64; 2] {
    let before = Duration::from_secs(300);
    let after = Duration::from_secs(60);
    let mut taken: Vec<f64> = Vec::new();
    for seen in scoped.cluster().namespaces().flat_map(|n| n.events.iter()) {
        let (object, begun) = (&seen.event.involved_object, Instant::now());
        let last = METRICS.map(|metric| asof_newest(scoped, metric, &object.namespace, &object.name, None, seen.at));
        let mut errors = 0;
        let lines = (object.namespace.as_str(), object.name.as_str(), "");
        scoped.visit_last_lines(lines, seen.at.minus(before), seen.at.plus(after), usize::MAX, |line| {
            errors += usize::from(line.level == Level::Error);
        });
        std::hint::black_box((last, errors));
        taken.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    taken.sort_by(f64::total_cmp);
    let at = |share: f64| taken.get((taken.len() as f64 * share) as usize).copied().unwrap_or_default();
    [at(0.5), at(0.99)].map(|us| (us * 10.0).round() / 10.0)
}

fn of(snapshot: &std::sync::Arc<Snapshot>) -> whyd_correlate::engine::Tables {
    tables(&snapshot.scoped(&Access::All), Vec::new())
}

fn median(of: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = of.collect();
    all.sort_by(f64::total_cmp);
    let middle = all.get(all.len() / 2).copied().unwrap_or_default();
    (middle * 10_000.0).round() / 10_000.0
}

/// Minutes since 1970 of a column of times.
fn minutes(batch: &RecordBatch) -> Result<Vec<i64>> {
    let column = batch.column(1).as_primitive_opt::<TimestampNanosecondType>().context("no time in the answer")?;
    Ok(column.values().iter().map(|ns| ns / 60_000_000_000).collect())
}

fn asof_lines(batches: &[RecordBatch]) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for batch in batches {
        let (team, minute, name) =
            (batch.column(0).as_string::<i32>(), minutes(batch)?, batch.column(2).as_string::<i32>());
        let (n, total) = (batch.column(3).as_primitive::<Int64Type>(), batch.column(4).as_primitive::<Float64Type>());
        for row in (0..batch.num_rows()).filter(|row| n.value(*row) > 0) {
            let (minute, total) = (minute[row], total.value(row) as i64);
            lines.push(format!("{}|{minute}|{}|{}|{total}", team.value(row), name.value(row), n.value(row)));
        }
    }
    lines.sort_unstable();
    Ok(lines)
}

fn interval_lines(batches: &[RecordBatch]) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for batch in batches {
        let (team, minute, line) =
            (batch.column(0).as_string::<i32>(), minutes(batch)?, batch.column(2).as_string::<i32>());
        let n = batch.column(3).as_primitive::<Int64Type>();
        if line.null_count() > 0 {
            bail!("a line without text");
        }
        for (row, minute) in minute.iter().enumerate() {
            lines.push(format!("{}|{minute}|{}|{}", team.value(row), line.value(row), n.value(row)));
        }
    }
    lines.sort_unstable();
    Ok(lines)
}

/// The first eight bytes of the SHA-256 of all lines, in hexadecimal digits.
fn digest(asof: &[String], interval: &[String]) -> String {
    let text = format!("{}\n", [asof, interval].concat().join("\n"));
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Processor time of all threads so far, in nanoseconds' steps.
fn cpu_seconds() -> Result<f64> {
    let mut ns = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let of_task = std::fs::read_to_string(task?.path().join("schedstat")).context("/proc/self/task: schedstat")?;
        ns += of_task.split(' ').next().and_then(|n| n.parse::<u64>().ok()).context("schedstat without a number")?;
    }
    Ok(ns as f64 / 1e9)
}

/// MiB of a line of `/proc/self/status`.
fn memory(name: &str) -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|l| l.starts_with(name)).with_context(|| format!("/proc/self/status: no {name}"))?;
    let kib: u64 = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).context("no number")?;
    Ok(kib / 1024)
}
