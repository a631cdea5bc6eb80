//! Whether last words of an instance may have been written that never came: silence is no evidence where it is that of whatever
//! should have sent its lines.

use std::time::Duration;

use whyd_signals::Timestamp;

use super::{BEFORE_END, Case, SECOND};
use crate::last_words::NEAR;

/// A line so shortly before the end is the last of all.
const LAST: Duration = Duration::from_secs(2);
/// Shippers are rarely further behind.
const LATE: Duration = Duration::from_secs(15);
/// Lines come in steps of so much or more often where they come steadily.
const STEP: Duration = Duration::from_secs(5);
/// For how long before they stopped they are looked at, in steps, and in how many of them there must be some.
const STEPS: u32 = 60;
const STEADY: usize = 4;
/// Silence is none as long as it is not so many times the longest pause before it.
const TIMES: i64 = 3;
/// How many lines of a container say how often it writes, and how long it is silent at least before that is told.
const WROTE: usize = 10;
const SILENT: Duration = Duration::from_secs(30);
/// A container without a line says something where so many others of its namespace have some, and nobody has none; no more
/// than so many are looked at.
const OTHERS: usize = 2;
const MOST_OTHERS: usize = 50;

impl Case<'_> {
    /// Why its last words may have been written and not come, in words; `None` where nothing speaks for that.
    pub fn unheard(&self) -> Option<&str> {
        self.unheard.get_or_init(|| self.find_unheard()).as_deref()
    }

    fn find_unheard(&self) -> Option<String> {
        let container = self.container?;
        self.terminated()?;
        let end = self.finished();
        let last = self.lines().last().map(|l| l.ts);
        if last.is_some_and(|at| at >= end.minus(LAST)) || self.reason().is_some_and(|l| l.ts.plus(NEAR) >= end) {
            return None;
        }
        if let Some(words) = self.source_stopped() {
            return Some(words);
        }
        if self.reason().is_some() {
            return None;
        }
        // What only its own words would tell is missed where it ended by its own choice.
        self.terminated().filter(|t| crate::cause::is_own(t.exit_code))?;
        let of = (self.space.name.as_str(), self.pod_name(), container);
        let mut after = self.scoped.last_lines_of(of, end.plus(SECOND), Timestamp::MAX, 1);
        if after.pop().is_some() {
            // What the container wrote later came.
            return None;
        }
        self.podless(container).or_else(|| self.stopped(container)).or_else(|| self.never_came(container))
    }

    /// Up to when something of the pod is known that is no line.
    fn known_until(&self) -> Timestamp {
        let seen = self.pod.versions.iter().map(|(at, _)| *at).max();
        let series = self.scoped.series_of(crate::cause::WORKING_SET, &self.space.name, self.pod_name(), None);
        let measured = series.into_iter().filter_map(|id| Some(self.scoped.asof(id, Timestamp::MAX)?.ts)).max();
        self.finished().max(seen.max(measured).unwrap_or(Timestamp::MIN))
    }

    /// Nothing of anybody came any more since before the end, though lines had come steadily until then and all else went on. Only of
    /// whose namespace lines came until shortly before is anything missed; when others' stopped is for their teams to know.
    fn source_stopped(&self) -> Option<String> {
        let end = self.finished();
        let own = self.scoped.newest_line_of(&self.space.name)?;
        let heard = self.scoped.lines_heard()?;
        let newest = heard.newest()?;
        let (ended, known_until) = (end.plus(SECOND), self.known_until());
        let had = own >= newest.minus(STEP * STEPS);
        if !had || newest >= ended.min(known_until.minus(LATE)) {
            return None;
        }
        let step = STEP.as_secs() as i64;
        let heard: Vec<i64> = (0..i64::from(STEPS)).filter(|n| heard.any(n * step, step)).collect();
        let longest = heard.windows(2).map(|pair| pair[1] - pair[0]).max()?;
        let silent = known_until.nanos() - newest.nanos();
        let usual = longest * TIMES * STEP.as_nanos() as i64;
        if heard.len() < STEADY || silent < usual {
            return None;
        }
        let ago = end.seconds_since(own).max(0.0);
        let own = own.whole();
        Some(format!(
            "no line of its namespace came after {own}, {ago:.0} s before its end: what sends them may have stopped"
        ))
    }

    /// Lines of a container of this name, or of any of its namespace, came without the name of a pod around the end.
    fn podless(&self, container: &str) -> Option<String> {
        if !self.lines().is_empty() {
            return None;
        }
        let (from, to) = (self.finished().minus(BEFORE_END), self.finished().plus(SECOND));
        let namespace = self.space.name.as_str();
        let some =
            |namespace, container| !self.scoped.last_lines_of((namespace, "", container), from, to, 1).is_empty();
        if some(namespace, container) || some("", container) {
            return Some(format!(
                "lines of a container {container} came without the name of a pod: whether they are its own is not known"
            ));
        }
        some(namespace, "")
            .then(|| "lines of its namespace came without the name of a pod: which are its own is not known".to_owned())
    }

    /// It had written often, and stopped long before it ended; or the instance before it had last words, and this one has none.
    fn stopped(&self, container: &str) -> Option<String> {
        let end = self.finished();
        let of = (self.space.name.as_str(), self.pod_name(), container);
        if let Some(last) = self.lines().last().map(|l| l.ts) {
            let mut times: Vec<i64> = Vec::new();
            let from = last.minus(STEP * STEPS);
            self.scoped.visit_last_lines(of, from, last, WROTE * WROTE, |l| times.push(l.ts.nanos()));
            times.sort_unstable();
            let longest = times.windows(2).map(|pair| pair[1] - pair[0]).max()?;
            let silent = end.nanos() - last.nanos();
            let stopped = times.len() >= WROTE && silent >= (longest * TIMES).max(SILENT.as_nanos() as i64);
            let ago = end.seconds_since(last);
            return stopped.then(|| format!("its lines, which had come steadily, stopped {ago:.0} s before its end"));
        }
        let before = self.neighbours.0?;
        let spoke = !self.scoped.last_lines_of(of, before.minus(LATE), before.plus(SECOND), 1).is_empty();
        spoke.then(|| "no line of this instance came, and the one before it had last words".to_owned())
    }

    /// No line of this container ever came, and of each other container around it some did.
    fn never_came(&self, container: &str) -> Option<String> {
        let namespace = self.space.name.as_str();
        let has = |pod: &str, container: &str| self.scoped.has_logs_of(namespace, pod, container);
        let end = self.finished();
        if !self.lines().is_empty() || has(self.pod_name(), container) {
            return None;
        }
        let there = self.space.pods.values().filter(|p| p.deleted_at.is_none_or(|at| at >= end) && p.first_seen <= end);
        let mut others = 0_usize;
        for pod in there.take(MOST_OTHERS) {
            let own = self.space.workload_of(&pod.object) == self.workload;
            for other in &pod.object.spec.containers {
                let running = pod.object.statuses().any(|s| s.name == other.name && s.state.running.is_some());
                match has(&pod.object.metadata.name, &other.name) {
                    // Another pod of its own has what it says.
                    true if own && other.name == container => return None,
                    true => others += 1,
                    false if running && !(own && other.name == container) => return None,
                    false => {}
                }
            }
        }
        (others >= OTHERS).then(|| {
            format!("no line of this container ever came, and of each of the {others} other containers of its namespace some did")
        })
    }
}
