//! Prometheus' remote read: chunks frame by frame, handed over in parts, so that an answer may be as large as it likes.

use bytes::BytesMut;
use reqwest::Response;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};
use snap::raw::Encoder;
use whyd_signals::{Pulled, Range, Timestamp};

use super::endpoint::{body, failed};
use super::{Door, Endpoint, LARGEST, PullError, Selector};
use crate::wire::remote_read::{frame, request};

/// Bytes of frames that make a part.
const PART: usize = 512 << 10;
const STREAMED: &str = "application/x-streamed-protobuf";

pub(super) async fn ask(
    endpoint: &Endpoint,
    selectors: &[Selector],
    range: Range,
    door: &Door,
) -> Result<Timestamp, PullError> {
    let matchers: Vec<_> = selectors.iter().map(|s| s.matchers().to_vec()).collect();
    let compressed = Encoder::new().compress_vec(&request(&matchers, range));
    let question = endpoint
        .post(endpoint.url("api/v1/read")?)
        .header(CONTENT_TYPE, "application/x-protobuf")
        .header(CONTENT_ENCODING, "snappy")
        .header("x-prometheus-remote-read-version", "0.1.0")
        .body(compressed.map_err(|e| PullError::Failed(e.to_string()))?);
    door.asks();
    let response = endpoint.send(question).await?;
    let kind = response.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if kind.starts_with(STREAMED) {
        return frames(response, range, door).await;
    }
    let answer = body(response, LARGEST).await?;
    door.deliver(Pulled::ReadSamples, range, true, &answer).await?;
    Ok(range.to)
}

async fn frames(mut response: Response, range: Range, door: &Door) -> Result<Timestamp, PullError> {
    let (mut bytes, mut ready) = (BytesMut::new(), 0);
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        bytes.extend_from_slice(&chunk);
        loop {
            let rest = bytes.get(ready..).unwrap_or_default();
            let Some(len) = frame(rest).map_err(|e| PullError::Failed(e.to_string()))? else { break };
            ready += len;
            if ready >= PART {
                let part = bytes.split_to(ready);
                door.deliver(Pulled::ReadChunks, range, false, &part).await?;
                ready = 0;
            }
        }
    }
    if bytes.len() > ready {
        return Err(PullError::Failed("the stream ends within a frame".into()));
    }
    door.deliver(Pulled::ReadChunks, range, true, &bytes).await?;
    Ok(range.to)
}
