//! The kernels and plain SQL give the same answer, on random rows: ties, repetitions, late rows, empty sides,
//! boundaries, sealed and unsealed, seen by the platform or by one team. A failure prints its seed.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray, UInt32Array};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, TimestampNanosecondType};
use datafusion::datasource::MemTable;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use whyd_buffers::{Scoped, Writer};
use whyd_correlate::engine::{Engine, EngineLimits};
use whyd_correlate::joins::kernel::{LinesOf, asof, asof_newest, slice, slice_lines};
use whyd_correlate::tables::tables;
use whyd_signals::schema::tables::ts_type;
use whyd_signals::{Access, Sample, SeriesId, Timestamp};

use crate::buffers::{ms, scoped, series_ids, write_lines, write_samples, writer};

pub(crate) type Labels = &'static [(&'static str, &'static str)];

const SERIES: [Labels; 4] = [
    &[("__name__", "m"), ("container", "c"), ("disk", "1"), ("namespace", "team-a"), ("pod", "p")],
    &[("__name__", "m"), ("container", "c"), ("disk", "2"), ("namespace", "team-a"), ("pod", "p")],
    &[("__name__", "m"), ("container", "c"), ("namespace", "team-a"), ("pod", "q")],
    &[("__name__", "m"), ("container", "c"), ("namespace", "team-b"), ("pod", "p")],
];
pub(crate) const STREAMS: [Labels; 4] = [
    &[("container", "c"), ("namespace", "team-a"), ("pod", "p")],
    &[("container", "d"), ("namespace", "team-a"), ("pod", "p")],
    &[("container", "c"), ("namespace", "team-a"), ("pod", "q")],
    &[("container", "c"), ("namespace", "team-b"), ("pod", "p")],
];
const VALUES: [f64; 6] = [0.0, -0.0, 1.5, f64::INFINITY, f64::NAN, f64::from_bits(whyd_signals::sample::STALE_BITS)];
/// Seconds of the rows; those of the left sides reach beyond.
pub(crate) const SECONDS: i64 = 12;

pub(crate) fn holds<S: Strategy>(cases: u32, strategy: &S, test: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let seed: u64 = std::env::var("SEED").map_or(1, |s| s.parse().unwrap());
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    if let Err(e) = runner.run(strategy, test) {
        panic!("SEED={seed}: {e}");
    }
}

/// (which series or stream, second, which value), and whether what was written so far is sealed after it.
pub(crate) type Row = (usize, i64, usize, bool);

pub(crate) fn rows() -> impl Strategy<Value = Vec<Row>> {
    prop::collection::vec((0..4_usize, 0..SECONDS, 0..VALUES.len(), prop::bool::weighted(0.1)), 0..40)
}

/// (which series, the unknown one included, two seconds).
pub(crate) fn lefts() -> impl Strategy<Value = Vec<(usize, i64, i64)>> {
    prop::collection::vec((0..5_usize, -2..SECONDS + 2, -2..SECONDS + 2), 0..12)
}

pub(crate) fn access() -> impl Strategy<Value = Access> {
    prop_oneof![Just(Access::All), Just(Access::team("a"))]
}

/// The rows in a writer, and what has to be stored: of one time the value that is larger.
pub(crate) fn with_samples(rows: &[Row]) -> (Writer, Vec<SeriesId>, BTreeMap<(usize, i64), f64>) {
    let mut w = writer();
    let mut ids = series_ids(&mut w, &SERIES.map(|s| s as &[_]));
    ids.push(SeriesId(4_000_000));
    let mut stored: BTreeMap<(usize, i64), f64> = BTreeMap::new();
    for (series, second, value, seal) in rows {
        let value = VALUES[*value];
        write_samples(&mut w, ms(60_000), &[(SERIES[*series], second * 1000, value)]);
        let kept = stored.entry((*series, *second)).or_insert(value);
        if value.total_cmp(kept).is_gt() {
            *kept = value;
        }
        if *seal {
            w.seal(ms(12 * 60_000));
        }
    }
    (w, ids, stored)
}

pub(crate) fn times(ts: impl IntoIterator<Item = Timestamp>) -> TimestampNanosecondArray {
    TimestampNanosecondArray::from_iter_values(ts.into_iter().map(|t| t.0)).with_timezone("UTC")
}

