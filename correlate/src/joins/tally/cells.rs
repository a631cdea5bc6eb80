//! What has been made of the pairs of each two groups.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int64Type, Schema};
use datafusion::common::internal_err;
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryReservation;
use whyd_buffers::FixedState;

use super::Aggregate;

/// Bytes of the cells of all groups of one side with all of the other, up to which each has a place of its own.
const DENSE: usize = 16 << 20;
/// Bytes of what finds the cell of two groups that have none of their own, and those groups.
const FOUND: usize = 48;

/// What is made of the pairs of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tallied {
    Count,
    Sum,
    Min,
    Max,
}

impl Tallied {
    /// What two values make together. As DataFusion has it, NaN wins over what came before it.
    pub(super) fn of_floats(self, c: f64, v: f64) -> f64 {
        match self {
            Self::Min if c < v => c,
            Self::Max if c > v => c,
            Self::Min | Self::Max => v,
            _ => c + v,
        }
    }

    pub(super) fn of_ints(self, c: i64, v: i64) -> i64 {
        match self {
            Self::Min => c.min(v),
            Self::Max => c.max(v),
            _ => c.wrapping_add(v),
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "count" => Some(Self::Count),
            "sum" => Some(Self::Sum),
            "min" => Some(Self::Min),
            "max" => Some(Self::Max),
            _ => None,
        }
    }
}

/// The values of one aggregate's argument, of each right row.
pub(super) enum Values {
    /// Each pair counts.
    All,
    Floats(Vec<Option<f64>>),
    Ints(Vec<Option<i64>>),
    Known(Vec<bool>),
}

impl Values {
    pub(super) fn of(aggregate: &Aggregate, schema: &Schema) -> Result<Self> {
        Ok(match (&aggregate.of, aggregate.what) {
            (None, _) => Self::All,
            (Some(_), Tallied::Count) => Self::Known(Vec::new()),
            (Some(of), _) => match of.data_type(schema)? {
                DataType::Float64 => Self::Floats(Vec::new()),
                DataType::Int64 => Self::Ints(Vec::new()),
                other => return internal_err!("{other} is not tallied"),
            },
        })
    }

    pub(super) fn add(&mut self, aggregate: &Aggregate, rows: &RecordBatch) -> Result<()> {
        let Some(of) = &aggregate.of else { return Ok(()) };
        let column = of.evaluate(rows)?.into_array(rows.num_rows())?;
        match self {
            Self::All => {}
            Self::Floats(values) => values.extend(column.as_primitive::<Float64Type>()),
            Self::Ints(values) => values.extend(column.as_primitive::<Int64Type>()),
            Self::Known(known) => known.extend((0..column.len()).map(|n| column.is_valid(n))),
        }
        Ok(())
    }
}

/// What has been made of each cell.
pub(super) enum Cells {
    /// As many as there are pairs.
    Pairs,
    Counts(Vec<i64>),
    Floats(Vec<Option<f64>>),
    Ints(Vec<Option<i64>>),
}

impl Cells {
    pub(super) fn new(values: &Values) -> Self {
        match values {
            Values::All => Self::Pairs,
            Values::Known(_) => Self::Counts(Vec::new()),
            Values::Floats(_) => Self::Floats(Vec::new()),
            Values::Ints(_) => Self::Ints(Vec::new()),
        }
    }

    pub(super) fn grow(&mut self, cells: usize) {
        match self {
            Self::Pairs => {}
            Self::Counts(all) => all.resize(cells, 0),
            Self::Floats(all) => all.resize(cells, None),
            Self::Ints(all) => all.resize(cells, None),
        }
    }

    /// Takes in the pairs of one left row: the right rows with their cells.
    pub(super) fn add(&mut self, what: Tallied, values: &Values, pairs: impl Iterator<Item = (usize, usize)>) {
        match (self, values) {
            (Self::Counts(cells), Values::Known(known)) => {
                for (row, cell) in pairs {
                    if let Some(n) = cells.get_mut(cell) {
                        *n += i64::from(known.get(row) == Some(&true));
                    }
                }
            }
            (Self::Floats(cells), Values::Floats(values)) => {
                for (row, cell) in pairs {
                    if let (Some(cell), Some(Some(v))) = (cells.get_mut(cell), values.get(row)) {
                        *cell = Some(cell.map_or(*v, |c| what.of_floats(c, *v)));
                    }
                }
            }
            (Self::Ints(cells), Values::Ints(values)) => {
                for (row, cell) in pairs {
                    if let (Some(cell), Some(Some(v))) = (cells.get_mut(cell), values.get(row)) {
                        *cell = Some(cell.map_or(*v, |c| what.of_ints(c, *v)));
                    }
                }
            }
            // All pairs: what is counted anyway.
            _ => {}
        }
    }

