//! Arithmetic, comparisons and sets between scalars and vectors.

use std::collections::{HashMap, HashSet};

use super::ast::{Binary, Many, Matching, Op};
use super::error::Error;
use super::eval::Evaluation;
use super::labels::{Labels, NAME};
use super::value::{Point, Series, Value, joined};

pub(super) fn binary(evaluation: &Evaluation<'_>, b: &Binary, left: Value, right: Value) -> Result<Value, Error> {
    let value = match (left, right) {
        (Value::Scalar(l), Value::Scalar(r)) => {
            return Ok(Value::Scalar(l.into_iter().zip(r).map(|(l, r)| of_scalars(b.op, l, r)).collect()));
        }
        (Value::Vector(l), Value::Scalar(r)) => with_scalar(b, l, &r, false)?,
        (Value::Scalar(l), Value::Vector(r)) => with_scalar(b, r, &l, true)?,
        (Value::Vector(l), Value::Vector(r)) if b.op.is_set() => sets(evaluation, b, l, &r)?,
        (Value::Vector(l), Value::Vector(r)) => matched(evaluation, b, l, r)?,
    };
    evaluation.charge(value.iter().map(|s| s.points.len()).sum())?;
    Ok(Value::Vector(value))
}

/// The value of two elements, and whether a comparison keeps it.
fn of_elements(op: Op, l: f64, r: f64) -> (f64, bool) {
    match op {
        Op::Add => (l + r, true),
        Op::Sub => (l - r, true),
        Op::Mul => (l * r, true),
        Op::Div => (l / r, true),
        Op::Mod => (l % r, true),
        Op::Pow => (l.powf(r), true),
        Op::Atan2 => (l.atan2(r), true),
        Op::Eq => (l, l == r),
        Op::Ne => (l, l != r),
        Op::Lt => (l, l < r),
        Op::Le => (l, l <= r),
        Op::Gt => (l, l > r),
        Op::Ge => (l, l >= r),
        Op::And | Op::Or | Op::Unless => (l, false),
    }
}

fn of_scalars(op: Op, l: f64, r: f64) -> f64 {
    match of_elements(op, l, r) {
        (_, keep) if op.is_comparison() => truth(keep),
        (value, _) => value,
    }
}

fn truth(yes: bool) -> f64 {
    if yes { 1.0 } else { 0.0 }
}

/// `swapped` when the scalar stands on the left. A comparison always keeps the vector's value.
fn with_scalar(b: &Binary, mut series: Vec<Series>, scalars: &[f64], swapped: bool) -> Result<Vec<Series>, Error> {
    for one in &mut series {
        one.points.retain_mut(|p| {
            let scalar = scalars.get(p.step()).copied().unwrap_or(f64::NAN);
            let (l, r) = if swapped { (scalar, p.value) } else { (p.value, scalar) };
            let (value, keep) = of_elements(b.op, l, r);
            if b.bool {
                p.value = truth(keep);
            } else if !b.op.is_comparison() {
                p.value = value;
            }
            keep || b.bool
        });
        if b.bool || b.op.drops_name() {
            one.labels = one.labels.nameless();
        }
    }
    joined(series)
}

/// What has to be the same for two series to match.
fn signature(matching: &Matching, labels: &Labels) -> Labels {
    if matching.on { labels.only(&matching.labels) } else { labels.without(&matching.labels) }
}

/// The series of each signature, by their places.
fn by_signature(matching: &Matching, series: &[Series]) -> HashMap<Labels, Vec<usize>> {
    let mut groups: HashMap<Labels, Vec<usize>> = HashMap::new();
    for (n, one) in series.iter().enumerate() {
        groups.entry(signature(matching, &one.labels)).or_default().push(n);
    }
    groups
}

/// At which steps any of these series has a value.
fn present<'a>(steps: usize, series: impl Iterator<Item = &'a Series>) -> Vec<bool> {
    let mut present = vec![false; steps];
    for point in series.flat_map(|s| &s.points) {
        if let Some(at) = present.get_mut(point.step()) {
            *at = true;
        }
    }
    present
}

