#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use arrow::array::{AsArray, Float64Array, Int64Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use datafusion::datasource::MemTable;

use super::*;

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
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(engine.reserved_bytes(), 0);
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
        ("SHOW TABLES", "SHOW"),
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
        "SELECT random()",
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT * FROM r",
        "SELEC 1",
        "",
    ] {
        let answer = run(EngineLimits::default(), 1, sql).await;
        assert!(matches!(answer, Err(QueryError::Invalid(_))), "{sql}: {answer:?}");
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
    let limits = EngineLimits { memory_bytes: 24 << 20, ..EngineLimits::default() };
    let engine = Engine::spilling(limits, dir.path().to_owned(), 1 << 30).unwrap();
    let answer =
        engine.query(numbers(4_000_000), "SELECT n, x FROM numbers ORDER BY x DESC, n LIMIT 1 OFFSET 3999998").await;
    assert_eq!(answer.unwrap()[0].num_rows(), 1);
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
        "SELECT count(*) FROM numbers a CROSS JOIN numbers b CROSS JOIN numbers c",
        "SELECT count(*) FROM numbers a CROSS JOIN numbers b CROSS JOIN numbers c WHERE a.x + b.x > c.x",
        "SELECT count(*) FROM numbers a JOIN numbers b ON a.x + b.x < -1",
        "SELECT count(*) FROM numbers a JOIN numbers b ON a.n / 10000000 = b.n / 10000000",
        "SELECT count(*) FROM numbers a JOIN numbers b ON a.n / 10000000 = b.n / 10000000 AND a.x + b.x < -1",
        "SELECT count(*) FROM numbers a LEFT JOIN numbers b ON a.n / 10000000 = b.n / 10000000 AND a.x + b.x < -1",
        "SELECT count(*) FROM numbers a WHERE NOT EXISTS (SELECT 1 FROM numbers b WHERE a.x + b.x < -1)",
        "SELECT n, (SELECT count(*) FROM numbers a, numbers b, numbers c WHERE a.x + b.x > c.x) FROM numbers",
        "EXPLAIN ANALYZE SELECT count(*) FROM numbers a JOIN numbers b ON a.x + b.x < -1",
    ] {
        let started = tokio::time::Instant::now();
        let answer = engine.query(numbers(1_000_000), sql).await;
        assert_eq!(answer, Err(QueryError::Timeout(timeout)), "{sql}");
        let took = started.elapsed();
        assert!(took < Duration::from_secs(10), "{sql}: {took:?}");
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

/// The stack of a tokio worker is 2 MiB: the longest chain let in has to be planned and run on far less.
#[test]
fn the_longest_chains_that_are_let_in_fit_a_small_stack() {
    let chain = |first: &str, link: &str, n: usize| format!("{first}{}", link.repeat(n));
    let queries = [
        chain("SELECT n", "+1", 500) + " FROM numbers",
        chain("SELECT n FROM numbers WHERE n=1", " OR n=1", 250),
        chain("SELECT n FROM numbers WHERE n=1", " AND n<>1", 250),
        chain("SELECT 'a'", "||'a'", 500),
        chain("SELECT n", "::text::int", 250) + " FROM numbers",
        chain("SELECT n IS NULL", " IS NULL", 500) + " FROM numbers",
        chain("SELECT 1", " UNION ALL SELECT 1", 500),
        chain("SELECT n FROM numbers", " CROSS JOIN numbers", 40),
    ];
    for sql in queries {
        let name = sql[..40.min(sql.len())].to_owned();
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let answer = runtime.block_on(run(EngineLimits::default(), 3, &sql));
            if let Err(e) = answer {
                assert!(!matches!(e, QueryError::Refused(_)), "{name}: {e}");
            }
        };
        std::thread::Builder::new().stack_size(STACK).spawn(run).unwrap().join().unwrap();
    }
    let over = chain("SELECT 1", "+1", 600);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert!(refused(runtime.block_on(run(EngineLimits::default(), 1, &over))).contains("operators"));
}

const STACK: usize = 1 << 20;

#[test]
fn explore() {
    let Ok(sql) = std::env::var("F_SQL") else { return };
    let n: usize = std::env::var("F_N").unwrap().parse().unwrap();
    let link = std::env::var("F_LINK").unwrap();
    let tail = std::env::var("F_TAIL").unwrap_or_default();
    let stack: usize = std::env::var("F_STACK").unwrap().parse().unwrap();
    let sql = format!("{sql}{}{tail}", link.repeat(n));
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = runtime.block_on(run(EngineLimits::default(), 3, &sql));
        eprintln!("{:?}", answer.map(|a| a[0].num_rows()));
    };
    std::thread::Builder::new().stack_size(stack).spawn(run).unwrap().join().unwrap();
}
