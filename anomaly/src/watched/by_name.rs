//! What a metric that nobody listed is, by its name: processor time, memory, errors, in a unit that it names.
//!
//! Without the unit it is not known how little is too little to matter, and the metric is left alone; so are those of the
//! platform's own exporters, of which the ones that matter are listed. Quantiles of latency are no such metrics either: where few
//! requests come, one of them is all of a quantile, and a client that kept a connection open is slow once an hour.

use std::borrow::Cow;

use super::{Kind, Unit, Watched};
use crate::detector::robust::{Direction, Tuning};

use Direction::{Above, Below};
use Kind::{Counter, Gauge};
use Unit::{Bytes, Cores, PerSecond, Plain};

/// How the names of exporters begin of which all that matters is listed, or known from elsewhere.
#[rustfmt::skip]
const LISTED: &[&str] = &[
    "alertmanager", "apiserver", "cadvisor", "container", "coredns", "etcd", "go", "grafana", "kube", "kubelet", "kubeproxy",
    "loki", "machine", "node", "pod", "process", "prober", "prometheus", "promtail", "scrape", "up", "whyd",
];
/// What is configured, or left, and not used.
#[rustfmt::skip]
const NOT_USED: &[&str] = &[
    "available", "bucket", "capacity", "count", "created", "free", "info", "limit", "limits", "max", "quota", "request",
    "requests", "reserved", "target", "threshold",
];

/// The row of a metric of this name.
pub(super) fn watched(metric: &str) -> Option<Watched> {
    let lower = metric.to_ascii_lowercase();
    let words: Vec<&str> = lower.split(['_', ':', '.']).filter(|word| !word.is_empty()).collect();
    let (first, last) = (words.first()?, words.last()?);
    let has = |any: &[&str]| words.iter().any(|word| any.contains(word));
    if LISTED.contains(first) || has(NOT_USED) {
        return None;
    }
    let used = has(&["usage", "used", "utilization", "utilisation", "util"]);
    // Of a hundred, or of one.
    let share = match *last {
        "percent" | "percentage" | "pct" => Some(100.0),
        "ratio" => Some(1.0),
        _ => None,
    };
    let (kind, unit, direction, floor, relative, why) = if used && has(&["cpu"]) {
        let (kind, unit, floor) = match (lower.ends_with("_seconds_total"), share, *last) {
            (true, ..) => (Counter, Cores, 0.02),
            (_, Some(whole), _) => (Gauge, Plain, 0.02 * whole),
            (.., "cores") => (Gauge, Cores, 0.02),
            (.., "m" | "millicores") => (Gauge, Plain, 20.0),
            _ => return None,
        };
        (
            kind,
            unit,
            Above,
            floor,
            0.1,
            "by its name processor time: a busy loop or a flood of work precedes failed probes",
        )
    } else if used && has(&["memory", "mem"]) {
        let (unit, floor) = match (share, *last) {
            (Some(whole), _) => (Plain, 0.02 * whole),
            (_, "bytes") => (Bytes, 4.0 * 1_048_576.0),
            (_, "mi" | "mib" | "mb") => (Plain, 4.0),
            (_, "ki" | "kib" | "kb") => (Plain, 4096.0),
            _ => return None,
        };
        (Gauge, unit, Above, floor, 0.05, "by its name memory: too much of it is an OOM kill")
    } else if let Some(whole) = share.filter(|_| has(&["success", "availability"])) {
        (Gauge, Plain, Below, 0.02 * whole, 0.02, "by its name the part of requests that succeed")
    } else if let Some(whole) = share.filter(|_| has(&["error", "errors", "failure", "failures"])) {
        (Gauge, Plain, Above, 0.02 * whole, 0.1, "by its name the part of requests that fail")
    } else if ["_errors_total", "_failures_total"].iter().any(|end| lower.ends_with(end)) {
        (Counter, PerSecond, Above, 0.1, 0.2, "by its name errors")
    } else {
        return None;
    };
    let tuning = Tuning { direction, floor, relative };
    let (metric, words) = (Cow::Owned(metric.to_owned()), Cow::Owned(metric.to_owned()));
    let (per_container, crowded, early, by_name, why) = (false, true, true, true, Cow::Borrowed(why));
    Some(Watched { metric, kind, unit, tuning, per_container, crowded, early, by_name, words, why })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_name_says_what_it_is_and_in_which_unit() {
        let read = |metric: &str| watched(metric).map(|w| (w.kind, w.unit, w.tuning.direction, w.tuning.floor));
        assert_eq!(read("jvm_cpu_usage_percent"), Some((Gauge, Plain, Above, 2.0)));
        assert_eq!(read("system_cpu_utilization_ratio"), Some((Gauge, Plain, Above, 0.02)));
        assert_eq!(read("app_cpu_usage_seconds_total"), Some((Counter, Cores, Above, 0.02)));
        assert_eq!(read("app_cpu_usage_m"), Some((Gauge, Plain, Above, 20.0)));
        assert_eq!(read("jvm_memory_used_bytes"), Some((Gauge, Bytes, Above, 4_194_304.0)));
        assert_eq!(read("app_memory_usage_mi"), Some((Gauge, Plain, Above, 4.0)));
        assert_eq!(read("shop_success_rate_percent"), Some((Gauge, Plain, Below, 2.0)));
        assert_eq!(read("shop_error_ratio"), Some((Gauge, Plain, Above, 0.02)));
        assert_eq!(read("shop_payment_errors_total"), Some((Counter, PerSecond, Above, 0.1)));
    }

    #[test]
    fn what_is_listed_has_no_unit_or_is_not_used_is_left_alone() {
        for metric in [
            "",
            "_",
            "up",
            "node_cpu_usage_seconds_total",
            "container_memory_usage_bytes",
            "go_memory_used_bytes",
            "app_cpu_usage",
            "app_memory_usage",
            "jvm_memory_max_bytes",
            "app_cpu_limit_cores",
            "app_latency_p99_s",
            "app_requests_total",
            "app_memory_used_bytes_bucket",
            "app_error_rate",
            "app_cpu_info",
        ] {
            assert_eq!(watched(metric), None, "{metric}");
        }
    }
}
