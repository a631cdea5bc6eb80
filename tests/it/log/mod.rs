//! The ordered log on a disk that loses power, fails and is full, and the daemon's core on top of it.

mod damage;
mod faults;
mod kills;
mod live;
mod model;
mod oracle;
mod power;
pub(crate) mod random;
mod rate;
mod shelf;
mod simulator;

use bytes::Bytes;
use random::Random;
use whyd_buffers::Bitmap;
use whyd_buffers::wal::Record;
use whyd_signals::{Compression, Envelope, Lsn, Media, Resource, Team, Timestamp, Verb};

/// A body of so many samples of one series, a millisecond apart.
pub(crate) fn run(series: usize, from_ms: i64, count: i64) -> Bytes {
    oracle::Message::run(series, from_ms, count).body
}

/// How many of something: as in the environment, else so many.
pub(crate) fn cases(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |n| n.parse().unwrap_or_else(|_| panic!("{variable} is no number")))
}

/// Where the seeds begin; a failure names the one to begin with to see it again.
fn seeds(count: u64) -> std::ops::Range<u64> {
    let first = cases("WHYD_SEED", 1);
    first..first + count
}

/// A record of any kind and size.
fn record(lsn: Lsn, random: &mut Random) -> Record {
    let media = [
        Media::RemoteWrite1(Compression::Snappy),
        Media::LokiProto,
        Media::LokiJson,
        Media::Kube(Resource::Pods, Verb::Apply),
        Media::Kube(Resource::Events, Verb::Listed),
    ][random.below(5)];
    let mut refused = Bitmap::new();
    for _ in 0..random.below(3) {
        refused.set(random.below(200) as u64);
    }
    let size = if random.one_in(10) { random.below(3000) } else { random.below(120) };
    // Zeros are what a lost block looks like, so some bodies are made of them.
    let zeros = random.one_in(6);
    let body: Bytes = (0..size).map(|_| if zeros { 0 } else { random.next() as u8 }).collect();
    let tenant = random.one_in(3).then(|| Team::new("shop"));
    let received = Timestamp(random.below(1 << 40) as i64);
    Record { lsn, envelope: Envelope { received, media, tenant, body }, refused }
}
