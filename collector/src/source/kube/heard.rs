//! When a server was last heard. The watcher keeps to itself what changes nothing, bookmarks and that a watch begins, and these are
//! what tells a quiet watch from a dead one.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use futures::StreamExt;
use kube::Client;
use tower::service_fn;
use whyd_signals::Resource;

use super::Statuses;
use crate::Clock;

/// Whether it asks to be told of changes. A list is heard when all of it is stored, not while its pages come.
fn is_watch(request: &Request<kube::client::Body>) -> bool {
    let query = request.uri().query().unwrap_or_default();
    query.split('&').any(|pair| matches!(pair, "watch=true" | "watch=1"))
}

/// A client that notes whatever comes of what it asks about this resource.
pub(super) fn by(client: Client, resource: Resource, clock: &Clock, statuses: &Statuses) -> Client {
    let namespace = client.default_namespace().to_owned();
    let (clock, statuses) = (Arc::clone(clock), statuses.clone());
    let heard = move || statuses.heard(resource, (clock)());
    let listening = service_fn(move |request: Request<kube::client::Body>| {
        let (client, heard) = (client.clone(), heard.clone());
        async move {
            let watches = is_watch(&request);
            let answer = client.send(request).await?;
            if !watches || !answer.status().is_success() {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::convert::Infallible;
    use std::sync::atomic::{AtomicI64, Ordering};

    use axum::http::{Response, StatusCode};
    use futures::stream;
    use whyd_signals::Timestamp;

    use super::*;

    #[tokio::test]
    async fn each_piece_of_an_answer_is_heard_when_it_comes_and_a_refusal_is_not() {
        let time = Arc::new(AtomicI64::new(1));
        let clock: Clock = {
            let time = Arc::clone(&time);
            Arc::new(move || Timestamp(time.load(Ordering::Relaxed)))
        };
        let serve = |status: StatusCode| {
            service_fn(move |_: Request<kube::client::Body>| async move {
                let bookmarks = stream::iter(["{}\n", "{}\n"].map(Ok::<_, Infallible>));
                let mut answer = Response::new(Body::from_stream(bookmarks));
                *answer.status_mut() = status;
                Ok::<_, Infallible>(answer)
            })
        };
        let statuses = Statuses::default();
        let heard = || statuses.all().first().and_then(|status| status.heard_at);
        let asked = |uri: &str| Request::get(uri).body(kube::client::Body::empty()).unwrap();
        let ask = || asked("/api/v1/pods?allowWatchBookmarks=true&watch=true");
        let refusing = by(Client::new(serve(StatusCode::FORBIDDEN), "n"), Resource::Pods, &clock, &statuses);
        refusing.send(ask()).await.unwrap();
        assert_eq!(heard(), None);
        let listening = by(Client::new(serve(StatusCode::OK), "n"), Resource::Pods, &clock, &statuses);
        let list = listening.send(asked("/api/v1/pods?limit=500")).await.unwrap();
        assert!(Body::new(list.into_body()).into_data_stream().next().await.is_some());
        assert_eq!(heard(), None, "there may be more of the list");
        let answer = listening.send(ask()).await.unwrap();
        assert_eq!(heard(), Some(Timestamp(1)));
        let mut pieces = Body::new(answer.into_body()).into_data_stream();
        for at in [2, 3] {
            time.store(at, Ordering::Relaxed);
            assert!(pieces.next().await.is_some());
            assert_eq!(heard(), Some(Timestamp(at)));
        }
    }
}
