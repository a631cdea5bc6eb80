#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use bytes::Bytes;
use whyd_signals::{Media, Timestamp};

use super::*;

fn message(bytes: usize) -> Envelope {
    Envelope { received: Timestamp(1), media: Media::LokiJson, tenant: None, body: Bytes::from(vec![0; bytes]) }
}

fn overloaded(reply: &Reply) -> bool {
    matches!(reply, Reply::Overloaded(_))
}

#[tokio::test]
async fn answers_reach_the_sender_and_free_the_bytes() {
    let (inlet, mut queue) = inlet(InletLimits { messages: 4, bytes: 100 });
    let sender = inlet.clone();
    let (reply, ()) = tokio::join!(sender.send(message(60)), async {
        let delivery = queue.recv().await.unwrap();
        assert_eq!(inlet.counts().bytes, 60);
        assert!(overloaded(&inlet.send(message(41)).await), "a message the core still holds counts");
        delivery.responder.reply(Reply::Stored(Written::rows(3)));
    });
    assert_eq!(reply, Reply::Stored(Written::rows(3)));
    assert_eq!(
        inlet.counts(),
        InletCounts { accepted: 1, full_of_messages: 0, full_of_bytes: 1, bytes: 0, limit: 100 }
    );
}

#[tokio::test]
async fn the_bound_on_messages_refuses_and_counts() {
    let (inlet, queue) = inlet(InletLimits { messages: 1, bytes: 100 });
    let waiting = tokio::spawn({
        let inlet = inlet.clone();
        async move { inlet.send(message(1)).await }
    });
    while inlet.counts().accepted == 0 {
        tokio::task::yield_now().await;
    }
    assert!(overloaded(&inlet.send(message(1)).await));
    assert_eq!(inlet.counts().full_of_messages, 1);
    drop(queue);
    assert!(overloaded(&waiting.await.unwrap()), "a dropped message is to be sent again");
    assert!(inlet.is_closed() && overloaded(&inlet.send(message(1)).await));
    assert_eq!(inlet.counts().bytes, 0);
}

#[tokio::test]
async fn one_that_is_held_takes_nothing_and_keeps_nobody_waiting() {
    let (inlet, mut queue) = inlet(InletLimits { messages: 1, bytes: 100 });
    inlet.hold(Hold::Replay);
    inlet.hold(Hold::Clock);
    assert!(overloaded(&inlet.room(1).unwrap_err()) && overloaded(&inlet.send(message(1)).await));
    assert!(queue.try_recv().is_err());
    inlet.open(Hold::Replay);
    assert!(inlet.held().unwrap().contains("clock") && inlet.room(1).is_err());
    inlet.open(Hold::Clock);
    assert!(inlet.room(1).is_ok());
}

#[tokio::test]
async fn room_grows_and_shrinks() {
    let (inlet, _queue) = inlet(InletLimits { messages: 1, bytes: 100 });
    let mut room = inlet.room(30).unwrap();
    room.grow(70).unwrap();
    assert!(matches!(room.grow(1), Err(Reply::TooLarge(_))));
    assert!(overloaded(&inlet.room(1).unwrap_err()));
    room.shrink_to(20);
    assert_eq!(inlet.counts().bytes, 20);
    room.shrink_to(50);
    assert_eq!(inlet.counts().bytes, 20);
    drop(room);
    assert_eq!(inlet.counts().bytes, 0);
}

#[tokio::test]
async fn bodies_that_are_not_whole_leave_half_to_those_that_are_and_to_small_ones() {
    let (inlet, _queue) = inlet(InletLimits { messages: 1, bytes: 1600 });
    // Of each the first hundred bytes are free.
    let mut first = inlet.receiving().unwrap();
    first.grow(60).unwrap();
    first.grow(840).unwrap();
    let mut second = inlet.receiving().unwrap();
    second.grow(100).unwrap();
    assert!(overloaded(&second.grow(1).unwrap_err()));
    assert_eq!((inlet.counts().full_of_bytes, inlet.counts().bytes), (1, 1000));
    assert!(matches!(inlet.receiving().unwrap().grow(901), Err(Reply::TooLarge(_))));
    let pulled = inlet.room(600).unwrap();
    assert!(overloaded(&inlet.room(1).unwrap_err()));
    drop(pulled);
    first.finish();
    second.grow(400).unwrap();
    first.grow(200).unwrap();
    assert_eq!(inlet.counts().bytes, 1600, "what is whole grows out of what all have");
    drop((first, second));
    assert_eq!((inlet.counts().bytes, inlet.receiving().unwrap().grow(900)), (0, Ok(())));
}
