//! The metric series of one scoped snapshot, as PromQL reads them.

use whyd_api::{SeriesSet, Visit, Wanted};
use whyd_buffers::{Scoped, SeriesMeta};
use whyd_signals::{Sample, SeriesId, Timestamp};

/// The metric series of one scoped snapshot.
pub(super) struct Series(pub(super) Scoped);

impl SeriesSet for Series {
    fn visit(&self, wanted: &Wanted<'_>, visit: &mut Visit<'_>) {
        let fits = |wanted: Option<&str>, has: &str| wanted.is_none_or(|w| w == has);
        // The labels of what the index or a comparison leaves out are never decoded.
        let mut one = |id: SeriesId, meta: &SeriesMeta| {
            if !fits(wanted.name, &meta.name)
                || !fits(wanted.namespace, &meta.namespace)
                || !fits(wanted.pod, &meta.pod)
            {
                return true;
            }
            let labels: Vec<(&str, &str)> = meta.labels.iter().collect();
            visit(id, &labels)
        };
        let ids = match (wanted.name, wanted.namespace, wanted.pod) {
            (Some(name), Some(namespace), Some(pod)) => self.0.series_of(name, namespace, pod, None),
            (Some(name), ..) => self.0.series_named(name),
            _ => {
                let _ = self.0.all_series().all(|(id, meta)| one(id, meta));
                return;
            }
        };
        let _ = ids.into_iter().filter_map(|id| self.0.meta(id).map(|meta| (id, meta))).all(|(id, meta)| one(id, meta));
    }

    fn samples(&self, id: SeriesId, from: Timestamp, to: Timestamp) -> Vec<Sample> {
        self.0.slice(id, from, to)
    }

    fn newest(&self, id: SeriesId, to: Timestamp) -> Option<Timestamp> {
        self.0.asof(id, to).map(|sample| sample.ts)
    }
}
