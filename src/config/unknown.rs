//! Keys of a file that are none, each with its path and the key that was meant most likely, and values of a kind that their key
//! has not; all of them at once.
//!
//! What a file may hold is asked of its schema, which is made of the types that read it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The unknown keys of this file and the values of the wrong kind, and the file without them.
pub(super) fn keys(mut file: Value, schema: &Value) -> (Vec<String>, Value) {
    let mut known = BTreeMap::new();
    paths(schema, schema, "", &mut known, 0);
    let mut found = Found { root: schema, known, wrong: Vec::new() };
    found.look(&mut file, schema, "");
    (found.wrong, file)
}

struct Found<'a> {
    root: &'a Value,
    /// Name -> the paths at which there is such a key.
    known: BTreeMap<String, Vec<String>>,
    wrong: Vec<String>,
}

impl Found<'_> {
    /// Takes out of a value what its schema does not name, and what is of another kind than it names.
    fn look(&mut self, value: &mut Value, schema: &Value, at: &str) -> bool {
        let schema = resolved(schema, self.root);
        match value {
            Value::Object(map) => {
                let empty = Map::new();
                let keys = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
                let others = schema.get("additionalProperties");
                map.retain(|name, value| {
                    let path = below(at, name);
                    match (keys.get(name), others) {
                        (Some(schema), _) => self.fits(value, schema, &path) && self.look(value, schema, &path),
                        (None, Some(Value::Bool(false))) => {
                            self.wrong.push(format!("{path}: is no key; {}", self.meant(name, at, keys)));
                            false
                        }
                        (None, Some(schema)) => self.fits(value, schema, &path) && self.look(value, schema, &path),
                        (None, None) => true,
                    }
                });
            }
            Value::Array(all) => {
                let Some(schema) = schema.get("items") else { return true };
                let mut n = 0;
                all.retain_mut(|value| {
                    let path = format!("{at}[{n}]");
                    n += 1;
                    self.fits(value, schema, &path) && self.look(value, schema, &path)
                });
            }
            // What is read as text may look like a number or a truth value.
            Value::Number(number) if is_text(schema) => *value = Value::String(number.to_string()),
            Value::Bool(is) if is_text(schema) => *value = Value::String(is.to_string()),
            _ => {}
        }
        true
    }

    /// Whether a value is of a kind that its schema has; says so where it is not.
    fn fits(&mut self, value: &Value, schema: &Value, at: &str) -> bool {
        let kinds = kinds(resolved(schema, self.root));
        let is = |kind: &str| match value {
            Value::Null => true,
            Value::Bool(_) => kind == "boolean" || kind == "string",
            Value::Number(n) => kind == "number" || kind == "string" || kind == "integer" && (n.is_u64() || n.is_i64()),
            Value::String(_) => kind == "string",
            Value::Array(_) => kind == "array",
            Value::Object(_) => kind == "object",
        };
        if kinds.is_empty() || kinds.iter().any(|kind| is(kind)) {
            return self.bounded(value, schema, at);
        }
        let found = match value {
            Value::Null => "nothing",
            Value::Bool(_) => "a truth value",
            Value::Number(_) if kinds.contains(&"integer") => "a fraction",
            Value::Number(_) => "a number",
            Value::String(_) => "a text",
            Value::Array(_) => "a list",
            Value::Object(_) => "a mapping",
        };
        let must = kinds.iter().filter(|kind| **kind != "null").map(|kind| match *kind {
            "boolean" => "true or false",
            "integer" => "a whole number",
            "number" => "a number",
            "array" => "a list",
            "object" => "a mapping",
            _ => "a text",
        });
        self.wrong.push(format!("{at}: must be {}, not {found}", must.collect::<Vec<_>>().join(" or ")));
        false
    }

    /// Whether a number is within the bounds that its schema has; says so where it is not.
    fn bounded(&mut self, value: &Value, schema: &Value, at: &str) -> bool {
        let schema = resolved(schema, self.root);
        let bound = |word: &str| schema.get(word).and_then(Value::as_f64);
        let (Some(number), false) = (value.as_f64(), is_text(schema)) else { return true };
        let why = match (bound("minimum"), bound("maximum")) {
            (Some(least), _) if number < least => format!("at least {least}"),
            (_, Some(most)) if number > most => format!("at most {most}"),
            _ => return true,
        };
        self.wrong.push(format!("{at}: must be {why}"));
        false
    }

    /// Which key was meant: the nearest beside it, else one of the same name elsewhere, else any of those beside it.
    fn meant(&self, name: &str, at: &str, keys: &Map<String, Value>) -> String {
        let plain = |name: &str| name.replace(['_', '-'], "").to_lowercase();
        let name = plain(name);
        let near = keys.keys().map(|key| (distance(&plain(key), &name), key));
        // A third of its letters may be others.
        let near = near.filter(|(far, key)| far * 3 <= key.chars().count().max(3)).min();
        if let Some((_, key)) = near {
            return format!("{:?} is the nearest", below(at, key));
        }
        let elsewhere = self.known.iter().filter(|(key, _)| plain(key) == name).flat_map(|(_, paths)| paths);
        if let Some(path) = elsewhere.min_by_key(|path| path.len()) {
            return format!("{path:?} is the nearest");
        }
        let keys: Vec<&str> = keys.keys().map(String::as_str).collect();
        format!("those there are {}", keys.join(", "))
    }
}

