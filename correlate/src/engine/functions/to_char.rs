//! `to_char(time, format)`: DataFusion's, some rows at a time, so that what is made can be counted before there is too much of it.

use std::sync::Arc;

use arrow::array::Array;
use arrow::compute::concat;
use arrow::datatypes::DataType;
use datafusion::common::{ScalarValue, exec_err, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};

use super::growth::{Clock, Room, bytes_of};

/// Bytes of a format.
const LONGEST: usize = 256;
/// Rows that are made before they are counted.
const ROWS: usize = 256;

/// The same function, bounded.
pub(super) fn bounded(function: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    if function.name() == "to_char" { Arc::new(ScalarUDF::from(Shown { function })) } else { function }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Shown {
    function: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for Shown {
    fn name(&self) -> &'static str {
        "to_char"
    }

    fn aliases(&self) -> &[String] {
        self.function.aliases()
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn return_type(&self, of: &[DataType]) -> Result<DataType> {
        self.function.return_type(of)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [time, format] = &args.args[..] else { return internal_err!("to_char takes a time and a format") };
        let ColumnarValue::Scalar(ScalarValue::Utf8(format)) = format else {
            return exec_err!("the format of to_char must be written out, as '%Y-%m-%d'");
        };
        if let Some(format) = format {
            if format.len() > LONGEST {
                return exec_err!("the format of to_char has {} bytes: {LONGEST} are allowed", format.len());
            }
            // A span of time is shown in one of two ways, whatever is asked for.
            if !format.contains('%') && !matches!(time.data_type(), DataType::Duration(_)) {
                return exec_err!(
                    "the format of to_char is strftime's, as '%Y-%m-%d %H:%M:%S', and '{format}' has no % in it"
                );
            }
        }
        let ColumnarValue::Array(times) = time else { return self.function.inner().invoke_with_args(args) };
        let (mut room, clock) = (Room::beside("to_char", 0), Clock::of(&args));
        let mut made = Vec::new();
        for from in (0..times.len()).step_by(ROWS) {
            clock.now()?;
            let some = times.slice(from, ROWS.min(times.len() - from));
            let number_rows = some.len();
            let call = vec![ColumnarValue::Array(some), ColumnarValue::Scalar(ScalarValue::Utf8(format.clone()))];
            let part = ScalarFunctionArgs { args: call, number_rows, ..args.clone() };
            let part = self.function.inner().invoke_with_args(part)?.into_array(number_rows)?;
            room.take(bytes_of(part.as_ref()))?;
            made.push(part);
        }
        if made.is_empty() {
            return self.function.inner().invoke_with_args(args);
        }
        Ok(ColumnarValue::Array(concat(&made.iter().map(|part| part.as_ref() as &dyn Array).collect::<Vec<_>>())?))
    }
}
