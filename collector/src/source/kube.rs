//! The Kubernetes watches: one loop a resource, in the order of the API, each change answered before the next.
//!
//! A list is sent object by object, many at once, and ended by the uids that were in it, so that what vanished during a
//! gap is found. A watch that fails is taken up again after a pause ([`trouble`]); its error stays in the status until the
//! next message.

mod heard;
mod pace;
mod status;
mod trouble;

use std::pin::pin;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, Stream, StreamExt};
use kube::Api;
pub use kube::Client;
use kube::api::{ApiResource, DynamicObject, PartialObjectMeta};
use kube::client::ClientBuilder;
use kube::runtime::watcher::{self, Event, watcher};
use serde::Serialize;
use thiserror::Error;
use tokio::time::Instant;
use whyd_signals::sink::DecodeError;
use whyd_signals::{Envelope, Resource, Verb};

pub use status::{Failing, SourceStatus, Statuses};

use self::pace::Pace;
use self::trouble::{Failed, Refusal, Trouble};
use crate::wire::kube::{envelope, listed, slim_value};
use crate::{Clock, Inlet, Reply};

/// Objects a page of a list.
const PAGE: u32 = 500;

/// Objects of a list that wait for the log at once: they are synced together. All resources' fit into the inlet.
const AT_ONCE: usize = 64;

/// How long to wait before a message that the inlet had no room for is sent again.
const OVERLOADED_PAUSE: Duration = Duration::from_millis(200);

/// How long a watch goes on, in seconds, and how long a server may say nothing: what hangs is noticed within a minute.
pub const WATCH: u32 = 45;
const SILENT: Duration = Duration::from_secs(55);

/// Where the API server is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ApiServer {
    /// By the kubeconfig, or else the service account of the pod.
    #[default]
    Inferred,
    /// At this address, without credentials.
    Url(String),
}

/// The API server cannot be addressed.
#[derive(Debug, Error)]
#[error("kubernetes api: {0}")]
pub struct ConnectError(String);

/// A client for the API server; it connects when it is first used.
///
/// # Errors
/// [`ConnectError`] when no configuration is found or it makes no client.
pub async fn client(server: &ApiServer) -> Result<Client, ConnectError> {
    let mut config = match server {
        ApiServer::Inferred => kube::Config::infer().await.map_err(|e| ConnectError(e.to_string()))?,
        ApiServer::Url(url) => {
            kube::Config::new(url.parse().map_err(|e| ConnectError(format!("address {url:?}: {e}")))?)
        }
    };
    tracing::info!(address = %config.cluster_url, "the Kubernetes API that is watched");
    config.read_timeout = Some(SILENT);
    let builder = ClientBuilder::try_from(config).map_err(|e| ConnectError(e.to_string()))?;
    Ok(builder.with_layer(&Pace::default()).build())
}

/// Watches one resource in all namespaces; ends only when the inlet is closed. The caller owns the task.
pub async fn watch(client: Client, resource: Resource, inlet: Inlet, clock: Clock, statuses: Statuses) {
    statuses.watched(resource);
    let client = heard::by(client, resource, &clock, &statuses);
    let (group, version) = resource.group_version();
    let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let kind = ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version,
        kind: resource.kind().to_owned(),
        plural: resource.plural().to_owned(),
    };
    let config = watcher::Config::default().page_size(PAGE).timeout(WATCH);
    // Another one for each resource and each start.
    let seed = (clock)().nanos().unsigned_abs().rotate_left(resource as u32);
    let door = Door { resource, inlet, clock, statuses };
    let trouble = Trouble::new(seed);
    let follower = Follower { door, trouble, uids: Vec::new(), listing: FuturesUnordered::new() };
    if resource == Resource::ConfigMaps {
        // their data never leaves the API server
        let api = Api::<PartialObjectMeta<DynamicObject>>::all_with(client, &kind);
        follower.follow(watcher(api, config)).await;
    } else {
        let api = Api::<DynamicObject>::all_with(client, &kind);
        follower.follow(watcher(api, config)).await;
    }
}

/// An error with all that it comes from, each said once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = String::new();
    for cause in std::iter::successors(Some(error), |e| e.source()).map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// The inlet is closed.
struct Closed;

struct Follower {
    door: Door,
    trouble: Trouble,
    /// Of the list under way.
    uids: Vec<String>,
    /// Objects of it that are not answered yet.
    listing: FuturesUnordered<BoxFuture<'static, Result<(), Closed>>>,
}

impl Follower {
    async fn follow<K: Serialize>(mut self, events: impl Stream<Item = watcher::Result<Event<K>>>) {
        let mut events = pin!(events);
        loop {
            let (asks, over) = (self.trouble.asks(), self.trouble.over());
            let step = tokio::select! {
                event = events.next(), if asks.is_none() => match event {
                    None => return,
                    Some(Ok(event)) => self.step(event).await,
                    Some(Err(error)) => self.failed(&error),
                },
                () = at(asks) => {
                    self.trouble.ask(Instant::now());
                    Ok(())
                }
                () = at(over) => {
                    self.works();
                    Ok(())
                }
                // Nothing of a list lies about while its next page is waited for.
                Some(answered) = self.listing.next() => answered,
            };
            if step.is_err() {
                return;
            }
        }
    }

