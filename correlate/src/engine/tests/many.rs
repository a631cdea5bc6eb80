//! Much of a kind in one query, and what fails in the midst of it.

use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::*;

/// Tables are read two at a time, however many there are, and nothing is lost or given twice.
#[tokio::test]
async fn unions_and_subqueries_are_read_in_turn() {
    let engine = Engine::new(EngineLimits::default()).unwrap();
    let union = vec!["SELECT n, x FROM numbers"; 100].join(" UNION ALL ");
    for (sql, rows) in [
        (format!("SELECT count(*), sum(n), count(x) FROM ({union})"), vec![vec!["10000", "495000", "6600"]]),
        (format!("SELECT n FROM ({union}) ORDER BY n DESC LIMIT 2"), vec![vec!["99"], vec!["99"]]),
        (
            format!("SELECT count(*) FROM (SELECT n FROM ({union}) GROUP BY n UNION ALL SELECT n FROM numbers)"),
            vec![vec!["200"]],
        ),
        (
            "SELECT (SELECT max(n) FROM numbers), (SELECT min(n) FROM numbers), (SELECT x FROM numbers WHERE n < 0)"
                .to_owned(),
            vec![vec!["99", "0", "NULL"]],
        ),
    ] {
        assert_eq!(texts(&engine.query(numbers(100), &sql).await.unwrap()[0]), rows, "{sql}");
        let plan = engine.query(numbers(100), &format!("EXPLAIN {sql}")).await.unwrap();
        assert_eq!(
            texts(&plan[0]).concat().concat().contains("InTurnExec: at_a_time=2"),
            sql.contains("UNION"),
            "{sql}"
        );
    }
    let two = "SELECT (SELECT n FROM numbers), (SELECT max(n) FROM numbers)";
    let answer = engine.query(numbers(100), two).await;
    assert!(matches!(&answer, Err(QueryError::Failed(text)) if text.contains("more than one row")), "{answer:?}");
}

#[tokio::test]
async fn lists_that_planning_takes_long_for_are_refused() {
    let many = |n: usize, each: &str| (0..n).map(|i| each.replace('#', &i.to_string())).collect::<Vec<_>>().join(", ");
    let engine = Engine::new(EngineLimits::default()).unwrap();
    for (sql, most, what) in [
        ("SELECT {} FROM numbers", 500, "n AS c#"),
        ("SELECT n FROM numbers ORDER BY {}", 32, "n + #"),
        ("SELECT count(*) FROM numbers GROUP BY {}", 32, "n + #"),
        ("SELECT first_value(n ORDER BY {}) FROM numbers", 32, "n + #"),
        ("SELECT DISTINCT ON ({}) n FROM numbers", 32, "n + #"),
        ("SELECT max(n) OVER (PARTITION BY {}) FROM numbers", 32, "n + #"),
        ("SELECT max(n) OVER w FROM numbers WINDOW w AS (ORDER BY {})", 32, "n + #"),
        ("SELECT {} FROM numbers", 32, "max(n) OVER (ORDER BY n + #) AS c#"),
        ("SELECT coalesce({}) FROM numbers", 1023, "abs(#)"),
    ] {
        let ask = async |n| engine.query(numbers(3), &sql.replace("{}", &many(n, what))).await;
        assert!(ask(most).await.is_ok(), "{sql}: {:?}", ask(most).await);
        let text = refused(ask(most + 1).await);
        assert!(text.contains("over the limit of"), "{sql}: {text}");
    }
    // A star is one letter.
    let withs = |n: usize| {
        format!(
            "WITH w AS (SELECT {} FROM numbers) {}",
            many(400, "n AS c#"),
            vec!["SELECT * FROM w"; n].join(" UNION ALL ")
        )
    };
    assert!(engine.query(numbers(3), &withs(2)).await.is_ok());
    assert!(refused(engine.query(numbers(3), &withs(100)).await).contains("more than 5000 columns"));
}

/// Panics at each number beyond a hundred.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Fragile(Signature);

impl ScalarUDFImpl for Fragile {
    fn name(&self) -> &'static str {
        "fragile"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, _: &[DataType]) -> datafusion::error::Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> datafusion::error::Result<ColumnarValue> {
        let numbers = args.args[0].to_array(args.number_rows)?;
        assert!(numbers.as_primitive::<Int64Type>().iter().all(|n| n < Some(100)), "too large");
        Ok(args.args[0].clone())
    }
}

/// Where a function panics, on the task of the query or on another of its tasks, its query has failed and no other.
#[tokio::test]
async fn a_panic_is_an_error_of_its_query() {
    let engine = Engine::new(EngineLimits::default()).unwrap();
    let ask = async |rows, sql: &str| {
        let fragile = ScalarUDF::from(Fragile(Signature::exact(vec![DataType::Int64], Volatility::Volatile)));
        engine.query(numbers(rows).with_function(fragile), sql).await
    };
    for sql in [
        "SELECT fragile(n) FROM numbers",
        "SELECT fragile(max(n)), n % 3 FROM numbers GROUP BY 2",
        "SELECT count(DISTINCT fragile(a.n)) FROM numbers a JOIN numbers b ON fragile(a.n) = b.n UNION ALL SELECT n FROM numbers",
        "SELECT fragile(9 * n) FROM (SELECT DISTINCT n FROM numbers)",
    ] {
        let answer = ask(10_000, sql).await;
        assert!(matches!(&answer, Err(QueryError::Failed(text)) if text.contains("broke off")), "{sql}: {answer:?}");
        given_back(&engine).await;
        assert!(ask(10, sql).await.is_ok(), "{sql}");
    }
}
