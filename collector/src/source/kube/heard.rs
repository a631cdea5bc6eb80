//! When a server was last heard. The watcher keeps to itself what changes nothing, bookmarks and that a watch begins, and these are
//! what tells a quiet watch from a dead one.

use std::sync::Arc;

use axum::body::Body;
use futures::StreamExt;
use kube::Client;
use tower::service_fn;
use whyd_signals::Resource;

use super::Statuses;
use crate::Clock;

/// A client that notes whatever comes of what it asks about this resource.
pub(super) fn by(client: Client, resource: Resource, clock: &Clock, statuses: &Statuses) -> Client {
    let namespace = client.default_namespace().to_owned();
    let (clock, statuses) = (Arc::clone(clock), statuses.clone());
    let heard = move || statuses.heard(resource, (clock)());
    let listening = service_fn(move |request| {
        let (client, heard) = (client.clone(), heard.clone());
        async move {
            let answer = client.send(request).await?;
            if !answer.status().is_success() {
                return Ok(answer.map(Body::new));
            }
            heard();
            let piece = move |body| {
                Body::from_stream(Body::new(body).into_data_stream().inspect(move |piece| {
                    if piece.is_ok() {
                        heard();
                    }
                }))
            };
            Ok::<_, kube::Error>(answer.map(piece))
        }
    });
    Client::new(listening, namespace)
}
