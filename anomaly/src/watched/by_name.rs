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

/// How the names of exporters begin of which all that matters is listed, or known from elsewhere. What also a program may be
/// called is told from one by the word after it.
#[rustfmt::skip]
const LISTED: &[&str] = &[
    "alertmanager", "apiserver", "cadvisor", "coredns", "etcd", "grafana", "kube", "kubelet", "kubeproxy", "loki", "prober",
    "prometheus", "promtail", "up", "whyd",
    "container_blkio", "container_cpu", "container_file", "container_fs", "container_hugetlb", "container_memory",
    "container_network", "container_perf", "container_pressure", "container_processes", "container_scrape", "container_sockets",
    "container_spec", "container_swap", "container_tasks", "container_threads", "container_ulimits",
    "go_cgo", "go_cpu", "go_gc", "go_goroutines", "go_memory", "go_memstats", "go_sched", "go_sync", "go_threads",
    "machine_cpu", "machine_memory", "machine_nvm", "machine_scrape", "machine_swap",
    "node_arp", "node_bonding", "node_boot", "node_btrfs", "node_cgroups", "node_context", "node_cooling", "node_cpu",
    "node_disk", "node_edac", "node_ethtool", "node_exporter", "node_fibrechannel", "node_filefd", "node_filesystem",
    "node_hwmon", "node_infiniband", "node_ipvs", "node_md", "node_memory", "node_mountstats", "node_netstat", "node_network",
    "node_nf", "node_nfs", "node_nfsd", "node_nvme", "node_power", "node_pressure", "node_procs", "node_scrape",
    "node_sockstat", "node_softnet", "node_swap", "node_systemd", "node_tape", "node_tcp", "node_textfile", "node_thermal",
    "node_time", "node_timex", "node_udp", "node_vmstat", "node_xfs", "node_zfs",
    "pod_cpu", "pod_memory", "pod_network", "pod_swap",
    "process_cpu", "process_max", "process_memory", "process_network", "process_open", "process_resident", "process_start",
    "process_virtual",
    "scrape_body", "scrape_duration", "scrape_errors", "scrape_sample", "scrape_samples", "scrape_series", "scrape_timeout",
];
/// Of processor time and memory, what is configured, or left, and not used.
#[rustfmt::skip]
const NOT_USED: &[&str] = &[
    "available", "bucket", "capacity", "count", "created", "free", "info", "limit", "limits", "max", "quota", "request",
    "requests", "reserved", "target", "threshold",
];
/// What a name ends with, before its unit, that says how much there may be.
const ALLOWED: &[&str] = &["limit", "limits", "max", "objective", "quota", "target", "threshold"];
const ERRORS: &[&str] = &["error", "errors", "exception", "exceptions", "failed", "failure", "failures"];

/// The row of a metric of this name.
pub(super) fn watched(metric: &str) -> Option<Watched> {
    let lower = metric.to_ascii_lowercase();
    let words: Vec<&str> = lower.split(['_', ':', '.']).filter(|word| !word.is_empty()).collect();
    let (first, last) = (words.first()?, words.last()?);
    let has = |any: &[&str]| words.iter().any(|word| any.contains(word));
    // What it is of, in which the word before the unit is the noun.
    let noun = words.len().checked_sub(2).and_then(|at| words.get(at)).copied().unwrap_or_default();
    let family = words.get(1).map_or_else(String::new, |second| format!("{first}_{second}"));
    if LISTED.contains(first) || LISTED.contains(&family.as_str()) {
        return None;
    }
    let used = has(&["usage", "used", "utilization", "utilisation", "util"]) && !has(NOT_USED);
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
    } else if let Some(whole) = share.filter(|_| has(&["success", "availability"]) && !ALLOWED.contains(&noun)) {
        (Gauge, Plain, Below, 0.02 * whole, 0.02, "by its name the part of requests that succeed")
    } else if let Some(whole) = share.filter(|_| has(ERRORS) && !has(&["budget"]) && !ALLOWED.contains(&noun)) {
        (Gauge, Plain, Above, 0.02 * whole, 0.1, "by its name the part of requests that fail")
    } else if *last == "total" && ERRORS.contains(&noun) {
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
    fn errors_of_requests_and_of_limits_are_errors() {
        for metric in [
            "errors_total",
            "exceptions_total",
            "grpc_request_failures_total",
            "http_request_errors_total",
            "http_requests_errors_total",
            "node_app_errors_total",
            "payment_failed_total",
            "pod_errors_total",
            "rate_limit_errors_total",
        ] {
            let read = watched(metric).unwrap_or_else(|| panic!("{metric}"));
            assert_eq!((read.kind, read.unit, read.tuning.direction), (Counter, PerSecond, Above), "{metric}");
        }
        assert_eq!(watched("request_error_ratio").unwrap().tuning.direction, Above);
        assert_eq!(watched("app_request_success_ratio").unwrap().tuning.direction, Below);
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
            "app_cpu_usage_limit_ratio",
            "app_cpu_usage_requests_cores",
            "app_error_threshold_ratio",
            "app_failed_jobs_total",
            "slo_error_budget_remaining_ratio",
            "slo_success_objective_ratio",
            "node_edac_uncorrectable_errors_total",
            "container_network_receive_errors_total",
            "pod_memory_usage_bytes",
            "process_cpu_usage_ratio",
            "prometheus_rule_evaluation_failures_total",
        ] {
            assert_eq!(watched(metric), None, "{metric}");
        }
    }
}
