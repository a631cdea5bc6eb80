//! How soon a watch may begin again. A server, or what stands before it, that ends each as soon as it began is asked ever
//! less often: to the watcher such an end is no error, and it would ask again at once.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::{Request, Uri};
use tokio::time::Instant;
use tower::{Layer, Service};

/// One that went on for so long was worth it.
const SOUND: Duration = Duration::from_secs(10);
const FIRST: Duration = Duration::from_secs(1);
/// Doublings of it at most.
const LONGEST: u32 = 4;

/// Shared by all watches of one client. As many entries as there are resources.
#[derive(Debug, Clone, Default)]
pub(super) struct Pace(Arc<Mutex<HashMap<String, Began>>>);

#[derive(Debug, Clone, Copy)]
struct Began {
    at: Instant,
    /// How many before it ended too soon.
    short: u32,
    /// Whether it was said that they do.
    told: bool,
}

impl Pace {
    /// When this request may be made; `None` for at once.
    fn wait(&self, uri: &Uri, now: Instant) -> Option<Instant> {
        let is_watch = |q: &str| q.split('&').any(|p| matches!(p, "watch=1" | "watch=true"));
        if !uri.query().is_some_and(is_watch) {
            return None;
        }
        let mut paths = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(began) = paths.get_mut(uri.path()) else {
            paths.insert(uri.path().to_owned(), Began { at: now, short: 0, told: false });
            return None;
        };
        if now >= began.at + SOUND {
            if began.told {
                tracing::info!(path = uri.path(), "watches go on again");
            }
            *began = Began { at: now, short: 0, told: false };
            return None;
        }
        let at = (began.at + FIRST * 2_u32.pow(began.short)).max(now);
        let short = (began.short + 1).min(LONGEST);
        if short == LONGEST && !began.told {
            tracing::warn!(path = uri.path(), "watches end as soon as they begin");
        }
        *began = Began { at, short, told: began.told || short == LONGEST };
        (at > now).then_some(at)
    }
}

impl<S> Layer<S> for Pace {
    type Service = Paced<S>;

    fn layer(&self, inner: S) -> Paced<S> {
        Paced { inner, pace: self.clone() }
    }
}

/// A client that keeps the pace.
#[derive(Debug, Clone)]
pub(super) struct Paced<S> {
    inner: S,
    pace: Pace,
}

impl<S, B> Service<Request<B>> for Paced<S>
where
    S: Service<Request<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let wait = self.pace.wait(request.uri(), Instant::now());
        // Nothing is sent before it is polled.
        let answered = self.inner.call(request);
        Box::pin(async move {
            if let Some(at) = wait {
                tokio::time::sleep_until(at).await;
            }
            answered.await
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn what_ends_at_once_is_asked_ever_less_often_and_lists_are_not_held_up() {
        let (pace, began) = (Pace::default(), Instant::now());
        let uri = |text: &'static str| Uri::from_static(text);
        let pods = uri("http://x/api/v1/pods?watch=true&timeoutSeconds=45");
        let (mut now, mut times) = (began, Vec::new());
        for _ in 0..8 {
            now = pace.wait(&pods, now).unwrap_or(now);
            times.push((now - began).as_secs());
            assert_eq!(pace.wait(&uri("http://x/api/v1/pods?limit=500"), now), None);
        }
        assert_eq!(times, [0, 1, 3, 7, 15, 31, 47, 63]);
        assert_eq!(pace.wait(&uri("http://x/api/v1/nodes?watch=1"), now), None);
        // One that went on is forgiven.
        now += SOUND;
        assert_eq!(pace.wait(&pods, now), None);
        assert_eq!(pace.wait(&pods, now), Some(now + FIRST));
    }
}
