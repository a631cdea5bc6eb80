//! What DataFusion says, in words for who asks here: no settings that nobody may change, no bugs that are none, and what to do.

use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan};

use super::functions::HAS;

/// How a list is made rows, and rows a text.
const APART: &str = "unnest takes a list apart, and string_agg makes one text of rows, as \
SELECT id, string_agg(m, ', ') FROM (SELECT id, unnest(json_list(members)) AS m FROM incidents) AS each GROUP BY id";

/// How JSON is looked into.
const JSON: &str =
    "JSON is looked into with -> and ->>, as evidence -> 0 ->> 'text', and json_list(members) makes a list of it";

/// What stands for a subquery that no plan can be made for.
const JOINED: &str = "a subquery or LATERAL that is asked anew for each row around it is not supported, but as an aggregate that compares with \
that row by = alone: join the table instead, ON e.ts BETWEEN r.finished_at - INTERVAL '1 minute' AND r.finished_at, and GROUP BY; the last \
before a time is ASOF JOIN events e MATCH_CONDITION (r.finished_at >= e.ts) ON e.name = r.pod";

/// What stands for EXISTS and IN where no plan can be made for them.
const ASKED: &str = "EXISTS and IN (SELECT ...) are asked in WHERE and not in a SELECT: there count what is found, as \
(SELECT count(*) FROM events e WHERE e.name = r.pod) > 0";

/// What is said instead of a text that has this in it.
const INSTEAD: [(&str, &str); 8] = [
    ("CompiledTooBig", "a regular expression compiles to too much: make it shorter, or what it repeats"),
    ("does not support logical expression ScalarSubquery", JOINED),
    ("does not support logical expression OuterReferenceColumn", JOINED),
    ("does not support logical expression Exists", ASKED),
    ("does not support logical expression InSubquery", ASKED),
    ("does not support logical expression SetComparison", JOINED),
    ("Correlated scalar subquery must be aggregated", JOINED),
    (
        "unnest() can only be applied to",
        "unnest takes a list apart, and this is none: a list in JSON is made one by json_list, as unnest(json_list(members))",
    ),
];

/// What helps, behind a text that has this in it.
const HINTS: [(&str, &str); 7] = [
    ("require unique expression names", "two columns would have one name: give one of them another with AS"),
    ("which would be ambiguous", "two columns would have one name: give one of them another with AS"),
    ("No field named \"", "what is in double quotes is a column; text is put in single quotes"),
    ("found: TABLE at", "a table is read with SELECT * FROM it; SHOW TABLES names those there are"),
    ("found: ? at", HAS),
    ("Error parsing timestamp from", "a time is written as '2026-01-31 14:05:00', with its seconds, or as a date"),
    (
        "Unsupported date_trunc granularity",
        "any other length is one of time_bucket, as time_bucket(INTERVAL '5 minutes', ts)",
    ),
];

/// Units behind a number in PromQL.
const UNITS: [&str; 7] = ["ms", "s", "m", "h", "d", "w", "min"];

/// What is said of the text of an error of the parser, which names where it came to a halt in `tokens`.
pub(super) fn of_syntax(text: String, tokens: &[TokenWithSpan]) -> String {
    let mut said = of(text);
    if let Some(place) = place(&said)
        && tokens
            .windows(2)
            .any(|two| matches!(two, [number, unit] if unit.span.start == place && is_length(number, unit)))
    {
        said.push_str("\na length of time is written as INTERVAL '5 minutes'");
    }
    said
}

/// As in `now() - 5m`.
fn is_length(number: &TokenWithSpan, unit: &TokenWithSpan) -> bool {
    let is_unit = matches!(&unit.token, Token::Word(w) if UNITS.iter().any(|u| w.value.eq_ignore_ascii_case(u)));
    is_unit && matches!(number.token, Token::Number(..))
}

/// The line and the column that the parser tells.
fn place(text: &str) -> Option<Location> {
    let (_, at) = text.rsplit_once(" at Line: ")?;
    let (line, column) = at.split_once(", Column: ")?;
    let column: String = column.chars().take_while(char::is_ascii_digit).collect();
    Some(Location { line: line.parse().ok()?, column: column.parse().ok()? })
}

/// What is said of the text of an error.
pub(super) fn of(text: String) -> String {
    let mut text = text;
    if let Some(said) = of_call(&text).or_else(|| of_times(&text)) {
        return said;
    }
    if let Some((_, instead)) = INSTEAD.iter().find(|(sign, _)| text.contains(sign)) {
        return (*instead).to_owned();
    }
    for (from, to) in [
        ("\nColumn names are case sensitive. You can use double quotes", "\n"),
        ("This issue was likely caused by a bug in DataFusion's code", ""),
    ] {
        text = without(&text, from, to);
    }
    // What came first says what is wrong; after it stands who passed it on.
    let text = text.rsplit_once("\ncaused by\n").map_or(&text[..], |(_, root)| root);
    let mut text = text.trim_end().trim_start_matches("Internal error: ").to_owned();
    if let Some((_, hint)) = HINTS.iter().find(|(sign, _)| text.contains(sign)) {
        text.push('\n');
        text.push_str(hint);
    }
    text
}

