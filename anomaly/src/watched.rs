//! Which metrics are watched unasked, and why. Each has a question behind it that a restart raises.
//!
//! Of a resource it is saturation and errors, and use where that has a limit (the USE method); of requests, those that are
//! under way, which grow with their number and with what each takes. Nothing of kube-state-metrics is here: what it says of
//! objects is known from the objects themselves, and sooner.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::detector::early::Matters;
use crate::detector::robust::{Direction, Tuning};

mod by_name;

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
#[derive(Debug, Clone, PartialEq)]
pub struct Watched {
    /// Its name on the wire.
    pub metric: Cow<'static, str>,
    /// Gauge or counter.
    pub kind: Kind,
    /// What its value, or rate, is counted in.
    pub unit: Unit,
    /// Which way is bad and how little is too little to matter.
    pub tuning: Tuning,
    /// Its series without a container are sums over the pod and would tell the same twice.
    pub per_container: bool,
    /// A program's own, of which a pod may have any number of series: all of these share a part of the room.
    pub crowded: bool,
    /// Whether a step counts before it is known what is usual. Of much else the first minutes are the program's own affair: it
    /// opens its files and fills its pages when the work comes.
    pub early: bool,
    /// Nobody listed it: its name says what it is.
    pub by_name: bool,
    /// Its name in words.
    pub words: Cow<'static, str>,
    /// Why it is watched.
    pub why: Cow<'static, str>,
}

impl Watched {
    /// A metric that somebody asks for, its unit told by its name. `least` is how far off it has to be at the least, beside
    /// 6 % of what is usual.
    pub fn asked(metric: String, kind: Kind, (direction, least): (Direction, f64), per_container: bool) -> Self {
        let unit = match kind {
            Gauge if metric.ends_with("_bytes") => Unit::Bytes,
            Gauge => Unit::Plain,
            Counter => Unit::PerSecond,
        };
        let tuning = Tuning { direction, floor: least / LEAST_SPREADS, relative: 0.01 };
        let (words, why) = (Cow::Owned(metric.clone()), Cow::Borrowed("asked for in the configuration"));
        let (crowded, early, by_name) = (true, true, false);
        Self { metric: Cow::Owned(metric), kind, unit, tuning, per_container, crowded, early, by_name, words, why }
    }

    /// What matters of it while it is not known what is usual. `limit` is what the container may take at the most: memory that
    /// leaps by a part of that, and over half of it, matters, and no other does.
    pub(crate) fn matters(&self, limit: Option<f64>) -> Option<Matters> {
        let Tuning { direction, floor, .. } = self.tuning;
        let (least, level) = limit.map_or((EARLY_SPREADS * floor, 0.0), |limit| (PART * limit, LEVEL * limit));
        self.early.then_some(Matters { direction, least, level })
    }

    /// Whether it counts errors, of which there mostly are none: such a count comes into being with the first.
    pub(crate) fn counts_errors(&self) -> bool {
        self.by_name && self.kind == Counter && self.unit == Unit::PerSecond
    }

    /// Whether it says how much of the node is taken, of which a job takes what its work needs.
    pub(crate) fn is_use(&self) -> bool {
        matches!(self.unit, Unit::Bytes | Unit::Cores)
    }

    const fn early(mut self) -> Self {
        self.early = true;
        self
    }
}

/// So many of its least spreads a value has to be off to be told, and so many while little is known of what is usual.
const LEAST_SPREADS: f64 = 6.0;
const EARLY_SPREADS: f64 = 12.0;
/// Of the limit.
const PART: f64 = 0.25;
const LEVEL: f64 = 0.5;

use Direction::{Above, Below};
use Kind::{Counter, Gauge};

const MIB: f64 = 1_048_576.0;

type Read = (Kind, Unit, bool);

const fn row(
    metric: &'static str,
    (kind, unit, per_container): Read,
    (direction, floor, relative): (Direction, f64, f64),
    words: &'static str,
    why: &'static str,
) -> Watched {
    let tuning = Tuning { direction, floor, relative };
    let (metric, words, why) = (Cow::Borrowed(metric), Cow::Borrowed(words), Cow::Borrowed(why));
    Watched { metric, kind, unit, tuning, per_container, crowded: false, early: false, by_name: false, words, why }
}

