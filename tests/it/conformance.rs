//! What every source has to keep, whoever stands on its other side: one list of promises, and one adapter a source.
//!
//! Each adapter tells at the end what stood on the other side, by its own name and version, and whether that was the real
//! program: `cargo test --release --workspace --test it conformance:: -- --nocapture --test-threads=16`.
#![allow(clippy::print_stdout)]

mod kube;
mod lab;
mod loki_push;
mod otlp;
mod prometheus;
mod pulled_lines;
mod pulled_metrics;
mod rows;
mod vmagent;
mod webhook;

use std::net::SocketAddr;
use std::path::PathBuf;

use self::lab::{Lab, TOKEN};
use self::rows::Rows;
use crate::daemon::Process;
use crate::gate::Gate;
use crate::until::until;

/// A source, with whoever stands on its other side.
trait Source: Sized {
    /// What is spoken, and which way.
    const WIRE: &'static str;
    const WAY: Way;
    /// By which names `/metrics` counts what comes of it.
    const COUNTED: &'static [&'static str];
    /// By which names `/readyz` tells how whole it is.
    const READY: &'static [&'static str];

    /// The other side, running. Between it and the daemon is the gate: what sends, sends to it with this token; what is
    /// asked, is where it leads to.
    async fn start(gate: &Gate, token: Option<&str>) -> Self;
    /// Its name and version as it says them, and whether it is real.
    fn other_side(&self) -> String;
    /// What the daemon's configuration says of it.
    fn config(&self, _gate: SocketAddr) -> String {
        String::new()
    }
    /// A file by which the daemon reaches its cluster.
    fn kubeconfig(&self) -> Option<PathBuf> {
        None
    }
    /// Has more rows than before. What has two forms of sending, or two connections, takes turns.
    async fn offer(&mut self);
    /// What it says that it has, of these times in nanoseconds, both included.
    async fn has(&mut self, from: i64, to: i64) -> Rows;
    /// From when to when both sides can be compared; the end is now unless it is said.
    fn compared(&self) -> (i64, Option<i64>) {
        (i64::MIN, None)
    }
}

/// Which way rows come.
#[derive(Clone, Copy)]
enum Way {
    /// It sends, to this listener of the daemon.
    Sends(fn(&Process) -> SocketAddr),
    /// The daemon asks it; so many bytes of its answers end in the middle of one.
    IsAsked(i64),
}

impl Way {
    fn sends(self) -> bool {
        matches!(self, Self::Sends(_))
    }
}

/// Holds a source to all promises, each with a daemon and an other side of its own, and tells of it.
async fn conforms<S: Source>() {
    let (side, rows) = arrives::<S>().await;
    let (repeated, survived) = (repeats::<S>().await, survives::<S>().await);
    let kept_out = is_kept_out::<S>().await;
    let seen = if S::READY.is_empty() { "ok (at /metrics; /readyz has no line for it)" } else { "ok" };
    println!(
        "conformance: {}: {side}: arrives ok ({rows} rows), is seen {seen}, repeats ok ({repeated} rows), \
        survives ok ({survived} rows), is kept out {kept_out}",
        S::WIRE
    );
}

/// What the other side has is what whyd has, row for row and bit for bit; `/readyz` and `/metrics` show it.
async fn arrives<S: Source>() -> (String, usize) {
    let mut lab = Lab::<S>::new("").await;
    lab.bench.begin();
    for _ in 0..3 {
        lab.source.offer().await;
    }
    let rows = lab.same("arrives").await;
    until(&format!("{}, is seen: {:?} at /readyz", S::WIRE, S::READY), async || {
        lab.bench.is_synced(S::READY).await.then_some(())
    })
    .await;
    let (inputs, counted) = (lab.bench.counted("whyd_inputs_total").await, lab.bench.counted("whyd_rows_total").await);
    assert!(inputs.iter().all(|n| *n > 0.0), "{}, is seen: {:?} has {inputs:?} inputs", S::WIRE, S::COUNTED);
    assert!(counted.iter().sum::<f64>() >= rows as f64, "{}, is seen: {counted:?} of {rows} rows", S::WIRE);
    (lab.source.other_side(), rows)
}

/// What was taken and whose answer was lost is sent again, what is cut off in the middle is asked for again; it is there once.
async fn repeats<S: Source>() -> usize {
    let mut lab = Lab::<S>::new("").await;
    match S::WAY {
        Way::Sends(_) => {
            lab.bench.begin();
            // In both forms that it has: the connections of both are open by now.
            lab.source.offer().await;
            lab.source.offer().await;
            lab.same("repeats, before").await;
            lab.bench.gate.lose_answers();
            lab.offer_while_answers_are_lost().await;
            lab.bench.until_repeated().await;
        }
        Way::IsAsked(middle) => {
            lab.bench.begin_and_cut_an_answer(middle).await;
            lab.bench.gate.open();
            lab.source.offer().await;
        }
    }
    lab.same("repeats").await
}

/// The daemon is killed while it is sent to or has asked, and while what it took is not yet answered; started again on the
/// same data, in the end nothing is missing and nothing is there twice.
async fn survives<S: Source>() -> usize {
    let mut lab = Lab::<S>::new("").await;
    match S::WAY {
        Way::Sends(_) => {
            lab.bench.begin();
            lab.offer_and_kill_in_the_middle().await;
            lab.source.offer().await;
            lab.bench.gate.lose_answers();
            lab.offer_and_kill_before_the_answer().await;
            lab.bench.until_repeated().await;
        }
        Way::IsAsked(middle) => {
            lab.bench.begin_and_cut_an_answer(middle).await;
            lab.bench.kill();
            lab.bench.gate.open();
            lab.bench.begin();
        }
    }
    lab.source.offer().await;
    lab.same("survives").await
}

/// Without the token nothing is stored and the refusal is counted; with it all is taken.
async fn is_kept_out<S: Source>() -> &'static str {
    if !S::WAY.sends() {
        return "does not apply: nobody sends";
    }
    let mut lab = Lab::<S>::new(TOKEN).await;
    lab.bench.begin();
    lab.source.offer().await;
    let refused = "whyd_turned_away_total{reason=\"unauthorized\"}";
    until(&format!("{}, is kept out: a refusal that is counted", S::WIRE), async || {
        (lab.bench.metric(refused).await? > 0.0).then_some(())
    })
    .await;
    assert_eq!(lab.bench.counted("whyd_inputs_total").await.iter().sum::<f64>(), 0.0, "{}, is kept out", S::WIRE);
    assert_eq!(lab.bench.held().await, Rows::default(), "{}, is kept out", S::WIRE);
    lab.is_let_in().await;
    lab.source.offer().await;
    lab.same("is kept out, with the token").await;
    "ok"
}
