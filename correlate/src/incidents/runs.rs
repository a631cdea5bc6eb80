//! Runs: what began close in time, one after another; in pieces, so that what never ends is not weighed as a whole.
//!
//! A run that has gone on for a stretch is cut at every full stretch of time from then on. Whether it is cut there follows from
//! what began in the stretch before alone, so a change is followed for few stretches, and all pieces follow from the places,
//! however they came in.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use whyd_signals::Timestamp;

use super::Place;

/// A shorter run is in one piece. What is one is seldom told for so long, and what began longer ago is no evidence.
const STRETCH: Duration = Duration::from_secs(6 * 3600);

/// The pieces around a place.
#[derive(Debug, Default)]
pub(super) struct Around {
    /// In order, each in order.
    pub(super) pieces: Vec<VecDeque<Place>>,
    /// All pieces are among them that a change of a place changes which lies in them, before this time.
    pub(super) covers: Timestamp,
}

/// The pieces that change with this place, whether it is there or not: those that hold it, or lie next to it within reach, and
/// those behind it that may be cut elsewhere for it.
pub(super) fn around(places: &BTreeSet<Place>, place: &Place, reach: Duration) -> Around {
    let stretch = stretch(reach);
    let begin_of = |at: Timestamp| Timestamp(at.0.div_euclid(stretch).saturating_mul(stretch));
    let later = |at: Timestamp, stretches: i64| Timestamp(at.0.saturating_add(stretch.saturating_mul(stretches)));
    // A run that reaches back by a stretch from here is cut here, and so is one behind the place that goes on until then.
    let from = begin_of(place.0.minus(reach));
    let to = later(begin_of(place.0.plus(reach)), 2);
    let near = |other: &&Place| other.0.max(place.0) <= other.0.min(place.0).plus(reach);
    let seeds = [places.range(..=place).next_back().filter(near), places.range(place..).next().filter(near)];
    let mut around = Around { pieces: Vec::new(), covers: Timestamp::MAX };
    for seed in seeds.into_iter().flatten() {
        if around.pieces.last().and_then(VecDeque::back).is_some_and(|last| last >= seed) {
            continue;
        }
        let mut run = VecDeque::from([seed.clone()]);
        let mut first = seed.0;
        for earlier in places.range(..seed).rev() {
            if first > earlier.0.plus(reach) || first <= later(from, -1) {
                break;
            }
            first = earlier.0;
            run.push_front(earlier.clone());
        }
        let mut last = seed.0;
        for next in places.range(seed..).skip(1) {
            if next.0 > last.plus(reach) {
                break;
            }
            if next.0 >= to {
                around.covers = later(to, -1).minus(reach);
                break;
            }
            last = next.0;
            run.push_back(next.clone());
        }
        if first <= later(from, -1) {
            run.retain(|(at, _)| *at >= from);
        }
        let mut piece: VecDeque<Place> = VecDeque::new();
        for next in run {
            let begins = begin_of(next.0);
            if piece.back().is_some_and(|(at, _)| *at < begins) && first <= later(begins, -1) {
                around.pieces.push(std::mem::take(&mut piece));
            }
            piece.push_back(next);
        }
        around.pieces.push(piece);
    }
    around
}

