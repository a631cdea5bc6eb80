//! The functions by name: what each takes and gives. What is not in this list is refused by name.

pub(super) mod over_time;
pub(super) mod rate;
pub(super) mod simple;

use super::ast::Type;
use over_time::OverTime;
use rate::Rate;
use simple::Simple;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Function {
    /// `time()`
    Time,
    /// `scalar(v)`
    Scalar,
    /// `vector(s)`
    Vector,
    /// `sort(v)` and, when true, `sort_desc(v)`
    Sort(bool),
    /// Of each value and scalars.
    Simple(Simple),
    /// Of the samples of a range.
    Window(WindowFunction),
    /// `quantile_over_time(s, v)`
    Quantile,
}

/// What a series is over a range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum WindowFunction {
    Rate(Rate),
    OverTime(OverTime),
}

/// The samples of one series within a range, none of them a stale marker; there is at least one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window<'a> {
    /// Milliseconds, rising.
    pub(super) times: &'a [i64],
    pub(super) values: &'a [f64],
    /// The first and the last instant of the range, in milliseconds.
    pub(super) from: i64,
    pub(super) to: i64,
    /// Where in `values` one is smaller than the one before, in order.
    pub(super) falls: Falls<'a>,
}

/// Places in a series, of which `values` begins at `offset`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Falls<'a> {
    pub(super) places: &'a [usize],
    pub(super) offset: usize,
}

impl Falls<'_> {
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        self.places.iter().map(|place| place - self.offset)
    }
}

impl WindowFunction {
    pub(super) fn apply(self, window: &Window<'_>) -> Option<f64> {
        match self {
            Self::Rate(rate) => rate.apply(window),
            Self::OverTime(over) => over.apply(window),
        }
    }

    /// Whether the result is still the same measure.
    pub(super) fn keeps_name(self) -> bool {
        self == Self::OverTime(OverTime::Last)
    }
}

impl Function {
    pub(super) fn from_text(name: &str) -> Option<Self> {
        let window = |f| Self::Window(WindowFunction::OverTime(f));
        let rate = |f| Self::Window(WindowFunction::Rate(f));
        Some(match name {
            "time" => Self::Time,
            "scalar" => Self::Scalar,
            "vector" => Self::Vector,
            "sort" => Self::Sort(false),
            "sort_desc" => Self::Sort(true),
            "abs" => Self::Simple(Simple::Abs),
            "ceil" => Self::Simple(Simple::Ceil),
            "floor" => Self::Simple(Simple::Floor),
            "round" => Self::Simple(Simple::Round),
            "clamp" => Self::Simple(Simple::Clamp),
            "clamp_min" => Self::Simple(Simple::ClampMin),
            "clamp_max" => Self::Simple(Simple::ClampMax),
            "rate" => rate(Rate::PerSecond),
            "increase" => rate(Rate::Increase),
            "delta" => rate(Rate::Delta),
            "irate" => rate(Rate::Irate),
            "idelta" => rate(Rate::Idelta),
            "changes" => window(OverTime::Changes),
            "resets" => window(OverTime::Resets),
            "avg_over_time" => window(OverTime::Avg),
            "min_over_time" => window(OverTime::Min),
            "max_over_time" => window(OverTime::Max),
            "sum_over_time" => window(OverTime::Sum),
            "count_over_time" => window(OverTime::Count),
            "last_over_time" => window(OverTime::Last),
            "present_over_time" => window(OverTime::Present),
            "stddev_over_time" => window(OverTime::Stddev),
            "stdvar_over_time" => window(OverTime::Stdvar),
            "quantile_over_time" => Self::Quantile,
            _ => return None,
        })
    }

    /// The types of its arguments, and how many may be left out at the end.
    pub(super) fn takes(self) -> (&'static [Type], usize) {
        match self {
            Self::Time => (&[], 0),
            Self::Scalar | Self::Sort(_) => (&[Type::Vector], 0),
            Self::Vector => (&[Type::Scalar], 0),
            Self::Simple(Simple::Abs | Simple::Ceil | Simple::Floor) => (&[Type::Vector], 0),
            Self::Simple(Simple::Round) => (&[Type::Vector, Type::Scalar], 1),
            Self::Simple(Simple::ClampMin | Simple::ClampMax) => (&[Type::Vector, Type::Scalar], 0),
            Self::Simple(Simple::Clamp) => (&[Type::Vector, Type::Scalar, Type::Scalar], 0),
            Self::Window(_) => (&[Type::Matrix], 0),
            Self::Quantile => (&[Type::Scalar, Type::Matrix], 0),
        }
    }

    pub(super) fn returns(self) -> Type {
        match self {
            Self::Time | Self::Scalar => Type::Scalar,
            _ => Type::Vector,
        }
    }
}
