//! Who may evaluate when: a few at a time, fewer of one caller, so that nobody's slow queries keep all others waiting.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use whyd_signals::Access;

use super::body::Unsent;
use crate::promql::Error;

/// How many queries are evaluated at the same time; the others wait.
const EVALUATIONS: usize = 4;
/// How many of them may be of callers with the same access.
const EVALUATIONS_EACH: usize = 2;
/// How many queries of the same access may be there, those that wait included; one more is refused.
const MAX_QUERIES: usize = 256;

/// The turns of all queries, and what their answers may hold.
#[derive(Debug)]
pub(in crate::routes) struct Turns {
    all: Arc<Semaphore>,
    /// Of each access that has a query now.
    each: Mutex<Vec<(Access, Arc<Semaphore>)>>,
    pub(super) unsent: Unsent,
}

/// Held while a query is evaluated.
#[derive(Debug)]
pub(in crate::routes) struct Turn {
    _each: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Default for Turns {
    fn default() -> Self {
        let all = Arc::new(Semaphore::new(EVALUATIONS));
        Self { all, each: Mutex::default(), unsent: Unsent::default() }
    }
}

impl Turns {
    /// The turn of this caller when it comes: first among its own, then among all.
    pub(in crate::routes) async fn take(&self, access: &Access) -> Result<Turn, Error> {
        let closed = |_| Error::Canceled("query queue");
        let each = self.of(access)?.acquire_owned().await.map_err(closed)?;
        let all = Arc::clone(&self.all).acquire_owned().await.map_err(closed)?;
        Ok(Turn { _each: each, _all: all })
    }

    /// The room for what is written and not sent yet.
    pub(in crate::routes) fn unsent(&self) -> Unsent {
        self.unsent.clone()
    }

    fn of(&self, access: &Access) -> Result<Arc<Semaphore>, Error> {
        let mut each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever waits or evaluates holds one.
        each.retain(|(_, turns)| Arc::strong_count(turns) > 1);
        if let Some((_, turns)) = each.iter().find(|(of, _)| of == access) {
            if Arc::strong_count(turns) > MAX_QUERIES {
                return Err(Error::Unavailable("too many queries of the same access wait already: try again later"));
            }
            return Ok(Arc::clone(turns));
        }
        let turns = Arc::new(Semaphore::new(EVALUATIONS_EACH));
        each.push((access.clone(), Arc::clone(&turns)));
        Ok(turns)
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;

    /// The turn, if it comes at once.
    async fn now(turns: &Turns, access: &Access) -> Option<Turn> {
        tokio::select! {
            biased;
            turn = turns.take(access) => turn.ok(),
            () = ready(()) => None,
        }
    }

    #[tokio::test]
    async fn no_caller_takes_every_turn() {
        let turns = Turns::default();
        let [a, b, c] = ["a", "b", "c"].map(Access::team);
        let held = [now(&turns, &a).await, now(&turns, &a).await];
        assert!(held.iter().all(Option::is_some));
        assert!(now(&turns, &a).await.is_none());
        // The third of `a` waits, and keeps nobody else from going on.
        let waiting = turns.take(&a);
        let first = now(&turns, &b).await;
        let second = now(&turns, &b).await;
        assert!(first.is_some() && second.is_some());
        assert!(now(&turns, &c).await.is_none());
        drop(first);
        assert!(now(&turns, &c).await.is_some());
        drop(held);
        assert!(waiting.await.is_ok());
    }

    #[tokio::test]
    async fn what_waits_is_bounded_and_forgotten_after() {
        let turns = Turns::default();
        let a = Access::team("a");
        let mut all: Vec<_> = (0..MAX_QUERIES).map(|_| turns.of(&a).unwrap()).collect();
        assert!(matches!(turns.of(&a), Err(Error::Unavailable(_))));
        assert!(turns.of(&Access::All).is_ok());
        all.pop();
        assert!(turns.of(&a).is_ok());
        drop(all);
        let _other = turns.of(&Access::team("b"));
        assert_eq!(turns.each.lock().unwrap().len(), 1);
    }
}