/// How long a stretch is: full periods of the reach, by which what is made of a piece is told apart.
fn stretch(reach: Duration) -> i64 {
    let nanos = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
    let reach = nanos(reach).max(1);
    (nanos(STRETCH).saturating_add(reach - 1) / reach).max(1).saturating_mul(reach)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const REACH: Duration = Duration::from_secs(600);

    fn at(second: u64) -> Timestamp {
        Timestamp(0).plus(Duration::from_secs(second))
    }

    fn places(seconds: impl Iterator<Item = u64>) -> BTreeSet<Place> {
        seconds.map(|second| (at(second), format!("{second:06}"))).collect()
    }

    /// The seconds of the pieces around a place.
    fn pieces(places: &BTreeSet<Place>, second: u64) -> Vec<Vec<u64>> {
        let seconds = |piece: VecDeque<Place>| piece.iter().map(|(_, id)| id.parse().unwrap()).collect();
        around(places, &(at(second), format!("{second:06}")), REACH).pieces.into_iter().map(seconds).collect()
    }

    #[test]
    fn a_short_run_is_in_one_piece_wherever_it_lies() {
        let all = places((20_000..40_000).step_by(500).chain([50_000, 50_600, 51_201]));
        let first: Vec<u64> = (20_000..40_000).step_by(500).collect();
        for second in [20_000, 21_500, 39_500] {
            assert_eq!(pieces(&all, second), std::slice::from_ref(&first));
        }
        assert_eq!(pieces(&all, 50_600), [vec![50_000, 50_600]]);
        // One that is gone lay between two, or next to none.
        assert_eq!(pieces(&all, 50_900), [vec![50_000, 50_600], vec![51_201]]);
        assert_eq!(pieces(&all, 45_000), Vec::<Vec<u64>>::new());
    }

    #[test]
    fn a_run_of_days_is_cut_each_stretch_and_a_change_is_followed_for_few() {
        // Five days, from the third hour on: the first cut is at the second full stretch, when it has gone on for one.
        let all = places((10_800..432_000).step_by(300));
        let in_middle = pieces(&all, 200_100);
        let bounds: Vec<(u64, u64)> = in_middle.iter().map(|p| (*p.first().unwrap(), *p.last().unwrap())).collect();
        assert_eq!(bounds, [(194_400, 215_700), (216_000, 237_300)]);
        assert_eq!(pieces(&all, 15_000).first().map(|p| (p[0], p[p.len() - 1])), Some((10_800, 42_900)));
        for second in (10_800..432_000).step_by(300) {
            let looked_at: usize = pieces(&all, second).iter().map(Vec::len).sum();
            assert!(looked_at <= 4 * 72, "{looked_at} at {second}");
        }
    }

    #[test]
    fn the_pieces_around_each_place_are_those_of_all_and_a_change_is_covered() {
        let mut seed = 5_u64;
        let mut below = |n: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % n
        };
        let of_all = |all: &BTreeSet<Place>| -> BTreeSet<Vec<u64>> {
            let seconds = all.iter().map(|(_, id)| id.parse().unwrap());
            seconds.flat_map(|second| pieces(all, second)).collect()
        };
        for _ in 0..40 {
            let mut all = places((0..300).map(|n| n * 540).filter(|_| below(60) > 0));
            let before = of_all(&all);
            assert_eq!(before.iter().map(Vec::len).sum::<usize>(), all.len());
            let second = below(300) * 540 + below(2) * 200;
            let place = (at(second), format!("{second:06}"));
            let mut told: BTreeSet<Vec<u64>> = pieces(&all, second).into_iter().collect();
            if !all.remove(&place) {
                all.insert(place);
            }
            let after = of_all(&all);
            told.extend(pieces(&all, second));
            let changed: BTreeSet<Vec<u64>> = before.symmetric_difference(&after).cloned().collect();
            assert!(changed.is_subset(&told), "{second}: {:?}", changed.difference(&told));
        }
    }

    #[test]
    fn what_is_covered_by_another_place_needs_no_look_of_its_own() {
        let all = places((0..600).filter(|n| n % 170 > 0).map(|n| n * 540));
        let mut covered = 0;
        for place in all.iter().step_by(7) {
            let first = around(&all, place, REACH);
            let last = first.pieces.last().and_then(|piece| piece.back()).unwrap();
            for other in all.range(place..=last).step_by(5).filter(|(at, _)| *at < first.covers) {
                let pieces = around(&all, other, REACH).pieces;
                assert!(pieces.iter().all(|piece| first.pieces.contains(piece)), "{} by {}", other.1, place.1);
                covered += 1;
            }
        }
        assert!(covered > 300, "{covered}");
    }
}
