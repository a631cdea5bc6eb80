#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;
use crate::detector::synthetic::Noise;

/// Load drives memory, CPU and log lines together.
fn healthy(noise: &mut Noise) -> PodVector {
    let load = 1.0 + noise.uniform();
    let near = |value: f64, noise: &mut Noise| (value * (1.0 + 0.03 * noise.normal())) as f32;
    PodVector([
        near(0.3 * load, noise),
        near(0.5 * load, noise),
        near(20.0 * load, noise),
        noise.poisson(0.3) as f32 / 60.0,
    ])
}

fn past(rows: usize) -> (Vec<PodVector>, Noise) {
    let mut noise = Noise::new(5);
    ((0..rows).map(|_| healthy(&mut noise)).collect(), noise)
}

fn judge(model: &Model, row: &PodVector) -> Strangeness {
    model.judge(&model.residual(row), None)
}

#[test]
fn health_is_usual_and_faults_name_their_feature() {
    let (rows, mut noise) = past(240);
    let model = Model::train(&rows).unwrap();
    let false_alarms = (0..5000).filter(|_| judge(&model, &healthy(&mut noise)).score > 1.0).count();
    assert_eq!(false_alarms, 0);
    for (feature, value) in [(0, 0.98), (1, 4.0), (2, 200.0), (3, 3.0)] {
        let mut row = PodVector([0.35, 0.6, 24.0, 0.0]);
        row.0[feature] = value;
        let judged = judge(&model, &row);
        assert!(judged.score > 1.0, "{}: {judged:?}", FEATURES[feature]);
        assert_eq!(judged.strangest(), FEATURES[feature], "{judged:?}");
        assert!((judged.shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    }
}

#[test]
fn each_usual_alone_but_not_together() {
    let (rows, _) = past(240);
    let model = Model::train(&rows).unwrap();
    // As much CPU as under the highest load, as few lines as under the lowest: hung in a loop.
    let hung = PodVector([0.3, 1.0, 20.0, 0.0]);
    let idle = PodVector([0.3, 0.5, 20.0, 0.0]);
    assert!(judge(&model, &hung).score > 4.0 * judge(&model, &idle).score, "{:?}", judge(&model, &hung));
}

#[test]
fn what_befalls_all_siblings_is_no_pods_own() {
    let (rows, _) = past(240);
    let model = Model::train(&rows).unwrap();
    let flood = model.residual(&PodVector([0.9, 3.0, 90.0, 0.0]));
    let usual = model.residual(&PodVector([0.4, 0.7, 28.0, 0.0]));
    assert!(model.judge(&flood, None).score > 1.0);
    assert!(model.judge(&flood, Some(&usual)).score > 1.0);
    assert!(model.judge(&flood, Some(&flood)).score == 0.0);
    // One that stays behind is not strange while what it does is usual.
    assert!(model.judge(&usual, Some(&flood)).score < 1.0);
}

#[test]
fn odd_input_is_fine() {
    assert_eq!(Model::train(&past(MIN_ROWS - 1).0), None);
    let constant = vec![PodVector([0.5; FEATURE_COUNT]); 100];
    let model = Model::train(&constant).unwrap();
    assert_eq!(judge(&model, &constant[0]).score, 0.0);
    assert_eq!(Model::train(&[PodVector::UNKNOWN; 100]), None);
    // Nothing is known of CPU, as of a pod of which only lines come.
    let lines: Vec<PodVector> =
        past(100).0.iter().map(|row| PodVector([f32::NAN, f32::NAN, row.0[2], row.0[3]])).collect();
    let model = Model::train(&lines).unwrap();
    assert!(lines.iter().all(|row| judge(&model, row).score < 1.0));
    assert!(judge(&model, &PodVector([f32::NAN, f32::NAN, 400.0, 0.0])).score > 1.0);
}

#[test]
fn a_leader_and_its_followers_are_two_kinds() {
    let leader = [3.0, 4.0, 1.0, 0.0];
    let follower = |i: f64| [0.1 * i, 0.05 * i, 0.0, 0.0];
    let kinds = Kinds::of(&[follower(0.0), leader, follower(1.0)]).unwrap();
    assert_eq!(kinds.kind(&follower(0.5)), kinds.kind(&follower(2.0)));
    assert_ne!(kinds.kind(&follower(0.5)), kinds.kind(&leader));
    assert_eq!(Some(kinds), Kinds::of(&[follower(0.0), leader, follower(1.0)]));
    let mut noise = Noise::new(3);
    let alike: Vec<Features> = (0..16).map(|_| std::array::from_fn(|_| 2.0 * noise.normal())).collect();
    assert_eq!(Kinds::of(&alike), None);
    assert_eq!(Kinds::of(&[leader; 5]), None);
    assert_eq!(Kinds::of(&[follower(0.0), leader]), None);
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]
    #[test]
    fn no_rows_upset_training(rows in proptest::collection::vec(proptest::array::uniform4(proptest::num::f32::ANY), 0..80)) {
        let rows: Vec<PodVector> = rows.into_iter().map(PodVector).collect();
        let Some(model) = Model::train(&rows) else { return Ok(()) };
        for row in &rows {
            proptest::prop_assert!(judge(&model, row).score >= 0.0);
        }
        let scaled: Vec<Features> = rows.iter().map(|row| model.scaled(row)).collect();
        if let Some(kinds) = Kinds::of(&scaled) {
            proptest::prop_assert!(scaled.iter().all(|row| kinds.kind(row) < 2));
        }
    }
}
