//! What takes a while when it is asked: in the caller's turn, and on no thread that serves sockets.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use whyd_signals::Access;

use super::Api;
use super::prometheus::turns::Turn;
use crate::Reader;
use crate::problem::{ErrorKind, Failure};

/// How long a query waits for its turn.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The turn of this caller, if it comes within this time.
pub(super) async fn turn(api: &Api, access: &Access, wait: Duration) -> Result<Turn, Failure> {
    let busy = || Failure::new(ErrorKind::Overloaded, "too many queries are there already: try again later");
    let turn = timeout(wait, api.turns.take(access)).await;
    turn.map_err(|_| busy())?.map_err(|_| busy())
}

/// What `ask` finds, once it is this caller's turn, which is waited for so long. The turn is held until it has ended, whether or not anyone still waits.
pub(super) async fn in_turn<T: Send + 'static>(
    api: &Api,
    access: &Access,
    wait: Duration,
    ask: impl FnOnce(&dyn Reader, &Access) -> T + Send + 'static,
) -> Result<T, Failure> {
    let turn = turn(api, access, wait).await?;
    let (reader, access) = (Arc::clone(&api.reader), access.clone());
    let asked = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        ask(&*reader, &access)
    });
    asked.await.map_err(|_| Failure::new(ErrorKind::QueryFailed, "it broke off"))
}
