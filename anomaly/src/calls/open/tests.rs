#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp(second * 1_000_000_000)
}

fn web() -> Writer {
    Writer::of(5 << 8, 0)
}

fn cart() -> Writer {
    Writer::of(6 << 8, 0)
}

const SOMEBODY: Writer = Writer::SOMEBODY;

/// How many lines and requests an owner holds.
fn held(requests: &Requests, owner: u64) -> usize {
    requests.open.values().filter(|open| open.owner == owner).map(|open| open.lines.len() + LINES_OF_REQUEST).sum()
}

#[test]
fn a_request_is_over_when_nothing_more_of_it_comes() {
    let mut requests = Requests::new(1000);
    for second in [0, 10, 20] {
        requests.take((1, 7), (second, web()), at(second));
        assert_eq!(requests.over(at(second)), None);
    }
    assert_eq!(requests.over(at(34)), None);
    assert_eq!(requests.over(at(35)), Some((1, 7, vec![(0, web()), (10, web()), (20, web())])));
    assert_eq!((requests.over(at(99)), requests.total, requests.shares.len()), (None, 0, 0));
    (0..70).for_each(|second| _ = requests.take((1, 7), (second, web()), at(second)));
    assert_eq!(requests.over(at(59)), None);
    assert_eq!(requests.over(at(60)).map(|(.., lines)| lines.len()), Some(70), "one that does not end");
}

#[test]
fn who_has_many_leaves_room_for_others_and_is_looked_at_whole_where_it_is() {
    let mut requests = Requests::new(4000);
    let mut sent = 0;
    let mut take = |requests: &mut Requests, owner: u64, n: u64| {
        (0..4).for_each(|line| _ = requests.take((owner, (owner << 32) | n), (line, web()), at(0)));
        sent += 4;
    };
    (0..2000).for_each(|n| take(&mut requests, 1, n));
    assert!(requests.total * 2 <= requests.most + 16 && held(&requests, 1) > 300, "{}", requests.total);
    for owner in [2, 3] {
        (0..20).for_each(|n| take(&mut requests, owner, n));
        assert_eq!(held(&requests, owner), 20 * (4 + LINES_OF_REQUEST), "it has little and gets all");
    }
    let all: usize = [1, 2, 3].map(|owner| held(&requests, owner)).into_iter().sum();
    assert_eq!((all, requests.due.len()), (requests.total, requests.open.len()));
    let lines: u64 = requests.open.values().map(|open| open.lines.len() as u64).sum();
    assert_eq!(requests.refused, sent - lines);
    let over: Vec<_> = std::iter::from_fn(|| requests.over(at(15))).collect();
    let whole = over.iter().filter(|(.., lines)| lines.len() == 4).count();
    assert!(whole + 20 > over.len(), "all but those of the moment: {whole} of {}", over.len());
    assert_eq!((requests.total, requests.open.len()), (0, 0));
}

#[test]
fn less_is_more_again() {
    let mut requests = Requests::new(4000);
    // It always has one of two under way, since one that has nothing begins anew.
    let always: Vec<u64> = (0..).filter(|request| is_looked_at(*request, 12)).take(2).collect();
    let mut level = |seconds: std::ops::Range<i64>, each: u64| {
        for second in seconds {
            let others = (0..each).map(|n| (1 << 40) | ((second as u64) << 8) | n);
            for request in always.iter().skip(usize::from(second < 30)).copied().chain(others) {
                requests.take((1, request), (0, web()), at(second));
            }
            while requests.over(at(second)).is_some() {}
        }
        requests.shares[&1].level
    };
    let most = level(0..60, 100);
    assert!(most > 2, "{most}");
    assert_eq!(level(60..60 + i64::from(most + 1) * 2 * LONGEST.as_secs() as i64, 1), 0);
}

#[test]
fn each_owner_learns_that_another_was_there_and_no_more() {
    let mut requests = Requests::new(1000);
    requests.take((1, 7), (0, web()), at(0));
    requests.take((2, 7), (3, cart()), at(0));
    requests.take((1, 7), (9, web()), at(0));
    requests.take((2, 8), (1, cart()), at(0));
    let mut over: Vec<_> = std::iter::from_fn(|| requests.over(at(15))).collect();
    over.sort();
    let own = vec![(2, 7, vec![(0, SOMEBODY), (3, cart()), (9, SOMEBODY)]), (2, 8, vec![(1, cart())])];
    assert_eq!(over, [vec![(1, 7, vec![(0, web()), (3, SOMEBODY), (9, web())])], own].concat());
    let held: usize = requests.shares.values().map(|share| share.held).sum();
    assert_eq!((requests.total, requests.owners.len(), held), (0, 0, 0));
    // What they have in common is known for a while.
    assert_eq!(requests.shares.len(), 2);
}

