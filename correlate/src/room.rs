//! Who gives when there is no room for all: the team that has most, so that none takes the room of others.

use std::collections::{BTreeMap, BinaryHeap};

use whyd_signals::Team;

/// How many each gives so that so many less are held.
pub(crate) fn gives<'a>(held: impl Iterator<Item = &'a Team>, over: usize) -> BTreeMap<Team, usize> {
    let mut of_team: BTreeMap<&Team, usize> = BTreeMap::new();
    for team in held {
        *of_team.entry(team).or_default() += 1;
    }
    let mut most: BinaryHeap<(usize, &Team)> = of_team.into_iter().map(|(team, n)| (n, team)).collect();
    let mut gives: BTreeMap<Team, usize> = BTreeMap::new();
    for _ in 0..over {
        let Some((n, team)) = most.pop() else { break };
        if let Some(given) = gives.get_mut(team) {
            *given += 1;
        } else {
            gives.insert(team.clone(), 1);
        }
        if n > 1 {
            most.push((n - 1, team));
        }
    }
    gives
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_most_gives_until_others_have_as_much() {
        let of = |held: &[(&str, usize)], over: usize| {
            let teams: Vec<Team> = held.iter().flat_map(|(team, n)| vec![Team::new(team); *n]).collect();
            let gives = gives(teams.iter(), over);
            held.iter().map(|(team, _)| gives.get(&Team::new(team)).copied().unwrap_or(0)).collect::<Vec<_>>()
        };
        assert_eq!(of(&[("a", 10), ("b", 3), ("c", 1)], 5), [5, 0, 0]);
        assert_eq!(of(&[("a", 10), ("b", 3), ("c", 1)], 9), [8, 1, 0]);
        assert_eq!(of(&[("a", 2), ("b", 2)], 9), [2, 2]);
        assert_eq!(of(&[("a", 2)], 0), [0]);
    }
}
