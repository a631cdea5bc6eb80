#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use tokio::sync::watch;

use super::*;

/// Answers in this order, then takes everything; tells how often it was asked.
struct Script {
    answers: Mutex<VecDeque<Answer>>,
    asked: watch::Sender<usize>,
}

impl Script {
    fn new(answers: Vec<Answer>) -> (Self, watch::Receiver<usize>) {
        let (asked, times) = watch::channel(0);
        (Self { answers: Mutex::new(answers.into()), asked }, times)
    }
}

impl Transport for Script {
    async fn post(&self, _: Bytes) -> Answer {
        let answer = self.answers.lock().unwrap().pop_front().unwrap_or(Answer::Taken);
        self.asked.send_modify(|n| *n += 1);
        answer
    }
}

/// Never answers.
struct Silent;

impl Transport for Silent {
    async fn post(&self, _: Bytes) -> Answer {
        std::future::pending().await
    }
}

fn batch(alerts: usize) -> Batch {
    Batch { body: Bytes::from_static(b"[]"), alerts }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

/// Lets the peer work until it asked so often; what it counted then.
async fn worked(peer: Arc<Peer>, script: Script, mut times: watch::Receiver<usize>, asked: usize) -> Counts {
    let worker = Arc::clone(&peer);
    let task = tokio::spawn(async move { worker.run(&script).await });
    times.wait_for(|n| *n >= asked).await.unwrap();
    // What follows the last answer takes no time: it is counted before the worker waits again.
    while peer.counts().sent + peer.counts().failed < 3 {
        tokio::task::yield_now().await;
    }
    task.abort();
    peer.counts()
}

#[tokio::test]
async fn what_is_refused_blocks_nothing_and_what_fails_is_tried_again() {
    let refused = || Answer::Refused("400: one has no name".into());
    let later = || Answer::Later("connection refused".into());
    let cases = [
        (vec![], 2, (3, 0)),
        (vec![refused()], 2, (1, 2)),
        (vec![later(), later(), Answer::Taken, refused()], 4, (2, 1)),
    ];
    for (answers, asked, (sent, failed)) in cases {
        let peer = Arc::new(Peer::new("p".into()));
        peer.put(batch(2), soon());
        peer.put(batch(1), soon());
        let (script, times) = Script::new(answers);
        let counts = worked(peer, script, times, asked).await;
        assert_eq!(counts, Counts { sent, failed, dropped: 0, waiting: 0 });
    }
}

#[tokio::test]
async fn a_silent_peer_gives_up_when_newer_alerts_are_due() {
    let peer = Arc::new(Peer::new("p".into()));
    peer.put(batch(2), Instant::now() + Duration::from_millis(50));
    peer.put(batch(1), Instant::now());
    let worker = Arc::clone(&peer);
    let task = tokio::spawn(async move { worker.run(&Silent).await });
    while peer.counts().failed + peer.counts().dropped < 3 {
        tokio::task::yield_now().await;
    }
    task.abort();
    assert_eq!(peer.counts(), Counts { sent: 0, failed: 2, dropped: 1, waiting: 0 });
}

#[tokio::test]
async fn a_full_queue_drops_the_oldest_and_counts() {
    let peer = Peer::new("p".into());
    for n in 0..WAITING + 3 {
        peer.put(batch(n + 1), soon());
    }
    let counts = peer.counts();
    assert_eq!((counts.waiting, counts.dropped), (WAITING, 1 + 2 + 3));
}