    fn failed(&mut self, error: &watcher::Error) -> Result<(), Closed> {
        let (refusal, text) = (Refusal::of(error), chain(error));
        let Failed { pause, news } = self.trouble.failed(refusal, Instant::now());
        let (resource, unserved) = (self.door.resource, refusal == Refusal::Unserved);
        if news {
            let why = if unserved { "the server has no such resource" } else { "it is asked less and less often" };
            tracing::warn!(resource = resource.plural(), error = text, why, "watch fails");
        }
        self.door.wrong(&text);
        let at = (self.door.clock)();
        self.door.statuses.failing(resource, Some(Failing { at, pause, unserved }));
        if self.door.inlet.is_closed() { Err(Closed) } else { Ok(()) }
    }

    fn works(&mut self) {
        let failures = self.trouble.end();
        self.door.statuses.failing(self.door.resource, None);
        tracing::info!(resource = self.door.resource.plural(), failures, "watch works again");
    }

    async fn step<K: Serialize>(&mut self, event: Event<K>) -> Result<(), Closed> {
        let (verb, object) = match event {
            Event::Init => {
                self.trouble.lists();
                self.answered(0).await?;
                self.uids.clear();
                return Ok(());
            }
            Event::InitApply(object) => return self.listed_one(&object).await,
            Event::InitDone => return self.listed_all().await,
            Event::Apply(object) => (Verb::Apply, object),
            Event::Delete(object) => (Verb::Delete, object),
        };
        self.trouble.heard(Instant::now());
        self.answered(0).await?;
        match self.door.prepare(verb, &object) {
            Some((message, _)) => self.door.pass(message).await,
            None => Ok(()),
        }
    }

    /// An object that could not be kept is there all the same: its uid counts.
    async fn listed_one<K: Serialize>(&mut self, object: &K) -> Result<(), Closed> {
        if let Some((message, uid)) = self.door.prepare(Verb::Apply, object) {
            self.uids.push(uid);
            let door = self.door.clone();
            self.listing.push(async move { door.pass(message).await }.boxed());
        }
        self.answered(AT_ONCE - 1).await
    }

    async fn listed_all(&mut self) -> Result<(), Closed> {
        self.trouble.listed(Instant::now());
        self.answered(0).await?;
        let uids = std::mem::take(&mut self.uids);
        let door = &self.door;
        match listed(door.resource, (door.clock)(), &uids) {
            Ok(message) => {
                if door.send(message).await? {
                    door.statuses.synced(door.resource, (door.clock)());
                    tracing::info!(resource = door.resource.plural(), objects = uids.len(), "listed");
                }
            }
            Err(error) => door.unkept(&error.to_string()),
        }
        Ok(())
    }

    /// Waits until no more than so many objects of the list are unanswered.
    async fn answered(&mut self, left: usize) -> Result<(), Closed> {
        while self.listing.len() > left {
            self.listing.next().await.unwrap_or(Ok(()))?;
        }
        Ok(())
    }
}

/// One resource's way to the core.
#[derive(Clone)]
struct Door {
    resource: Resource,
    inlet: Inlet,
    clock: Clock,
    statuses: Statuses,
}

impl Door {
    /// The message of an object, and its uid; a complaint where it has none.
    fn prepare<K: Serialize>(&self, verb: Verb, object: &K) -> Option<(Envelope, String)> {
        let slim = serde_json::to_value(object)
            .map_err(|e| DecodeError::Malformed(e.to_string()))
            .and_then(|value| slim_value(self.resource, value));
        match slim {
            Ok((body, uid)) => Some((envelope(self.resource, verb, (self.clock)(), body), uid)),
            Err(error) => {
                self.unkept(&error.to_string());
                None
            }
        }
    }

    async fn pass(&self, message: Envelope) -> Result<(), Closed> {
        if self.send(message).await? {
            self.statuses.received(self.resource);
        }
        Ok(())
    }

    /// Whether it was stored. Waits while the inlet is full: a message left out would be lost until the next list.
    async fn send(&self, message: Envelope) -> Result<bool, Closed> {
        loop {
            match self.inlet.send(message.clone()).await {
                Reply::Stored(_) | Reply::Partial { .. } => return Ok(true),
                Reply::Invalid(reason) | Reply::TooLarge(reason) => {
                    self.unkept(&reason);
                    return Ok(false);
                }
                Reply::Overloaded(_) if self.inlet.is_closed() => return Err(Closed),
                Reply::Overloaded(_) | Reply::OverQuota(_) => tokio::time::sleep(OVERLOADED_PAUSE).await,
            }
        }
    }

    /// An object that cannot be kept.
    fn unkept(&self, error: &str) {
        tracing::warn!(resource = self.resource.plural(), error, "an object is left out");
        self.wrong(error);
    }

    fn wrong(&self, error: &str) {
        self.statuses.failed(self.resource, (self.clock)(), error);
    }
}

/// Returns at this time, or never.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
