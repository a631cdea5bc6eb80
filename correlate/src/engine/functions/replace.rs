//! `replace(text, what, with)`: each `what` in a text exchanged, counted before it is made.

use std::sync::Arc;

use arrow::array::StringBuilder;
use arrow::datatypes::DataType;
use datafusion::common::internal_err;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::growth::{Room, Texts, answer, rows};

pub(super) fn function() -> Arc<ScalarUDF> {
    let signature = Signature::exact(vec![DataType::Utf8; 3], Volatility::Immutable);
    Arc::new(ScalarUDF::from(Replace { signature }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Replace {
    signature: Signature,
}

impl ScalarUDFImpl for Replace {
    fn name(&self) -> &'static str {
        "replace"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [text, what, with] = &args.args[..] else { return internal_err!("replace takes three texts") };
        let (text, what, with) = (Texts::of(text)?, Texts::of(what)?, Texts::of(with)?);
        let mut room = Room::beside("replace", text.column());
        let mut made = StringBuilder::new();
        for row in 0..rows(&args) {
            let (Some(old), Some(what), Some(with)) = (text.get(row), what.get(row), with.get(row)) else {
                made.append_null();
                continue;
            };
            room.take(text.repeated(row))?;
            // Nothing is found nowhere, as in PostgreSQL.
            if what.is_empty() {
                made.append_value(old);
                continue;
            }
            let found = old.matches(what).count();
            room.take(found.saturating_mul(with.len().saturating_sub(what.len())))?;
            made.append_value(old.replace(what, with));
        }
        answer(&args, Arc::new(made.finish()))
    }
}
