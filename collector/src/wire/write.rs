//! Writes protobuf fields one after another.

/// A varint.
pub(crate) fn varint(mut n: u64, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// How many bytes a varint takes.
pub(crate) fn varint_len(n: usize) -> usize {
    (usize::BITS - (n | 1).leading_zeros()).div_ceil(7) as usize
}

/// A field of wire type 0; a negative number takes ten bytes.
pub(crate) fn int(field: u32, n: i64, out: &mut Vec<u8>) {
    varint(u64::from(field) << 3, out);
    varint(n.cast_unsigned(), out);
}

/// A field of wire type 2.
pub(crate) fn bytes(field: u32, body: &[u8], out: &mut Vec<u8>) {
    varint(u64::from(field) << 3 | 2, out);
    varint(body.len() as u64, out);
    out.extend_from_slice(body);
}

/// `prometheus.Label` as the first field of a series. A label without a value is none.
pub(crate) fn label((name, value): (&str, &str), out: &mut Vec<u8>) {
    if value.is_empty() {
        return;
    }
    out.push(0x0a);
    varint((2 + varint_len(name.len()) + name.len() + varint_len(value.len()) + value.len()) as u64, out);
    bytes(1, name.as_bytes(), out);
    bytes(2, value.as_bytes(), out);
}
