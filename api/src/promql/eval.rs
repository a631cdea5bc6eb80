//! Evaluation, column by column: each node of the tree is gone through once for all steps.

use std::cell::Cell;

use whyd_signals::is_stale;

use super::aggregate::aggregate;
use super::ast::{At, Expr, Selector};
use super::binary::binary;
use super::error::Error;
use super::functions::over_time::quantile;
use super::functions::simple::Simple;
use super::functions::{Falls, Function, Window};
use super::labels::Labels;
use super::own::LOOKBACK;
use super::source::{Columns, Source};
use super::value::{Point, Series, Steps, Value, distinct};

/// How many samples a query may load and make, that of all its parts counted.
const MAX_SAMPLES: usize = 5_000_000;

/// One evaluation: where the series come from, at which instants, and what may still be loaded.
pub(crate) struct Evaluation<'a> {
    source: &'a Source<'a>,
    pub(super) steps: Steps,
    left: Cell<usize>,
}

impl<'a> Evaluation<'a> {
    pub(crate) fn new(source: &'a Source<'a>, steps: Steps) -> Self {
        Self { source, steps, left: Cell::new(MAX_SAMPLES) }
    }

    /// # Errors
    /// When the query has more samples than it may, or nobody waits for it any more.
    pub(super) fn charge(&self, samples: usize) -> Result<(), Error> {
        self.source.stop().check()?;
        let left = self.left.get().checked_sub(samples);
        let left = left.ok_or_else(|| {
            Error::execution("query processing would load too many samples into memory in query execution")
        })?;
        self.left.set(left);
        Ok(())
    }

    pub(crate) fn value(&self, expr: &Expr) -> Result<Value, Error> {
        self.charge(0)?;
        match expr {
            Expr::Number(n) => Ok(Value::Scalar(vec![*n; self.steps.len()])),
            Expr::Selector(selector) => self.select(selector).map(Value::Vector),
            Expr::Range(..) => Err(Error::bad("a range vector is no value by itself")),
            Expr::Negated(of) => self.negated(of),
            Expr::Binary(b) => binary(self, b, self.value(&b.left)?, self.value(&b.right)?),
            Expr::Aggregate(a) => {
                let parameter = a.parameter.as_ref().map(|p| self.scalar(p)).transpose()?;
                aggregate(self, a, parameter.as_deref(), &self.vector(&a.of)?).map(Value::Vector)
            }
            Expr::Call(function, arguments) => self.call(*function, arguments),
        }
    }

    fn negated(&self, of: &Expr) -> Result<Value, Error> {
        match self.value(of)? {
            Value::Scalar(values) => Ok(Value::Scalar(values.into_iter().map(|v| -v).collect())),
            Value::Vector(mut series) => {
                for one in &mut series {
                    one.labels = one.labels.nameless();
                    one.points.iter_mut().for_each(|p| p.value = -p.value);
                }
                distinct(series).map(Value::Vector)
            }
        }
    }

    // The parser has checked the types; what cannot be is empty.
    fn scalar(&self, expr: &Expr) -> Result<Vec<f64>, Error> {
        match self.value(expr)? {
            Value::Scalar(values) => Ok(values),
            Value::Vector(_) => Ok(vec![f64::NAN; self.steps.len()]),
        }
    }

    fn vector(&self, expr: &Expr) -> Result<Vec<Series>, Error> {
        match self.value(expr)? {
            Value::Vector(series) => Ok(series),
            Value::Scalar(_) => Ok(Vec::new()),
        }
    }

    fn call(&self, function: Function, arguments: &[Expr]) -> Result<Value, Error> {
        match (function, arguments) {
            (Function::Time, _) => {
                Ok(Value::Scalar((0..self.steps.len()).map(|step| self.steps.at(step) as f64 / 1000.0).collect()))
            }
            (Function::Scalar, [of]) => Ok(Value::Scalar(self.only(&self.vector(of)?))),
            (Function::Vector, [of]) => {
                let values = self.scalar(of)?;
                self.charge(values.len())?;
                let points = values.into_iter().enumerate().map(|(step, v)| Point::new(step, v)).collect();
                Ok(Value::Vector(vec![Series { labels: Labels::default(), points }]))
            }
            (Function::Sort(falling), [of]) => {
                let mut series = self.vector(of)?;
                // Of a range query the series are in order of their labels, whatever this does.
                if self.steps.len() == 1 {
                    let first = |s: &Series| s.points.first().map_or(f64::NAN, |p| p.value);
                    series.sort_by(|a, b| ranked(first(a), first(b), falling));
                }
                Ok(Value::Vector(series))
            }
            (Function::Simple(simple), [of, scalars @ ..]) => self.simple(simple, of, scalars),
            (Function::Window(function), [Expr::Range(selector, range)]) => {
                let apply = |_: usize, window: &Window<'_>| function.apply(window);
                self.over_range(selector, *range, function.keeps_name(), apply).map(Value::Vector)
            }
            (Function::Quantile, [q, Expr::Range(selector, range)]) => {
                let q = self.scalar(q)?;
                let apply = |step: usize, window: &Window<'_>| Some(quantile(*q.get(step)?, window.values));
                self.over_range(selector, *range, false, apply).map(Value::Vector)
            }
            _ => Err(Error::bad("the arguments of a function are not what it takes")),
        }
    }

