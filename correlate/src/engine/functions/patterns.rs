//! `regexp_replace(text, pattern, with[, flags])` and `regexp_match(text, pattern[, flags])`, as PostgreSQL has them: bounded in
//! what a pattern compiles to, in what is made and in time.
//!
//! In what is put in, `\1` to `\9` are groups, `\&` is all that was found and `\\` a backslash. Without the flag `g` the first
//! is replaced.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListBuilder, StringBuilder};
use arrow::datatypes::{DataType, Field};
use datafusion::common::{exec_err, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use regex::{Regex, RegexBuilder};

use super::growth::{Clock, Room, Texts, answer, rows};

/// Bytes of a compiled pattern.
pub(in crate::engine) const MOST_COMPILED: usize = 256 << 10;

/// Both functions.
pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    [What::Match, What::Replace].map(|what| Arc::new(ScalarUDF::from(Pattern::new(what)))).to_vec()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum What {
    Match,
    Replace,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Pattern {
    what: What,
    signature: Signature,
}

impl Pattern {
    fn new(what: What) -> Self {
        let least = match what {
            What::Match => 2,
            What::Replace => 3,
        };
        let texts = |n: usize| TypeSignature::Exact(vec![DataType::Utf8; n]);
        let signature = Signature::one_of(vec![texts(least), texts(least + 1)], Volatility::Immutable);
        Self { what, signature }
    }
}

impl ScalarUDFImpl for Pattern {
    fn name(&self) -> &'static str {
        match self.what {
            What::Match => "regexp_match",
            What::Replace => "regexp_replace",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.what {
            What::Match => DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))),
            What::Replace => DataType::Utf8,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let name = self.name();
        let texts = args.args.iter().map(Texts::of).collect::<Result<Vec<_>>>()?;
        let (text, pattern, with, flags) = match (self.what, &texts[..]) {
            (What::Match, [text, pattern]) => (text, pattern, None, None),
            (What::Match, [text, pattern, flags]) => (text, pattern, None, Some(flags)),
            (What::Replace, [text, pattern, with]) => (text, pattern, Some(with), None),
            (What::Replace, [text, pattern, with, flags]) => (text, pattern, Some(with), Some(flags)),
            _ => return internal_err!("{name} takes a text and a pattern"),
        };
        let (Texts::One(pattern), Texts::One(flags)) = (pattern, flags.unwrap_or(&Texts::One(Some("")))) else {
            return exec_err!("the pattern and the flags of {name} must be the same for all rows");
        };
        let (rows, clock) = (rows(&args), Clock::of(&args));
        let regex = pattern.zip(*flags).map(|(pattern, flags)| compiled(name, pattern, flags)).transpose()?;
        let made = match (with, &regex) {
            (Some(with), Some((regex, all))) => replaced(regex, *all, text, with, rows, &clock)?,
            (Some(_), None) => arrow::array::new_null_array(&DataType::Utf8, rows),
            (None, Some((_, true))) => return exec_err!("regexp_match finds the first and takes no flag g"),
            (None, Some((regex, false))) => matched(regex, text, rows, &clock)?,
            (None, None) => arrow::array::new_null_array(args.return_type(), rows),
        };
        answer(&args, made)
    }
}

/// The pattern, and whether all that it finds is meant.
pub(super) fn compiled(name: &str, pattern: &str, flags: &str) -> Result<(Regex, bool)> {
    let mut build = RegexBuilder::new(pattern);
    build.size_limit(MOST_COMPILED);
    let mut all = false;
    for flag in flags.chars() {
        match flag {
            'g' => all = true,
            'i' => _ = build.case_insensitive(true),
            'm' | 'n' => _ = build.multi_line(true),
            's' => _ = build.dot_matches_new_line(true),
            'x' => _ = build.ignore_whitespace(true),
            _ => return exec_err!("the flags of {name} are g, i, m, s and x"),
        }
    }
    match build.build() {
        Ok(regex) => Ok((regex, all)),
        Err(why) => exec_err!("the pattern of {name}: {why}"),
    }
}

fn matched(regex: &Regex, text: &Texts<'_>, rows: usize, clock: &Clock) -> Result<ArrayRef> {
    let mut room = Room::beside("regexp_match", text.column());
    let mut made = ListBuilder::new(StringBuilder::new());
    for row in 0..rows {
        clock.now()?;
        let Some(found) = text.get(row).and_then(|text| regex.captures(text)) else {
            made.append_null();
            continue;
        };
        // A pattern without groups gives all that it found. The first group is no longer than the text, and further ones
        // may lie in it.
        let groups = usize::from(found.len() > 1);
        for (n, group) in found.iter().skip(groups).enumerate() {
            room.take(if n > 0 { group.map_or(0, |g| g.len()) } else { text.repeated(row) })?;
            made.values().append_option(group.map(|g| g.as_str()));
        }
        made.append(true);
    }
    Ok(Arc::new(made.finish()))
}

fn replaced(
    regex: &Regex,
    all: bool,
    text: &Texts<'_>,
    with: &Texts<'_>,
    rows: usize,
    clock: &Clock,
) -> Result<ArrayRef> {
    let mut room = Room::beside("regexp_replace", text.column());
    let always = if let Texts::One(with) = with { with.map(parts) } else { None };
    let mut made = StringBuilder::new();
    for row in 0..rows {
        clock.now()?;
        let (Some(old), Some(with)) = (text.get(row), with.get(row)) else {
            made.append_null();
            continue;
        };
        room.take(text.repeated(row))?;
        let own;
        let with = match &always {
            Some(parts) => parts,
            None => {
                own = parts(with);
                &own
            }
        };
        let (mut out, mut last) = (String::with_capacity(old.len()), 0);
        for found in regex.captures_iter(old).take(if all { usize::MAX } else { 1 }) {
            // What is looked for behind each may be looked for to the end.
            clock.now()?;
            let Some(whole) = found.get(0) else { continue };
            out.push_str(old.get(last..whole.start()).unwrap_or_default());
            last = whole.end();
            let mut replaced = whole.len();
            for part in with {
                let part = match part {
                    Part::Text(text) => text,
                    Part::Group(n) => found.get(*n).map_or("", |group| group.as_str()),
                };
                room.take(part.len().saturating_sub(replaced))?;
                replaced = replaced.saturating_sub(part.len());
                out.push_str(part);
            }
        }
        out.push_str(old.get(last..).unwrap_or_default());
        made.append_value(out);
    }
    Ok(Arc::new(made.finish()))
}

/// What is put in: text, and what a group found.
#[derive(Debug, PartialEq)]
enum Part {
    Text(String),
    Group(usize),
}

fn parts(with: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut letters = with.chars();
    while let Some(letter) = letters.next() {
        let group = match letter {
            '\\' => match letters.next() {
                Some('&') => 0,
                Some(digit) if digit.is_ascii_digit() && digit != '0' => digit.to_digit(10).unwrap_or(0) as usize,
                Some('\\') | None => {
                    text.push('\\');
                    continue;
                }
                Some(other) => {
                    text.extend(['\\', other]);
                    continue;
                }
            },
            other => {
                text.push(other);
                continue;
            }
        };
        if !text.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut text)));
        }
        parts.push(Part::Group(group));
    }
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    parts
}
