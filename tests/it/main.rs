//! The one integration binary: a line for each module.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod alertmanager;
mod captures;
mod chart;
mod checkpoints;
mod counterfactuals;
mod daemon;
mod dependencies;
mod evidence;
mod kube_apiserver;
mod ledger;
mod log;
mod otlp;
mod promql;
mod recording;
mod remote_write;
mod scenarios;
mod sealed;
mod server;
mod until;
mod variants;
