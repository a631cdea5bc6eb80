//! Which decoder reads a body.

use whyd_buffers::Reach;
use whyd_collector::wire;
use whyd_collector::wire::asked::Asked;
use whyd_signals::sink::{Counts, DecodeError};
use whyd_signals::{Envelope, Media, Pulled, Verb};

use super::Core;

impl Core {
    /// What the body held, and of an answer to a question of ours the question.
    pub(super) fn decode(&mut self, envelope: &Envelope) -> Result<(Counts, Option<Asked>), DecodeError> {
        let body = &envelope.body;
        if let Media::Pulled(what) = envelope.media {
            let (asked, answer) = Asked::split(body)?;
            self.writer.reach(Reach::Window);
            return Ok((self.decode_pulled(what, &asked, answer)?, Some(asked)));
        }
        self.decode_pushed(envelope).map(|counts| (counts, None))
    }

    fn decode_pulled(&mut self, what: Pulled, asked: &Asked, answer: &[u8]) -> Result<Counts, DecodeError> {
        if answer.is_empty() {
            return Ok(Counts::default());
        }
        let sink = &mut self.writer;
        match what {
            Pulled::ReadChunks => wire::remote_read::decode_chunks(answer, asked.range, sink),
            Pulled::ReadSamples => wire::remote_read::decode_samples(answer, asked.range, &mut self.inflater, sink),
            Pulled::QueryRange => wire::query_range::decode(answer, asked.range, &asked.labels, sink),
            Pulled::LokiQuery => wire::loki::decode_query(answer, sink),
            Pulled::NoMetrics | Pulled::NoLogs => Ok(Counts::default()),
        }
    }

    fn decode_pushed(&mut self, envelope: &Envelope) -> Result<Counts, DecodeError> {
        let body = &envelope.body;
        match envelope.media {
            Media::RemoteWrite1(compression) => {
                wire::remote_write1::decode(body, compression, &mut self.inflater, &mut self.writer)
            }
            Media::RemoteWrite2(compression) => {
                let (inflater, scratch) = (&mut self.inflater, &mut self.write2);
                wire::remote_write2::decode(body, compression, inflater, scratch, &mut self.writer)
            }
            Media::LokiProto => wire::loki::decode_proto(body, self.inflater.buffer(), &mut self.writer),
            Media::LokiJson => wire::loki::decode_json(body, &mut self.writer),
            Media::OtlpMetricsProto => wire::otlp::decode_metrics_proto(body, &mut self.writer),
            Media::OtlpMetricsJson => wire::otlp::decode_metrics_json(body, &mut self.writer),
            Media::OtlpLogsProto => wire::otlp::decode_logs_proto(body, &mut self.writer),
            Media::OtlpLogsJson => wire::otlp::decode_logs_json(body, &mut self.writer),
            Media::AlertmanagerWebhook => wire::webhook::decode(body, &mut self.writer),
            Media::Kube(resource, verb) => {
                let object = wire::kube::decode(resource, verb, body)?;
                let uids = if verb == Verb::Listed { wire::kube::listed_uids(body)? } else { Vec::new() };
                self.writer.stage_object(resource, verb, object, uids, (envelope.received, body.len()));
                Ok(Counts { rows: 1, ..Counts::default() })
            }
            Media::Hearing(_) => Ok(Counts::default()),
            // Told apart before: it begins with what was asked.
            Media::Pulled(_) => Err(DecodeError::Malformed("a pulled body is not pushed".into())),
        }
    }
}