fn is_text(schema: &Value) -> bool {
    kinds(schema).contains(&"string")
}

/// The kinds of value that a schema names; none where it names no kind.
fn kinds(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn below(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

/// A schema without its references; of alternatives the one that has keys or items.
fn resolved<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    let mut schema = schema;
    // Nothing is nested deeper, and a reference that leads to itself ends.
    for _ in 0..16 {
        let reference = schema.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix('#'));
        let alternatives = ["anyOf", "oneOf", "allOf"].into_iter().find_map(|word| schema.get(word)?.as_array());
        let has = |one: &&Value| ["$ref", "properties", "items"].iter().any(|word| one.get(word).is_some());
        let next = match (reference, alternatives) {
            (Some(to), _) => root.pointer(to),
            (None, Some(all)) if schema.get("properties").is_none() => all.iter().find(has),
            _ => None,
        };
        let Some(next) = next else { break };
        schema = next;
    }
    schema
}

/// All keys that there may be.
fn paths(schema: &Value, root: &Value, at: &str, known: &mut BTreeMap<String, Vec<String>>, depth: usize) {
    let schema = resolved(schema, root);
    if depth > 16 {
        return;
    }
    for (name, schema) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = below(at, name);
        known.entry(name.clone()).or_default().push(path.clone());
        paths(schema, root, &path, known, depth + 1);
    }
    if let Some(items) = schema.get("items") {
        paths(items, root, &format!("{at}[]"), known, depth + 1);
    }
}

/// How many letters have to be put in, taken away, exchanged for another or with the next.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let from = |row: Option<&Vec<usize>>, j: usize| row.and_then(|row| row.get(j)).copied().unwrap_or(0);
            let above = rows.last();
            let mut least =
                (from(above, j) + usize::from(x != y)).min(from(above, j + 1) + 1).min(from(Some(&row), j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                least = least.min(from(rows.get(i - 1), j - 1) + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows.last().and_then(|row| row.last()).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigFile;

    #[test]
    fn all_are_told_with_path_and_the_nearest_and_so_is_all_else() {
        let text = "limit: {window: 6h}\nwindow: 6h\ndata_dir: /tmp\nlimits: {windwo: 6h, lateness: 10}\n\
            pull: {prometheus: [{name: a, url: \"http://a\", intervall: 1s}]}\nhunter: {a: 1}\n\
            incidents: {suppressions: [{name: known, until: \"2026-12-31T00:00:00Z\", workload: w, namspace: x}]}\n";
        let wrong = ConfigFile::parse(text).and_then(ConfigFile::validate).unwrap_err();
        let keys: Vec<(&str, &str)> = wrong.iter().filter_map(|w| w.split_once(": is no key; ")).collect();
        let nearest = |key: &str| format!("{key:?} is the nearest");
        let meant: BTreeMap<&str, String> = [
            ("limit", nearest("limits")),
            ("window", nearest("limits.window")),
            ("data_dir", nearest("dataDir")),
            ("limits.windwo", nearest("limits.window")),
            ("pull.prometheus[0].intervall", nearest("pull.prometheus[0].interval")),
            ("incidents.suppressions[0].namspace", nearest("incidents.suppressions[0].namespace")),
        ]
        .into();
        assert_eq!(keys.len(), 7, "{wrong:?}");
        for (key, says) in &keys {
            match meant.get(key) {
                Some(meant) => assert_eq!(says, meant, "{key}"),
                None => assert!(*key == "hunter" && says.starts_with("those there are ") && says.contains("cluster")),
            }
        }
        // What else is wrong is told with them.
        assert!(wrong.iter().any(|w| w.starts_with("limits.lateness: \"10\"")), "{wrong:?}");
        assert_eq!(wrong.len(), 8, "{wrong:?}");
    }

    #[test]
    fn each_number_that_is_none_for_its_key_is_told_with_it() {
        let wrong = ConfigFile::parse("limits: {series: -5, streams: 1.5, streamsPerTeam: -1}\n").unwrap_err();
        for key in ["limits.series: must be at least 0", "limits.streams: must be a whole", "limits.streamsPerTeam: "] {
            assert!(wrong.iter().any(|w| w.starts_with(key)), "{key}: {wrong:?}");
        }
        assert_eq!(wrong.len(), 3, "{wrong:?}");
    }

    #[test]
    fn names_that_people_choose_are_keys() {
        let text = "pull: {prometheus: [{name: a, url: \"http://a\", headers: {x-scope-orgid: t}}]}\n";
        assert!(ConfigFile::parse(text).is_ok());
    }

    #[test]
    fn letters_are_counted() {
        for (a, b, far) in
            [("", "abc", 3), ("windwo", "window", 1), ("intervall", "interval", 1), ("kitten", "sitting", 3)]
        {
            assert_eq!((distance(a, b), distance(b, a)), (far, far), "{a} {b}");
        }
    }
}
