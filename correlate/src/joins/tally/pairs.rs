//! Going through the pairs, of all right rows in one task or of some of them in each of several, and putting together what those
//! have made.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::{exec_err, internal_datafusion_err, internal_err};
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::logical_expr::EmitTo;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::aggregates::group_values::new_group_values;
use datafusion::physical_plan::aggregates::order::GroupOrdering;
use datafusion::physical_plan::metrics::Count;

use super::cells::{Cells, Places, Tally, Values};
use super::groups::{Rightly, Side, TextGroups};
use super::laid::Laid;
use super::{Group, Plan};
use crate::joins::interval::Lefts;
use crate::joins::turns::Turns;

/// What a line takes: its time and group as they came, with the slack of both, and as they are laid out, and once more while
/// those of its key are sorted.
const EACH_LINE: usize = 48;
/// What a run of lines takes.
const EACH_RUN: usize = 24;
/// What a key takes in the layouts of right and left rows.
const EACH_KEY: usize = 16;

/// Rows of an answer that are worth a task of their own.
const ROWS_OF_A_TASK: usize = 1 << 13;

/// The same, in a task of its own where there are several.
fn in_task<T: Send + 'static>(
    several: bool,
    made: impl Future<Output = Result<T>> + Send + 'static,
) -> impl Future<Output = Result<T>> {
    let task = if several { Ok(SpawnedTask::spawn(made)) } else { Err(made) };
    async move {
        match task {
            Ok(task) => task.join().await.unwrap_or_else(|e| exec_err!("a part of a join broke off: {e}")),
            Err(made) => made.await,
        }
    }
}

impl Plan {
    pub(super) async fn tally(
        self: Arc<Self>,
        lefts: Lefts,
        schema: &SchemaRef,
        tasks: usize,
        reservation: MemoryReservation,
        fetched: Count,
    ) -> Result<Vec<RecordBatch>> {
        let exprs = self.groups.iter().filter_map(|g| match g {
            Group::Left(e) => Some(Arc::clone(e)),
            Group::Right(_) => None,
        });
        let mut left_side = Side::new(exprs.collect(), &lefts.rows.schema())?;
        let mut left_groups = Vec::with_capacity(lefts.rows.num_rows());
        left_side.number(&lefts.rows, &mut left_groups)?;
        reservation.try_grow(left_side.size())?;

        let count = left_side.len();
        let shared = Arc::new((lefts, left_groups, reservation, fetched));
        let parts = (0..tasks).map(|part| {
            let (plan, shared) = (Arc::clone(&self), Arc::clone(&shared));
            let made = async move {
                let (lefts, left_groups, reservation, fetched) = &*shared;
                plan.part(lefts, (left_groups, count), (part, tasks), reservation, fetched).await
            };
            in_task(tasks > 1, made)
        });
        let mut parts = futures::future::try_join_all(parts).await?;
        let (_, _, reservation, _) = &*shared;
        let tally = match parts.pop() {
            Some(one) if parts.is_empty() => one,
            Some(last) => {
                parts.push(last);
                self.merged(&parts, count, reservation)?
            }
            None => return internal_err!("a join of no part"),
        };
        let met = tally.pairs.iter().enumerate().filter(|(_, n)| **n > 0);
        let met: Vec<u32> = met.map(|(cell, _)| cell as u32).collect();
        let each = met.len().div_ceil(tasks).max(ROWS_OF_A_TASK);
        let made = Arc::new((left_side.columns()?, tally, met));
        let (_, _, met) = &*made;
        let parts = (0..met.len().div_ceil(each).max(1)).map(|part| {
            let (plan, schema, made) = (Arc::clone(&self), Arc::clone(schema), Arc::clone(&made));
            let rows = async move {
                let (lefts, tally, met) = &*made;
                plan.emit(&schema, lefts, tally, met.chunks(each).nth(part).unwrap_or_default())
            };
            in_task(tasks > 1, rows)
        });
        futures::future::try_join_all(parts).await
    }

