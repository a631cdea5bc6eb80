//! The id of a request's trace, as its lines have it: detectors know requests by number.

use std::time::Duration;

use whyd_buffers::Scoped;
use whyd_signals::request;
use whyd_signals::schema::Anomaly;

/// So long before a minute was found to be slow a request that shows it was under way, and its lines may be dated after that.
const BEFORE: Duration = Duration::from_secs(180);
const AFTER: Duration = Duration::from_secs(60);
/// Mostly it was under way within this, which is looked through first.
const NEAR: Duration = Duration::from_secs(60);
/// Of more lines, there or before, none is looked at.
const LINES: usize = 100_000;

/// Says by which request it shows that calls are slow, where a line of it is there.
pub(super) fn shown_by(mut found: Anomaly, request: u64, scoped: &Scoped) -> Anomaly {
    let is_own = |namespace: &str, container: &str| namespace == found.namespace && container == found.container;
    let streams = scoped.all_streams().filter(|(_, meta)| is_own(&meta.namespace, &meta.container));
    let marked = scoped.mark_streams(streams.map(|(id, _)| (id, 0)));
    let first = |range| {
        let runs = marked.line_runs(range, None, (0, 1));
        let texts = runs.flat_map(|(_, run)| (0..run.times().len()).map(move |at| run.text(at)));
        texts.take(LINES).filter(|text| request::of(text) == Some(request)).find_map(request::id_of)
    };
    let near = found.ts.minus(NEAR);
    if let Some(id) = first((near, found.ts.plus(AFTER))).or_else(|| first((found.ts.minus(BEFORE), near))) {
        found.text.push_str(&format!(", one of them in trace {id}"));
        id.clone_into(&mut found.trace);
    }
    found
}
