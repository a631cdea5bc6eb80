//! `json_list(members)`: a list in JSON as a list of texts, each as `->>` would give it. What takes lists takes it: `unnest`,
//! `array_has`, `array_length`, `= ANY (...)` and `list[n]`.

use std::sync::Arc;

use arrow::array::{ListBuilder, StringBuilder};
use arrow::datatypes::{DataType, Field};
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use datafusion_functions_nested::array_has::array_has_udf;
use datafusion_functions_nested::length::array_length_udf;

use super::growth::{Clock, Room, Texts, answer, rows};
use super::json_text::{each, plain};

/// Bytes that an item takes beside its text.
const BESIDE: usize = size_of::<i32>();
/// Items from one look at the clock to the next: a list may have millions.
const ITEMS: usize = 1024;

/// The function, and those of DataFusion by which a list is asked what it has: what they give is no longer than a number.
pub(super) fn functions() -> [Arc<ScalarUDF>; 3] {
    let list = JsonList { signature: Signature::user_defined(Volatility::Immutable) };
    [Arc::new(ScalarUDF::from(list)), array_has_udf(), array_length_udf()]
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct JsonList {
    signature: Signature,
}

impl ScalarUDFImpl for JsonList {
    fn name(&self) -> &'static str {
        "json_list"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, of: &[DataType]) -> Result<Vec<DataType>> {
        match of {
            [DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View] => Ok(vec![DataType::Utf8]),
            [of] if of.is_list() => plan_err!("json_list makes a list of text that is JSON, and this is a list"),
            _ => plan_err!("json_list takes one text that is a list in JSON, as json_list(members)"),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [json] = &args.args[..] else { return exec_err!("json_list takes one text") };
        let json = Texts::of(json)?;
        let (mut room, clock) = (Room::beside("json_list", json.column()), Clock::of(&args));
        let mut made = ListBuilder::new(StringBuilder::new());
        for row in 0..rows(&args) {
            clock.now()?;
            // Together they are shorter than the list that they are taken from.
            room.take(json.repeated(row))?;
            let text = json.get(row);
            let mut asked = clock.every(ITEMS);
            let counted = |_| asked.step().and_then(|()| room.take(BESIDE));
            let whole = text.and_then(|text| each(text, counted)).transpose()?;
            let (Some(text), Some(())) = (text, whole) else {
                made.append_null();
                continue;
            };
            let mut asked = clock.every(ITEMS);
            let add = |item| {
                made.values().append_option(plain(item));
                asked.step()
            };
            each(text, add).transpose()?;
            made.append(true);
        }
        answer(&args, Arc::new(made.finish()))
    }
}
