//! Waiting for what another process does.

use std::time::Duration;

use tokio::time::{Instant, interval, timeout_at};

/// How long anything may take to become true.
const DEADLINE: Duration = Duration::from_secs(30);

/// What `look` finds, as soon as it does.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    let mut looks = interval(Duration::from_millis(100));
    loop {
        let found = timeout_at(deadline, async {
            looks.tick().await;
            look().await
        });
        match found.await {
            Ok(Some(found)) => return found,
            Ok(None) => {}
            Err(_) => panic!("not within {DEADLINE:?}: {what}"),
        }
    }
}
