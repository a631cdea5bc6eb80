//! A pod's metrics of one moment taken together: each may be usual alone and the whole be strange.
//!
//! A model is trained on the workload's own history: robust scaling, then principal components (linfa), then the
//! reconstruction error, with each feature's share of it. Cohorts are the centres of k-means (linfa) over pods.

use linfa::traits::Fit;
use linfa::{DatasetBase, ParamGuard};
use linfa_clustering::KMeans;
use linfa_reduction::Pca;
use ndarray::{Array1, Array2, ArrayView1, Axis};
use serde::{Deserialize, Serialize};

/// What a vector is made of, in order.
pub const FEATURES: [&str; FEATURE_COUNT] = [
    "memory fraction of limit",
    "cpu cores",
    "throttled share",
    "restarts per hour",
    "log lines per second",
    "error lines per second",
    "network errors per second",
];
/// How many there are.
pub const FEATURE_COUNT: usize = 7;
/// The least spread of each, below which a difference means nothing.
const FLOORS: [f64; FEATURE_COUNT] = [0.02, 0.02, 0.02, 0.2, 0.2, 0.05, 0.05];

/// Training looks at no more rows; of more it takes evenly spaced ones.
pub const MAX_ROWS: usize = 2048;
/// With fewer rows there is no model.
pub const MIN_ROWS: usize = 32;
const COMPONENTS: usize = 3;
/// No value is further out than this: the squares stay finite.
const FAR: f64 = 1e6;
/// Scaled values beyond this do not pull a component or a centre.
const CLIP: f64 = 8.0;
/// The error of a score of 1, in multiples of the error that one training row in fifty exceeds.
const MARGIN: f64 = 3.0;
/// An error below this many spreads, squared, is never anomalous.
const LEAST_ERROR: f64 = 12.0;

/// One pod at one moment; NaN where it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PodVector(pub [f64; FEATURE_COUNT]);

/// A vector judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Strangeness {
    /// Above 1 is anomalous.
    pub score: f64,
    /// Each feature's share of the error; they add up to 1, or are all 0.
    pub shares: [f64; FEATURE_COUNT],
}

impl Strangeness {
    /// The feature with the largest share.
    pub fn strangest(&self) -> &'static str {
        let top = self.shares.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(i, _)| i);
        FEATURES[top]
    }
}

/// Centre and spread of each feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Scale {
    centre: [f64; FEATURE_COUNT],
    spread: [f64; FEATURE_COUNT],
}

impl Scale {
    fn of(rows: &[PodVector]) -> Self {
        let mut scale = Self { centre: [0.0; FEATURE_COUNT], spread: FLOORS };
        for (feature, floor) in FLOORS.into_iter().enumerate() {
            let mut values: Vec<f64> = rows.iter().map(|r| r.0[feature]).filter(|v| v.is_finite()).collect();
            values.sort_unstable_by(f64::total_cmp);
            let Some(last) = values.len().checked_sub(1) else { continue };
            let at = |share: f64| values[(last as f64 * share).round() as usize];
            let quartiles = (at(0.75) - at(0.25)) / 1.349;
            let tails = (at(0.95) - at(0.05)) / 3.29;
            scale.centre[feature] = at(0.5);
            scale.spread[feature] = quartiles.max(tails).max(floor);
        }
        scale
    }

    /// In spreads from the centre; what is not known counts as usual.
    fn apply(&self, row: &PodVector) -> [f64; FEATURE_COUNT] {
        let mut scaled = [0.0; FEATURE_COUNT];
        for (i, to) in scaled.iter_mut().enumerate() {
            let value = (row.0[i] - self.centre[i]) / self.spread[i];
            *to = if value.is_finite() { value.clamp(-FAR, FAR) } else { 0.0 };
        }
        scaled
    }
}

fn spaced(rows: &[PodVector]) -> Vec<PodVector> {
    let step = rows.len().div_ceil(MAX_ROWS).max(1);
    rows.iter().step_by(step).copied().collect()
}

