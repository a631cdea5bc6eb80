//! Whose the lines of a stream are, remembered between batches.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use whyd_buffers::Scoped;
use whyd_signals::{StreamId, Timestamp};

use super::watched::{FACTS_AGE, Facts};

/// So many streams are remembered before those that are gone are let go.
const REMEMBERED: usize = 4096;

/// Facts by stream. Streams are bounded by the buffers, and what those forgot goes here too.
#[derive(Default)]
pub(super) struct Streams {
    known: HashMap<u32, (Timestamp, Facts)>,
    sweep_at: usize,
}

impl Streams {
    /// The facts of a stream, no older than [`FACTS_AGE`]; `None` when the stream is gone.
    pub(super) fn facts(&mut self, id: StreamId, now: Timestamp, scoped: &Scoped) -> Option<&Facts> {
        let ask = || {
            let meta = scoped.stream(id)?;
            Some((now, Facts::of(scoped, &meta.namespace, &meta.pod, &meta.container)))
        };
        let known = match self.known.entry(id.0) {
            Entry::Occupied(entry) => {
                let known = entry.into_mut();
                if now >= known.0.plus(FACTS_AGE) {
                    *known = ask()?;
                }
                known
            }
            Entry::Vacant(entry) => entry.insert(ask()?),
        };
        Some(&known.1)
    }

    /// Lets go of what the buffers have forgotten, whenever there are twice as many as were left the last time.
    pub(super) fn sweep(&mut self, scoped: &Scoped) {
        if self.known.len() < self.sweep_at.max(REMEMBERED) {
            return;
        }
        self.known.retain(|id, _| scoped.stream(StreamId(*id)).is_some());
        self.sweep_at = self.known.len() * 2;
    }
}
