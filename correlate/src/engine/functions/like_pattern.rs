//! `like_pattern(text)`: what stands right of a `LIKE` where it is made of rows. Each is compiled, so it may have only so many bytes;
//! the engine
//! puts it there, and nobody can call it.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{exec_err, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::growth::{Texts, rows};

pub(in crate::engine) const NAME: &str = "like_pattern";

/// Bytes of one.
pub(in crate::engine) const MOST: usize = 256;

pub(super) fn function() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(LikePattern { signature: Signature::exact(vec![DataType::Utf8], Volatility::Immutable) }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct LikePattern {
    signature: Signature,
}

impl ScalarUDFImpl for LikePattern {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.iter().map(|arg| arg.schema_name().to_string()).collect())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [pattern] = &args.args[..] else { return internal_err!("{NAME} takes a text") };
        let texts = Texts::of(pattern)?;
        if (0..rows(&args)).filter_map(|row| texts.get(row)).any(|text| text.len() > MOST) {
            return exec_err!(
                "a pattern of LIKE that is made of rows may have {MOST} bytes: look for the text itself, as with strpos(line, text) > 0"
            );
        }
        Ok(pattern.clone())
    }
}
