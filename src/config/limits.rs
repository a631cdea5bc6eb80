//! Bounds in time, memory and disk, and how they bound each other.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use whyd_collector::source::http::OTLP_LIMIT;
use whyd_collector::wire::inflate;

use super::Errors;
use super::errors::SIZE;

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub(super) struct LimitsFile {
    /// How far back data is kept. Default `6h`.
    window: Option<String>,
    /// How late a sample or line may be, both against the newest of its series or stream and against the clock, and how far
    /// ahead of the clock. The first of a series or stream may be of any age. Default `10m`.
    lateness: Option<String>,
    /// How often verdicts are revised. Default `1s`.
    tick: Option<String>,
    /// Memory of all buffers, as Kubernetes writes quantities: `2Gi`, `512Mi`, `2G`; `2GiB` will do, too. At least `64Mi`. Default `2Gi`.
    #[schemars(regex(pattern = SIZE))]
    memory: Option<String>,
    /// Disk of the log, whose oldest records go over it. At least `64Mi`. Default `8Gi`.
    #[schemars(regex(pattern = SIZE))]
    log: Option<String>,
    /// Disk of checkpoints and of the samples and lines in them. At least `16Mi`. Default `2Gi`.
    #[schemars(regex(pattern = SIZE))]
    history: Option<String>,
    /// How long these are kept on disk as Parquet, for instance `7d`. Default: the window.
    retention: Option<String>,
    /// Series known at once; a new one over it is refused, known ones go on. Default 1000000.
    series: Option<usize>,
    /// Of them, those of one team; what belongs to no team has no such bound. Default: half of `series`.
    series_per_team: Option<usize>,
    /// Log streams known at once. Default 100000.
    streams: Option<usize>,
    /// Of them, those of one team, as for series. Default: half of `streams`.
    streams_per_team: Option<usize>,
    /// Largest body accepted, for instance `32Mi`; at most that, and a thirty-second of `memory`. Default `16Mi`, and for OTLP over
    /// HTTP `20Mi`, where that is not over it.
    #[schemars(regex(pattern = SIZE))]
    body: Option<String>,
}

/// The largest body where nothing is said.
const BODY: usize = 16 << 20;

/// What bodies may take at once, out of all the memory.
pub(super) fn inlet_bytes(memory: usize) -> usize {
    memory / 16
}

/// How large a body may be: those that are not whole have half of the room.
fn largest_body(memory: usize) -> usize {
    inlet_bytes(memory) / 2
}

/// The bounds that hold.
pub(super) struct Limits {
    pub(super) window: Duration,
    pub(super) lateness: Duration,
    pub(super) tick: Duration,
    pub(super) memory: usize,
    pub(super) log_bytes: u64,
    pub(super) history_bytes: u64,
    pub(super) retention: Duration,
    pub(super) series: usize,
    pub(super) series_per_team: usize,
    pub(super) streams: usize,
    pub(super) streams_per_team: usize,
    pub(super) body: usize,
    pub(super) otlp_body: usize,
}

