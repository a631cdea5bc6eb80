//! Whose the lines of a stream are, remembered between batches.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use whyd_buffers::Scoped;
use whyd_signals::{StreamId, Timestamp};

use super::watched::Facts;

/// So many streams are remembered before those that are gone are let go.
const REMEMBERED: usize = 4096;

/// Facts by stream, each with when they were asked for. Streams are bounded by the buffers, and what those forgot goes here too.
#[derive(Default)]
pub(super) struct Streams {
    known: HashMap<u32, (Timestamp, Facts)>,
    sweep_at: usize,
}

impl Streams {
    /// The facts of a stream, asked for again when that [is due](Facts::is_due); `None` when the stream is gone.
    pub(super) fn facts(&mut self, id: StreamId, now: Timestamp, scoped: &Scoped) -> Option<&Facts> {
        let ask = || {
            let meta = scoped.stream(id)?;
            Some((now, Facts::of(scoped, &meta.namespace, &meta.pod, &meta.container)))
        };
        let known = match self.known.entry(id.0) {
            Entry::Occupied(entry) => {
                let known = entry.into_mut();
                let is_due = || Some(known.1.is_due((known.0, now), &scoped.stream(id)?.namespace, scoped));
                if is_due()? {
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
