//! The manifest: what a checkpoint consists of, and all of it that is not in Parquet.
//!
//! `magic | version | crc32 | length of the first part | first part | second part`, little-endian; the parts are
//! compressed, the checksum covers the version and all that follows it. The first part is the manifest itself, the second what the
//! caller added.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use whyd_signals::{Lsn, Timestamp};

use super::file::DataFile;
use super::{CheckpointError, Point};
use crate::writer::Held;

const MAGIC: &[u8; 8] = b"whydckpt";
/// To be raised with whatever changes what is in a manifest.
const VERSION: u32 = 10;
/// Magic, version, checksum, length.
const HEAD: usize = 8 + 4 + 4 + 8;
const FOLDER: &str = "checkpoint/";

/// A checkpoint as written.
#[derive(Serialize, Deserialize)]
pub(super) struct Manifest {
    lsn: Lsn,
    at: i64,
    by: String,
    pub(super) files: Vec<DataFile>,
    pub(super) held: Held,
    #[serde(skip)]
    pub(super) rest: Vec<u8>,
}

/// `checkpoint/<lsn, 20 digits>`
pub(super) fn name_of(lsn: Lsn) -> String {
    format!("{FOLDER}{:020}", lsn.0)
}

/// Of which place of the log the manifest of this name is.
pub(super) fn lsn_of(name: &str) -> Option<Lsn> {
    name.strip_prefix(FOLDER)?.parse().ok().map(Lsn)
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(bytes.get(8..12).unwrap_or_default());
    crc.update(bytes.get(16..).unwrap_or_default());
    crc.finalize()
}

impl Manifest {
    pub(super) fn new(point: &Point, files: Vec<DataFile>, held: Held) -> Self {
        Self { lsn: point.lsn, at: point.at.0, by: point.by.clone(), files, held, rest: Vec::new() }
    }

    pub(super) fn point(&self) -> Point {
        Point { lsn: self.lsn, at: Timestamp(self.at), by: self.by.clone() }
    }

    /// With what the caller added.
    pub(super) fn write(&self, rest: &[u8]) -> Result<Bytes, CheckpointError> {
        let wrong = |e: &dyn std::fmt::Display| CheckpointError::form("manifest", e);
        let head = rmp_serde::to_vec(self).map_err(|e| wrong(&e))?;
        let parts = [zstd::bulk::compress(&head, 1), zstd::bulk::compress(rest, 1)];
        let [head, rest] = parts.map(|part| part.map_err(|e| wrong(&e)));
        let (head, rest) = (head?, rest?);
        let mut out = Vec::with_capacity(HEAD + head.len() + rest.len());
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&(head.len() as u64).to_le_bytes());
        out.extend_from_slice(&head);
        out.extend_from_slice(&rest);
        let crc = checksum(&out);
        if let Some(place) = out.get_mut(12..16) {
            place.copy_from_slice(&crc.to_le_bytes());
        }
        Ok(out.into())
    }

    /// `None` where it is of another version.
    pub(super) fn read(name: &str, bytes: &[u8]) -> Result<Option<Self>, CheckpointError> {
        let damaged = || CheckpointError::Damaged(name.to_owned());
        let Some((head, rest)) = bytes.split_at_checked(HEAD) else { return Err(damaged()) };
        let word = |at: usize| head.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes);
        let length = head.get(16..HEAD).and_then(|b| b.try_into().ok()).map(u64::from_le_bytes);
        let crc = checksum(bytes);
        if head.get(..8) != Some(MAGIC.as_slice()) || word(12) != Some(crc) {
            return Err(damaged());
        }
        if word(8) != Some(VERSION) {
            return Ok(None);
        }
        let length = length.and_then(|n| usize::try_from(n).ok()).ok_or_else(damaged)?;
        let (first, second) = rest.split_at_checked(length).ok_or_else(damaged)?;
        let first = zstd::stream::decode_all(first).map_err(|_| damaged())?;
        // As it was written, yet not to be read: another build wrote it.
        let Ok(mut manifest) = rmp_serde::from_slice::<Self>(&first) else { return Ok(None) };
        manifest.rest = zstd::stream::decode_all(second).map_err(|_| damaged())?;
        Ok(Some(manifest))
    }
}
