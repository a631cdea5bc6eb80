//! The past of one workload: some of its pods' vectors of the last days, its model, and what its pods did last.

use serde::{Deserialize, Serialize};

use super::began;
use crate::detector::score::daily::Daily;
use crate::hash64;
use crate::pod_vector::{FEATURE_COUNT, Features, Kinds, MIN_ROWS, Model, PodVector, Strangeness};

/// Of each half hour of so many days one vector is kept, of whichever pod and minute, so that a day weighs what a day weighs
/// however many pods there are.
const CELLS: i64 = 48;
const DAYS: i64 = 5;
const CELL_MINUTES: i64 = 30;
/// A model is trained after so many new vectors: a quarter of a day.
const TRAIN_EVERY: u8 = 12;
/// Siblings that a pod is held against.
const SIBLINGS: usize = 16;
/// One that was not heard of for so many minutes is gone.
const GONE: i64 = 10;
/// Nothing is told before so many days are scored: what an hour reaches, and what any does, is known when two earlier days had
/// it.
const KNOWN_MINUTES: i64 = 3 * 1440;
/// A mean of what a pod is like spans a day.
const SPAN: u16 = 1440;

/// What a pod is like on average.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Mean {
    of: [f32; FEATURE_COUNT],
    count: u16,
}

impl Default for Mean {
    fn default() -> Self {
        Self { of: PodVector::UNKNOWN.0, count: 0 }
    }
}

impl Mean {
    pub(super) fn take(&mut self, vector: &PodVector) {
        self.count = self.count.saturating_add(1).min(SPAN);
        for (mean, value) in self.of.iter_mut().zip(vector.0).filter(|(_, value)| value.is_finite()) {
            *mean = if mean.is_finite() { *mean + (value - *mean) / f32::from(self.count) } else { value };
        }
    }

    fn vector(self) -> PodVector {
        PodVector(self.of)
    }
}

/// What one pod left of its last two minutes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Sibling {
    pod: u64,
    mean: Mean,
    minutes: [(i64, Features); 2],
}

impl Sibling {
    fn newest(&self) -> i64 {
        self.minutes[0].0
    }

    fn at(&self, minute: i64) -> Option<&Features> {
        self.minutes.iter().find(|(at, _)| *at == minute).map(|(_, residual)| residual)
    }
}

/// A vector picked among those of the half hour at hand, of which there were so many.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Pick {
    cell: i64,
    of: u32,
    vector: PodVector,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Past {
    /// By half hour of the day and by day.
    rows: Box<[[f32; FEATURE_COUNT]]>,
    pick: Option<Pick>,
    /// How many were kept, up to what a model needs, and since the last was trained.
    kept: u8,
    since_trained: u8,
    is_due: bool,
    /// How many models there were.
    version: u32,
    model: Option<Model>,
    kinds: Option<Kinds>,
    siblings: Vec<Sibling>,
    /// The minute of the first vector that was scored, and what each hour reached.
    scored: Option<i64>,
    daily: Daily,
}

impl Past {
    /// The most that one takes, in bytes.
    pub(super) const BYTES: usize = size_of::<Self>()
        + (CELLS * DAYS) as usize * size_of::<[f32; FEATURE_COUNT]>()
        + SIBLINGS * size_of::<Sibling>()
        + Daily::HEAP;

    pub(super) fn has_model(&self) -> bool {
        self.model.is_some()
    }

    /// Takes a vector, which may be one of those that are kept; whether a model has become due.
    pub(super) fn take(&mut self, pod: u64, minute: i64, vector: &PodVector) -> bool {
        let cell = minute.div_euclid(CELL_MINUTES);
        match &mut self.pick {
            // What comes late counts with what comes now.
            Some(pick) if cell <= pick.cell => {
                pick.of = pick.of.saturating_add(1);
                // Each of n is picked with the chance of one in n.
                let seed = [pod.to_le_bytes(), minute.to_le_bytes()];
                if hash64(seed.as_flattened()).is_multiple_of(u64::from(pick.of)) {
                    pick.vector = *vector;
                }
                false
            }
            earlier => {
                let picked = earlier.replace(Pick { cell, of: 1, vector: *vector });
                picked.is_some_and(|picked| self.keep(&picked))
            }
        }
    }

    fn keep(&mut self, picked: &Pick) -> bool {
        if self.rows.is_empty() {
            self.rows = vec![PodVector::UNKNOWN.0; (CELLS * DAYS) as usize].into_boxed_slice();
        }
        let at = picked.cell.rem_euclid(CELLS * DAYS) as usize;
        if let Some(row) = self.rows.get_mut(at) {
            *row = picked.vector.0;
        }
        self.since_trained = self.since_trained.saturating_add(1);
        self.kept = self.kept.saturating_add(1);
        let is_enough = usize::from(self.kept) >= MIN_ROWS && self.since_trained >= TRAIN_EVERY;
        let is_new = is_enough && !self.is_due;
        self.is_due |= is_new;
        is_new
    }

