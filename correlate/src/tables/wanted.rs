//! What the filters of a query leave of a table, as far as a scan judges it by itself and exactly.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};
use whyd_buffers::{Level, Levels, SeriesMeta, StreamMeta};
use whyd_signals::{SeriesId, Team, Timestamp};

use super::{Range, Source};

/// No bound.
const ALL: Range = (Timestamp::MIN, Timestamp::MAX);

/// The rows that are wanted: those for which all of it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// From the first to the last time, both included.
    pub(crate) range: Range,
    /// By column, what its text may be. Empty text is NULL and equals nothing.
    texts: BTreeMap<&'static str, BTreeSet<String>>,
    /// Which series.
    pub(super) series: Option<BTreeSet<SeriesId>>,
}

impl Wanted {
    /// Everything.
    pub(super) fn all() -> Self {
        Self { range: ALL, texts: BTreeMap::new(), series: None }
    }

    /// What all of these filters together leave; those that a scan cannot judge are passed over.
    pub(super) fn of_all(source: &Source, filters: &[Expr]) -> Self {
        filters.iter().filter_map(|f| Self::of(source, f)).fold(Self::all(), Self::and)
    }

    /// What one filter leaves; `None` where a scan of this table cannot judge it.
    pub(super) fn of(source: &Source, filter: &Expr) -> Option<Self> {
        match filter {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
                Some(Self::of(source, left)?.and(Self::of(source, right)?))
            }
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
                Self::of(source, left)?.or(Self::of(source, right)?)
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                let (column, op, value) = match (column(left), column(right)) {
                    (Some(name), None) => (name, *op, literal(right)?),
                    (None, Some(name)) => (name, op.swap()?, literal(left)?),
                    _ => return None,
                };
                Self::compared(source, column, op, value)
            }
            Expr::Between(Between { expr, negated: false, low, high }) => {
                let name = column(expr)?;
                let from = Self::compared(source, name, Operator::GtEq, literal(low)?)?;
                Some(from.and(Self::compared(source, name, Operator::LtEq, literal(high)?)?))
            }
            Expr::InList(InList { expr, list, negated: false }) => {
                let name = column(expr)?;
                let mut each = list.iter().map(|e| Self::compared(source, name, Operator::Eq, literal(e)?));
                let first = each.next()??;
                each.try_fold(first, |all, next| all.or(next?))
            }
            _ => None,
        }
    }

    fn compared(source: &Source, column: &str, op: Operator, value: &ScalarValue) -> Option<Self> {
        let mut wanted = Self::all();
        match value {
            ScalarValue::TimestampNanosecond(Some(ns), _) if column == "ts" && source.is_by_time() => {
                wanted.range = bound(op, *ns)?;
            }
            ScalarValue::UInt32(Some(id)) if column == "series_id" && op == Operator::Eq => {
                source.has_series().then_some(())?;
                wanted.series = Some(BTreeSet::from([SeriesId(*id)]));
            }
            ScalarValue::Utf8(Some(text)) if op == Operator::Eq => {
                let name = source.judged().iter().find(|name| **name == column)?;
                let texts = Some(text.clone()).filter(|t| !t.is_empty()).into_iter().collect();
                wanted.texts.insert(name, texts);
            }
            _ => return None,
        }
        Some(wanted)
    }

    /// What both leave.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.range = (self.range.0.max(other.range.0), self.range.1.min(other.range.1));
        for (name, texts) in other.texts {
            let both = match self.texts.get(name) {
                Some(own) => own.intersection(&texts).cloned().collect(),
                None => texts,
            };
            self.texts.insert(name, both);
        }
        self.series = match (self.series, other.series) {
            (Some(a), Some(b)) => Some(a.intersection(&b).copied().collect()),
            (a, b) => a.or(b),
        };
        self
    }

    /// What either leaves, where both judge one column, the same one, and not the time.
    fn or(mut self, other: Self) -> Option<Self> {
        match (self.texts.len(), other.texts.len()) {
            (1, 1) if self.series.is_none() && other.series.is_none() => {
                let (name, texts) = self.texts.pop_first()?;
                let more = other.texts.get(name)?;
                self.texts.insert(name, texts.union(more).cloned().collect());
            }
            (0, 0) => self.series = Some(self.series?.union(&other.series?).copied().collect()),
            _ => return None,
        }
        (self.range == ALL && other.range == ALL).then_some(self)
    }

    fn allows(&self, name: &str, value: &str) -> bool {
        self.texts.get(name).is_none_or(|texts| texts.contains(value))
    }

    /// Names of metrics, where only some are wanted.
    pub(super) fn metrics(&self) -> Option<&BTreeSet<String>> {
        self.texts.get("name")
    }

    /// Whether the metric is all that it says of series.
    pub(super) fn only_names(&self) -> bool {
        self.series.is_none() && self.texts.keys().all(|name| *name == "name")
    }

    /// Whether this series is wanted.
    pub(super) fn series_fits(&self, id: SeriesId, meta: &SeriesMeta, team: impl FnOnce() -> Team) -> bool {
        self.series.as_ref().is_none_or(|some| some.contains(&id))
            && self.allows("name", &meta.name)
            && self.allows("namespace", &meta.namespace)
            && self.allows("pod", &meta.pod)
            && self.allows("container", &meta.container)
            && self.allows("node", &meta.node)
            && (!self.texts.contains_key("team") || self.allows("team", team().as_str()))
    }

    /// Whether the lines of this stream are wanted.
    pub(super) fn stream_fits(&self, meta: &StreamMeta, team: impl FnOnce() -> Team) -> bool {
        self.allows("namespace", &meta.namespace)
            && self.allows("pod", &meta.pod)
            && self.allows("container", &meta.container)
            && (!self.texts.contains_key("team") || self.allows("team", team().as_str()))
    }

    /// Whether it says anything of series but their ids.
    pub(super) fn judges_series(&self) -> bool {
        !self.texts.is_empty()
    }

    /// Whether it says anything of streams.
    pub(super) fn judges_streams(&self) -> bool {
        self.texts.keys().any(|name| *name != "level")
    }

    /// Levels, where only some are wanted.
    pub(super) fn levels(&self) -> Option<Levels> {
        const ALL: [Level; 6] = [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error, Level::Fatal];
        let wanted = self.texts.get("level")?;
        Some(ALL.into_iter().filter(|level| wanted.contains(level.as_str())).collect())
    }
}

