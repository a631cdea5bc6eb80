//! The evidence against a candidate, in words.

use whyd_anomaly::number;
use whyd_correlate::ranking::{Ranked, Reason};
use whyd_correlate::unreached::Unanswered;

use super::Suspects;

impl Suspects {
    /// A place of the ranking, in words.
    pub fn told(&self, ranked: &Ranked) -> Vec<String> {
        ranked.because.iter().map(|reason| self.reason(reason)).collect()
    }

    fn reason(&self, reason: &Reason) -> String {
        let name = |of: u32| self.who.get(of as usize).map_or("?", |s| s.name.as_str());
        let text = |id: u64| self.templates.get(&id).map_or("a line", |t| t.as_ref());
        match reason {
            Reason::Metric { metric, was, is } => {
                let metric = self.metrics.get(*metric as usize).map_or("a metric", |m| m.as_ref());
                format!("{metric} went from {} to {}", number(*was), number(*is))
            }
            Reason::Course { after, next, now, before, seen_at } => {
                let next = next.map_or("nothing more".to_owned(), |t| format!("\"{}\"", text(t)));
                let after = after.map_or("at the start".to_owned(), |t| format!("after \"{}\"", text(t)));
                let at = seen_at.map_or(String::new(), |c| format!("at {}, later in the same requests, ", name(c)));
                let (now, before) = (format!("{} of {}", now.0, now.1), format!("{} of {}", before.0, before.1));
                format!("{at}{after} came {next} in {now} cases, in {before} before")
            }
            Reason::Share { kind, now, before } => {
                let (of, had) = (now.1, before.1);
                format!("\"{}\" is {} of {of} lines, {} of {had} before", text(*kind), now.0, before.0)
            }
            Reason::Ended { cause, times, before, seen_at } => {
                let cause = self.causes.get(*cause as usize).map_or("?", |c| c.as_str());
                let of = seen_at.map_or(String::new(), |c| format!(" of {} that it is to blame for", name(c)));
                let ends = if *times == 1 { "end or failed start" } else { "ends or failed starts" };
                let before = if *before == 0 { "none".to_owned() } else { before.to_string() };
                format!("{times} {ends}{of}: {cause}, {before} before")
            }
            Reason::Explains { caller } => format!("{} calls it, and went wrong no sooner", name(*caller)),
            Reason::Event { kind, times, before, seen_at } => {
                let kind = self.events.get(*kind as usize).map_or("an event", |k| k.as_str());
                let of = seen_at.map_or(String::new(), |c| format!(" of {} that it is to blame for", name(c)));
                format!("event {kind}{of}, {}", counted(*times, *before))
            }
            Reason::Unanswered { caller, what, times, before } => {
                let how = Unanswered::ALL.get(*what as usize).map_or("no answer", |how| how.as_str());
                format!("{} could not reach it: {how}, {}", name(*caller), counted(*times, *before))
            }
            Reason::Slow { with, was, is } => {
                format!("steps with {} took {} ms, {} ms before", name(*with), number(is * 1e3), number(was * 1e3))
            }
        }
    }
}

/// How often, and how often before.
fn counted(times: u32, before: u32) -> String {
    let of = |n: u32| if n == 1 { "once".to_owned() } else { format!("{n} times") };
    let before = if before == 0 { "never before".to_owned() } else { format!("{} before", of(before)) };
    format!("{}, {before}", of(times))
}
