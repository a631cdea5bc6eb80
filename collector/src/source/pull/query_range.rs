//! Prometheus' `query_range`, which others speak too: what the server makes of the samples at each step.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use whyd_signals::{Pulled, Range, Timestamp};

use super::endpoint::body;
use super::{Door, Endpoint, LARGEST, PullError, Selector};

/// Values of a series that a server gives at most.
const POINTS: u32 = 11_000;
/// The longest time of one question.
const LONGEST: Duration = Duration::from_secs(1800);

/// The longest time that is asked for at once.
pub(super) fn span(step: Duration) -> Duration {
    LONGEST.max(step).min(step.saturating_mul(POINTS))
}

/// The first and the last instant of the grid of the step within a range. The grid is that of the epoch, so that whoever
/// asks again is given the same times.
fn grid(range: Range, step: Duration) -> Option<(Timestamp, Timestamp)> {
    let step = i64::try_from(step.as_nanos()).ok().filter(|s| *s > 0)?;
    let up = |t: Timestamp| Some(t.nanos().checked_add(step - 1)?.div_euclid(step) * step);
    let (first, last) = (up(range.from)?, up(range.to)? - step);
    (first <= last).then_some((Timestamp(first), Timestamp(last)))
}

/// Seconds with a fraction, as the API takes them.
fn seconds(at: Timestamp) -> String {
    format!("{}.{:09}", at.nanos().div_euclid(1_000_000_000), at.nanos().rem_euclid(1_000_000_000))
}

pub(super) async fn ask(
    endpoint: &Endpoint,
    selectors: &[Selector],
    (step, labels): (Duration, &BTreeMap<String, String>),
    range: Range,
    door: &Door,
) -> Result<Timestamp, PullError> {
    let Some((first, last)) = grid(range, step) else { return Ok(range.to) };
    for (n, selector) in selectors.iter().enumerate() {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("query", selector.text())
            .append_pair("start", &seconds(first))
            .append_pair("end", &seconds(last))
            .append_pair("step", &step.as_secs_f64().to_string())
            .finish();
        let question = endpoint
            .post(endpoint.url("api/v1/query_range")?)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form);
        door.asks();
        let response = endpoint.send(question).await?;
        let answer = body(response, LARGEST).await?;
        let whole = n + 1 == selectors.len();
        door.deliver_with(labels, Pulled::QueryRange, range, whole, &answer).await?;
    }
    Ok(range.to)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn ranges_that_follow_each_other_have_every_step_once() {
        let step = Duration::from_secs(15);
        let all = |from: i64, to: i64| -> Vec<i64> {
            let found = grid(Range::new(Timestamp(from), Timestamp(to)), step);
            found.map_or(Vec::new(), |(a, b)| (a.nanos()..=b.nanos()).step_by(15_000_000_000).collect())
        };
        let second = 1_000_000_000;
        assert_eq!(all(0, 30 * second), [0, 15 * second]);
        assert_eq!(all(1, 30 * second + 1), [15 * second, 30 * second]);
        assert!(all(1, 15 * second).is_empty());
        for cut in [7, 15 * second - 1, 15 * second, 15 * second + 1, 40 * second] {
            assert_eq!([all(0, cut), all(cut, 60 * second)].concat(), all(0, 60 * second), "{cut}");
        }
        assert_eq!(seconds(Timestamp(1_500_000_001)), "1.500000001");
        assert_eq!(span(step), Duration::from_secs(1800));
        assert_eq!(span(Duration::from_millis(100)), Duration::from_secs(1100));
    }
}
