//! `a || b` of texts, as a function: the operator's own growth is counted by nobody.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringBuilder};
use arrow::datatypes::DataType;
use datafusion::common::internal_err;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::growth::{Room, Texts, answer, rows};

pub(super) fn function() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Beside { signature: Signature::user_defined(Volatility::Immutable) }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Beside {
    signature: Signature,
}

impl ScalarUDFImpl for Beside {
    fn name(&self) -> &'static str {
        "||"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, of: &[DataType]) -> Result<Vec<DataType>> {
        Ok(vec![DataType::Utf8; of.len()])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.iter().map(|arg| arg.schema_name().to_string()).collect::<Vec<_>>().join(" || "))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = &args.args[..] else { return internal_err!("|| takes two texts") };
        let (left, right) = (Texts::of(left)?, Texts::of(right)?);
        // The longer of the two columns is there already, the other is what is added.
        let is_left = left.column() >= right.column();
        let mut room = Room::beside("||", left.column().max(right.column()));
        let mut made = StringBuilder::new();
        for row in 0..rows(&args) {
            let (Some(one), Some(other)) = (left.get(row), right.get(row)) else {
                made.append_null();
                continue;
            };
            let (longer, added) = if is_left { (&left, other) } else { (&right, one) };
            room.take(longer.repeated(row).saturating_add(added.len()))?;
            // It is written part by part and ended with nothing.
            if made.write_str(one).and_then(|()| made.write_str(other)).is_err() {
                return internal_err!("a text that cannot be written");
            }
            made.append_value("");
        }
        answer(&args, Arc::new(made.finish()) as ArrayRef)
    }
}
