//! The functions that SQL may call: a list of ours, so that an upgrade of DataFusion adds none unseen.
//!
//! Left out on purpose: what reads files or settings, what is random, and what makes long text of short
//! (`repeat`, `lpad`, `replace`, `concat`...), since the memory pool does not count the strings that an expression
//! makes; `||` is there, and the gate counts it.

use std::sync::Arc;

use super::counters;
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};

/// Those of a group whose feature is not built in are simply not there.
const SCALAR: &[&str] = &[
    "abs",
    "arrow_cast",
    "arrow_typeof",
    "ascii",
    "bit_length",
    "btrim",
    "ceil",
    "character_length",
    "chr",
    "coalesce",
    "contains",
    "current_date",
    "current_time",
    "date_bin",
    "date_part",
    "date_trunc",
    "ends_with",
    "exp",
    "floor",
    "from_unixtime",
    "greatest",
    "isnan",
    "iszero",
    "least",
    "left",
    "ln",
    "log",
    "log10",
    "log2",
    "lower",
    "ltrim",
    "make_date",
    "nanvl",
    "now",
    "nullif",
    "nvl",
    "nvl2",
    "octet_length",
    "power",
    "regexp_count",
    "regexp_like",
    "right",
    "round",
    "rtrim",
    "signum",
    "split_part",
    "sqrt",
    "starts_with",
    "strpos",
    "substr",
    "to_char",
    "to_date",
    "to_hex",
    "to_local_time",
    "to_timestamp",
    "to_timestamp_micros",
    "to_timestamp_millis",
    "to_timestamp_nanos",
    "to_timestamp_seconds",
    "to_unixtime",
    "trunc",
    "upper",
];

const AGGREGATE: &[&str] = &[
    "approx_distinct",
    "approx_median",
    "approx_percentile_cont",
    "array_agg",
    "avg",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "first_value",
    "grouping",
    "last_value",
    "max",
    "median",
    "min",
    "nth_value",
    "percentile_cont",
    "stddev",
    "stddev_pop",
    "string_agg",
    "sum",
    "var",
    "var_pop",
];

const WINDOW: &[&str] = &[
    "cume_dist",
    "dense_rank",
    "first_value",
    "lag",
    "last_value",
    "lead",
    "nth_value",
    "ntile",
    "percent_rank",
    "rank",
    "row_number",
];

/// The allowed functions, made once and shared by all sessions.
#[derive(Debug)]
pub(super) struct Functions {
    pub(super) scalar: Vec<Arc<ScalarUDF>>,
    pub(super) aggregate: Vec<Arc<AggregateUDF>>,
    pub(super) window: Vec<Arc<WindowUDF>>,
}

impl Functions {
    pub(super) fn allowed() -> Self {
        let mut scalar = SessionStateDefaults::default_scalar_functions();
        scalar.retain(|f| SCALAR.contains(&f.name()));
        // As those who have metrics in SQL call it elsewhere.
        for bin in scalar.iter_mut().filter(|f| f.name() == "date_bin") {
            *bin = Arc::new(bin.as_ref().clone().with_aliases(["time_bucket"]));
        }
        let mut aggregate = SessionStateDefaults::default_aggregate_functions();
        aggregate.retain(|f| AGGREGATE.contains(&f.name()));
        aggregate.extend(counters::functions());
        let mut window = SessionStateDefaults::default_window_functions();
        window.retain(|f| WINDOW.contains(&f.name()));
        Self { scalar, aggregate, window }
    }
}
