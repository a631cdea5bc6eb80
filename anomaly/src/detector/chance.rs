//! How likely it is that chance did it, by Fisher's exact test (1935).

/// The logarithm of how many ways there are to choose `few` of `all`.
fn ln_choose(all: u32, few: u32) -> f64 {
    (0..few).map(|n| (f64::from(all - n) / f64::from(few - n)).ln()).sum()
}

/// The chance that `marked` or more of `drawn` are marked, where `marked` of them and `others.0` of `others.1` others are, and
/// all are alike. It costs the square of `drawn`.
pub fn of_so_many((marked, drawn): (u32, u32), others: (u32, u32)) -> f64 {
    let (all, in_all) = (drawn + others.1, marked + others.0);
    let whole = ln_choose(all, drawn);
    let of = |k: u32| (ln_choose(in_all, k) + ln_choose(all - in_all, drawn - k) - whole).exp();
    let some = (marked..=drawn.min(in_all)).filter(|k| drawn - k <= all - in_all);
    some.map(of).sum::<f64>().min(1.0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn the_tail_is_that_of_the_lady_tasting_tea() {
        for (marked, wanted) in [(4, 1.0 / 70.0), (3, 17.0 / 70.0), (2, 53.0 / 70.0)] {
            let found = of_so_many((marked, 4), (4 - marked, 4));
            assert!((found - wanted).abs() < 1e-12, "{marked}: {found}");
        }
        // All of five before a hundred that none was of: one in as many as there are ways to choose five.
        let found = of_so_many((5, 5), (0, 100));
        assert!((found * 96_560_646.0 - 1.0).abs() < 1e-6, "{found}");
        assert!((of_so_many((0, 5), (3, 100)) - 1.0).abs() < 1e-9);
        assert_eq!(of_so_many((3, 3), (7, 7)), 1.0);
    }
}
