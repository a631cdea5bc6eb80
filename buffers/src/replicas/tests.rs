#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;
use crate::labels::tests::raw;

const SECOND: i64 = 1_000_000_000;

fn replicas(clusters: usize) -> Replicas {
    Replicas::new(ReplicaRule { clusters, ..ReplicaRule::default() })
}

/// One body of one series, received at this second; whether it is listened to.
fn heard(r: &mut Replicas, second: i64, cluster: &str, replica: &str) -> Result<bool, Refusal> {
    r.begin(Timestamp(second * SECOND));
    let judged = r.judge(&raw(&[("__name__", "up"), ("__replica__", replica), ("cluster", cluster)]), &mut Vec::new());
    r.commit();
    judged
}

#[test]
fn the_first_is_elected_until_it_is_silent_for_long() {
    let mut r = replicas(10);
    for (second, replica, expected) in [
        (0, "a", Ok(true)),
        (1, "b", Err(Refusal::Deduplicated)),
        (20, "a", Ok(true)),
        (49, "b", Err(Refusal::Deduplicated)),
        (50, "b", Ok(true)),
        (51, "a", Err(Refusal::Deduplicated)),
        // A clock that was set back does not elect anyone.
        (10, "a", Err(Refusal::Deduplicated)),
        (10, "b", Ok(true)),
        (79, "a", Err(Refusal::Deduplicated)),
        (80, "a", Ok(true)),
    ] {
        assert_eq!(heard(&mut r, second, "prod", replica), expected, "{replica} at {second}");
    }
    assert_eq!((r.clusters(), r.failovers()), (1, 2));
}

#[test]
fn clusters_are_apart_and_bounded() {
    let mut r = replicas(2);
    assert_eq!(heard(&mut r, 0, "one", "a"), Ok(true));
    assert_eq!(heard(&mut r, 10, "two", "b"), Ok(true));
    assert_eq!(heard(&mut r, 20, "three", "c"), Err(Refusal::ClusterLimit));
    assert_eq!(heard(&mut r, 25, "one", "a"), Ok(true));
    // The second is silent by now, and makes room.
    assert_eq!(heard(&mut r, 40, "three", "c"), Ok(true));
    assert_eq!(heard(&mut r, 41, "one", "b"), Err(Refusal::Deduplicated));
    assert_eq!((r.clusters(), r.failovers()), (2, 0));
    let long = "x".repeat(LONGEST + 1);
    assert_eq!(heard(&mut r, 41, "one", &long), Err(Refusal::InvalidLabels));
    assert_eq!(heard(&mut r, 41, &long, "a"), Err(Refusal::InvalidLabels));
}

#[test]
fn labels_lose_the_replica_and_nothing_else() {
    let mut r = replicas(10);
    let mut out = Vec::new();
    let mut judge = |labels: &[(&str, &str)]| r.judge(&raw(labels), &mut out).map(|of| of.then(|| out.clone()));
    let expected = raw(&[("__name__", "up"), ("cluster", "c"), ("job", "j")]);
    for labels in [
        [("__name__", "up"), ("__replica__", "a"), ("cluster", "c"), ("job", "j")],
        [("__replica__", "a"), ("__name__", "up"), ("cluster", "c"), ("job", "j")],
        [("__name__", "up"), ("cluster", "c"), ("job", "j"), ("__replica__", "a")],
    ] {
        assert_eq!(judge(&labels), Ok(Some(expected.clone())));
    }
    for labels in [
        &[("__name__", "up"), ("cluster", "c")][..],
        &[("__name__", "up"), ("__replica__", "b")],
        &[("__name__", "up"), ("__replica__", "b"), ("cluster", "")],
        &[("__name__", "up"), ("__replica__", ""), ("cluster", "c")],
        &[("__replica__", "b"), ("__replica__", "c"), ("cluster", "c")],
    ] {
        assert_eq!(judge(labels), Ok(None), "{labels:?}");
    }
    assert_eq!(r.judge(&[0xff; 9], &mut out), Ok(false));
    let mut off = Replicas::new(ReplicaRule { replica: String::new(), ..ReplicaRule::default() });
    assert_eq!(off.judge(&raw(&[("__replica__", "b"), ("cluster", "c")]), &mut out), Ok(false));
}

#[test]
fn a_body_taken_back_elects_nobody() {
    let mut r = replicas(1);
    heard(&mut r, 0, "prod", "a").unwrap();
    let before = r.elected.clone();
    // Failover, then another cluster in its place, in one body that turns out to be broken.
    r.begin(Timestamp(60 * SECOND));
    let judge = |r: &mut Replicas, cluster: &str, replica: &str| {
        r.judge(&raw(&[("__replica__", replica), ("cluster", cluster)]), &mut Vec::new())
    };
    assert_eq!(judge(&mut r, "prod", "b"), Ok(true));
    assert_eq!(judge(&mut r, "prod", "b"), Ok(true));
    assert_eq!(judge(&mut r, "other", "b"), Err(Refusal::ClusterLimit));
    r.rollback();
    r.begin(Timestamp(61 * SECOND));
    assert_eq!(judge(&mut r, "other", "b"), Ok(true));
    r.rollback();
    r.commit();
    assert_eq!((&r.elected, r.failovers()), (&before, 0));
}
