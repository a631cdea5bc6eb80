//! A pod's metrics of one minute taken together: each may be usual alone and the whole be strange.
//!
//! A model is trained on the workload's own past: robust scaling, then principal components, then what they cannot
//! rebuild, with each feature's share of it. Components are those of a dense solver of our own ([`Symmetric`]) and kinds
//! of pods are the centres of linfa's k-means ([why](../../docs/adr/0018-what-is-linfa-s-of-pod-vectors.md)).

mod kinds;
mod symmetric;

use serde::{Deserialize, Serialize};

pub use self::kinds::Kinds;
use self::symmetric::Symmetric;

/// What a vector is made of, in order.
pub const FEATURES: [&str; FEATURE_COUNT] =
    ["memory fraction of limit", "cpu cores", "log lines per second", "error lines per second"];
/// How many there are.
pub const FEATURE_COUNT: usize = 4;
/// The least spread of each, below which a difference means nothing.
const FLOORS: [f64; FEATURE_COUNT] = [0.02, 0.02, 0.2, 0.05];

/// With fewer rows there is no model.
pub const MIN_ROWS: usize = 32;
/// As many components as varying features would rebuild everything and find nothing.
const COMPONENTS: usize = FEATURE_COUNT - 1;
/// As many components are taken as make up so much of what varies.
const TOLD: f64 = 0.9;
/// No value is further out than this: the squares stay finite.
const FAR: f64 = 1e6;
/// Scaled values beyond this do not pull a component or a centre.
const CLIP: f64 = 8.0;
/// The error of a score of 1, in multiples of the error that one training row in fifty exceeds.
const MARGIN: f64 = 3.0;
/// An error below this many spreads, squared, is never anomalous.
const LEAST_ERROR: f64 = 12.0;

/// One number of each feature.
pub type Features = [f64; FEATURE_COUNT];

/// One pod in one minute; NaN where it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PodVector(pub [f32; FEATURE_COUNT]);

impl PodVector {
    /// Of which nothing is known.
    pub const UNKNOWN: Self = Self([f32::NAN; FEATURE_COUNT]);

    /// Whether anything is known.
    pub fn is_known(&self) -> bool {
        self.0.iter().any(|v| v.is_finite())
    }
}

/// A vector judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Strangeness {
    /// Above 1 is anomalous.
    pub score: f64,
    /// What could not be rebuilt, in spreads.
    pub distance: f64,
    /// Each feature's share of the error; they add up to 1, or are all 0.
    pub shares: Features,
}

impl Strangeness {
    /// The feature with the largest share.
    pub fn strangest(&self) -> &'static str {
        let top = FEATURES.iter().zip(self.shares).max_by(|a, b| a.1.total_cmp(&b.1));
        top.map_or("", |(name, _)| name)
    }
}

/// Centre and spread of each feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Scale {
    centre: Features,
    spread: Features,
}

impl Scale {
    fn of(rows: &[PodVector]) -> Self {
        let mut scale = Self { centre: [0.0; FEATURE_COUNT], spread: FLOORS };
        let mut values: Vec<f64> = Vec::with_capacity(rows.len());
        for (feature, (centre, spread)) in scale.centre.iter_mut().zip(&mut scale.spread).enumerate() {
            values.clear();
            values
                .extend(rows.iter().filter_map(|r| r.0.get(feature)).filter(|v| v.is_finite()).map(|v| f64::from(*v)));
            values.sort_unstable_by(f64::total_cmp);
            if values.is_empty() {
                continue;
            }
            let quartiles = (at(&values, 0.75) - at(&values, 0.25)) / 1.349;
            let tails = (at(&values, 0.95) - at(&values, 0.05)) / 3.29;
            *centre = at(&values, 0.5);
            *spread = quartiles.max(tails).max(*spread);
        }
        scale
    }

    /// In spreads from the centre; what is not known counts as usual.
    fn apply(&self, row: &PodVector) -> Features {
        let mut scaled = [0.0; FEATURE_COUNT];
        for (((to, value), centre), spread) in scaled.iter_mut().zip(row.0).zip(self.centre).zip(self.spread) {
            let value = (f64::from(value) - centre) / spread;
            *to = if value.is_finite() { value.clamp(-FAR, FAR) } else { 0.0 };
        }
        scaled
    }
}

/// What a share of sorted values is below.
fn at(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
}