    /// Trains a model; whether there is a new one. Where there is none the earlier stays.
    pub(super) fn train(&mut self) -> bool {
        (self.since_trained, self.is_due) = (0, false);
        let rows: Vec<PodVector> = self.rows.iter().map(|row| PodVector(*row)).collect();
        let Some(model) = Model::train(&rows) else { return false };
        let pods: Vec<Features> = self.siblings.iter().map(|of| model.scaled(&of.mean.vector())).collect();
        self.kinds = Kinds::of(&pods);
        self.model = Some(model);
        // What the earlier model left of a vector is not compared with what this one leaves.
        self.version = self.version.wrapping_add(1);
        self.siblings.iter_mut().for_each(|of| of.minutes = [(i64::MIN, [0.0; FEATURE_COUNT]); 2]);
        true
    }

    #[cfg(test)]
    pub(super) fn forget_rows(&mut self) {
        self.rows.fill(PodVector::UNKNOWN.0);
    }

    /// The clock was ahead, and it is this minute: no half hour that is not there yet takes what comes, and no sibling that is gone
    /// is waited for until then.
    pub(super) fn set_back(&mut self, minute: i64) {
        let cell = minute.div_euclid(CELL_MINUTES);
        self.pick = self.pick.filter(|pick| pick.cell <= cell);
        self.siblings.retain(|of| of.newest() <= minute);
        self.scored = self.scored.map(|scored| scored.min(minute));
        self.daily.set_back(began(minute));
    }

    /// What the model leaves of a vector, and which model it is.
    pub(super) fn residual(&self, vector: &PodVector) -> Option<(u32, Features)> {
        Some((self.version, self.model.as_ref()?.residual(vector)))
    }

    /// Shows to the siblings what is left of a minute of this pod, where there is room or one of them is gone.
    pub(super) fn show(&mut self, pod: u64, minute: i64, residual: &Features, mean: Mean) {
        let new = (minute, *residual);
        if let Some(known) = self.siblings.iter_mut().find(|of| of.pod == pod) {
            (known.minutes, known.mean) = ([new, known.minutes[0]], mean);
            return;
        }
        let of = Sibling { pod, mean, minutes: [new, (i64::MIN, [0.0; FEATURE_COUNT])] };
        if self.siblings.len() < SIBLINGS {
            self.siblings.push(of);
        } else if let Some(gone) = self.siblings.iter_mut().find(|of| of.newest() < minute - GONE) {
            *gone = of;
        }
    }

    /// How strange a minute was that is a little while ago, and how many siblings show it; `None` where that is not known.
    pub(super) fn judge(
        &mut self,
        pod: u64,
        (minute, version): (i64, u32),
        residual: &Features,
        mean: Mean,
    ) -> Option<(Strangeness, usize)> {
        let model = self.model.as_ref().filter(|_| version == self.version)?;
        let others = || self.siblings.iter().filter(|of| of.pod != pod && of.newest() >= minute - GONE);
        let kind = |mean: Mean| self.kinds.as_ref().map(|kinds| kinds.kind(&model.scaled(&mean.vector())));
        let own = kind(mean);
        let alike: Vec<&Sibling> = others().filter(|of| kind(of.mean) == own).collect();
        let beside: Vec<&Features> = alike.iter().filter_map(|of| of.at(minute)).collect();
        if beside.is_empty() && !alike.is_empty() {
            return None;
        }
        let common = median(&beside);
        let judged = model.judge(residual, common.as_ref());
        // By distance: what scores 1 is another with each model.
        let distance = judged.distance;
        let is_more = self.daily.observe(began(minute), distance);
        let is_known = minute >= self.scored.get_or_insert(minute).saturating_add(KNOWN_MINUTES);
        let score = if judged.score > 1.0 && is_known && is_more && self.daily.is_beyond_any(distance) {
            judged.score
        } else {
            0.0
        };
        Some((Strangeness { score, ..judged }, beside.len()))
    }
}

/// The middle of each feature; of an even number the mean of the two in the middle.
fn median(of: &[&Features]) -> Option<Features> {
    let mut middle = [0.0; FEATURE_COUNT];
    for (feature, to) in middle.iter_mut().enumerate() {
        let mut values: Vec<f64> = of.iter().filter_map(|residual| residual.get(feature)).copied().collect();
        values.sort_unstable_by(f64::total_cmp);
        let (low, high) = (values.get((values.len().max(1) - 1) / 2)?, values.get(values.len() / 2)?);
        *to = (low + high) / 2.0;
    }
    Some(middle)
}
