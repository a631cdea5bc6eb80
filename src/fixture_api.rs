//! An API server of the demo and the tests: serves the lists and watches of a [`Capture`] over HTTP as a
//! kube-apiserver does, so that the daemon's real client meets real bodies.
//!
//! Time is the capture's own, told by a channel: an object is there once the clock has passed the instant at which it
//! was received. Nothing in here sleeps. Resources that were not recorded answer 404, so that they stay unknown.

mod answer;
mod shelf;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use futures::stream;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::watch;
use whyd_signals::{Resource, Timestamp};

use crate::capture::Capture;
use answer::{Form, page, status};
use shelf::Shelf;

/// How the time of a capture runs against that of the one who looks on.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    start: Timestamp,
    factor: f64,
}

impl Pace {
    /// `factor` seconds of the capture in one second, beginning at `start`.
    pub fn new(start: Timestamp, factor: f64) -> Self {
        Self { start, factor: if factor.is_finite() && factor > 0.0 { factor } else { 1.0 } }
    }

    /// The capture's time when this much has passed.
    pub fn at(&self, passed: Duration) -> Timestamp {
        self.start.plus(Duration::try_from_secs_f64(passed.as_secs_f64() * self.factor).unwrap_or(Duration::MAX))
    }

    /// How much has to pass until the capture's time is `at`.
    pub fn until(&self, at: Timestamp) -> Duration {
        Duration::try_from_secs_f64(at.seconds_since(self.start) / self.factor).unwrap_or_default()
    }
}

/// The server: what was recorded, and the clock.
#[derive(Debug, Clone)]
pub struct FixtureApi {
    shelves: Arc<BTreeMap<Resource, Shelf>>,
    clock: watch::Receiver<Timestamp>,
}

impl FixtureApi {
    /// Serves `capture` as of the time that `clock` tells. When its sender is dropped, every open watch ends.
    pub fn new(capture: &Capture, clock: watch::Receiver<Timestamp>) -> Self {
        let mut shelves = BTreeMap::new();
        for resource in Resource::ALL {
            if let Some(shelf) = Shelf::of(resource, capture.recorded()) {
                shelves.insert(resource, shelf);
            }
        }
        Self { shelves: Arc::new(shelves), clock }
    }

    /// Its routes.
    pub fn router(self) -> Router {
        Router::new()
            .route("/api/{version}/{plural}", get(core))
            .route("/apis/{group}/{version}/{plural}", get(grouped))
            .fallback(|| async { status(StatusCode::NOT_FOUND, "NotFound", "there is no such path") })
            .with_state(self)
    }

    /// Answers on `listener` until it fails; the caller owns the task and ends it.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        axum::serve(listener, self.router()).await
    }

    fn answer(&self, group_version: (&str, &str), plural: &str, asked: &Asked, headers: &HeaderMap) -> Response {
        let resource = Resource::from_plural(plural).filter(|r| r.group_version() == group_version);
        let Some((resource, shelf)) = resource.and_then(|r| self.shelves.get_key_value(&r)) else {
            return status(StatusCode::NOT_FOUND, "NotFound", "the server could not find the requested resource");
        };
        let form = Form::asked(headers);
        if asked.watch() {
            return self.watch(*resource, form, asked);
        }
        page(*resource, shelf, form, *self.clock.borrow(), asked.limit.unwrap_or(0), asked.token.as_deref())
    }

    /// An open response that grows as the clock advances.
    fn watch(&self, resource: Resource, form: Form, asked: &Asked) -> Response {
        let shelves = Arc::clone(&self.shelves);
        let mut clock = self.clock.clone();
        let now = *clock.borrow_and_update();
        let Some(shelf) = shelves.get(&resource) else { return Response::default() };
        let (mut next, first) = match shelf.begin(&asked.start(), now) {
            Ok(position) => {
                (position, if asked.from_nothing() { shelf.initial(resource, form, now, asked) } else { Vec::new() })
            }
            Err(()) => return json_lines(Body::from(answer::expired())),
        };
        let bookmarks = asked.bookmarks();
        let lines = async_lines(first, move |now| {
            let shelf = shelves.get(&resource)?;
            let (lines, after) = shelf.lines(next, now, form, bookmarks);
            next = after;
            Some(lines)
        });
        json_lines(Body::from_stream(stream::unfold((lines, clock), |(mut lines, mut clock)| async move {
            loop {
                let now = *clock.borrow_and_update();
                let ready = lines(now)?;
                if !ready.is_empty() {
                    return Some((Ok::<_, Infallible>(Bytes::from(ready)), (lines, clock)));
                }
                clock.changed().await.ok()?;
            }
        })))
    }
}