fn matrix(rows: &[PodVector], scale: &Scale) -> Array2<f64> {
    let mut matrix = Array2::zeros((rows.len(), FEATURE_COUNT));
    for (mut to, row) in matrix.axis_iter_mut(Axis(0)).zip(rows) {
        let scaled = scale.apply(row);
        to.iter_mut().zip(scaled).for_each(|(to, value)| *to = value.clamp(-CLIP, CLIP));
    }
    matrix
}

/// What a workload's pods are usually like. A plain value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "Written", from = "Written")]
pub struct Model {
    scale: Scale,
    mean: Array1<f64>,
    /// A row for each component.
    components: Array2<f64>,
    /// How far training rows went along each component.
    reach: Vec<(f64, f64)>,
    limit: f64,
}

/// A model as plain numbers.
#[derive(Serialize, Deserialize)]
struct Written {
    scale: Scale,
    mean: Vec<f64>,
    components: Vec<[f64; FEATURE_COUNT]>,
    reach: Vec<(f64, f64)>,
    limit: f64,
}

impl From<Model> for Written {
    fn from(model: Model) -> Self {
        let row = |component: ArrayView1<'_, f64>| {
            let mut row = [0.0; FEATURE_COUNT];
            row.iter_mut().zip(component).for_each(|(to, value)| *to = *value);
            row
        };
        let components = model.components.axis_iter(Axis(0)).map(row).collect();
        let Model { scale, mean, reach, limit, .. } = model;
        Self { scale, mean: mean.to_vec(), components, reach, limit }
    }
}

impl From<Written> for Model {
    fn from(written: Written) -> Self {
        let Written { scale, mut mean, components, reach, limit } = written;
        // What is added to vectors of this length has to have it.
        mean.resize(FEATURE_COUNT, 0.0);
        Self { scale, mean: Array1::from(mean), components: Array2::from(components), reach, limit }
    }
}

impl Model {
    /// Trained on at most [`MAX_ROWS`] rows of one workload's past; `None` with fewer than [`MIN_ROWS`].
    pub fn train(rows: &[PodVector]) -> Option<Self> {
        let rows = spaced(rows);
        if rows.len() < MIN_ROWS {
            return None;
        }
        let scale = Scale::of(&rows);
        let data = matrix(&rows, &scale);
        let mean = data.mean_axis(Axis(0))?;
        let components = components(&data, &mean);
        let along = (&data - &mean).dot(&components.t());
        let reach = along.axis_iter(Axis(1)).map(|c| bounds(&c)).collect();
        let mut model = Self { scale, mean, components, reach, limit: 0.0 };
        let mut errors: Vec<f64> = rows.iter().map(|row| model.residual(row).iter().map(|r| r * r).sum()).collect();
        errors.sort_unstable_by(f64::total_cmp);
        let high = errors.get((errors.len() - 1) * 49 / 50).copied().unwrap_or_default();
        model.limit = (MARGIN * high).max(LEAST_ERROR);
        Some(model)
    }

    /// How strange this vector is, and what makes it so.
    pub fn judge(&self, row: &PodVector) -> Strangeness {
        let squares = self.residual(row).map(|r| r * r);
        let error: f64 = squares.iter().sum();
        let shares = squares.map(|s| if error > 0.0 { s / error } else { 0.0 });
        Strangeness { score: error / self.limit, shares }
    }

    /// What the components cannot rebuild. Along a component they go no further than training did: a value far out
    /// in a usual direction is strange too.
    fn residual(&self, row: &PodVector) -> [f64; FEATURE_COUNT] {
        let scaled = Array1::from(self.scale.apply(row).to_vec());
        let centred = &scaled - &self.mean;
        let mut left = centred.clone();
        for (component, (low, high)) in self.components.axis_iter(Axis(0)).zip(&self.reach) {
            let along = component.dot(&centred).clamp(*low, *high);
            left.scaled_add(-along, &component);
        }
        let mut residual = [0.0; FEATURE_COUNT];
        residual.iter_mut().zip(left).for_each(|(to, value)| *to = value);
        residual
    }
}

