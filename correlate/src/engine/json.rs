//! An answer as JSON text: an array of rows, each an array of values.

use std::fmt::Write;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int64Type, UInt64Type};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// Integers beyond it are no longer exact where JSON's numbers are floats: they are written as text.
const EXACT: i64 = 1 << 53;

/// The rows of `batches`. Numbers, truth values and NULL are JSON's, a list is an array and a struct an object; all else is text:
/// times as RFC 3339 has them, and what no JSON number can be, as `NaN`, `inf` and `-inf`. `None` when there are more than `most`
/// bytes; not many more are made.
///
/// # Errors
/// When a value cannot be shown.
pub(super) fn rows(batches: &[RecordBatch], most: usize) -> Result<Option<String>, ArrowError> {
    let options = FormatOptions::default()
        .with_timestamp_format(Some("%Y-%m-%dT%H:%M:%S%.f"))
        .with_timestamp_tz_format(Some("%Y-%m-%dT%H:%M:%S%.f%:z"));
    let mut out = Out { text: String::from("["), most, cell: Cell::default() };
    for batch in batches {
        let columns = batch.columns().iter().map(|c| Shown::of(c, &options)).collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            out.text.push_str(if out.text.len() > 1 { ",\n" } else { "" });
            match out.each('[', ']', columns.iter(), |out, column| column.write(row, out)) {
                Ok(()) => {}
                Err(Stop::Full) => return Ok(None),
                Err(Stop::Failed(why)) => return Err(why),
            }
        }
    }
    out.text.push(']');
    Ok(Some(out.text))
}

/// Why no more is written.
enum Stop {
    Full,
    Failed(ArrowError),
}

/// What was written, up to a bound.
struct Out {
    text: String,
    most: usize,
    cell: Cell,
}

impl Out {
    /// Each of these between two brackets.
    fn each<T>(
        &mut self,
        open: char,
        close: char,
        all: impl Iterator<Item = T>,
        mut one: impl FnMut(&mut Self, T) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        self.text.push(open);
        for (n, part) in all.enumerate() {
            if n > 0 {
                self.text.push(',');
            }
            one(self, part)?;
            if self.text.len() > self.most {
                return Err(Stop::Full);
            }
        }
        self.text.push(close);
        Ok(())
    }

    fn quoted(&mut self, text: &str) -> Result<(), Stop> {
        let quoted = serde_json::to_string(text).map_err(|e| Stop::Failed(ArrowError::JsonError(e.to_string())))?;
        self.text.push_str(&quoted);
        Ok(())
    }
}

/// A column, and how its values are shown.
enum Shown<'a> {
    Value(&'a ArrayRef, ArrayFormatter<'a>),
    /// With where each list begins in its items, and how many it has.
    List(&'a ArrayRef, Box<Self>, Vec<(usize, usize)>),
    Struct(&'a ArrayRef, Vec<(&'a str, Self)>),
}

impl<'a> Shown<'a> {
    fn of(column: &'a ArrayRef, options: &FormatOptions<'a>) -> Result<Self, ArrowError> {
        match column.data_type() {
            DataType::List(_) => {
                let list = column.as_list::<i32>();
                let places = list.value_offsets().windows(2).map(|w| place(w.iter().map(|at| i64::from(*at))));
                Ok(Self::List(column, Box::new(Self::of(list.values(), options)?), places.collect()))
            }
            DataType::LargeList(_) => {
                let list = column.as_list::<i64>();
                let places = list.value_offsets().windows(2).map(|w| place(w.iter().copied()));
                Ok(Self::List(column, Box::new(Self::of(list.values(), options)?), places.collect()))
            }
            DataType::Struct(fields) => {
                let columns = column.as_struct().columns();
                let mut parts = Vec::with_capacity(columns.len());
                for (field, part) in fields.iter().zip(columns) {
                    parts.push((field.name().as_str(), Self::of(part, options)?));
                }
                Ok(Self::Struct(column, parts))
            }
            _ => Ok(Self::Value(column, ArrayFormatter::try_new(column, options)?)),
        }
    }

