//! Since when each program is scraped, by what is asked of a series once.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use whyd_anomaly::hash64;
use whyd_buffers::SeriesMeta;
use whyd_signals::Timestamp;

/// So many are remembered; then all are asked anew, and nothing counts as new for as long as that takes.
const REMEMBERED: usize = 65_536;

/// By pod and target.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Targets(BTreeMap<u64, Timestamp>);

impl Targets {
    /// A series of it has its first sample then; since when any has. A target that is asked for several pods is one for each;
    /// a series of no pod, or of no target, is of nobody.
    pub(super) fn hear(&mut self, meta: &SeriesMeta, ts: Timestamp) -> Option<Timestamp> {
        let (job, instance) = (meta.label("job")?, meta.label("instance").unwrap_or_default());
        if meta.pod.is_empty() {
            return None;
        }
        if self.0.len() >= REMEMBERED {
            self.0.clear();
        }
        let target = hash64(format!("{}\0{}\0{job}\0{instance}", meta.namespace, meta.pod).as_bytes());
        let since = self.0.entry(target).or_insert(ts);
        *since = ts.min(*since);
        Some(*since)
    }
}
