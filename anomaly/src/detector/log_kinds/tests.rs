#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use whyd_signals::Team;
use whyd_signals::templates::{Templates, TreeId};

use super::*;
use crate::detector::synthetic::Noise;
use crate::templates::Miner;

const LEARNING: Duration = Duration::from_secs(600);

/// A container with the real miner.
struct Container {
    kinds: LogKinds,
    miner: Miner,
    tree: TreeId,
    team: Team,
    told: Vec<(i64, String)>,
}

impl Container {
    fn new() -> Self {
        let (mut miner, team) = (Miner::default(), Team::new("a"));
        let tree = miner.tree(&team);
        let mut kinds = LogKinds::default();
        kinds.greet(Timestamp(0));
        Self { kinds, miner, tree, team, told: Vec::new() }
    }

    fn say(&mut self, second: i64, is_error: bool, line: &str) {
        self.say_late(second, second, is_error, line);
    }

    /// What is written at one second and received at another.
    fn say_late(&mut self, second: i64, received: i64, is_error: bool, line: &str) {
        let shape = self.miner.template_of(self.tree, line);
        let (resolver, team) = (self.miner.resolver(), self.team.clone());
        let ts = Timestamp(second * 1_000_000_000);
        let told = &mut self.told;
        let received = Timestamp(received * 1_000_000_000);
        self.kinds.observe((ts, is_error, shape), received, LEARNING, &|id| resolver.resolve(&team, id), &mut |t| {
            told.push((second, format!("{t:?}")));
        });
    }

    /// A server that is well, from one second to another.
    fn serve(&mut self, seconds: std::ops::Range<i64>, heartbeat: bool) {
        let mut noise = Noise::new(3);
        for s in seconds {
            for _ in 0..noise.poisson(1.0) {
                self.say(s, false, &format!("handled request {} in {} ms", noise.bits() % 1000, noise.bits() % 90));
            }
            if heartbeat && s % 30 == 0 {
                self.say(s, false, "heartbeat sent to the coordinator");
            }
            if noise.uniform() < 0.002 {
                self.say(s, true, &format!("could not write to peer {}: broken pipe", noise.bits() % 9));
            }
        }
    }
}

#[test]
fn a_container_that_is_well_tells_nothing() {
    let mut one = Container::new();
    one.serve(0..40_000, true);
    assert_eq!(one.told, []);
}

#[test]
fn an_error_that_was_never_there_is_told_at_its_first_line_and_once() {
    let mut one = Container::new();
    one.serve(0..10_800, true);
    for s in 10_800..10_900 {
        one.say(s, true, &format!("connection refused to 10.0.0.{}:5432", s % 7));
    }
    assert_eq!(one.told.len(), 1, "{:?}", one.told);
    assert_eq!(one.told[0].0, 10_800);
    assert!(one.told[0].1.starts_with("NewError") && one.told[0].1.contains("connection refused to"), "{:?}", one.told);
    // Before it has learnt nothing is new.
    let mut young = Container::new();
    young.serve(0..1200, true);
    young.say(1200, true, "connection refused to 10.0.0.1:5432");
    assert_eq!(young.told, []);
}

#[test]
fn what_is_no_error_is_told_where_it_comes_in_number() {
    let mut one = Container::new();
    one.serve(0..10_800, true);
    one.say(10_800, false, "configuration read again by signal");
    one.serve(10_801..11_400, true);
    assert_eq!(one.told, [], "one line of it");
    for s in 11_400..11_460 {
        one.say(s, false, "queue is full and the message waits");
    }
    assert!(one.told.len() == 1 && one.told[0].1.contains("NewInNumber"), "{:?}", one.told);
    // What a new pod says may be what its version says.
    let mut other = Container::new();
    other.serve(0..10_800, true);
    other.kinds.greet(Timestamp(10_800_000_000_000));
    for s in 10_800..10_900 {
        other.say(s, false, "a line of the next version here");
    }
    assert_eq!(other.told, []);
}

#[test]
fn shapes_that_come_together_later_are_not_new() {
    let mut one = Container::new();
    let names = ["ann", "bob", "eve", "dan", "joe", "kim", "lee", "max", "tom", "zoe"];
    let say = |one: &mut Container, s: i64, name: &str| {
        one.say(s, true, &format!("session of user {name} could not be opened"));
    };
    one.serve(0..7200, true);
    for (n, name) in (0..).zip(names) {
        say(&mut one, 7200 + n * 600, name);
        one.serve(7201 + n * 600..7800 + n * 600, true);
    }
    // Of what is not known for a variable, two at the most.
    assert!(one.told.len() <= 2, "{:?}", one.told);
    let before = one.told.len();
    for (n, name) in (0..).zip(["uma", "ida", "pia"]) {
        say(&mut one, 13_200 + n * 600, name);
    }
    assert_eq!(one.told.len(), before, "{:?}", one.told);
}

