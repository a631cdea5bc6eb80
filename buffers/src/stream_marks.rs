//! A number for each of some streams, for who goes through lines run by run.

use whyd_signals::StreamId;

/// Numbers of streams that somebody may see. Only [`crate::Scoped::mark_streams`] makes them, so that who goes through the
/// lines asks once for each stream whether it may be seen, and not for each run.
#[derive(Debug, Clone, Default)]
pub struct StreamMarks {
    marks: Vec<u32>,
}

impl StreamMarks {
    /// No number.
    const NONE: u32 = u32::MAX;

    /// Gives a stream a number other than `u32::MAX`.
    pub(crate) fn set(&mut self, stream: StreamId, mark: u32) {
        let at = stream.0 as usize;
        if at >= self.marks.len() {
            self.marks.resize(at + 1, Self::NONE);
        }
        if let Some(place) = self.marks.get_mut(at) {
            *place = mark;
        }
    }

    /// The number of a stream.
    #[inline]
    pub fn of(&self, stream: StreamId) -> Option<u32> {
        self.marks.get(stream.0 as usize).copied().filter(|mark| *mark != Self::NONE)
    }

    /// The same without the numbers for which this does not hold.
    #[must_use]
    pub fn only(&self, keep: impl Fn(u32) -> bool) -> Self {
        let kept = |mark: &u32| if *mark != Self::NONE && keep(*mark) { *mark } else { Self::NONE };
        Self { marks: self.marks.iter().map(kept).collect() }
    }
}