    fn write(&self, row: usize, out: &mut Out) -> Result<(), Stop> {
        let (Self::Value(column, _) | Self::List(column, ..) | Self::Struct(column, _)) = self;
        if column.is_null(row) {
            out.text.push_str("null");
            return Ok(());
        }
        match self {
            Self::Value(column, shown) => value(column, shown, row, out),
            Self::List(_, items, places) => {
                let (first, length) = places.get(row).copied().unwrap_or_default();
                out.each('[', ']', first..first + length, |out, item| items.write(item, out))
            }
            Self::Struct(_, parts) => out.each('{', '}', parts.iter(), |out, (name, part)| {
                out.quoted(name)?;
                out.text.push(':');
                part.write(row, out)
            }),
        }
    }
}

/// Where a list begins, and its length.
fn place(ends: impl Iterator<Item = i64>) -> (usize, usize) {
    let mut ends = ends.map(|at| usize::try_from(at).unwrap_or(0));
    let first = ends.next().unwrap_or(0);
    (first, ends.next().unwrap_or(first).saturating_sub(first))
}

fn value(column: &ArrayRef, shown: &ArrayFormatter<'_>, row: usize, out: &mut Out) -> Result<(), Stop> {
    let mut cell = std::mem::take(&mut out.cell);
    cell.begin(out.most.saturating_sub(out.text.len()));
    if write!(cell, "{}", shown.value(row)).is_err() {
        return Err(if cell.is_full {
            Stop::Full
        } else {
            Stop::Failed(ArrowError::CastError(format!("a {} cannot be shown", column.data_type())))
        });
    }
    if let DataType::Timestamp(_, Some(_)) = column.data_type()
        && cell.text.ends_with("+00:00")
    {
        cell.text.truncate(cell.text.len() - 6);
        cell.text.push('Z');
    }
    if is_bare(column, row) {
        out.text.push_str(&cell.text);
    } else {
        out.quoted(&cell.text)?;
    }
    out.cell = cell;
    Ok(())
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
        BinaryArray, BooleanArray, Decimal128Array, Float64Array, Int64Array, Int64Builder, ListBuilder, StringArray,
        StructArray, TimestampNanosecondArray, UInt32Array,
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

    /// What holds other values is written as what it is, and a bound on bytes holds inside of it.
    #[test]
    fn lists_and_structs_are_arrays_and_objects() {
        let mut lists = ListBuilder::new(ListBuilder::new(Int64Builder::new()));
        lists.append_value([Some(vec![Some(1), None, Some(i64::MAX)]), Some(vec![]), None]);
        lists.append_null();
        lists.append_value([Some(vec![Some(7); 1000])]);
        let lists: ArrayRef = Arc::new(lists.finish());
        let time = TimestampNanosecondArray::from(vec![Some(0), None, None]).with_timezone("UTC");
        let texts = StringArray::from(vec![Some("a \"b\""), None, Some("")]);
        let parts: Vec<(&str, ArrayRef)> = vec![("at", Arc::new(time)), ("the \"name\"", Arc::new(texts))];
        let parts = StructArray::try_from(parts).unwrap();
        let decimals = Decimal128Array::from(vec![12_345, -1, 0]).with_precision_and_scale(20, 2).unwrap();
        let numbers = Float64Array::from(vec![f64::INFINITY, f64::NEG_INFINITY, -0.0]);
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("lists", Arc::clone(&lists)),
            ("struct", Arc::new(parts)),
            ("decimal", Arc::new(decimals)),
            ("double", Arc::new(numbers)),
            ("bytes", Arc::new(BinaryArray::from_vec(vec![b"\xff\x00", b"", b"ab"]))),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap();
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        let first = serde_json::json!([
            [[1, null, "9223372036854775807"], [], null],
            {"at": "1970-01-01T00:00:00Z", "the \"name\"": "a \"b\""}, "123.45", "inf", "ff00"
        ]);
        let second = serde_json::json!([null, {"at": null, "the \"name\"": null}, "-0.01", "-inf", ""]);
        assert_eq!(read(&rows(&[batch.slice(0, 2)], 1000).unwrap().unwrap()), serde_json::json!([first, second]));
        // Of what was cut out of a list only that.
        let last = read(&rows(&[batch.slice(2, 1)], 10_000).unwrap().unwrap());
        assert_eq!(last[0][0], serde_json::json!([vec![7; 1000]]));
        assert_eq!(rows(&[batch.slice(2, 1)], 100).unwrap(), None);
    }
}
