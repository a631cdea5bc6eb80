//! What is wrong, a line each: the open incidents and the newest restarts.

use whyd_api::dto::{Incident, Incidents, Restart, Restarts, Severity};

use super::text::{Page, Style, clean, day_and_clock, span};
use super::{groups, problems, seen_at, unseen};

/// Incidents, and restarts that tell the same as one, that are shown.
const SHOWN: usize = 15;
/// So much of an id is enough to ask for it.
const SHORT: usize = 8;
/// What a line has for itself beside the time.
const BESIDE: usize = 25;

/// What `why` prints where no name is given.
pub fn list(incidents: &Incidents, restarts: &Restarts, style: Style<'_>) -> String {
    let mut page = Page::new(style);
    let room = style.width.saturating_sub(BESIDE).max(40);
    let open = &incidents.incidents;
    let mut said = match (open.len(), incidents.next.is_some(), unseen(&incidents.problems)) {
        (0, _, Some(problem)) => format!("no open incident is known, but {}", problem.detail),
        (0, _, None) => "no incident is open".to_owned(),
        (1, ..) => "1 incident is open".to_owned(),
        (n, false, _) => format!("{n} incidents are open"),
        (n, true, _) => format!("more than {n} incidents are open"),
    };
    for hidden in &incidents.hidden {
        said.push_str(&format!("; the suppression {} hides {}", hidden.suppression, hidden.incidents));
    }
    page.headline(&said);
    for incident in open.iter().take(SHOWN) {
        page.item(&[&day_and_clock(incident.opened_at)], &line(&of_incident(incident), room), "");
    }
    let more = incidents.next.is_some() || open.len() > SHOWN;
    if more {
        page.item(&["and more"], "narrow it by -n NAMESPACE; /api/v1/incidents?status=open has all", "");
    }
    page.gap();
    let groups = groups(&restarts.restarts);
    page.headline(if groups.is_empty() { "no restart is known" } else { "newest restarts, times in UTC" });
    for group in groups.iter().take(SHOWN) {
        let Some(last) = group.last() else { continue };
        let at = seen_at(last).map_or_else(|| "-".to_owned(), day_and_clock);
        page.item(&[&at], &line(&of_group(last, group), room), "");
    }
    if !open.is_empty() || !groups.is_empty() {
        page.gap();
        let server = style.server.map_or(String::new(), |server| format!(" --server {server}"));
        page.field("ask on", &format!("whyd why NAMESPACE/POD{server}, or whyd why INCIDENT{server}"));
    }
    problems(&mut page, &incidents.problems);
    page.finish()
}

fn of_incident(incident: &Incident) -> String {
    let severity = if incident.severity == Severity::Critical { "critical" } else { "warning" };
    let id = incident.id.get(..SHORT).unwrap_or(&incident.id);
    format!("{id}  {severity}  {}: {}", place(incident), incident.summary)
}

/// What is at fault, or else the first that it befell.
fn place(incident: &Incident) -> String {
    match &incident.root {
        Some(root) if root.namespace.is_empty() => format!("{}/{}", root.kind, root.name),
        Some(root) => format!("{}/{}", root.namespace, root.name),
        None => incident.members.first().cloned().unwrap_or_default(),
    }
}

fn of_group(last: &Restart, group: &[&Restart]) -> String {
    let name = last.pod.as_deref().unwrap_or(&last.workload);
    let since = group.first().and_then(|first| Some(seen_at(last)?.seconds_since(seen_at(first)?)));
    let times = match since {
        Some(seconds) if group.len() > 1 => format!(", {} times in {}", group.len(), span(seconds)),
        _ => String::new(),
    };
    format!("{}/{name}  {}{times}: {}", last.namespace, last.cause, last.summary)
}

/// The text as one line.
fn line(text: &str, room: usize) -> String {
    let text = clean(text);
    if text.chars().count() <= room {
        return text;
    }
    let cut: String = text.chars().take(room.saturating_sub(3)).collect();
    format!("{}...", cut.trim_end())
}
