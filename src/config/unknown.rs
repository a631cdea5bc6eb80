//! Keys of a file that are none, each with its path and the key that was meant most likely, and values of a kind that their key
//! has not; all of them at once.
//!
//! What a file may hold is asked of its schema, which is made of the types that read it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// Keys of the same name that are told at most.
const ELSEWHERE: usize = 4;
/// So many letters in common at the beginning are no chance.
const BEGINS: usize = 4;

/// What a file says that its schema does not allow.
pub(super) struct Unknown {
    /// The unknown keys and the values of the wrong kind.
    pub(super) wrong: Vec<String>,
    /// The paths of such values, and those of keys that were meant by unknown ones.
    pub(super) lost: Vec<String>,
    /// The file without all that. Lists are as long as they were: what is none of theirs is empty.
    pub(super) file: Value,
}

/// What this file says that its schema does not allow.
pub(super) fn keys(mut file: Value, schema: &Value) -> Unknown {
    let mut known = BTreeMap::new();
    paths(schema, schema, "", &mut known, 0);
    let mut found = Found { root: schema, known, wrong: Vec::new(), lost: Vec::new() };
    found.look(&mut file, schema, "");
    let Found { wrong, lost, .. } = found;
    Unknown { wrong, lost, file }
}

struct Found<'a> {
    root: &'a Value,
    /// Name -> the paths at which there is such a key.
    known: BTreeMap<String, Vec<String>>,
    wrong: Vec<String>,
    lost: Vec<String>,
}

impl Found<'_> {
    /// Takes out of a value what its schema does not name, and what is of another kind than it names.
    fn look(&mut self, value: &mut Value, schema: &Value, at: &str) {
        let schema = resolved(schema, self.root);
        match value {
            Value::Object(map) => {
                let empty = Map::new();
                let keys = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
                let others = schema.get("additionalProperties");
                let said: BTreeSet<String> = map.keys().cloned().collect();
                map.retain(|name, value| {
                    let path = below(at, name);
                    let schema = match (keys.get(name), others) {
                        (Some(schema), _) => schema,
                        (None, Some(Value::Bool(false))) => {
                            self.unknown(name, at, keys, &said);
                            return false;
                        }
                        (None, Some(schema)) => schema,
                        (None, None) => return true,
                    };
                    let fits = self.fits(value, schema, &path);
                    if fits {
                        self.look(value, schema, &path);
                    }
                    fits
                });
            }
            Value::Array(all) => {
                let Some(schema) = schema.get("items") else { return };
                for (n, value) in all.iter_mut().enumerate() {
                    let path = format!("{at}[{n}]");
                    if self.fits(value, schema, &path) {
                        self.look(value, schema, &path);
                    } else {
                        *value = nothing(resolved(schema, self.root));
                    }
                }
            }
            // What is read as text may look like a number or a truth value.
            Value::Number(number) if is_text(schema) => *value = Value::String(number.to_string()),
            Value::Bool(is) if is_text(schema) => *value = Value::String(is.to_string()),
            _ => {}
        }
    }

    /// Says that a key is none. Where one beside it was meant that is not there, that one has a value, though not here.
    fn unknown(&mut self, name: &str, at: &str, keys: &Map<String, Value>, said: &BTreeSet<String>) {
        let path = below(at, name);
        if let Some(key) = nearest(name, keys) {
            self.wrong.push(format!("{path}: is no key; {:?} is the nearest", below(at, key)));
            if !said.contains(key) {
                self.lost.push(below(at, key));
            }
            return;
        }
        let elsewhere = self.elsewhere(name);
        let those = keys.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let meant = match (elsewhere.as_slice(), at) {
            ([], _) => format!("those there are {those}"),
            ([one], "") => format!("{one:?} is the nearest"),
            (all, "") => format!("{} are the nearest", quoted(all)),
            ([one], _) => format!("those there are {those}; elsewhere there is {one:?}"),
            (all, _) => format!("those there are {those}; elsewhere there are {}", quoted(all)),
        };
        self.wrong.push(format!("{path}: is no key; {meant}"));
    }

    /// The paths of keys of this name, those that lie highest.
    fn elsewhere(&self, name: &str) -> Vec<&str> {
        let of_name = self.known.iter().filter(|(key, _)| plain(key) == plain(name)).flat_map(|(_, paths)| paths);
        let mut paths: Vec<&str> = of_name.map(String::as_str).collect();
        paths.sort_by_key(|path| (path.matches(['.', '[']).count(), *path));
        paths.truncate(ELSEWHERE);
        paths
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
        self.lost.push(at.to_owned());
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
        self.lost.push(at.to_owned());
        false
    }
}

fn quoted(paths: &[&str]) -> String {
    paths.iter().map(|path| format!("{path:?}")).collect::<Vec<_>>().join(", ")
}

fn plain(name: &str) -> String {
    name.replace(['_', '-'], "").to_lowercase()
}

/// Which of the keys beside it was meant: one of which a third of the letters are others, or that begins as it does.
fn nearest<'a>(name: &str, keys: &'a Map<String, Value>) -> Option<&'a String> {
    let name = plain(name);
    let near = |key: &String| {
        let key = plain(key);
        let (far, begins) = (distance(&key, &name), key.starts_with(&name) || name.starts_with(&key));
        let enough = key.chars().count().min(name.chars().count()) >= BEGINS;
        (far * 3 <= key.chars().count().max(3) || begins && enough).then_some(far)
    };
    keys.keys().filter_map(|key| Some((near(key)?, key))).min().map(|(_, key)| key)
}

