//! The anomalies that are kept: of the teams with the most the oldest go first, so that none takes the room of all.

use std::collections::BTreeMap;
use std::sync::Arc;

use whyd_signals::Team;
use whyd_signals::schema::Anomaly;

/// Lets so many go at the most, the oldest of the teams that have more than is left to any; how many it were.
pub fn let_go(rows: &mut Vec<Arc<Anomaly>>, most: usize) -> u64 {
    let mut held: BTreeMap<&Team, usize> = BTreeMap::new();
    for row in rows.iter() {
        *held.entry(&row.team).or_default() += 1;
    }
    let level = level(held.values().copied().collect(), most);
    let mut over: BTreeMap<Team, usize> =
        held.into_iter().filter(|(_, n)| *n > level).map(|(team, n)| (team.clone(), n - level)).collect();
    let mut gone = 0;
    rows.retain(|row| {
        let goes = gone < most
            && over.get_mut(&row.team).is_some_and(|left| {
                let goes = *left > 0;
                *left -= usize::from(goes);
                goes
            });
        gone += usize::from(goes);
        !goes
    });
    gone as u64
}

/// The most that may be left to each of those who hold so many, where so many are to go.
fn level(mut held: Vec<usize>, most: usize) -> usize {
    held.sort_unstable_by(|a, b| b.cmp(a));
    // What the first n hold beyond the next one's.
    let (mut sum, mut level) = (0, 0);
    for (n, all) in held.iter().enumerate() {
        sum += all;
        let next = held.get(n + 1).copied().unwrap_or_default();
        level = sum.saturating_sub(most) / (n + 1);
        if level >= next {
            break;
        }
    }
    level
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
                workload: String::new(),
                trace: String::new(),
                until: ts,
                episode: 0,
            })
        };
        let mut rows: Vec<_> = (0..5).map(|n| of("b", n)).chain((0..100).map(|n| of("a", n))).collect();
        assert_eq!(let_go(&mut rows, 10), 10);
        let left: Vec<_> = rows.iter().map(|row| (row.team.as_str(), row.ts.0)).collect();
        assert_eq!(left[..6], [("b", 0), ("b", 1), ("b", 2), ("b", 3), ("b", 4), ("a", 10)]);
        assert_eq!((left.len(), left.last()), (95, Some(&("a", 99))));
        assert_eq!(let_go(&mut Vec::new(), 10), 0);
        // Of many teams that have as many each none loses what it was told last.
        let teams: Vec<String> = (0..500).map(|n| format!("team-{n}")).collect();
        let mut rows: Vec<_> = (0..20).flat_map(|n| teams.iter().map(move |team| of(team, n))).collect();
        rows.extend((0..7).map(|n| of("few", n)));
        assert_eq!(let_go(&mut rows, 1000), 1000);
        let left =
            |team: &str| rows.iter().filter(|row| row.team.as_str() == team).map(|row| row.ts.0).collect::<Vec<_>>();
        assert!(teams.iter().all(|team| left(team) == (2..20).collect::<Vec<_>>()));
        assert_eq!(left("few").len(), 7);
        // And where each has one, some have to go.
        let mut rows: Vec<_> = teams.iter().map(|team| of(team, 1)).collect();
        assert_eq!((let_go(&mut rows, 10), rows.len()), (10, 490));
    }

    #[test]
    fn those_with_the_most_come_down_to_one_level() {
        let check =
            |held: &[usize], most: usize, expected: usize| assert_eq!(level(held.to_vec(), most), expected, "{held:?}");
        check(&[100, 5], 10, 90);
        check(&[50, 60, 5], 30, 40);
        check(&[50, 60, 5], 29, 40);
        check(&[3, 3, 3], 1, 2);
        check(&[3, 3, 3], 100, 0);
        check(&[], 1, 0);
    }
}
