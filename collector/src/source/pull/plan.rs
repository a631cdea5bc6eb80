//! What to ask for next: a pure function of what was had and of the time.

use std::time::Duration;

use whyd_signals::{Range, Ranges, Timestamp};

/// How long no metrics have to be pushed for there to be a gap.
pub const SILENCE: Duration = Duration::from_secs(120);
/// After an outage it is looked again for what came late after so long, then after twice that, and so on up to [`LATEST`]:
/// who sends to the source keeps what it could not take.
const LATE: Duration = Duration::from_secs(60);
const LATEST: Duration = Duration::from_secs(16 * 60);

/// The times of one source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// How far back anything is asked for.
    pub(super) reach: Duration,
    /// How old a time has to be to be asked for.
    pub(super) settle: Duration,
    /// How much of the newest is worth a question.
    pub(super) interval: Duration,
    /// The longest time of one question.
    pub(super) span: Duration,
    /// How much of what was had is asked for a second time, each half of it. Zero: nothing.
    pub(super) overlap: Duration,
}

/// One question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) range: Range,
    /// Whether it was had already.
    again: bool,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Ask(Ask),
    Wait(Duration),
}

/// What is still looked for after an outage.
struct Late {
    from: Timestamp,
    due: Timestamp,
    pause: Duration,
}

/// What was had, and what is looked at again.
pub(super) struct Plan {
    times: Times,
    /// The longest time of one question now.
    span: Duration,
    had: Ranges,
    /// Of the second look under way, what is left.
    looking: Option<Range>,
    looked: Option<Timestamp>,
    late: Option<Late>,
}

impl Plan {
    pub(super) fn new(times: Times, had: Ranges) -> Self {
        Self { times, span: times.span, had, looking: None, looked: None, late: None }
    }

    /// Up to when anything is asked for.
    pub(super) fn edge(&self, now: Timestamp) -> Timestamp {
        now.minus(self.times.settle)
    }

    /// What is to be had and is not.
    pub(super) fn missing(&self, now: Timestamp, pushed: &Ranges) -> Ranges {
        let mut missing = Ranges::default();
        missing.add(Range::new(now.minus(self.times.reach), self.edge(now)));
        missing.remove_all(&self.had);
        missing.remove_all(pushed);
        missing
    }

    /// The oldest of what is missing, or with `newest` the newest of it.
    pub(super) fn next(&mut self, now: Timestamp, missing: &Ranges, newest: bool) -> Next {
        self.had.forget_before(now.minus(self.times.reach));
        if !newest && let Some(range) = self.second_look(now) {
            return Next::Ask(Ask { range: self.cut(range), again: true });
        }
        let edge = self.edge(now);
        // Of what goes on growing a piece is waited for.
        let worth = |r: &Range| r.to < edge || r.to >= r.from.plus(self.times.interval);
        let range = if newest {
            let last = missing.iter().rev().find(worth);
            last.map(|r| Range::new(r.from.max(r.to.minus(self.span)), r.to))
        } else {
            missing.iter().find(worth).map(|r| self.cut(r))
        };
        if let Some(range) = range {
            return Next::Ask(Ask { range, again: false });
        }
        let grown = missing.last().map_or(0.0, |r| r.to.seconds_since(r.from));
        let rest = self.times.interval.as_secs_f64() - grown;
        Next::Wait(Duration::from_secs_f64(rest.max(0.0)).max(Duration::from_millis(100)))
    }

    fn cut(&self, range: Range) -> Range {
        Range::new(range.from, range.to.min(range.from.plus(self.span)))
    }

    fn second_look(&mut self, now: Timestamp) -> Option<Range> {
        if self.looking.is_none() {
            let end = self.had.last()?.to;
            let mut from = None;
            if let Some(late) = self.late.as_mut().filter(|late| now >= late.due) {
                from = Some(late.from);
                late.pause *= 2;
                late.due = now.plus(late.pause);
                if late.pause > LATEST {
                    self.late = None;
                }
            }
            let looked = *self.looked.get_or_insert(now);
            if !self.times.overlap.is_zero() && now >= looked.plus(self.times.overlap / 2) {
                self.looked = Some(now);
                let start = end.minus(self.times.overlap);
                from = Some(from.map_or(start, |f: Timestamp| f.min(start)));
            }
            let from = from?.max(now.minus(self.times.reach));
            self.looking = Some(Range::new(from, end)).filter(|r| !r.is_empty());
        }
        self.looking
    }

    /// The answer to a question is there, up to this time of it.
    pub(super) fn had(&mut self, ask: Ask, upto: Timestamp) {
        let upto = upto.min(ask.range.to);
        if ask.again {
            self.looking = self.looking.map(|r| Range::new(upto, r.to)).filter(|r| !r.is_empty());
        } else {
            self.had.add(Range::new(ask.range.from, upto));
        }
    }

    /// It answers again, after it could not be asked since then.
    pub(super) fn is_back(&mut self, since: Timestamp, now: Timestamp) {
        if now >= since.plus(self.times.interval * 2) {
            self.late = Some(Late { from: since.minus(self.times.overlap), due: now.plus(LATE), pause: LATE });
        }
    }

