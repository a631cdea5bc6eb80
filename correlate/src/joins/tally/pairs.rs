//! Going through the pairs, of all keys in one task or of some of them in each of several, and putting together what those have
//! made.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use datafusion::common::{internal_datafusion_err, internal_err};
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_plan::metrics::Count;
use futures::StreamExt;

use super::cells::{Cells, Places, Tally, Values};
use super::groups::Side;
use super::reads::Reads;
use super::{Group, Plan};
use crate::engine::widest_of;
use crate::joins::interval::Lefts;
use crate::joins::keyed::Keyed;
use crate::joins::tasks::in_task;
use crate::joins::turns::Turns;
use crate::joins::values::slices;

/// What a key takes in the layouts of right and left rows.
const EACH_KEY: usize = 16;

/// Bytes of texts of a batch of the answer, at the most.
const BYTES: usize = 4 << 20;

/// The left rows, the group of each, and how many groups there are.
struct Lefthand {
    lefts: Lefts,
    groups: Vec<u32>,
    count: usize,
}

impl Plan {
    pub(super) async fn tally(
        self: Arc<Self>,
        rows: RecordBatch,
        schema: &SchemaRef,
        (tasks, at_a_time): (usize, usize),
        reservation: MemoryReservation,
        fetched: Count,
    ) -> Result<impl futures::Stream<Item = Result<RecordBatch>> + use<>> {
        let (several, reservation) = (tasks > 1, Arc::new(reservation));
        let exprs = self.groups.iter().filter_map(|g| match g {
            Group::Left(e) => Some(Arc::clone(e)),
            Group::Right(_) => None,
        });
        let mut side = Side::new(exprs.collect(), &rows.schema())?;
        let grouped = {
            let rows = rows.clone();
            async move {
                let mut groups = Vec::with_capacity(rows.num_rows());
                for some in slices(&rows, at_a_time) {
                    side.number(&some, &mut groups)?;
                }
                Ok((side, groups))
            }
        };
        let grouped = in_task(several, grouped);
        let keys = Arc::new(self.interval.left_keys(&rows, at_a_time, &reservation)?);
        let numbered = (0..tasks).map(|part| {
            let (plan, keys) = (Arc::clone(&self), Arc::clone(&keys));
            in_task(several, async move { Ok(keys.numbered(&plan.interval.right, (part, tasks))) })
        });
        let numbered = futures::future::try_join_all(numbered).await?;
        let keyed = Keyed::of(&keys, &self.interval.right, &numbered);
        let lefts = Lefts::keyed(&self.interval, rows, keyed, &reservation)?;
        let (mut side, groups) = grouped.await?;
        reservation.try_grow(side.size())?;
        let left = Arc::new(Lefthand { lefts, groups, count: side.len() });

        let parts = (0..tasks).map(|part| {
            let (plan, left, reservation) = (Arc::clone(&self), Arc::clone(&left), Arc::clone(&reservation));
            let fetched = fetched.clone();
            in_task(
                several,
                async move { plan.read(&left.lefts, (part, tasks), at_a_time, &reservation, &fetched).await },
            )
        });
        let reads = Arc::new(Reads::of(futures::future::try_join_all(parts).await?, &reservation)?);
        let parts = (0..tasks).map(|part| {
            let (plan, left, reservation) = (Arc::clone(&self), Arc::clone(&left), Arc::clone(&reservation));
            let reads = Arc::clone(&reads);
            in_task(several, async move { plan.part(&left, &reads, (part, tasks), &reservation).await })
        });
        let parts = futures::future::try_join_all(parts).await?;
        let tally = self.merged(parts, left.count.saturating_mul(reads.count), &reservation)?;

        let met = tally.pairs.iter().enumerate().filter(|(_, n)| **n > 0);
        let met: Vec<u32> = met.map(|(cell, _)| cell as u32).collect();
        let left = side.columns()?;
        let wide = |columns: &[ArrayRef]| columns.iter().map(|c| widest_of(c)).fold(0, usize::saturating_add);
        let each = (BYTES / (wide(&left) + wide(&reads.groups)).max(1)).clamp(1, at_a_time.max(1));
        let made = Arc::new((left, reads, tally, met, reservation));
        let (plan, schema) = (self, Arc::clone(schema));
        let rows = (0..made.3.len().div_ceil(each)).map(move |part| {
            let (plan, schema, made) = (Arc::clone(&plan), Arc::clone(&schema), Arc::clone(&made));
            let rows = async move {
                tokio::task::yield_now().await;
                let (left, reads, tally, met, _) = &*made;
                plan.emit(&schema, (left, &reads.groups), tally, met.chunks(each).nth(part).unwrap_or_default())
            };
            in_task(several, rows)
        });
        // Each text of a group has a copy in all of its rows: no more are made than are taken.
        Ok(futures::stream::iter(rows).buffered(tasks))
    }

