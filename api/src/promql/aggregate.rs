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
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut groups: Vec<(Labels, Vec<usize>)> = Vec::new();
    for (n, one) in series.iter().enumerate() {
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
            Some(counts) => first_of(how.kind, counts, series, &members)?,
            None => vec![Series { labels, points: folded(how.kind, evaluation.steps.len(), series, &members) }],
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

fn folded(kind: Aggregation, steps: usize, series: &[Series], members: &[usize]) -> Vec<Point> {
    let mut all: Vec<Option<Sofar>> = vec![None; steps];
    for point in members.iter().flat_map(|n| &series[*n].points) {
        let Some(slot) = all.get_mut(point.step()) else { continue };
        match slot {
            None => *slot = Some(Sofar { count: 1.0, value: point.value }),
            Some(sofar) => {
                sofar.count += 1.0;
                sofar.value = step(kind, *sofar, point.value);
            }
        }
    }
    let result = |s: &Sofar| if kind == Aggregation::Count { s.count } else { s.value };
    all.iter().enumerate().filter_map(|(step, s)| s.as_ref().map(|s| Point::new(step, result(s)))).collect()
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
fn first_of(kind: Aggregation, counts: &[f64], series: &[Series], members: &[usize]) -> Result<Vec<Series>, Error> {
    let largest = kind == Aggregation::TopK;
    let mut kept: Vec<Vec<(f64, usize)>> = vec![Vec::new(); counts.len()];
    for member in members {
        for point in &series[*member].points {
            let (Some(slot), Some(count)) = (kept.get_mut(point.step()), counts.get(point.step())) else { continue };
            let count = whole(*count)?;
            // Of equal ones the earlier stays.
            let place = slot.partition_point(|(held, _)| ranked(*held, point.value, largest).is_le());
            if place < count {
                slot.insert(place, (point.value, *member));
                slot.truncate(count);
            }
        }
    }
    let mut places: HashMap<usize, usize> = HashMap::new();
    let mut out: Vec<Series> = Vec::new();
    for (step, (value, member)) in kept.iter().enumerate().flat_map(|(step, s)| s.iter().map(move |k| (step, *k))) {
        let place = *places.entry(member).or_insert_with(|| {
            out.push(Series { labels: series[member].labels.clone(), points: Vec::new() });
            out.len() - 1
        });
        out[place].points.push(Point::new(step, value));
    }
    Ok(out)
}

/// A parameter as a number of series; what is below one is none.
fn whole(count: f64) -> Result<usize, Error> {
    if !(-9_223_372_036_854_775_808.0..=9_223_372_036_854_775_807.0).contains(&count) {
        return Err(Error::execution(format!("Scalar value {count} overflows int64")));
    }
    Ok(count.max(0.0) as usize)
}
