//! Parts of a join beside each other.

use datafusion::common::exec_err;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::Result;

/// The same, begun at once in a task of its own where there are several.
pub(crate) fn in_task<T: Send + 'static>(
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
