//! Aggregation: groups one after the other, each over all steps, in the order and with the sums of Prometheus 2.42.

use std::collections::HashMap;

use super::ast::{Aggregate, Aggregation};
use super::error::Error;
use super::eval::{Evaluation, ranked};
use super::functions::over_time::stays_infinite;
use super::labels::Labels;
use super::value::{Point, Series, joined};

/// One value for each group and step, or the `parameter` first of each group for `topk` and `bottomk`.
pub(super) fn aggregate(
    evaluation: &Evaluation<'_>,
    how: &Aggregate,
    parameter: Option<&[f64]>,
    series: &[Series],
) -> Result<Vec<Series>, Error> {
    if let Some(count) = parameter.into_iter().flatten().find(|count| !is_whole(**count)) {
        let count = if count.is_infinite() { if *count > 0.0 { "+Inf" } else { "-Inf" } } else { &count.to_string() };
        return Err(Error::execution(format!("Scalar value {count} overflows int64")));
    }
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut groups: Vec<(Labels, Vec<usize>)> = Vec::new();
    for (n, one) in series.iter().enumerate() {
        evaluation.charge(0)?;
        let key = if how.without { one.labels.without(&how.labels) } else { one.labels.only(&how.labels) };
        let place = *places.entry(key).or_insert_with_key(|key| {
            groups.push((key.clone(), Vec::new()));
            groups.len() - 1
        });
        groups[place].1.push(n);
    }
    let mut out = Vec::new();
    for (labels, members) in groups {
        let made = match parameter {
            Some(counts) => first_of(evaluation, how.kind, counts, series, &members)?,
            None => vec![Series { labels, points: folded(evaluation, how.kind, series, &members)? }],
        };
        evaluation.charge(made.iter().map(|s| s.points.len()).sum())?;
        out.extend(made);
    }
    joined(out)
}

/// The group's value so far; the first one that comes begins it.
#[derive(Clone, Copy)]
struct Sofar {
    count: f64,
    value: f64,
}

fn folded(
    evaluation: &Evaluation<'_>,
    kind: Aggregation,
    series: &[Series],
    members: &[usize],
) -> Result<Vec<Point>, Error> {
    let mut all: Vec<Option<Sofar>> = vec![None; evaluation.steps.len()];
    for member in members {
        evaluation.charge(0)?;
        for point in &series[*member].points {
            let Some(slot) = all.get_mut(point.step()) else { continue };
            match slot {
                None => *slot = Some(Sofar { count: 1.0, value: point.value }),
                Some(sofar) => {
                    sofar.count += 1.0;
                    sofar.value = step(kind, *sofar, point.value);
                }
            }
        }
    }
    let result = |s: &Sofar| if kind == Aggregation::Count { s.count } else { s.value };
    Ok(all.iter().enumerate().filter_map(|(step, s)| s.as_ref().map(|s| Point::new(step, result(s)))).collect())
}

fn step(kind: Aggregation, sofar: Sofar, value: f64) -> f64 {
    let Sofar { count, value: held } = sofar;
    match kind {
        Aggregation::Sum => held + value,
        Aggregation::Avg if stays_infinite(held, value) => held,
        Aggregation::Avg => held + (value / count - held / count),
        Aggregation::Min if held > value || held.is_nan() => value,
        Aggregation::Max if held < value || held.is_nan() => value,
        _ => held,
    }
}

/// The series with the `counts` largest or smallest values of each step, the values in order.
fn first_of(
    evaluation: &Evaluation<'_>,
    kind: Aggregation,
    counts: &[f64],
    series: &[Series],
    members: &[usize],
) -> Result<Vec<Series>, Error> {
    // Of equal ones the earlier comes first.
    let order = |a: &(f64, usize), b: &(f64, usize)| ranked(a.0, b.0, kind == Aggregation::TopK).then(a.1.cmp(&b.1));
    let counts: Vec<usize> = counts.iter().map(|count| count.max(0.0) as usize).collect();
    let mut kept: Vec<Vec<(f64, usize)>> = vec![Vec::new(); counts.len()];
    for member in members {
        evaluation.charge(0)?;
        for point in &series[*member].points {
            let (Some(slot), Some(count)) = (kept.get_mut(point.step()), counts.get(point.step())) else { continue };
            slot.push((point.value, *member));
            // Those behind are thrown away when they are as many as the others, so each is looked at a few times.
            if *count < slot.len() / 2 && slot.len() >= 16 {
                slot.select_nth_unstable_by(*count, order);
                slot.truncate(*count);
            }
        }
    }
    let mut places: HashMap<usize, usize> = HashMap::new();
    let mut out: Vec<Series> = Vec::new();
    for (step, (mut slot, count)) in kept.into_iter().zip(counts).enumerate() {
        evaluation.charge(0)?;
        slot.sort_unstable_by(order);
        for (value, member) in slot.into_iter().take(count) {
            let place = *places.entry(member).or_insert_with(|| {
                out.push(Series { labels: series[member].labels.clone(), points: Vec::new() });
                out.len() - 1
            });
            out[place].points.push(Point::new(step, value));
        }
    }
    Ok(out)
}

/// Whether a parameter is a number of series; one that is below one is none.
fn is_whole(count: f64) -> bool {
    (-9_223_372_036_854_775_808.0..=9_223_372_036_854_775_807.0).contains(&count)
}
