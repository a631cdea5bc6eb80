//! Generated samples: counters that are reset, gauges, gaps, series that end and come again, NaN and infinities.

use std::time::Duration;

use whyd_signals::{Compression, Envelope, Media, Timestamp};

/// How long the samples go on.
pub(super) const SECONDS: i64 = 2400;
const INTERVAL: i64 = 15;
/// A body for so many seconds.
const BODY: i64 = 60;

/// Xorshift: the same numbers from the same seed on every machine.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Below `n`.
    pub(super) fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n
    }

    pub(super) fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }
}

/// The labels of a series and its samples, by milliseconds.
type Series = (Vec<(&'static str, String)>, Vec<(i64, f64)>);

fn stale() -> f64 {
    f64::from_bits(whyd_signals::sample::STALE_BITS)
}

/// Sums of these values are exact, so the order of adding does not show.
fn eighths(random: &mut Random, most: usize) -> f64 {
    random.below(most * 8) as f64 / 8.0
}

fn series(start: i64, seed: u64) -> Vec<Series> {
    let mut random = Random::new(seed);
    let mut all: Vec<Series> = Vec::new();
    for n in 0..12_usize {
        let jitter = random.below(15_000) as i64;
        let times: Vec<i64> = (0..SECONDS / INTERVAL).map(|i| start + i * INTERVAL * 1000 + jitter).collect();
        let labels = |name: &str| {
            let zone = ["north", "south", "west"][n % 3];
            let job = ["api", "db"][n % 2];
            vec![
                ("__name__", name.to_owned()),
                ("instance", format!("i{n:02}")),
                ("job", job.into()),
                ("zone", zone.into()),
            ]
        };
        let mut count = 0.0;
        let counter = times.iter().map(|t| {
            count = if random.below(25) == 0 { 0.0 } else { count + eighths(&mut random, 50) };
            (*t, count)
        });
        all.push((labels("gen_counter_total"), counter.collect()));
        let gauge = times.iter().map(|t| (*t, eighths(&mut random, 100) - 50.0));
        all.push((labels("gen_gauge"), gauge.collect()));
        let distinct = times.iter().map(|t| (*t, (n * 1000 + random.below(1000)) as f64));
        all.push((labels("gen_distinct"), distinct.collect()));
        // Gaps of up to ten minutes; some begin with a stale marker.
        let mut gap = 0;
        let gaps = times.iter().filter_map(|t| {
            if gap > 0 {
                gap -= 1;
                return None;
            }
            if random.below(20) == 0 {
                gap = random.below(40);
                return (random.below(2) == 0).then(|| (*t, stale()));
            }
            Some((*t, eighths(&mut random, 20)))
        });
        all.push((labels("gen_gaps"), gaps.collect()));
        if n < 4 {
            let odd = times.iter().map(|t| {
                let value = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, 1e300, 1e-300];
                (*t, if random.below(6) == 0 { value[random.below(7)] } else { eighths(&mut random, 10) })
            });
            all.push((labels("gen_odd"), odd.collect()));
        }
        if n < 3 {
            let zones = times.iter().map(|t| (*t, 1.0 + eighths(&mut random, 4)));
            let labels = vec![
                ("__name__", "gen_zone".to_owned()),
                ("owner", format!("team-{n}")),
                ("zone", ["north", "south", "west"][n].to_owned()),
            ];
            all.push((labels, zones.collect()));
        }
    }
    all
}

/// Remote writes of the generated samples, one a minute, each received when its minute is over.
pub(super) fn generated(start: i64, seed: u64) -> Vec<Envelope> {
    let all = series(start, seed);
    let minutes = SECONDS / BODY + 1;
    let body = |minute: i64| {
        let (from, to) = (start + minute * BODY * 1000, start + (minute + 1) * BODY * 1000);
        let mut message = Vec::new();
        for (labels, samples) in &all {
            let mut one = Vec::new();
            for (name, value) in labels {
                let mut label = Vec::new();
                field(&mut label, 0x0a, name.as_bytes());
                field(&mut label, 0x12, value.as_bytes());
                field(&mut one, 0x0a, &label);
            }
            let empty = one.len();
            for (at, value) in samples.iter().filter(|(at, _)| (from..to).contains(at)) {
                let mut sample = vec![0x09];
                sample.extend_from_slice(&value.to_le_bytes());
                sample.push(0x10);
                varint(&mut sample, *at as u64);
                field(&mut one, 0x12, &sample);
            }
            if one.len() > empty {
                field(&mut message, 0x0a, &one);
            }
        }
        let body = snap::raw::Encoder::new().compress_vec(&message).unwrap();
        let received = Timestamp::from_millis(to).unwrap().plus(Duration::from_millis(1));
        Envelope { received, media: Media::RemoteWrite1(Compression::Snappy), tenant: None, body: body.into() }
    };
    (0..minutes).map(body).filter(|m| m.body.len() > 1).collect()
}

fn field(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}