    /// Asks for half of what was too much from here on, if that is not below `least`.
    pub(super) fn narrow(&mut self, asked: Range, least: Duration) -> bool {
        let half = Duration::from_secs_f64(asked.to.seconds_since(asked.from).max(0.0)) / 2;
        let can = half >= least;
        if can {
            self.span = half;
        }
        can
    }

    /// Asks for a little more again.
    pub(super) fn widen(&mut self) {
        self.span = (self.span + self.span / 8).min(self.times.span);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const fn s(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1_000_000_000)
    }

    fn range(from: i64, to: i64) -> Range {
        Range::new(at(from), at(to))
    }

    fn plan(overlap: u64, had: &[(i64, i64)]) -> Plan {
        let times = Times { reach: s(3600), settle: s(10), interval: s(60), span: s(1000), overlap: s(overlap) };
        Plan::new(times, had.iter().map(|(a, b)| range(*a, *b)).collect())
    }

    fn next(plan: &mut Plan, now: i64) -> Next {
        let missing = plan.missing(at(now), &Ranges::default());
        plan.next(at(now), &missing, false)
    }

    fn asked(plan: &mut Plan, now: i64) -> (i64, i64) {
        let Next::Ask(ask) = next(plan, now) else { panic!("waits") };
        plan.had(ask, ask.range.to);
        let second = |t: Timestamp| t.nanos() / 1_000_000_000;
        (second(ask.range.from), second(ask.range.to))
    }

    #[test]
    fn the_oldest_missing_is_asked_for_first_and_then_the_newest_by_and_by() {
        let mut plan = plan(0, &[(8000, 9000)]);
        let all: Vec<_> = (0..3).map(|_| asked(&mut plan, 10_000)).collect();
        assert_eq!(all, [(6400, 7400), (7400, 8000), (9000, 9990)]);
        assert_eq!(next(&mut plan, 10_000), Next::Wait(s(60)));
    }

    #[test]
    fn what_grows_is_waited_for() {
        let mut plan = plan(0, &[(0, 9990)]);
        assert_eq!(next(&mut plan, 10_000), Next::Wait(s(60)));
        assert_eq!(next(&mut plan, 10_020), Next::Wait(s(40)));
        assert_eq!(asked(&mut plan, 10_060), (9990, 10_050));
        assert_eq!(next(&mut plan, 10_060), Next::Wait(s(60)));
    }

    #[test]
    fn what_was_pushed_is_not_missing() {
        let plan = plan(0, &[]);
        let pushed = [range(5000, 8000), range(8600, 9995)].into_iter().collect();
        let missing = plan.missing(at(10_000), &pushed);
        assert_eq!(missing.iter().collect::<Vec<_>>(), [range(8000, 8600)]);
    }

    #[test]
    fn a_part_of_an_answer_is_gone_on_with() {
        let mut plan = plan(0, &[(0, 9000)]);
        let Next::Ask(ask) = next(&mut plan, 10_000) else { panic!("waits") };
        plan.had(ask, at(9100));
        assert_eq!(asked(&mut plan, 10_000), (9100, 9990));
    }

    #[test]
    fn an_answer_that_never_comes_keeps_no_newer_ones_away() {
        let mut plan = plan(0, &[]);
        let missing = plan.missing(at(10_000), &Ranges::default());
        let Next::Ask(ask) = plan.next(at(10_000), &missing, true) else { panic!("waits") };
        assert_eq!(ask.range, range(8990, 9990));
    }

    #[test]
    fn what_came_late_is_found_by_a_second_look() {
        let mut plan = plan(300, &[(0, 9990)]);
        assert_eq!(next(&mut plan, 10_000), Next::Wait(s(60)));
        plan.had.add(range(9990, 10_140));
        assert_eq!(asked(&mut plan, 10_150), (9840, 10_140));
        assert_eq!(next(&mut plan, 10_150), Next::Wait(s(60)));
    }

    #[test]
    fn after_an_outage_it_is_looked_further_back_and_less_and_less_often() {
        let mut plan = plan(0, &[(0, 9990)]);
        plan.is_back(at(9000), at(10_000));
        let mut looks = Vec::new();
        for now in 10_000..14_000 {
            plan.had.add(range(9990, now - 10));
            if let Next::Ask(ask) = next(&mut plan, now) {
                let mut ask = ask;
                looks.push((now, ask.range.from));
                while ask.range.to < at(now - 10) {
                    plan.had(ask, ask.range.to);
                    let Next::Ask(more) = next(&mut plan, now) else { panic!("stops at {:?}", ask.range) };
                    ask = more;
                }
                plan.had(ask, ask.range.to);
            }
        }
        let times: Vec<i64> = looks.iter().map(|(now, _)| *now).collect();
        assert_eq!(times, [10_060, 10_180, 10_420, 10_900, 11_860]);
        assert!(looks.iter().all(|(_, from)| *from == at(9000)));
        plan.is_back(at(14_000), at(14_030));
        assert!(plan.late.is_none(), "a short one leaves nothing behind");
    }
}
