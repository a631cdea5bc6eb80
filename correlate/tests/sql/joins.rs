//! The joins by time as SQL has them, against plain plans of DataFusion over the same rows: on random rows with ties, NULLs,
//! repetitions, late rows and empty sides, sealed and unsealed, seen by the platform or by one team, in one task or two.
//!
//! `WHYD_SQL_CASES=500 cargo test --release --workspace --test sql joins::` asks of more of them.
//!
//! A `LIMIT` that leaves everything keeps a side from being recognised, so the plan is then DataFusion's own.

use std::sync::Arc;

use arrow::array::{Array, Int64Array, StringArray, UInt32Array};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use proptest::prelude::*;
use whyd_buffers::Scoped;
use whyd_correlate::engine::{Engine, EngineLimits, QueryError, Tables};
use whyd_correlate::tables::tables;
use whyd_signals::Access;

use crate::buffers::{ms, scoped, write_lines, writer};
use crate::cluster;
use crate::twins::{Row, SECONDS, STREAMS, access, holds, lefts, rows, table, times, with_samples};

fn asked(tables: Tables, tasks: usize, sql: &str) -> Result<Vec<Vec<String>>, QueryError> {
    let limits = EngineLimits { target_partitions: tasks, ..EngineLimits::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let batches = runtime.block_on(Engine::new(limits).unwrap().query(tables, sql))?;
    let options = FormatOptions::default().with_null("NULL");
    let mut all = Vec::new();
    for batch in &batches {
        let columns: Vec<_> = batch.columns().iter().map(|c| ArrayFormatter::try_new(c, &options).unwrap()).collect();
        all.extend((0..batch.num_rows()).map(|n| columns.iter().map(|c| c.value(n).to_string()).collect::<Vec<_>>()));
    }
    all.sort();
    Ok(all)
}

/// Left rows over what may be seen: some without a series, some without a time.
fn over(scoped: &Scoped, series: &[Option<u32>], spans: &[(Option<i64>, i64)]) -> Tables {
    let time = |t: Option<i64>| t.map(|t| ms(t * 1000).0);
    let lo: arrow::array::TimestampNanosecondArray = spans.iter().map(|s| time(s.0)).collect();
    let left = table(vec![
        ("ord", Arc::new(Int64Array::from_iter_values(0..series.len() as i64))),
        ("series_id", Arc::new(series.iter().copied().collect::<UInt32Array>())),
        ("lo", Arc::new(lo.with_timezone("UTC"))),
        ("hi", Arc::new(times(spans.iter().map(|s| ms(s.1 * 1000))))),
    ]);
    tables(scoped, Vec::new()).with("lefts", left)
}

/// Each asks some two hundred queries.
fn cases() -> u32 {
    std::env::var("WHYD_SQL_CASES").map_or(20, |n| n.parse().unwrap())
}

const EVERY: &str = "(SELECT * FROM samples LIMIT 1000000)";

#[test]
fn joins_of_samples_are_what_plain_plans_say() {
    let nulls = prop::collection::vec((prop::bool::weighted(0.1), prop::bool::weighted(0.1)), 12);
    holds(cases(), &(rows(), lefts(), access(), nulls, 1..3_usize), |(rows, lefts, access, nulls, tasks)| {
        let (w, ids, _) = with_samples(&rows);
        let scoped = scoped(&w, &access);
        let series: Vec<_> = lefts.iter().zip(&nulls).map(|(l, n)| Some(ids[l.0].0).filter(|_| !n.0)).collect();
        let spans: Vec<_> = lefts.iter().zip(&nulls).map(|(l, n)| (Some(l.1).filter(|_| !n.1), l.2)).collect();
        let ask = |sql: &str| asked(over(&scoped, &series, &spans), tasks, sql).unwrap();

        for (op, order) in [(">=", "DESC"), (">", "DESC"), ("<=", "ASC"), ("<", "ASC")] {
            for filter in ["", "WHERE ts >= '2026-11-22T13:00:03Z'", "WHERE value > 1"] {
                let plain = ask(&format!(
                    "SELECT l.ord, m.ts, m.value FROM lefts l LEFT JOIN (
                        SELECT l.ord, s.ts, s.value, row_number() OVER (PARTITION BY l.ord ORDER BY s.ts {order}) AS n
                        FROM lefts l JOIN (SELECT * FROM {EVERY} e {filter}) s ON s.series_id = l.series_id AND l.lo {op} s.ts
                    ) m ON m.ord = l.ord AND m.n = 1"
                ));
                for right in ["samples", EVERY] {
                    let ours = ask(&format!(
                        "SELECT l.ord, s.ts, s.value FROM lefts l
                         ASOF JOIN (SELECT * FROM {right} e {filter}) s MATCH_CONDITION (l.lo {op} s.ts)
                         ON s.series_id = l.series_id"
                    ));
                    prop_assert_eq!(&ours, &plain, "{} {} {}", op, right, filter);
                }
            }
        }

        for bounds in [
            "s.ts BETWEEN l.lo AND l.hi",
            "s.ts > l.lo AND s.ts < l.hi",
            "l.lo < s.ts AND s.ts <= l.hi AND s.value < 2",
            "s.ts >= l.lo - INTERVAL '2 seconds' AND s.ts <= l.hi AND (s.value > 1 OR l.ord > 2)",
        ] {
            for of in [
                "SELECT l.ord, s.series_id, s.ts, s.value FROM lefts l JOIN {} s ON s.series_id = l.series_id AND {b}",
                "SELECT l.ord, s.ts, s.value FROM lefts l LEFT JOIN {} s ON s.series_id = l.series_id AND {b}",
                "SELECT l.ord, s.ts FROM {} s JOIN lefts l ON s.series_id = l.series_id AND {b} WHERE s.ts > '2026-11-22T13:00:02Z'",
                "SELECT l.ord, s.value FROM {} s RIGHT JOIN lefts l ON s.series_id = l.series_id AND {b}",
                "SELECT l.hi, s.series_id, count(*), count(s.value), min(nanvl(s.value, 9.0) + 1.0), max(l.ord) FROM lefts l
                 JOIN {} s ON s.series_id = l.series_id AND {b} GROUP BY 1, 2",
                "SELECT l.hi, s.series_id, date_bin(INTERVAL '4 seconds', s.ts) AS b, count(*) AS n, count(s.value) AS v
                 FROM lefts l JOIN {} s ON s.series_id = l.series_id AND {b} GROUP BY 1, 2, 3",
                "SELECT s.ts, count(1), min(s.series_id + 0.0), max(s.series_id + 0.0) FROM lefts l
                 JOIN {} s ON s.series_id = l.series_id AND {b} GROUP BY s.ts HAVING count(*) > 1",
                "SELECT l.ord, sum(s.series_id * 1.5), count(*) FROM lefts l
                 JOIN {} s ON s.series_id = l.series_id AND {b} GROUP BY l.ord",
                "SELECT count(*) FROM lefts l JOIN {} s ON s.series_id = l.series_id AND {b}",
            ] {
                let with = |right: &str| ask(&of.replace("{b}", bounds).replace("{}", right));
                prop_assert_eq!(with("samples"), with(EVERY), "{} {}", bounds, of);
            }
        }
        Ok(())
    });
}

