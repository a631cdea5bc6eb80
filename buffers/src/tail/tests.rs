#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;

const ROOM: Room = Room { series: 10, ids: 10, received: 0 };

fn tail(rows: &[(u32, i64, u64)]) -> Tail {
    let mut tail = Tail::new(1 << 20);
    append(&mut tail, rows);
    tail
}

fn append(tail: &mut Tail, rows: &[(u32, i64, u64)]) {
    for (series, ts, bits) in rows {
        let last = tail.exact_last(*series);
        tail.append(*series, *ts, *bits, last, &ROOM);
    }
}

impl Tail {
    fn exact_last(&self, series: u32) -> i64 {
        self.segments.iter().flat_map(|s| s.block.chain(series, u32::MAX)).map(|(ts, _)| ts).max().unwrap_or(i64::MIN)
    }
}

fn asof(view: &[Visible], series: u32, at: i64) -> Option<(i64, u64)> {
    view.iter().filter_map(|v| v.asof(series, at)).max()
}

#[test]
fn only_what_is_published_is_seen() {
    let mut t = tail(&[(1, 10, 100), (2, 10, 200), (1, 20, 101)]);
    assert!(t.view().is_empty());
    t.publish(2);
    let early = t.view();
    assert_eq!(asof(&early, 1, 50), Some((10, 100)));
    t.publish(3);
    assert_eq!(asof(&t.view(), 1, 50), Some((20, 101)));
    assert_eq!(asof(&t.view(), 1, 19), Some((10, 100)));
    assert_eq!(asof(&t.view(), 1, 9), None);
    assert_eq!(asof(&t.view(), 2, 10), Some((10, 200)));
    assert_eq!(asof(&t.view(), 3, 10), None);
    assert_eq!(asof(&early, 1, 50), Some((10, 100)), "an older view stays");
}

#[test]
fn out_of_order_rows_are_found() {
    let mut t = tail(&[(1, 10, 1), (1, 30, 3), (1, 20, 2)]);
    t.publish(3);
    assert_eq!(asof(&t.view(), 1, 35), Some((30, 3)));
    assert_eq!(asof(&t.view(), 1, 25), Some((20, 2)));
    assert_eq!(t.exact(1, 20), Some(2));
    assert_eq!(t.exact(1, 25), None);
}

#[test]
fn rows_taken_back_are_gone_and_the_rest_is_linked() {
    let mut t = tail(&[(1, 10, 1)]);
    t.publish(1);
    append(&mut t, &[(1, 20, 2), (2, 20, 2), (1, 30, 3)]);
    let mut restored = Vec::new();
    t.undo(1, |series, last| restored.push((series, last)));
    assert_eq!(restored, [(1, 20), (2, i64::MIN), (1, 10)]);
    append(&mut t, &[(1, 40, 4)]);
    t.publish(t.next());
    assert_eq!(asof(&t.view(), 1, 100), Some((40, 4)));
    assert_eq!(asof(&t.view(), 1, 39), Some((10, 1)));
    assert_eq!(t.view()[0].scan().count(), 2);
    t.undo(0, |_, _| panic!("published rows stay"));
}

#[test]
fn blocks_are_taken_when_published() {
    let mut t = Tail::new(0);
    let rows: Vec<_> = (0..TINY as i64 * 2 + 5).map(|n| (n as u32 % 3, n, n as u64)).collect();
    append(&mut t, &rows);
    t.publish(TINY as u64 + 1);
    let before = t.view();
    assert_eq!(before.iter().map(|v| v.rows as usize).sum::<usize>(), TINY + 1);
    let taken = t.take(true);
    assert_eq!(taken.len(), 1, "the second block holds unpublished rows");
    t.publish(t.next());
    assert_eq!(t.take(false).len(), 1);
    assert_eq!(t.take(true).len(), 1);
    assert_eq!((t.rows(), t.bytes()), (0, 0));
    append(&mut t, &[(7, 1, 1)]);
    t.publish(t.next());
    assert_eq!(asof(&t.view(), 7, 1), Some((1, 1)));
    assert_eq!(before.iter().map(|v| v.scan().count()).sum::<usize>(), TINY + 1, "an older view stays");
}

#[test]
fn many_new_series_open_a_wider_block() {
    let mut t = tail(&[(1, 1, 1)]);
    let far = (PAGE * (SLACK + 5)) as u32;
    append(&mut t, &[(far, 2, 2), (1, 3, 3)]);
    t.publish(3);
    assert_eq!(asof(&t.view(), far, 9), Some((2, 2)));
    assert_eq!(asof(&t.view(), 1, 9), Some((3, 3)));
    assert_eq!(t.view().len(), 2);
}

#[test]
fn in_whatever_order_rows_come_each_is_found_by_its_time() {
    for seed in 0..40u64 {
        let mut random = seed;
        let mut below = |n: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % n
        };
        let mut t = Tail::new(1 << 16);
        let (mut model, mut newest) = (std::collections::BTreeMap::new(), [i64::MIN; 3]);
        // Of one seed in four all times in no order, so that walks get long.
        let reach = if seed % 4 == 0 { 4000 } else { 1 + below(30) };
        for n in 0..3000 {
            let (series, ts) = (below(3) as u32, n / 3 + 4000 - below(reach) as i64);
            let found = t.exact(series, ts);
            assert_eq!(found, model.get(&(series, ts)).copied(), "seed {seed}, row {n}");
            if found.is_none() {
                let last = &mut newest[series as usize];
                t.append(series, ts, n as u64, *last, &ROOM);
                if below(10) == 0 {
                    let from = t.next() - 1;
                    t.undo(from, |_, _| {});
                    t.publish(t.next());
                } else {
                    *last = ts.max(*last);
                    model.insert((series, ts), n as u64);
                    t.publish(t.next());
                }
            }
        }
        assert!(seed % 4 != 0 || (0..3).any(|s| t.crowded.knows(s)), "seed {seed}");
        let view = t.view();
        for series in 0..3 {
            for at in 0..5100 {
                let expected = model.range((series, i64::MIN)..=(series, at)).next_back();
                let expected = expected.map(|((_, ts), bits)| (*ts, *bits));
                assert_eq!(asof(&view, series, at), expected, "seed {seed}, series {series} at {at}");
            }
        }
        let held = t.bytes();
        t.take(true);
        assert!(!t.crowded.knows(0) && t.bytes() < held);
    }
}
