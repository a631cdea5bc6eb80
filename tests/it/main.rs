//! The one integration binary: a line for each module.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod alertmanager;
mod captures;
mod chart;
mod checkpoints;
mod conformance;
mod counterfactuals;
mod daemon;
mod dependencies;
mod detection;
mod doors;
mod evidence;
mod gate;
mod kube_apiserver;
mod ledger;
mod links;
mod log;
mod otlp;
mod page;
mod promql;
mod pull;
mod recording;
mod remote_write;
mod scenarios;
mod sealed;
mod server;
mod silence;
mod sql;
mod until;
mod variants;
