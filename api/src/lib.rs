//! What the daemon answers over HTTP: the API with its schema, health, metrics, and the listener that serves them.
//!
//! A request passes the [`access::Door`], which decides its [`whyd_signals::Access`]; everything it reads after that
//! comes through a [`Reader`] scoped to it. Nothing in here holds state, and the time of day is given to it.

pub mod access;
pub mod alertmanager;
mod cursor;
pub mod dto;
mod known;
pub mod listen;
pub mod next;
mod owners;
pub mod problem;
mod promql;
pub mod reader;
pub mod routes;
mod scope;
mod shown_by;
pub mod sql;

pub use access::{Anonymous, Door, Grant};
pub use listen::{Deadlines, serve};
pub use reader::{
    Kind, Metric, PodName, Reader, SeriesSet, SourceStatus, Status, TellsOf, Told, Trouble, Unheard, Visit, Wanted,
    Whom, WrongAt,
};
pub use routes::openapi::document;
pub use routes::{Api, router};
pub use sql::{Sql, SqlAnswering, SqlHeld, SqlRefusal, SqlRows};
