//! Of a pod that the cluster's API says nothing of: what is sent about it.

use whyd_api::dto::Heard;

use super::text::{Page, clock, date, day_and_clock};

/// Pod by pod, what each source has of it and since when.
pub(super) fn of(page: &mut Page<'_>, all: &[Heard]) {
    let place = |one: &Heard| (one.namespace.clone(), one.pod.clone());
    for of_pod in all.chunk_by(|a, b| place(a) == place(b)) {
        let Some(Heard { namespace, pod, .. }) = of_pod.first() else { continue };
        page.gap();
        let place = if namespace.is_empty() { String::new() } else { format!(" in {namespace}") };
        page.headline(&format!("no restart of {pod}{place} was seen: no object of the cluster says that it is there"));
        for one in of_pod {
            let until = if date(one.since) == date(one.last) { clock(one.last) } else { day_and_clock(one.last) };
            let since = day_and_clock(one.since);
            let since = if one.since == one.last { since } else { format!("since {since}, the last {until}") };
            page.field(&one.source, &format!("{since}: {}", one.text));
            for line in &one.lines {
                page.item(&[&clock(line.at), &line.container], &line.line, "");
            }
        }
    }
}