/// Of a program's own requests: bad is more.
const fn requests(metric: &'static str, kind: Kind, floor: f64, words: &'static str, why: &'static str) -> Watched {
    let tuning = Tuning { direction: Above, floor, relative: 0.1 };
    let (metric, words, why) = (Cow::Borrowed(metric), Cow::Borrowed(words), Cow::Borrowed(why));
    let (unit, per_container, crowded, early, by_name) = (Unit::Plain, false, true, true, false);
    Watched { metric, kind, unit, tuning, per_container, crowded, early, by_name, words, why }
}

const CONTAINER_BYTES: Read = (Gauge, Unit::Bytes, true);
const CONTAINER_COUNT: Read = (Gauge, Unit::Plain, true);
const CONTAINER_EVENTS: Read = (Counter, Unit::PerSecond, true);
const CONTAINER_WAIT: Read = (Counter, Unit::Share, true);
const POD_EVENTS: Read = (Counter, Unit::PerSecond, false);
const NODE_BYTES: Read = (Gauge, Unit::Bytes, false);
const NODE_COUNT: Read = (Gauge, Unit::Plain, false);
const NODE_WAIT: Read = (Counter, Unit::Share, false);

/// The table, in order of metric.
#[rustfmt::skip]
pub const WATCHED: &[Watched] = &[
    row("container_cpu_cfs_throttled_periods_total", CONTAINER_EVENTS, (Above, 0.2, 0.1), "throttled CPU periods", "a throttled container misses its probes and is killed for it"),
    row("container_cpu_usage_seconds_total", (Counter, Unit::Cores, true), (Above, 0.02, 0.1), "CPU usage", "a busy loop or a flood of work precedes failed probes").early(),
    row("container_file_descriptors", CONTAINER_COUNT, (Above, 8.0, 0.1), "open file descriptors", "a leak ends in too many open files"),
    row("container_fs_usage_bytes", CONTAINER_BYTES, (Above, 16.0 * MIB, 0.05), "file system usage", "ephemeral storage over its limit is an eviction"),
    row("container_memory_failures_total", CONTAINER_EVENTS, (Above, 200.0, 0.1), "memory page faults", "thrashing at the limit, before the kill or instead of it"),
    row("container_memory_working_set_bytes", CONTAINER_BYTES, (Above, 4.0 * MIB, 0.05), "memory working set", "what the OOM killer and the kubelet look at").early(),
    row("container_network_receive_errors_total", POD_EVENTS, (Above, 0.1, 0.1), "network receive errors", "a broken network looks like a broken dependency").early(),
    row("container_network_receive_packets_dropped_total", POD_EVENTS, (Above, 0.5, 0.1), "received packets dropped", "a broken network looks like a broken dependency").early(),
    row("container_network_transmit_errors_total", POD_EVENTS, (Above, 0.1, 0.1), "network transmit errors", "a broken network looks like a broken dependency").early(),
    row("container_network_transmit_packets_dropped_total", POD_EVENTS, (Above, 0.5, 0.1), "sent packets dropped", "a broken network looks like a broken dependency").early(),
    row("container_pressure_cpu_waiting_seconds_total", CONTAINER_WAIT, (Above, 0.02, 0.1), "time waiting for CPU", "starved by its neighbours or its own limit").early(),
    row("container_pressure_io_waiting_seconds_total", CONTAINER_WAIT, (Above, 0.02, 0.1), "time waiting for IO", "a slow disk fails probes").early(),
    row("container_pressure_memory_waiting_seconds_total", CONTAINER_WAIT, (Above, 0.02, 0.1), "time waiting for memory", "reclaim under the limit, before the kill").early(),
    row("container_sockets", CONTAINER_COUNT, (Above, 8.0, 0.1), "open sockets", "connections that are never closed end in too many open files"),
    row("container_threads", CONTAINER_COUNT, (Above, 8.0, 0.1), "threads", "a leak ends at the pids limit"),
    requests("db_client_connection_pending_requests", Gauge, 4.0, "requests waiting for a database connection", "a slow database uses up the pool before anything fails"),
    requests("grpc_server_handling_seconds_sum", Counter, 0.5, "gRPC requests under way on average", "requests pile up where a dependency hangs, before probes fail"),
    requests("http_client_active_requests", Gauge, 4.0, "open requests to others", "a dependency that hangs keeps them open"),
    requests("http_request_duration_seconds_sum", Counter, 0.5, "requests under way on average", "requests pile up where a dependency hangs, before probes fail"),
    requests("http_server_active_requests", Gauge, 4.0, "requests under way", "requests pile up where a dependency hangs, before probes fail"),
    requests("http_server_request_duration_seconds_sum", Counter, 0.5, "requests under way on average", "requests pile up where a dependency hangs, before probes fail"),
    row("kubelet_volume_stats_available_bytes", NODE_BYTES, (Below, 64.0 * MIB, 0.03), "space left on the volume", "a full volume stops its writer"),
    row("kubelet_volume_stats_inodes_free", NODE_COUNT, (Below, 1000.0, 0.03), "inodes left on the volume", "a volume without inodes stops its writer as a full one does"),
    row("node_filesystem_avail_bytes", NODE_BYTES, (Below, 256.0 * MIB, 0.03), "space left on the node", "a full node evicts"),
    row("node_filesystem_files_free", NODE_COUNT, (Below, 10_000.0, 0.03), "inodes left on the node", "a node without inodes evicts"),
    row("node_memory_MemAvailable_bytes", NODE_BYTES, (Below, 128.0 * MIB, 0.03), "memory left on the node", "a node without memory evicts or kills"),
    row("node_network_receive_errs_total", POD_EVENTS, (Above, 0.1, 0.1), "network receive errors of the node", "one broken node breaks pods of many workloads"),
    row("node_network_transmit_errs_total", POD_EVENTS, (Above, 0.1, 0.1), "network transmit errors of the node", "one broken node breaks pods of many workloads"),
    row("node_nf_conntrack_entries", NODE_COUNT, (Above, 1000.0, 0.1), "connections tracked by the node", "a full table drops new connections of every pod"),
    row("node_pressure_cpu_waiting_seconds_total", NODE_WAIT, (Above, 0.05, 0.1), "time waiting for CPU on the node", "a node short of CPU fails probes of all its pods"),
    row("node_pressure_io_waiting_seconds_total", NODE_WAIT, (Above, 0.02, 0.1), "time waiting for IO on the node", "a slow disk makes the node not ready"),
    row("node_pressure_memory_waiting_seconds_total", NODE_WAIT, (Above, 0.02, 0.1), "time waiting for memory on the node", "a node short of memory stalls before it evicts"),
];

