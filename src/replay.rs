//! The replay driver: history through the same core, time taken from the messages.

use std::sync::Arc;
use std::time::Duration;

use whyd_buffers::Snapshot;
use whyd_collector::inlet::Reply;
use whyd_core::{Core, Effect, Message};
use whyd_signals::{Envelope, Timestamp};

/// The step of time between messages, as the live driver's tick.
const TICK: Duration = Duration::from_secs(1);

/// What a replay ends with.
pub struct Outcome {
    /// What readers would see.
    pub snapshot: Arc<Snapshot>,
    /// Messages that were not taken, and why.
    pub problems: Vec<String>,
    /// The core as it is then, and the time to which it moved on.
    pub core: Core,
    /// See [`Outcome::core`].
    pub at: Timestamp,
}

/// Feeds messages in their order, ticking once a second of their time; after the last one time moves on by `lateness`.
pub fn run(core: Core, messages: Vec<Envelope>, lateness: Duration) -> Outcome {
    let mut replay = Replay::new(core);
    for envelope in messages {
        replay.feed(envelope);
    }
    replay.end(lateness)
}

/// A replay that can be looked at while it goes on.
pub struct Replay {
    core: Core,
    ticked: Option<Timestamp>,
    fed: usize,
    problems: Vec<String>,
}

impl Replay {
    /// Of nothing yet.
    pub fn new(core: Core) -> Self {
        Self { core, ticked: None, fed: 0, problems: Vec::new() }
    }

    /// The next message; those that came at one time in the order in which they came.
    pub fn feed(&mut self, envelope: Envelope) {
        let at = envelope.received;
        let mut ticked = self.ticked.unwrap_or(at);
        while at >= ticked.plus(TICK) {
            ticked = ticked.plus(TICK);
            self.core.step(ticked, Message::Tick);
        }
        self.ticked = Some(ticked);
        let n = self.fed;
        self.fed += 1;
        let media = envelope.media;
        for reply in deliver(&mut self.core, at, envelope) {
            match reply {
                Reply::Stored(_) => {}
                Reply::Partial { refused, .. } => {
                    let counts: Vec<String> = refused.iter().map(|(why, n)| format!("{n} {}", why.as_str())).collect();
                    self.problems.push(format!("message {n} ({media:?}): refused {}", counts.join(", ")));
                }
                Reply::Invalid(why) | Reply::TooLarge(why) | Reply::Overloaded(why) | Reply::OverQuota(why) => {
                    self.problems.push(format!("message {n} ({media:?}): {why}"));
                }
            }
        }
    }

    /// What readers see by now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.core.snapshot()
    }

    /// Time moves on by `lateness`, and that was it.
    pub fn end(self, lateness: Duration) -> Outcome {
        let Self { mut core, ticked, problems, .. } = self;
        let ticked = ticked.unwrap_or(Timestamp(0));
        core.step(ticked.plus(TICK), Message::Tick);
        let at = ticked.plus(TICK).plus(lateness);
        core.step(at, Message::Tick);
        Outcome { snapshot: core.snapshot(), problems, core, at }
    }
}

/// One message in, durable at once: a replay has nothing to lose.
fn deliver(core: &mut Core, at: Timestamp, envelope: Envelope) -> Vec<Reply> {
    let mut replies = Vec::new();
    let mut effects = core.step(at, Message::Input { token: 0, envelope });
    while let Some(effect) = effects.pop() {
        match effect {
            Effect::Append(record) => effects.extend(core.step(at, Message::Durable(record.lsn))),
            Effect::Reply { reply, .. } => replies.push(reply),
            Effect::Changed | Effect::Settled(_) => {}
        }
    }
    replies
}
