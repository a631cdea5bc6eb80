//! `labels ->> 'app'` and `labels['app']`: what an object in JSON, which `labels` is, has under a name.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::StringBuilder;
use arrow::datatypes::DataType;
use datafusion::common::{exec_err, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use serde_json::Value;

use super::growth::{Room, Texts, answer, rows};

pub(super) fn function() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Label { signature: Signature::exact(vec![DataType::Utf8; 2], Volatility::Immutable) }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Label {
    signature: Signature,
}

impl ScalarUDFImpl for Label {
    fn name(&self) -> &'static str {
        "->>"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.iter().map(|arg| arg.schema_name().to_string()).collect::<Vec<_>>().join(" ->> "))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [object, key] = &args.args[..] else { return internal_err!("->> takes a text and a name") };
        let (object, key) = (Texts::of(object)?, Texts::of(key)?);
        let Texts::One(key) = key else { return exec_err!("the name after ->> must be written out, as '...'") };
        let mut room = Room::beside("->>", object.column());
        let mut made = StringBuilder::new();
        for row in 0..rows(&args) {
            // It is shorter than what it is taken from.
            room.take(object.repeated(row))?;
            made.append_option(object.get(row).zip(key).and_then(|(object, key)| found(object, key)));
        }
        answer(&args, Arc::new(made.finish()))
    }
}

/// As PostgreSQL: a text without its quotes, anything else as JSON has it, and nothing for `null`.
fn found(object: &str, key: &str) -> Option<String> {
    let mut all: BTreeMap<String, Value> = serde_json::from_str(object).ok()?;
    match all.remove(key)? {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}
