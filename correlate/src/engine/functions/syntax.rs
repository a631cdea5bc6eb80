//! Syntax that stands for functions: `SUBSTRING(x FROM n)`, `POSITION(x IN y)`, `OVERLAY(...)`, `list[n]`, `a || b`, `labels ->> 'app'`,
//! `evidence -> 0` and `labels['app']`.

use std::sync::Arc;

use arrow::array::{Array, AsArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{DFSchema, internal_datafusion_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr, RawFieldAccessExpr};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, GetFieldAccess, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::{concat_operator, json_part, like_pattern};

/// How a list is asked for what it has.
pub(in crate::engine) const HAS: &str =
    "what a list has is asked with array_has, of a list in JSON as array_has(json_list(members), 'shop/cart-0/cart')";

/// Plans them with functions of the list and no others.
#[derive(Debug)]
pub(super) struct Syntax {
    functions: Vec<Arc<ScalarUDF>>,
    element: Arc<ScalarUDF>,
    beside: Arc<ScalarUDF>,
    part: Arc<ScalarUDF>,
    part_in_json: Arc<ScalarUDF>,
    like_pattern: Arc<ScalarUDF>,
}

impl Syntax {
    pub(super) fn of(functions: &[Arc<ScalarUDF>]) -> Self {
        let named = |f: &&Arc<ScalarUDF>| ["substr", "strpos", "overlay"].contains(&f.name());
        let signature = Signature::any(2, Volatility::Immutable);
        let element = Arc::new(ScalarUDF::from(Element { signature }));
        Self {
            functions: functions.iter().filter(named).cloned().collect(),
            element,
            beside: concat_operator::function(),
            part: json_part::as_text(),
            part_in_json: json_part::as_json(),
            like_pattern: like_pattern::function(),
        }
    }

    fn call(&self, name: &str, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        match self.functions.iter().find(|f| f.name() == name) {
            Some(function) => Ok(PlannerResult::Planned(function.call(args))),
            None => Ok(PlannerResult::Original(args)),
        }
    }
}

impl ExprPlanner for Syntax {
    fn plan_substring(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        self.call("substr", args)
    }

    fn plan_position(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        self.call("strpos", args)
    }

    fn plan_overlay(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        self.call("overlay", args)
    }

    fn plan_field_access(&self, access: RawFieldAccessExpr, _: &DFSchema) -> Result<PlannerResult<RawFieldAccessExpr>> {
        match access.field_access {
            GetFieldAccess::ListIndex { key } => Ok(PlannerResult::Planned(self.element.call(vec![access.expr, *key]))),
            GetFieldAccess::NamedStructField { name } => {
                Ok(PlannerResult::Planned(self.part.call(vec![access.expr, Expr::Literal(name, None)])))
            }
            GetFieldAccess::ListRange { .. } => Ok(PlannerResult::Original(access)),
        }
    }

    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        match &expr.op {
            BinaryOperator::StringConcat => {
                let is_list = |side: &Expr| side.get_type(schema).is_ok_and(|of| of.is_nested());
                if is_list(&expr.left) || is_list(&expr.right) {
                    return plan_err!("|| puts texts together, not lists");
                }
                Ok(PlannerResult::Planned(self.beside.call(vec![expr.left, expr.right])))
            }
            BinaryOperator::LongArrow => Ok(PlannerResult::Planned(self.part.call(vec![expr.left, expr.right]))),
            BinaryOperator::Arrow => Ok(PlannerResult::Planned(self.part_in_json.call(vec![expr.left, expr.right]))),
            BinaryOperator::Custom(name) if name == like_pattern::NAME => {
                Ok(PlannerResult::Planned(self.like_pattern.call(vec![expr.left])))
            }
            op @ (BinaryOperator::HashArrow | BinaryOperator::HashLongArrow) => {
                plan_err!("{op} is not supported: a way through JSON is gone step by step, as evidence -> 0 ->> 'text'")
            }
            op @ (BinaryOperator::AtArrow | BinaryOperator::ArrowAt) => {
                plan_err!("{op} is not supported: {HAS}")
            }
            _ => Ok(PlannerResult::Original(expr)),
        }
    }
}

/// One element of a list, counted from one; there is none before the first or behind the last.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Element {
    signature: Signature,
}

impl ScalarUDFImpl for Element {
    fn name(&self) -> &'static str {
        "array_element"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, of: &[DataType]) -> Result<DataType> {
        match of {
            [DataType::List(item), n] if n.is_integer() => Ok(item.data_type().clone()),
            [DataType::List(_), n] => plan_err!("an element of a list is asked for by its number, not by a {n}"),
            [DataType::Utf8, n] if n.is_integer() => {
                plan_err!(
                    "this is text: an element of a list in JSON is members ->> 0, the first, or json_list(members)[1]"
                )
            }
            _ => plan_err!("only a list has elements, such as what regexp_match and array_agg give"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let wrong = || internal_datafusion_err!("array_element takes a list and a number");
        let [list, n] = &args.args[..] else { return Err(wrong()) };
        let list = list.to_array(args.number_rows)?;
        let list = list.as_list_opt::<i32>().ok_or_else(wrong)?;
        let n = n.cast_to(&DataType::Int64, None)?.to_array(args.number_rows)?;
        let n = n.as_primitive_opt::<Int64Type>().ok_or_else(wrong)?;
        let place = |(row, n): (usize, Option<i64>)| {
            let from = *list.value_offsets().get(row)?;
            let at = n.and_then(|n| u32::try_from(n).ok()?.checked_sub(1)).filter(|_| list.is_valid(row))?;
            let length = u32::try_from(list.value_length(row)).ok()?;
            (at < length).then(|| u32::try_from(from).ok()?.checked_add(at))?
        };
        let places: UInt32Array = n.iter().enumerate().map(place).collect();
        Ok(ColumnarValue::Array(take(list.values(), &places, None)?))
    }
}
