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
        let mut at = 0;
        let pairs = refs.as_chunks::<2>().0.iter().zip(had.as_chunks_mut::<2>().0);
        for ((pair, had), len) in pairs.zip(lens) {
            if pair != had {
                *had = *pair;
                let [name, value] = pair.map(|reference| symbols.field(reference, message));
                *len = label(bytes, (at, *len), name, value);
            }
            at += *len;
        }
        bytes
    }
}

/// Writes one label in the place of the one that stands at `at` and is `was` bytes long; says how long it is. Name and
/// value come with their lengths before them.
#[inline]
fn label(bytes: &mut Vec<u8>, (at, was): (usize, usize), name: &[u8], value: &[u8]) -> usize {
    let body = 2 + name.len() + value.len();
    let mut head = [LABEL, 0, 0, 0, 0, 0];
    let (mut rest, mut used) = (body, 1);
    while let Some(byte) = head.get_mut(used) {
        used += 1;
        if rest < 0x80 {
            *byte = rest as u8;
            break;
        }
        *byte = rest as u8 | 0x80;
        rest >>= 7;
    }
    let is = used + body;
    if is != was {
        make_room(bytes, at, was, is);
    }
    let Some(place) = bytes.get_mut(at..at + is) else { return was };
    let (before, place) = place.split_at_mut(used);
    before.copy_from_slice(head.get(..used).unwrap_or_default());
    let (before, place) = place.split_at_mut(1 + name.len());
    write(before, NAME, name);
    write(place, VALUE, value);
    is
}

#[inline]
fn write(place: &mut [u8], tag: u8, text: &[u8]) {
    if let Some((first, rest)) = place.split_first_mut() {
        *first = tag;
        rest.copy_from_slice(text);
    }
}

/// Moves what stands behind `was` bytes at `at` so that `is` bytes fit there.
fn make_room(bytes: &mut Vec<u8>, at: usize, was: usize, is: usize) {
    let len = bytes.len();
    if is > was {
        bytes.resize(len + is - was, 0);
    }
    bytes.copy_within(at + was..len, at + is);
    bytes.truncate(len + is - was);
}
