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
pub(super) struct Errors(pub(super) Vec<String>);

impl Errors {
    pub(super) fn address(&mut self, key: &str, text: &str) -> SocketAddr {
        text.parse().unwrap_or_else(|_| {
            self.0.push(format!("{key}: {text:?} is not an address, write for instance 0.0.0.0:8080"));
            SocketAddr::from(([0, 0, 0, 0], 0))
        })
    }

    pub(super) fn duration(&mut self, key: &str, text: &str) -> Duration {
        duration(text).unwrap_or_else(|| {
            self.0.push(format!("{key}: {text:?} is not a duration, write for instance 90s, 10m or 6h"));
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
                self.0.push(format!("{key}: {text:?} is not a size, write for instance 512MiB or 2GiB"));
                1 << 30
            }
        }
    }
}
