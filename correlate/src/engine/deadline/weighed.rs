//! How many bytes rows have.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::record_batch::RecordBatch;

/// The bytes of these rows, whatever else lies in their buffers.
pub(super) fn bytes(batch: &RecordBatch) -> usize {
    let one = |column: &ArrayRef| column.to_data().get_slice_memory_size().unwrap_or(usize::MAX);
    batch.columns().iter().map(one).fold(0, usize::saturating_add)
}

/// The bytes of the buffers that these rows lie in, with all else that lies there.
pub(super) fn held(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(|column| column.get_buffer_memory_size()).fold(0, usize::saturating_add)
}

/// No row has more bytes of text and lists than this.
pub(crate) fn widest(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(|column| widest_of(column.as_ref())).fold(0, usize::saturating_add)
}

/// The most elements of a list of these rows.
pub(super) fn longest(batch: &RecordBatch) -> usize {
    let lists = batch.columns().iter().filter_map(|column| column.as_list_opt::<i32>());
    lists.map(|list| most(list.value_offsets().iter().map(|at| i64::from(*at)))).max().unwrap_or(0)
}

/// The most bytes that a text or list of a column has.
pub(crate) fn widest_of(column: &dyn Array) -> usize {
    if let Some(texts) = column.as_string_opt::<i32>() {
        return most(texts.value_offsets().iter().map(|at| i64::from(*at)));
    }
    if let Some(texts) = column.as_string_opt::<i64>() {
        return most(texts.value_offsets().iter().copied());
    }
    let Some(list) = column.as_list_opt::<i32>() else { return 0 };
    match list.values().as_string_opt::<i32>() {
        Some(texts) => {
            let offsets = texts.value_offsets();
            let start = |at: &i32| usize::try_from(*at).ok().and_then(|at| offsets.get(at)).copied().unwrap_or(0);
            most(list.value_offsets().iter().map(|at| i64::from(start(at))))
        }
        None => most(list.value_offsets().iter().map(|at| i64::from(*at))).saturating_mul(16),
    }
}

/// The largest step between neighbours.
fn most(offsets: impl Iterator<Item = i64>) -> usize {
    let (mut last, mut most) = (None, 0);
    for at in offsets {
        most = most.max(last.map_or(0, |last| at - last));
        last = Some(at);
    }
    usize::try_from(most).unwrap_or(0)
}
