//! The kinds of lines of one container of a workload: what it says for the first time, and what it does not say any more.
//!
//! A line has the id of its shape; what a shape stands for is asked when one comes that this container did not have, since
//! shapes come together as more of them are known. So a line costs a look-up, and only a shape that is new here costs more; of
//! those so few are looked at in a minute that a flood of them costs nothing either.

mod forgotten;
mod table;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::templates::Template;
use whyd_signals::{TemplateId, Timestamp};

use super::novelty::{self, Novelty};
use super::vanished::Vanished;
use table::{New, Table};

/// Of the time after which a series is judged: kinds of lines are rarer than values.
const LEARNINGS: u32 = 3;
/// Of a container that has more kinds than can be remembered, every one has to be remembered for so long: what comes once or
/// twice a day is new to it otherwise.
const KNOWN_OF_MANY: Duration = Duration::from_secs(2 * 86_400);
/// Shapes that are new here and looked at in a minute.
const LOOKS: u32 = 8;
const MINUTE_NS: i64 = 60_000_000_000;
/// Lines that are received so much later than they were written are late.
const LATE: Duration = Duration::from_secs(120);
/// So long after the last late line others may be: what is missed may be under way.
const SETTLES: Duration = Duration::from_secs(600);
/// By the clock of the receipt a kind is missed for so long before it is told, since pods are heard one after the other.
const HOLD: Duration = Duration::from_secs(120);
/// What is said within this time after a pod came may be what programs say when they start, or another version.
const STARTS: Duration = Duration::from_secs(600);

/// What stands behind a shape's id by now.
pub type Resolve<'a> = dyn Fn(TemplateId) -> Option<Template> + 'a;

/// What there is to tell.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// An error that was never there.
    NewError {
        /// For how long that would be known.
        known: Duration,
        /// Above 1 is anomalous.
        score: f64,
        /// The template.
        template: Template,
    },
    /// Another kind that was never there and comes in number.
    NewInNumber {
        /// Its lines so far.
        lines: u32,
        /// For how long that would be known.
        known: Duration,
        /// Above 1 is anomalous.
        score: f64,
        /// The template.
        template: Template,
    },
    /// A kind that came steadily and stopped.
    Vanished {
        /// How steadily.
        vanished: Vanished,
        /// When its last line was, to the minute.
        last: Timestamp,
        /// How many other kinds stopped with it.
        others: usize,
        /// The template.
        template: Template,
    },
}

/// The detector of one container of a workload.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LogKinds {
    table: Table,
    novelty: Novelty,
    /// Of the clock, and how many there were with lines.
    minute: Option<i64>,
    minutes: u32,
    lines: u64,
    /// Shapes looked at in this minute.
    looks: u32,
    /// A line of this minute was not looked at: it may have been of any kind.
    is_doubtful: bool,
    /// When a late line was received last.
    late: Timestamp,
    /// Since when every kind is remembered, and whether there were others before.
    remembers: Option<Timestamp>,
    forgets: bool,
    /// When the last pod came that was not there before.
    pod_came: Timestamp,
    /// Lines of shapes that were not looked at.
    passed_over: u64,
}

impl Default for LogKinds {
    fn default() -> Self {
        Self {
            table: Table::default(),
            novelty: Novelty::default(),
            minute: None,
            minutes: 0,
            lines: 0,
            looks: 0,
            is_doubtful: false,
            late: Timestamp::MIN,
            remembers: None,
            forgets: false,
            pod_came: Timestamp::MIN,
            passed_over: 0,
        }
    }
}

impl LogKinds {
    /// The most that one takes beside itself, in bytes.
    pub const HEAP: usize = Table::HEAP;

    /// Lines of shapes that were not looked at, being too many.
    pub fn passed_over(&self) -> u64 {
        self.passed_over
    }

    /// Lines of a pod come next that was not there before, the newest of them at `ts`.
    pub fn greet(&mut self, ts: Timestamp) {
        self.pod_came = self.pod_came.max(ts);
        self.table.forget_presence();
    }

