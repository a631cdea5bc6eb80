//! How much of a table each team has: counted by namespace, so that a namespace that changes its team takes it along.

use std::collections::HashMap;

use whyd_signals::Team;

use crate::hash::FixedState;

struct Share {
    team: Team,
    live: usize,
}

/// What is live, by team.
#[derive(Default)]
pub(crate) struct Shares {
    /// By the number of the namespace.
    namespaces: Vec<Option<Share>>,
    teams: HashMap<Team, usize, FixedState>,
}

impl Shares {
    /// Whether `team` may have another one of at most `most`. The platform is no team and has no share.
    pub(crate) fn has_room(&self, team: &Team, most: usize) -> bool {
        team.as_str() == Team::PLATFORM || self.of(team) < most
    }

    /// How many `team` has.
    pub(crate) fn of(&self, team: &Team) -> usize {
        self.teams.get(team).copied().unwrap_or_default()
    }

    /// One more of this namespace, which belongs to `team`.
    pub(crate) fn add(&mut self, namespace: u32, team: &Team) {
        let place = namespace as usize;
        if place >= self.namespaces.len() {
            self.namespaces.resize_with(place + 1, || None);
        }
        let Some(share) = self.namespaces.get_mut(place) else { return };
        let share = share.get_or_insert_with(|| Share { team: team.clone(), live: 0 });
        share.live += 1;
        *self.teams.entry(share.team.clone()).or_default() += 1;
    }

    /// One less.
    pub(crate) fn remove(&mut self, namespace: u32) {
        let Some(place) = self.namespaces.get_mut(namespace as usize) else { return };
        let Some(share) = place else { return };
        share.live -= 1;
        take(&mut self.teams, &share.team, 1);
        if share.live == 0 {
            *place = None;
        }
    }

    /// The namespace belongs to `team` now, and all that it has with it.
    pub(crate) fn belongs(&mut self, namespace: u32, team: &Team) {
        let Some(Some(share)) = self.namespaces.get_mut(namespace as usize) else { return };
        if share.team != *team {
            take(&mut self.teams, &share.team, share.live);
            *self.teams.entry(team.clone()).or_default() += share.live;
            share.team = team.clone();
        }
    }
}

fn take(teams: &mut HashMap<Team, usize, FixedState>, team: &Team, n: usize) {
    if let Some(live) = teams.get_mut(team) {
        *live = live.saturating_sub(n);
        if *live == 0 {
            teams.remove(team);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_takes_its_share_along() {
        let mut shares = Shares::default();
        let (a, b) = (Team::new("a"), Team::new("b"));
        for namespace in [0, 0, 1, 2] {
            shares.add(namespace, if namespace == 2 { &b } else { &a });
        }
        assert_eq!((shares.of(&a), shares.of(&b)), (3, 1));
        assert!(shares.has_room(&a, 4) && !shares.has_room(&a, 3));
        shares.belongs(0, &b);
        shares.belongs(7, &b);
        assert_eq!((shares.of(&a), shares.of(&b)), (1, 3));
        for namespace in [0, 0, 0, 1, 2, 2] {
            shares.remove(namespace);
        }
        assert!(shares.teams.is_empty());
        assert!(shares.has_room(&Team::platform(), 0));
    }
}