    /// What the rows of the keys of one part have met.
    async fn part(
        &self,
        left: &Lefthand,
        reads: &Reads,
        (part, parts): (usize, usize),
        reservation: &MemoryReservation,
    ) -> Result<Tally> {
        let count = left.lefts.keyed.keys;
        reservation.try_grow(count * EACH_KEY)?;
        let (laid, values) = reads.laid((part, parts), count);
        let all = left.count.saturating_mul(reads.count);
        let mut tally = Tally::of(left.count, reads.count, values);
        let by_key = left.lefts.by_key();
        let mut turns = Turns::default();
        let mut of_row: Vec<(usize, usize)> = Vec::new();
        let only_counts = values.iter().all(|v| matches!(v, Values::All));
        for key in (part..count).step_by(parts.max(1)) {
            let range = laid.range(key);
            let times = laid.times.get(range.clone()).unwrap_or_default();
            if times.is_empty() {
                continue;
            }
            for row in by_key.rows.get(by_key.range(key)).unwrap_or_default() {
                let slice = left.lefts.slice(*row, times);
                let (from, to) = (range.start + slice.start, range.start + slice.end);
                let group = left.groups.get(*row as usize).copied().unwrap_or_default();
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
                for ((aggregate, values), cells) in self.aggregates.iter().zip(values).zip(&mut tally.cells) {
                    cells.add(aggregate.what, values, of_row.iter().copied());
                }
            }
        }
        Ok(tally)
    }

    /// One of several, whose groups have the same numbers in each.
    fn merged(&self, parts: Vec<Tally>, all: usize, reservation: &MemoryReservation) -> Result<Tally> {
        let mut parts = parts.into_iter();
        let Some(mut merged) = parts.next() else { return internal_err!("a join of no part") };
        let only_counts = merged.cells.iter().all(|cells| matches!(cells, Cells::Pairs));
        for part in parts {
            if let (Places::Dense(_), true) = (&part.places, only_counts) {
                merged.grow(part.pairs.len(), all, reservation)?;
                merged.pairs.iter_mut().zip(&part.pairs).for_each(|(n, more)| *n += more);
                continue;
            }
            for (cell, pairs) in part.pairs.iter().enumerate().filter(|(_, n)| **n > 0) {
                let (left, right) = part.places.groups(cell as u32);
                let place = merged.places.place(left, right);
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
    fn emit(
        &self,
        schema: &SchemaRef,
        (left, right): (&[ArrayRef], &[ArrayRef]),
        tally: &Tally,
        met: &[u32],
    ) -> Result<RecordBatch> {
        let (of_left, of_right): (Vec<u32>, Vec<u32>) = met.iter().map(|cell| tally.places.groups(*cell)).unzip();
        let (of_left, of_right) = (UInt32Array::from(of_left), UInt32Array::from(of_right));
        let (mut left, mut right) = (left.iter().cloned(), right.iter().cloned());
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
