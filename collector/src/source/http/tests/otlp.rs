//! OTLP over HTTP: what is taken for what, and what each sender is answered in its own encoding.

use super::*;

const METRICS: &str = "/otlp/v1/metrics";
const LOGS: &str = "/otlp/v1/logs";
const PROTO: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");
const GZIP: (&str, &str) = ("content-encoding", "gzip");

#[tokio::test]
async fn the_media_is_decided_by_path_and_headers() {
    let body = b"{}".to_vec();
    for (path, headers, sent, expected) in [
        (METRICS, vec![PROTO], body.clone(), Ok(Media::OtlpMetricsProto)),
        (METRICS, vec![JSON], body.clone(), Ok(Media::OtlpMetricsJson)),
        (LOGS, vec![PROTO, GZIP], gzip(&body), Ok(Media::OtlpLogsProto)),
        (LOGS, vec![JSON, GZIP], gzip(&body), Ok(Media::OtlpLogsJson)),
        (LOGS, vec![JSON, ("content-encoding", "identity")], body.clone(), Ok(Media::OtlpLogsJson)),
        (LOGS, vec![JSON, GZIP], body.clone(), Err(400)),
        (LOGS, vec![PROTO, GZIP], gzip(&body)[..10].to_vec(), Err(400)),
        (METRICS, vec![PROTO, ("content-encoding", "snappy")], body.clone(), Err(415)),
        (METRICS, vec![("content-type", "text/plain")], body.clone(), Err(415)),
        (METRICS, vec![], body.clone(), Err(415)),
    ] {
        let fixture = stored(1);
        let answer = call(&fixture, path, &headers, sent).await;
        let got = fixture.got.lock().unwrap();
        let seen = got.first().map(|e| (e.media, e.received, &e.body[..])).ok_or(answer.status);
        assert_eq!(seen, expected.map(|media| (media, NOW, &body[..])), "{path} {headers:?}: {}", answer.text);
        assert_eq!(answer.status, expected.err().unwrap_or(200));
        let json = !headers.contains(&PROTO);
        let content_type = if json { "application/json" } else { "application/x-protobuf" };
        assert_eq!(answer.content_type.as_deref(), Some(content_type));
        let whole = if json { "{}" } else { "" };
        assert_eq!(answer.text == whole, expected.is_ok(), "{}", answer.text);
    }
}

#[tokio::test]
async fn every_reply_has_its_status_and_message() {
    let refused = [(Refusal::NotCumulative, 2), (Refusal::TooOld, 9)].into();
    let partial = Reply::Partial { written: Written::rows(4), refused, rejected: 3 };
    for (reply, status, code) in [
        (Reply::Stored(Written::rows(7)), 200, 0),
        (partial, 200, 0),
        (Reply::Invalid("no such field".into()), 400, 3),
        (Reply::TooLarge("too large".into()), 413, 8),
        (Reply::Overloaded("log is full".into()), 503, 14),
        (Reply::OverQuota("team a has its share".into()), 429, 8),
    ] {
        let fixture = fixture(reply.clone(), BodyLimits::default(), InletLimits::default());
        for (path, count) in [(METRICS, "rejectedDataPoints"), (LOGS, "rejectedLogRecords")] {
            let answer = call(&fixture, path, &[JSON], "{}").await;
            assert_eq!((answer.status, answer.retry_after.as_deref()), (status, retry_after(status)));
            let text: serde_json::Value = serde_json::from_str(&answer.text).unwrap();
            match &reply {
                Reply::Stored(_) => assert_eq!(text, serde_json::json!({})),
                Reply::Partial { .. } => {
                    assert_eq!(text["partialSuccess"][count], "3");
                    let message = text["partialSuccess"]["errorMessage"].as_str().unwrap();
                    let expected = "refused: too_old 9, not_cumulative 2 (delta temporality is not kept: ";
                    assert!(message.starts_with(expected), "{message}");
                }
                Reply::Invalid(why) | Reply::TooLarge(why) | Reply::Overloaded(why) | Reply::OverQuota(why) => {
                    assert_eq!((&text["code"], &text["message"]), (&code.into(), &why.as_str().into()));
                }
            }
            let answer = call(&fixture, path, &[PROTO], "").await;
            assert_eq!((answer.status, answer.written.as_str()), (status, "- - -"));
            let start: &[u8] = match (status, code) {
                (200, _) if answer.bytes.is_empty() => b"",
                (200, _) => b"\n",
                (_, code) => &[8, code],
            };
            assert!(answer.bytes.starts_with(start), "{:?}", answer.text);
        }
        assert_eq!(fixture.inlet.counts().bytes, 0);
    }
}

#[tokio::test]
async fn its_limit_is_on_bytes_received_and_inflated() {
    let limits = BodyLimits { received: 10, inflated: 10, otlp: 1000, ..BodyLimits::default() };
    let unannounced = || {
        Body::from_stream(futures::stream::iter((0..11).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 100])))))
    };
    let cases: Vec<(&[(&str, &str)], Body, u16)> = vec![
        (&[JSON], vec![b' '; 1000].into(), 200),
        (&[JSON], vec![b' '; 1001].into(), 413),
        (&[PROTO], unannounced(), 413),
        (&[PROTO, ("content-length", "99999999999")], Body::empty(), 413),
        (&[JSON, GZIP], gzip(&[b' '; 1000]).into(), 200),
        (&[JSON, GZIP], gzip(&[b' '; 1001]).into(), 413),
    ];
    for (i, (headers, body, expected)) in cases.into_iter().enumerate() {
        let fixture = fixture(Reply::Stored(Written::rows(1)), limits, InletLimits::default());
        let answer = call(&fixture, METRICS, headers, body).await;
        assert_eq!(answer.status, expected, "case {i}: {}", answer.text);
        assert_eq!(fixture.got.lock().unwrap().len(), usize::from(expected == 200));
        assert_eq!(fixture.inlet.counts().bytes, 0);
    }
}

#[tokio::test]
async fn a_full_inlet_is_503_in_the_senders_encoding() {
    let fixture =
        fixture(Reply::Stored(Written::rows(1)), BodyLimits::default(), InletLimits { messages: 10, bytes: 1000 });
    let _held = fixture.inlet.room(900).unwrap();
    let answer = call(&fixture, LOGS, &[JSON], vec![b' '; 200]).await;
    assert_eq!((answer.status, answer.retry_after.as_deref()), (503, Some("1")));
    assert_eq!(answer.text, r#"{"code":14,"message":"too many bytes waiting"}"#);
}

#[tokio::test]
async fn a_port_of_its_own_has_the_protocols_own_paths_and_no_others() {
    let (inlet, mut queue) = inlet(InletLimits::default());
    tokio::spawn(async move {
        while let Some(delivery) = queue.recv().await {
            delivery.responder.reply(Reply::Stored(Written::rows(1)));
        }
    });
    let router = otlp_router(receivers(inlet));
    for (method, path, expected) in [
        ("POST", "/v1/metrics", 200),
        ("POST", "/v1/logs", 200),
        ("GET", "/v1/logs", 405),
        ("POST", METRICS, 404),
        ("POST", WRITE, 404),
    ] {
        let request =
            Request::builder().method(method).uri(path).header(JSON.0, JSON.1).body(Body::from("{}")).unwrap();
        let answer = router.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status().as_u16(), expected, "{method} {path}");
    }
}
