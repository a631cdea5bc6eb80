//! Kinds of pods of one workload: a leader and its followers, or shards of two sizes, by k-means over what each is like.
//!
//! A pod is held against siblings of its kind: what befalls all followers at once is no follower's fault, though the leader
//! shows nothing of it.

use linfa::traits::Fit;
use linfa::{DatasetBase, ParamGuard};
use linfa_clustering::KMeans;
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::{FEATURE_COUNT, Features};

const KINDS: usize = 2;
/// Two kinds are so many times further from each other than their pods are from their centres, and a spread at the least.
const APART: f64 = 4.0;

/// The centres of two kinds, in spreads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kinds([Features; KINDS]);

impl Kinds {
    /// Two kinds of what pods are like, from a fixed seed; `None` where they are all of one. All values are finite.
    pub fn of(pods: &[Features]) -> Option<Self> {
        // Of two pods each would be a kind, and neither have a sibling.
        if pods.len() <= KINDS || !pods.iter().flatten().all(|v| v.is_finite()) {
            return None;
        }
        let first = pods.first()?;
        let spread = pods.iter().map(|pod| distance(pod, first)).fold(0.0, f64::max);
        if spread < 1.0 {
            return None;
        }
        let data = Array2::from_shape_vec((pods.len(), FEATURE_COUNT), pods.as_flattened().to_vec()).ok()?;
        let params = KMeans::params(KINDS).n_runs(3).max_n_iterations(50).check().ok()?;
        let model = params.fit(&DatasetBase::from(data)).ok()?;
        let mut centres = [[0.0; FEATURE_COUNT]; KINDS];
        centres.as_flattened_mut().iter_mut().zip(model.centroids()).for_each(|(to, value)| *to = *value);
        centres.sort_by(|a, b| {
            a.iter().zip(b).map(|(a, b)| a.total_cmp(b)).find(|o| o.is_ne()).unwrap_or(a.len().cmp(&b.len()))
        });
        let kinds = Self(centres);
        let within = pods.iter().map(|pod| kinds.nearest(pod).1.powi(2)).sum::<f64>() / pods.len() as f64;
        let [a, b] = kinds.0;
        let apart = distance(&a, &b);
        (apart >= 1.0 && apart >= APART * within.sqrt()).then_some(kinds)
    }

    /// Which kind a pod is of.
    pub fn kind(&self, pod: &Features) -> usize {
        self.nearest(pod).0
    }

    fn nearest(&self, pod: &Features) -> (usize, f64) {
        let distances = self.0.iter().map(|centre| distance(centre, pod)).enumerate();
        distances.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or_default()
    }
}

fn distance(a: &Features, b: &Features) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}