/// As `EXPLAIN` shows it.
impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.range.0 > ALL.0 {
            write!(f, ", from={}", self.range.0)?;
        }
        if self.range.1 < ALL.1 {
            write!(f, ", to={}", self.range.1)?;
        }
        for (name, texts) in &self.texts {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            write!(f, ", {name}={}", texts.join("|"))?;
        }
        match &self.series {
            Some(some) if some.len() == 1 => some.iter().try_for_each(|id| write!(f, ", series_id={}", id.0)),
            Some(some) => write!(f, ", series_id=one of {}", some.len()),
            None => Ok(()),
        }
    }
}

fn column(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Column(c) => Some(&c.name),
        _ => None,
    }
}

/// A value as the analyzer leaves it: of the column's own type.
fn literal(expr: &Expr) -> Option<&ScalarValue> {
    match expr {
        Expr::Literal(value, _) => Some(value),
        _ => None,
    }
}

fn bound(op: Operator, at: i64) -> Option<Range> {
    let none = (Timestamp::MAX, Timestamp::MIN);
    let at_time = Timestamp(at);
    match op {
        Operator::Eq => Some((at_time, at_time)),
        Operator::LtEq => Some((Timestamp::MIN, at_time)),
        Operator::GtEq => Some((at_time, Timestamp::MAX)),
        Operator::Lt => Some(at.checked_sub(1).map_or(none, |at| (Timestamp::MIN, Timestamp(at)))),
        Operator::Gt => Some(at.checked_add(1).map_or(none, |at| (Timestamp(at), Timestamp::MAX))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use datafusion::prelude::{col, lit};

    use super::*;

    fn at(ns: i64) -> Expr {
        lit(ScalarValue::TimestampNanosecond(Some(ns), Some("UTC".into())))
    }

    fn range(filter: &Expr) -> Option<(i64, i64)> {
        Wanted::of(&Source::Logs, filter).map(|w| (w.range.0.0, w.range.1.0))
    }

    #[test]
    fn bounds_are_read_from_either_side_and_exactly() {
        assert_eq!(range(&col("ts").gt_eq(at(5))), Some((5, i64::MAX)));
        assert_eq!(range(&at(5).lt(col("ts"))), Some((6, i64::MAX)));
        assert_eq!(range(&at(5).gt_eq(col("ts"))), Some((i64::MIN, 5)));
        assert_eq!(range(&col("ts").lt(at(5))), Some((i64::MIN, 4)));
        assert_eq!(range(&col("ts").eq(at(5))), Some((5, 5)));
        assert_eq!(range(&col("ts").between(at(3), at(5))), Some((3, 5)));
        let none = range(&col("ts").lt(at(i64::MIN))).unwrap();
        assert!(none.0 > none.1);
        let both = [col("ts").gt(at(1)), col("ts").lt(at(9)), col("line").eq(lit("x"))];
        assert_eq!(Wanted::of_all(&Source::Logs, &both).range, (Timestamp(2), Timestamp(8)));
    }

    #[test]
    fn what_is_not_judged_exactly_is_left_to_the_filter() {
        for filter in [
            col("ts").gt(at(1)).or(col("ts").lt(at(0))),
            col("ts").gt(at(1)).and(col("line").eq(lit("x"))),
            col("ts").not_between(at(3), at(5)),
            col("ts").not_eq(at(3)),
            col("ts").gt(lit("2026-11-22")),
            col("pod").eq(lit("a")).or(col("container").eq(lit("a"))),
            col("pod").eq(lit("a")).or(col("ts").gt(at(1))),
            col("pod").in_list(vec![lit("a")], true),
            col("pod").in_list(vec![lit("a"), col("container")], false),
            col("pod").gt(lit("a")),
            col("pod").eq(col("container")),
        ] {
            assert_eq!(Wanted::of(&Source::Logs, &filter), None, "{filter}");
        }
        assert_eq!(Wanted::of(&Source::Series, &col("ts").gt(at(1))), None);
        assert_eq!(Wanted::of(&Source::Samples, &col("name").eq(lit("a"))), None);
    }

    #[test]
    fn texts_and_series() {
        let names = ["a", "b", "c", "d"].map(lit).to_vec();
        let some = Wanted::of(&Source::Series, &col("name").in_list(names, false)).unwrap();
        let two = Wanted::of(&Source::Series, &col("name").eq(lit("b")).or(lit("x").eq(col("name")))).unwrap();
        assert_eq!(some.and(two).metrics().unwrap().iter().collect::<Vec<_>>(), ["b"]);
        let empty = Wanted::of(&Source::Series, &col("name").eq(lit(""))).unwrap();
        assert_eq!(empty.metrics().unwrap().len(), 0, "NULL equals nothing");
        let ids = col("series_id").eq(lit(3_u32)).or(col("series_id").eq(lit(5_u32)));
        let wanted = Wanted::of(&Source::Samples, &ids).unwrap();
        assert_eq!(wanted.series.unwrap().into_iter().map(|id| id.0).collect::<Vec<_>>(), [3, 5]);
        let level = Wanted::of(&Source::Logs, &col("level").eq(lit("error"))).unwrap();
        assert_eq!((level.levels(), level.judges_streams()), (Some(Levels::from_iter([Level::Error])), false));
        let unknown = Wanted::of(&Source::Logs, &col("level").eq(lit("unknown"))).unwrap();
        assert_eq!(unknown.levels(), Some(Levels::default()), "a line that does not say has NULL");
    }
}
