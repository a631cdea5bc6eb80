//! What DataFusion says, in words for who asks here: no settings that nobody may change, no bugs that are none, and what to do.

use super::functions::HAS;

/// How JSON is looked into.
const JSON: &str =
    "JSON is looked into with -> and ->>, as evidence -> 0 ->> 'text', and json_list(members) makes a list of it";

/// What is said instead of a text that has this in it.
const INSTEAD: [(&str, &str); 2] = [
    ("CompiledTooBig", "a regular expression compiles to too much: make it shorter, or what it repeats"),
    (
        "unnest() can only be applied to",
        "unnest takes a list apart, and this is none: a list in JSON is made one by json_list, as unnest(json_list(members))",
    ),
];

/// What helps, behind a text that has this in it.
const HINTS: [(&str, &str); 5] = [
    ("require unique expression names", "two columns would have one name: give one of them another with AS"),
    ("No field named \"", "what is in double quotes is a column; text is put in single quotes"),
    ("found: TABLE at", "a table is read with SELECT * FROM it; SHOW TABLES names those there are"),
    ("found: ? at", HAS),
    ("Error parsing timestamp from", "a time is written as '2026-01-31 14:05:00', with its seconds, or as a date"),
];

/// What is said of the text of an error.
pub(super) fn of(text: String) -> String {
    let mut text = text;
    if let Some(said) = of_call(&text) {
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
        return Some(format!("this is no list: {HAS}"));
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
        name if name.contains("json") => JSON,
        name if name.starts_with("array_") || name.starts_with("list_") => HAS,
        _ => return None,
    };
    Some(format!("there is no function {name}: {instead}"))
}

/// Takes out what begins with `from` up to the end of its line.
fn without(text: &str, from: &str, to: &str) -> String {
    let Some((before, after)) = text.split_once(from) else { return text.to_owned() };
    let after = after.split_once('\n').map_or("", |(_, after)| after);
    format!("{before}{}{after}", if after.is_empty() { "" } else { to })
}