#[test]
fn joins_of_lines_are_what_plain_plans_say() {
    let lefts = prop::collection::vec((0..4_usize, any::<bool>(), -2..SECONDS + 2, -2..SECONDS + 2), 0..8);
    holds(cases(), &(rows(), lefts, access(), 1..3_usize), |(rows, lefts, access, tasks): (Vec<Row>, _, _, _)| {
        let mut w = writer();
        for (stream, second, kind, seal) in &rows {
            let line = ["level=error x", "level=info y", "words", "level=warn z", "level=error w", "words too"][*kind];
            write_lines(&mut w, ms(60_000), &[(STREAMS[*stream], second * 1000, line)]);
            if *seal {
                w.seal(ms(12 * 60_000));
            }
        }
        let scoped = scoped(&w, &access);
        let label = |i: usize, name: &str| STREAMS[i].iter().find(|(n, _)| *n == name).unwrap().1;
        let texts = |name: &'static str| {
            let of = |l: &(usize, bool, i64, i64)| (!l.1 || name != "pod").then(|| label(l.0, name));
            Arc::new(lefts.iter().map(of).collect::<StringArray>())
        };
        let left = table(vec![
            ("ord", Arc::new(Int64Array::from_iter_values(0..lefts.len() as i64))),
            ("namespace", texts("namespace") as Arc<dyn Array>),
            ("pod", texts("pod")),
            ("lo", Arc::new(times(lefts.iter().map(|l| ms(l.2 * 1000))))),
            ("hi", Arc::new(times(lefts.iter().map(|l| ms(l.3 * 1000))))),
        ]);
        let ask = |sql: &str| asked(tables(&scoped, Vec::new()).with("lefts", left.clone()), tasks, sql).unwrap();
        for on in [
            "g.namespace = l.namespace AND g.pod = l.pod AND g.ts BETWEEN l.lo AND l.hi",
            "g.pod = l.pod AND g.ts > l.lo AND g.ts <= l.hi AND g.line <> l.pod",
            "g.team = l.pod AND g.ts BETWEEN l.lo AND l.hi",
        ] {
            for of in [
                "SELECT l.ord, g.* FROM lefts l JOIN {} g ON {on}",
                "SELECT l.ord, g.line, g.template_id FROM lefts l LEFT JOIN {} g ON {on}",
                "SELECT l.pod, g.line, count(*) FROM lefts l JOIN {} g ON {on} WHERE g.level = 'error' GROUP BY 1, 2",
                "SELECT g.level, g.team, count(*), count(g.level) FROM lefts l JOIN {} g ON {on}
                 WHERE g.line LIKE '%o%' AND g.container IN ('c', 'd') GROUP BY g.level, g.team",
                "SELECT l.ord, g.container, count(g.trace_id) FROM lefts l JOIN {} g ON {on}
                 WHERE g.ts >= '2026-11-22T13:00:03Z' GROUP BY 1, 2",
            ] {
                let with = |right: &str| ask(&of.replace("{on}", on).replace("{}", right));
                prop_assert_eq!(with("logs"), with("(SELECT * FROM logs LIMIT 1000000)"), "{} {}", on, of);
            }
        }
        Ok(())
    });
}

