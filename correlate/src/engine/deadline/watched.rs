//! What flows between two operators, looked at: cut into pieces that no expression makes too much of, refused where a row would be
//! copied too often, and counted where an operator holds it uncounted.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::UInt32Array;
use arrow::compute::take_record_batch;
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{exec_err, internal_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use tokio::time::Instant;

use super::account::{Account, Part};
use super::weighed::{bytes, held, longest, widest};
use super::{Late, VALUE};

/// Bytes of text that a row may have where it is put beside many others: a join copies it for each of them.
const MOST_JOINED: usize = 64 << 10;
/// Bytes that the elements of one list may come to, with all that stands beside each.
const MOST_UNNESTED: usize = 16 << 20;

/// How long a thread is kept, if what is made of one piece takes no longer.
const TURN: Duration = Duration::from_millis(20);

/// What is done with what comes.
#[derive(Debug, Clone)]
pub(super) enum Watch {
    /// At most so many rows and bytes at a time, and not after the deadline. A single row may have `row` bytes.
    Pieces { rows: usize, bytes: usize, row: usize, deadline: Instant },
    /// What a join gives: made so many rows at a time, and not after the deadline.
    Made { rows: usize, deadline: Instant },
    /// What a table gives, which is held until the next is asked for: it is made anew for each scan.
    Read,
    /// No row is copied that is too long for it.
    Joined,
    /// No list is taken apart that is too long, or beside too much.
    Unnested,
    /// The value of a subquery, which may stand in each row around it: it is not too long for that.
    Value,
    /// The input of an operator that holds it.
    Taken(Arc<Account>),
    /// The output of that operator.
    Given(Arc<Account>),
}

/// Watches one input of an operator.
#[derive(Debug)]
pub(super) struct WatchedExec {
    input: Arc<dyn ExecutionPlan>,
    watch: Watch,
}

impl WatchedExec {
    pub(super) fn over(input: &Arc<dyn ExecutionPlan>, watch: Watch) -> Arc<dyn ExecutionPlan> {
        Arc::new(Self { input: Arc::clone(input), watch })
    }
}

impl DisplayAs for WatchedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl ExecutionPlan for WatchedExec {
    fn name(&self) -> &'static str {
        "WatchedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match &children[..] {
            [input] => Ok(Self::over(input, self.watch.clone())),
            _ => internal_err!("one input is watched"),
        }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let part = match &self.watch {
            Watch::Given(account) => Some(account.open(partition, context.memory_pool())),
            Watch::Taken(account) => account.take(partition),
            _ => None,
        };
        let read = matches!(self.watch, Watch::Read)
            .then(|| MemoryConsumer::new("rows that are read").register(context.memory_pool()));
        let context = match self.watch {
            Watch::Made { rows, .. } if rows < context.session_config().batch_size() => at_a_time(rows, &context),
            _ => context,
        };
        let stream = self.input.execute(partition, context)?;
        if let Some(read) = read {
            return Ok(Box::pin(RecordBatchStreamAdapter::new(stream.schema(), counted(stream, read))));
        }
        let (schema, watch) = (stream.schema(), self.watch.clone());
        let stream = stream.flat_map(move |batch| {
            let checked = batch.and_then(|batch| check(&watch, part.as_deref(), &batch).map(|()| batch));
            futures::stream::iter(match checked {
                Ok(batch) => Cut::of(batch, &watch),
                Err(why) => Cut::failed(why),
            })
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, in_turns(Box::pin(stream)))))
    }
}

/// The same, for operators that make so many rows at a time.
fn at_a_time(rows: usize, context: &TaskContext) -> Arc<TaskContext> {
    Arc::new(TaskContext::new(
        context.task_id(),
        context.session_id(),
        context.session_config().clone().with_batch_size(rows),
        context.scalar_functions().clone(),
        context.higher_order_functions().clone(),
        context.aggregate_functions().clone(),
        context.window_functions().clone(),
        context.runtime_env(),
    ))
}

/// The same, with the batch that came last in the pool.
fn counted(
    batches: SendableRecordBatchStream,
    read: MemoryReservation,
) -> impl Stream<Item = Result<RecordBatch>> + Send {
    futures::stream::unfold((batches, read), async |(mut batches, read)| {
        let batch = batches.next().await?;
        let batch = batch.and_then(|batch| read.try_resize(held(&batch)).map(|()| batch));
        Some((batch, (batches, read)))
    })
}

