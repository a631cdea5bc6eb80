//! What a sender of OTLP is told, over HTTP and over gRPC alike.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use whyd_signals::Media;
use whyd_signals::sink::Refusal;

use super::TurnedAway;
use crate::Reply;
use crate::wire::otlp::{Code, Encoding, Signal};

/// How a body is to be read.
pub(super) fn media(signal: Signal, encoding: Encoding) -> Media {
    match (signal, encoding) {
        (Signal::Metrics, Encoding::Proto) => Media::OtlpMetricsProto,
        (Signal::Metrics, Encoding::Json) => Media::OtlpMetricsJson,
        (Signal::Logs, Encoding::Proto) => Media::OtlpLogsProto,
        (Signal::Logs, Encoding::Json) => Media::OtlpLogsJson,
    }
}

/// What became of a request, in the protocol's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// All of it is durable, or all but so many points or records.
    Accepted(Option<(u64, String)>),
    /// None of it is.
    Refused(Code, String),
    /// None of it is: all was over a team's quota.
    OverQuota(String),
}

impl Outcome {
    /// Why it was turned away as a whole; `None` where any of it may have been kept.
    pub(super) fn turned_away(&self) -> Option<TurnedAway> {
        match self {
            Self::Accepted(_) => None,
            Self::OverQuota(_) => Some(TurnedAway::TeamQuota),
            Self::Refused(Code::InvalidArgument, _) => Some(TurnedAway::Malformed),
            Self::Refused(Code::ResourceExhausted, _) => Some(TurnedAway::TooLarge),
            Self::Refused(Code::Unimplemented, _) => Some(TurnedAway::UnsupportedMedia),
            Self::Refused(Code::Unavailable, _) => Some(TurnedAway::Overloaded),
            Self::Refused(Code::Unauthenticated, _) => Some(TurnedAway::Unauthorized),
        }
    }
}

impl From<Reply> for Outcome {
    fn from(reply: Reply) -> Self {
        match reply {
            Reply::Stored(_) => Self::Accepted(None),
            Reply::Partial { refused, rejected, .. } => Self::Accepted(Some((rejected, reasons(&refused)))),
            Reply::Invalid(why) => Self::Refused(Code::InvalidArgument, why),
            Reply::TooLarge(why) => Self::Refused(Code::ResourceExhausted, why),
            Reply::Overloaded(why) => Self::Refused(Code::Unavailable, why),
            Reply::OverQuota(why) => Self::OverQuota(why),
        }
    }
}

/// What was refused, by name, and what the sender can do about it.
fn reasons(refused: &BTreeMap<Refusal, u64>) -> String {
    let mut text = String::from("refused: ");
    for (n, (why, count)) in refused.iter().enumerate() {
        let comma = if n == 0 { "" } else { ", " };
        // writing to a string cannot fail
        let _ = write!(text, "{comma}{} {count}{}", why.as_str(), remedy(*why));
    }
    text
}

fn remedy(why: Refusal) -> &'static str {
    match why {
        Refusal::NotCumulative => {
            " (delta temporality is not kept: set OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=cumulative)"
        }
        Refusal::ExponentialHistogram => {
            " (not kept: set OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION=explicit_bucket_histogram)"
        }
        Refusal::Incomplete => " (a time or a value is missing)",
        _ => "",
    }
}
