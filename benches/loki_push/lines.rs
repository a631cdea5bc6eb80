//! Lines as programs of a cluster write them, made of a seed: logfmt, JSON, klog, Java, access logs and plain text.

use std::fmt::Write as _;

/// A small generator, the same everywhere.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 11) % n
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len() as u64) as usize]
    }
}

/// How a program writes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Logfmt,
    Json,
    Klog,
    Java,
    Access,
    Plain,
}

pub(crate) const STYLES: [Style; 6] =
    [Style::Logfmt, Style::Json, Style::Klog, Style::Java, Style::Access, Style::Plain];

const MESSAGES: [&str; 12] = [
    "request completed",
    "request to upstream failed, will be tried again",
    "connection to database refused",
    "cache miss, reading from storage",
    "reconciling object",
    "lease renewed",
    "order accepted for processing",
    "payment authorised by provider",
    "consumer group rebalanced, partitions assigned",
    "slow query",
    "token of user refreshed",
    "health check of dependency passed",
];
const KEYS: [&str; 10] =
    ["attempt", "peer", "duration", "bytes", "request_id", "user", "path", "partition", "shard", "status"];
const PATHS: [&str; 6] =
    ["/api/v1/orders", "/api/v1/users/profile", "/cart/items", "/healthz", "/metrics", "/v2/catalog/search"];
const CLASSES: [&str; 5] = [
    "c.s.order.OrderService",
    "o.a.kafka.clients.consumer.KafkaConsumer",
    "c.s.payment.ProviderClient",
    "o.h.engine.jdbc.spi.SqlExceptionHelper",
    "c.s.web.RequestFilter",
];

fn value(key: &str, r: &mut Random, out: &mut String) {
    let _ = match key {
        "peer" => write!(out, "10.{}.{}.{}:{}", r.below(256), r.below(256), r.below(256), 1024 + r.below(60_000)),
        "duration" => write!(out, "{}.{:03}ms", r.below(900), r.below(1000)),
        "request_id" => write!(out, "{:08x}-{:04x}-{:012x}", r.below(1 << 32), r.below(1 << 16), r.below(1 << 48)),
        "user" => write!(out, "user-{}", r.below(50_000)),
        "path" => write!(out, "{}/{}", r.of(&PATHS), r.below(100_000)),
        "status" => write!(out, "{}", [200, 200, 200, 201, 404, 500][r.below(6) as usize]),
        _ => write!(out, "{}", r.below(1_000_000)),
    };
}

/// Writes one line, some 200 bytes, the more the lines of one program differ the better for the test.
pub(crate) fn line(style: Style, ts: i64, r: &mut Random, out: &mut String) {
    out.clear();
    let level = match r.below(100) {
        0..80 => "info",
        80..88 => "debug",
        88..96 => "warn",
        _ => "error",
    };
    let message = r.of(&MESSAGES);
    let (second, micro) = (ts / 1_000_000_000, ts / 1000 % 1_000_000);
    let (h, m, s) = (second / 3600 % 24, second / 60 % 60, second % 60);
    let _ = match style {
        Style::Logfmt => {
            write!(
                out,
                "ts=2026-11-28T{h:02}:{m:02}:{s:02}.{micro:06}Z level={level} caller=server.go:{} msg=\"{message}\"",
                r.below(900)
            )
        }
        Style::Json => {
            write!(
                out,
                "{{\"level\":\"{level}\",\"ts\":{second}.{micro:06},\"logger\":\"controller\",\"msg\":\"{message}\""
            )
        }
        Style::Klog => {
            let letter = level.as_bytes()[0].to_ascii_uppercase() as char;
            let letter = if letter == 'D' { 'I' } else { letter };
            write!(
                out,
                "{letter}1128 {h:02}:{m:02}:{s:02}.{micro:06}       1 reconciler.go:{}] \"{message}\"",
                r.below(900)
            )
        }
        Style::Java => {
            let (level, class) = (level.to_uppercase(), r.of(&CLASSES));
            write!(
                out,
                "2026-11-28 {h:02}:{m:02}:{s:02},{:03} {level:5} [pool-2-thread-{}] {class} - {message}",
                micro / 1000,
                r.below(16)
            )
        }
        Style::Access => {
            let (a, b, path) = (r.below(256), r.below(256), r.of(&PATHS));
            let (n, status, bytes) = (r.below(100_000), [200, 304, 404, 502][r.below(4) as usize], r.below(90_000));
            write!(
                out,
                "10.0.{a}.{b} - - [28/Nov/2026:{h:02}:{m:02}:{s:02} +0000] \"GET {path}/{n} HTTP/1.1\" {status} {bytes} \"-\" \
                 \"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0\" {}.{:03}",
                r.below(3),
                r.below(1000)
            )
        }
        Style::Plain => write!(out, "[{level}] {h:02}:{m:02}:{s:02} worker {} of queue mail: {message}", r.below(32)),
    };
    if style != Style::Access {
        let wanted = 150 + r.below(80) as usize;
        let mut key = r.below(3) as usize;
        while out.len() < wanted {
            let name = KEYS[key % KEYS.len()];
            key += 1;
            out.push_str(match style {
                Style::Json => ",\"",
                _ => " ",
            });
            out.push_str(name);
            out.push_str(if style == Style::Json { "\":\"" } else { "=" });
            value(name, r, out);
            if style == Style::Json {
                out.push('"');
            }
        }
    }
    if style == Style::Json {
        out.push('}');
    }
}
