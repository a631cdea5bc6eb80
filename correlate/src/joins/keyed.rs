//! The keys of left rows, numbered, with the series or streams that have each.
//!
//! Several tasks number them, each the keys whose texts fall to it, so that none waits for another's numbers.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, UInt32Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, UInt32Type};
use datafusion::common::{internal_datafusion_err, internal_err};
use datafusion::error::Result;
use whyd_buffers::{FixedState, Scoped, StreamMarks, StreamMeta};
use whyd_signals::{SeriesId, StreamId};

use super::right::RightRows;
use crate::tables::SourceKind;

/// No key.
const NONE: u32 = u32::MAX;

/// The key columns of left rows.
pub(crate) enum LeftKeys {
    /// Each is one series.
    Series(UInt32Array),
    /// The texts of streams, and which of theirs each is.
    Texts(Vec<(StringArray, Text)>),
}

/// What a stream is known by.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Text {
    Team,
    Namespace,
    Pod,
    Container,
}

impl Text {
    /// What a stream's is.
    fn of<R>(self, scoped: &Scoped, meta: &StreamMeta, then: impl FnOnce(&str) -> R) -> R {
        match self {
            Self::Team => then(scoped.team_of(&meta.namespace).as_str()),
            Self::Namespace => then(&meta.namespace),
            Self::Pod => then(&meta.pod),
            Self::Container => then(&meta.container),
        }
    }
}

impl LeftKeys {
    /// Of columns of the left rows, and which right ones they are equal to.
    pub(crate) fn of(left: &[ArrayRef], right: &RightRows, columns: &[usize]) -> Result<Self> {
        match right.scan().kind() {
            SourceKind::Samples => {
                let [ids] = left else { return internal_err!("samples have one key") };
                let ids = ids.as_primitive_opt::<UInt32Type>().ok_or_else(|| internal_datafusion_err!("no id"))?;
                Ok(Self::Series(ids.clone()))
            }
            SourceKind::Logs => {
                let text = |(column, of): (&ArrayRef, &usize)| {
                    let texts = cast(column, &DataType::Utf8)?;
                    let texts = texts.as_string_opt::<i32>();
                    let texts = texts.ok_or_else(|| internal_datafusion_err!("a key that is no text"))?.clone();
                    let name = right.name_of(*of).ok_or_else(|| internal_datafusion_err!("no such key"))?;
                    let of = match name.as_str() {
                        "team" => Text::Team,
                        "namespace" => Text::Namespace,
                        "pod" => Text::Pod,
                        _ => Text::Container,
                    };
                    Ok((texts, of))
                };
                Ok(Self::Texts(left.iter().zip(columns).map(text).collect::<Result<_>>()?))
            }
            SourceKind::Other => internal_err!("{} has no rows by time", right.scan().table()),
        }
    }

    /// How many left rows there are.
    fn rows(&self) -> usize {
        match self {
            Self::Series(ids) => ids.len(),
            Self::Texts(texts) => texts.first().map_or(0, |(column, _)| column.len()),
        }
    }

    /// Numbers the keys that fall to one of several parts, and finds the series or streams of each.
    pub(crate) fn numbered(&self, right: &RightRows, (part, parts): (usize, usize)) -> Numbered {
        match self {
            Self::Series(ids) => Numbered::by_series(ids, right, (part, parts)),
            Self::Texts(texts) => Numbered::by_stream(texts, right.scoped(), (part, parts)),
        }
    }
}

/// Keys of one part, in the numbers of that part.
pub(crate) struct Numbered {
    /// Left rows with their key.
    lefts: Vec<(u32, u32)>,
    keys: usize,
    found: Found,
}

enum Found {
    /// The series of each key.
    Series(Vec<u32>),
    /// Streams with their key.
    Streams(Vec<(StreamId, u32)>),
}

impl Numbered {
    fn by_series(ids: &UInt32Array, right: &RightRows, (part, parts): (usize, usize)) -> Self {
        let mut numbers: HashMap<u32, u32, FixedState> = HashMap::default();
        let (mut lefts, mut series) = (Vec::new(), Vec::new());
        let of_part = |id: &u32| mixed(u64::from(*id), parts) == part;
        for (row, id) in ids.iter().enumerate() {
            let Some(id) = id.filter(of_part).filter(|id| right.scan().has(SeriesId(*id))) else { continue };
            let number = *numbers.entry(id).or_insert_with(|| {
                series.push(id);
                series.len() as u32 - 1
            });
            lefts.push((row as u32, number));
        }
        Self { lefts, keys: series.len(), found: Found::Series(series) }
    }

