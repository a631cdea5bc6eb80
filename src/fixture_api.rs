//! An API server for the demo and the tests: serves the lists and watches of a [`Capture`] over HTTP as a
//! kube-apiserver does, so that the daemon's own client meets real bodies.
//!
//! Time is the capture's, told by a channel: an object is there once the clock has reached the instant at which it was
//! received; while nothing is, a watch that asks for them gets bookmarks. A resource that was not recorded answers 404, so that it stays unknown.

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
use axum::http::{HeaderMap, header};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use futures::stream;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::watch;
use whyd_signals::{Resource, Timestamp};

use crate::capture::Capture;
use answer::Form;
use shelf::Shelf;

/// A real one sends them each minute.
const BOOKMARKS: Duration = Duration::from_secs(1);

/// How the time of a capture runs against that of whoever looks on.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    start: Timestamp,
    factor: f64,
}

impl Pace {
    /// `factor` seconds of the capture in one second, beginning at `start`. A factor that is no positive number is 1.
    pub fn new(start: Timestamp, factor: f64) -> Self {
        Self { start, factor: if factor.is_finite() && factor > 0.0 { factor } else { 1.0 } }
    }

    /// The capture's time when this much has passed.
    pub fn at(&self, passed: Duration) -> Timestamp {
        self.start.plus(Duration::try_from_secs_f64(passed.as_secs_f64() * self.factor).unwrap_or(Duration::MAX))
    }

    /// How much has to pass until the capture's time is `at`; nothing when that is before the start.
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

/// The query of a list or watch, as far as it is heeded. `timeoutSeconds` is not: a watch ends when the clock does.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Asked {
    watch: Option<String>,
    resource_version: String,
    limit: usize,
    #[serde(rename = "continue")]
    token: Option<String>,
    allow_watch_bookmarks: Option<String>,
    send_initial_events: Option<String>,
}

/// How the API server reads a boolean.
fn yes(value: Option<&String>) -> bool {
    value.is_some_and(|v| v == "true" || v == "1")
}

impl FixtureApi {
    /// Serves `capture` as of the time that `clock` tells. When its sender is dropped every open watch ends.
    pub fn new(capture: &Capture, clock: watch::Receiver<Timestamp>) -> Self {
        let shelves = Resource::ALL.into_iter().filter_map(|r| Some((r, Shelf::of(r, capture.recorded())?))).collect();
        Self { shelves: Arc::new(shelves), clock }
    }

    /// Its routes.
    pub fn router(self) -> Router {
        Router::new()
            .route("/api/{version}/{plural}", get(core))
            .route("/apis/{group}/{version}/{plural}", get(grouped))
            .fallback(async || answer::not_found())
            .with_state(self)
    }

    /// Answers on `listener`; the caller owns the task and ends it.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        axum::serve(listener, self.router()).await
    }

    fn answer(&self, group_version: (&str, &str), plural: &str, asked: &Asked, headers: &HeaderMap) -> Response {
        let resource = Resource::from_plural(plural).filter(|r| r.group_version() == group_version);
        let Some(shelf) = resource.and_then(|r| self.shelves.get(&r)) else { return answer::not_found() };
        let form = Form::asked(headers);
        if !yes(asked.watch.as_ref()) {
            return answer::page(shelf, form, *self.clock.borrow(), asked.limit, asked.token.as_deref());
        }
        let mut clock = self.clock.clone();
        let shown = shelf.received(*clock.borrow_and_update());
        let initial = yes(asked.send_initial_events.as_ref());
        let anew = initial || asked.resource_version.is_empty() || asked.resource_version == "0";
        let next = if anew { Some(shown) } else { shelf.after(&asked.resource_version) };
        let Some(next) = next else { return json(Body::from(answer::expired())) };
        let ready = if anew { answer::initial(shelf, form, shown, initial) } else { Vec::new() };
        let bookmarks = yes(asked.allow_watch_bookmarks.as_ref());
        let watch =
            Watch { shelves: Arc::clone(&self.shelves), resource: shelf.resource, form, bookmarks, next, ready, clock };
        json(Body::from_stream(stream::unfold(watch, Watch::lines)))
    }
}

async fn core(
    State(api): State<FixtureApi>,
    Path((version, plural)): Path<(String, String)>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    api.answer(("", &version), &plural, &asked, &headers)
}

async fn grouped(
    State(api): State<FixtureApi>,
    Path((group, version, plural)): Path<(String, String, String)>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    api.answer((&group, &version), &plural, &asked, &headers)
}

fn json(body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

/// An open watch: a body that grows as the clock goes on.
struct Watch {
    shelves: Arc<BTreeMap<Resource, Shelf>>,
    resource: Resource,
    form: Form,
    bookmarks: bool,
    /// The step to be sent next.
    next: usize,
    /// Lines that wait to be sent.
    ready: Vec<u8>,
    clock: watch::Receiver<Timestamp>,
}

impl Watch {
    /// The lines of all that was received since the last call; waits until there are some. `None` is the end.
    async fn lines(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        loop {
            let now = *self.clock.borrow_and_update();
            let shelf = self.shelves.get(&self.resource)?;
            for step in shelf.steps(self.next, now) {
                self.next += 1;
                if self.bookmarks || step.kind != shelf::BOOKMARK {
                    self.form.line(shelf.resource, &step.kind, &step.object, &mut self.ready);
                }
            }
            if !self.ready.is_empty() {
                let lines = Bytes::from(std::mem::take(&mut self.ready));
                return Some((Ok(lines), self));
            }
            tokio::select! {
                changed = self.clock.changed() => changed.ok()?,
                () = tokio::time::sleep(BOOKMARKS), if self.bookmarks => {
                    answer::bookmark(shelf, self.form, self.next, &mut self.ready);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
