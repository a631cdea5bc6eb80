#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use arrow::array::{AsArray, Float64Array, Int64Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, UInt64Type};
use datafusion::datasource::MemTable;

use super::*;

mod bounds;
mod many;

/// `n` counts up, `x` is it but for each third, which is NULL.
fn numbers(rows: usize) -> Tables {
    let fields = vec![Field::new("n", DataType::Int64, false), Field::new("x", DataType::Float64, true)];
    let schema = Arc::new(Schema::new(fields));
    let batch = |first: usize| {
        let range = first..rows.min(first + 8192);
        let n = Int64Array::from_iter_values(range.clone().map(|i| i as i64));
        let x = Float64Array::from_iter(range.map(|i| (i % 3 != 0).then_some(i as f64)));
        RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(n), Arc::new(x)]).unwrap()
    };
    let batches = (0..rows).step_by(8192).map(batch).collect();
    Tables::new().with("numbers", Arc::new(MemTable::try_new(Arc::clone(&schema), vec![batches]).unwrap()))
}

/// Lets aborted tasks end.
async fn given_back(engine: &Engine) {
    let wait = async {
        while engine.reserved_bytes() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap();
}

async fn run(limits: EngineLimits, rows: usize, sql: &str) -> Result<Vec<RecordBatch>, QueryError> {
    Engine::new(limits).unwrap().query(numbers(rows), sql).await
}

fn refused(answer: Result<Vec<RecordBatch>, QueryError>) -> String {
    match answer {
        Err(QueryError::Refused(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn writes_settings_and_second_statements_are_refused_by_name() {
    for (sql, name) in [
        ("CREATE TABLE t AS SELECT 1", "CREATE TABLE"),
        ("CREATE VIEW v AS SELECT 1", "CREATE VIEW"),
        ("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'", "CREATE EXTERNAL"),
        ("DROP TABLE numbers", "DROP TABLE"),
        ("INSERT INTO numbers VALUES (1, 2)", "INSERT"),
        ("UPDATE numbers SET n = 1", "UPDATE"),
        ("DELETE FROM numbers", "DELETE"),
        ("TRUNCATE TABLE numbers", "TRUNCATE"),
        ("SET datafusion.execution.batch_size = 1", "SET"),
        ("RESET datafusion.execution.batch_size", "RESET"),
        ("EXPLAIN SHOW TABLES", "SHOW"),
        ("COPY numbers TO '/tmp/x.csv'", "COPY"),
        ("EXPLAIN COPY numbers TO '/tmp/x.csv'", "COPY"),
        ("EXPLAIN ANALYZE INSERT INTO numbers VALUES (1, 2)", "INSERT"),
        ("PREPARE p AS SELECT 1", "PREPARE"),
        ("WITH x AS (DELETE FROM numbers RETURNING n) SELECT * FROM x", "DELETE"),
        ("SELECT n INTO t FROM numbers", "INTO"),
        ("SELECT n FROM numbers WHERE n IN (SELECT n INTO t FROM numbers)", "INTO"),
    ] {
        let text = refused(run(EngineLimits::default(), 1, sql).await);
        assert!(text.starts_with(name), "{sql}: {text}");
    }
    assert_eq!(
        refused(run(EngineLimits::default(), 1, "SELECT 1; SELECT 2").await),
        "2 statements: send one at a time"
    );
}

#[tokio::test]
async fn only_the_given_tables_and_functions_are_there() {
    for sql in [
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM generate_series(1, 1000000000)",
        "SELECT repeat('x', 1000000000)",
        "SELECT lpad('x', 1000000000)",
        "SELECT uuid()",
        "SELECT input_file_name()",
        "SELECT levenshtein('a', 'b')",
        "SELECT random()",
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT * FROM r",
        "SELEC 1",
        "",
    ] {
        let answer = run(EngineLimits::default(), 1, sql).await;
        assert!(matches!(answer, Err(QueryError::Invalid(_))), "{sql}: {answer:?}");
    }
}

fn texts(batch: &RecordBatch) -> Vec<Vec<String>> {
    let options = arrow::util::display::FormatOptions::default().with_null("NULL");
    let columns = batch.columns().iter().map(|c| arrow::util::display::ArrayFormatter::try_new(c, &options).unwrap());
    let columns: Vec<_> = columns.collect();
    (0..batch.num_rows()).map(|row| columns.iter().map(|c| c.value(row).to_string()).collect()).collect()
}

#[tokio::test]
async fn tables_and_columns_are_told_without_a_query() {
    for (sql, rows) in [
        ("SHOW TABLES", vec![vec!["numbers"]]),
        ("show tables;", vec![vec!["numbers"]]),
        ("DESCRIBE numbers", vec![vec!["n", "bigint", "NO"], vec!["x", "double", "YES"]]),
        ("DESC Numbers", vec![vec!["n", "bigint", "NO"], vec!["x", "double", "YES"]]),
        ("SHOW COLUMNS FROM numbers", vec![vec!["n", "bigint", "NO"], vec!["x", "double", "YES"]]),
        ("SHOW COLUMNS IN whyd.public.\"numbers\"", vec![vec!["n", "bigint", "NO"], vec!["x", "double", "YES"]]),
    ] {
        let answer = run(EngineLimits::default(), 1, sql).await.unwrap();
        assert_eq!(texts(&answer[0]), rows, "{sql}");
    }
    for (sql, says) in [
        ("SHOW TABLES LIKE 'n%'", "a filter of SHOW TABLES is not supported: SHOW TABLES and DESCRIBE"),
        ("SHOW TABLES FROM other", "a filter of SHOW TABLES is not supported"),
        ("SHOW COLUMNS FROM numbers LIKE 'n%'", "a filter of SHOW COLUMNS is not supported"),
        ("SHOW FUNCTIONS", "SHOW FUNCTIONS is not supported: SHOW TABLES and DESCRIBE"),
        ("SHOW DATABASES", "SHOW DATABASES is not supported"),
        ("SHOW CREATE TABLE numbers", "SHOW CREATE is not supported"),
        ("SHOW server_version", "SHOW SERVER_VERSION is not supported"),
        ("DESCRIBE SELECT 1", "DESCRIBE takes the name of a table"),
    ] {
        let text = refused(run(EngineLimits::default(), 1, sql).await);
        assert!(text.starts_with(says), "{sql}: {text}");
    }
    for sql in ["DESCRIBE nothing", "DESCRIBE \"Numbers\"", "SHOW COLUMNS FROM other.numbers", "SELECT * FROM nothing"]
    {
        let answer = run(EngineLimits::default(), 1, sql).await;
        let named = |text: &str| text.contains("not found") && text.contains("SHOW TABLES");
        assert!(matches!(&answer, Err(QueryError::Invalid(text)) if named(text)), "{sql}: {answer:?}");
    }
    assert_eq!(
        refused(run(EngineLimits::default(), 1, "SHOW TABLES; SHOW TABLES").await),
        "2 statements: send one at a time"
    );
}

/// Each makes gigabytes of a query of a few kilobytes, if it is let.
#[tokio::test]
async fn text_grows_by_so_much_and_no_more() {
    let (long, short, of_column) = ("y".repeat(10_000), "y".repeat(900), vec!["t"; 16].join(", "));
    for sql in [
        format!("SELECT max(replace(n::text || 'xxxx', 'x', '{long}')) FROM numbers"),
        format!("SELECT max(replace('{long}', 'y', n::text)) FROM numbers"),
        format!("SELECT max(concat({of_column})) FROM (SELECT concat(n::text, '{short}') AS t FROM numbers) repeated"),
        format!(
            "SELECT max(concat_ws('-', {of_column})) FROM (SELECT concat(n::text, '{short}') AS t FROM numbers) repeated"
        ),
        // What is written out stands in few rows at a time.
        format!("SELECT max(overlay(n::text PLACING '{long}' FROM 1)) FROM numbers"),
        format!("SELECT max(regexp_replace(n::text, '\\d', '{long}', 'g')) FROM numbers"),
        format!("SELECT max(regexp_replace('{long}', 'y', n::text, 'g')) FROM numbers"),
        format!(
            "SELECT max((regexp_match('{long}', '{}.*{}'))[1] || n::text) FROM numbers",
            "(".repeat(90),
            ")".repeat(90)
        ),
        format!(
            "SELECT max((regexp_match(repeated.t, '{}.*{}'))[1]) FROM (SELECT concat(n::text, '{}') AS t FROM numbers) repeated",
            "(".repeat(90),
            ")".repeat(90),
            "y".repeat(900)
        ),
        format!("SELECT replace(replace('{long}', 'y', '{long}'), 'y', '{long}')"),
    ] {
        let answer = run(EngineLimits::default(), 20_000, &sql).await;
        let name = sql.replace(&long, "...");
        match answer {
            Err(QueryError::Failed(text)) => assert!(text.contains("longer by more than 8 MiB"), "{name}: {text}"),
            // A match of one text for all rows is made once.
            Ok(_) => assert!(name.contains("regexp_match('...'") || name.contains("overlay("), "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    let call = |n: usize| {
        format!(
            "SELECT {} FROM numbers",
            (0..n).map(|i| format!("concat(n, n) AS c{i}")).collect::<Vec<_>>().join(", ")
        )
    };
    assert!(run(EngineLimits::default(), 1, &call(32)).await.is_ok());
    assert!(refused(run(EngineLimits::default(), 1, &call(33)).await).contains("over the limit of 512"));
    // What people do is far from it.
    let sql = "SELECT count(DISTINCT replace(concat('pod-', n, '/', x), '/', '-')) FROM numbers";
    let answer = run(EngineLimits::default(), 100_000, sql).await.unwrap();
    assert_eq!(answer[0].column(0).as_primitive::<Int64Type>().value(0), 100_000);
}

#[tokio::test]
async fn a_pattern_is_written_out_and_compiles_to_little() {
    for sql in [
        "SELECT 'a' ~ n::text FROM numbers",
        "SELECT 'a' !~* n::text FROM numbers",
        "SELECT 'a' SIMILAR TO n::text FROM numbers",
        "SELECT regexp_like('a', n::text) FROM numbers",
        "SELECT REGEXP_MATCH('a', n::text) FROM numbers",
        "SELECT \"regexp_count\"('a', row_number() OVER () :: text) FROM numbers",
        "SELECT n FROM numbers WHERE n IN (SELECT n FROM numbers WHERE 'a' ~ n::text)",
        "SELECT regexp_replace('a', (SELECT 'a'), 'b')",
    ] {
        let text = refused(run(EngineLimits::default(), 1, sql).await);
        assert!(text.contains("must be written out"), "{sql}: {text}");
    }
    for (sql, says) in [
        (r"SELECT regexp_match('a', '\w{1000}{10}')", "size limit"),
        ("SELECT regexp_replace('a', '(', 'b')", "unclosed group"),
        ("SELECT regexp_replace('a', 'a', 'b', 'q')", "flags"),
        ("SELECT regexp_match('a', 'a', 'g')", "no flag g"),
    ] {
        let answer = run(EngineLimits::default(), 1, sql).await;
        assert!(
            matches!(&answer, Err(QueryError::Failed(text) | QueryError::Refused(text)) if text.contains(says)),
            "{sql}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn an_empty_answer_tells_its_columns() {
    let answer = run(EngineLimits::default(), 3, "SELECT n, x FROM numbers WHERE n > 5").await.unwrap();
    assert_eq!(answer.len(), 1);
    assert_eq!((answer[0].num_rows(), answer[0].num_columns()), (0, 2));
}

#[tokio::test]
async fn rows_are_capped_and_a_limit_helps() {
    let limits = EngineLimits { max_rows: 10, ..EngineLimits::default() };
    assert_eq!(run(limits.clone(), 11, "SELECT n FROM numbers").await, Err(QueryError::TooManyRows { max: 10 }));
    assert!(run(limits.clone(), 10, "SELECT n FROM numbers").await.is_ok());
    assert!(run(limits, 11, "SELECT n FROM numbers LIMIT 10").await.is_ok());
}

#[tokio::test]
async fn memory_is_bounded_and_given_back() {
    let limits = EngineLimits { memory_bytes: 1 << 20, max_rows: usize::MAX, ..EngineLimits::default() };
    let engine = Engine::new(limits).unwrap();
    for sql in [
        "SELECT n FROM numbers ORDER BY x DESC",
        "SELECT n, count(*) FROM numbers GROUP BY n",
        "SELECT a.n, b.x FROM numbers a JOIN numbers b ON a.n = b.n",
        "SELECT * FROM numbers",
    ] {
        let answer = engine.query(numbers(1_000_000), sql).await;
        assert_eq!(answer, Err(QueryError::Memory { bytes: 1 << 20 }), "{sql}");
        given_back(&engine).await;
    }
    assert!(engine.query(numbers(1_000_000), "SELECT sum(x) FROM numbers").await.is_ok());
}

#[tokio::test]
async fn a_spilling_engine_sorts_what_does_not_fit_and_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let limits = EngineLimits { memory_bytes: 48 << 20, ..EngineLimits::default() };
    let engine = Engine::spilling(limits, dir.path().to_owned(), 1 << 30).unwrap();
    let sql = "SELECT max(r) FROM (SELECT row_number() OVER (ORDER BY x DESC, n) AS r FROM numbers)";
    let answer = engine.query(numbers(4_000_000), sql).await.unwrap();
    assert_eq!(answer[0].column(0).as_primitive::<UInt64Type>().value(0), 4_000_000);
    let left: Vec<_> = walk(dir.path());
    assert!(left.is_empty(), "{left:?}");
}

fn walk(dir: &std::path::Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(walk(&path)) } else { files.push(path) }
    }
    files
}

/// None of these would end in an hour; each stops in a moment, whether it finds pairs or not.
#[tokio::test]
async fn time_is_bounded_whatever_a_join_does() {
    let timeout = Duration::from_millis(100);
    let engine = Engine::new(EngineLimits { timeout, max_rows: usize::MAX, ..EngineLimits::default() }).unwrap();
    for sql in [
        "SELECT sum(a.x) FROM numbers a CROSS JOIN numbers b CROSS JOIN numbers c",
        "SELECT count(*) FROM numbers a CROSS JOIN numbers b CROSS JOIN numbers c WHERE a.x + b.x > c.x",
        "SELECT count(*) FROM numbers a JOIN numbers b ON a.x + b.x < -1",
        "SELECT count(*) FROM numbers a JOIN numbers b ON a.n / 10000000 = b.n / 10000000",
        "SELECT count(*) FROM numbers a JOIN numbers b ON a.n / 10000000 = b.n / 10000000 AND a.x + b.x < -1",
        "SELECT count(*) FROM numbers a LEFT JOIN numbers b ON a.n / 10000000 = b.n / 10000000 AND a.x + b.x < -1",
        "SELECT count(*) FROM numbers a WHERE NOT EXISTS (SELECT 1 FROM numbers b WHERE a.x + b.x < -1)",
        "SELECT n, (SELECT count(*) FROM numbers a, numbers b, numbers c WHERE a.x + b.x > c.x) FROM numbers",
        "EXPLAIN ANALYZE SELECT count(*) FROM numbers a JOIN numbers b ON a.x + b.x < -1",
        // Of all pairs of a row only the first is given back.
        "SELECT count(DISTINCT a.x) FROM numbers a JOIN numbers b ON a.n / 10000000 = b.n / 10000000",
        "SELECT count(*) FROM numbers a WHERE a.n / 10000000 IN (SELECT b.n / 10000000 FROM numbers b)",
        "SELECT count(*) FROM numbers a WHERE a.n / 10000000 NOT IN (SELECT b.n / 10000000 FROM numbers b)",
    ] {
        let started = tokio::time::Instant::now();
        let answer = engine.query(numbers(1_000_000), sql).await;
        assert_eq!(answer, Err(QueryError::Timeout(timeout)), "{sql}");
        let took = started.elapsed();
        assert!(took < Duration::from_secs(3), "{sql}: {took:?}");
        given_back(&engine).await;
    }
}

#[tokio::test]
async fn a_bounded_join_still_joins() {
    for (sql, count) in [
        ("SELECT count(*) FROM numbers a JOIN numbers b ON a.n = b.n AND a.x <= b.x", 66),
        ("SELECT count(*) FROM numbers a JOIN numbers b ON a.n < b.n", 4950),
        ("SELECT count(*) FROM numbers a LEFT JOIN numbers b ON a.n + 1 = b.n AND a.x < b.x", 100),
        ("SELECT count(*) FROM numbers a, numbers b", 10_000),
        ("SELECT count(*) FROM (SELECT n FROM numbers UNION ALL SELECT n FROM numbers)", 200),
        ("SELECT count(*) FROM numbers WHERE n > (SELECT avg(n) FROM numbers)", 50),
    ] {
        let answer = run(EngineLimits::default(), 100, sql).await.unwrap();
        assert_eq!(answer[0].column(0).as_primitive::<Int64Type>().value(0), count, "{sql}");
    }
}

#[tokio::test]
async fn a_dropped_query_frees_its_memory() {
    let engine = Engine::new(EngineLimits::default()).unwrap();
    let sql = "SELECT count(*) FROM numbers a JOIN numbers b ON a.n = b.n WHERE a.x < b.x";
    {
        let mut query = Box::pin(engine.query(numbers(1_000_000), sql));
        for _ in 0..3 {
            let _ = futures::poll!(&mut query);
            tokio::task::yield_now().await;
        }
    }
    given_back(&engine).await;
}

/// The longest chains that are let in fit the stack, and what is longer is refused, not died of.
#[tokio::test]
async fn long_and_deep_queries_are_refused_not_died_of() {
    let chain = |first: &str, link: &str, n: usize, last: &str| format!("{first}{}{last}", link.repeat(n));
    let aliases = |n: usize| (0..n).map(|i| format!("numbers n{i}")).collect::<Vec<_>>().join(", ");
    let withs = |n: usize, of: fn(usize) -> String| {
        let withs: Vec<_> = (1..n).map(|i| format!("w{i} AS ({})", of(i - 1))).collect();
        format!("WITH w0 AS (SELECT n FROM numbers), {} SELECT count(*) FROM w{}", withs.join(", "), n - 1)
    };
    let once = |i: usize| format!("SELECT n FROM w{i} LIMIT 1");
    let twice = |i: usize| format!("SELECT n FROM w{i} UNION ALL SELECT n FROM w{i}");
    let inner = |i: usize| format!("SELECT n FROM w{i} WHERE n IN (SELECT n FROM w{i})");
    let grow = |i: usize| format!("SELECT n + n AS n FROM w{i} WHERE n < 1 AND n > -1");
    let grow_in_filter = |i: usize| format!("SELECT n FROM w{i} WHERE n < (SELECT n FROM w{i} WHERE n + n < n)");
    let engine = Engine::new(EngineLimits::default()).unwrap();
    for (sql, fits) in [
        (chain("SELECT n", "+1", 512, " FROM numbers"), true),
        (chain("SELECT n", "+1", 513, " FROM numbers"), false),
        (chain("SELECT n", "+1", 30_000, " FROM numbers"), false),
        (chain("SELECT n FROM numbers WHERE n=1", " OR n=1", 255, ""), true),
        (chain("SELECT n FROM numbers WHERE n=1", " AND n<>1", 255, ""), true),
        (chain("SELECT 'a'", "||n::text", 30, " FROM numbers"), true),
        (chain("SELECT 'a'", "||n::text", 33, " FROM numbers"), false),
        (chain("SELECT n", "::text::int", 256, " FROM numbers"), true),
        (chain("SELECT n IS NULL", " IS NULL", 511, " FROM numbers"), true),
        (chain("SELECT now()", " AT TIME ZONE 'UTC'", 512, ""), true),
        (chain("SELECT 1", " UNION ALL SELECT 1", 512, ""), true),
        (chain("SELECT 1", " UNION ALL SELECT 1", 3_000, ""), false),
        (chain("SELECT n FROM ", "(SELECT n FROM ", 15, "numbers") + &")".repeat(15), true),
        (format!("SELECT count(*) FROM numbers WHERE n IN ({}1)", "1, ".repeat(20_000)), true),
        (format!("SELECT count(*) FROM {} WHERE n0.n < 0", aliases(60)), true),
        (format!("SELECT count(*) FROM {} WHERE n0.n < 0", aliases(4_000)), false),
        (withs(60, once), true),
        (withs(1_000, once), false),
        (withs(6, twice), true),
        (withs(60, twice), false),
        (withs(60, inner), false),
        (withs(5, grow), true),
        (withs(60, grow), false),
        (withs(60, grow_in_filter), false),
    ] {
        let name = format!("{}... of {} bytes", &sql[..60.min(sql.len())], sql.len());
        let started = tokio::time::Instant::now();
        let answer = engine.query(numbers(3), &sql).await;
        assert!(started.elapsed() < Duration::from_secs(5), "{name}: {:?}", started.elapsed());
        assert_eq!(fits, answer.is_ok(), "{name}: {answer:?}");
        assert!(fits || matches!(answer, Err(QueryError::Refused(_))), "{name}: {answer:?}");
    }
    let nested = chain("SELECT ", "(", 10_000, "1") + &")".repeat(10_000);
    let answer = engine.query(numbers(3), &nested).await;
    assert!(matches!(answer, Err(QueryError::Invalid(_))), "{answer:?}");
}