/// The directions in which the data varies; none where it does not, or where the decomposition fails.
fn components(data: &Array2<f64>, mean: &Array1<f64>) -> Array2<f64> {
    let none = Array2::zeros((0, FEATURE_COUNT));
    let centred = data - mean;
    let varying = centred.axis_iter(Axis(1)).filter(|c| c.dot(c) > 1e-6 * data.nrows() as f64).count();
    // As many components as varying features would rebuild everything and find nothing.
    let wanted = COMPONENTS.min(varying.saturating_sub(1));
    if wanted == 0 {
        return none;
    }
    // Its iteration may lose itself in rows that are hardly independent, and then panics at a NaN of its own making.
    let fitted = std::panic::catch_unwind(|| Pca::params(wanted).fit(&DatasetBase::from(data.clone())));
    match fitted {
        Ok(Ok(pca)) if pca.components().iter().all(|v| v.is_finite()) => pca.components().clone(),
        _ => none,
    }
}

fn bounds(values: &ArrayView1<'_, f64>) -> (f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    let at = |share: f64| sorted.get((last as f64 * share).round() as usize).copied().unwrap_or_default();
    (at(0.01), at(0.99))
}

/// Groups of pods that are alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Cohorts {
    scale: Scale,
    centres: Array2<f64>,
}

impl Cohorts {
    /// `groups` centres of at most [`MAX_ROWS`] rows, from a fixed seed; `None` where the rows hold fewer distinct ones.
    pub fn train(rows: &[PodVector], groups: usize) -> Option<Self> {
        let rows = spaced(rows);
        let scale = Scale::of(&rows);
        let data = matrix(&rows, &scale);
        let mut distinct: Vec<Vec<u64>> =
            data.axis_iter(Axis(0)).map(|row| row.iter().map(|v| v.to_bits()).collect()).collect();
        distinct.sort_unstable();
        distinct.dedup();
        if groups == 0 || distinct.len() < groups {
            return None;
        }
        let params = KMeans::params(groups).n_runs(3).max_n_iterations(100).check().ok()?;
        let model = params.fit(&DatasetBase::from(data)).ok()?;
        let mut centres: Vec<Vec<f64>> = model.centroids().axis_iter(Axis(0)).map(|c| c.to_vec()).collect();
        centres.sort_by(|a, b| {
            a.iter().zip(b).map(|(a, b)| a.total_cmp(b)).find(|o| o.is_ne()).unwrap_or(a.len().cmp(&b.len()))
        });
        let centres = Array2::from_shape_vec((groups, FEATURE_COUNT), centres.concat()).ok()?;
        Some(Self { scale, centres })
    }

