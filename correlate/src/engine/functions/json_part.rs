//! `labels ->> 'app'`, `members ->> 0` and `evidence -> 0`: what an object or a list in JSON has under a name or at a place. `->>` gives
//! it as text, `->` as JSON, to be looked into further. `labels['app']` is the first.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Int64Array, StringBuilder};
use arrow::datatypes::DataType;
use datafusion::common::{ScalarValue, exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::growth::{Clock, Room, Texts, answer, rows};
use super::json_text::{at, plain, under};

/// `->>`.
pub(super) fn as_text() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Part { name: "->>", signature: Signature::user_defined(Volatility::Immutable) }))
}

/// `->`.
pub(super) fn as_json() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Part { name: "->", signature: Signature::user_defined(Volatility::Immutable) }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Part {
    name: &'static str,
    signature: Signature,
}

impl ScalarUDFImpl for Part {
    fn name(&self) -> &'static str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, of: &[DataType]) -> Result<Vec<DataType>> {
        let name = self.name;
        let [json, key] = of else { return plan_err!("{name} stands between a text and a name or a number") };
        match json {
            DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {}
            of if of.is_list() => return plan_err!("{name} reads JSON: what a list has is asked for as list[1]"),
            _ => return plan_err!("{name} reads text that is JSON, as labels ->> 'app' or members ->> 0"),
        }
        let key = match key {
            DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
            key if key.is_integer() => DataType::Int64,
            _ => return plan_err!("behind {name} stands a name, as 'app', or a number, of which the first is 0"),
        };
        Ok(vec![DataType::Utf8, key])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let args: Vec<String> = args.iter().map(|arg| arg.schema_name().to_string()).collect();
        Ok(args.join(&format!(" {} ", self.name)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let name = self.name;
        let [json, key] = &args.args[..] else { return exec_err!("{name} stands between a text and a name") };
        let (json, keys) = (Texts::of(json)?, Keys::of(key)?);
        let (mut room, clock) = (Room::beside(name, json.column()), Clock::of(&args));
        let mut made = StringBuilder::new();
        for row in 0..rows(&args) {
            clock.now()?;
            // It is shorter than what it is taken from.
            room.take(json.repeated(row))?;
            let found = json.get(row).zip(keys.get(row)).and_then(|(json, key)| match key {
                Key::Name(name) => under(json, name),
                Key::Place(place) => at(json, place),
            });
            match name {
                "->>" => made.append_option(found.and_then(plain)),
                _ => made.append_option(found.map(serde_json::value::RawValue::get).filter(|json| *json != "null")),
            }
        }
        answer(&args, Arc::new(made.finish()))
    }
}

#[derive(Clone, Copy)]
enum Key<'a> {
    Name(&'a str),
    Place(i64),
}

/// What stands behind an arrow.
enum Keys<'a> {
    Names(Texts<'a>),
    /// One for all rows.
    Place(Option<i64>),
    /// One for each.
    Places(&'a Int64Array),
}

impl<'a> Keys<'a> {
    fn of(value: &'a ColumnarValue) -> Result<Self> {
        Ok(match value {
            ColumnarValue::Scalar(ScalarValue::Int64(place)) => Self::Place(*place),
            ColumnarValue::Array(array) if array.data_type() == &DataType::Int64 => Self::Places(array.as_primitive()),
            names => Self::Names(Texts::of(names)?),
        })
    }

    fn get(&self, row: usize) -> Option<Key<'a>> {
        match self {
            Self::Names(names) => names.get(row).map(Key::Name),
            Self::Place(place) => place.map(Key::Place),
            Self::Places(places) => places.is_valid(row).then(|| Key::Place(places.value(row))),
        }
    }
}
