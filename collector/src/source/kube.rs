//! The Kubernetes watches: one loop a resource, in the order of the API, each message answered before the next.
//!
//! A list is sent object by object and ended by the uids that were in it, so that what vanished during a gap is
//! found. A watch that fails is taken up again after a pause; its error stays in the status until the next message.

mod status;

use std::pin::pin;
use std::time::Duration;

use futures::{Stream, StreamExt};
use kube::api::{ApiResource, DynamicObject, PartialObjectMeta};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use serde::Serialize;
use thiserror::Error;
use whyd_signals::sink::DecodeError;
use whyd_signals::{Envelope, Resource, Verb};

pub use status::{SourceStatus, Statuses};

use crate::wire::kube::{envelope, listed, slim_value};
use crate::{Clock, Inlet, Reply};

/// Objects a page of a list.
const PAGE: u32 = 500;

/// How long to wait before a message that the inlet had no room for is sent again.
const OVERLOADED_PAUSE: Duration = Duration::from_millis(200);

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
    let config = match server {
        ApiServer::Inferred => kube::Config::infer().await.map_err(|e| ConnectError(e.to_string()))?,
        ApiServer::Url(url) => {
            kube::Config::new(url.parse().map_err(|e| ConnectError(format!("address {url:?}: {e}")))?)
        }
    };
    Client::try_from(config).map_err(|e| ConnectError(e.to_string()))
}

/// Watches one resource in all namespaces; ends only when the inlet is closed. The caller owns the task.
pub async fn watch(client: Client, resource: Resource, inlet: Inlet, clock: Clock, statuses: Statuses) {
    let (group, version) = resource.group_version();
    let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let kind = ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version,
        kind: resource.kind().to_owned(),
        plural: resource.plural().to_owned(),
    };
    let config = watcher::Config::default().page_size(PAGE);
    let follower = Follower { resource, inlet, clock, statuses, uids: Vec::new() };
    if resource == Resource::ConfigMaps {
        // their data never leaves the API server
        let api = Api::<PartialObjectMeta<DynamicObject>>::all_with(client, &kind);
        follower.follow(watcher(api, config).default_backoff()).await;
    } else {
        let api = Api::<DynamicObject>::all_with(client, &kind);
        follower.follow(watcher(api, config).default_backoff()).await;
    }
}

/// The inlet is closed.
struct Closed;

struct Follower {
    resource: Resource,
    inlet: Inlet,
    clock: Clock,
    statuses: Statuses,
    /// Of the list under way.
    uids: Vec<String>,
}

impl Follower {
    async fn follow<K: Serialize>(mut self, events: impl Stream<Item = watcher::Result<Event<K>>>) {
        let mut events = pin!(events);
        while let Some(event) = events.next().await {
            let step = match event {
                Ok(event) => self.step(event).await,
                Err(error) => {
                    self.failed(&error.to_string());
                    if self.inlet.is_closed() { Err(Closed) } else { Ok(()) }
                }
            };
            if step.is_err() {
                return;
            }
        }
    }

    async fn step<K: Serialize>(&mut self, event: Event<K>) -> Result<(), Closed> {
        match event {
            Event::Init => {
                self.uids.clear();
                Ok(())
            }
            Event::InitApply(object) => {
                let uid = self.change(Verb::Apply, &object).await?;
                self.uids.extend(uid);
                Ok(())
            }
            Event::Apply(object) => self.change(Verb::Apply, &object).await.map(drop),
            Event::Delete(object) => self.change(Verb::Delete, &object).await.map(drop),
            Event::InitDone => {
                let uids = std::mem::take(&mut self.uids);
                match listed(self.resource, (self.clock)(), &uids) {
                    Ok(message) => {
                        if self.send(message).await? {
                            self.statuses.synced(self.resource, (self.clock)());
                            tracing::info!(resource = self.resource.plural(), objects = uids.len(), "listed");
                        }
                    }
                    Err(error) => self.failed(&error.to_string()),
                }
                Ok(())
            }
        }
    }

    /// Sends one object; gives its uid where it has one, whether or not the core could keep it.
    async fn change<K: Serialize>(&mut self, verb: Verb, object: &K) -> Result<Option<String>, Closed> {
        let slim = serde_json::to_value(object)
            .map_err(|e| DecodeError::Malformed(e.to_string()))
            .and_then(|value| slim_value(self.resource, value));
        match slim {
            Ok((body, uid)) => {
                if self.send(envelope(self.resource, verb, (self.clock)(), body)).await? {
                    self.statuses.received(self.resource);
                }
                Ok(Some(uid))
            }
            Err(error) => {
                self.failed(&error.to_string());
                Ok(None)
            }
        }
    }

    /// Whether it was stored. Waits while the inlet is full: a message left out would be lost until the next list.
    async fn send(&self, message: Envelope) -> Result<bool, Closed> {
        loop {
            match self.inlet.send(message.clone()).await {
                Reply::Stored(_) | Reply::Partial { .. } => return Ok(true),
                Reply::Invalid(reason) | Reply::TooLarge(reason) => {
                    self.failed(&reason);
                    return Ok(false);
                }
                Reply::Overloaded(_) if self.inlet.is_closed() => return Err(Closed),
                Reply::Overloaded(_) => tokio::time::sleep(OVERLOADED_PAUSE).await,
            }
        }
    }

    fn failed(&self, error: &str) {
        tracing::warn!(resource = self.resource.plural(), error, "watch failed");
        self.statuses.failed(self.resource, (self.clock)(), error);
    }
}

#[cfg(test)]
mod tests;
