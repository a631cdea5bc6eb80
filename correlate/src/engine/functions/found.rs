//! `regexp_count(text, pattern[, start[, flags]])`: how often a pattern is found, and `regexp_instr(text, pattern[, start[, n[, flags[,
//! group]]]])`: at which letter the n-th is, 0 where there is none. Each is looked for behind the one before it and maybe to the end, so
//! the clock is looked at for each.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{exec_err, internal_datafusion_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use regex::Regex;

use super::growth::{Clock, Texts, answer, rows};
use super::patterns::compiled;

/// Both functions.
pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    [What::Count, What::Place].map(|what| Arc::new(ScalarUDF::from(Found::new(what)))).to_vec()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum What {
    Count,
    Place,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Found {
    what: What,
    signature: Signature,
}

impl Found {
    fn new(what: What) -> Self {
        use DataType::{Int64, Utf8};
        let all: &[DataType] = match what {
            What::Count => &[Utf8, Utf8, Int64, Utf8],
            What::Place => &[Utf8, Utf8, Int64, Int64, Utf8, Int64],
        };
        let some = (2..=all.len()).map(|n| TypeSignature::Exact(all.iter().take(n).cloned().collect()));
        Self { what, signature: Signature::one_of(some.collect(), Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Found {
    fn name(&self) -> &'static str {
        match self.what {
            What::Count => "regexp_count",
            What::Place => "regexp_instr",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (name, rows, clock) = (self.name(), rows(&args), Clock::of(&args));
        let argument = |n: usize| args.args.get(n);
        let needed = |n| argument(n).ok_or_else(|| internal_datafusion_err!("{name} takes a text and a pattern"));
        let text = Texts::of(needed(0)?)?;
        let flags = argument(if self.what == What::Count { 3 } else { 4 }).map(Texts::of).transpose()?;
        let (Texts::One(pattern), Texts::One(flags)) = (Texts::of(needed(1)?)?, flags.unwrap_or(Texts::One(Some(""))))
        else {
            return exec_err!("the pattern and the flags of {name} must be the same for all rows");
        };
        let Some((pattern, flags)) = pattern.zip(flags) else {
            return answer(&args, arrow::array::new_null_array(&DataType::Int64, rows));
        };
        let (regex, _) = compiled(name, pattern, flags)?;
        let of_place = |n| argument(n).filter(|_| self.what == What::Place);
        let (start, nth) = (Numbers::of(argument(2), rows, 1)?, Numbers::of(of_place(3), rows, 1)?);
        let group = Numbers::of(of_place(5), rows, 0)?;
        let mut made = Vec::with_capacity(rows);
        for row in 0..rows {
            clock.now()?;
            let given = (text.get(row), start.get(row), nth.get(row), group.get(row));
            let (Some(text), Some(start), Some(nth), Some(group)) = given else {
                made.push(None);
                continue;
            };
            let (Some(before), Some(skipped)) = (before(start), before(nth)) else {
                return exec_err!("the start and the number of {name} are counted from 1");
            };
            let from = text.char_indices().nth(before).map_or(text.len(), |(at, _)| at);
            made.push(Some(match self.what {
                What::Count => count(&regex, text.get(from..).unwrap_or_default(), &clock)?,
                What::Place => place(&regex, text, from, skipped, group, &clock)?,
            }));
        }
        answer(&args, Arc::new(Int64Array::from(made)))
    }
}

/// How many come before the one of this number.
fn before(number: i64) -> Option<usize> {
    usize::try_from(number).ok()?.checked_sub(1)
}

fn count(regex: &Regex, text: &str, clock: &Clock) -> Result<i64> {
    let mut found = 0;
    for _ in regex.find_iter(text) {
        clock.now()?;
        found += 1;
    }
    Ok(found)
}

fn place(regex: &Regex, text: &str, from: usize, skipped: usize, group: i64, clock: &Clock) -> Result<i64> {
    let behind = text.get(from..).unwrap_or_default();
    for (n, found) in regex.captures_iter(behind).enumerate() {
        clock.now()?;
        if n == skipped {
            let at = usize::try_from(group).ok().and_then(|group| found.get(group)).map(|part| from + part.start());
            let letters = at.and_then(|at| text.get(..at)).map(|before| before.chars().count() + 1);
            return Ok(letters.and_then(|n| i64::try_from(n).ok()).unwrap_or(0));
        }
    }
    Ok(0)
}

/// The numbers of an argument: the same for all rows where it is not given.
enum Numbers {
    One(i64),
    Each(ArrayRef),
}

impl Numbers {
    fn of(argument: Option<&ColumnarValue>, rows: usize, usual: i64) -> Result<Self> {
        argument.map_or(Ok(Self::One(usual)), |given| given.to_array(rows).map(Self::Each))
    }

    fn get(&self, row: usize) -> Option<i64> {
        match self {
            Self::One(number) => Some(*number),
            Self::Each(all) => {
                let all = all.as_primitive_opt::<Int64Type>()?;
                (row < all.len() && all.is_valid(row)).then(|| all.value(row))
            }
        }
    }
}
