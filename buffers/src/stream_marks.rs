//! A number for each of some streams, and their lines run by run.

use whyd_signals::{StreamId, Timestamp};

use crate::logs::{Levels, LineRun, ahead};
use crate::scoped::Scoped;

/// Numbers of streams that somebody may see, with what they see. Only [`Scoped::mark_streams`] makes them, so that who goes
/// through the lines asks once for each stream whether it may be seen, and not for each run.
#[derive(Debug, Clone)]
pub struct StreamMarks {
    scoped: Scoped,
    /// By stream.
    marks: Vec<u32>,
}

impl StreamMarks {
    /// No number.
    const NONE: u32 = u32::MAX;

    /// Of streams that may be seen.
    pub(crate) fn of(scoped: &Scoped, some: impl Iterator<Item = (StreamId, u32)>) -> Self {
        let mut marks = Vec::new();
        for (stream, mark) in some {
            let at = stream.0 as usize;
            if at >= marks.len() {
                marks.resize(at + 1, Self::NONE);
            }
            if let Some(place) = marks.get_mut(at) {
                *place = mark;
            }
        }
        Self { scoped: scoped.clone(), marks }
    }

    /// The number of a stream.
    #[inline]
    pub(crate) fn get(&self, stream: u32) -> Option<u32> {
        self.marks.get(stream as usize).copied().filter(|mark| *mark != Self::NONE)
    }

    /// The same without the numbers for which this does not hold.
    #[must_use]
    pub fn only(&self, keep: impl Fn(u32) -> bool) -> Self {
        let kept = |mark: &u32| if *mark != Self::NONE && keep(*mark) { *mark } else { Self::NONE };
        Self { scoped: self.scoped.clone(), marks: self.marks.iter().map(kept).collect() }
    }

    /// The lines from `from` to `to`, both included, of each stream with a number in each batch that has some, as they lie, only
    /// where one is of some level; of so many parts of each batch, those of that number: a stream is mostly in the same part of all. Those of one run are in order of time, ties in
    /// order of arrival; the runs of a stream may overlap.
    pub fn line_runs(
        &self,
        (from, to): (Timestamp, Timestamp),
        levels: Option<Levels>,
        part: (usize, usize),
    ) -> impl Iterator<Item = (u32, LineRun<'_>)> {
        let batches = self.scoped.batches_between(from, to);
        ahead(batches.flat_map(move |batch| batch.runs_marked((from.0, to.0), self, levels, part)))
    }
}
