//! What anybody sees of a suspect at once, before anything is counted: how it ended itself, and what of it was told to be unlike its past.

use std::collections::BTreeSet;
use std::sync::Arc;

use whyd_buffers::Scoped;
use whyd_signals::Timestamp;
use whyd_signals::schema::{Anomaly, Restart};

use super::Suspect;
use super::owners::is_wanted;

/// Of one time, what ended other than somebody wanted, in the order of time, and the anomalies, the strongest first.
pub(super) struct Seen<'a> {
    ends: Vec<(Timestamp, &'a Restart)>,
    anomalies: Vec<&'a Anomaly>,
}

impl<'a> Seen<'a> {
    /// What the snapshot holds of it, both ends of the time included.
    pub(super) fn of(scoped: &'a Scoped, (from, to): (Timestamp, Timestamp)) -> Self {
        let at = |row: &'a Arc<Restart>| (row.finished_at.unwrap_or(row.seen_at), row.as_ref());
        let is_then = |at: Timestamp| (from..=to).contains(&at);
        let rows = scoped.each_restart().filter(|row| !is_wanted(row)).map(at);
        let mut ends: Vec<_> = rows.filter(|(at, _)| is_then(*at)).collect();
        ends.sort_by_key(|(at, _)| *at);
        let odd = scoped.each_anomaly().map(AsRef::as_ref).filter(|a| is_then(a.ts));
        let mut anomalies: Vec<_> = odd.collect();
        anomalies.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.ts.cmp(&b.ts)));
        Self { ends, anomalies }
    }

    /// In words, its ends before its anomalies.
    pub(super) fn told(&self, suspect: &Suspect) -> Vec<String> {
        let is_its = |namespace: &str, workload: &str, pod: &str| {
            let of_pod = suspect.kind == "Pod" && pod == suspect.name;
            *suspect.namespace == *namespace && (of_pod || workload == format!("{}/{}", suspect.kind, suspect.name))
        };
        let of_row = |row: &Restart| is_its(&row.namespace, &row.workload, row.pod.as_deref().unwrap_or_default());
        let ends: Vec<_> = self.ends.iter().filter(|(_, row)| of_row(row)).collect();
        let odd: Vec<_> = self.anomalies.iter().filter(|a| is_its(&a.namespace, &a.workload, &a.pod)).collect();
        let mut told = Vec::new();
        if let Some((at, row)) = ends.first() {
            told.push(format!(
                "{} at {}: {}{}",
                end(row),
                clock(*at),
                row.cause,
                more(row, ends.get(1..).unwrap_or_default())
            ));
        }
        if let Some(strongest) = odd.first() {
            let more = if odd.len() > 1 { format!(", and {} more", odd.len() - 1) } else { String::new() };
            told.push(format!("anomaly at {}: {}{more}", clock(strongest.ts), strongest.text));
        }
        told
    }
}

/// What of a suspect ended later than this did: like it, in the same pod and otherwise.
fn more(first: &Restart, later: &[&(Timestamp, &Restart)]) -> String {
    let Some((last, _)) = later.last() else { return String::new() };
    let alike =
        |row: &Restart| (row.exit_code, &row.reason, &row.cause) == (first.exit_code, &first.reason, &first.cause);
    let again = later.iter().filter(|(_, row)| alike(row)).count();
    let pods: BTreeSet<&Option<String>> = later.iter().map(|(_, row)| &row.pod).chain([&first.pod]).collect();
    let times = |n: usize| if n == 1 { "once more".to_owned() } else { format!("{n} times more") };
    let what = match (again, later.len() - again) {
        (again, 0) => times(again),
        (0, others) => format!("otherwise {}", times(others)),
        (again, others) => format!("{}, otherwise {}", times(again), times(others)),
    };
    let places = if pods.len() > 1 { format!(", in {} pods,", pods.len()) } else { String::new() };
    let until = if later.len() == 1 { "at" } else { "until" };
    format!(", and {what}{places} {until} {}", clock(*last))
}

/// How an instance ended, if it ever began.
fn end(row: &Restart) -> String {
    let who = row.pod.as_deref().unwrap_or("it");
    let reason = row.reason.as_deref().map_or(String::new(), |reason| format!(" {reason}"));
    match row.exit_code {
        Some(code) => format!("{who} ended with exit {code}{reason}"),
        None => format!("{who} failed{reason}"),
    }
}

/// The time of day, in UTC.
fn clock(at: Timestamp) -> String {
    at.to_string().get(11..19).unwrap_or_default().to_owned()
}
