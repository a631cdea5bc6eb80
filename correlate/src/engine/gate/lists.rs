//! How much of a kind stands in one query: what is planned for each column, key or call is compared with that for all others, and planning
//! lets go of no thread.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, Function, FunctionArgumentClause, FunctionArguments, GroupByExpr, NamedWindowDefinition,
    NamedWindowExpr, OrderBy, OrderByKind, Query, Select, Visitor, WindowType,
};

use crate::engine::MAX_COLUMNS;

/// Keys of one `ORDER BY`, `GROUP BY` or `PARTITION BY`.
const MAX_KEYS: usize = 32;
/// Calls of functions.
const MAX_CALLS: usize = 1024;
/// Calls with `OVER`: each that has an order or a partition of its own is an operator and a sort.
const MAX_WINDOWS: usize = 32;

/// Finds a list that is too long.
#[derive(Default)]
pub(super) struct Lists {
    calls: usize,
    windows: usize,
}

type Judged = ControlFlow<String>;

fn at_most(most: usize, is: usize, what: &str) -> Judged {
    if is > most {
        return ControlFlow::Break(format!("{what}: {is} are over the limit of {most}"));
    }
    ControlFlow::Continue(())
}

impl Visitor for Lists {
    type Break = String;

    fn pre_visit_query(&mut self, query: &Query) -> Judged {
        let keys = |order: &OrderBy| match &order.kind {
            OrderByKind::Expressions(keys) => keys.len(),
            OrderByKind::All(_) => 0,
        };
        at_most(MAX_KEYS, query.order_by.as_ref().map_or(0, keys), "keys of an ORDER BY")
    }

    fn pre_visit_select(&mut self, select: &Select) -> Judged {
        at_most(MAX_COLUMNS, select.projection.len(), "columns of a SELECT")?;
        if let Some(Distinct::On(keys)) = &select.distinct {
            at_most(MAX_KEYS, keys.len(), "keys of a DISTINCT ON")?;
        }
        for NamedWindowDefinition(_, window) in &select.named_window {
            if let NamedWindowExpr::WindowSpec(window) = window {
                at_most(MAX_KEYS, window.partition_by.len() + window.order_by.len(), "keys of a WINDOW")?;
            }
        }
        match &select.group_by {
            GroupByExpr::Expressions(keys, _) => at_most(MAX_KEYS, keys.len(), "keys of a GROUP BY"),
            GroupByExpr::All(_) => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> Judged {
        let Expr::Function(Function { over, args, within_group, .. }) = expr else { return ControlFlow::Continue(()) };
        self.calls += 1;
        at_most(MAX_CALLS, self.calls, "calls of functions")?;
        if let FunctionArguments::List(list) = args {
            let keys = list.clauses.iter().map(|clause| match clause {
                FunctionArgumentClause::OrderBy(keys) => keys.len(),
                _ => 0,
            });
            at_most(MAX_KEYS, keys.sum::<usize>() + within_group.len(), "keys of an ORDER BY")?;
        }
        if let Some(over) = over {
            self.windows += 1;
            at_most(MAX_WINDOWS, self.windows, "functions with OVER")?;
            if let WindowType::WindowSpec(window) = over {
                at_most(MAX_KEYS, window.partition_by.len() + window.order_by.len(), "keys of an OVER")?;
            }
        }
        ControlFlow::Continue(())
    }
}