fn plan_of(sql: &str) -> String {
    let writer = cluster::filled();
    let sql = format!("EXPLAIN FORMAT INDENT {sql}");
    let rows = asked(tables(&scoped(&writer, &Access::All), Vec::new()), 2, &sql).unwrap();
    rows.into_iter().find(|r| r[0] == "physical_plan").unwrap()[1].clone()
}

#[test]
fn which_joins_are_recognised() {
    let of_samples = "FROM restarts r JOIN series i ON i.pod = r.pod JOIN samples s ON s.series_id = i.series_id
        AND s.ts BETWEEN r.started_at AND r.finished_at";
    let of_lines = "FROM events e JOIN logs g ON g.namespace = e.namespace AND g.pod = e.name
        AND g.ts BETWEEN e.ts - INTERVAL '5 minutes' AND e.ts + INTERVAL '1 minute'";
    for (sql, name) in [
        (format!("SELECT r.pod, s.value {of_samples}"), "IntervalJoinExec: samples"),
        (format!("SELECT r.pod, max(s.value) {of_samples} GROUP BY r.pod"), "IntervalTallyExec: "),
        (format!("SELECT e.name, g.line {of_lines}"), "IntervalJoinExec: logs"),
        (
            format!("SELECT e.name, g.template_id, count(*) {of_lines} WHERE g.level = 'error' GROUP BY 1, 2"),
            "logs, level=error",
        ),
        (format!("SELECT e.name, max(g.line) {of_lines} GROUP BY 1"), "IntervalJoinExec: logs"),
        (
            "SELECT * FROM restarts r ASOF JOIN events e MATCH_CONDITION (r.finished_at >= e.ts) ON e.name = r.pod"
                .into(),
            "AsofJoinExec: on=[pod",
        ),
        (
            "SELECT * FROM restarts r JOIN series i ON i.pod = r.pod
             ASOF JOIN samples s MATCH_CONDITION (r.finished_at >= s.ts) ON s.series_id = i.series_id
             JOIN pods p ON p.name = r.pod"
                .into(),
            "looked up in samples",
        ),
    ] {
        let plan = plan_of(&sql);
        assert!(plan.contains(name), "no {name:?} for {sql}\n{plan}");
    }
    // What is in parts is put together once, where nothing above asks for parts.
    let plan = plan_of(&format!("SELECT e.name, g.line, count(*) AS n {of_lines} GROUP BY 1, 2 ORDER BY n DESC"));
    assert!(plan.contains("IntervalTallyExec: tasks=2") && !plan.contains("AggregateExec"), "{plan}");
    // A filter of the left side reaches its scan.
    let plan = plan_of(
        "SELECT i.name, s.value FROM (SELECT *, TIMESTAMP '2026-11-22 13:00:30' AS at FROM series) i
         ASOF JOIN samples s MATCH_CONDITION (i.at >= s.ts) ON s.series_id = i.series_id WHERE i.name = 'up' AND s.value > 0",
    );
    assert!(plan.contains("table=series, name=up"), "{plan}");
}

