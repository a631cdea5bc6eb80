//! What is wrong with a file, all of it, each with its key; and the values that several keys have.

use std::net::SocketAddr;
use std::time::Duration;

/// A duration as people write it: `250ms`, `90s`, `10m`, `6h`, `2d`.
pub fn duration(text: &str) -> Option<Duration> {
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let scale = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        _ => return None,
    };
    let seconds = number.parse::<f64>().ok()? * scale;
    (seconds > 0.0 && seconds < 1e9).then(|| Duration::from_secs_f64(seconds))
}

/// Units of sizes: those of Kubernetes' quantities, and with a `B` as they are read.
const UNITS: [(&str, u64); 13] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("B", 1),
];
/// What a size looks like, for the schema.
pub(super) const SIZE: &str = r"^[0-9]+(\.[0-9]+)?(KiB|MiB|GiB|TiB|Ki|Mi|Gi|Ti|k|M|G|T|B)?$";
/// No disk is larger; up to here a fraction of a size is exact enough.
const LARGEST: f64 = (1_u64 << 53) as f64;

/// A number of bytes as Kubernetes has it, `2Gi`, `512Mi`, `1.5G`, `2147483648`, or with its unit written out, `2GiB`.
fn bytes(text: &str) -> Option<u64> {
    let found = UNITS.iter().find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, *scale)));
    let (number, scale) = found.unwrap_or((text, 1));
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number = number.parse::<f64>().ok().filter(|_| is_digits(whole) && is_digits(part))?;
    let bytes = number * scale as f64;
    (bytes <= LARGEST).then_some(bytes as u64)
}

#[derive(Default)]
pub(super) struct Errors {
    pub(super) told: Vec<String>,
    /// Keys that the file has a value for that could not be taken, which was told already: what is there instead is not the
    /// file's, and nothing is to be said of it.
    pub(super) lost: Vec<String>,
}

impl Errors {
    /// Whether what is there for this key is what the file says, or says by leaving it out.
    pub(super) fn is_sound(&self, key: &str) -> bool {
        let of_key = |told: &String| told.strip_prefix(key).is_some_and(|rest| rest.starts_with(": "));
        !self.told.iter().any(of_key) && !self.lost.iter().any(|lost| is_at_or_below(key, lost))
    }

    /// All that is wrong beside what is lost: not what is said of that, nor of a mapping as a whole that lacks some of it.
    pub(super) fn all(self) -> Vec<String> {
        let Self { mut told, lost } = self;
        let is_of_lost = |told: &String| {
            let key = told.split_once(": ").map_or(told.as_str(), |(key, _)| key);
            lost.iter().any(|lost| is_at_or_below(key, lost) || is_below(lost, key))
        };
        told.retain(|told| !is_of_lost(told));
        told
    }

    pub(super) fn address(&mut self, key: &str, text: &str) -> SocketAddr {
        text.parse().unwrap_or_else(|_| {
            let is_named = text.rsplit_once(':').is_some_and(|(host, port)| {
                port.parse::<u16>().is_ok() && host.contains(|c: char| c.is_ascii_alphabetic()) && !host.contains(':')
            });
            let hint = if is_named { "no name is looked up here; " } else { "" };
            self.told.push(format!("{key}: {text:?} is not an address, {hint}write for instance 0.0.0.0:8080"));
            SocketAddr::from(([0, 0, 0, 0], 0))
        })
    }

    pub(super) fn duration(&mut self, key: &str, text: &str) -> Duration {
        duration(text).unwrap_or_else(|| {
            let why = if is_nothing(text) { "is no time at all" } else { "is not a duration" };
            self.told.push(format!("{key}: {text:?} {why}, write for instance 90s, 10m or 6h"));
            Duration::from_secs(1)
        })
    }

    /// A duration from the first to the second, `between` them in words.
    pub(super) fn bounded(&mut self, key: &str, text: &str, within: (Duration, Duration), between: &str) -> Duration {
        if is_nothing(text) || duration(text).is_some_and(|d| !(within.0..=within.1).contains(&d)) {
            self.told.push(format!("{key}: must be between {between}"));
            return within.0;
        }
        self.duration(key, text)
    }

    pub(super) fn bytes(&mut self, key: &str, text: &str) -> u64 {
        bytes(text).unwrap_or_else(|| {
            self.told.push(format!("{key}: {text:?} is not a size, write for instance 512Mi or 2Gi"));
            1 << 30
        })
    }
}

/// Whether it is a duration of no length, `0s` or `0`.
fn is_nothing(text: &str) -> bool {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    number.parse::<f64>().is_ok_and(|n| n == 0.0)
}

fn is_at_or_below(key: &str, other: &str) -> bool {
    key.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Whether a key is one of this mapping or list itself, and not deeper.
fn is_below(key: &str, holder: &str) -> bool {
    let rest = key.strip_prefix(holder).and_then(|rest| rest.strip_prefix(['.', '[']));
    rest.is_some_and(|rest| !rest.contains(['.', '[']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_as_kubernetes_has_them_or_with_a_b() {
        for (text, size) in [
            ("2Gi", 2 << 30),
            ("2GiB", 2 << 30),
            ("512Mi", 512 << 20),
            ("64Ki", 64 << 10),
            ("1Ti", 1 << 40),
            ("1.5Gi", 3 << 29),
            ("2G", 2_000_000_000),
            ("20M", 20_000_000),
            ("128k", 128_000),
            ("0.5M", 500_000),
            ("2147483648", 2 << 30),
            ("4096B", 4096),
            ("0", 0),
        ] {
            assert_eq!(bytes(text), Some(size), "{text}");
        }
        for text in [
            "", "lots", "Gi", "2GB", "2K", "2g", "-1", "+1", "1e9", ".5G", "5.G", "1.2.3", "2 Gi", "inf", "9000000T",
            "100m",
        ] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }
}
