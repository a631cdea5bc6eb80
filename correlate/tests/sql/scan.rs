//! What a scan reads: by time, by limit, and never the samples on the side of a join that is held.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;

use whyd_buffers::{Level, Levels, LinesWanted, Scoped};
use whyd_correlate::engine::{Engine, EngineLimits, QueryError};
use whyd_correlate::tables::{tables, tables_at};
use whyd_signals::{Access, Timestamp};

use crate::buffers::{ms, scoped, write_lines, write_samples, writer};
use crate::cluster;

fn explain(sql: &str) -> String {
    let writer = cluster::filled();
    let batches = ask(EngineLimits::default(), &scoped(&writer, &Access::All), &format!("EXPLAIN FORMAT INDENT {sql}"));
    let batches = batches.unwrap();
    let plans = batches[0].column(1).as_string::<i32>();
    plans.value(plans.len() - 1).to_owned()
}

fn ask(limits: EngineLimits, scoped: &Scoped, sql: &str) -> Result<Vec<RecordBatch>, QueryError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(Engine::new(limits).unwrap().query(tables(scoped, Vec::new()), sql))
}

#[track_caller]
fn reads(sql: &str, scan: &str) {
    let plan = explain(sql);
    assert!(plan.lines().any(|l| l.trim() == scan), "no {scan:?} in\n{plan}");
}

#[test]
fn times_in_a_filter_bound_the_scan() {
    reads("SELECT * FROM samples", "SnapshotScan: table=samples");
    let bounds = |from: &str, to: &str| {
        format!("SnapshotScan: table=samples, from=2026-11-22T13:00:{from}Z, to=2026-11-22T13:00:{to}Z")
    };
    for (sql, from, to) in [
        (
            "SELECT * FROM samples WHERE ts >= '2026-11-22T13:00:15Z' AND ts < '2026-11-22T13:00:30Z'",
            "15.000000000",
            "29.999999999",
        ),
        (
            "SELECT value FROM samples WHERE ts BETWEEN '2026-11-22T13:00:15Z' AND '2026-11-22T13:00:30Z'",
            "15.000000000",
            "30.000000000",
        ),
        (
            "SELECT * FROM samples WHERE TIMESTAMP '2026-11-22 13:00:30' >= ts AND ts > '2026-11-22T14:00:15+01:00' AND value > 1",
            "15.000000001",
            "30.000000000",
        ),
        (
            "SELECT * FROM samples WHERE ts <= '2026-11-22T13:00:30Z' AND ts >= TIMESTAMP '2026-11-22 13:00:30' - INTERVAL '15 seconds'",
            "15.000000000",
            "30.000000000",
        ),
    ] {
        reads(sql, &bounds(from, to));
    }
    reads(
        "SELECT line FROM logs WHERE ts >= '2026-11-22T13:00:15Z'",
        "SnapshotScan: table=logs, from=2026-11-22T13:00:15.000000000Z",
    );
    reads("SELECT * FROM samples WHERE ts >= '2026-11-22T13:00:15Z' OR value > 1", "SnapshotScan: table=samples");
}

#[test]
fn texts_and_series_in_a_filter_bound_the_scan() {
    reads(
        "SELECT labels FROM series WHERE name = 'up' AND pod IN ('a', 'b')",
        "SnapshotScan: table=series, name=up, pod=a|b",
    );
    reads("SELECT value FROM samples WHERE series_id = 3", "SnapshotScan: table=samples, series_id=3");
    reads(
        "SELECT line FROM logs WHERE team = 'a' AND level = 'error' AND line LIKE '%memory%'",
        "SnapshotScan: table=logs, level=error, team=a",
    );
    let plan = explain("SELECT value FROM samples ORDER BY series_id, ts");
    assert!(!plan.contains("SortExec"), "they come in that order:\n{plan}");
}

#[test]
fn a_limit_reaches_the_scan_unless_a_filter_is_in_between() {
    reads("SELECT value FROM samples LIMIT 3", "SnapshotScan: table=samples, limit=3");
    reads("SELECT value FROM samples WHERE value > 1 LIMIT 3", "SnapshotScan: table=samples");
    reads(
        "SELECT value FROM samples WHERE ts >= '2026-11-22T13:00:15Z' LIMIT 3",
        "SnapshotScan: table=samples, from=2026-11-22T13:00:15.000000000Z, limit=3",
    );
}