/// A direction in which the past varies, and how far it went along it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Component {
    direction: Features,
    low: f64,
    high: f64,
}

/// What a workload's pods are usually like. A plain value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    scale: Scale,
    mean: Features,
    components: [Option<Component>; COMPONENTS],
    limit: f64,
}

impl Model {
    /// Trained on rows of one workload's past; `None` with fewer than [`MIN_ROWS`] of which something is known.
    pub fn train(rows: &[PodVector]) -> Option<Self> {
        let rows: Vec<PodVector> = rows.iter().filter(|row| row.is_known()).copied().collect();
        if rows.len() < MIN_ROWS {
            return None;
        }
        let scale = Scale::of(&rows);
        let data: Vec<Features> = rows.iter().map(|row| scale.apply(row).map(|v| v.clamp(-CLIP, CLIP))).collect();
        let mut mean = [0.0; FEATURE_COUNT];
        for row in &data {
            mean.iter_mut().zip(row).for_each(|(mean, value)| *mean += value / data.len() as f64);
        }
        let components = components(&data, &mean);
        let mut model = Self { scale, mean, components, limit: 0.0 };
        let mut errors: Vec<f64> = rows.iter().map(|row| squares(&model.residual(row)).iter().sum()).collect();
        errors.sort_unstable_by(f64::total_cmp);
        model.limit = (MARGIN * at(&errors, 0.98)).max(LEAST_ERROR);
        model.limit.is_finite().then_some(model)
    }

    /// What the components cannot rebuild of it, in spreads. Along a component they go no further than training did: a
    /// value far out in a usual direction is strange too.
    pub fn residual(&self, row: &PodVector) -> Features {
        let mut centred = self.scale.apply(row);
        centred.iter_mut().zip(self.mean).for_each(|(value, mean)| *value -= mean);
        let mut left = centred;
        for Component { direction, low, high } in self.components.iter().flatten() {
            let along = dot(direction, &centred).clamp(*low, *high);
            left.iter_mut().zip(direction).for_each(|(left, part)| *left -= along * part);
        }
        left
    }

    /// How strange what is left of a vector is, and what makes it so. What is left of its siblings' in the same minute befell
    /// all of them, and is no pod's own.
    pub fn judge(&self, residual: &Features, of_siblings: Option<&Features>) -> Strangeness {
        let mut least = squares(residual);
        if let Some(common) = of_siblings {
            let mut own = *residual;
            own.iter_mut().zip(common).for_each(|(own, common)| *own -= common);
            let own = squares(&own);
            if own.iter().sum::<f64>() < least.iter().sum() {
                least = own;
            }
        }
        let error: f64 = least.iter().sum();
        let shares = least.map(|s| if error > 0.0 { s / error } else { 0.0 });
        Strangeness { score: error / self.limit, distance: error.sqrt(), shares }
    }

    /// A vector in spreads from the centre, as kinds of pods are told apart by; what is far out no further than a few.
    pub fn scaled(&self, row: &PodVector) -> Features {
        self.scale.apply(row).map(|v| v.clamp(-CLIP, CLIP))
    }
}

fn dot(a: &Features, b: &Features) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn squares(of: &Features) -> Features {
    of.map(|v| v * v)
}

/// The directions in which the data varies most.
fn components(data: &[Features], mean: &Features) -> [Option<Component>; COMPONENTS] {
    let centred: Vec<Features> = data
        .iter()
        .map(|row| {
            let mut row = *row;
            row.iter_mut().zip(mean).for_each(|(value, mean)| *value -= mean);
            row
        })
        .collect();
    let mut covariance = Symmetric::default();
    for row in &centred {
        covariance.add(row, 1.0 / centred.len() as f64);
    }
    let directions = covariance.directions();
    let all: f64 = directions.iter().map(|(variance, _)| variance).sum();
    let varying = covariance.diagonal().iter().filter(|variance| **variance > 1e-6).count();
    let mut told = 0.0;
    let mut components = [None; COMPONENTS];
    for (to, (variance, direction)) in components.iter_mut().zip(directions).take(varying.saturating_sub(1)) {
        if told >= TOLD * all {
            break;
        }
        told += variance;
        let mut along: Vec<f64> = centred.iter().map(|row| dot(&direction, row)).collect();
        along.sort_unstable_by(f64::total_cmp);
        *to = Some(Component { direction, low: at(&along, 0.01), high: at(&along, 0.99) });
    }
    components
}

#[cfg(test)]
mod tests;
