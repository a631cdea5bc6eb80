//! Groups of the rows of each side, numbered as they come.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema};
use datafusion::error::Result;
use datafusion::logical_expr::EmitTo;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::aggregates::group_values::{GroupValues, new_group_values};
use datafusion::physical_plan::aggregates::order::GroupOrdering;
use whyd_buffers::FixedState;

/// Groups of one side, numbered as they come.
pub(super) struct Side {
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    values: Option<Box<dyn GroupValues>>,
    numbers: Vec<usize>,
}

impl Side {
    pub(super) fn new(exprs: Vec<Arc<dyn PhysicalExpr>>, schema: &Schema) -> Result<Self> {
        let field = |(n, e): (usize, &Arc<dyn PhysicalExpr>)| -> Result<Field> {
            Ok(Field::new(n.to_string(), e.data_type(schema)?, true))
        };
        let fields: Vec<Field> = exprs.iter().enumerate().map(field).collect::<Result<_>>()?;
        let values = match fields.is_empty() {
            true => None,
            false => Some(new_group_values(Arc::new(Schema::new(fields)), &GroupOrdering::None)?),
        };
        Ok(Self { exprs, values, numbers: Vec::new() })
    }

    /// The group of each row.
    pub(super) fn number(&mut self, rows: &RecordBatch, out: &mut Vec<u32>) -> Result<()> {
        let Some(values) = &mut self.values else {
            out.resize(out.len() + rows.num_rows(), 0);
            return Ok(());
        };
        let columns = self.exprs.iter().map(|e| e.evaluate(rows)?.into_array(rows.num_rows()));
        values.intern(&columns.collect::<Result<Vec<_>>>()?, &mut self.numbers)?;
        out.extend(self.numbers.iter().map(|n| *n as u32));
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.values.as_ref().map_or(1, |v| v.len())
    }

    pub(super) fn size(&self) -> usize {
        self.values.as_ref().map_or(0, |v| v.size())
    }

    pub(super) fn columns(&mut self) -> Result<Vec<ArrayRef>> {
        self.values.as_mut().map_or(Ok(Vec::new()), |v| v.emit(EmitTo::All))
    }
}

/// Of a text its place among all and in the table, and the slack of both.
const EACH_TEXT: usize = 64;

/// Groups of lines by their text, which is not copied.
#[derive(Default)]
pub(super) struct TextGroups<'a> {
    numbers: HashMap<&'a str, u32, FixedState>,
    pub(super) texts: Vec<&'a str>,
    /// Bytes of all of them.
    bytes: usize,
}

impl<'a> TextGroups<'a> {
    pub(super) fn number(&mut self, text: &'a str) -> u32 {
        let Self { numbers, texts, bytes } = self;
        *numbers.entry(text).or_insert_with(|| {
            *bytes += text.len();
            texts.push(text);
            texts.len() as u32 - 1
        })
    }

    /// What they take, and will when they are a column.
    pub(super) fn size(&self) -> usize {
        self.bytes + self.texts.len() * EACH_TEXT
    }
}

/// Groups of the right rows.
pub(super) enum Rightly<'a> {
    Columns(Side),
    Text(TextGroups<'a>),
}

impl Rightly<'_> {
    pub(super) fn columns(&mut self) -> Result<Vec<ArrayRef>> {
        match self {
            Self::Columns(side) => side.columns(),
            Self::Text(groups) => Ok(vec![Arc::new(StringArray::from_iter_values(&groups.texts))]),
        }
    }
}
