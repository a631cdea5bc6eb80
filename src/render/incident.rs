//! Who is in an incident beside its root: those that tell the same are one line, and there are so many lines at most.

use std::collections::BTreeSet;

use whyd_api::dto::{Incident, Restart};

use super::text::{Page, clock, date, day_and_clock};
use super::{groups, seen_at};

/// Lines of those that restarted, and names of those that did not.
const SHOWN: usize = 10;

/// The rows but for those that are told already, which are the root's.
pub(super) fn others(page: &mut Page<'_>, lead: &Restart, rest: &[&Restart]) {
    if rest.is_empty() {
        return;
    }
    let mut groups = groups(rest.iter().copied());
    groups.sort_by_key(|group| group.first().and_then(|row| seen_at(row)));
    page.section("also in it");
    for group in groups.iter().take(SHOWN) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        let pods: BTreeSet<_> = group.iter().filter_map(|row| row.pod.as_ref()).collect();
        let pods = if pods.len() > 1 { format!(" in {} pods", pods.len()) } else { String::new() };
        let until = seen_at(last).filter(|_| group.len() > 1);
        let same_day = until.zip(seen_at(first)).is_some_and(|(last, first)| date(last) == date(first));
        let until = until.map_or(String::new(), |at| {
            let at = if same_day { clock(at) } else { day_and_clock(at) };
            format!(", {} times{pods} until {at}", group.len())
        });
        let who = last.container.as_ref().map_or(String::new(), |container| format!("{container} of "));
        let words = if last.summary == lead.summary { String::new() } else { format!(": {}", last.summary) };
        let at = seen_at(first).map_or_else(|| "-".to_owned(), day_and_clock);
        let text = format!("{who}{} in {}, {}{until}{words}", last.workload, last.namespace, last.cause);
        page.item(&[&at], &text, "");
    }
    let more: usize = groups.iter().skip(SHOWN).map(Vec::len).sum();
    if more > 0 {
        let text = format!("{more} restarts of {} others; the JSON has them", groups.len() - SHOWN);
        page.item(&["and more"], &text, "");
    }
}

/// Members that have no row: nothing of them restarted, or it is forgotten.
pub(super) fn calm_members(page: &mut Page<'_>, incident: &Incident, rows: &[Restart]) {
    let restarted: BTreeSet<(&str, &str)> =
        rows.iter().filter_map(|row| Some((row.namespace.as_str(), row.pod.as_deref()?))).collect();
    let calm: Vec<&str> = incident
        .members
        .iter()
        .filter(|member| {
            let mut parts = member.split('/');
            let place = parts.next().zip(parts.next());
            place.is_some_and(|place| !restarted.contains(&place))
        })
        .map(String::as_str)
        .collect();
    if calm.is_empty() {
        return;
    }
    page.field("touches", &format!("{}, of which no restart is here", named(&calm)));
}

/// The first names of a list, and how many more there are.
pub(super) fn named(members: &[&str]) -> String {
    let more = if members.len() > SHOWN { format!(" and {} more", members.len() - SHOWN) } else { String::new() };
    format!("{}{more}", members.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", "))
}