/// A join holds its first input: whichever way it is written, that must not be the samples.
#[test]
fn a_join_streams_the_samples() {
    for sql in [
        "SELECT s.value FROM samples s JOIN series r ON r.series_id = s.series_id",
        "SELECT s.value FROM series r JOIN samples s ON r.series_id = s.series_id",
        "SELECT s.value FROM samples s JOIN series r ON r.series_id = s.series_id JOIN restarts t ON t.pod = r.pod AND s.ts <= t.finished_at",
    ] {
        let plan = explain(sql);
        let scans: Vec<&str> = plan.lines().map(str::trim).filter(|l| l.starts_with("SnapshotScan")).collect();
        let held = plan
            .lines()
            .map(str::trim)
            .skip_while(|l| !l.starts_with("HashJoinExec"))
            .find(|l| l.starts_with("SnapshotScan"));
        assert!(held.is_some_and(|h| !h.contains("samples")), "{scans:?}\n{plan}");
    }
}

/// Memory for a part of the rows is enough to go through all of them.
#[test]
fn a_scan_holds_no_table() {
    let mut w = writer();
    let pods: Vec<String> = (0..100).map(|i| format!("pod-{i}")).collect();
    let labels: Vec<[(&str, &str); 2]> = pods.iter().map(|p| [("__name__", "m"), ("pod", p.as_str())]).collect();
    for second in 0..6_000 {
        let rows: Vec<_> = labels.iter().map(|l| (l as &[_], second * 1000, second as f64)).collect();
        write_samples(&mut w, ms(second * 1000), &rows);
    }
    w.seal(ms(7_200_000));
    // One task: how much is under way between several depends on when each of them runs.
    let limits = EngineLimits { memory_bytes: 5_000_000, target_partitions: 1, ..EngineLimits::default() };
    let scoped = scoped(&w, &Access::All);
    let sql = "SELECT count(*), sum(value) FROM samples JOIN series USING (series_id) WHERE name = 'm'";
    let answer = ask(limits.clone(), &scoped, sql).unwrap();
    assert_eq!(answer[0].column(0).as_primitive::<Int64Type>().value(0), 600_000);
    assert_eq!(ask(limits.clone(), &scoped, "SELECT * FROM samples LIMIT 5").unwrap()[0].num_rows(), 5);
    let sorted = ask(limits, &scoped, "SELECT value FROM samples ORDER BY value DESC, ts");
    assert!(matches!(sorted, Err(QueryError::Memory { .. })), "{sorted:?}");
}

/// A batch of lines ends after so many bytes, in the midst of a stream's if need be, and nothing is lost between two.
#[test]
fn long_lines_come_some_at_a_time() {
    let mut writer = writer();
    let stream: &[(&str, &str)] = &[("container", "web"), ("namespace", "team-a"), ("pod", "web-1")];
    let lines: Vec<String> =
        (0..300).map(|n| format!("{n:03}{}", "x".repeat(if n % 3 == 0 { 10 } else { 20_000 }))).collect();
    let rows: Vec<_> = lines.iter().enumerate().map(|(n, line)| (stream, n as i64, line.as_str())).collect();
    write_lines(&mut writer, ms(60_000), &rows);
    let scoped = scoped(&writer, &Access::All);
    let all = (Timestamp::MIN, Timestamp::MAX);
    for (levels, columns) in
        [(None, vec![7]), (None, vec![0, 7]), (Some(Levels::from_iter([Level::Unknown])), vec![7, 3])]
    {
        let wanted = LinesWanted { streams: None, levels };
        let batches: Vec<_> = scoped.log_batches(all, columns.clone().into(), wanted, (0, 1)).collect();
        assert!(batches.len() > 3, "{}", batches.len());
        let at = columns.iter().position(|n| *n == 7).unwrap();
        let texts =
            |batch: &RecordBatch| batch.column(at).as_string::<i32>().iter().flatten().map(str::to_owned).collect();
        let each: Vec<Vec<String>> = batches.iter().map(texts).collect();
        for batch in &each {
            assert!(batch.iter().map(String::len).sum::<usize>() < (1 << 20) + 20_003);
        }
        assert_eq!(each.concat(), lines);
    }
    // No line is read for another column.
    assert_eq!(scoped.log_batches(all, [3].into(), LinesWanted::default(), (0, 1)).count(), 1);
}

#[test]
fn what_was_seen_to_go_on_in_the_last_five_minutes_goes_on() {
    let writer = cluster::filled();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let engine = Engine::new(EngineLimits::default()).unwrap();
    // All were last seen to go on at 90 s.
    for (now, ongoing) in [(90_000, 2), (390_000, 2), (390_001, 0)] {
        let tables = tables_at(&scoped(&writer, &Access::All), Vec::new(), ms(now));
        let answer = runtime.block_on(engine.query(tables, "SELECT count(*) FROM anomalies WHERE ongoing")).unwrap();
        assert_eq!(answer[0].column(0).as_primitive::<Int64Type>().value(0), ongoing, "{now}");
    }
}