/// The same, but its thread is let go of every now and then: another query may wait for it, and a timeout.
fn in_turns(pieces: BoxStream<'static, Result<RecordBatch>>) -> impl Stream<Item = Result<RecordBatch>> + Send {
    futures::stream::unfold((pieces, Instant::now()), async |(mut pieces, mut since)| {
        if since.elapsed() > TURN {
            tokio::task::yield_now().await;
            since = Instant::now();
        }
        let piece = pieces.next().await?;
        Some((piece, (pieces, since)))
    })
}

fn check(watch: &Watch, part: Option<&Part>, batch: &RecordBatch) -> Result<()> {
    match watch {
        Watch::Pieces { deadline, .. } | Watch::Made { deadline, .. } if Instant::now() >= *deadline => {
            Err(DataFusionError::External(Box::new(Late)))
        }
        Watch::Pieces { .. } | Watch::Made { .. } | Watch::Read => Ok(()),
        Watch::Joined if widest(batch) > MOST_JOINED => exec_err!(
            "a row of more than {} KiB cannot be joined, as each that it is joined with gets a copy: shorten it, as with left(text, 1000)",
            MOST_JOINED >> 10
        ),
        Watch::Joined => Ok(()),
        Watch::Unnested => {
            let (lists, others): (Vec<_>, Vec<_>) = (0..batch.num_columns()).partition(|n| is_list(batch, *n));
            // Each element has a place of its own in all columns.
            let (longest, places) = (longest(&batch.project(&lists)?), 8 * batch.num_columns());
            if longest.saturating_mul(places) > MOST_UNNESTED {
                return exec_err!(
                    "a list of {longest} elements is too long to be taken apart: {} are allowed",
                    MOST_UNNESTED / places
                );
            }
            if longest.saturating_mul(widest(&batch.project(&others)?).saturating_add(places)) > MOST_UNNESTED {
                return exec_err!("a list is too long to be taken apart beside the rest of its row: unnest it alone");
            }
            Ok(())
        }
        Watch::Value if widest(batch) > VALUE => exec_err!(
            "a subquery in an expression gives more than {} KiB, which may stand in each row: shorten it, as with left(text, 1000), or join it",
            VALUE >> 10
        ),
        Watch::Value => Ok(()),
        Watch::Taken(account) => part.map_or(Ok(()), |part| part.came(account, batch)),
        Watch::Given(account) => part.map_or(Ok(()), |part| part.went(account, batch.num_rows())),
    }
}

fn is_list(batch: &RecordBatch, column: usize) -> bool {
    batch.schema_ref().fields().get(column).is_some_and(|field| field.data_type().is_list())
}

/// The pieces of a batch, each made when it is asked for: a copy, so that nobody counts the whole for each.
enum Cut {
    Whole(Option<Result<RecordBatch>>),
    Pieces { whole: RecordBatch, left: Vec<(usize, usize)>, rows: usize, bytes: usize, row: usize },
}

impl Cut {
    fn failed(why: DataFusionError) -> Self {
        Self::Whole(Some(Err(why)))
    }

    fn of(batch: RecordBatch, watch: &Watch) -> Self {
        let &Watch::Pieces { rows, bytes: most, row, .. } = watch else { return Self::Whole(Some(Ok(batch))) };
        let all = batch.num_rows();
        if all <= rows && bytes(&batch) <= most {
            return Self::Whole(Some(Ok(batch)));
        }
        Self::Pieces { whole: batch, left: vec![(0, all)], rows, bytes: most, row }
    }
}

impl Iterator for Cut {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let (whole, left, rows, most, row) = match self {
            Self::Whole(one) => return one.take(),
            Self::Pieces { whole, left, rows, bytes, row } => (whole, left, *rows, *bytes, *row),
        };
        while let Some((from, length)) = left.pop() {
            let weight = bytes(&whole.slice(from, length));
            if length > 1 && (length > rows || weight > most) {
                let half = length / 2;
                left.push((from + half, length - half));
                left.push((from, half));
                continue;
            }
            if length == 1 && weight > row {
                left.clear();
                return Some(exec_err!(
                    "a row has more than {} KiB, which is too much for what is made of it: shorten it, as with left(text, 1000)",
                    row >> 10
                ));
            }
            if whole.num_columns() == 0 {
                return Some(Ok(whole.slice(from, length)));
            }
            let range = u32::try_from(from).ok().zip(u32::try_from(from + length).ok());
            let Some((from, to)) = range else { return Some(internal_err!("a batch of too many rows")) };
            let places = UInt32Array::from_iter_values(from..to);
            return Some(take_record_batch(whole, &places).map_err(DataFusionError::from));
        }
        None
    }
}
