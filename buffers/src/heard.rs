//! Of which times anything was heard of log lines: whether silence is a program's or that of what should have sent its lines.

use std::time::Duration;

use whyd_signals::Timestamp;

use crate::logs::Batch;
use crate::scoped::Scoped;

/// Lines are looked for as far back as this.
const LOOKED_BACK: Duration = Duration::from_secs(3600);

impl Scoped {
    /// Whether there is any line from `from` to `to`, both included, whoever wrote it.
    pub fn hears(&self, from: Timestamp, to: Timestamp) -> bool {
        let seen = |stream| self.stream(whyd_signals::StreamId(stream)).is_some();
        self.batches_between(from, to).any(|batch| any_between(batch, from, to, seen))
    }

    /// When the newest line was written of those up to `upto`, in the hour before it: of this namespace, or of all.
    pub fn newest_line(&self, namespace: Option<&str>, upto: Timestamp) -> Option<Timestamp> {
        let of = |stream| {
            let meta = self.stream(whyd_signals::StreamId(stream));
            meta.is_some_and(|m| namespace.is_none_or(|name| *m.namespace == *name))
        };
        let mut newest: Option<Timestamp> = None;
        for batch in self.batches_between(upto.minus(LOOKED_BACK), upto) {
            // What a batch cannot better is not looked at.
            if newest.is_some_and(|at| batch.max_ts <= at.0) {
                continue;
            }
            for lines in batch.tallies() {
                let before = lines.ts.partition_point(|ts| *ts <= upto.0);
                let Some(last) = before.checked_sub(1).and_then(|at| lines.ts.get(at)) else { continue };
                if newest.is_none_or(|at| *last > at.0) && of(lines.stream) {
                    newest = Some(Timestamp(*last));
                }
            }
        }
        newest
    }

    /// Whether a container has any log stream.
    pub fn has_logs_of(&self, namespace: &str, pod: &str, container: &str) -> bool {
        !self.streams_of(namespace, pod, container).is_empty()
    }
}

/// Whether a batch has a line of this time in a stream that may be seen.
fn any_between(batch: &Batch, from: Timestamp, to: Timestamp, seen: impl Fn(u32) -> bool) -> bool {
    batch.tallies().any(|lines| {
        let first = lines.ts.partition_point(|ts| *ts < from.0);
        lines.ts.get(first).is_some_and(|ts| *ts <= to.0) && seen(lines.stream)
    })
}