/// Types as Arrow calls them, longer ones first, and as SQL does.
const TYPES: [(&str, &str); 17] = [
    ("Timestamp(ns, \"UTC\")", "timestamp"),
    ("Timestamp(ns)", "timestamp"),
    ("LargeUtf8", "text"),
    ("Utf8View", "text"),
    ("Utf8", "text"),
    ("UInt64", "bigint"),
    ("UInt32", "bigint"),
    ("UInt16", "bigint"),
    ("UInt8", "bigint"),
    ("Int64", "bigint"),
    ("Int32", "bigint"),
    ("Int16", "bigint"),
    ("Int8", "bigint"),
    ("Float64", "double"),
    ("Float32", "double"),
    ("Float16", "double"),
    ("Boolean", "boolean"),
];

/// The same text with types as SQL calls them.
fn typed(text: &str) -> String {
    TYPES.iter().fold(text.to_owned(), |said, (arrow, sql)| said.replace(arrow, sql))
}

/// A function that was called with what it does not take: as what, and what there is.
fn of_call(text: &str) -> Option<String> {
    if let Some(said) = of_missing(text) {
        return Some(said);
    }
    if text.contains("call to 'array_length' function") || text.contains("call to 'cardinality' function") {
        let of_list =
            text.contains("argument types 'array_length(List(") || text.contains("argument types 'cardinality(List(");
        return Some(if of_list {
            "array_length takes a list, and behind it at most the number of a dimension, which is 1".to_owned()
        } else {
            format!("this is no list: {HAS}")
        });
    }
    // What a function says itself.
    if let Some((_, own)) = text.split_once("user-defined coercion failed with: ") {
        let own = own.split_once(". No function matches").map_or(own, |(own, _)| own);
        return Some(own.trim_start_matches("Error during planning: ").to_owned());
    }
    let (_, called) = text.split_once("No function matches the given name and argument types '")?;
    let (called, rest) = called.split_once('\'')?;
    match called.split('(').next()? {
        "array_has" => return Some(format!("this is no list: {HAS}")),
        // All that there are fill a page.
        "date_bin" => {
            return Some(
                "time_bucket takes how long a bucket is and then the time, as time_bucket(INTERVAL '5 minutes', ts)"
                    .to_owned(),
            );
        }
        _ => {}
    }
    let (_, candidates) = rest.split_once("Candidate functions:\n")?;
    let candidates: Vec<&str> = candidates.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
    Some(typed(&format!("there is no {called}, but {}", candidates.join(", "))))
}

/// A function that there is not, of which it is known what does the same.
fn of_missing(text: &str) -> Option<String> {
    let (_, named) = text.split_once("Invalid function '")?;
    let name = named.split('\'').next()?.to_ascii_lowercase();
    let instead = match &name[..] {
        "cardinality" | "array_size" | "list_size" | "len" => "array_length says how long a list is, and length a text",
        "age" => SPAN,
        name if name.contains("json") => JSON,
        name if name.ends_with("diff") => SPAN,
        name if (name.starts_with("array_") || name.starts_with("list_"))
            && ["string", "join", "position", "indexof"].iter().any(|of| name.contains(of)) =>
        {
            APART
        }
        name if name.starts_with("array_") || name.starts_with("list_") => HAS,
        _ => return None,
    };
    Some(format!("there is no function {name}: {instead}"))
}

/// How the time between two is asked for.
const SPAN: &str = "what lies between two times is finished_at - started_at, compared with an INTERVAL '60 seconds', and in seconds \
extract(epoch FROM finished_at - started_at)";

/// What was reckoned with times that cannot be.
fn of_times(text: &str) -> Option<String> {
    let has = |types: &[&str]| types.iter().any(|of| text.contains(of));
    if let Some((_, written)) = text.split_once("Invalid input syntax for type interval: ") {
        let written = written.lines().next().unwrap_or_default();
        return Some(format!(
            "{written} is no interval: it has a number, as INTERVAL '1 minute' or INTERVAL '90 seconds'"
        ));
    }
    if text.contains("Cannot coerce arithmetic expression") && has(&["Timestamp(", "Duration(", "Interval("]) {
        return Some("an interval is added to a time or taken from it, as now() - INTERVAL '5 minutes'".to_owned());
    }
    if text.contains("Cannot infer common argument type for comparison") {
        if has(&["Duration(", "Interval("]) {
            return Some(SPAN.to_owned());
        }
        if has(&["Timestamp("]) {
            return Some(
                "a time is compared with a time, as ts > '2026-01-31 14:05:00' or ts > now() - INTERVAL '5 minutes'; \
                 to_timestamp_seconds(n) makes one of a number"
                    .to_owned(),
            );
        }
    }
    None
}

/// Takes out what begins with `from` up to the end of its line.
fn without(text: &str, from: &str, to: &str) -> String {
    let Some((before, after)) = text.split_once(from) else { return text.to_owned() };
    let after = after.split_once('\n').map_or("", |(_, after)| after);
    format!("{before}{}{after}", if after.is_empty() { "" } else { to })
}
