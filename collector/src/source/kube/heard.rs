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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::convert::Infallible;
    use std::sync::atomic::{AtomicI64, Ordering};

    use axum::http::{Request, Response, StatusCode};
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
        let ask = || Request::new(kube::client::Body::empty());
        let refusing = by(Client::new(serve(StatusCode::FORBIDDEN), "n"), Resource::Pods, &clock, &statuses);
        refusing.send(ask()).await.unwrap();
        assert_eq!(heard(), None);
        let listening = by(Client::new(serve(StatusCode::OK), "n"), Resource::Pods, &clock, &statuses);
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