    /// The number of the nearest centre and the distance to it, in spreads.
    pub fn nearest(&self, row: &PodVector) -> (usize, f64) {
        let scaled = self.scale.apply(row);
        let distance = |centre: ArrayView1<'_, f64>| {
            centre.iter().zip(&scaled).map(|(c, v)| (c - v.clamp(-CLIP, CLIP)).powi(2)).sum::<f64>().sqrt()
        };
        let distances = self.centres.axis_iter(Axis(0)).map(distance).enumerate();
        distances.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, 0.0))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::detector::synthetic::Noise;

    /// Load drives memory, CPU and log lines together.
    fn healthy(noise: &mut Noise) -> PodVector {
        let load = 1.0 + noise.uniform();
        let near = |value: f64, noise: &mut Noise| value * (1.0 + 0.03 * noise.normal());
        PodVector([
            near(0.3 * load, noise),
            near(0.5 * load, noise),
            0.0,
            0.0,
            near(20.0 * load, noise),
            noise.poisson(0.3) as f64 / 60.0,
            0.0,
        ])
    }

    fn past(rows: usize) -> (Vec<PodVector>, Noise) {
        let mut noise = Noise::new(5);
        ((0..rows).map(|_| healthy(&mut noise)).collect(), noise)
    }

    #[test]
    fn health_is_usual_and_faults_name_their_feature() {
        let (rows, mut noise) = past(1000);
        let model = Model::train(&rows).unwrap();
        let false_alarms = (0..5000).filter(|_| model.judge(&healthy(&mut noise)).score > 1.0).count();
        assert_eq!(false_alarms, 0);
        let changes: &[(usize, f64)] = &[(0, 0.98), (1, 4.0), (2, 0.8), (3, 6.0), (4, 200.0), (5, 3.0), (6, 2.0)];
        for (feature, value) in changes {
            let mut row = healthy(&mut noise);
            row.0[*feature] = *value;
            let judged = model.judge(&row);
            assert!(judged.score > 1.0, "{}: {judged:?}", FEATURES[*feature]);
            assert_eq!(judged.strangest(), FEATURES[*feature], "{judged:?}");
            assert!((judged.shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn each_usual_alone_but_not_together() {
        let (rows, _) = past(1000);
        let model = Model::train(&rows).unwrap();
        // As much CPU as under the highest load, as few lines as under the lowest: hung in a loop.
        let hung = PodVector([0.3, 1.0, 0.0, 0.0, 20.0, 0.0, 0.0]);
        let idle = PodVector([0.3, 0.5, 0.0, 0.0, 20.0, 0.0, 0.0]);
        assert!(model.judge(&hung).score > 4.0 * model.judge(&idle).score, "{:?}", model.judge(&hung));
    }

    #[test]
    fn odd_input_is_fine() {
        assert_eq!(Model::train(&past(MIN_ROWS - 1).0), None);
        let constant = vec![PodVector([0.5; FEATURE_COUNT]); 100];
        let model = Model::train(&constant).unwrap();
        assert_eq!(model.judge(&constant[0]).score, 0.0);
        let unknown = vec![PodVector([f64::NAN; FEATURE_COUNT]); 100];
        assert!(Model::train(&unknown).unwrap().judge(&unknown[0]).score < 1.0);
        assert_eq!(Cohorts::train(&constant, 2), None);
        assert_eq!(Model::train(&past(10_000).0), Model::train(&past(10_000).0));
    }

    #[test]
    fn two_kinds_of_pods_are_two_cohorts() {
        let (small, mut noise) = past(100);
        let large = |noise: &mut Noise| PodVector(healthy(noise).0.map(|v| v * 4.0));
        let mut rows = small.clone();
        rows.extend((0..100).map(|_| large(&mut noise)));
        let cohorts = Cohorts::train(&rows, 2).unwrap();
        let (of_small, of_large) = (cohorts.nearest(&small[0]).0, cohorts.nearest(&large(&mut noise)).0);
        assert_ne!(of_small, of_large);
        let wrong = rows[..100].iter().filter(|r| cohorts.nearest(r).0 != of_small).count();
        assert!(wrong <= 5, "{wrong}");
        assert_eq!(Some(cohorts), Cohorts::train(&rows, 2));
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(64))]
        #[test]
        fn no_rows_upset_training(rows in proptest::collection::vec(proptest::array::uniform7(proptest::num::f64::ANY), 0..80)) {
            let rows: Vec<PodVector> = rows.into_iter().map(PodVector).collect();
            if let Some(model) = Model::train(&rows) {
                for row in &rows {
                    proptest::prop_assert!(model.judge(row).score >= 0.0);
                }
            }
            if let Some(cohorts) = Cohorts::train(&rows, 3) {
                for row in &rows {
                    proptest::prop_assert!(cohorts.nearest(row).0 < 3);
                }
            }
        }
    }
}
