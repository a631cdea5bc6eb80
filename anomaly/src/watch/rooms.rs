//! The room for series, which several tables share: what one leaves the others may take, and give back.

use whyd_signals::Timestamp;

use super::{SeriesKey, SeriesState};
use crate::slots::{Slots, owner};

/// Bounds a table by what the others leave of all places, and by its part of them. Where nothing is left for a series that is
/// new, one that is gone makes room for it, or in the other tables one of a team that has more than its share of all where its
/// own has less; in its own table that is the table's affair.
pub(super) fn share(
    table: &mut Slots<u32, SeriesState>,
    mut others: [&mut Slots<u32, SeriesState>; 2],
    (places, part): (usize, usize),
    (key, now): (&SeriesKey<'_>, Timestamp),
) {
    let taken = |others: &[&mut Slots<u32, SeriesState>; 2]| others.iter().map(|other| other.len()).sum::<usize>();
    if table.len() + taken(&others) >= places
        && table.len() < part
        && table.get(key.id.0).is_none()
        && !table.yield_one(now, None)
    {
        let above = may_have_more(table, &others, places, owner(key.team));
        let _made = others.iter_mut().any(|other| other.yield_one(now, above));
    }
    table.bound(part.min(places.saturating_sub(taken(&others))));
}

/// An equal share of all places, where this team has less.
fn may_have_more(
    table: &Slots<u32, SeriesState>,
    [one, other]: &[&mut Slots<u32, SeriesState>; 2],
    places: usize,
    team: u64,
) -> Option<usize> {
    let own = table.held_by(team) + one.held_by(team) + other.held_by(team);
    let least = table.owners().len().max(one.owners().len()).max(other.owners().len());
    share_above(own, places, least, || {
        table.owners().len()
            + one.owners().filter(|of| table.held_by(*of) == 0).count()
            + other.owners().filter(|of| table.held_by(*of) == 0 && one.held_by(*of) == 0).count()
    })
}

/// An equal share, where it is more than what this one has. All teams are counted only where there may be so few: who has its
/// share is turned away at each of its samples.
fn share_above(own: usize, places: usize, least: usize, teams: impl FnOnce() -> usize) -> Option<usize> {
    if own >= places / least.max(1) {
        return None;
    }
    let share = places / (teams() + usize::from(own == 0)).max(1);
    (own < share).then_some(share)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn who_has_its_share_is_turned_away_without_a_count_of_teams() {
        let counted = Cell::new(0);
        let above = |own, least, teams| {
            share_above(own, 120, least, || {
                counted.set(counted.get() + 1);
                teams
            })
        };
        assert_eq!((above(30, 4, 4), above(31, 4, 9), above(120, 1, 1), above(0, 121, 200)), (None, None, None, None));
        assert_eq!(counted.get(), 0);
        assert_eq!(
            (above(29, 4, 4), above(29, 4, 5), above(0, 4, 5), above(0, 0, 0)),
            (Some(30), None, Some(20), Some(120))
        );
        assert_eq!(counted.get(), 4);
    }
}
