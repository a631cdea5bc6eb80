//! What is known from body to body: texts by number, and the labels of series as such numbers.
//!
//! A reference means something in its own body alone. So each symbol of a body is looked up once, and then a series that
//! is expected is told by comparing numbers, one for each reference, without a look at the text.

use std::collections::HashMap;
use std::mem::size_of;
use std::sync::Arc;

use whyd_signals::SeriesId;

use super::symbols::Symbols;

/// No text is known by this number.
pub(super) const UNKNOWN: u32 = u32::MAX;
/// Series whose labels are looked up by page, so that numbers that are far apart take no room in between.
const PAGE: usize = 256;
/// When it is full and so many times as many series came in vain as are known, others have taken their place.
const STALE: usize = 4;

#[derive(Debug)]
struct Text {
    bytes: Arc<[u8]>,
    /// The text that followed this one in a table of symbols the last time.
    next: u32,
}

/// Where the numbers of one series lie.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    start: usize,
    len: u32,
    /// Bytes that its labels take in the form of 1.0.
    rendered: u32,
}

/// What the bodies before told. Only what is said of series that are there for good is kept, so it is never taken back.
#[derive(Debug)]
pub(super) struct Known {
    texts: Vec<Text>,
    numbers: HashMap<Arc<[u8]>, u32>,
    previous: u32,
    places: Vec<Box<[Place]>>,
    refs: Vec<u32>,
    series: usize,
    bytes: usize,
    most: usize,
    /// Series that were told since it is full, and are not known.
    vain: usize,
    /// How often all was forgotten.
    forgotten: u64,
}

impl Known {
    /// Knows nothing, and will not take more than `most` bytes.
    pub(super) fn new(most: usize) -> Self {
        Self {
            texts: Vec::new(),
            numbers: HashMap::new(),
            previous: 0,
            places: Vec::new(),
            refs: Vec::new(),
            series: 0,
            bytes: 0,
            most,
            vain: 0,
            forgotten: 0,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// The number of a text, or [`UNKNOWN`]. Tables of symbols are much alike, so the text that came next is tried first.
    pub(super) fn number(&mut self, text: &[u8]) -> u32 {
        let guess = self.texts.get(self.previous as usize).map_or(UNKNOWN, |text| text.next);
        if self.texts.get(guess as usize).is_some_and(|known| *known.bytes == *text) {
            self.previous = guess;
            return guess;
        }
        let Some(number) = self.numbers.get(text) else { return UNKNOWN };
        if let Some(previous) = self.texts.get_mut(self.previous as usize) {
            previous.next = *number;
        }
        self.previous = *number;
        *number
    }

    /// The numbers of the labels of this series, and the bytes that the labels take in the form of 1.0.
    #[inline]
    pub(super) fn labels(&self, series: SeriesId) -> Option<(&[u32], usize)> {
        let place = self.places.get(series.0 as usize / PAGE)?.get(series.0 as usize % PAGE)?;
        let numbers = self.refs.get(place.start..place.start + place.len as usize)?;
        (!numbers.is_empty()).then_some((numbers, place.rendered as usize))
    }

    /// Takes in that these references mean this series, which takes so many bytes in the form of 1.0.
    pub(super) fn learn(
        &mut self,
        series: SeriesId,
        refs: &[u32],
        rendered: usize,
        symbols: &mut Symbols,
        message: &[u8],
    ) {
        if self.labels(series).is_some() || refs.is_empty() {
            return;
        }
        if self.bytes >= self.most {
            self.vain += 1;
            if self.vain <= self.series * STALE {
                return;
            }
            self.forget();
            symbols.forget_numbers();
        }
        let page = series.0 as usize / PAGE;
        if self.places.len() <= page {
            self.places.resize(page + 1, Box::default());
        }
        let Some(places) = self.places.get_mut(page) else { return };
        if places.is_empty() {
            *places = vec![Place::default(); PAGE].into_boxed_slice();
            self.bytes += PAGE * size_of::<Place>();
        }
        if let Some(place) = places.get_mut(series.0 as usize % PAGE) {
            *place = Place { start: self.refs.len(), len: refs.len() as u32, rendered: rendered as u32 };
        }
        for reference in refs {
            let number = match symbols.number(*reference) {
                UNKNOWN => {
                    let number = self.name(symbols.field(*reference, message));
                    symbols.set_number(*reference, number);
                    number
                }
                number => number,
            };
            self.refs.push(number);
        }
        self.bytes += size_of_val(refs);
        self.series += 1;
    }

    /// The number of a text that is known from here on.
    fn name(&mut self, text: &[u8]) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = self.texts.len() as u32;
        let bytes: Arc<[u8]> = Arc::from(text);
        // itself with its counts, twice a pointer to it, its place in the table
        self.bytes += text.len() + 16 + size_of::<Text>() + 32;
        self.numbers.insert(Arc::clone(&bytes), number);
        self.texts.push(Text { bytes, next: UNKNOWN });
        number
    }

    fn forget(&mut self) {
        let forgotten = self.forgotten + 1;
        *self = Self { forgotten, ..Self::new(self.most) };
    }
}
