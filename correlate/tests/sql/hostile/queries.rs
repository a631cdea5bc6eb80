//! What is asked: of each kind that some limit is for, and of each function what lies beyond its values.

fn many(n: usize, with: &str, each: impl Fn(usize) -> String) -> String {
    (0..n).map(each).collect::<Vec<_>>().join(with)
}

/// Those that can be planned: one that cannot asks for nothing.
pub(super) fn planned() -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    // Of each pair of groups a row with the texts of both.
    let around = "b.pod = a.pod AND b.ts BETWEEN a.ts - INTERVAL '1 hour' AND a.ts + INTERVAL '1 hour'";
    let left = "(SELECT DISTINCT ts, namespace, pod FROM logs)";
    all.push(format!(
        "SELECT n FROM (SELECT a.ts, b.line, count(*) AS n FROM {left} a JOIN logs b ON {around} GROUP BY 1, 2) x ORDER BY n LIMIT 1"
    ));
    all.push(format!(
        "SELECT n FROM (SELECT a.t, b.ts, count(*) AS n FROM (SELECT ts, pod, replace(line, 'orders', '{}') AS t FROM logs LIMIT 20) a \
         JOIN logs b ON {around} GROUP BY 1, 2) x ORDER BY n LIMIT 1",
        "x".repeat(1_000)
    ));
    // A constant in each row of what is looked at whole.
    let constant = |kib: usize| format!("replace('{}', '0', '{}')", "0".repeat(4 * kib), "x".repeat(256));
    for kib in [8, 90, 600] {
        let constant = constant(kib);
        all.push(format!(
            "SELECT length(x), count(*) FROM (SELECT {constant} AS x FROM {left} a JOIN logs b ON {around}) y GROUP BY x"
        ));
        all.push(format!(
            "SELECT count(*) FROM {left} a JOIN logs b ON b.pod = CASE WHEN a.namespace = 'x' THEN {constant} ELSE a.pod END \
             AND b.ts BETWEEN a.ts - INTERVAL '1 hour' AND a.ts + INTERVAL '1 hour'"
        ));
        all.push(format!(
            "SELECT count(*) FROM {left} a JOIN logs b ON {around} AND b.line <> CASE WHEN b.level = 'x' THEN {constant} ELSE b.pod END"
        ));
        all.push(format!(
            "SELECT max(b.ts) FROM {left} a ASOF JOIN logs b MATCH_CONDITION (a.ts >= b.ts) \
             ON a.pod = CASE WHEN b.level = 'x' THEN {constant} ELSE b.pod END"
        ));
    }
    for kib in [3, 90] {
        let constant = constant(kib);
        for over in [
            format!("max({constant}) OVER (PARTITION BY pod)"),
            format!("max(CASE pod WHEN 'pod-1' THEN line ELSE {constant} END) OVER (PARTITION BY pod)"),
            format!("count(*) OVER (PARTITION BY CASE pod WHEN 'pod-1' THEN line ELSE {constant} END)"),
            format!("lag({constant}) OVER (PARTITION BY pod ORDER BY ts)"),
            format!("first_value({constant}) OVER (PARTITION BY pod ORDER BY ts)"),
            "max((SELECT max(left(line, 4000)) FROM logs)) OVER (PARTITION BY pod)".to_owned(),
        ] {
            all.push(format!("SELECT count(*), max(length(m::text)) FROM (SELECT {over} AS m FROM logs) x"));
        }
    }
    for table in ["logs", "samples", "series", "events", "anomalies"] {
        let scans = |of: &str| many(100, " UNION ALL ", |_| format!("SELECT {of} FROM {table}"));
        all.push(format!("SELECT count(*) FROM ({}) u", scans("*")));
        all.push(format!("SELECT * FROM ({}) u ORDER BY 1, 2 LIMIT 5", scans("*")));
        all.push(scans("*"));
    }
    let lines = |of: &str, n| many(n, " UNION ALL ", |_| format!("SELECT {of} FROM logs"));
    all.push(format!("SELECT max(length(line)), count(DISTINCT pod) FROM ({}) u", lines("*", 100)));
    all.push(format!("SELECT line, count(*) FROM ({}) u GROUP BY 1 ORDER BY 2 DESC LIMIT 3", lines("line", 100)));
    all.push(format!("SELECT count(*) FROM ({}) u", many(100, " UNION ", |_| "SELECT line FROM logs".into())));
    all.push(format!(
        "SELECT max(c) FROM ({}) u",
        many(100, " UNION ALL ", |_| "SELECT pod, count(*) AS c FROM logs GROUP BY 1".into())
    ));
    all.push(format!(
        "SELECT count(*) FROM ({}) u",
        many(60, " UNION ALL ", |n| format!("SELECT labels FROM series ORDER BY labels || '{n}'"))
    ));
    all.push(format!("SELECT {}", many(60, ", ", |n| format!("(SELECT max(left(line, {n})) FROM logs) AS c{n}"))));
    all.push(format!(
        "SELECT {}",
        many(60, ", ", |n| format!("(SELECT count(DISTINCT line) FROM logs WHERE length(line) > {n}) AS c{n}"))
    ));
    all.push(format!(
        "SELECT count(*) FROM {}",
        many(60, " JOIN ", |n| if n == 0 {
            "logs l0".to_owned()
        } else {
            format!("logs l{n} ON l{n}.line = l{}.line", n - 1)
        })
    ));
    all.push(format!("SELECT count(*) FROM {}", many(30, " CROSS JOIN ", |n| format!("logs l{n}"))));
    all.push(format!(
        "SELECT count(*) FROM logs WHERE {}",
        many(60, " OR ", |n| format!("line IN (SELECT line FROM logs WHERE length(line) > {n})"))
    ));

    // Lists in JSON: as many items as there is room for, and as many steps into it.
    let listed = "'[' || left(repeated.t, length(repeated.t) - 1) || ']'";
    let repeated = "(SELECT string_agg('1', ',') || ',' AS t FROM logs) repeated";
    let ones = format!("[{}]", many(30_000, ",", |_| "1".into()));
    all.push(format!("SELECT array_length(json_list({listed})) FROM {repeated}"));
    all.push(format!("SELECT count(*) FROM (SELECT unnest(json_list({listed})) FROM {repeated}) u"));
    all.push(format!("SELECT u, line FROM (SELECT unnest(json_list('{ones}')) AS u, line FROM logs) x"));
    all.push(format!("SELECT count(*) FROM (SELECT unnest(json_list('{ones}')) AS u, line FROM logs) x"));
    all.push(format!(
        "SELECT max(array_length(json_list('{ones}'))) FROM logs WHERE array_has(json_list('{ones}'), line)"
    ));
    all.push(format!("SELECT count(*) FROM logs WHERE line = ANY(json_list('{ones}'))"));
    all.push("SELECT max(array_length(json_list('[\"' || line || '\"]'))) FROM logs".into());
    all.push(format!(
        "SELECT count(*) FROM logs WHERE array_has(json_list('[1,' || length(line) || '{}]'), pod)",
        ",1".repeat(20_000)
    ));
    all.push(format!("SELECT {} FROM series", many(30, ", ", |n| format!("json_list(labels) AS c{n}"))));
    all.push(format!("SELECT max(labels {} ->> 'x') FROM series", "-> 'a' ".repeat(60)));
    all.push(format!("SELECT max('x' {}) FROM series", "['a']".repeat(252)));
    all.push(format!("SELECT max(labels{}) FROM series", "['a']".repeat(56)));
    // Constants that functions make many times longer than they are written, beside each row.
    let constant = |zeros: usize, ones: usize| {
        let (zeros, ones) = (many(zeros, ",", |_| "0".into()), many(ones, ",", |_| "1".into()));
        format!("replace('[{zeros}]', '0', '{ones}')")
    };
    let subquery = "(SELECT string_agg(line, '') FROM logs WHERE pod = 'pod-1')";
    for (zeros, ones) in [(500, 2_000), (20, 2_000), (2, 2_000)] {
        let text = constant(zeros, ones);
        let list = format!("json_list({text})");
        for made in [&text, &list] {
            all.push(format!(
                "SELECT count(x) FROM (SELECT CASE WHEN pod = 'zz' THEN NULL ELSE {made} END x FROM (SELECT pod FROM logs LIMIT 400) l) y"
            ));
        }
        all.push(format!("SELECT max(array_length(x)) FROM (SELECT CASE WHEN pod = 'zz' THEN NULL ELSE {list} END x FROM (SELECT pod FROM logs LIMIT 400) l) y"));
        all.push(format!("SELECT x FROM (SELECT unnest({list}) x, pod FROM logs) y ORDER BY x DESC LIMIT 1"));
        all.push(format!("SELECT count(x) FROM (SELECT unnest({list}) x FROM logs) y"));
    }
    for made in [subquery, &format!("json_list('[\"' || {subquery} || '\"]')")] {
        all.push(format!("SELECT count(x) FROM (SELECT CASE WHEN pod = 'zz' THEN NULL ELSE {made} END x FROM logs) y"));
    }
    let deep = "[".repeat(30_000) + &"]".repeat(30_000);
    for steps in [60, 500] {
        all.push(format!("SELECT max('{deep}' {}) FROM logs", "-> 0 ".repeat(steps)));
    }
    all.push(format!("SELECT count(*) FROM logs WHERE '{ones}' ->> -1 = line"));

    all
}