/// All that is watched: what is watched unasked, and what somebody asked for. Copies share it.
#[derive(Debug, Clone)]
pub struct WatchList(Arc<[Arc<Watched>]>);

impl WatchList {
    /// With these beside [`WATCHED`]; of two of one name the one that is asked for counts.
    pub fn new(asked: Vec<Watched>) -> Self {
        let mut rows: Vec<Arc<Watched>> = asked.into_iter().chain(WATCHED.iter().cloned()).map(Arc::new).collect();
        rows.sort_by(|a, b| a.metric.cmp(&b.metric));
        rows.dedup_by(|later, kept| later.metric == kept.metric);
        Self(rows.into())
    }

    /// The row of this metric; one of its own where its name says what it is.
    pub fn of(&self, metric: &str) -> Option<Arc<Watched>> {
        let listed = self.0.binary_search_by(|w| w.metric.as_ref().cmp(metric)).ok().and_then(|at| self.0.get(at));
        listed.map(Arc::clone).or_else(|| by_name::watched(metric).map(Arc::new))
    }

    /// All rows, by name.
    pub fn rows(&self) -> &[Arc<Watched>] {
        &self.0
    }
}

impl Default for WatchList {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_table_is_sorted_and_each_metric_is_found() {
        assert!(WATCHED.is_sorted_by(|a, b| a.metric < b.metric));
        let list = WatchList::default();
        for watched in WATCHED {
            assert_eq!(list.of(&watched.metric).as_deref(), Some(watched));
            let counts = watched.metric.ends_with("_total") || watched.metric.ends_with("_sum");
            assert_eq!(counts, watched.kind == Counter, "{}", watched.metric);
            assert!(!watched.words.is_empty() && !watched.why.is_empty(), "{}", watched.metric);
        }
        assert_eq!((list.of("up"), list.rows().len()), (None, WATCHED.len()));
    }

    #[test]
    fn what_is_asked_for_stands_beside_and_counts_first() {
        let asked = |metric: &str| Watched::asked(metric.to_owned(), Gauge, (Below, 12.0), false);
        let list = WatchList::new(vec![asked("queue_bytes"), asked("container_threads")]);
        let queue = list.of("queue_bytes").unwrap();
        assert_eq!((queue.unit, queue.tuning.floor, queue.words.as_ref()), (Unit::Bytes, 2.0, "queue_bytes"));
        assert_eq!(list.of("container_threads").unwrap().tuning.direction, Below);
        assert_eq!(list.rows().len(), WATCHED.len() + 1);
    }
}
