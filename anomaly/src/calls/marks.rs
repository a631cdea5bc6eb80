//! When others than the team that a request is of wrote lines of it: what lies around that is not its own alone.
//!
//! Nothing is known of them but that, and between two lines of the team's one that somebody was there says as much as many. So
//! few times are enough, and how many lines others write makes no difference.

use serde::{Deserialize, Serialize};

use super::party::Writer;

/// Times that are told apart; of more two are one between which the team wrote nothing, the closest ones.
pub(super) const MOST: usize = 8;

/// Times from one line of others to another, in order.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Marks(Vec<(i64, i64)>);

impl Marks {
    /// Somebody wrote a line then; these are the team's own so far.
    pub(super) fn note(&mut self, at: i64, own: &[(i64, Writer)]) {
        let is_known = |marks: &[(i64, i64)]| marks.iter().any(|(from, to)| (*from..=*to).contains(&at));
        if is_known(&self.0) {
            return;
        }
        if self.0.len() >= MOST {
            self.join(at, own);
            if is_known(&self.0) {
                return;
            }
        }
        let next = self.0.partition_point(|(from, _)| *from <= at);
        self.0.insert(next, (at, at));
    }

    /// Makes one of two that follow each other, or of one and this time.
    fn join(&mut self, at: i64, own: &[(i64, Writer)]) {
        let next = self.0.partition_point(|(from, _)| *from <= at);
        let mut times = self.0.clone();
        times.insert(next, (at, at));
        let pairs = times.windows(2).enumerate().filter_map(|(place, pair)| {
            let [(_, to), (from, _)] = *pair else { return None };
            let is_own = own.iter().any(|(ts, _)| (to..=from).contains(ts));
            Some(((is_own, from.saturating_sub(to)), place))
        });
        let Some((_, place)) = pairs.min() else { return };
        let (_, to) = times.remove(place + 1);
        if let Some(mark) = times.get_mut(place) {
            mark.1 = to;
        }
        // This time is put in by who asked, where it is none of the two.
        times.retain(|mark| *mark != (at, at));
        self.0.clear();
        self.0.extend(times);
    }

    /// Sorts the team's own lines and puts somebody's between them, where there was somebody.
    pub(super) fn among(&self, lines: &mut Vec<(i64, Writer)>) {
        lines.sort_by_key(|(ts, _)| *ts);
        if self.0.is_empty() {
            return;
        }
        let own = std::mem::take(lines);
        let first = own.first().map_or(i64::MAX, |(ts, _)| *ts);
        let outside = self.0.iter().filter(|(from, _)| *from < first).map(|(from, _)| (*from, Writer::SOMEBODY));
        lines.extend(outside.take(1));
        for (place, (ts, writer)) in own.iter().enumerate() {
            lines.push((*ts, *writer));
            let until = own.get(place + 1).map_or(i64::MAX, |(ts, _)| *ts);
            let there = self.0.iter().find(|(from, to)| *from < until && *to > *ts);
            lines.extend(there.map(|(from, _)| ((*from).max(*ts), Writer::SOMEBODY)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Writer = Writer::SOMEBODY;

    fn web() -> Writer {
        Writer::of(1 << 8, 0)
    }

    #[test]
    fn many_lines_of_others_between_two_own_are_one() {
        let mut own = vec![(0, web()), (1000, web()), (2000, web())];
        let mut marks = Marks::default();
        for at in (100..900).rev().chain(1500..1700).chain(3000..3500) {
            marks.note(at, &own);
            assert!(marks.0.len() <= MOST);
        }
        marks.among(&mut own);
        assert_eq!(own, [(0, web()), (100, OWN), (1000, web()), (1500, OWN), (2000, web()), (3000, OWN)]);
    }

    #[test]
    fn who_encloses_is_not_between() {
        // All that others wrote comes first.
        let mut marks = Marks::default();
        for at in [-5, 500, -7, 501] {
            marks.note(at, &[]);
        }
        let mut own = vec![(150, web()), (120, web()), (300, web()), (0, web())];
        marks.among(&mut own);
        let wanted = [(-7, OWN), (0, web()), (120, web()), (150, web()), (300, web()), (500, OWN)];
        assert_eq!(own, wanted);
    }

    #[test]
    fn there_are_few_times_at_the_most() {
        let own: Vec<_> = (0..100).map(|n| (n * 10, web())).collect();
        let mut marks = Marks::default();
        for n in 0..100 {
            marks.note(n * 10 + 5, &own);
            assert!(marks.0.len() <= MOST && marks.0.capacity() <= MOST);
        }
        let mut lines = own.clone();
        marks.among(&mut lines);
        // Each pair has somebody between, were it too many.
        assert_eq!(lines.len(), 200);
    }
}