    fn simple(&self, simple: Simple, of: &Expr, scalars: &[Expr]) -> Result<Value, Error> {
        let mut series = self.vector(of)?;
        let scalars: Vec<Vec<f64>> = scalars.iter().map(|s| self.scalar(s)).collect::<Result<_, _>>()?;
        let mut arguments = Vec::with_capacity(scalars.len());
        for one in &mut series {
            one.labels = one.labels.nameless();
            one.points.retain_mut(|p| {
                arguments.clear();
                arguments.extend(scalars.iter().filter_map(|s| s.get(p.step())));
                let value = simple.apply(p.value, &arguments);
                p.value = value.unwrap_or(p.value);
                value.is_some()
            });
        }
        super::value::joined(series).map(Value::Vector)
    }

    /// At each step the value of the one series that has one there, NaN where it is not one.
    fn only(&self, series: &[Series]) -> Vec<f64> {
        let mut found = vec![(0_usize, f64::NAN); self.steps.len()];
        for point in series.iter().flat_map(|s| &s.points) {
            if let Some(at) = found.get_mut(point.step()) {
                *at = (at.0 + 1, point.value);
            }
        }
        found.into_iter().map(|(count, value)| if count == 1 { value } else { f64::NAN }).collect()
    }

    /// The instant that a selector means at a step.
    fn meant(&self, selector: &Selector, step: usize) -> i64 {
        let at = match selector.at {
            None => self.steps.at(step),
            Some(At::Millis(ms)) => ms,
            Some(At::Start) => self.steps.start(),
            Some(At::End) => self.steps.end(),
        };
        at.saturating_sub(selector.offset)
    }

    /// The first and the last instant that a selector means.
    fn extent(&self, selector: &Selector) -> (i64, i64) {
        (self.meant(selector, 0), self.meant(selector, self.steps.len().saturating_sub(1)))
    }

    fn select(&self, selector: &Selector) -> Result<Vec<Series>, Error> {
        let (first, last) = self.extent(selector);
        let from = first.saturating_sub(LOOKBACK);
        let mut out = Vec::new();
        for found in self.source.find(&selector.matchers, (from, last))? {
            let mut points = Vec::new();
            if let Some(holds) = Source::holds(&found) {
                for step in 0..self.steps.len() {
                    points.extend(holds(self.meant(selector, step)).map(|v| Point::new(step, v)));
                }
            } else {
                let Columns { times, values } = self.source.samples(&found, from, last);
                let mut next = 0;
                for step in 0..self.steps.len() {
                    let at = self.meant(selector, step);
                    while times.get(next).is_some_and(|t| *t <= at) {
                        next += 1;
                    }
                    let Some(newest) = next.checked_sub(1) else { continue };
                    if times[newest] >= at.saturating_sub(LOOKBACK) && !is_stale(values[newest]) {
                        points.push(Point::new(step, values[newest]));
                    }
                }
            }
            self.charge(points.len())?;
            if !points.is_empty() {
                out.push(Series { labels: found.labels, points });
            }
        }
        Ok(out)
    }

    /// What `apply` makes of the samples of each series in the range before each step. The range slides: no sample is
    /// looked for twice.
    fn over_range(
        &self,
        selector: &Selector,
        range: i64,
        keep_name: bool,
        apply: impl Fn(usize, &Window<'_>) -> Option<f64>,
    ) -> Result<Vec<Series>, Error> {
        let (first, last) = self.extent(selector);
        let earliest = first.saturating_sub(range);
        let mut out = Vec::new();
        for found in self.source.find(&selector.matchers, (earliest, last))? {
            let Columns { times, values } = fresh(self.source.samples(&found, earliest, last));
            let falls: Vec<usize> = (1..values.len()).filter(|i| values[*i] < values[i - 1]).collect();
            let (mut low, mut high) = (0, 0);
            let mut points = Vec::new();
            for step in 0..self.steps.len() {
                let to = self.meant(selector, step);
                let from = to.saturating_sub(range);
                while times.get(high).is_some_and(|t| *t <= to) {
                    high += 1;
                }
                while low < high && times[low] < from {
                    low += 1;
                }
                if low == high {
                    continue;
                }
                // A fall to the first value of the window is not within it.
                let within = falls.partition_point(|i| *i <= low)..falls.partition_point(|i| *i < high);
                let falls = Falls { places: &falls[within], offset: low };
                let window = Window { times: &times[low..high], values: &values[low..high], from, to, falls };
                points.extend(apply(step, &window).map(|v| Point::new(step, v)));
                if step % 256 == 0 {
                    self.source.stop().check()?;
                }
            }
            self.charge(points.len())?;
            if !points.is_empty() {
                let labels = if keep_name { found.labels } else { found.labels.nameless() };
                out.push(Series { labels, points });
            }
        }
        distinct(out)
    }

    /// The samples of a range as they are, which only an instant query may ask for.
    pub(crate) fn matrix(&self, selector: &Selector, range: i64) -> Result<Vec<(Labels, Vec<(i64, f64)>)>, Error> {
        let to = self.meant(selector, 0);
        let from = to.saturating_sub(range);
        let mut out = Vec::new();
        for found in self.source.find(&selector.matchers, (from, to))? {
            let Columns { times, values } = fresh(self.source.samples(&found, from, to));
            self.charge(times.len())?;
            if !times.is_empty() {
                out.push((found.labels, times.into_iter().zip(values).collect()));
            }
        }
        Ok(out)
    }
}

/// Without stale markers.
fn fresh(columns: Columns) -> Columns {
    if !columns.values.iter().any(|v| is_stale(*v)) {
        return columns;
    }
    let kept = columns.times.into_iter().zip(columns.values).filter(|(_, v)| !is_stale(*v));
    let (times, values) = kept.unzip();
    Columns { times, values }
}

/// The order of values, NaN last in either direction.
pub(super) fn ranked(a: f64, b: f64, falling: bool) -> std::cmp::Ordering {
    let order = if falling { b.partial_cmp(&a) } else { a.partial_cmp(&b) };
    order.unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}