/// What comes in another order, late or twice is joined as if it had come once and in order.
#[test]
fn joins_do_not_know_in_which_order_rows_came() {
    let lefts = prop::collection::vec((0..4_usize, -2..SECONDS + 2, -2..SECONDS + 2), 1..8);
    let places = prop::collection::vec(any::<u32>(), 80);
    holds(cases(), &(rows(), lefts, places, 1..3_usize), |(rows, lefts, places, tasks): (Vec<Row>, _, Vec<u32>, _)| {
        let in_order: Vec<Row> = rows.iter().map(|(of, second, kind, _)| (*of, *second, *kind, false)).collect();
        let mut shuffled: Vec<(u32, Row)> = places.into_iter().zip(rows.iter().chain(&rows).copied()).collect();
        shuffled.sort_by_key(|(place, _)| *place);
        let shuffled: Vec<Row> = shuffled.into_iter().map(|(_, row)| row).collect();
        let answers = [in_order, shuffled].map(|rows| {
            let (mut w, ids, _) = with_samples(&rows);
            for (stream, second, kind, seal) in &rows {
                let line = ["level=error x", "level=info y", "words", "level=warn z", "level=error w", "w"][*kind];
                write_lines(&mut w, ms(60_000), &[(STREAMS[*stream], second * 1000, line)]);
                if *seal {
                    w.seal(ms(12 * 60_000));
                }
            }
            let scoped = scoped(&w, &Access::All);
            let of = |name: &'static str| {
                let label = |i: usize| STREAMS[i].iter().find(|(n, _)| *n == name).unwrap().1;
                Arc::new(StringArray::from_iter_values(lefts.iter().map(|l| label(l.0)))) as Arc<dyn Array>
            };
            let left = table(vec![
                ("ord", Arc::new(Int64Array::from_iter_values(0..lefts.len() as i64))),
                ("series_id", Arc::new(UInt32Array::from_iter_values(lefts.iter().map(|l| ids[l.0].0)))),
                ("namespace", of("namespace")),
                ("pod", of("pod")),
                ("lo", Arc::new(times(lefts.iter().map(|l| ms(l.1 * 1000))))),
                ("hi", Arc::new(times(lefts.iter().map(|l| ms(l.2 * 1000))))),
            ]);
            [
                "SELECT l.ord, s.ts, s.value FROM lefts l
                 ASOF JOIN samples s MATCH_CONDITION (l.lo >= s.ts) ON s.series_id = l.series_id",
                "SELECT l.ord, s.ts, s.value FROM lefts l
                 JOIN samples s ON s.series_id = l.series_id AND s.ts BETWEEN l.lo AND l.hi",
                "SELECT l.hi, g.level, g.line, count(*) FROM lefts l JOIN logs g ON g.namespace = l.namespace AND g.pod = l.pod
                 AND g.ts BETWEEN l.lo AND l.hi GROUP BY 1, 2, 3",
            ]
            .map(|sql| asked(tables(&scoped, Vec::new()).with("lefts", left.clone()), tasks, sql).unwrap())
        });
        prop_assert_eq!(&answers[0], &answers[1]);
        Ok(())
    });
}

