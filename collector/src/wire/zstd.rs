//! Zstandard frames (RFC 8878), as VictoriaMetrics' agent compresses remote write.
//!
//! A frame need not say how large it becomes, and what it says may be a lie. But the headers of its blocks bound it, and
//! they can be walked without inflating anything: that is done first, so that no more is allocated than comes out.

use whyd_signals::sink::DecodeError;
use zstd::bulk::Decompressor;

const MAGIC: u32 = 0xFD2F_B528;
/// Frames to be skipped have one of sixteen numbers.
const SKIPPABLE: u32 = 0x184D_2A50;
/// No block inflates to more.
const LARGEST_BLOCK: u64 = 128 << 10;

/// A decompressor that is used again; made when the first body comes.
#[derive(Default)]
pub struct Decoder(Option<Decompressor<'static>>);

impl Decoder {
    /// Inflates `body` into `out`, which only ever grows up to `limit` and is meant to be used again.
    ///
    /// # Errors
    /// Those of [`decoded_len`], and [`DecodeError::Compression`] where the frames are broken.
    pub fn inflate<'o>(&mut self, body: &[u8], limit: usize, out: &'o mut Vec<u8>) -> Result<&'o [u8], DecodeError> {
        let room = decoded_len(body, limit)?;
        let decompressor = match &mut self.0 {
            Some(made) => made,
            empty => empty.insert(Decompressor::new().map_err(|e| broken(&e.to_string()))?),
        };
        if out.len() < room {
            out.resize(room, 0);
        }
        let into = out.get_mut(..room).unwrap_or_default();
        match decompressor.decompress_to_buffer(body, into) {
            Ok(written) => Ok(into.get(..written).unwrap_or_default()),
            // only a body that does not say its size gets room for the limit and no more
            Err(_) if room == limit => Err(DecodeError::TooLarge { decoded: room as u64 + 1, limit: limit as u64 }),
            Err(e) => Err(broken(&e.to_string())),
        }
    }
}

/// How large the frames of `body` become at most: what they say where they do, else what their blocks can hold, up to
/// `limit`: blocks may be far from full.
///
/// # Errors
/// [`DecodeError::TooLarge`] over `limit`; [`DecodeError::Compression`] for what is no frame, needs a dictionary, ends
/// early, or says more than its blocks can hold.
pub fn decoded_len(body: &[u8], limit: usize) -> Result<usize, DecodeError> {
    if body.is_empty() {
        return Err(broken("empty body"));
    }
    let (mut rest, mut total) = (body, 0u64);
    while !rest.is_empty() {
        total = total.saturating_add(frame(&mut rest, (limit as u64).saturating_sub(total))?);
        if total > limit as u64 {
            return Err(DecodeError::TooLarge { decoded: total, limit: limit as u64 });
        }
    }
    usize::try_from(total).map_err(|_| DecodeError::TooLarge { decoded: total, limit: limit as u64 })
}

/// Steps over one frame and says how large it becomes at most; one that does not say it itself gets what is left.
fn frame(rest: &mut &[u8], left: u64) -> Result<u64, DecodeError> {
    let magic = number(rest, 4)?;
    if magic & !0xf == u64::from(SKIPPABLE) {
        let len = number(rest, 4)?;
        skip(rest, len)?;
        return Ok(0);
    }
    if magic != u64::from(MAGIC) {
        return Err(broken("no frame begins here"));
    }
    let descriptor = number(rest, 1)?;
    let single_segment = descriptor & 0x20 != 0;
    let mut window = u64::MAX;
    if !single_segment {
        let byte = number(rest, 1)?;
        let base = 1u64 << (10 + (byte >> 3));
        window = base + base / 8 * (byte & 7);
    }
    if number(rest, [0, 1, 2, 4][(descriptor & 3) as usize])? != 0 {
        return Err(broken("it needs a dictionary"));
    }
    let said = match (descriptor >> 6, single_segment) {
        (0, false) => None,
        (0, true) => Some(number(rest, 1)?),
        (1, _) => Some(number(rest, 2)? + 256),
        (2, _) => Some(number(rest, 4)?),
        _ => Some(number(rest, 8)?),
    };
    if single_segment {
        window = said.unwrap_or(window);
    }
    let can_hold = blocks(rest, window.min(LARGEST_BLOCK))?;
    if descriptor & 4 != 0 {
        skip(rest, 4)?;
    }
    match said {
        Some(said) if said > can_hold => {
            Err(broken(&format!("its header says {said} bytes, more than the {can_hold} that its blocks can hold")))
        }
        Some(said) => Ok(said),
        None => Ok(can_hold.min(left)),
    }
}

/// Steps over the blocks of a frame and says how much they can hold.
fn blocks(rest: &mut &[u8], largest: u64) -> Result<u64, DecodeError> {
    let mut total = 0u64;
    loop {
        let header = number(rest, 3)?;
        let size = header >> 3;
        let (lies, becomes) = match header >> 1 & 3 {
            0 => (size, size),
            1 => (1, size),
            2 => (size, largest),
            _ => return Err(broken("a block of the reserved type")),
        };
        if size > LARGEST_BLOCK {
            return Err(broken("a block is over 128 KiB"));
        }
        skip(rest, lies)?;
        total += becomes;
        if header & 1 != 0 {
            return Ok(total);
        }
    }
}

/// A little-endian number of so many bytes, at most eight.
fn number(rest: &mut &[u8], bytes: usize) -> Result<u64, DecodeError> {
    let (head, after) = rest.split_at_checked(bytes).ok_or_else(|| broken("it ends early"))?;
    *rest = after;
    Ok(head.iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte)))
}

fn skip(rest: &mut &[u8], bytes: u64) -> Result<(), DecodeError> {
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    *rest = rest.split_at_checked(bytes).ok_or_else(|| broken("it ends early"))?.1;
    Ok(())
}

fn broken(what: &str) -> DecodeError {
    DecodeError::Compression(format!("not zstd: {what}"))
}

#[cfg(test)]
mod tests;
