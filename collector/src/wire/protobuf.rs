//! A reader of protobuf fields that borrows from the body. No message types, no allocation.

use whyd_signals::sink::DecodeError;

/// One field's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64(u64),
    /// Wire type 2: a string, bytes or a message.
    Bytes(&'a [u8]),
    /// Wire type 5.
    Fixed32(u32),
}

impl<'a> Value<'a> {
    /// The bytes of a length-delimited field.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] naming `field` for another wire type.
    #[inline]
    pub fn bytes(self, field: &str) -> Result<&'a [u8], DecodeError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(wrong_type(field)),
        }
    }

    /// The varint of a field, as the two's complement that `int64` and `int32` use.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] naming `field` for another wire type.
    #[inline]
    pub fn int(self, field: &str) -> Result<i64, DecodeError> {
        match self {
            Self::Varint(n) => Ok(n.cast_signed()),
            _ => Err(wrong_type(field)),
        }
    }

    /// The zigzag varint of a field, as `sint64` and `sint32` use.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] naming `field` for another wire type.
    #[inline]
    pub fn sint(self, field: &str) -> Result<i64, DecodeError> {
        self.int(field).map(|n| zigzag(n.cast_unsigned()))
    }

    /// The `double` of a field, bit for bit.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] naming `field` for another wire type.
    #[inline]
    pub fn double(self, field: &str) -> Result<f64, DecodeError> {
        match self {
            Self::Fixed64(bits) => Ok(f64::from_bits(bits)),
            _ => Err(wrong_type(field)),
        }
    }
}

/// Reads the fields of one message from front to back.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `message`.
    #[inline]
    pub fn new(message: &'a [u8]) -> Self {
        Self { message, at: 0 }
    }

    /// How far it has read: always at the start of a field's tag, or at the end.
    #[inline]
    pub fn position(&self) -> usize {
        self.at
    }

    /// The next field with its number, `None` at the end.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] for a truncated field, an overlong varint, field number 0 or a group.
    #[inline]
    pub fn field(&mut self) -> Result<Option<(u32, Value<'a>)>, DecodeError> {
        if self.at == self.message.len() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).ok().filter(|n| (1..=MAX_FIELD).contains(n)).ok_or_else(bad_tag)?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.fixed()?)),
            2 => {
                let len = usize::try_from(self.varint()?).map_err(|_| truncated())?;
                Value::Bytes(self.take(len)?)
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.fixed()?)),
            _ => return Err(bad_tag()),
        };
        Ok(Some((number, value)))
    }

    /// The next varint of a packed field, `None` at the end.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] for a varint that is truncated or overlong.
    #[inline]
    pub fn packed(&mut self) -> Result<Option<u64>, DecodeError> {
        if self.at == self.message.len() { Ok(None) } else { self.varint().map(Some) }
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, DecodeError> {
        match self.message.get(self.at..) {
            Some(&[byte, ..]) if byte < 0x80 => {
                self.at += 1;
                Ok(u64::from(byte))
            }
            Some(&[low, high, ..]) if high < 0x80 => {
                self.at += 2;
                Ok(u64::from(low & 0x7f) | u64::from(high) << 7)
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, DecodeError> {
        let rest = self.message.get(self.at..).unwrap_or_default();
        let mut value = 0u64;
        for (i, &byte) in rest.iter().take(10).enumerate() {
            // the tenth byte holds the 64th bit alone
            if i == 9 && byte > 1 {
                return Err(overflow());
            }
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                self.at += i + 1;
                return Ok(value);
            }
        }
        Err(if rest.len() < 10 { truncated() } else { overflow() })
    }

    #[inline]
    fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let end = self.at.checked_add(len).ok_or_else(truncated)?;
        let bytes = self.message.get(self.at..end).ok_or_else(truncated)?;
        self.at = end;
        Ok(bytes)
    }

    #[inline]
    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        self.take(N)?.try_into().map_err(|_| truncated())
    }
}

/// The number that a zigzag varint stands for.
#[inline]
pub fn zigzag(n: u64) -> i64 {
    (n >> 1).cast_signed() ^ -((n & 1).cast_signed())
}

/// The greatest field number that protobuf allows.
const MAX_FIELD: u32 = (1 << 29) - 1;

#[cold]
fn truncated() -> DecodeError {
    DecodeError::Malformed("protobuf: message ends within a field".into())
}

#[cold]
fn overflow() -> DecodeError {
    DecodeError::Malformed("protobuf: varint of more than 64 bits".into())
}

#[cold]
fn bad_tag() -> DecodeError {
    DecodeError::Malformed("protobuf: invalid field tag".into())
}

#[cold]
fn wrong_type(field: &str) -> DecodeError {
    DecodeError::Malformed(format!("protobuf: field {field} has the wrong wire type"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn all(message: &[u8]) -> Result<Vec<(u32, Value<'_>)>, DecodeError> {
        let mut reader = Reader::new(message);
        let mut out = Vec::new();
        while let Some(field) = reader.field()? {
            out.push(field);
        }
        Ok(out)
    }

    #[test]
    fn reads_every_wire_type() {
        let message = [0x08, 0x96, 0x01, 0x11, 1, 0, 0, 0, 0, 0, 0, 0, 0x1a, 2, b'h', b'i', 0x25, 2, 0, 0, 0];
        let expected =
            [(1, Value::Varint(150)), (2, Value::Fixed64(1)), (3, Value::Bytes(b"hi")), (4, Value::Fixed32(2))];
        assert_eq!(all(&message).unwrap(), expected);
    }

    #[test]
    fn a_negative_int_takes_ten_bytes() {
        let message = [0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(all(&message).unwrap()[0].1.int("timestamp").unwrap(), -1);
    }

    #[test]
    fn names_what_is_wrong() {
        let cases: [(&[u8], &str); 7] = [
            (&[0x80], "ends within"),
            (&[0x1a, 5, 1], "ends within"),
            (&[0x11, 1], "ends within"),
            (&[0x1a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], "ends within"),
            (&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], "64 bits"),
            (&[0x00, 0x00], "invalid field tag"),
            (&[0x0b], "invalid field tag"),
        ];
        for (message, expected) in cases {
            let error = all(message).unwrap_err().to_string();
            assert!(error.contains(expected), "{message:?}: {error}");
        }
        assert!(Value::Varint(1).bytes("labels").unwrap_err().to_string().contains("labels"));
    }
}
