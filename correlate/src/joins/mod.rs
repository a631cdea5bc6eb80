//! The joins by time that everything else is made of: kernels, and the plans that bring them into SQL.

pub mod kernel;

pub(crate) mod asof;
pub(crate) mod asof_sql;
pub(crate) mod columns;
pub(crate) mod interval;
mod keyed;
mod layout;
pub(crate) mod node;
pub(crate) mod planner;
pub(crate) mod right;
mod room;
pub(crate) mod rules;
pub(crate) mod tally;
mod tasks;
mod turns;
mod values;