#[test]
fn a_heartbeat_that_stops_is_missed_while_others_go_on_and_not_after_a_silence() {
    let mut one = Container::new();
    one.serve(0..7200, true);
    one.serve(7200..9000, false);
    assert_eq!(one.told.len(), 1, "{:?}", one.told);
    let (at, text) = &one.told[0];
    assert!((7560..7720).contains(at) && text.contains("Vanished") && text.contains("heartbeat"), "{:?}", one.told);
    let mut silent = Container::new();
    silent.serve(0..7200, true);
    silent.serve(20_000..22_000, true);
    assert_eq!(silent.told, []);
    // Another pod may be another version.
    let mut rolled = Container::new();
    rolled.serve(0..7200, true);
    rolled.kinds.greet(Timestamp(7_200_000_000_000));
    rolled.serve(7200..9000, false);
    assert_eq!(rolled.told, []);
}

#[test]
fn a_flood_of_shapes_is_bounded_and_counted_and_its_end_is_survived() {
    let mut one = Container::new();
    let mut noise = Noise::new(9);
    let word = |noise: &mut Noise| -> String { (0..8).map(|_| char::from(b'a' + (noise.bits() % 26) as u8)).collect() };
    for s in 0..20_000 {
        let (a, b) = (word(&mut noise), word(&mut noise));
        one.say(s, s % 2 == 0, &format!("{a} {b} alpha {a} {b}"));
    }
    assert!(one.kinds.passed_over() > 10_000, "{}", one.kinds.passed_over());
    // What says new things all the time is told hardly ever.
    assert!(one.told.len() <= 3, "{}", one.told.len());
}

#[test]
fn a_heartbeat_that_goes_on_is_not_missed_in_a_flood_of_shapes() {
    let (mut kinds, mut missed) = (LogKinds::default(), Vec::new());
    // Shape 1 is the heartbeat, all others come together as one template.
    let resolve = |id: TemplateId| {
        let text = if id.0 == 1 { "heartbeat" } else { "user <*> has logged in" };
        Some(Template { id: TemplateId(id.0.min(2)), text: text.into() })
    };
    for s in 0..20_000 {
        let ts = Timestamp(s * 1_000_000_000);
        let beats = s % 60 == 20 || s % 60 == 50;
        let user = (s >= 7200).then_some(2 + s as u64 % 150);
        for shape in user.into_iter().chain(beats.then_some(1)) {
            let line = (ts, false, TemplateId(shape));
            kinds.observe(line, ts, LEARNING, &resolve, &mut |told| missed.push((s, told)));
        }
    }
    missed.retain(|(_, told)| matches!(told, Told::Vanished { .. }));
    assert_eq!(missed, []);
}

#[test]
fn what_another_pod_still_has_to_say_is_not_missed_while_lines_come_late() {
    let mut one = Container::new();
    one.serve(0..7200, true);
    // After a pause all is received at once, what one pod wrote and then what the other did.
    for s in 7200..8400 {
        one.say_late(s, 8400, false, &format!("handled request {s} in {} ms", s % 90));
    }
    for s in (7200..8400).step_by(30) {
        one.say_late(s, 8401, false, "heartbeat sent to the coordinator");
    }
    one.serve(8402..12_000, true);
    assert_eq!(one.told, []);
    one.serve(12_000..13_000, false);
    assert_eq!(one.told.len(), 1, "{:?}", one.told);
}

#[test]
fn a_line_that_is_dated_ahead_is_one_of_now() {
    let mut one = Container::new();
    one.serve(0..7200, true);
    one.say_late(7800, 7200, false, "handled request 7 in 7 ms");
    // Were the minute that of the line, no new shape would be looked at until then.
    for n in 0..9 {
        let line = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"][n];
        one.say(7201 + n as i64 * 50, false, &format!("{line} {line} {line}"));
    }
    assert_eq!(one.kinds.passed_over(), 0);
}

#[test]
fn room_for_kinds_is_made_up_to_the_bound_and_no_further() {
    let mut one = Container::new();
    for n in 0..300i64 {
        let word = |k: i64| char::from(b'a' + (k % 26) as u8).to_string().repeat(4 + k as usize % 5);
        one.say(n * 30, false, &format!("{} {} {}", word(n), word(n / 26 + n * 7), word(n * 3 + 1)));
        assert!(one.kinds.table.room_of_kinds() <= 48, "{}", one.kinds.table.room_of_kinds());
    }
    assert_eq!(one.kinds.table.room_of_kinds(), 48);
}