fn sets(evaluation: &Evaluation<'_>, b: &Binary, left: Vec<Series>, right: &[Series]) -> Result<Vec<Series>, Error> {
    // `or` keeps all of the left and filters the right; the others filter the left.
    let (filtered, by) = if b.op == Op::Or { (right, &*left) } else { (&*left, right) };
    let groups = by_signature(&b.matching, by);
    let wanted = b.op == Op::And;
    let mut kept: Vec<(usize, Series)> = Vec::new();
    for (signature, members) in by_signature(&b.matching, filtered) {
        let others = groups.get(&signature).map_or(&[][..], Vec::as_slice);
        let there = present(evaluation.steps.len(), others.iter().map(|n| &by[*n]));
        for member in members {
            let one = &filtered[member];
            let points = one.points.iter().filter(|p| there.get(p.step()).copied().unwrap_or(false) == wanted);
            kept.push((member, Series { labels: one.labels.clone(), points: points.copied().collect() }));
        }
        evaluation.charge(0)?;
    }
    kept.sort_by_key(|(n, _)| *n);
    let kept = kept.into_iter().map(|(_, s)| s);
    if b.op == Op::Or { joined(left.into_iter().chain(kept).collect()) } else { joined(kept.collect()) }
}

/// Each series of the side that may have many with the one that matches it.
fn matched(
    evaluation: &Evaluation<'_>,
    b: &Binary,
    left: Vec<Series>,
    right: Vec<Series>,
) -> Result<Vec<Series>, Error> {
    let swapped = b.matching.many == Some(Many::Right);
    let (many, ones) = if swapped { (right, left) } else { (left, right) };
    let groups = by_signature(&b.matching, &ones);
    let steps = evaluation.steps.len();
    // A step at which one side has nothing at all is not looked at.
    let any = present(steps, many.iter());
    let mut slots: Vec<Option<(f64, usize)>> = vec![None; steps];
    let mut made: Vec<(usize, Series)> = Vec::new();
    let of_many = by_signature(&b.matching, &many);
    for (signature, candidates) in &groups {
        slots.fill(None);
        for n in candidates {
            for point in ones[*n].points.iter().filter(|p| any[p.step()]) {
                if let Some((_, other)) = slots[point.step()].replace((point.value, *n)) {
                    return Err(twice(signature, if swapped { "left" } else { "right" }, &ones[*n], &ones[other]));
                }
            }
        }
        let mut taken: HashSet<u32> = HashSet::new();
        for member in of_many.get(signature).map_or(&[][..], Vec::as_slice) {
            let mut results: Vec<(usize, Vec<Point>)> = Vec::new();
            for point in &many[*member].points {
                let Some((other, one)) = slots[point.step()] else { continue };
                let (l, r) = if swapped { (other, point.value) } else { (point.value, other) };
                let (value, keep) = of_elements(b.op, l, r);
                if !keep && !b.bool {
                    continue;
                }
                if b.matching.many.is_none() && !taken.insert(point.step) {
                    return Err(Error::execution(
                        "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
                    ));
                }
                let value = Point { step: point.step, value: if b.bool { truth(keep) } else { value } };
                match results.last_mut().filter(|(n, _)| *n == one) {
                    Some((_, points)) => points.push(value),
                    None => results.push((one, vec![value])),
                }
            }
            for (one, points) in results {
                let labels = result_labels(b, &many[*member].labels, &ones[one].labels);
                made.push((*member, Series { labels, points }));
            }
        }
        evaluation.charge(0)?;
    }
    made.sort_by_key(|(n, _)| *n);
    joined(made.into_iter().map(|(_, s)| s).collect())
}

fn result_labels(b: &Binary, many: &Labels, one: &Labels) -> Labels {
    let matching = &b.matching;
    let nameless = b.op.drops_name() || b.bool;
    let mut labels = if nameless { many.nameless() } else { many.clone() };
    if matching.many.is_none() {
        labels = if matching.on { labels.only(&matching.labels) } else { labels.minus(&matching.labels) };
    }
    for name in matching.include.iter().filter(|name| !(b.bool && *name == NAME)) {
        labels = labels.taking(name, one);
    }
    labels
}

fn twice(signature: &Labels, side: &str, one: &Series, other: &Series) -> Error {
    Error::execution(format!(
        "found duplicate series for the match group {signature} on the {side} hand-side of the operation: [{}, {}];\
         many-to-many matching not allowed: matching labels must be unique on one side",
        one.labels, other.labels
    ))
}
