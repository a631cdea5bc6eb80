//! The container's definition was changed in the running pod, so the kubelet made it anew.

use super::Cause;
use crate::case::Case;
use crate::finding::{Depth, Finding, event, ruled_out};

/// See [`super::ALL`].
pub(super) const CAUSE: Cause = Cause { id: "spec-changed", judge, contradict };

/// The kubelet's words in its `Killing` event.
const SAID: &str = "definition changed";

fn judge(case: &Case<'_>) -> Option<Finding> {
    case.terminated()?;
    if case.deleting() || case.evicted() {
        return None;
    }
    let killing = case.events("Killing").find(|e| e.event.message.contains(SAID))?;
    let name = case.container.unwrap_or_default();
    let image = |pod: &whyd_signals::objects::Pod| pod.container(name).map(|c| c.image.clone()).unwrap_or_default();
    let changed = case.pod.versions.windows(2).find_map(|pair| match pair {
        [(_, before), (seen, after)] if image(before) != image(after) => Some((*seen, image(before), image(after))),
        _ => None,
    });
    let what = changed.as_ref().map_or(String::new(), |(_, was, is)| format!(" from {was} to {is}"));
    let summary = format!("{name} was made anew because its definition was changed in the pod{what}");
    let item = changed.map(|(seen, _, is)| case.of_pod(Some(seen), &case.spec_field("image"), is, "the new image"));
    Some(
        Finding::new(CAUSE.id, Depth::Deeper, 88, case.pod_root(), summary)
            .with(Some(event(killing)))
            .with(item)
            .with(case.status("exitCode", "how it went when told to stop")),
    )
}

fn contradict(case: &Case<'_>) -> Option<whyd_signals::schema::RuledOut> {
    case.terminated()?;
    let generation = case.pod.object.metadata.generation;
    let because = "the pod's spec was never changed".to_owned();
    (generation == 1).then(|| ruled_out(CAUSE.id, because, "metadata.generation", generation))
}
