//! Fisher's exact test (1935): how likely so many of those drawn are marked, if it was chance that drew them.

/// Logarithms of factorials.
pub(crate) struct Factorials(Vec<f64>);

impl Factorials {
    /// Up to that of `most`.
    pub(crate) fn upto(most: u64) -> Self {
        let mut all = Self(vec![0.0]);
        all.reach(most);
        all
    }

    /// Takes in what is lacking up to that of `most`.
    pub(crate) fn reach(&mut self, most: u64) {
        let mut sum = self.0.last().copied().unwrap_or(0.0);
        let known = self.0.len() as u64;
        self.0.extend((known..=most).map(|n| {
            sum += (n as f64).ln();
            sum
        }));
    }

    fn choose(&self, n: u64, k: u64) -> f64 {
        let of = |n: u64| self.0.get(n as usize).copied().unwrap_or(f64::INFINITY);
        of(n) - of(k) - of(n - k)
    }

    /// The chance that of `drawn` out of `all`, of which `marked` are marked, `least` or more are marked.
    pub(crate) fn tail(&self, least: u64, marked: u64, drawn: u64, all: u64) -> f64 {
        let some = (least..=marked.min(drawn)).filter(|k| drawn - k <= all - marked);
        let whole = self.choose(all, drawn);
        let of = |k: u64| (self.choose(marked, k) + self.choose(all - marked, drawn - k) - whole).exp();
        some.map(of).sum::<f64>().min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_that_of_the_lady_tasting_tea() {
        let of = |k| Factorials::upto(8).tail(k, 4, 4, 8);
        for (k, wanted) in [(4, 1.0 / 70.0), (3, 17.0 / 70.0), (0, 1.0)] {
            assert!((of(k) - wanted).abs() < 1e-12, "{k}: {}", of(k));
        }
        // All of them drawn, or all of them marked: nothing is to be learnt.
        assert!((Factorials::upto(9).tail(3, 3, 9, 9) - 1.0).abs() < 1e-12);
        assert!((Factorials::upto(9).tail(3, 9, 3, 9) - 1.0).abs() < 1e-12);
    }
}