pub(crate) fn table(columns: Vec<(&str, Arc<dyn Array>)>) -> Arc<MemTable> {
    let fields: Vec<_> = columns.iter().map(|(n, c)| Field::new(*n, c.data_type().clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns.into_iter().map(|(_, c)| c).collect()).unwrap();
    Arc::new(MemTable::try_new(schema, vec![vec![batch]]).unwrap())
}

pub(crate) fn sql(scoped: &Scoped, lefts: Arc<MemTable>, sql: &str) -> Vec<RecordBatch> {
    let engine = Engine::new(EngineLimits::default()).unwrap();
    let tables = tables(scoped, Vec::new()).with("lefts", lefts);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(engine.query(tables, sql)).unwrap()
}

/// (left row, time, bits), NULLs as `None`.
type Found = (i64, Option<(i64, u64)>);

fn found(batches: &[RecordBatch]) -> Vec<Found> {
    let mut all = Vec::new();
    for b in batches {
        assert_eq!(*b.column(1).data_type(), ts_type());
        let ord = b.column(0).as_primitive::<Int64Type>();
        let ts = b.column(1).as_primitive::<TimestampNanosecondType>();
        let value = b.column(2).as_primitive::<Float64Type>();
        all.extend((0..b.num_rows()).map(|i| {
            assert_eq!(ts.is_null(i), value.is_null(i));
            (ord.value(i), ts.is_valid(i).then(|| (ts.value(i), value.value(i).to_bits())))
        }));
    }
    all
}

fn bits(s: Sample) -> (i64, u64) {
    (s.ts.0, s.value.to_bits())
}

const ASOF_BY_WINDOW: &str = "
    SELECT l.ord, m.ts, m.value FROM lefts l LEFT JOIN (
        SELECT l.ord, s.ts, s.value, row_number() OVER (PARTITION BY l.ord ORDER BY s.ts DESC) AS n
        FROM lefts l JOIN samples s ON s.series_id = l.series_id AND s.ts <= l.lo
    ) m ON m.ord = l.ord AND m.n = 1 ORDER BY l.ord";

const ASOF_BY_AGGREGATE: &str = "
    SELECT l.ord, s.ts, s.value FROM lefts l LEFT JOIN (
        SELECT l.ord, max(s.ts) AS ts FROM lefts l JOIN samples s ON s.series_id = l.series_id AND s.ts <= l.lo
        GROUP BY l.ord
    ) m ON m.ord = l.ord LEFT JOIN samples s ON s.series_id = l.series_id AND s.ts = m.ts ORDER BY l.ord";

const INTERVAL: &str = "
    SELECT l.ord, s.ts, s.value FROM lefts l JOIN samples s
    ON s.series_id = l.series_id AND s.ts BETWEEN l.lo AND l.hi ORDER BY l.ord, s.ts";

#[test]
fn asof_and_slice_are_what_sql_says() {
    holds(150, &(rows(), lefts(), access()), |(rows, lefts, access)| {
        let (w, ids, stored) = with_samples(&rows);
        let scoped = scoped(&w, &access);
        let visible = |series: usize| series < 3 || (series == 3 && access == Access::All);
        let left_table = || {
            table(vec![
                ("ord", Arc::new(Int64Array::from_iter_values(0..lefts.len() as i64))),
                ("series_id", Arc::new(UInt32Array::from_iter_values(lefts.iter().map(|l| ids[l.0].0)))),
                ("lo", Arc::new(times(lefts.iter().map(|l| ms(l.1 * 1000))))),
                ("hi", Arc::new(times(lefts.iter().map(|l| ms(l.2 * 1000))))),
            ])
        };

        let left: Vec<_> = lefts.iter().map(|l| (ms(l.1 * 1000), ids[l.0])).collect();
        let kernel: Vec<Found> =
            asof(&scoped, &left).into_iter().enumerate().map(|(i, s)| (i as i64, s.map(bits))).collect();
        let model = |(series, at, _): &(usize, i64, i64)| {
            let newest = stored.range((*series, i64::MIN)..=(*series, *at)).next_back().filter(|_| visible(*series));
            newest.map(|((_, second), value)| (ms(second * 1000).0, value.to_bits()))
        };
        let expected: Vec<Found> = lefts.iter().enumerate().map(|(i, l)| (i as i64, model(l))).collect();
        prop_assert_eq!(&kernel, &expected);
        prop_assert_eq!(&found(&sql(&scoped, left_table(), ASOF_BY_WINDOW)), &expected);
        prop_assert_eq!(&found(&sql(&scoped, left_table(), ASOF_BY_AGGREGATE)), &expected);

        let left: Vec<_> = lefts.iter().map(|l| (ids[l.0], ms(l.1 * 1000), ms(l.2 * 1000))).collect();
        let kernel: Vec<Found> = slice(&scoped, &left).into_iter().map(|(i, s)| (i as i64, Some(bits(s)))).collect();
        prop_assert_eq!(&kernel, &found(&sql(&scoped, left_table(), INTERVAL)));
        let inside = |l: &&(usize, i64, i64)| {
            stored.keys().filter(|(s, t)| *s == l.0 && visible(*s) && l.1 <= *t && *t <= l.2).count()
        };
        prop_assert_eq!(kernel.len(), lefts.iter().map(|l| inside(&l)).sum::<usize>());
        Ok(())
    });
}

const NEWEST: &str = "
    SELECT l.ord, m.ts, m.value FROM lefts l LEFT JOIN (
        SELECT l.ord, s.ts, s.value, row_number() OVER (PARTITION BY l.ord ORDER BY s.ts DESC, s.value DESC) AS n
        FROM lefts l JOIN series r ON r.name = 'm' AND r.namespace = l.namespace AND r.pod = l.pod
        JOIN samples s ON s.series_id = r.series_id AND s.ts <= l.lo
    ) m ON m.ord = l.ord AND m.n = 1 ORDER BY l.ord";

#[test]
fn a_metric_of_several_series_is_reduced_to_the_newest() {
    let lefts = prop::collection::vec((0..4_usize, -2..SECONDS + 2), 0..8);
    holds(80, &(rows(), lefts, access()), |(rows, lefts, access)| {
        // Total order of values is the same in SQL but for the two NaNs and the two zeros.
        let rows: Vec<Row> = rows.into_iter().map(|r| (r.0, r.1, 2 + r.2 % 2, r.3)).collect();
        let (w, _, _) = with_samples(&rows);
        let scoped = scoped(&w, &access);
        let label = |i: usize, name: &str| SERIES[i].iter().find(|(n, _)| *n == name).unwrap().1;
        let kernel = lefts.iter().enumerate().map(|(i, (series, at))| {
            let (namespace, pod) = (label(*series, "namespace"), label(*series, "pod"));
            (i as i64, asof_newest(&scoped, "m", namespace, pod, None, ms(at * 1000)).map(bits))
        });
        let names = |name: &'static str| StringArray::from_iter_values(lefts.iter().map(|l| label(l.0, name)));
        let left = table(vec![
            ("ord", Arc::new(Int64Array::from_iter_values(0..lefts.len() as i64))),
            ("namespace", Arc::new(names("namespace"))),
            ("pod", Arc::new(names("pod"))),
            ("lo", Arc::new(times(lefts.iter().map(|l| ms(l.1 * 1000))))),
        ]);
        prop_assert_eq!(kernel.collect::<Vec<Found>>(), found(&sql(&scoped, left, NEWEST)));
        Ok(())
    });
}

const LINES: &str = "
    SELECT l.ord, g.ts, g.line FROM lefts l JOIN logs g
    ON g.namespace = l.namespace AND g.pod = l.pod AND (l.container IS NULL OR g.container = l.container)
    AND g.ts BETWEEN l.lo AND l.hi";

#[test]
fn lines_of_pods_are_what_sql_says() {
    // (stream, whether all of its pod, two seconds)
    let lefts = prop::collection::vec((0..4_usize, any::<bool>(), -2..SECONDS + 2, -2..SECONDS + 2), 0..8);
    holds(100, &(rows(), lefts, access()), |(rows, lefts, access)| {
        let mut w = writer();
        for (i, (stream, second, again, seal)) in rows.iter().enumerate() {
            let line = format!("{i:03}");
            write_lines(&mut w, ms(60_000), &[(STREAMS[*stream], second * 1000, &line)]);
            if *again == 0 {
                write_lines(&mut w, ms(60_000), &[(STREAMS[*stream], second * 1000, &line)]);
            }
            if *seal {
                w.seal(ms(12 * 60_000));
            }
        }
        let scoped = scoped(&w, &access);
        let label = |i: usize, name: &str| STREAMS[i].iter().find(|(n, _)| *n == name).unwrap().1;
        let of = |l: &(usize, bool, i64, i64)| LinesOf {
            namespace: label(l.0, "namespace"),
            pod: label(l.0, "pod"),
            container: if l.1 { "" } else { label(l.0, "container") },
            from: ms(l.2 * 1000),
            to: ms(l.3 * 1000),
        };
        let left: Vec<LinesOf<'_>> = lefts.iter().map(of).collect();
        let kernel: Vec<(i64, i64, String)> =
            slice_lines(&scoped, &left).into_iter().map(|(i, l)| (i as i64, l.ts.0, l.line)).collect();
        prop_assert!(kernel.is_sorted(), "by left row, time and arrival: {:?}", kernel);
        if access != Access::All {
            prop_assert!(kernel.iter().all(|k| left[k.0 as usize].namespace == "team-a"));
        }

        let text = |of: fn(&LinesOf<'static>) -> &'static str| {
            let values: Vec<_> = left.iter().map(|l| Some(of(l)).filter(|t| !t.is_empty())).collect();
            StringArray::from(values)
        };
        let table = table(vec![
            ("ord", Arc::new(Int64Array::from_iter_values(0..left.len() as i64))),
            ("namespace", Arc::new(text(|l| l.namespace))),
            ("pod", Arc::new(text(|l| l.pod))),
            ("container", Arc::new(text(|l| l.container))),
            ("lo", Arc::new(times(left.iter().map(|l| l.from)))),
            ("hi", Arc::new(times(left.iter().map(|l| l.to)))),
        ]);
        let mut twin = Vec::new();
        for b in sql(&scoped, table, LINES) {
            assert_eq!(*b.column(2).data_type(), DataType::Utf8);
            let ord = b.column(0).as_primitive::<Int64Type>();
            let ts = b.column(1).as_primitive::<TimestampNanosecondType>();
            let line = b.column(2).as_string::<i32>();
            twin.extend((0..b.num_rows()).map(|i| (ord.value(i), ts.value(i), line.value(i).to_owned())));
        }
        twin.sort();
        prop_assert_eq!(kernel, twin);
        Ok(())
    });
}
