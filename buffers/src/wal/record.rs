//! A record as bytes: `len | !len | crc32 | version | lsn | received | media | tenant | refused | body`, little-endian.
//!
//! The checksum covers all that follows it, and is looked at before anything else is. The length is there twice, so
//! that the next record is found beyond a damaged one without searching: a body may hold what looks like a record.

use std::ops::Range;

use bytes::Bytes;
use whyd_signals::{Compression, Envelope, Hearing, Lsn, Media, Pulled, Resource, Team, Timestamp, Verb};

use super::Record;
use crate::bitmap::Bitmap;

const VERSION: u8 = 1;
/// Length, its complement, checksum.
pub(super) const FRAME: usize = 12;
/// Version, lsn, received, media, length of the tenant.
const HEAD: usize = 1 + 8 + 8 + 3 + 1;
/// A record is larger than this only when its length is damaged.
pub(super) const LARGEST: usize = 64 << 20;
/// Stands for the absence of a tenant; names are shorter.
const NO_TENANT: u8 = u8::MAX;

fn media_bytes(media: Media) -> [u8; 3] {
    match media {
        Media::RemoteWrite1(compression) => [0, compression as u8, 0],
        Media::LokiProto => [1, 0, 0],
        Media::LokiJson => [2, 0, 0],
        Media::Kube(resource, verb) => [3, resource as u8, verb as u8],
        Media::RemoteWrite2(compression) => [4, compression as u8, 0],
        Media::OtlpMetricsProto => [10, 0, 0],
        Media::OtlpMetricsJson => [11, 0, 0],
        Media::OtlpLogsProto => [12, 0, 0],
        Media::OtlpLogsJson => [13, 0, 0],
        Media::Pulled(what) => [20, what as u8, 0],
        Media::AlertmanagerWebhook => [21, 0, 0],
        Media::Hearing(hearing) => [22, hearing as u8, 0],
    }
}

fn media(bytes: [u8; 3]) -> Option<Media> {
    match bytes {
        [0, n, 0] => Some(Media::RemoteWrite1(compression(n)?)),
        [1, 0, 0] => Some(Media::LokiProto),
        [2, 0, 0] => Some(Media::LokiJson),
        [3, resource, verb] => {
            let verb = [Verb::Apply, Verb::Delete, Verb::Listed].into_iter().find(|v| *v as u8 == verb)?;
            Some(Media::Kube(Resource::from_u8(resource)?, verb))
        }
        [4, n, 0] => Some(Media::RemoteWrite2(compression(n)?)),
        [10, 0, 0] => Some(Media::OtlpMetricsProto),
        [11, 0, 0] => Some(Media::OtlpMetricsJson),
        [12, 0, 0] => Some(Media::OtlpLogsProto),
        [13, 0, 0] => Some(Media::OtlpLogsJson),
        [20, n, 0] => Pulled::ALL.into_iter().find(|p| *p as u8 == n).map(Media::Pulled),
        [21, 0, 0] => Some(Media::AlertmanagerWebhook),
        [22, n, 0] => Hearing::ALL.into_iter().find(|h| *h as u8 == n).map(Media::Hearing),
        _ => None,
    }
}

fn compression(n: u8) -> Option<Compression> {
    [Compression::Snappy, Compression::Zstd].into_iter().find(|c| *c as u8 == n)
}

/// Appends a record; `None`, and nothing appended, when it is too large or its tenant's name is.
pub(super) fn write(record: &Record, out: &mut Vec<u8>) -> Option<()> {
    let tenant = record.envelope.tenant.as_ref().map(Team::as_str);
    let tenant_len = match tenant {
        None => NO_TENANT,
        Some(name) => u8::try_from(name.len()).ok().filter(|n| *n != NO_TENANT)?,
    };
    let refused = record.refused.to_bytes();
    let body = &record.envelope.body;
    let len = HEAD + tenant.map_or(0, str::len) + 4 + refused.len() + body.len();
    if len > LARGEST {
        return None;
    }
    let start = out.len();
    out.reserve(FRAME + len);
    out.extend_from_slice(&(len as u32).to_le_bytes());
    out.extend_from_slice(&(!(len as u32)).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.push(VERSION);
    out.extend_from_slice(&record.lsn.0.to_le_bytes());
    out.extend_from_slice(&record.envelope.received.0.to_le_bytes());
    out.extend_from_slice(&media_bytes(record.envelope.media));
    out.push(tenant_len);
    out.extend_from_slice(tenant.unwrap_or_default().as_bytes());
    out.extend_from_slice(&(refused.len() as u32).to_le_bytes());
    out.extend_from_slice(&refused);
    out.extend_from_slice(body);
    let crc = crc32fast::hash(out.get(start + FRAME..).unwrap_or_default());
    if let Some(place) = out.get_mut(start + FRAME - 4..start + FRAME) {
        place.copy_from_slice(&crc.to_le_bytes());
    }
    Some(())
}

/// A record but for its body, which stays where it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) lsn: Lsn,
    pub(super) received: Timestamp,
    media: Media,
    tenant: Option<Team>,
    refused: Bitmap,
    body: Range<usize>,
    /// Bytes of the whole record.
    pub(super) len: usize,
}

