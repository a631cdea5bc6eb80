//! What DataFusion says, in words for who asks here: no settings that nobody may change, no bugs that are none, and what to do.

/// What is said of the text of an error.
pub(super) fn of(text: String) -> String {
    let mut text = text;
    if let Some(said) = of_call(&text) {
        return said;
    }
    if text.contains("CompiledTooBig") {
        return "a regular expression compiles to too much: make it shorter, or what it repeats".to_owned();
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
    for (sign, hint) in [
        ("require unique expression names", "\ntwo columns would have one name: give one of them another with AS"),
        ("No field named \"", "\nwhat is in double quotes is a column; text is put in single quotes"),
        ("found: TABLE at", "\na table is read with SELECT * FROM it; SHOW TABLES names those there are"),
        (
            "Error parsing timestamp from",
            "\na time is written as '2026-01-31 14:05:00', with its seconds, or as a date",
        ),
    ] {
        if text.contains(sign) {
            text.push_str(hint);
        }
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

/// A function that was called with what it does not take: as what, and what there is.
fn of_call(text: &str) -> Option<String> {
    // What a function says itself.
    if let Some((_, own)) = text.split_once("user-defined coercion failed with: ") {
        let own = own.split_once(". No function matches").map_or(own, |(own, _)| own);
        return Some(own.trim_start_matches("Error during planning: ").to_owned());
    }
    let (_, called) = text.split_once("No function matches the given name and argument types '")?;
    let (called, rest) = called.split_once('\'')?;
    let (_, candidates) = rest.split_once("Candidate functions:\n")?;
    let candidates: Vec<&str> = candidates.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
    let mut said = format!("there is no {called}, but {}", candidates.join(", "));
    for (arrow, sql) in TYPES {
        said = said.replace(arrow, sql);
    }
    Some(said)
}

/// Takes out what begins with `from` up to the end of its line.
fn without(text: &str, from: &str, to: &str) -> String {
    let Some((before, after)) = text.split_once(from) else { return text.to_owned() };
    let after = after.split_once('\n').map_or("", |(_, after)| after);
    format!("{before}{}{after}", if after.is_empty() { "" } else { to })
}