    /// Streams are known by texts. The texts of a key are numbered one after the other, each together with the number of those
    /// before it; the pod's says whose part it is, since there are many of them, else the last.
    fn by_stream(texts: &[(StringArray, Text)], scoped: &Scoped, (part, parts): (usize, usize)) -> Self {
        let none = Self { lefts: Vec::new(), keys: 0, found: Found::Streams(Vec::new()) };
        let names_pod = |(_, of): &&(StringArray, Text)| matches!(of, Text::Pod);
        let Some((parted, of_parted)) = texts.iter().find(names_pod).or(texts.last()) else { return none };
        let of_part = |text: &str| parts <= 1 || part_of(text, parts) == part;
        let rows = parted.iter().enumerate().filter(|(_, text)| text.is_some_and(of_part));
        let mut lefts: Vec<(u32, u32)> = rows.map(|(row, _)| (row as u32, 0)).collect();
        let streams = scoped.all_streams().filter(|(_, meta)| of_parted.of(scoped, meta, of_part));
        let mut streams: Vec<(StreamId, &StreamMeta, u32)> = streams.map(|(id, meta)| (id, meta, 0)).collect();
        let mut keys = 0;
        for (column, of) in texts {
            let mut numbers: HashMap<(u32, &str), u32, FixedState> = HashMap::default();
            // Rows that come one after the other are often of one key.
            let mut last: Option<((u32, &str), u32)> = None;
            lefts.retain_mut(|(row, n)| {
                let row = *row as usize;
                if !column.is_valid(row) {
                    return false;
                }
                let (key, next) = ((*n, column.value(row)), numbers.len() as u32);
                let number =
                    last.filter(|(of, _)| *of == key).map_or_else(|| *numbers.entry(key).or_insert(next), |l| l.1);
                (*n, last) = (number, Some((key, number)));
                true
            });
            streams.retain_mut(|(_, meta, n)| {
                let number = of.of(scoped, meta, |text| numbers.get(&(*n, text)).filter(|_| !text.is_empty()).copied());
                *n = number.unwrap_or_default();
                number.is_some()
            });
            keys = numbers.len();
        }
        let found = streams.into_iter().map(|(id, _, key)| (id, key));
        Self { lefts, keys, found: Found::Streams(found.collect()) }
    }
}

/// Which of several parts a text falls to: by its end, in which names of pods differ.
fn part_of(text: &str, parts: usize) -> usize {
    let end = text.as_bytes().rchunks(8).next().unwrap_or_default();
    let word = end.iter().fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
    mixed(word, parts)
}

/// One of several parts, whatever steps numbers come in.
fn mixed(word: u64, parts: usize) -> usize {
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    (word.wrapping_mul(MIX) >> 32) as usize % parts.max(1)
}

/// Left rows and series or streams by the number of their key.
pub(crate) struct Keyed {
    /// Of each left row; `u32::MAX` where it has none that any row could equal.
    pub(crate) of_left: Vec<u32>,
    /// Numbers are less than this; not each need be a key's.
    pub(crate) keys: usize,
    pub(super) owners: Owners,
}

pub(super) enum Owners {
    /// The series of each key; none of it is of another part.
    Series(Vec<u32>),
    /// The key of each stream.
    Streams(StreamMarks),
}

impl Keyed {
    /// What all parts have numbered, one part's keys between the others'.
    pub(crate) fn of(left: &LeftKeys, right: &RightRows, parts: &[Numbered]) -> Self {
        let number = |part: usize, key: u32| key * parts.len() as u32 + part as u32;
        let keys = parts.iter().map(|part| part.keys).max().unwrap_or_default() * parts.len();
        let mut of_left = vec![NONE; left.rows()];
        let (mut series, mut streams) = (Vec::new(), Vec::new());
        for (n, part) in parts.iter().enumerate() {
            for (row, key) in &part.lefts {
                if let Some(of) = of_left.get_mut(*row as usize) {
                    *of = number(n, *key);
                }
            }
            match &part.found {
                Found::Series(found) => {
                    series.resize(keys, NONE);
                    for (key, id) in found.iter().enumerate() {
                        if let Some(of) = series.get_mut(number(n, key as u32) as usize) {
                            *of = *id;
                        }
                    }
                }
                Found::Streams(found) => streams.extend(found.iter().map(|(id, key)| (*id, number(n, *key)))),
            }
        }
        let owners = match left {
            LeftKeys::Series(_) => Owners::Series(series),
            LeftKeys::Texts(_) => Owners::Streams(right.scoped().mark_streams(streams)),
        };
        Self { of_left, keys, owners }
    }

    /// The keys of which every so manieth is one of a part, without the left rows.
    pub(crate) fn part(&self, part: usize, parts: usize) -> Self {
        let is_of_part = |key: usize| key % parts.max(1) == part;
        let owners = match &self.owners {
            Owners::Series(ids) => {
                let of_part = |(key, id): (usize, &u32)| if is_of_part(key) { *id } else { NONE };
                Owners::Series(ids.iter().enumerate().map(of_part).collect())
            }
            Owners::Streams(marks) => Owners::Streams(marks.only(|key| is_of_part(key as usize))),
        };
        Self { of_left: Vec::new(), keys: self.keys, owners }
    }
}