    /// Takes in a cell of another part.
    pub(super) fn merge(&mut self, what: Tallied, cell: usize, other: &Self, of_other: usize) {
        match (self, other) {
            (Self::Counts(all), Self::Counts(others)) => {
                if let (Some(n), Some(more)) = (all.get_mut(cell), others.get(of_other)) {
                    *n += more;
                }
            }
            (Self::Floats(all), Self::Floats(others)) => {
                if let (Some(c), Some(Some(v))) = (all.get_mut(cell), others.get(of_other)) {
                    *c = Some(c.map_or(*v, |c| what.of_floats(c, *v)));
                }
            }
            (Self::Ints(all), Self::Ints(others)) => {
                if let (Some(c), Some(Some(v))) = (all.get_mut(cell), others.get(of_other)) {
                    *c = Some(c.map_or(*v, |c| what.of_ints(c, *v)));
                }
            }
            _ => {}
        }
    }

    pub(super) fn column(&self, cells: &[u32], pairs: &[i64]) -> ArrayRef {
        let of = |n: &u32| *n as usize;
        match self {
            Self::Pairs => {
                Arc::new(Int64Array::from_iter_values(cells.iter().filter_map(|n| pairs.get(of(n)).copied())))
            }
            Self::Counts(all) => {
                Arc::new(Int64Array::from_iter_values(cells.iter().filter_map(|n| all.get(of(n)).copied())))
            }
            Self::Floats(all) => {
                Arc::new(cells.iter().map(|n| all.get(of(n)).copied().flatten()).collect::<Float64Array>())
            }
            Self::Ints(all) => {
                Arc::new(cells.iter().map(|n| all.get(of(n)).copied().flatten()).collect::<Int64Array>())
            }
        }
    }
}

/// Where the cell of two groups is.
pub(super) enum Places {
    /// One after the other, the right groups of the first left one first.
    Dense(usize),
    /// As they come: few of all that could be.
    Sparse { known: HashMap<u64, u32, FixedState>, groups: Vec<(u32, u32)> },
}

impl Places {
    /// Of so many groups on each side, each two of which take `each` bytes.
    fn of(lefts: usize, rights: usize, each: usize) -> Self {
        if lefts.saturating_mul(rights).saturating_mul(each) <= DENSE {
            Self::Dense(rights)
        } else {
            Self::Sparse { known: HashMap::default(), groups: Vec::new() }
        }
    }

    pub(super) fn place(&mut self, left: u32, right: u32) -> usize {
        match self {
            Self::Dense(rights) => left as usize * *rights + right as usize,
            Self::Sparse { known, groups } => {
                let next = groups.len() as u32;
                let place = *known.entry(u64::from(left) << 32 | u64::from(right)).or_insert(next);
                if place == next {
                    groups.push((left, right));
                }
                place as usize
            }
        }
    }

    pub(super) fn groups(&self, cell: u32) -> (u32, u32) {
        match self {
            Self::Dense(rights) => (cell / (*rights).max(1) as u32, cell % (*rights).max(1) as u32),
            Self::Sparse { groups, .. } => groups.get(cell as usize).copied().unwrap_or_default(),
        }
    }
}

/// The cells that some of the keys have met.
pub(super) struct Tally {
    pub(super) places: Places,
    /// How many pairs each cell has.
    pub(super) pairs: Vec<i64>,
    pub(super) cells: Vec<Cells>,
}

impl Tally {
    /// With no pair, of so many groups on each side.
    pub(super) fn of(lefts: usize, rights: usize, values: &[Values]) -> Self {
        let cells: Vec<Cells> = values.iter().map(Cells::new).collect();
        let places = Places::of(lefts, rights, each(&cells));
        Self { places, pairs: Vec::new(), cells }
    }

    /// Room for cells up to this number, of `all` that there may be.
    pub(super) fn grow(&mut self, to: usize, all: usize, reservation: &MemoryReservation) -> Result<()> {
        if to <= self.pairs.len() {
            return Ok(());
        }
        let (room, found) = match self.places {
            Places::Dense(_) => (all, 0),
            // They come one by one, but are not reserved one by one.
            Places::Sparse { .. } => (to.next_power_of_two(), FOUND),
        };
        reservation.try_grow((room - self.pairs.len()) * (each(&self.cells) + found))?;
        self.pairs.resize(room, 0);
        self.cells.iter_mut().for_each(|c| c.grow(room));
        Ok(())
    }
}

/// Bytes of a cell: how many pairs it has, and what is made of them.
fn each(cells: &[Cells]) -> usize {
    let of = |cells: &Cells| match cells {
        Cells::Pairs => 0,
        Cells::Counts(_) => size_of::<i64>(),
        Cells::Floats(_) => size_of::<Option<f64>>(),
        Cells::Ints(_) => size_of::<Option<i64>>(),
    };
    size_of::<i64>() + cells.iter().map(of).sum::<usize>()
}
