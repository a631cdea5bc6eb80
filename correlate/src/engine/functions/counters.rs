//! `increase(ts, value)` and `rate(ts, value)`: by how much a counter rose, resets counted, in all and per second.
//!
//! Over the samples of one group, which should be one series: `GROUP BY series_id`. Nothing is extrapolated to a window's
//! edges: the time is that between the first and the last sample. NaN and the markers of an end are left out; with fewer than
//! two samples there is no answer. Two values of one time are of several series, which is an error: one that is lower than
//! another's would count as a reset.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, ListArray, TimestampNanosecondArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, TimestampNanosecondType};
use datafusion::common::{ScalarValue, exec_err, internal_datafusion_err, not_impl_err};
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};
use whyd_signals::schema::tables::ts_type;

/// Both functions.
pub(super) fn functions() -> Vec<Arc<AggregateUDF>> {
    [What::Increase, What::Rate].map(|what| Arc::new(AggregateUDF::from(Counter::new(what)))).to_vec()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum What {
    Increase,
    Rate,
}

impl What {
    fn name(self) -> &'static str {
        match self {
            Self::Increase => "increase",
            Self::Rate => "rate",
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Counter {
    what: What,
    signature: Signature,
}

impl Counter {
    fn new(what: What) -> Self {
        Self { what, signature: Signature::exact(vec![ts_type(), DataType::Float64], Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for Counter {
    fn name(&self) -> &'static str {
        self.what.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        if args.is_distinct {
            return not_impl_err!("{} takes no DISTINCT: a sample that is there twice rose by nothing", self.name());
        }
        Ok(Box::new(Samples { what: self.what, samples: Vec::new(), rose: 0.0, disordered: false }))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let list = |name: &str, of: DataType| {
            Arc::new(Field::new(format!("{}[{name}]", args.name), DataType::List(item(of)), false))
        };
        Ok(vec![list("times", ts_type()), list("values", DataType::Float64)])
    }
}

fn item(of: DataType) -> FieldRef {
    Arc::new(Field::new_list_field(of, true))
}

#[derive(Debug)]
struct Samples {
    what: What,
    samples: Vec<(i64, f64)>,
    /// By how much, unless the samples are not in order of time.
    rose: f64,
    disordered: bool,
}

/// From one sample to the next; from nothing where the counter began again.
fn rise(from: (i64, f64), to: (i64, f64)) -> f64 {
    if to.1 < from.1 { to.1 } else { to.1 - from.1 }
}

impl Samples {
    fn add(&mut self, times: &dyn Array, values: &dyn Array) -> Result<()> {
        let wrong = || internal_datafusion_err!("a counter of other types");
        let times = times.as_primitive_opt::<TimestampNanosecondType>().ok_or_else(wrong)?;
        let values = values.as_primitive_opt::<Float64Type>().ok_or_else(wrong)?;
        let both = times.iter().zip(values).filter_map(|(t, v)| Some((t?, v?)));
        for sample in both.filter(|(_, v)| !v.is_nan()) {
            if let Some(last) = self.samples.last() {
                self.disordered |= sample.0 <= last.0;
                self.rose += rise(*last, sample);
            }
            self.samples.push(sample);
        }
        Ok(())
    }
}

impl Accumulator for Samples {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        match values {
            [times, values] => self.add(times, values),
            _ => Err(internal_datafusion_err!("a counter takes a time and a value")),
        }
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.disordered {
            self.samples.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
            if self.samples.windows(2).any(|w| w[0].0 == w[1].0 && w[0].1 != w[1].1) {
                return exec_err!(
                    "{} is of one series, and here are several: GROUP BY series_id, and add up what that gives",
                    self.what.name()
                );
            }
            self.rose = self.samples.windows(2).map(|w| rise(w[0], w[1])).sum();
            self.disordered = false;
        }
        let rose = self.rose;
        let span =
            self.samples.last().zip(self.samples.first()).map_or(0, |(last, first)| last.0.saturating_sub(first.0));
        Ok(ScalarValue::Float64((span > 0).then(|| match self.what {
            What::Increase => rose,
            What::Rate => rose / (span as f64 / 1e9),
        })))
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.samples.capacity() * size_of::<(i64, f64)>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let times: TimestampNanosecondArray = self.samples.iter().map(|(t, _)| Some(*t)).collect();
        let values: Float64Array = self.samples.iter().map(|(_, v)| Some(*v)).collect();
        let list = |of: DataType, values: ArrayRef| -> Result<ScalarValue> {
            let whole = OffsetBuffer::from_lengths([values.len()]);
            Ok(ScalarValue::List(Arc::new(ListArray::try_new(item(of), whole, values, None)?)))
        };
        Ok(vec![list(ts_type(), Arc::new(times.with_timezone("UTC")))?, list(DataType::Float64, Arc::new(values))?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [times, values] = states else { return Err(internal_datafusion_err!("a counter has two states")) };
        let wrong = || internal_datafusion_err!("a state that is no list");
        let (times, values) =
            (times.as_list_opt::<i32>().ok_or_else(wrong)?, values.as_list_opt::<i32>().ok_or_else(wrong)?);
        for (times, values) in times.iter().zip(values.iter()) {
            if let (Some(times), Some(values)) = (times, values) {
                self.add(&times, &values)?;
            }
        }
        Ok(())
    }
}