    /// What the right rows of one part have met: lines that are counted are parted as they lie, others by their keys.
    async fn part(
        &self,
        lefts: &Lefts,
        (left_groups, left_count): (&[u32], usize),
        (part, parts): (usize, usize),
        reservation: &MemoryReservation,
        fetched: &Count,
    ) -> Result<Tally> {
        let right_schema = self.interval.right.schema().project(&self.columns)?;
        let exprs = self.groups.iter().filter_map(|g| match g {
            Group::Right(e) => Some(Arc::clone(e)),
            Group::Left(_) => None,
        });
        let exprs: Vec<_> = exprs.collect();
        let of_text = matches!(&exprs[..], [one] if one.is::<Column>()) && self.interval.right.is_text(&self.columns);
        let mut right_side = match of_text && self.aggregates.iter().all(|a| a.of.is_none()) {
            true => Rightly::Text(TextGroups::default()),
            false => Rightly::Columns(Side::new(exprs, &right_schema)?),
        };
        let values = self.aggregates.iter().map(|a| Values::of(a, &right_schema));
        let mut values: Vec<Values> = values.collect::<Result<_>>()?;
        let (mut times, mut right_groups) = (Vec::new(), Vec::new());
        let mut turns = Turns::default();
        let span = lefts.span().unwrap_or((i64::MAX, i64::MIN));
        let right = &self.interval.right;
        let count = lefts.keyed.keys;
        reservation.try_grow(count * EACH_KEY)?;
        let mut of_part = (part, parts);
        let laid = match &mut right_side {
            Rightly::Text(groups) => {
                let (mut runs, mut wanted) = (Vec::new(), Vec::new());
                for (key, run) in right.line_runs(&lefts.keyed, span, of_part).into_iter().flatten() {
                    right.wanted_lines().rows(&run, &mut wanted);
                    reservation.try_grow(wanted.len() * EACH_LINE + EACH_RUN)?;
                    let known = groups.size();
                    let rows = || wanted.iter().map(|row| *row as usize);
                    times.extend(rows().map(|row| run.times().get(row).copied().unwrap_or_default()));
                    right_groups.extend(rows().map(|row| groups.number(run.text(row))));
                    reservation.try_grow(groups.size() - known)?;
                    runs.push((key, times.len() as u32));
                    turns.took(wanted.len()).await;
                }
                // They are of all keys.
                of_part = (0, 1);
                Laid::of_runs(&runs, &times, &right_groups, count)
            }
            Rightly::Columns(side) => {
                let (keyed, mut keys) = (lefts.keyed.part(part, parts), Vec::new());
                for rows in right.fetch(&keyed, span, &self.columns)? {
                    let rows = rows?;
                    reservation.try_grow(rows.keys.len() * (32 + 16 * values.len()))?;
                    side.number(&rows.columns, &mut right_groups)?;
                    for (aggregate, values) in self.aggregates.iter().zip(&mut values) {
                        values.add(aggregate, &rows.columns)?;
                    }
                    turns.took(rows.keys.len()).await;
                    keys.extend(rows.keys);
                    times.extend(rows.times);
                }
                reservation.try_grow(side.size())?;
                Laid::of_rows(&keys, &times, &right_groups, count)
            }
        };
        fetched.add(times.len());
        drop((times, right_groups));

        let all = left_count.saturating_mul(right_side.len());
        let mut tally = Tally {
            places: Places::of(left_count, right_side.len()),
            rights: right_side.columns()?,
            pairs: Vec::new(),
            cells: values.iter().map(Cells::new).collect(),
        };
        let by_key = lefts.by_key();
        let mut of_row: Vec<(usize, usize)> = Vec::new();
        let only_counts = values.iter().all(|v| matches!(v, Values::All));
        for key in (of_part.0..count).step_by(of_part.1) {
            let range = laid.range(key);
            let times = laid.times.get(range.clone()).unwrap_or_default();
            if times.is_empty() {
                continue;
            }
            for left in by_key.rows.get(by_key.range(key)).unwrap_or_default() {
                let slice = lefts.slice(*left, times);
                let (from, to) = (range.start + slice.start, range.start + slice.end);
                let group = left_groups.get(*left as usize).copied().unwrap_or_default();
                let of_rows = laid.groups.get(from..to).unwrap_or_default();
                turns.took(of_rows.len() + 1).await;
                if of_rows.is_empty() {
                    continue;
                }
                if let (Places::Dense(width), true) = (&tally.places, only_counts) {
                    let start = group as usize * *width;
                    let end = start + *width;
                    tally.grow(all, all, reservation)?;
                    let of_left = tally.pairs.get_mut(start..end).unwrap_or_default();
                    for right in of_rows {
                        if let Some(n) = of_left.get_mut(*right as usize) {
                            *n += 1;
                        }
                    }
                    continue;
                }
                of_row.clear();
                let mut rows = laid.rows(from..to).iter();
                for right in of_rows {
                    let cell = tally.places.place(group, *right);
                    tally.grow(cell + 1, all, reservation)?;
                    if let Some(n) = tally.pairs.get_mut(cell) {
                        *n += 1;
                    }
                    of_row.extend(rows.next().map(|row| (*row as usize, cell)));
                }
                for ((aggregate, values), cells) in self.aggregates.iter().zip(&values).zip(&mut tally.cells) {
                    cells.add(aggregate.what, values, of_row.iter().copied());
                }
            }
        }
        Ok(tally)
    }