#[test]
fn lines_of_others_take_no_room_and_are_no_job() {
    let mut requests = Requests::new(1000);
    requests.take((1, 7), (0, web()), at(0));
    for n in 1..5000 {
        requests.take((2, 7), (n, cart()), at(0));
        requests.take((3, (1 << 40) | n as u64), (n, cart()), at(0));
        assert!(requests.total <= requests.most);
    }
    requests.take((1, 7), (6000, web()), at(0));
    assert_eq!((requests.shares[&1].level, held(&requests, 1)), (0, 2 + LINES_OF_REQUEST));
    let over = std::iter::from_fn(|| requests.over(at(15)));
    let own: Vec<_> = over.filter(|(owner, ..)| *owner == 1).map(|(.., lines)| lines).collect();
    assert_eq!(own, [[(0, web()), (1, SOMEBODY), (6000, web())]]);
}

#[test]
fn what_is_left_out_of_one_is_left_out_of_its_company() {
    let mut requests = Requests::new(2000);
    let mut alone = 0;
    for second in 0..600 {
        for n in 0..100 {
            let request = (second as u64 * 1000 + n) << 1;
            (0..4).for_each(|line| _ = requests.take((1, request), (line, web()), at(second)));
            // The first of them has lines of another, which come later.
            if n == 0 {
                requests.take((2, request), (1, cart()), at(second));
            }
            requests.take((3, request + 1), (1, cart()), at(second));
        }
        while let Some((owner, _, lines)) = requests.over(at(second)) {
            alone += usize::from(second > 60 && owner == 2 && lines.len() == 1);
        }
    }
    assert!(requests.shares[&1].level > 1);
    assert_eq!((alone, requests.level(2, at(600))), (0, requests.shares[&1].level));
    assert_eq!(requests.level(3, at(600)), requests.shares[&3].level, "it has nothing in common with them");
    assert_eq!(requests.level(2, at(600).plus(AWAY)), 0, "not any more");
}

#[test]
fn late_is_what_lies_among_lines_that_were_looked_at() {
    let mut requests = Requests::new(1000);
    let take = |requests: &mut Requests, line: i64, second: i64| {
        while requests.over(at(second)).is_some() {}
        requests.take((1, 7), (line, web()), at(second))
    };
    assert!(!take(&mut requests, 5, 0) && !take(&mut requests, 9, 14) && !take(&mut requests, 7, 28));
    assert!(take(&mut requests, 8, 50));
    assert!(!take(&mut requests, 12, 51), "the request goes on");
    assert!(take(&mut requests, 11, 80) && !take(&mut requests, 13, 80));
    let mut resumed = Requests::new(1000);
    resumed.resume(requests);
    assert!(take(&mut resumed, 11, 120));
}

#[test]
fn what_came_by_a_clock_that_was_ahead_holds_no_room() {
    let mut requests = Requests::new(100);
    (0..50).for_each(|n| _ = requests.take((1, n), (0, web()), at(1_000_000)));
    assert!(requests.shares[&1].level > 0);
    assert_eq!((requests.over(at(10)), requests.open.len(), requests.total), (None, 0, 0));
    requests.take((1, 7), (10, web()), at(10));
    assert_eq!(requests.over(at(25)), Some((1, 7, vec![(10, web())])));
}

#[test]
fn nothing_is_left_to_look_at_of_what_is_left_out() {
    let mut requests = Requests::new(200);
    for n in 0..100 {
        requests.take((1, n), (0, web()), at(0));
        requests.take((1, n), (1, web()), at(9));
    }
    assert_eq!(requests.due.len(), requests.open.len());
    while requests.over(at(16)).is_some() {}
    assert_eq!(requests.due.len(), requests.open.len());
}

#[test]
fn a_job_is_no_request_and_holds_nothing() {
    let mut requests = Requests::new(10_000);
    (0..5000).for_each(|n| _ = requests.take((1, 7), (n, web()), at(0)));
    assert!(requests.total == LINES_OF_REQUEST && requests.refused == 0, "{}", requests.total);
    assert_eq!((requests.over(at(100)), requests.open.len(), requests.total), (None, 0, 0));
}
