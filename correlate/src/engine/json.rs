//! An answer as JSON text: an array of rows, each an array of values.

use std::fmt::Write;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int64Type, UInt64Type};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// Integers beyond it are no longer exact where JSON's numbers are floats: they are written as text.
const EXACT: i64 = 1 << 53;

/// The rows of `batches`. Numbers, truth values and NULL are JSON's; all else is text: times as RFC 3339 has them, and what no
/// JSON number can be, as `NaN`. `None` when there are more than `most` bytes; not many more are made.
///
/// # Errors
/// When a value cannot be shown.
pub(super) fn rows(batches: &[RecordBatch], most: usize) -> Result<Option<String>, ArrowError> {
    let options = FormatOptions::default()
        .with_timestamp_format(Some("%Y-%m-%dT%H:%M:%S%.f"))
        .with_timestamp_tz_format(Some("%Y-%m-%dT%H:%M:%S%.f%:z"));
    let mut out = String::from("[");
    for batch in batches {
        let columns = batch.columns().iter().map(|c| ArrayFormatter::try_new(c, &options));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let mut text = Cell::default();
        for row in 0..batch.num_rows() {
            out.push_str(if out.len() > 1 { ",\n[" } else { "[" });
            for (n, (column, shown)) in batch.columns().iter().zip(&columns).enumerate() {
                if n > 0 {
                    out.push(',');
                }
                if column.is_null(row) {
                    out.push_str("null");
                    continue;
                }
                text.begin(most.saturating_sub(out.len()));
                if write!(text, "{}", shown.value(row)).is_err() {
                    return match text.is_full {
                        true => Ok(None),
                        false => Err(ArrowError::CastError(format!("a {} cannot be shown", column.data_type()))),
                    };
                }
                if let DataType::Timestamp(_, Some(_)) = column.data_type()
                    && text.text.ends_with("+00:00")
                {
                    text.text.truncate(text.text.len() - 6);
                    text.text.push('Z');
                }
                if is_bare(column, row) {
                    out.push_str(&text.text);
                } else {
                    out.push_str(&serde_json::to_string(&text.text).map_err(|e| ArrowError::JsonError(e.to_string()))?);
                }
                if out.len() > most {
                    return Ok(None);
                }
            }
            out.push(']');
        }
    }
    out.push(']');
    Ok(Some(out))
}

/// The text of one value, up to a bound.
#[derive(Default)]
struct Cell {
    text: String,
    most: usize,
    is_full: bool,
}

impl Cell {
    fn begin(&mut self, most: usize) {
        (self.most, self.is_full) = (most, false);
        self.text.clear();
    }
}

impl Write for Cell {
    fn write_str(&mut self, some: &str) -> std::fmt::Result {
        self.is_full |= self.text.len() + some.len() > self.most;
        if self.is_full {
            return Err(std::fmt::Error);
        }
        self.text.push_str(some);
        Ok(())
    }
}

/// Whether a value is written as it is shown.
fn is_bare(column: &dyn Array, row: usize) -> bool {
    match column.data_type() {
        DataType::Boolean => true,
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).unsigned_abs() <= EXACT as u64,
        DataType::UInt64 => column.as_primitive::<UInt64Type>().value(row) <= EXACT as u64,
        DataType::Float32 => column.as_primitive::<Float32Type>().value(row).is_finite(),
        DataType::Float64 => column.as_primitive::<Float64Type>().value(row).is_finite(),
        of => of.is_integer(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, TimestampNanosecondArray, UInt32Array,
    };

    use super::*;

    #[test]
    fn rows_are_what_a_json_reader_expects() {
        let time = TimestampNanosecondArray::from(vec![Some(1_500_000_000), None, Some(0)]).with_timezone("UTC");
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("text", Arc::new(StringArray::from(vec![Some("a \"b\"\n"), None, Some("")]))),
            ("id", Arc::new(UInt32Array::from(vec![7, 8, 9]))),
            ("count", Arc::new(Int64Array::from(vec![-1, i64::MAX, EXACT]))),
            ("value", Arc::new(Float64Array::from(vec![0.5, f64::NAN, 1e300]))),
            ("is", Arc::new(BooleanArray::from(vec![true, false, true]))),
            ("ts", Arc::new(time)),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap();
        let text = rows(&[batch.clone(), batch.slice(0, 1)], 1000).unwrap().unwrap();
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        let first = serde_json::json!(["a \"b\"\n", 7, -1, 0.5, true, "1970-01-01T00:00:01.500Z"]);
        let second = serde_json::json!([null, 8, "9223372036854775807", "NaN", false, null]);
        let third = serde_json::json!(["", 9, EXACT, 1e300, true, "1970-01-01T00:00:00Z"]);
        assert_eq!(read, serde_json::json!([first, second, third, first]));
        assert_eq!(rows(&[batch], 60).unwrap(), None);
        // One row of many columns that are one and the same text.
        let long: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(10_000)]));
        let wide = RecordBatch::try_from_iter((0..1000).map(|n| (format!("c{n}"), Arc::clone(&long)))).unwrap();
        assert_eq!(rows(&[wide], 15_000).unwrap(), None);
        assert_eq!(rows(&[], 60).unwrap().unwrap(), "[]");
    }
}
