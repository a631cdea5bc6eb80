//! What no memory pool counts, and what no timeout ends.

use arrow::array::StringArray;

use super::*;

/// Lines of 300 bytes, `pod` of seven, and `labels` in JSON.
fn lines(rows: usize) -> Tables {
    let field = |name: &str| Field::new(name, DataType::Utf8, true);
    let schema = Arc::new(Schema::new(vec![field("line"), field("pod"), field("labels")]));
    let batch = |first: usize| {
        let all = first..rows.min(first + 8192);
        let line = StringArray::from_iter_values(all.clone().map(|n| format!("{n:0300}")));
        let pod = StringArray::from_iter_values(all.clone().map(|n| format!("pod-{}", n % 7)));
        let labels =
            StringArray::from_iter_values(all.map(|n| format!(r#"{{"app":"a\"{}","n":{n},"no":null}}"#, n % 2)));
        RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(line), Arc::new(pod), Arc::new(labels)]).unwrap()
    };
    let batches = (0..rows).step_by(8192).map(batch).collect();
    Tables::new().with("logs", Arc::new(MemTable::try_new(Arc::clone(&schema), vec![batches]).unwrap()))
}

async fn asked(rows: usize, sql: &str) -> Result<Vec<RecordBatch>, QueryError> {
    let limits = EngineLimits { memory_bytes: 32 << 20, timeout: Duration::from_secs(20), ..EngineLimits::default() };
    Engine::new(limits).unwrap().query(lines(rows), sql).await
}

async fn one(rows: usize, sql: &str) -> String {
    texts(&asked(rows, sql).await.unwrap_or_else(|why| panic!("{sql}: {why}"))[0])[0].join("|")
}

fn says(answer: Result<Vec<RecordBatch>, QueryError>) -> String {
    match answer {
        Err(QueryError::Refused(text) | QueryError::Failed(text) | QueryError::Invalid(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn over_a_window_nothing_is_asked_that_grows_with_it() {
    for call in [
        "string_agg(line, '') OVER (ORDER BY line)",
        "array_agg(line) OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)",
        "\"array_agg\"(line) OVER w",
        "median(length(line)) OVER ()",
        "approx_distinct(line) OVER ()",
        "approx_percentile_cont(length(line), 0.5) OVER ()",
        "percentile_cont(length(line), 0.5) OVER ()",
        "count(DISTINCT line) OVER ()",
        "sum(DISTINCT length(line)) OVER ()",
    ] {
        let sql = format!("SELECT count(x) FROM (SELECT {call} AS x FROM logs WINDOW w AS (ORDER BY pod))");
        let text = refused(asked(10, &sql).await);
        assert!(text.contains("not allowed with OVER"), "{call}: {text}");
    }
    let sql = "SELECT max(a + b + c) FROM (SELECT row_number() OVER (ORDER BY line) AS a, count(*) OVER (PARTITION BY pod) AS b, \
               sum(length(line)) OVER (ORDER BY line ROWS 2 PRECEDING) AS c FROM logs)";
    assert_eq!(one(7_000, sql).await, "8900");
    // The same as groups.
    let sql =
        "SELECT count(*), max(length(a)) FROM (SELECT string_agg(line, '' ORDER BY line) AS a FROM logs GROUP BY pod)";
    assert_eq!(one(700, sql).await, "7|30000");
}

#[tokio::test]
async fn what_windows_and_aggregates_hold_is_counted_and_given_back() {
    let limits = EngineLimits { memory_bytes: 8 << 20, ..EngineLimits::default() };
    let engine = Engine::new(limits).unwrap();
    for of in [
        "(SELECT max(line) OVER () AS x FROM logs)",
        "(SELECT lead(line, 1000000) OVER (PARTITION BY pod) AS x FROM logs)",
        "(SELECT count(line) OVER (ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS x FROM logs)",
        "(SELECT string_agg(line, '') AS x FROM logs)",
        "(SELECT string_agg(DISTINCT line, '') AS x FROM logs)",
        "(SELECT string_agg(line, '' ORDER BY line DESC) AS x FROM logs GROUP BY pod)",
        "(SELECT array_agg(line) FILTER (WHERE pod <> 'pod-1') AS x FROM logs GROUP BY pod)",
    ] {
        let answer = engine.query(lines(100_000), &format!("SELECT count(x) FROM {of}")).await;
        assert_eq!(answer, Err(QueryError::Memory { bytes: 8 << 20 }), "{of}");
        given_back(&engine).await;
    }
    // What is answered is let go of.
    let sql = "SELECT max(x) FROM (SELECT count(line) OVER (ROWS 10 PRECEDING) AS x FROM logs)";
    let answer = engine.query(lines(100_000), sql).await.unwrap();
    assert_eq!(texts(&answer[0]), [["11"]]);
}

#[tokio::test]
async fn grouping_sets_are_few() {
    for sets in [
        "CUBE (line, pod, length(line), length(pod), 1)",
        "CUBE (line, pod), CUBE (length(line), length(pod)), ROLLUP (labels)",
        "ROLLUP (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)",
        "CUBE ((line, pod), (pod, labels), (labels, line), (line), (pod))",
    ] {
        let text = refused(asked(10, &format!("SELECT count(*) FROM logs GROUP BY {sets}")).await);
        assert!(text.contains("16 grouping sets"), "{sets}: {text}");
    }
    assert_eq!(one(70, "SELECT count(*) FROM (SELECT 1 FROM logs GROUP BY CUBE (pod, length(pod)))").await, "16");
    assert_eq!(one(70, "SELECT count(*) FROM (SELECT 1 FROM logs GROUP BY ROLLUP (pod, labels))").await, "78");
    assert_eq!(
        one(70, "SELECT count(*) FROM (SELECT 1 FROM logs GROUP BY GROUPING SETS ((pod), (labels), ()))").await,
        "78"
    );
}

#[tokio::test]
async fn a_time_is_shown_by_a_short_format_of_strftime() {
    let shown = |format: &str| format!("SELECT max(to_char(now(), '{format}')) FROM logs");
    let long = shown(&"%c".repeat(1000));
    for (sql, part) in [
        (&long[..], "256 are allowed"),
        (&shown(&"%c".repeat(128)), "longer by more than 8 MiB"),
        ("SELECT to_char(TIMESTAMP '2026-01-31T14:05:00', 'HH24:MI')", "has no % in it"),
        ("SELECT date_format(now(), line) FROM logs", "written out"),
    ] {
        let sql = sql.replace("now()", "to_timestamp_seconds((labels ->> 'n')::bigint)");
        let text = says(asked(10_000, &sql).await);
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(one(1, "SELECT to_char(TIMESTAMP '2026-01-31T14:05:00', '%H:%M %d.%m.')").await, "14:05 31.01.");
    let sql =
        "SELECT count(DISTINCT to_char(to_timestamp_seconds((labels ->> 'n')::bigint * 60), '%j %H:%M')) FROM logs";
    assert_eq!(one(1_000, sql).await, "1000");
}

/// Each makes gigabytes of what is a few megabytes, if it is let.
#[tokio::test]
async fn no_row_is_multiplied_that_is_long() {
    let put = |n: usize, with: &str| vec!["x"; n].join(with);
    let big = "(SELECT string_agg(line, '') AS x FROM logs WHERE pod <> 'pod-0')";
    for (sql, part) in [
        (format!("SELECT length({}) FROM {big}", put(30, " || ")), "4096 KiB"),
        (format!("SELECT count(*) FROM logs CROSS JOIN {big} b WHERE line < x"), "cannot be joined"),
        (format!("SELECT count(*) FROM logs JOIN {big} b ON length(line) < length(x) || pod"), "KiB"),
        ("SELECT count(u), max(x) FROM (SELECT unnest(a) AS u, x FROM (SELECT array_agg(line) AS a, string_agg(line, '') AS x FROM logs))".to_owned(), "unnest it alone"),
        (format!("SELECT max({}) FROM logs", (0..13).fold("line".to_owned(), |of, _| format!("upper(translate({of}, '0\u{399}\u{308}\u{301}', '{}'))", "\u{390}".repeat(4)))), "longer by more than 8 MiB"),
        (format!("SELECT max(length({})) FROM logs", (0..6).fold("line".to_owned(), |of, _| format!("({of} || {of})"))), "more than 256 columns"),
    ] {
        let text = says(asked(20_000, &sql).await);
        let sql: String = sql.chars().take(200).collect();
        assert!(text.contains(part) || text.contains("over the limit"), "{sql}: {text}");
    }
    assert_eq!(
        one(20_000, "SELECT count(u) FROM (SELECT unnest(a) AS u FROM (SELECT array_agg(line) AS a FROM logs))").await,
        "20000"
    );
    assert_eq!(one(20_000, "SELECT max(length(line || pod || '!')) FROM logs").await, "306");
    assert_eq!(one(1, "SELECT 'a' || 1 || NULL, 'a' || 1, 2 || 'b' || pod FROM logs").await, "NULL|a1|2bpod-0");
    let many = (0..300).map(|n| format!("max(reverse(left(line, {n})))")).collect::<Vec<_>>().join(", ");
    assert!(asked(20_000, &format!("SELECT {many} FROM logs")).await.is_ok());
}

/// A pattern of `LIKE` is compiled as a regular expression is, and one that is made of rows for each of them.
#[tokio::test]
async fn patterns_of_like_are_bounded() {
    for (sql, part) in [
        (format!("SELECT count(*) FROM logs WHERE line LIKE '{}b'", "%a".repeat(10_000)), "more than 256 KiB"),
        (format!("SELECT count(*) FROM logs WHERE line NOT ILIKE '{}'", "_".repeat(10_000)), "more than 256 KiB"),
        (
            format!(
                "SELECT count(*) FROM logs WHERE {}",
                vec![format!("line LIKE '{}b'", "%a".repeat(200)); 20].join(" OR ")
            ),
            "1024 KiB together",
        ),
        ("SELECT count(*) FROM logs WHERE line LIKE replace(line, '0', '%_')".to_owned(), "256 bytes"),
        (format!("SELECT count(*) FROM logs WHERE line LIKE coalesce('{}', pod)", "%a".repeat(10_000)), "256 bytes"),
    ] {
        let text = says(asked(1_000, &sql).await);
        assert!(text.contains(part), "{}: {text}", sql.chars().take(100).collect::<String>());
    }
    assert_eq!(
        one(700, "SELECT count(*) FROM logs WHERE pod LIKE 'p_d-%' AND pod LIKE left(pod, 3) || '%-%'").await,
        "700"
    );
    assert_eq!(one(70, "SELECT count(*) FROM logs a, logs b WHERE a.pod LIKE '%' || right(b.pod, 2)").await, "700");
    let answer = asked(1, "SELECT pod LIKE pod AS same, pod LIKE right(pod, 1) FROM logs").await.unwrap();
    assert_eq!(answer[0].schema().field(1).name(), "logs.pod LIKE right(logs.pod,Int64(1))");
}

/// What is looked for behind each that was found, and each time to the end.
#[tokio::test]
async fn what_is_found_often_is_found_in_time() {
    let limits = EngineLimits { timeout: Duration::from_millis(200), ..EngineLimits::default() };
    let engine = Engine::new(limits).unwrap();
    let of = "(SELECT string_agg(replace(line, '0', 'a'), '') AS t FROM logs) x";
    for call in [
        "regexp_count(t, '[^b]*b|a')",
        "regexp_instr(t, '[^b]*b|a', 1, 10000000)",
        "regexp_replace(t, '[^b]*b|a', 'x', 'g')",
    ] {
        let started = tokio::time::Instant::now();
        let answer = engine.query(lines(7_000), &format!("SELECT {call} FROM {of}")).await;
        assert_eq!(answer, Err(QueryError::Timeout(Duration::from_millis(200))), "{call}");
        while engine.tasks() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(started.elapsed() < Duration::from_secs(3), "{call}: {:?}", started.elapsed());
    }
}

/// Where a NULL takes as much as a query says, it says how much memory is taken.
#[tokio::test]
async fn no_type_has_a_length() {
    for of in [
        "NULL::bigint[1000000000]",
        "TRY_CAST(NULL AS bigint[1000000])",
        "arrow_cast(NULL, 'FixedSizeBinary(2000000000)')",
    ] {
        let text = refused(asked(10, &format!("SELECT count({of}) FROM logs")).await);
        assert!(text.contains("fixed length"), "{of}: {text}");
    }
    assert_eq!(one(1, "SELECT arrow_cast(length(line), 'Utf8')::text FROM logs").await, "300");
}

#[tokio::test]
async fn a_label_is_found_by_its_name() {
    let sql = "SELECT labels ->> 'app', labels['n'], labels ->> 'no', labels ->> 'none', line ->> 'app' FROM logs WHERE labels ->> 'app' = 'a\"1'";
    assert_eq!(one(2, sql).await, "a\"1|1|NULL|NULL|NULL");
    let sql = "SELECT labels ->> 'app' IS NULL, 'a\"0' = labels ->> 'app', labels ->> 'n' IN ('0', '7'), labels ->> 'n' || '!' LIKE '0_' AND true FROM logs";
    assert_eq!(one(1, sql).await, "false|true|true|true");
    assert_eq!(
        asked(1, "SELECT labels ->> 'app', labels['app'] FROM logs").await.unwrap()[0].schema().field(1).name(),
        "app_2"
    );
    assert_eq!(one(2, "SELECT labels -> 'app' FROM logs WHERE labels ->> 'n' = '1'").await, r#""a\"1""#);
}

/// It may stand in each row.
#[tokio::test]
async fn what_a_subquery_gives_is_so_long() {
    assert_eq!(one(50, "SELECT count(*) FROM logs WHERE line < (SELECT max(line) FROM logs)").await, "49");
    let first =
        |bytes: usize| format!("SELECT count((SELECT left(string_agg(line, ''), {bytes}) FROM logs)) FROM logs");
    assert_eq!(one(50, &first(4_096)).await, "50");
    let text = says(asked(50, &first(4_097)).await);
    assert!(text.contains("a subquery in an expression gives more than 4 KiB"), "{text}");
}

/// Each step writes those before it once more.
#[tokio::test]
async fn steps_into_json_are_so_many() {
    let steps = |n| format!("SELECT '[1]' {} FROM logs", "-> 0 ".repeat(n));
    assert_eq!(one(1, &steps(64)).await, "NULL");
    assert!(refused(asked(1, &steps(65)).await).contains("over the limit of 512"));
    let steps = |n| format!("SELECT '[1]' {} FROM logs", "['a']".repeat(n));
    assert_eq!(one(1, &steps(64)).await, "NULL");
    assert!(refused(asked(1, &steps(65)).await).contains("over the limit of 512"));
    // As one expects, wherever they stand.
    let sql = "SELECT 'x' = labels -> 'app' ->> 0 OR 'a\"0' = labels ->> 'app' AND labels ->> 'n' || '!' = '0' || '!' FROM logs";
    assert_eq!(one(1, sql).await, "true");
    let sql = "SELECT 'a\"0!' = labels ->> 'app' || '!', '!' || labels ->> 'n' || '?' = '!0?', 1 + 0 = (labels ->> 'n')::bigint + 1 FROM logs";
    assert_eq!(one(1, sql).await, "true|true|true");
}

#[tokio::test]
async fn what_is_wrong_is_said_with_what_helps() {
    for (sql, part) in [
        (
            "SELECT rate(length(line), now()) FROM logs",
            "there is no rate(bigint, timestamp), but rate(timestamp, double)",
        ),
        ("SELECT round(pod, pod) FROM logs", "there is no round(text, text), but round("),
        ("\\dt", "SHOW TABLES"),
        (" \\d logs", "DESCRIBE"),
        ("TABLE logs", "SELECT * FROM"),
        ("SELECT pod FROM logs WHERE pod = \"pod-1\"", "single quotes"),
        ("SELECT count(*) FROM logs WHERE TIMESTAMP '2026-01-31T14:05:00' > '2026-11-30 02:00'", "with its seconds"),
        ("SELECT count(*) FROM logs WHERE line ~ '((a{1,1000}){1,1000}){1,1000}'", "its size limit"),
        (
            "SELECT count(*) FROM logs WHERE line LIKE 'a' OR line SIMILAR TO ('(\\pL{1,100}){1' || ',20}')",
            "its size limit",
        ),
    ] {
        let text = says(asked(10, sql).await);
        assert!(text.contains(part) && !text.contains("DataFusion") && !text.contains("datafusion."), "{sql}: {text}");
    }
    let answer = asked(10, "SELECT count(*), count(*), max(pod)::text, max(pod)::text FROM logs").await.unwrap();
    let names: Vec<_> = answer[0].schema().fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names, ["count(*)", "count(*)_2", "max(logs.pod)", "max(pod)_2"]);
}