/// What stands for a value of a list that was taken out of it.
fn nothing(schema: &Value) -> Value {
    match kinds(schema).first() {
        Some(&"object") => Value::Object(Map::new()),
        Some(&"array") => Value::Array(Vec::new()),
        Some(&"string") => Value::String(String::new()),
        Some(&"boolean") => Value::Bool(false),
        Some(&("integer" | "number")) => Value::from(0),
        _ => Value::Null,
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
    fn keys_of_the_section_come_first_and_others_by_all_their_paths() {
        let says = |text: &str| ConfigFile::parse(text).unwrap_err().join("\n");
        for (text, key) in [
            ("pull: {prometheus: [{name: a, url: \"http://a\", selectors: [up]}]}\n", "pull.prometheus[0].select"),
            ("access: {tokens: [{file: /a, tokenFiles: /a}]}\n", "access.tokens[0].tokenFile"),
            ("limits: {historySize: 1GiB}\n", "limits.history"),
        ] {
            assert!(says(text).contains(&format!("{key:?} is the nearest")), "{}", says(text));
        }
        let http = says("http: \"1.2.3.4:5\"\n");
        assert!(http.ends_with("http: is no key; \"listen.http\", \"otlp.http\" are the nearest"), "{http}");
        let http = says("limits: {http: \"1.2.3.4:5\"}\n");
        let (own, others) = http.split_once("; elsewhere there are ").unwrap();
        assert!(own.contains("limits.http: is no key; those there are window, lateness,"), "{http}");
        assert_eq!(others, "\"listen.http\", \"otlp.http\"");
        let window = says("pull: {prometheus: [{name: a, url: \"http://a\", window: 6h}]}\n");
        assert!(window.contains("those there are name, url,") && window.ends_with("is \"limits.window\""), "{window}");
    }

    #[test]
    fn one_mistake_is_one_error() {
        let source = "name: a, url: \"http://a\"";
        for (text, key) in [
            ("pull: {prometheus: [{nme: a, url: \"http://a\"}]}\n".to_owned(), "pull.prometheus[0].nme"),
            ("pull: {prometheus: [{name: a, ulr: \"http://a\"}]}\n".to_owned(), "pull.prometheus[0].ulr"),
            ("pull: {prometheus: [{name: [a], url: \"http://a\"}]}\n".to_owned(), "pull.prometheus[0].name"),
            ("pull: {prometheus: [a]}\n".to_owned(), "pull.prometheus[0]"),
            (format!("pull: {{prometheus: [{{{source}, select: [up, {{a: b}}]}}]}}\n"), "pull.prometheus[0].select[1]"),
            (
                format!("pull: {{prometheus: [{{{source}, methd: query_range, step: 5s}}]}}\n"),
                "pull.prometheus[0].methd",
            ),
            (format!("limits: {{window: 6}}\npull: {{prometheus: [{{{source}, history: 1h}}]}}\n"), "limits.window"),
            (format!("limits: {{window: [1]}}\npull: {{prometheus: [{{{source}, history: 7h}}]}}\n"), "limits.window"),
            (format!("limits: 6h\npull: {{prometheus: [{{{source}, history: 7h}}]}}\n"), "limits"),
            (
                format!("anomaly: {{watch: [{{metric: \"a b\"}}]}}\npull: {{prometheus: [{{{source}}}]}}\n"),
                "anomaly.watch[0].metric",
            ),
            (
                format!("anomaly: {{watch: [{{metrc: a}}]}}\npull: {{prometheus: [{{{source}}}]}}\n"),
                "anomaly.watch[0].metrc",
            ),
            (
                "pull: {loki: [{name: a, url: \"http://a\", tenants: [a, [b], [c]]}]}\n".to_owned(),
                "pull.loki[0].tenants[1]",
            ),
            ("alertmanager: {urls: [{a: b}]}\n".to_owned(), "alertmanager.urls[0]"),
            ("alertmanager: {username: a, passwordFle: /b}\n".to_owned(), "alertmanager.passwordFle"),
            (
                "incidents: {suppressions: [{name: a, worklod: w, until: \"2030-01-01T00:00:00Z\"}]}\n".to_owned(),
                "incidents.suppressions[0].worklod",
            ),
            (
                "incidents: {suppressions: [{name: a, workload: w, untl: \"2030-01-01T00:00:00Z\"}]}\n".to_owned(),
                "incidents.suppressions[0].untl",
            ),
            ("access: {tokens: [{tokenfile: /a}]}\n".to_owned(), "access.tokens[0].tokenfile"),
        ] {
            let wrong = ConfigFile::parse(&text).and_then(ConfigFile::validate).unwrap_err();
            let keys: Vec<&str> = wrong.iter().filter_map(|w| Some(w.split_once(": ")?.0)).collect();
            let more = usize::from(text.contains("[c]"));
            assert!(keys[0] == key && keys.len() == 1 + more, "{text}{wrong:?}");
        }
        // Two are two, and what stands behind one in a list keeps its number.
        let text = "pull: {prometheus: [a, {name: x, url: bad}, {name: y, ulr: \"http://y\", interval: 5}]}\n";
        let wrong = ConfigFile::parse(text).unwrap_err();
        let keys: Vec<&str> = wrong.iter().filter_map(|w| Some(w.split_once(": ")?.0)).collect();
        let expected =
            ["pull.prometheus[0]", "pull.prometheus[2].ulr", "pull.prometheus[1].url", "pull.prometheus[2].interval"];
        assert_eq!(keys, expected, "{wrong:?}");
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
