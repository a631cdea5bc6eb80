//! What the doors count: connections by listener, bodies that were turned away, and what the inlet holds.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use whyd_api::listen::Counts;
use whyd_api::{Kind, Metric};
use whyd_collector::inlet::InletGauge;
use whyd_collector::source::{Gate, grpc};

/// The counts of every door of the daemon.
#[derive(Debug, Clone)]
pub struct Doors {
    /// The queue to the core.
    pub inlet: InletGauge,
    /// Before every receiver.
    pub gate: Gate,
    /// The main listener.
    pub http: Arc<Counts>,
    /// OTLP over HTTP on a port of its own.
    pub otlp_http: Arc<Counts>,
    /// OTLP over gRPC.
    pub otlp_grpc: grpc::Counts,
}

impl Doors {
    /// Those of these receivers, with listeners that have not accepted anything yet.
    pub fn new(inlet: InletGauge, gate: Gate) -> Self {
        Self { inlet, gate, http: Arc::default(), otlp_http: Arc::default(), otlp_grpc: grpc::Counts::default() }
    }

    pub(crate) fn metrics(&self) -> Vec<Metric> {
        let metric = |name, help, kind, samples| Metric { name, help, kind, samples };
        let one = |v: u64| vec![(Vec::new(), v as f64)];
        let inlet = self.inlet.counts();
        let full = [("messages", inlet.full_of_messages), ("bytes", inlet.full_of_bytes)]
            .map(|(reason, n)| (vec![("reason", reason.to_owned())], n as f64));
        let turned_away = self.gate.turned_away();
        let turned_away = turned_away.map(|(why, n)| (vec![("reason", why.as_str().to_owned())], n as f64)).to_vec();
        let by_http = |counts: &Counts| {
            let Counts { accepted, refused, displaced, late, broken } = counts;
            let all = [accepted, refused, displaced, late, broken].map(|n| n.load(Relaxed));
            ["accepted", "refused", "displaced", "late", "broken"].into_iter().zip(all).collect::<Vec<_>>()
        };
        let listeners = [
            ("http", by_http(&self.http)),
            ("otlp-http", by_http(&self.otlp_http)),
            ("otlp-grpc", self.otlp_grpc.by_outcome().to_vec()),
        ];
        let connections = listeners.into_iter().flat_map(|(listener, outcomes)| {
            outcomes.into_iter().map(move |(outcome, n)| {
                (vec![("listener", listener.to_owned()), ("outcome", outcome.to_owned())], n as f64)
            })
        });
        vec![
            metric("whyd_inlet_accepted_total", "bodies handed to the core", Kind::Counter, one(inlet.accepted)),
            metric(
                "whyd_inlet_full_total",
                "bodies refused for want of room, by what was full",
                Kind::Counter,
                full.to_vec(),
            ),
            metric(
                "whyd_inlet_bytes",
                "bytes of bodies being received or not yet answered",
                Kind::Gauge,
                one(inlet.bytes),
            ),
            metric("whyd_inlet_limit_bytes", "how many there may be", Kind::Gauge, one(inlet.limit)),
            metric("whyd_turned_away_total", "bodies turned away as a whole, by reason", Kind::Counter, turned_away),
            metric(
                "whyd_connections_total",
                "connections accepted, refused over the bound, displaced by others, late for a deadline, broken by themselves",
                Kind::Counter,
                connections.collect(),
            ),
        ]
    }
}