#[test]
fn what_is_written_is_read_back_and_goes_on_alike() {
    let (mut one, mut two) = (Container::new(), Container::new());
    one.serve(0..7200, true);
    two.serve(0..7200, true);
    let written = rmp_serde::to_vec(&one.kinds).unwrap();
    two.kinds = rmp_serde::from_slice(&written).unwrap();
    assert_eq!(rmp_serde::to_vec(&two.kinds).unwrap(), written);
    one.serve(7200..9000, false);
    two.serve(7200..9000, false);
    assert!(one.told == two.told && one.told.len() == 1, "{:?} and {:?}", one.told, two.told);
}

#[test]
fn what_goes_when_people_go_is_missed_on_two_days_and_what_goes_before_they_do_is() {
    let mut one = Container::new();
    let mut noise = Noise::new(5);
    for s in (0..7 * 86_400).step_by(10) {
        let (day, hour) = (s / 86_400, s % 86_400 / 3600);
        if s % 30 == 0 {
            one.say(s, false, "heartbeat sent to the coordinator");
        }
        if (8..if day == 5 { 12 } else { 18 }).contains(&hour) && noise.uniform() < 0.9 {
            one.say(s, false, &format!("handled request {} in {} ms", noise.bits() % 1000, noise.bits() % 90));
        }
    }
    let days: Vec<i64> = one.told.iter().map(|(s, _)| s / 86_400).collect();
    assert_eq!(days, [0, 1, 5], "{:?}", one.told);
}

#[test]
fn a_clock_that_was_ahead_for_a_while_hides_nothing_that_stops() {
    let mut one = Container::new();
    let mut noise = Noise::new(3);
    for s in 0..12_000 {
        // A line is late where the receipt's clock is a day ahead.
        let received = if (6000..6060).contains(&s) { s + 86_400 } else { s };
        for _ in 0..noise.poisson(1.0) {
            let line = format!("handled request {} in {} ms", noise.bits() % 1000, noise.bits() % 90);
            one.say_late(s, received, false, &line);
        }
        if s % 30 == 0 && s < 10_000 {
            one.say_late(s, received, false, "heartbeat sent to the coordinator");
        }
    }
    assert!(matches!(one.told[..], [(10_000..11_000, ref text)] if text.contains("heartbeat")), "{:?}", one.told);
}

#[test]
fn a_container_that_has_much_to_say_says_little_that_is_new() {
    // As many kinds, each rarer than the one before, that they come now and then; and one that never came.
    for (kinds, seed) in [(60, 1), (60, 2), (100, 3), (150, 4)] {
        let mut noise = Noise::new(seed);
        let weights: Vec<f64> = (1..=kinds).map(|rank| 1.0 / f64::from(rank * rank)).collect();
        let all: f64 = weights.iter().sum();
        let (mut kinds, mut second, mut told) = (LogKinds::default(), 0.0, Vec::new());
        while second < 8.0 * 86_400.0 {
            second -= 4.0 * noise.uniform().max(1e-300).ln();
            let mut draw = noise.uniform() * all;
            let kind = weights.iter().position(|weight| {
                draw -= weight;
                draw <= 0.0
            });
            let kind = kind.unwrap_or_default() as u64;
            let ts = Timestamp((second * 1e9) as i64);
            let text = |id: TemplateId| format!("k{0} does {0} what {0} it {0} does", id.0);
            let resolve = |id: TemplateId| Some(Template { id, text: text(id).into() });
            let line = (ts, kind % 5 == 3, TemplateId(kind + 1));
            kinds.observe(line, ts, LEARNING, &resolve, &mut |_| told.push((second / 86_400.0) as u32));
        }
        let late = told.iter().filter(|day| **day >= 2).count();
        assert!(late <= 3, "{}: {told:?}", weights.len());
    }
}

#[test]
fn after_a_clock_that_was_ahead_kinds_are_new_and_vanish_as_before() {
    for ahead in [7 * 3600, 90 * 86_400] {
        let mut container = Container::new();
        container.serve(0..6 * 3600, true);
        // For a minute of the receipt it is then, and a pod comes in it.
        container.kinds.greet(Timestamp((6 * 3600 + ahead) * 1_000_000_000));
        container.serve(6 * 3600 + ahead..6 * 3600 + ahead + 60, true);
        container.say(6 * 3600 + ahead + 60, false, "the moon is full");
        container.told.clear();
        container.serve(6 * 3600 + 60..7 * 3600, true);
        assert_eq!(container.told, [], "nothing has happened");
        container.say(7 * 3600, true, "connection to the ledger was refused");
        assert!(container.told.len() == 1 && container.told[0].1.starts_with("NewError"), "{:?}", container.told);
        container.serve(7 * 3600..8 * 3600, false);
        assert!(container.told.iter().any(|(_, told)| told.starts_with("Vanished")), "{:?}", container.told);
    }
}
