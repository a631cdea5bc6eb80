//! The kinds of lines of one container of a workload: what it says for the first time, and what it does not say any more.
//!
//! A line has the id of its shape; what a shape stands for is asked when one comes that this container did not have, since
//! shapes come together as more of them are known. So a line costs a look-up, and only a shape that is new here costs more; of
//! those so few are looked at in a minute that a flood of them costs nothing either.

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
/// Shapes that are new here and looked at in a minute.
const LOOKS: u32 = 8;
const MINUTE_NS: i64 = 60_000_000_000;
/// Pods that are told from each other; of more, each looks new.
const PODS: usize = 32;
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
    /// Since when every kind is remembered.
    remembers: Option<Timestamp>,
    pods: Vec<u32>,
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
            remembers: None,
            pods: Vec::new(),
            pod_came: Timestamp::MIN,
            passed_over: 0,
        }
    }
}

impl LogKinds {
    /// The most that one takes beside itself, in bytes.
    pub const HEAP: usize = Table::HEAP + PODS * size_of::<u32>();

    /// Lines of shapes that were not looked at, being too many.
    pub fn passed_over(&self) -> u64 {
        self.passed_over
    }

    /// Lines of this pod come next, the newest of them at `ts`. Once a run of lines.
    pub fn of_pod(&mut self, pod: u32, ts: Timestamp) {
        if self.pods.contains(&pod) {
            return;
        }
        if self.pods.len() >= PODS {
            self.pods.remove(0);
        }
        self.pods.push(pod);
        self.pod_came = self.pod_came.max(ts);
        self.table.forget_presence();
    }

    /// Takes a line; what it opens. `learning` is that of the values of series.
    pub fn observe(
        &mut self,
        (ts, is_error, shape): (Timestamp, bool, TemplateId),
        learning: Duration,
        resolve: &Resolve<'_>,
        told: &mut dyn FnMut(Told),
    ) {
        self.remembers.get_or_insert(ts);
        let minute = ts.0.div_euclid(MINUTE_NS);
        if self.minute.is_none_or(|current| minute > current) {
            if self.minute.is_some() {
                self.close(resolve, told);
            }
            self.minute = Some(minute);
            self.minutes = self.minutes.saturating_add(1);
            self.looks = 0;
        }
        self.lines += 1;
        if let Some(kind) = self.table.of(shape.0) {
            kind.presence.observe(self.minutes);
            kind.last = kind.last.max(ts);
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
            self.passed_over += 1;
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
        let known = self.known(ts);
        match self.table.admit((shape, ts, self.minutes), resolve) {
            New::Shape => {}
            New::NoRoom => self.passed_over += 1,
            New::Kind { template, forgot } => {
                if let Some(forgot) = forgot {
                    self.remembers = self.remembers.max(Some(forgot));
                }
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

    /// A minute is over: what is missed by now. What has come together with what goes on is not.
    fn close(&mut self, resolve: &Resolve<'_>, told: &mut dyn FnMut(Told)) {
        let minutes = self.minutes;
        if !self.table.kinds().any(|kind| kind.presence.missed(minutes).is_some()) {
            return;
        }
        self.table.join(resolve);
        let mut most: Option<(Vanished, u64, Timestamp)> = None;
        let mut others = 0;
        for kind in self.table.kinds_mut() {
            let Some(vanished) = kind.presence.missed(minutes) else { continue };
            kind.presence.tell();
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
