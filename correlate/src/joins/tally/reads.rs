//! Reading the right rows: lines that are counted are read as they lie, some batches by each of several tasks, others by their
//! keys.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{Field, Schema};
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::logical_expr::EmitTo;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::aggregates::group_values::new_group_values;
use datafusion::physical_plan::aggregates::order::GroupOrdering;
use datafusion::physical_plan::metrics::Count;

use super::cells::Values;
use super::groups::{Rightly, Side, TextGroups};
use super::laid::{Laid, Runs};
use super::{Group, Plan};
use crate::joins::interval::Lefts;
use crate::joins::room::Room;
use crate::joins::turns::Turns;

/// What a line takes: its time and group as they came, with the slack of both, and as they are laid out, and once more while
/// those of its key are sorted.
const EACH_LINE: usize = 48;
/// What a run of lines takes.
const EACH_RUN: usize = 24;

/// The right rows that a task has read, with the numbers that it gave their groups.
pub(super) struct Read {
    rows: Rows,
    /// The columns of its groups.
    groups: Vec<ArrayRef>,
    /// The values that are aggregated, row by row.
    pub(super) values: Vec<Values>,
}

enum Rows {
    /// Of all keys.
    Runs(Runs),
    /// Of the keys of one part.
    Keyed { keys: Vec<u32>, times: Vec<i64>, groups: Vec<u32> },
}

impl Plan {
    /// What one of several tasks reads.
    pub(super) async fn read(
        &self,
        lefts: &Lefts,
        (part, parts): (usize, usize),
        at_a_time: usize,
        reservation: &MemoryReservation,
        fetched: &Count,
    ) -> Result<Read> {
        let right_schema = self.interval.right.schema().project(&self.columns)?;
        let exprs = self.groups.iter().filter_map(|g| match g {
            Group::Right(e) => Some(Arc::clone(e)),
            Group::Left(_) => None,
        });
        let exprs: Vec<_> = exprs.collect();
        let of_text = matches!(&exprs[..], [one] if one.is::<Column>()) && self.interval.right.is_text(&self.columns);
        let mut side = match of_text && self.aggregates.iter().all(|a| a.of.is_none()) {
            true => Rightly::Text(TextGroups::default()),
            false => Rightly::Columns(Side::new(exprs, &right_schema)?),
        };
        let values = self.aggregates.iter().map(|a| Values::of(a, &right_schema));
        let mut values: Vec<Values> = values.collect::<Result<_>>()?;
        let span = lefts.span().unwrap_or((i64::MAX, i64::MIN));
        let right = &self.interval.right;
        let (mut room, mut turns) = (Room::of(reservation), Turns::default());
        let (mut times, mut groups) = (Vec::new(), Vec::new());
        let rows = match &mut side {
            Rightly::Text(texts) => {
                let (mut runs, mut wanted) = (Vec::new(), Vec::new());
                for (key, run) in right.line_runs(&lefts.keyed, span, (part, parts)).into_iter().flatten() {
                    right.wanted_lines().rows(&run, &mut wanted);
                    turns.took(wanted.len() + 1).await;
                    if wanted.is_empty() {
                        continue;
                    }
                    room.take(wanted.len() * EACH_LINE + EACH_RUN)?;
                    let known = texts.size();
                    let rows = || wanted.iter().map(|row| *row as usize);
                    times.extend(rows().map(|row| run.times().get(row).copied().unwrap_or_default()));
                    groups.extend(rows().map(|row| texts.number(run.text(row))));
                    room.take(texts.size() - known)?;
                    runs.push((key, times.len() as u32));
                }
                fetched.add(times.len());
                Rows::Runs(Runs { runs, times, groups })
            }
            Rightly::Columns(side) => {
                let (keyed, mut keys) = (lefts.keyed.part(part, parts), Vec::new());
                for rows in right.fetch(&keyed, span, &self.columns, at_a_time)? {
                    let rows = rows?;
                    room.take(rows.keys.len() * (32 + 16 * values.len()))?;
                    let known = side.size();
                    side.number(&rows.columns, &mut groups)?;
                    room.take(side.size().saturating_sub(known))?;
                    for (aggregate, values) in self.aggregates.iter().zip(&mut values) {
                        values.add(aggregate, &rows.columns)?;
                    }
                    turns.took(rows.keys.len()).await;
                    keys.extend(rows.keys);
                    times.extend(rows.times);
                }
                fetched.add(times.len());
                Rows::Keyed { keys, times, groups }
            }
        };
        Ok(Read { rows, groups: side.columns()?, values })
    }
}

/// What all tasks have read, with their groups numbered as one.
pub(super) struct Reads {
    parts: Vec<Read>,
    /// The columns of all groups.
    pub(super) groups: Vec<ArrayRef>,
    /// How many there are.
    pub(super) count: usize,
}

impl Rows {
    /// Gives each row the number that its group has among all.
    fn renumber(&mut self, numbers: &[usize]) {
        let (Self::Runs(Runs { groups, .. }) | Self::Keyed { groups, .. }) = self;
        for group in groups {
            *group = numbers.get(*group as usize).copied().unwrap_or_default() as u32;
        }
    }
}

impl Reads {
    pub(super) fn of(mut parts: Vec<Read>, reservation: &MemoryReservation) -> Result<Self> {
        if let [one] = &mut parts[..] {
            let groups = std::mem::take(&mut one.groups);
            let count = groups.first().map_or(1, |column| column.len());
            return Ok(Self { parts, groups, count });
        }
        let first = parts.first().map(|part| &part.groups[..]).unwrap_or_default();
        let field = |(n, c): (usize, &ArrayRef)| Field::new(n.to_string(), c.data_type().clone(), true);
        let fields: Vec<Field> = first.iter().enumerate().map(field).collect();
        if fields.is_empty() {
            return Ok(Self { parts, groups: Vec::new(), count: 1 });
        }
        let mut values = new_group_values(Arc::new(Schema::new(fields)), &GroupOrdering::None)?;
        let mut numbers = Vec::new();
        for part in &mut parts {
            let groups = std::mem::take(&mut part.groups);
            if groups.iter().all(|c| !c.is_empty()) {
                values.intern(&groups, &mut numbers)?;
                part.rows.renumber(&numbers);
            }
        }
        reservation.try_grow(values.size())?;
        let count = values.len();
        Ok(Self { parts, groups: values.emit(EmitTo::All)?, count })
    }

    /// The rows of the keys of one of several parts, of so many keys in all, with what is aggregated of them.
    pub(super) fn laid(&self, (part, parts): (usize, usize), count: usize) -> (Laid, &[Values]) {
        let own = self.parts.get(part);
        let laid = match own.map(|read| &read.rows) {
            Some(Rows::Keyed { keys, times, groups }) => Laid::of_rows(keys, times, groups, count),
            _ => {
                let runs = self.parts.iter().filter_map(|read| match &read.rows {
                    Rows::Runs(runs) => Some(runs),
                    Rows::Keyed { .. } => None,
                });
                Laid::of_runs(&runs.collect::<Vec<_>>(), count, (part, parts))
            }
        };
        (laid, own.map(|read| &read.values[..]).unwrap_or_default())
    }
}
