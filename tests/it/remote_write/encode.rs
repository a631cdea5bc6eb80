//! Bodies of both versions of remote write, written apart from the decoders.

/// One series: its labels, its samples by milliseconds, and further fields of the version as they are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Series {
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) samples: Vec<(i64, f64)>,
    pub(crate) more: Vec<u8>,
}

impl Series {
    pub(crate) fn new(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> Self {
        let owned = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
        Self { labels: labels.iter().map(owned).collect(), samples: samples.to_vec(), more: Vec::new() }
    }

    pub(crate) fn with(mut self, more: &[u8]) -> Self {
        self.more.extend(more);
        self
    }
}

pub(crate) fn snappy(message: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(message).unwrap()
}

pub(crate) fn number(mut n: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while n >= 0x80 {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
    out
}

/// A field of bytes.
pub(crate) fn field(tag: u64, bytes: &[u8]) -> Vec<u8> {
    [number(tag << 3 | 2), number(bytes.len() as u64), bytes.to_vec()].concat()
}

fn sample((ms, value): (i64, f64)) -> Vec<u8> {
    let value = [vec![1 << 3 | 1], value.to_le_bytes().to_vec()].concat();
    field(2, &[value, vec![2 << 3], number(ms.cast_unsigned())].concat())
}

/// `prometheus.WriteRequest`.
pub(crate) fn version1(all: &[Series]) -> Vec<u8> {
    let one = |s: &Series| {
        let label = |(k, v): &(String, String)| field(1, &[field(1, k.as_bytes()), field(2, v.as_bytes())].concat());
        let labels: Vec<u8> = s.labels.iter().flat_map(label).collect();
        let samples: Vec<u8> = s.samples.iter().copied().flat_map(sample).collect();
        field(1, &[labels, samples, s.more.clone()].concat())
    };
    all.iter().flat_map(one).collect()
}

/// `io.prometheus.write.v2.Request`.
pub(crate) fn version2(all: &[Series]) -> Vec<u8> {
    let mut symbols = vec![String::new()];
    let mut series = Vec::new();
    for s in all {
        let mut refs = Vec::new();
        for text in s.labels.iter().flat_map(|(k, v)| [k, v]) {
            let at = symbols.iter().position(|s| s == text).unwrap_or_else(|| {
                symbols.push(text.clone());
                symbols.len() - 1
            });
            refs.extend(number(at as u64));
        }
        let samples: Vec<u8> = s.samples.iter().copied().flat_map(sample).collect();
        series.extend(field(5, &[field(1, &refs), samples, s.more.clone()].concat()));
    }
    [symbols.iter().flat_map(|s| field(4, s.as_bytes())).collect(), series].concat()
}
