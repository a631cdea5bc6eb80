//! Names as Prometheus' OTLP receiver makes them by default: escaped, with suffixes for unit and type.

use std::borrow::Cow;

/// What a metric is, as far as its name says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// `_ratio` where the unit is `1`.
    Gauge,
    /// `_total`.
    Counter,
    /// No suffix but the unit's.
    Other,
}

/// Units of UCUM and what Prometheus calls them; any other is its own name.
const UNITS: [(&str, &str); 27] = [
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("1", ""),
    ("%", "percent"),
    ("", ""),
];

/// Units below the stroke.
const PER: [(&str, &str); 7] =
    [("s", "second"), ("m", "minute"), ("h", "hour"), ("d", "day"), ("w", "week"), ("mo", "month"), ("y", "year")];

/// The name of a metric; `None` where nothing of it can stand in one.
pub(super) fn metric_name(name: &str, unit: &str, naming: Naming) -> Option<String> {
    let mut words: Vec<Cow<'_, str>> = words(name).map(Cow::Borrowed).collect();
    let (main, per) = unit_words(unit);
    let has = |words: &[Cow<'_, str>], word: &str| words.iter().any(|w| w == word);
    let add_main = !main.is_empty() && !has(&words, &main);
    let add_per = !per.is_empty() && !has(&words, &per);
    // an unknown unit may end in what is no letter: alone it keeps the underscore, before another it would be doubled
    if add_main {
        let main = if add_per { main.trim_end_matches('_').to_owned() } else { main };
        words.push(Cow::Owned(main));
    }
    if add_per {
        words.push(Cow::Owned(per));
    }
    let last = match naming {
        Naming::Counter => "total",
        Naming::Gauge if unit == "1" => "ratio",
        _ => "",
    };
    if !last.is_empty() {
        words.retain(|w| w != last);
        words.push(Cow::Borrowed(last));
    }
    let mut whole = words.join("_");
    if whole.starts_with(|c: char| c.is_ascii_digit()) {
        whole.insert(0, '_');
    }
    whole.contains(|c| c != '_').then_some(whole)
}

/// The runs of characters that a metric's name may have.
fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !c.is_ascii_alphanumeric() && c != ':').filter(|w| !w.is_empty())
}

/// What the unit adds above the stroke and below it. What stands in braces is a remark and no unit.
fn unit_words(unit: &str) -> (String, String) {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let known = |table: &[(&str, &'static str)], unit: &str| {
        if unit.contains(['{', '}']) {
            return String::new();
        }
        let found = table.iter().find(|(from, _)| *from == unit);
        found.map_or_else(|| unit.to_owned(), |(_, to)| (*to).to_owned())
    };
    let main = known(&UNITS, main.trim());
    let per = match known(&PER, per.trim()) {
        per if per.is_empty() => per,
        per => escaped(&format!("per_{per}")).trim_end_matches('_').to_owned(),
    };
    (escaped(&main), if per == "per" { String::new() } else { per })
}

/// Each run of characters that a name cannot have as one underscore, none at the start.
fn escaped(unit: &str) -> String {
    let mut out = String::with_capacity(unit.len());
    for c in unit.chars() {
        if c.is_ascii_alphanumeric() || c == ':' {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with('_') {
            out.push('_');
        }
    }
    out
}

/// The name of a label; `None` where nothing of it can stand in one. What is between double underscores stays so.
pub(super) fn label_name(key: &str) -> Option<Cow<'_, str>> {
    let plain = |c: char| c.is_ascii_alphanumeric();
    let first = key.chars().next()?;
    let reserved = key.len() > 4 && key.starts_with("__") && key.ends_with("__");
    let inner = if reserved { key.get(2..key.len() - 2)? } else { key };
    let clean = inner.chars().all(|c| plain(c) || c == '_') && !inner.contains("__");
    if clean && !first.is_ascii_digit() {
        return inner.contains(plain).then_some(Cow::Borrowed(key));
    }
    let mut out = String::with_capacity(key.len() + 4);
    if first.is_ascii_digit() {
        out.push_str("key_");
    }
    let mut gap = false;
    for c in inner.chars() {
        if plain(c) {
            out.push(c);
        } else if !gap {
            out.push('_');
        }
        gap = !plain(c);
    }
    if !out.contains(plain) {
        return None;
    }
    Some(Cow::Owned(if reserved { format!("__{out}__") } else { out }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_named_as_prometheus_names_them() {
        use Naming::{Counter, Gauge, Other};
        // the cases that prometheus/otlptranslator is tested with, and what its rules say of a few more
        for (name, unit, naming, expected) in [
            ("simple_metric", "", Gauge, "simple_metric"),
            ("metric@with#special$chars", "", Gauge, "metric_with_special_chars"),
            ("123metric", "", Gauge, "_123metric"),
            ("metric@@##$$name", "", Gauge, "metric_name"),
            ("requests", "", Counter, "requests_total"),
            ("requests_total", "", Counter, "requests_total"),
            ("total.requests", "", Counter, "requests_total"),
            ("cpu_usage", "1", Gauge, "cpu_usage_ratio"),
            ("items", "1", Counter, "items_total"),
            ("items", "1", Other, "items"),
            ("response_time", "ms", Gauge, "response_time_milliseconds"),
            ("memory_usage", "By", Gauge, "memory_usage_bytes"),
            ("system.memory.bytes", "By", Gauge, "system_memory_bytes"),
            ("requests", "1/s", Gauge, "requests_per_second"),
            ("throughput", "By/s", Gauge, "throughput_bytes_per_second"),
            ("custom_metric", "custom_unit", Gauge, "custom_metric_custom_unit"),
            ("custom_metric", "{custom}", Gauge, "custom_metric"),
            ("custom_metric", "By/{custom}", Gauge, "custom_metric_bytes"),
            ("http.server.request.duration", "s", Other, "http_server_request_duration_seconds"),
            ("system.io", "By", Counter, "system_io_bytes_total"),
            ("request", "{request}", Counter, "request_total"),
            ("fan.speed", "rpm", Gauge, "fan_speed_rpm"),
            ("a:b", "", Gauge, "a:b"),
            ("hits", "/s", Counter, "hits_per_second_total"),
            ("x", "°C", Gauge, "x_C"),
        ] {
            assert_eq!(metric_name(name, unit, naming).as_deref(), Some(expected), "{name} {unit}");
        }
        for name in ["", "@#$%", "_"] {
            assert_eq!(metric_name(name, "", Gauge), None, "{name}");
        }
    }

    #[test]
    fn labels_are_named_as_prometheus_names_them() {
        for (key, expected) in [
            ("http.method", Some("http_method")),
            ("plain_name", Some("plain_name")),
            ("_private", Some("_private")),
            ("a..b", Some("a_b")),
            ("a__b", Some("a_b")),
            ("123invalid", Some("key_123invalid")),
            ("__reserved__", Some("__reserved__")),
            ("__name__", Some("__name__")),
            ("naïve", Some("na_ve")),
            ("", None),
            ("___", None),
            ("é", None),
            ("_____", None),
        ] {
            assert_eq!(label_name(key).as_deref(), expected, "{key}");
        }
    }
}
