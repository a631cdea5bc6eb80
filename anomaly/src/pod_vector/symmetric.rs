//! A small symmetric matrix and its principal directions, by Jacobi's rotations: they end for every finite matrix.

use super::{FEATURE_COUNT, Features};

/// Sweeps over all pairs; four by four needs some five.
const SWEEPS: usize = 30;

/// By rows; both halves are kept.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Symmetric([Features; FEATURE_COUNT]);

impl Symmetric {
    /// Adds the outer product of a row with itself.
    pub(super) fn add(&mut self, row: &Features, weight: f64) {
        for (to, a) in self.0.iter_mut().zip(row) {
            to.iter_mut().zip(row).for_each(|(to, b)| *to += weight * a * b);
        }
    }

    pub(super) fn diagonal(&self) -> Features {
        std::array::from_fn(|i| self.at(i, i))
    }

    /// Eigenvalues with their vectors of length 1, the largest first.
    pub(super) fn directions(&self) -> [(f64, Features); FEATURE_COUNT] {
        let mut rest = *self;
        let mut vectors = Self(std::array::from_fn(|i| std::array::from_fn(|j| f64::from(u8::from(i == j)))));
        for _ in 0..SWEEPS {
            let off: f64 = pairs().map(|(p, q)| rest.at(p, q).abs()).sum();
            if off <= 1e-14 * rest.diagonal().iter().map(|d| d.abs()).sum::<f64>() {
                break;
            }
            for (p, q) in pairs() {
                rest.rotate(p, q, &mut vectors);
            }
        }
        let mut found = std::array::from_fn(|i| (rest.at(i, i), vectors.0.get(i).copied().unwrap_or_default()));
        found.sort_by(|a, b| b.0.total_cmp(&a.0));
        found
    }

    /// Turns the axes `p` and `q` so that nothing is left between them; `vectors` has the axes as rows.
    fn rotate(&mut self, p: usize, q: usize, vectors: &mut Self) {
        let off = self.at(p, q);
        if off == 0.0 {
            return;
        }
        let theta = (self.at(q, q) - self.at(p, p)) / (2.0 * off);
        let tangent = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
        let cosine = 1.0 / (tangent * tangent + 1.0).sqrt();
        let sine = tangent * cosine;
        self.turn_rows((p, q), (cosine, sine));
        self.transpose();
        self.turn_rows((p, q), (cosine, sine));
        self.transpose();
        vectors.turn_rows((p, q), (cosine, sine));
    }

    fn turn_rows(&mut self, (p, q): (usize, usize), (cosine, sine): (f64, f64)) {
        let Ok([a, b]) = self.0.get_disjoint_mut([p, q]) else { return };
        for (a, b) in a.iter_mut().zip(b) {
            (*a, *b) = (cosine * *a - sine * *b, sine * *a + cosine * *b);
        }
    }

    fn transpose(&mut self) {
        let of = *self;
        *self = Self(std::array::from_fn(|i| std::array::from_fn(|j| of.at(j, i))));
    }

    fn at(&self, i: usize, j: usize) -> f64 {
        self.0.get(i).and_then(|row| row.get(j)).copied().unwrap_or_default()
    }
}

fn pairs() -> impl Iterator<Item = (usize, usize)> {
    (0..FEATURE_COUNT).flat_map(|p| (p + 1..FEATURE_COUNT).map(move |q| (p, q)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(256))]
        #[test]
        fn directions_rebuild_the_matrix(
            rows in proptest::collection::vec(proptest::array::uniform4(-8.0f64..8.0), 0..12),
            twice: bool,
        ) {
            let mut matrix = Symmetric::default();
            for row in &rows {
                // Features that say the same are as usual as those that do not.
                let row = if twice { [row[0], row[0], row[2], 0.0] } else { *row };
                matrix.add(&row, 1.0);
            }
            let found = matrix.directions();
            let mut rebuilt = Symmetric::default();
            for (i, (value, vector)) in found.iter().enumerate() {
                rebuilt.add(vector, *value);
                for (j, (other, with)) in found.iter().enumerate() {
                    let dot: f64 = vector.iter().zip(with).map(|(a, b)| a * b).sum();
                    proptest::prop_assert!((dot - f64::from(u8::from(i == j))).abs() < 1e-9, "{found:?}");
                    proptest::prop_assert!(i >= j || value >= other, "{found:?}");
                }
            }
            let size = 1.0 + matrix.diagonal().iter().sum::<f64>();
            for (a, b) in matrix.0.iter().flatten().zip(rebuilt.0.iter().flatten()) {
                proptest::prop_assert!((a - b).abs() < 1e-9 * size, "{matrix:?} {rebuilt:?}");
            }
        }
    }
}