    /// One of several: their right groups are numbered anew, and what is of the same two groups is added up.
    fn merged(&self, parts: &[Tally], left_count: usize, reservation: &MemoryReservation) -> Result<Tally> {
        let fields = parts.first().map_or(Vec::new(), |p| {
            p.rights.iter().enumerate().map(|(n, c)| Field::new(n.to_string(), c.data_type().clone(), true)).collect()
        });
        let mut values = match fields.is_empty() {
            true => None,
            false => Some(new_group_values(Arc::new(Schema::new(fields)), &GroupOrdering::None)?),
        };
        let mut numbers: Vec<Vec<usize>> = Vec::new();
        for part in parts {
            let mut of_part = Vec::new();
            match &mut values {
                Some(values) if part.rights.iter().all(|c| !c.is_empty()) => {
                    values.intern(&part.rights, &mut of_part)?;
                }
                Some(_) => {}
                None => of_part.push(0),
            }
            numbers.push(of_part);
        }
        let count = values.as_ref().map_or(1, |v| v.len());
        let all = left_count.saturating_mul(count);
        let mut merged = Tally {
            places: Places::of(left_count, count),
            rights: values.as_mut().map_or(Ok(Vec::new()), |v| v.emit(EmitTo::All))?,
            pairs: Vec::new(),
            cells: parts.first().map_or(Vec::new(), |first| first.cells.iter().map(Cells::alike).collect()),
        };
        let only_counts = merged.cells.iter().all(|cells| matches!(cells, Cells::Pairs));
        for (part, numbers) in parts.iter().zip(&numbers) {
            if let (Places::Dense(of_part), Places::Dense(width), true) = (&part.places, &merged.places, only_counts) {
                let (of_part, width) = ((*of_part).max(1), (*width).max(1));
                merged.grow(all, all, reservation)?;
                for (from, into) in part.pairs.chunks(of_part).zip(merged.pairs.chunks_mut(width)) {
                    for (pairs, right) in from.iter().zip(numbers) {
                        into.get_mut(*right).into_iter().for_each(|n| *n += pairs);
                    }
                }
                continue;
            }
            for (cell, pairs) in part.pairs.iter().enumerate().filter(|(_, n)| **n > 0) {
                let (left, right) = part.places.groups(cell as u32);
                let right = numbers.get(right as usize).copied().unwrap_or_default();
                let place = merged.places.place(left, right as u32);
                merged.grow(place + 1, all, reservation)?;
                if let Some(n) = merged.pairs.get_mut(place) {
                    *n += pairs;
                }
                for ((aggregate, into), of) in self.aggregates.iter().zip(&mut merged.cells).zip(&part.cells) {
                    into.merge(aggregate.what, place, of, cell);
                }
            }
        }
        Ok(merged)
    }

    /// The rows of these cells.
    fn emit(&self, schema: &SchemaRef, left: &[ArrayRef], tally: &Tally, met: &[u32]) -> Result<RecordBatch> {
        let (of_left, of_right): (Vec<u32>, Vec<u32>) = met.iter().map(|cell| tally.places.groups(*cell)).unzip();
        let (of_left, of_right) = (UInt32Array::from(of_left), UInt32Array::from(of_right));
        let (mut left, mut right) = (left.iter().cloned(), tally.rights.iter().cloned());
        let mut columns: Vec<ArrayRef> = Vec::new();
        for group in &self.groups {
            let (column, rows) = match group {
                Group::Left(_) => (left.next(), &of_left),
                Group::Right(_) => (right.next(), &of_right),
            };
            let column = column.ok_or_else(|| internal_datafusion_err!("a group without a column"))?;
            columns.push(take(&column, rows, None)?);
        }
        columns.extend(tally.cells.iter().map(|c| c.column(met, &tally.pairs)));
        let options = RecordBatchOptions::new().with_row_count(Some(met.len()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
    }
}
