//! What DataFusion says, in words for who asks here: no settings that nobody may change, no bugs that are none, and what to do.

/// What is said of the text of an error.
pub(super) fn of(text: String) -> String {
    let mut text = text;
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

/// Takes out what begins with `from` up to the end of its line.
fn without(text: &str, from: &str, to: &str) -> String {
    let Some((before, after)) = text.split_once(from) else { return text.to_owned() };
    let after = after.split_once('\n').map_or("", |(_, after)| after);
    format!("{before}{}{after}", if after.is_empty() { "" } else { to })
}
