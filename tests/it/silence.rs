//! Lines that stop, never come or come without a name: a recorded capture of which some are taken away. What only they would
//! have told is told as missing.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use whyd::capture::Capture;
use whyd::config::ConfigFile;
use whyd::{replay, wiring};
use whyd_collector::wire::snappy;
use whyd_signals::schema::Restart;
use whyd_signals::{Access, Envelope, Media, Source};

/// The database is killed for its memory, and what calls it gives up with exit 1 and says so.
const CAPTURE: &str = "fixtures/captures/dependency-down";

fn messages() -> Vec<Envelope> {
    Capture::open(Path::new(env!("CARGO_MANIFEST_DIR")).join(CAPTURE)).unwrap().messages().unwrap()
}

/// The rows of what gives up.
fn rows(messages: Vec<Envelope>) -> Vec<Arc<Restart>> {
    let config = ConfigFile::default().validate().unwrap();
    let outcome = replay::run(wiring::core(&config), messages, config.lateness);
    let mut rows = outcome.snapshot.scoped(&Access::All).restarts();
    rows.retain(|r| r.workload == "Deployment/payments-api");
    assert!(rows.len() >= 8, "{rows:?}");
    rows
}

/// The capture with another text of the same length in its lines and what they are labelled with.
fn relabelled(from: &str, to: &str) -> Vec<Envelope> {
    assert_eq!(from.len(), to.len());
    let mut found = false;
    let other = |m: Envelope| {
        if m.media != Media::LokiProto {
            return m;
        }
        let mut scratch = Vec::new();
        let mut body = snappy::inflate(&m.body, 64 << 20, &mut scratch).unwrap().to_vec();
        for at in 0..body.len().saturating_sub(from.len()) {
            if body[at..].starts_with(from.as_bytes()) {
                body[at..at + to.len()].copy_from_slice(to.as_bytes());
                found = true;
            }
        }
        Envelope { body: Bytes::from(snap::raw::Encoder::new().compress_vec(&body).unwrap()), ..m }
    };
    let all = messages().into_iter().map(other).collect();
    assert!(found, "{from} is nowhere");
    all
}

/// That the verdict is in doubt, names the logs, and says why in such words.
#[track_caller]
fn assert_missed(row: &Restart, words: &str) {
    assert_eq!(
        (row.cause.as_str(), row.cause_detail.as_deref()),
        ("insufficient-evidence", Some("app-error")),
        "{row:?}"
    );
    assert_eq!(row.missing, ["logs"], "{row:?}");
    assert!(row.confidence < 0.5, "{row:?}");
    assert!(row.summary.contains(words), "{}", row.summary);
}

#[test]
fn with_all_lines_nothing_is_missing() {
    for row in rows(messages()) {
        assert_eq!((row.cause.as_str(), row.missing.as_slice()), ("dependency-down", [].as_slice()), "{row:?}");
    }
}

#[test]
fn a_sender_that_stops_is_told_as_missing() {
    let mut messages = messages();
    let first = messages.iter().filter(|m| m.media.source() == Source::Loki).map(|m| m.received).min().unwrap();
    let stops = first.plus(Duration::from_secs(35));
    messages.retain(|m| m.media.source() != Source::Loki || m.received <= stops);
    for row in rows(messages) {
        assert_missed(&row, "no line of its namespace came after 2026-11-22T");
        assert!(row.summary.ends_with("before its end: what sends them may have stopped"), "{}", row.summary);
    }
}

#[test]
fn a_container_of_which_no_line_ever_comes_is_told_as_missing_where_each_other_has_some() {
    for row in rows(relabelled("payments-api-", "elsewhere-is-")) {
        assert_missed(
            &row,
            "no line of this container ever came, and of each of the 2 other containers of its namespace some did",
        );
    }
}

#[test]
fn lines_without_a_pod_are_told_of_where_they_may_be_its_own() {
    for row in rows(relabelled("\u{3}pod\u{12}", "\u{3}bob\u{12}")) {
        assert_missed(&row, "lines of a container payments-api came without the name of a pod");
    }
}
