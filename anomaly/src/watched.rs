//! Which metrics are watched unasked, and why. Each has a question behind it that a restart raises.

use crate::detector::robust::{Direction, Tuning};
use serde::{Deserialize, Serialize};

/// How the numbers of a series are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A value as it is.
    Gauge,
    /// A count that only grows; its rate is what is judged.
    Counter,
}

/// What a value is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Unit {
    Bytes,
    Cores,
    PerSecond,
    /// Seconds of waiting in each second.
    Share,
    Plain,
}

/// A metric and how it is judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Watched {
    /// Its name on the wire.
    pub metric: &'static str,
    /// Gauge or counter.
    pub kind: Kind,
    /// What its value, or rate, is counted in.
    pub unit: Unit,
    /// Which way is bad and how little is too little to matter.
    pub tuning: Tuning,
    /// Its series without a container are sums over the pod and would tell the same twice.
    pub per_container: bool,
    /// Its name in words.
    pub words: &'static str,
    /// Why it is watched.
    pub why: &'static str,
}

use Direction::{Above, Below};
use Kind::{Counter, Gauge};

const MIB: f64 = 1_048_576.0;

const fn row(
    metric: &'static str,
    (kind, unit, per_container): (Kind, Unit, bool),
    (direction, floor, relative): (Direction, f64, f64),
    words: &'static str,
    why: &'static str,
) -> Watched {
    Watched { metric, kind, unit, per_container, tuning: Tuning { direction, floor, relative }, words, why }
}

const CONTAINER_BYTES: (Kind, Unit, bool) = (Gauge, Unit::Bytes, true);
const CONTAINER_COUNT: (Kind, Unit, bool) = (Gauge, Unit::Plain, true);
const CONTAINER_EVENTS: (Kind, Unit, bool) = (Counter, Unit::PerSecond, true);
const CONTAINER_WAIT: (Kind, Unit, bool) = (Counter, Unit::Share, true);
const POD_EVENTS: (Kind, Unit, bool) = (Counter, Unit::PerSecond, false);
const NODE_BYTES: (Kind, Unit, bool) = (Gauge, Unit::Bytes, false);
const NODE_WAIT: (Kind, Unit, bool) = (Counter, Unit::Share, false);

