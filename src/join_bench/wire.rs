//! Bodies as senders make them.

fn varint(mut n: u64, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn bytes(tag: u8, of: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    varint(of.len() as u64, out);
    out.extend_from_slice(of);
}

/// The labels of a series as they lie in a `TimeSeries`; they have to be sorted by name.
pub(super) fn labels(all: &[(&str, &str)]) -> Vec<u8> {
    let (mut out, mut pair) = (Vec::new(), Vec::new());
    for (name, value) in all {
        pair.clear();
        bytes(0x0a, name.as_bytes(), &mut pair);
        bytes(0x12, value.as_bytes(), &mut pair);
        bytes(0x0a, &pair, &mut out);
    }
    out
}

/// Adds a series with one sample to a `prometheus.WriteRequest`.
pub(super) fn sample(labels: &[u8], ms: i64, value: f64, out: &mut Vec<u8>) {
    let mut sample = vec![0x09];
    sample.extend_from_slice(&value.to_le_bytes());
    sample.push(0x10);
    varint(ms as u64, &mut sample);
    out.push(0x0a);
    varint((labels.len() + 2 + sample.len()) as u64, out);
    out.extend_from_slice(labels);
    bytes(0x12, &sample, out);
}

/// Adds a stream to Loki's `PushRequest`.
pub(super) fn stream(labels: &str, entries: &[u8], out: &mut Vec<u8>) {
    let mut stream = Vec::with_capacity(labels.len() + entries.len() + 8);
    bytes(0x0a, labels.as_bytes(), &mut stream);
    stream.extend_from_slice(entries);
    bytes(0x0a, &stream, out);
}

/// Adds a line to a stream.
pub(super) fn line(ms: i64, text: &str, out: &mut Vec<u8>) {
    let (mut time, mut entry) = (vec![0x08], Vec::with_capacity(text.len() + 24));
    varint((ms / 1000) as u64, &mut time);
    time.push(0x10);
    varint((ms % 1000 * 1_000_000) as u64, &mut time);
    bytes(0x0a, &time, &mut entry);
    bytes(0x12, text.as_bytes(), &mut entry);
    bytes(0x12, &entry, out);
}
