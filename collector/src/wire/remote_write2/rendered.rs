//! The labels of one series in the form of 1.0: `0x0a len { 0x0a len name, 0x12 len value }`, repeated.
//!
//! Series that follow each other share most labels: those of a target all but the name, those of a metric all but the
//! pod. What they share is left where it stands, and only what differs is written.

use super::symbols::Symbols;

const LABEL: u8 = 0x0a;
const NAME: u8 = 0x0a;
const VALUE: u8 = 0x12;

#[derive(Debug, Default)]
pub(super) struct Rendered {
    bytes: Vec<u8>,
    /// What `bytes` was made of, and how many bytes each pair takes.
    refs: Vec<u32>,
    lens: Vec<usize>,
}

impl Rendered {
    /// Forgets what was rendered: references mean something within their body alone.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.refs.clear();
        self.lens.clear();
    }

    /// The labels that these pairs of references name, in the order in which they are sent.
    #[inline]
    pub(super) fn render(&mut self, refs: &[u32], symbols: &Symbols, message: &[u8]) -> &[u8] {
        let Self { bytes, refs: had, lens } = self;
        if had.len() != refs.len() {
            // Nothing is where it was; of an empty label all is written.
            bytes.clear();
            had.clear();
            had.resize(refs.len(), u32::MAX);
            lens.clear();
            lens.resize(refs.len() / 2, 0);
        }
        let (mut at, mut anew) = (0, false);
        let pairs = refs.as_chunks::<2>().0.iter().zip(had.as_chunks_mut::<2>().0);
        for ((pair, had), len) in pairs.zip(lens) {
            let changed = pair != had;
            if changed || anew {
                *had = *pair;
                let [name, value] = pair.map(|reference| symbols.field(reference, message));
                let is = length(name, value);
                if is != *len && !anew {
                    // Nothing behind it is where it was.
                    anew = true;
                    bytes.truncate(at);
                }
                if anew {
                    bytes.resize(at + is, 0);
                }
                *len = is;
                label(bytes.get_mut(at..at + is).unwrap_or_default(), name, value);
            }
            at += *len;
        }
        bytes
    }
}

/// How many bytes a label takes; name and value come with their lengths before them.
#[inline]
fn length(name: &[u8], value: &[u8]) -> usize {
    let body = 2 + name.len() + value.len();
    1 + (usize::BITS - body.leading_zeros()).div_ceil(7) as usize + body
}

/// Writes one label into the place that it takes.
#[inline]
fn label(place: &mut [u8], name: &[u8], value: &[u8]) {
    let body = 2 + name.len() + value.len();
    let Some((head, rest)) = place.len().checked_sub(body).and_then(|at| place.split_at_mut_checked(at)) else {
        return;
    };
    if let Some((tag, varint)) = head.split_first_mut() {
        *tag = LABEL;
        let last = varint.len().saturating_sub(1);
        for (n, byte) in varint.iter_mut().enumerate() {
            *byte = (body >> (7 * n)) as u8 & 0x7f | if n < last { 0x80 } else { 0 };
        }
    }
    let (before, after) = rest.split_at_mut(1 + name.len());
    write(before, NAME, name);
    write(after, VALUE, value);
}

#[inline]
fn write(place: &mut [u8], tag: u8, text: &[u8]) {
    if let Some((first, rest)) = place.split_first_mut() {
        *first = tag;
        rest.copy_from_slice(text);
    }
}