impl Errors {
    pub(super) fn limits(&mut self, l: &LimitsFile) -> Limits {
        let memory = self.bytes("limits.memory", l.memory.as_deref().unwrap_or("2Gi")) as usize;
        let body = l.body.as_deref().map(|text| self.bytes("limits.body", text) as usize);
        if self.is_sound("limits.body")
            && self.is_sound("limits.memory")
            && body.is_some_and(|body| body > largest_body(memory).min(inflate::LIMIT))
        {
            let why =
                "limits.body: must be at most 32Mi, and a thirty-second of limits.memory; lower it, or raise that";
            self.told.push(why.into());
        }
        let body_or = |usual: usize| body.unwrap_or(usual.min(largest_body(memory)));
        let series = l.series.unwrap_or(1_000_000);
        let streams = l.streams.unwrap_or(100_000);
        let limits = Limits {
            window: self.duration("limits.window", l.window.as_deref().unwrap_or("6h")),
            lateness: self.duration("limits.lateness", l.lateness.as_deref().unwrap_or("10m")),
            tick: self.duration("limits.tick", l.tick.as_deref().unwrap_or("1s")),
            memory,
            log_bytes: self.bytes("limits.log", l.log.as_deref().unwrap_or("8Gi")),
            history_bytes: self.bytes("limits.history", l.history.as_deref().unwrap_or("2Gi")),
            retention: match &l.retention {
                Some(text) => self.duration("limits.retention", text),
                None => Errors::default().duration("", l.window.as_deref().unwrap_or("6h")),
            },
            series,
            series_per_team: l.series_per_team.unwrap_or(series.div_ceil(2)),
            streams,
            streams_per_team: l.streams_per_team.unwrap_or(streams.div_ceil(2)),
            body: body_or(BODY),
            otlp_body: body_or(OTLP_LIMIT),
        };
        let sound_window = self.is_sound("limits.window");
        let sound_retention = sound_window && self.is_sound("limits.retention");
        let sound_lateness = sound_window && self.is_sound("limits.lateness");
        if sound_retention && limits.retention < limits.window {
            self.told.push("limits.retention: must not be shorter than limits.window".into());
        }
        if sound_lateness && limits.lateness > limits.window {
            self.told.push("limits.lateness: must not be longer than limits.window".into());
        }
        for (key, of_team, of_all, all) in [
            ("limits.seriesPerTeam", limits.series_per_team, "limits.series", limits.series),
            ("limits.streamsPerTeam", limits.streams_per_team, "limits.streams", limits.streams),
        ] {
            if of_team == 0 || of_team > all {
                self.told
                    .push(format!("{key}: must be at least 1 and at most {of_all}; leave it out for half of that"));
            }
        }
        for (key, bytes, least) in [
            ("limits.log", limits.log_bytes, 64 << 20),
            ("limits.history", limits.history_bytes, 16 << 20),
            ("limits.body", limits.body as u64, 1 << 10),
        ] {
            if bytes < least {
                let least = if least < 1 << 20 { "1Ki".to_owned() } else { format!("{}Mi", least >> 20) };
                self.told.push(format!("{key}: must be at least {least}"));
            }
        }
        if limits.memory < 64 << 20 {
            self.told.push("limits.memory: must be at least 64Mi".into());
        }
        limits
    }
}

#[cfg(test)]
mod tests {
    use crate::config::ConfigFile;

    #[test]
    fn bodies_and_shares_follow_what_there_is() {
        let read = |text: &str| ConfigFile::parse(text).unwrap().validate();
        let usual = read("").unwrap();
        assert_eq!((usual.body, usual.otlp_body, usual.inlet_bytes()), (16 << 20, 20 << 20, 128 << 20));
        assert_eq!((usual.series, usual.series_per_team), (1_000_000, 500_000));
        assert_eq!((usual.streams, usual.streams_per_team), (100_000, 50_000));
        assert_eq!(read("limits: {streams: 9, streamsPerTeam: 3}\n").unwrap().streams_per_team, 3);
        let text = "limits: {series: 5, seriesPerTeam: 6, streams: 0, log: 1KiB, history: 1KiB, body: 0}\n";
        let wrong = read(text).unwrap_err();
        for key in ["seriesPerTeam", "streamsPerTeam", "log", "history", "body"] {
            assert!(
                wrong.iter().any(|w| w.starts_with(&format!("limits.{key}: must be at least"))),
                "{key}: {wrong:?}"
            );
        }
        let small = read("limits: {memory: 64MiB, series: 7}\n").unwrap();
        assert_eq!((small.body, small.otlp_body, small.series_per_team), (2 << 20, 2 << 20, 4));
        let wrong = read("limits: {memory: 256MiB, body: 9MiB, seriesPerTeam: 0}\n").unwrap_err();
        assert!(wrong.iter().any(|w| w.starts_with("limits.body: ")), "{wrong:?}");
        assert!(wrong.iter().any(|w| w.starts_with("limits.seriesPerTeam: ")), "{wrong:?}");
        assert_eq!(read("limits: {memory: 256MiB, body: 8MiB}\n").unwrap().body, 8 << 20);
    }
}
