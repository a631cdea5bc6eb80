//! CRC-32 by Castagnoli's polynomial, as the frames of a streamed remote read carry it. Eight bytes a step.

/// The polynomial, its bits reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;
const TABLES: [[u32; 256]; 8] = tables();

/// The checksum of some bytes.
pub fn checksum(bytes: &[u8]) -> u32 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut crc = u32::MAX;
    for word in words {
        let mixed = u64::from_le_bytes(*word) ^ u64::from(crc);
        crc = (0..8).fold(0, |sum, n| sum ^ entry(7 - n, (mixed >> (8 * n)) as u8));
    }
    !rest.iter().fold(crc, |crc, byte| entry(0, crc as u8 ^ byte) ^ (crc >> 8))
}

#[inline]
fn entry(table: usize, byte: u8) -> u32 {
    TABLES[table & 7][byte as usize]
}

const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut n = 0;
    while n < 256 {
        let (mut crc, mut bit) = (n as u32, 0);
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        tables[0][n] = crc;
        n += 1;
    }
    let mut t = 1;
    while t < 8 {
        let mut n = 0;
        while n < 256 {
            let before = tables[t - 1][n];
            tables[t][n] = tables[0][(before & 0xff) as usize] ^ (before >> 8);
            n += 1;
        }
        t += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_sums() {
        // RFC 3720, appendix B.4, and the check value of the catalogue of CRCs.
        assert_eq!(checksum(b"123456789"), 0xe306_9283);
        assert_eq!(checksum(&[0; 32]), 0x8a91_36aa);
        assert_eq!(checksum(&[0xff; 32]), 0x62a8_ab43);
        let rising: Vec<u8> = (0..32).collect();
        assert_eq!(checksum(&rising), 0x46dd_794e);
        assert_eq!(checksum(b""), 0);
    }
}