    /// Takes a line that was received then; what it opens. `learning` is that of the values of series. A line that is dated
    /// ahead is one of now.
    pub fn observe(
        &mut self,
        (ts, is_error, shape): (Timestamp, bool, TemplateId),
        received: Timestamp,
        learning: Duration,
        resolve: &Resolve<'_>,
        told: &mut dyn FnMut(Told),
    ) {
        let ts = ts.min(received);
        // What was received later than now was so by a clock that was ahead.
        self.late = self.late.min(received);
        if ts.plus(LATE) < received {
            self.late = received;
        }
        let minute = ts.0.div_euclid(MINUTE_NS);
        if self.minute.is_some_and(|current| current > received.0.div_euclid(MINUTE_NS) + 1) {
            self.set_back(received);
        }
        self.remembers.get_or_insert(ts);
        if self.minute.is_none_or(|current| minute > current) {
            if self.minute.is_some() {
                self.close(received, resolve, told);
            }
            self.minute = Some(minute);
            self.minutes = self.minutes.saturating_add(1);
            self.looks = 0;
            self.is_doubtful = false;
        }
        self.lines += 1;
        if let Some(kind) = self.table.of(shape.0, self.minutes) {
            kind.presence.observe(self.minutes);
            kind.last = kind.last.max(ts);
            kind.missed = None;
            let Some(fresh) = &mut kind.fresh else { return };
            let Some(in_number) = fresh.observe(ts, self.lines) else {
                kind.fresh = None;
                return;
            };
            if in_number {
                let (lines, template) = (fresh.lines(), TemplateId(kind.template));
                kind.fresh = None;
                let (known, learning) = (self.known(ts), learning * LEARNINGS);
                let score = novelty::score(known, learning);
                if let Some(template) = resolve(template) {
                    told(Told::NewInNumber { lines, known, score, template });
                }
            }
            return;
        }
        if self.looks >= LOOKS {
            self.pass_over();
            return;
        }
        self.looks += 1;
        self.look((ts, is_error, shape), learning * LEARNINGS, resolve, told);
    }

    /// A shape that this container did not have.
    fn look(
        &mut self,
        (ts, is_error, shape): (Timestamp, bool, TemplateId),
        learning: Duration,
        resolve: &Resolve<'_>,
        told: &mut dyn FnMut(Told),
    ) {
        match self.table.admit((shape, ts, self.minutes), resolve) {
            New::Shape => {}
            New::NoRoom => self.pass_over(),
            New::Kind { template, forgot, is_known } => {
                if let Some(forgot) = forgot {
                    self.remembers = self.remembers.max(Some(forgot));
                    self.forgets = true;
                }
                if is_known {
                    return;
                }
                let known = self.known(ts);
                let learning = if self.forgets { learning.max(KNOWN_OF_MANY) } else { learning };
                let starts = !is_error && ts < self.pod_came.plus(STARTS);
                let unusual = self.novelty.is_unusual(ts, known, learning) && !starts;
                // What has no text cannot be told.
                let Some(template) = template.filter(|_| unusual) else { return };
                if is_error {
                    told(Told::NewError { known, score: novelty::score(known, learning), template });
                } else {
                    self.table.watch_newest(ts, self.lines);
                }
            }
        }
    }

    /// The clock that dates what is kept was ahead: nothing of it is of later than now, and what came in this minute is not known.
    fn set_back(&mut self, now: Timestamp) {
        self.minute = Some(now.0.div_euclid(MINUTE_NS));
        (self.looks, self.is_doubtful) = (0, true);
        self.remembers = self.remembers.map(|since| since.min(now));
        self.pod_came = self.pod_came.min(now);
        self.novelty.set_back(now);
        self.table.set_back(now);
    }

    fn pass_over(&mut self) {
        self.passed_over += 1;
        self.is_doubtful = true;
    }

    /// A minute is over: what is missed by now, and was already a while ago. What has come together with what goes on is not,
    /// and nothing is while lines come late: those of other pods may be still to come.
    fn close(&mut self, received: Timestamp, resolve: &Resolve<'_>, told: &mut dyn FnMut(Told)) {
        let minutes = self.minutes;
        if self.is_doubtful || received < self.late.plus(SETTLES) {
            // What was not seen in it may have been there: when it comes again its gaps begin anew.
            self.table.forget_absent(minutes);
            return;
        }
        if !self.table.kinds().any(|kind| kind.presence.missed(minutes).is_some()) {
            return;
        }
        self.table.join(resolve);
        let mut most: Option<(Vanished, u64, Timestamp)> = None;
        let mut others = 0;
        for kind in self.table.kinds_mut() {
            let Some(vanished) = kind.presence.missed(minutes) else { continue };
            let missed = kind.missed.map_or(received, |missed| missed.min(received));
            kind.missed = Some(missed);
            if received < missed.plus(HOLD) {
                continue;
            }
            kind.presence.tell();
            if kind.stops.note(kind.last) {
                continue;
            }
            if most.is_none_or(|(known, ..)| vanished.per_minute > known.per_minute) {
                others += usize::from(most.is_some());
                most = Some((vanished, kind.template, kind.last));
            } else {
                others += 1;
            }
        }
        if let Some((vanished, template, last)) = most
            && let Some(template) = resolve(TemplateId(template))
        {
            told(Told::Vanished { vanished, last, others, template });
        }
    }

    fn known(&self, ts: Timestamp) -> Duration {
        let seconds = self.remembers.map_or(0.0, |since| ts.seconds_since(since));
        Duration::try_from_secs_f64(seconds).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
