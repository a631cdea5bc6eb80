//! The anomalies that are kept: of the team with the most the oldest go first, so that none takes the room of all.

use std::collections::BTreeMap;
use std::sync::Arc;

use whyd_signals::Team;
use whyd_signals::schema::Anomaly;

/// Lets so many go at the most; how many it were.
pub fn let_go(rows: &mut Vec<Arc<Anomaly>>, most: usize) -> u64 {
    let mut held: BTreeMap<&Team, usize> = BTreeMap::new();
    for row in rows.iter() {
        *held.entry(&row.team).or_default() += 1;
    }
    let Some((team, all)) = held.into_iter().max_by_key(|(_, n)| *n) else { return 0 };
    let (team, mut left, before) = (team.clone(), all.min(most), rows.len());
    rows.retain(|row| {
        let goes = left > 0 && row.team == team;
        left -= usize::from(goes);
        !goes
    });
    (before - rows.len()) as u64
}

#[cfg(test)]
mod tests {
    use whyd_signals::Timestamp;

    use super::*;

    #[test]
    fn the_oldest_of_the_team_with_the_most_go() {
        let of = |team: &str, n: i64| {
            let (text, metric) = (String::new(), String::new());
            let (namespace, pod, container) = (String::new(), String::new(), String::new());
            let (ts, team) = (Timestamp(n), Team::new(team));
            Arc::new(Anomaly {
                ts,
                team,
                namespace,
                pod,
                container,
                metric,
                score: 2.0,
                value: 1.0,
                expected: 0.0,
                text,
            })
        };
        let mut rows: Vec<_> = (0..5).map(|n| of("b", n)).chain((0..100).map(|n| of("a", n))).collect();
        assert_eq!(let_go(&mut rows, 10), 10);
        let left: Vec<_> = rows.iter().map(|row| (row.team.as_str(), row.ts.0)).collect();
        assert_eq!(left[..6], [("b", 0), ("b", 1), ("b", 2), ("b", 3), ("b", 4), ("a", 10)]);
        assert_eq!((left.len(), left.last()), (95, Some(&("a", 99))));
        assert_eq!(let_go(&mut Vec::new(), 10), 0);
    }
}
