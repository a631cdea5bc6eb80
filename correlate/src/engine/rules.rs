//! What makes a plan a better one: DataFusion's rules and ours.

use std::sync::Arc;

use datafusion::optimizer::{Optimizer, OptimizerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;

use super::in_turn::UnionsInTurn;
use crate::joins::rules::{IntervalJoins, LeftFilters};
use crate::joins::tally::Tallies;

pub(super) type Rules = Vec<Arc<dyn OptimizerRule + Send + Sync>>;

/// DataFusion's rules and ours. Filters are moved below an as-of join as soon as they have reached it, since a projection
/// comes in between later.
pub(super) fn of_queries() -> Rules {
    let mut rules: Rules = Vec::new();
    for rule in Optimizer::new().rules {
        let moved = rule.name() == "push_down_filter";
        rules.push(rule);
        if moved {
            rules.push(Arc::new(LeftFilters));
        }
    }
    rules.push(Arc::new(IntervalJoins));
    rules
}

pub(super) type PlanRules = Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>>;

/// As [`of_queries`], of plans that are made ready to run.
pub(super) fn of_plans() -> PlanRules {
    let mut rules: PlanRules = vec![Arc::new(UnionsInTurn)];
    rules.extend(PhysicalOptimizer::new().rules);
    rules.push(Arc::new(Tallies));
    rules
}