/// The table, in order of metric.
#[rustfmt::skip]
pub const WATCHED: &[Watched] = &[
    row("container_cpu_cfs_throttled_periods_total", CONTAINER_EVENTS, (Above, 0.2, 0.1), "throttled CPU periods", "a throttled container misses its probes and is killed for it"),
    row("container_cpu_usage_seconds_total", (Counter, Unit::Cores, true), (Above, 0.02, 0.1), "CPU usage", "a busy loop or a flood of work precedes failed probes"),
    row("container_file_descriptors", CONTAINER_COUNT, (Above, 8.0, 0.1), "open file descriptors", "a leak ends in too many open files"),
    row("container_fs_usage_bytes", CONTAINER_BYTES, (Above, 16.0 * MIB, 0.05), "file system usage", "ephemeral storage over its limit is an eviction"),
    row("container_memory_failures_total", CONTAINER_EVENTS, (Above, 200.0, 0.1), "memory page faults", "thrashing at the limit, before the kill or instead of it"),
    row("container_memory_working_set_bytes", CONTAINER_BYTES, (Above, 4.0 * MIB, 0.05), "memory working set", "what the OOM killer and the kubelet look at"),
    row("container_network_receive_errors_total", POD_EVENTS, (Above, 0.1, 0.1), "network receive errors", "a broken network looks like a broken dependency"),
    row("container_network_receive_packets_dropped_total", POD_EVENTS, (Above, 0.5, 0.1), "received packets dropped", "a broken network looks like a broken dependency"),
    row("container_network_transmit_errors_total", POD_EVENTS, (Above, 0.1, 0.1), "network transmit errors", "a broken network looks like a broken dependency"),
    row("container_network_transmit_packets_dropped_total", POD_EVENTS, (Above, 0.5, 0.1), "sent packets dropped", "a broken network looks like a broken dependency"),
    row("container_pressure_cpu_waiting_seconds_total", CONTAINER_WAIT, (Above, 0.02, 0.1), "time waiting for CPU", "starved by its neighbours or its own limit"),
    row("container_pressure_io_waiting_seconds_total", CONTAINER_WAIT, (Above, 0.02, 0.1), "time waiting for IO", "a slow disk fails probes"),
    row("container_pressure_memory_waiting_seconds_total", CONTAINER_WAIT, (Above, 0.02, 0.1), "time waiting for memory", "reclaim under the limit, before the kill"),
    row("container_threads", CONTAINER_COUNT, (Above, 8.0, 0.1), "threads", "a leak ends at the pids limit"),
    row("kubelet_volume_stats_available_bytes", NODE_BYTES, (Below, 64.0 * MIB, 0.03), "space left on the volume", "a full volume stops its writer"),
    row("node_filesystem_avail_bytes", NODE_BYTES, (Below, 256.0 * MIB, 0.03), "space left on the node", "a full node evicts"),
    row("node_memory_MemAvailable_bytes", NODE_BYTES, (Below, 128.0 * MIB, 0.03), "memory left on the node", "a node without memory evicts or kills"),
    row("node_network_receive_errs_total", POD_EVENTS, (Above, 0.1, 0.1), "network receive errors of the node", "one broken node breaks pods of many workloads"),
    row("node_network_transmit_errs_total", POD_EVENTS, (Above, 0.1, 0.1), "network transmit errors of the node", "one broken node breaks pods of many workloads"),
    row("node_pressure_io_waiting_seconds_total", NODE_WAIT, (Above, 0.02, 0.1), "time waiting for IO on the node", "a slow disk makes the node not ready"),
    row("node_pressure_memory_waiting_seconds_total", NODE_WAIT, (Above, 0.02, 0.1), "time waiting for memory on the node", "a node short of memory stalls before it evicts"),
];

/// Any gauge, when all metrics are watched.
pub const ANY_GAUGE: Watched = row("", (Gauge, Unit::Plain, false), (Direction::Both, 0.0, 0.05), "", "asked for");
/// Any counter, when all metrics are watched.
pub const ANY_COUNTER: Watched =
    row("", (Counter, Unit::PerSecond, false), (Direction::Both, 0.0, 0.1), "", "asked for");

/// The row of this metric.
pub fn of(metric: &str) -> Option<&'static Watched> {
    WATCHED.binary_search_by(|w| w.metric.cmp(metric)).ok().and_then(|at| WATCHED.get(at))
}

/// A row written as its name; the two without one as their kind.
pub(crate) mod by_name {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{ANY_COUNTER, ANY_GAUGE, Kind, Watched, of};

    #[derive(Serialize, Deserialize)]
    enum Name<T> {
        Metric(T),
        Any(Kind),
    }

    pub(crate) fn serialize<S: Serializer>(row: &Option<&'static Watched>, to: S) -> Result<S::Ok, S::Error> {
        let name = row.map(|w| if w.metric.is_empty() { Name::Any(w.kind) } else { Name::Metric(w.metric) });
        name.serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'static Watched>, D::Error> {
        let name: Option<Name<String>> = Option::deserialize(from)?;
        Ok(name.and_then(|name| match name {
            Name::Metric(metric) => of(&metric),
            Name::Any(Kind::Gauge) => Some(&ANY_GAUGE),
            Name::Any(Kind::Counter) => Some(&ANY_COUNTER),
        }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_table_is_sorted_and_each_metric_is_found() {
        assert!(WATCHED.is_sorted_by(|a, b| a.metric < b.metric));
        for watched in WATCHED {
            assert_eq!(of(watched.metric), Some(watched));
            assert_eq!(watched.metric.ends_with("_total"), watched.kind == Counter, "{}", watched.metric);
        }
        assert_eq!(of("up"), None);
    }
}