/// All others.
pub(super) fn others() -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let pairs = "samples a JOIN samples b ON a.series_id % 7 = b.series_id % 7";
    for query in include_str!("queries.sql").lines().skip(1) {
        let query = query
            .replace("{pairs}", pairs)
            .replace("{pairs_of}", &format!("SELECT a.ts, b.value FROM {pairs}"))
            .replace("{pairs_b}", "(SELECT a.* FROM samples a JOIN samples c ON a.series_id % 7 = c.series_id % 7)")
            .replace("{many}", &("a?".repeat(1_500) + &"a".repeat(700)))
            .replace("{wild}", &"%a".repeat(200));
        all.push(query);
    }
    all.push(format!("SELECT count(*) FROM logs WHERE line LIKE '{}b'", "%a".repeat(10_000)));
    all.push(format!("SELECT count(*) FROM logs WHERE line LIKE '{}b'", "%_a".repeat(2_000)));
    all.push(format!("SELECT count(*) FROM logs WHERE line ILIKE '{}b'", "%a".repeat(10_000)));
    all.push(format!("SELECT count(*) FROM logs WHERE line LIKE '{}%'", "_".repeat(30_000)));
    all.push(format!("SELECT count(*) FROM logs WHERE line SIMILAR TO '{}b'", "%a".repeat(5_000)));
    all.push(format!("SELECT count(*) FROM logs WHERE {}", many(250, " OR ", |n| format!("line LIKE '%a%{n}b%c'"))));
    all.push(format!("SELECT count(*) FROM logs WHERE {}", many(60, " OR ", |n| format!("line ~ 'a.*{n}.*b'"))));
    all.push(format!("SELECT count(*) FROM logs WHERE line ~ '{}'", "a?".repeat(2_000) + &"a".repeat(1_000)));
    all.push(format!("SELECT count(*) FROM logs WHERE line ~ '{}'", many(2_000, "|", |n| format!("word{n}x"))));
    all.push(format!("SELECT count(*) FROM logs WHERE line IN ({})", many(10_000, ",", |n| format!("'{n}'"))));
    all.push(format!("SELECT count(*) FROM logs WHERE line IN ({})", many(5_000, ",", |n| format!("pod || {n}"))));
    all.push(format!("SELECT count(*) FROM logs WHERE ts IN ({})", many(3_000, ",", |_| "now()".into())));
    all.push(format!("SELECT {} FROM logs", many(10_000, ",", |n| format!("1 c{n}"))));
    all.push(format!("SELECT {} FROM logs", many(5_000, ",", |n| format!("line c{n}"))));
    all.push(format!("SELECT {} FROM logs", many(12_000, ",", |_| "*".into())));
    all.push(format!("SELECT count(*) FROM (SELECT {} FROM logs) x", many(5_000, ",", |n| format!("line c{n}"))));
    all.push(format!(
        "SELECT * FROM (SELECT {} FROM logs LIMIT 400) x ORDER BY c0",
        many(499, ",", |n| format!("line c{n}"))
    ));
    all.push(format!("SELECT {} FROM samples", many(3_000, ",", |n| format!("max({n}) s{n}"))));
    all.push(format!("SELECT {} FROM logs", many(2_000, ",", |n| format!("count(DISTINCT left(line, {n})) s{n}"))));
    all.push(format!(
        "SELECT {} FROM logs",
        many(1_000, ",", |n| format!("max(line) OVER (ORDER BY left(line, {n})) s{n}"))
    ));
    all.push(format!("SELECT count(*) FROM logs GROUP BY {}", many(2_000, ",", |n| format!("left(line, {n})"))));
    all.push(format!("SELECT line FROM logs ORDER BY {}", many(2_000, ",", |n| format!("left(line, {n})"))));
    all.push(format!("SELECT CASE {} END FROM logs", many(2_500, " ", |n| format!("WHEN pod ='{n}' THEN '{n}'"))));
    all.push(format!("SELECT CASE pod {} END FROM logs", many(3_000, " ", |n| format!("WHEN '{n}' THEN line"))));
    all.push(format!("SELECT {} FROM logs", many(3_000, ",", |n| format!("coalesce(pod, 'a') c{n}"))));
    all.push(format!("SELECT coalesce({}) FROM logs", many(8_000, ",", |_| "pod".into())));
    all.push(format!("SELECT greatest({}) FROM logs", many(8_000, ",", |_| "line".into())));
    all.push(format!("SELECT [{}] FROM logs", many(8_000, ",", |_| "line".into())));
    all.push(format!("SELECT struct({}) FROM logs", many(8_000, ",", |_| "line".into())));
    all.push(format!("SELECT {}1{}", "abs(".repeat(40), ")".repeat(40)));
    all.push(format!("SELECT {}1{}", "(".repeat(30_000), ")".repeat(30_000)));
    all.push(format!("SELECT {}1{}", "abs(".repeat(12_000), ")".repeat(12_000)));
    all.push(format!("SELECT {}1{}", "[".repeat(30_000), "]".repeat(30_000)));
    all.push(format!("SELECT {}1", "NOT ".repeat(15_000)));
    all.push(format!("SELECT {}1", "- ".repeat(30_000)));
    all.push(format!("SELECT {}1{}", "CASE WHEN true THEN ".repeat(2_000), " END".repeat(2_000)));
    all.push(format!("SELECT 1 {}", "UNION ALL SELECT 1 ".repeat(3_000)));
    all.push(format!("{}SELECT 1{}", "SELECT * FROM (".repeat(3_000), ") x".repeat(3_000)));
    all.push(format!("SELECT 1 AS \"{}\"", "x".repeat(60_000)));
    all.push(format!("SELECT '{}'", "x".repeat(65_000)));
    all.push(format!("SELECT max('{}' || line) FROM logs", "x".repeat(60_000)));
    all.push(format!("SELECT '{}' FROM samples", "x".repeat(60_000)));
    all.push(format!("SELECT line, '{}' FROM logs ORDER BY 2, 1", "x".repeat(60_000)));
    all.push(format!("SELECT 1 FROM logs WHERE '{}' = line || pod", "x".repeat(60_000)));
    all.push(format!("SELECT 1 {}", "/* ".repeat(10_000)));
    all.push(format!("SELECT 1{}", " ".repeat(70_000)));
    all.push("SELECT 1 --".to_owned() + &"\u{202e}".repeat(1_000));
    all.push("SELECT 1 + 1 \0".to_owned());
    all.push(format!("SELECT {}", "9".repeat(60_000)));
    all.push(format!("SELECT 1e{}", "9".repeat(60_000)));
    all.push(format!("SELECT 0.{}1", "0".repeat(60_000)));
    all.push(format!("WITH {} SELECT * FROM w0", many(1_000, ",", |n| format!("w{n} AS (SELECT {n})"))));
    all.push(format!("SELECT * FROM (VALUES {}) v", many(8_000, ",", |n| format!("({n})"))));
    all.push(format!(
        "SELECT count(*) FROM (VALUES {}) v, (VALUES {}) w, logs",
        many(4_000, ",", |n| format!("({n})")),
        many(4_000, ",", |n| format!("({n})"))
    ));
    for count in [500, 1_500] {
        all.push(format!("SELECT {} FROM samples", many(count, ",", |n| format!("max(value - {n}) s{n}"))));
        all.push(format!("SELECT {} FROM samples", many(count, ",", |n| format!("max({n}) s{n}"))));
        all.push(format!(
            "WITH w AS (SELECT {} FROM logs) {}",
            many(400, ",", |n| format!("line c{n}")),
            many(count / 20, " UNION ALL ", |_| "SELECT * FROM w".into())
        ));
    }
    for keys in [16, 32, 64, 65] {
        all.push(format!("SELECT line FROM logs ORDER BY {}", many(keys, ",", |n| format!("left(line, {n})"))));
        all.push(format!("SELECT count(*) FROM logs GROUP BY {}", many(keys, ",", |n| format!("left(line, {n})"))));
        all.push(format!(
            "SELECT max(line) OVER (PARTITION BY {}) FROM logs",
            many(keys, ",", |n| format!("left(line, {n})"))
        ));
        all.push(format!(
            "SELECT {} FROM logs",
            many(keys, ",", |n| format!("max(pod) OVER (ORDER BY left(line, {n})) s{n}"))
        ));
        all.push(format!(
            "SELECT {} FROM samples",
            many(keys, ",", |n| format!("max(value) OVER (PARTITION BY series_id % {n} ORDER BY ts) s{n}")
                .replace(" % 0", ""))
        ));
        all.push(format!(
            "SELECT * FROM {}",
            many(keys, " JOIN ", |n| if n == 0 {
                "series s0".to_owned()
            } else {
                format!("series s{n} ON s{n}.series_id = s{}.series_id", n - 1)
            })
        ));
    }
    for (n, of) in ["count(*)", "max(a.line)"].iter().enumerate() {
        all.push(format!("SELECT {of} FROM logs a JOIN series s ON s.pod LIKE a.pod || '{n}%'"));
    }
    all
}
