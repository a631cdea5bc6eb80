//! The functions that SQL may call: a list of ours, so that an upgrade of DataFusion adds none unseen.
//!
//! Left out on purpose: what reads files or settings, what is random, what makes long text of short (`repeat`, `lpad`,
//! `rpad`), since the memory pool does not count the strings that an expression makes, and what takes as long as two texts
//! multiplied (`levenshtein`). What puts texts together or into each other is bounded by [`growth`], and the gate counts it
//! as it counts `||`. A regular expression is written out, and the gate sees to it.

mod concat_operator;
mod counters;
mod found;
mod growth;
mod joined;
mod json_list;
mod json_part;
mod json_text;
mod like_pattern;
mod patterns;
mod replace;
mod syntax;
mod to_char;

use std::sync::Arc;

use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};

pub(super) use like_pattern::{MOST as LIKE_PATTERN_MOST, NAME as LIKE_PATTERN};
pub(super) use patterns::MOST_COMPILED;
pub(super) use syntax::HAS;
use syntax::Syntax;

/// What makes text longer than what it is given; the gate lets in only so many.
pub(super) const GROWING: [&str; 8] =
    ["concat", "concat_ws", "date_format", "overlay", "regexp_match", "regexp_replace", "replace", "to_char"];

/// Of DataFusion's own.
const SCALAR: &[&str] = &[
    "abs",
    "acos",
    "acosh",
    "arrow_cast",
    "arrow_try_cast",
    "arrow_typeof",
    "ascii",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "bit_length",
    "btrim",
    "cbrt",
    "ceil",
    "character_length",
    "chr",
    "coalesce",
    "concat",
    "concat_ws",
    "contains",
    "cos",
    "cosh",
    "cot",
    "current_date",
    "current_time",
    "date_bin",
    "date_part",
    "date_trunc",
    "degrees",
    "ends_with",
    "exp",
    "factorial",
    "find_in_set",
    "floor",
    "from_unixtime",
    "gcd",
    "greatest",
    "initcap",
    "isnan",
    "iszero",
    "lcm",
    "least",
    "left",
    "ln",
    "log",
    "log10",
    "log2",
    "lower",
    "ltrim",
    "make_date",
    "make_time",
    "nanvl",
    "now",
    "nullif",
    "nvl",
    "nvl2",
    "octet_length",
    "overlay",
    "pi",
    "power",
    "radians",
    "regexp_like",
    "reverse",
    "right",
    "round",
    "rtrim",
    "signum",
    "sin",
    "sinh",
    "split_part",
    "sqrt",
    "starts_with",
    "strpos",
    "substr",
    "substr_index",
    "tan",
    "tanh",
    "to_char",
    "to_date",
    "to_hex",
    "to_local_time",
    "to_time",
    "to_timestamp",
    "to_timestamp_micros",
    "to_timestamp_millis",
    "to_timestamp_nanos",
    "to_timestamp_seconds",
    "to_unixtime",
    "translate",
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
    /// Before DataFusion's own, which would plan some syntax with functions that are not bounded.
    pub(super) syntax: Vec<Arc<dyn ExprPlanner>>,
}

impl Functions {
    pub(super) fn allowed() -> Self {
        let mut scalar = SessionStateDefaults::default_scalar_functions();
        scalar.retain(|f| SCALAR.contains(&f.name()));
        scalar = scalar.into_iter().map(joined::bounded).map(to_char::bounded).collect();
        scalar.push(replace::function());
        scalar.extend(patterns::functions());
        scalar.extend(found::functions());
        scalar.extend(json_list::functions());
        // As those who have metrics in SQL call it elsewhere.
        for bin in scalar.iter_mut().filter(|f| f.name() == "date_bin") {
            *bin = Arc::new(bin.as_ref().clone().with_aliases(["time_bucket"]));
        }
        let mut aggregate = SessionStateDefaults::default_aggregate_functions();
        aggregate.retain(|f| AGGREGATE.contains(&f.name()));
        aggregate.extend(counters::functions());
        let mut window = SessionStateDefaults::default_window_functions();
        window.retain(|f| WINDOW.contains(&f.name()));
        let mut syntax: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(Syntax::of(&scalar))];
        syntax.extend(SessionStateDefaults::default_expr_planners());
        Self { scalar, aggregate, window, syntax }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name that DataFusion has not, or is not built with, would be missed by those who ask and by nobody else.
    #[test]
    fn each_of_the_list_is_there_once() {
        let allowed = Functions::allowed();
        let of = |name: &str| allowed.scalar.iter().filter(|f| f.name() == name).count();
        for name in SCALAR.iter().chain(GROWING.iter().filter(|name| **name != "date_format")) {
            assert_eq!(of(name), 1, "{name}");
        }
        assert_eq!(allowed.scalar.len(), SCALAR.len() + 8);
        assert!(AGGREGATE.iter().all(|name| allowed.aggregate.iter().any(|f| f.name() == *name)));
        assert!(WINDOW.iter().all(|name| allowed.window.iter().any(|f| f.name() == *name)));
    }
}
