//! How much longer a function may make the texts of one piece of rows: no pool counts what an expression makes. And how long it
//! may take: a query that is over its time is stopped between two rows.

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use datafusion::common::{DataFusionError, ScalarValue, exec_err, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};
use tokio::time::Instant;

use crate::engine::deadline::{Late, Until};

/// Bytes by which what one call makes of a piece of rows may be longer than its longest column.
const MOST: usize = 8 << 20;
/// What an array of text can hold.
const WHOLE: usize = i32::MAX as usize;

/// Ends a call when its query is over its time.
pub(super) struct Clock(Option<Instant>);

impl Clock {
    pub(super) fn of(args: &ScalarFunctionArgs) -> Self {
        Self(args.config_options.extensions.get::<Until>().map(|until| until.0))
    }

    /// At each row, and at each step that may take long.
    ///
    /// # Errors
    /// When it is late.
    pub(super) fn now(&self) -> Result<()> {
        if self.0.is_some_and(|until| Instant::now() >= until) {
            return Err(DataFusionError::External(Box::new(Late)));
        }
        Ok(())
    }

    /// For so many steps of a loop at a time.
    pub(super) fn every(&self, steps: usize) -> Every<'_> {
        Every { clock: self, steps, left: steps }
    }
}

/// A clock that is looked at once in so many steps.
pub(super) struct Every<'c> {
    clock: &'c Clock,
    steps: usize,
    left: usize,
}

impl Every<'_> {
    /// At each step.
    ///
    /// # Errors
    /// When it is late.
    pub(super) fn step(&mut self) -> Result<()> {
        self.left -= 1;
        if self.left > 0 {
            return Ok(());
        }
        self.left = self.steps;
        self.clock.now()
    }
}

/// What one call may still add.
pub(super) struct Room {
    function: &'static str,
    added: usize,
    held: usize,
}

impl Room {
    /// For a call whose longest column has so many bytes.
    pub(super) fn beside(function: &'static str, column: usize) -> Self {
        Self { function, added: 0, held: column }
    }

    /// Takes so many bytes.
    ///
    /// # Errors
    /// When the texts would grow by too much.
    pub(super) fn take(&mut self, bytes: usize) -> Result<()> {
        self.added = self.added.saturating_add(bytes);
        if self.added > MOST || self.held.saturating_add(self.added) > WHOLE {
            return exec_err!(
                "{} makes the texts of one piece of rows longer by more than {} MiB: narrow the query or shorten what is put in",
                self.function,
                MOST >> 20
            );
        }
        Ok(())
    }
}

/// The texts of an argument: one for all rows, or one for each.
pub(super) enum Texts<'a> {
    One(Option<&'a str>),
    Each(&'a StringArray),
}

impl<'a> Texts<'a> {
    pub(super) fn of(value: &'a ColumnarValue) -> Result<Self> {
        let one = |scalar: &'a ScalarValue| scalar.try_as_str().map(Self::One);
        let found = match value {
            ColumnarValue::Scalar(scalar) => one(scalar),
            ColumnarValue::Array(array) => array.as_string_opt::<i32>().map(Self::Each),
        };
        found.map_or_else(|| internal_err!("a text of type {}", value.data_type()), Ok)
    }

    /// The text of a row, `None` where it is NULL.
    pub(super) fn get(&self, row: usize) -> Option<&'a str> {
        match self {
            Self::One(text) => *text,
            Self::Each(texts) => (row < texts.len() && texts.is_valid(row)).then(|| texts.value(row)),
        }
    }

    /// The bytes of a column; one text for all rows is none.
    pub(super) fn column(&self) -> usize {
        match self {
            Self::One(_) => 0,
            Self::Each(texts) => bytes_of(texts),
        }
    }

    /// What a row takes that no column has.
    pub(super) fn repeated(&self, row: usize) -> usize {
        match self {
            Self::One(text) if row > 0 => text.map_or(0, str::len),
            _ => 0,
        }
    }
}

/// The bytes of a column of text.
pub(super) fn bytes_of(array: &dyn Array) -> usize {
    match array.as_string_opt::<i32>() {
        Some(texts) => {
            let ends = texts.value_offsets().last().zip(texts.value_offsets().first());
            ends.map_or(0, |(last, first)| usize::try_from(last - first).unwrap_or(0))
        }
        None => array.to_data().get_slice_memory_size().unwrap_or(usize::MAX),
    }
}

/// How many rows are to be answered: one where all that is given is the same for all.
pub(super) fn rows(args: &ScalarFunctionArgs) -> usize {
    if args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_))) { 1 } else { args.number_rows }
}

/// What was made of `args`, one value for all rows where it was made of such.
pub(super) fn answer(args: &ScalarFunctionArgs, made: ArrayRef) -> Result<ColumnarValue> {
    if args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_))) {
        return ScalarValue::try_from_array(&made, 0).map(ColumnarValue::Scalar);
    }
    Ok(ColumnarValue::Array(made))
}