impl Head {
    /// The record, of which these are the bytes; its body is a slice of them.
    pub(super) fn record(self, bytes: &Bytes) -> Record {
        let Self { lsn, received, media, tenant, refused, body, .. } = self;
        Record { lsn, envelope: Envelope { received, media, tenant, body: bytes.slice(body) }, refused }
    }
}

/// What stands at the start of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A record.
    Record(Head),
    /// It would go on beyond the bytes.
    Cut,
    /// Not a record.
    Damaged,
}

/// The lengths that the start of `bytes` gives, those that may be.
fn lengths(bytes: &[u8]) -> Option<[Option<usize>; 2]> {
    let mut rest = bytes;
    let (first, second) = (take_u32(&mut rest)? as usize, !take_u32(&mut rest)? as usize);
    Some([first, second].map(|n| (HEAD + 4..=LARGEST).contains(&n).then_some(n)))
}

/// Reads the record at the start of `bytes`.
pub(super) fn read(bytes: &[u8]) -> Found {
    let Some(lengths) = lengths(bytes) else { return Found::Cut };
    let [Some(len), Some(same)] = lengths else { return Found::Damaged };
    if len != same {
        return Found::Damaged;
    }
    let Some(mut framed) = bytes.get(8..FRAME + len) else { return Found::Cut };
    let crc = take_u32(&mut framed);
    if crc != Some(crc32fast::hash(framed)) {
        return Found::Damaged;
    }
    match parse(framed) {
        Some(head) => Found::Record(head),
        None => Found::Damaged,
    }
}

/// How far the record after the damaged one at the start of `bytes` is, or the end.
pub(super) fn skip(bytes: &[u8]) -> Option<usize> {
    let [first, second] = lengths(bytes)?;
    let leads = |len: &usize| {
        let rest = bytes.get(FRAME + len..);
        rest.is_some_and(|r| first == second || r.is_empty() || matches!(read(r), Found::Record(_)))
    };
    [first, second].into_iter().flatten().find(leads).map(|len| FRAME + len)
}

/// Bytes checked at most when it is asked whether records follow damage.
const SEARCHED: usize = 256 << 20;

/// Whether a record stands anywhere within `bytes`: then this is no torn tail. It is not read: it may be made up.
pub(super) fn any_within(bytes: &[u8], after: Lsn) -> bool {
    let mut budget = SEARCHED;
    for at in 0..bytes.len().saturating_sub(FRAME + HEAD) {
        let Some(rest) = bytes.get(at..) else { return false };
        let Some([Some(len), Some(same)]) = lengths(rest) else { continue };
        if len != same || rest.len() < FRAME + len {
            continue;
        }
        match read(rest) {
            Found::Record(r) if r.lsn > after => return true,
            _ => budget = budget.saturating_sub(len),
        }
        if budget == 0 {
            return true;
        }
    }
    false
}

/// Of a record without its frame.
fn parse(framed: &[u8]) -> Option<Head> {
    let mut rest = framed;
    let [VERSION] = take(&mut rest)? else { return None };
    let lsn = Lsn(u64::from_le_bytes(take(&mut rest)?));
    let received = Timestamp(i64::from_le_bytes(take(&mut rest)?));
    let media = media(take(&mut rest)?)?;
    let tenant = match take(&mut rest)? {
        [NO_TENANT] => None,
        [len] => {
            let (name, after) = rest.split_at_checked(usize::from(len))?;
            rest = after;
            Some(Team::new(std::str::from_utf8(name).ok()?))
        }
    };
    let refused = take_u32(&mut rest)? as usize;
    let (refused, body) = rest.split_at_checked(refused)?;
    let len = FRAME + framed.len();
    let body = len - body.len()..len;
    Some(Head { lsn, received, media, tenant, refused: Bitmap::from_bytes(refused)?, body, len })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*first)
}

fn take_u32(rest: &mut &[u8]) -> Option<u32> {
    take(rest).map(u32::from_le_bytes)
}
