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
            self.told.push(format!("{key}: {text:?} is not an address, write for instance 0.0.0.0:8080"));
            SocketAddr::from(([0, 0, 0, 0], 0))
        })
    }

    pub(super) fn duration(&mut self, key: &str, text: &str) -> Duration {
        duration(text).unwrap_or_else(|| {
            self.told.push(format!("{key}: {text:?} is not a duration, write for instance 90s, 10m or 6h"));
            Duration::from_secs(1)
        })
    }

    pub(super) fn bytes(&mut self, key: &str, text: &str) -> u64 {
        let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let shift = match unit {
            "B" | "" => Some(0),
            "KiB" => Some(10),
            "MiB" => Some(20),
            "GiB" => Some(30),
            _ => None,
        };
        match (number.parse::<u64>(), shift) {
            (Ok(n), Some(shift)) if n < 1 << 30 => n << shift,
            _ => {
                self.told.push(format!("{key}: {text:?} is not a size, write for instance 512MiB or 2GiB"));
                1 << 30
            }
        }
    }
}

fn is_at_or_below(key: &str, other: &str) -> bool {
    key.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Whether a key is one of this mapping or list itself, and not deeper.
fn is_below(key: &str, holder: &str) -> bool {
    let rest = key.strip_prefix(holder).and_then(|rest| rest.strip_prefix(['.', '[']));
    rest.is_some_and(|rest| !rest.contains(['.', '[']))
}
