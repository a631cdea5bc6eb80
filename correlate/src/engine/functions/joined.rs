//! `concat`, `concat_ws` and `overlay`: DataFusion's, once it is known how long what they make will be. And those that put other
//! letters for letters, some of which are longer: once it is known how long what they made is, so that a nest of them grows no more
//! than one.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};

use super::growth::{Room, bytes_of, rows};

/// Those that put all their texts into one.
pub(super) const JOINED: [&str; 3] = ["concat", "concat_ws", "overlay"];

/// Those that make a letter into one of four bytes, or into three letters, at most.
const LETTERS: [&str; 4] = ["initcap", "lower", "translate", "upper"];

/// The same function, bounded.
pub(super) fn bounded(function: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    match JOINED.into_iter().chain(LETTERS).find(|name| *name == function.name()) {
        Some(name) => Arc::new(ScalarUDF::from(Joined { name, function })),
        None => function,
    }
}

/// It is not simplified: what DataFusion would put in its place is not bounded.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Joined {
    name: &'static str,
    function: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for Joined {
    fn name(&self) -> &'static str {
        self.name
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn coerce_types(&self, of: &[DataType]) -> Result<Vec<DataType>> {
        self.function.coerce_types(of)
    }

    fn return_type(&self, of: &[DataType]) -> Result<DataType> {
        self.function.return_type(of)
    }

    fn aliases(&self) -> &[String] {
        self.function.aliases()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = rows(&args);
        let one = |arg: &ColumnarValue| match arg {
            ColumnarValue::Array(array) => bytes_of(array.as_ref()),
            ColumnarValue::Scalar(scalar) => {
                let bytes = scalar.try_as_str().map_or_else(|| scalar.size(), |text| text.map_or(0, str::len));
                bytes.saturating_mul(rows)
            }
        };
        let column =
            |arg: &ColumnarValue| if let ColumnarValue::Array(array) = arg { bytes_of(array.as_ref()) } else { 0 };
        let longest = args.args.iter().map(column).max().unwrap_or(0);
        let mut whole = args.args.iter().map(one).fold(0, usize::saturating_add);
        if self.name == "concat_ws" {
            // The separator stands between any two.
            let separator = args.args.first().map_or(0, one);
            whole = whole.saturating_add(separator.saturating_mul(args.args.len().saturating_sub(3)));
        }
        let mut room = Room::beside(self.name, longest);
        if LETTERS.contains(&self.name) {
            let made = self.function.inner().invoke_with_args(args)?;
            room.take(column(&made).saturating_sub(longest))?;
            return Ok(made);
        }
        room.take(whole.saturating_sub(longest))?;
        self.function.inner().invoke_with_args(args)
    }
}