/// Rows that are in no pair are in no answer, and neither are the errors that they would make.
#[test]
fn rows_without_a_pair_make_no_error() {
    let writer = cluster::filled();
    let ask = |sql: &str| asked(tables(&scoped(&writer, &Access::All), Vec::new()), 2, sql);
    for sql in [
        // Only lines of web-1 have `=` in them.
        "SELECT CAST(split_part(g.line, '=', 3) AS BIGINT), count(*) FROM events e JOIN logs g ON g.namespace = e.namespace
         AND g.pod = e.name AND g.ts BETWEEN e.ts - INTERVAL '1 day' AND e.ts - INTERVAL '1 hour' GROUP BY 1",
        "SELECT e.uid, g.line FROM events e JOIN logs g ON g.pod = e.reason
         AND g.ts BETWEEN CAST(e.message AS TIMESTAMP WITH TIME ZONE) AND e.ts",
        // Both are asked of a series that is one and the same.
        "SELECT s.value FROM series a JOIN series b ON a.pod = b.name JOIN restarts r ON r.pod = a.pod JOIN samples s
         ON s.series_id = a.series_id AND s.series_id = b.series_id AND s.ts BETWEEN r.started_at AND r.finished_at",
        // Bounds that no sealed sample lies in.
        "SELECT * FROM samples WHERE ts > '2027-01-01T00:00:00Z' AND value > 0",
        "SELECT * FROM samples WHERE ts < '2025-01-01T00:00:00Z' AND value > 0",
    ] {
        assert_eq!(ask(sql).unwrap(), Vec::<Vec<String>>::new(), "{sql}");
    }
}

/// A join that gives pairs without end gives way to others, and to its timeout.
#[test]
fn pairs_without_end_are_given_up_in_time() {
    let mut w = writer();
    let line: Vec<(&[(&str, &str)], i64, &str)> = (0..5_000).map(|n| (STREAMS[0], n % 10_000, "words")).collect();
    write_lines(&mut w, ms(60_000), &line);
    let scoped = scoped(&w, &Access::All);
    let many = table(vec![("pod", Arc::new(StringArray::from_iter_values((0..5_000).map(|_| "p"))) as Arc<dyn Array>)]);
    let limits = EngineLimits { timeout: std::time::Duration::from_millis(300), ..EngineLimits::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let tables = tables(&scoped, Vec::new()).with("many", many);
    let sql = "SELECT sum(length) FROM (SELECT character_length(g.line) * character_length(m.pod) AS length
        FROM (SELECT pod, TIMESTAMPTZ '2026-11-22T13:00:00Z' AS at FROM many) m JOIN logs g ON g.pod = m.pod
        AND g.ts BETWEEN m.at - INTERVAL '1 hour' AND m.at + INTERVAL '1 hour')";
    let begun = std::time::Instant::now();
    let answer = runtime.block_on(Engine::new(limits).unwrap().query(tables, sql));
    assert!(matches!(answer, Err(QueryError::Timeout(_))), "{answer:?}");
    assert!(begun.elapsed() < std::time::Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[test]
fn what_an_as_of_join_does_not_take_is_said() {
    let writer = cluster::filled();
    for (join, said) in [
        ("MATCH_CONDITION (r.finished_at = e.ts) ON e.name = r.pod", "by >=, >, <= or <"),
        ("MATCH_CONDITION (e.ts >= e.ts) ON e.name = r.pod", "one comparison"),
        ("MATCH_CONDITION (r.finished_at >= e.ts) ON e.name > r.pod", "left = right"),
        ("MATCH_CONDITION (r.finished_at >= e.ts) ON e.name = r.pod OR e.kind = r.pod", "left = right"),
        ("MATCH_CONDITION (r.finished_at >= e.ts) USING (team)", "neither USING"),
    ] {
        let tables = tables(&scoped(&writer, &Access::All), Vec::new());
        let answer = asked(tables, 1, &format!("SELECT * FROM restarts r ASOF JOIN events e {join}"));
        assert!(matches!(&answer, Err(QueryError::Invalid(text)) if text.contains(said)), "{join}: {answer:?}");
    }
}
