//! What a query was planned to, judged before it is made ready to run: window functions whose answers grow, and types of which a
//! single NULL takes gigabytes.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{Expr, LogicalPlan, WindowFunctionDefinition};

/// Aggregates that may be asked over a window: what they hold is of one size however many rows they were given, and so is
/// the work of asking them. All others hold their frame, and are asked for all of it at each row.
const OVER_WINDOWS: &[&str] = &[
    "avg",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "first_value",
    "last_value",
    "max",
    "min",
    "nth_value",
    "stddev",
    "stddev_pop",
    "sum",
    "var",
    "var_pop",
];

const PADDED: &str =
    "a type of a fixed length is not allowed: text, and a list as bigint[], have the length of what is in them";

/// Columns of all operators together: each takes its place in every look at the plan, and a `*` writes many with one letter.
const MAX_FIELDS: usize = 20_000;

/// Why the plan is refused, in words; `None` when it is not.
///
/// # Errors
/// DataFusion's, when the plan cannot be walked.
pub(in crate::engine) fn over(plan: &LogicalPlan) -> Result<Option<String>, DataFusionError> {
    let (mut why, mut fields) = (None, 0);
    plan.apply_with_subqueries(|node| {
        fields += node.schema().fields().len();
        if fields > MAX_FIELDS {
            why = Some(format!(
                "a query that is planned to more than {MAX_FIELDS} columns, all its tables and steps together: name those that are needed instead of *"
            ));
            return Ok(TreeNodeRecursion::Stop);
        }
        node.apply_expressions(|whole| {
            whole.apply(|expr| {
                why = match expr {
                    Expr::WindowFunction(function) => grows(function),
                    Expr::Cast(cast) if is_padded(cast.field.data_type()) => Some(PADDED.to_owned()),
                    Expr::TryCast(cast) if is_padded(cast.field.data_type()) => Some(PADDED.to_owned()),
                    Expr::ScalarFunction(call) if call.name().ends_with("cast") && names_padded(&call.args) => {
                        Some(PADDED.to_owned())
                    }
                    _ => None,
                };
                Ok(if why.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
            })
        })
    })?;
    Ok(why)
}

fn grows(function: &WindowFunction) -> Option<String> {
    let WindowFunctionDefinition::AggregateUDF(aggregate) = &function.fun else { return None };
    let name = aggregate.name();
    if function.params.distinct {
        return Some(format!(
            "{name}(DISTINCT ...) is not allowed with OVER: at each row it would hold all before it; \
             group by the partition, in a subquery, and join what comes of it"
        ));
    }
    if OVER_WINDOWS.contains(&name) {
        return None;
    }
    Some(format!(
        "{name} is not allowed with OVER: at each row it would be made anew of all rows of the frame; \
         leave OVER out and GROUP BY what it is partitioned by, or time_bucket(...) for a frame of time"
    ))
}

/// Whether each value, NULL too, takes a length that is told by whoever asks.
fn is_padded(of: &DataType) -> bool {
    match of {
        DataType::FixedSizeBinary(_) | DataType::FixedSizeList(..) => true,
        DataType::List(item) | DataType::LargeList(item) | DataType::Map(item, _) => is_padded(item.data_type()),
        DataType::ListView(item) | DataType::LargeListView(item) => is_padded(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| is_padded(field.data_type())),
        DataType::Dictionary(_, of) => is_padded(of),
        DataType::RunEndEncoded(_, item) => is_padded(item.data_type()),
        DataType::Union(fields, _) => fields.iter().any(|(_, field)| is_padded(field.data_type())),
        _ => false,
    }
}

/// Whether such a type is named, as `arrow_cast` takes it.
fn names_padded(args: &[Expr]) -> bool {
    let named = |arg: &Expr| match arg {
        Expr::Literal(value, _) => value.try_as_str().flatten().is_some_and(|name| name.contains("FixedSize")),
        _ => false,
    };
    args.iter().skip(1).any(named)
}
