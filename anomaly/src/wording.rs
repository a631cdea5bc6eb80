//! Anomalies in words.

use std::time::Duration;

use whyd_signals::Timestamp;

use crate::detector::climb::Climb;
use crate::detector::early_errors::Past;
use crate::detector::log_kinds::Told;
use crate::detector::log_rate::{Burst, What};
use crate::detector::probes::Failing;
use crate::watched::Unit;

/// Characters of a template.
const LONGEST: usize = 160;
/// What began so shortly before it was told began as it was told.
const SHORT_S: f64 = 60.0;
const DAY_NS: i64 = 86_400_000_000_000;

/// "memory working set 3.1x its usual: 312 MiB, usually 100 MiB"; where the time of the day or week makes it unusual, "its usual
/// for Tuesday 14:00 UTC".
pub(crate) fn unusual(words: &str, unit: Unit, value: f64, expected: f64, at: Option<Timestamp>) -> String {
    let (is, was) = (amount(value, unit), amount(expected, unit));
    let at = at.map_or_else(String::new, |at| format!(" for {}", time_of_week(at)));
    let ratio = value / expected;
    if expected > 0.0 && (1.1..1000.0).contains(&ratio) {
        format!("{words} {ratio:.1}x its usual{at}: {is}, usually {was}")
    } else if expected > 0.0 && (0.0..0.995).contains(&ratio) {
        format!("{words} at {:.0} % of its usual{at}: {is}, usually {was}", ratio * 100.0)
    } else {
        format!("{words} {is}, usually {was}{at}")
    }
}

/// ", since 14:02 UTC" where it began well before it was told; the day before it where that is another.
pub(crate) fn since(since: Timestamp, told: Timestamp) -> String {
    if told.seconds_since(since) < SHORT_S {
        return String::new();
    }
    let at = time_of_week(since);
    let same_day = since.0.div_euclid(DAY_NS) == told.0.div_euclid(DAY_NS);
    let at = if same_day { at.split_once(' ').map_or("", |(_, time)| time) } else { &at };
    format!(", since {at}")
}

/// "memory working set at 82 % of its limit and climbing 1.2 MiB/s, reaches it in 40 s".
pub(crate) fn climbing(words: &str, unit: Unit, climb: &Climb) -> String {
    format!(
        "{words} at {} % of its limit and climbing {}/s, reaches it in {}",
        number((climb.fraction_of_limit * 100.0).round()),
        amount(climb.slope_per_s, unit),
        span(climb.reaches_limit_in)
    )
}

/// "error lines 12x their usual: 120 in the last minute, usually 10"; "error lines: 12 in the last minute, usually none".
pub(crate) fn burst(burst: &Burst) -> String {
    let words = match burst.what {
        What::Lines => "log lines",
        What::Errors => "error lines",
    };
    let (is, was) = (number(burst.per_minute), number(burst.expected));
    if let Some(past) = &burst.past {
        return format!("{words}: {is} in the last minute, {}", after(past));
    }
    if burst.expected >= 1.0 {
        let ratio = burst.per_minute / burst.expected;
        format!("{words} {ratio:.1}x their usual: {is} in the last minute, usually {was}")
    } else {
        format!("{words}: {is} in the last minute, usually none")
    }
}

/// "after 41 s of lines, none of them an error", of what is told before it is known what is usual.
fn after(past: &Past) -> String {
    let errors = match past.errors {
        0 => "none of them an error".to_owned(),
        1 => "one of them an error".to_owned(),
        n => format!("{n} of them errors"),
    };
    format!("after {} of lines, {errors}", span(past.lasted))
}

/// ", seen for 40 s only", of a value that is told before it is known what is usual.
pub(crate) fn seen_for(known: Duration) -> String {
    format!(", seen for {} only", span(known))
}

/// "liveness probe failed, after 8 that succeeded"; "readiness probe failed 3 times in a row, after 17 that succeeded"; "liveness
/// probe failed 3 times of 15, after 600 that succeeded".
pub(crate) fn probe(kind: &str, failing: &Failing) -> String {
    let Failing { failed, beside, succeeded, starts_again, .. } = failing;
    let kind = kind.to_lowercase();
    let times = match (failed, beside) {
        (1, 0) => String::new(),
        (_, 0) => format!(" {failed} times in a row"),
        (1, _) => format!(" once of {} times", beside.saturating_add(1)),
        _ => format!(" {failed} times of {}", failed.saturating_add(*beside)),
    };
    let again = if *starts_again { " as its container started again" } else { "" };
    format!("{kind} probe failed{times}{again}, after {succeeded} that succeeded")
}

/// "calls by Deployment/web 92x their usual: 1.01 s between their lines, usually 11 ms, 7 of 8 in the last minute, 2 of its 3 pods are slow".
pub(crate) fn slow(what: &str, (is, was): (f64, f64), (slow, all): (u32, u32), pods: (u32, u32)) -> String {
    let ratio = number((is / was).round());
    let (whose, where_) = match what {
        _ if what.starts_with("between") => ("the", ""),
        _ if what.contains("calls") => ("their", " between their lines"),
        _ => ("its", ""),
    };
    let (is, was) = (short(is), short(was));
    let pods = if pods.1 > 1 { format!(", {} of its {} pods are slow", pods.0, pods.1) } else { String::new() };
    format!("{what} {ratio}x {whose} usual: {is}{where_}, usually {was}, {slow} of {all} in the last minute{pods}")
}

/// "1.01 s", "11 ms".
fn short(seconds: f64) -> String {
    if seconds < 1.0 { format!("{} ms", number(seconds * 1000.0)) } else { format!("{} s", number(seconds)) }
}

/// "first time in 3 h: "connection refused to <*>""; "no more since Tuesday 14:02 UTC, before 2 a minute in 3 h with lines: "heartbeat"".
pub(crate) fn kind(told: &Told) -> String {
    match told {
        Told::NewError { known, template, .. } => format!("first time in {}: {}", long(*known), quoted(&template.text)),
        Told::NewInNumber { lines, known, template, .. } => {
            format!("first time in {}, and {lines} times at once: {}", long(*known), quoted(&template.text))
        }
        Told::Vanished { vanished, last, others, template } => {
            let (at, rate) = (time_of_week(*last), number(vanished.per_minute));
            let came = long(Duration::from_secs(u64::from(vanished.came_for) * 60));
            let others = if *others == 0 { String::new() } else { format!(", and {others} other kinds of lines") };
            format!(
                "no more since {at}, before {rate} a minute in {came} with lines: {}{others}",
                quoted(&template.text)
            )
        }
    }
}

/// Of a long line its beginning tells which it is.
fn quoted(text: &str) -> String {
    let cut: String = text.chars().take(LONGEST).collect();
    let more = if cut.len() < text.len() { "..." } else { "" };
    format!("\"{cut}{more}\"")
}

/// "40 min", "3 h", "2 d".
fn long(time: Duration) -> String {
    match time.as_secs() / 60 {
        minutes @ 0..120 => format!("{minutes} min"),
        minutes @ 120..2880 => format!("{} h", minutes / 60),
        minutes => format!("{} d", minutes / 1440),
    }
}

/// "Tuesday 14:00 UTC".
fn time_of_week(at: Timestamp) -> String {
    const DAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];
    let minutes = at.0.div_euclid(60_000_000_000);
    // The epoch was a Thursday.
    let day = DAYS.get(minutes.div_euclid(1440).rem_euclid(7) as usize).copied().unwrap_or_default();
    format!("{day} {:02}:{:02} UTC", minutes.rem_euclid(1440) / 60, minutes.rem_euclid(60))
}

fn amount(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Bytes => bytes(value),
        Unit::Cores => format!("{} cores", number(value)),
        Unit::PerSecond => format!("{}/s", number(value)),
        Unit::Share => format!("{} % of the time", number(value * 100.0)),
        Unit::Plain => number(value),
    }
}

fn bytes(value: f64) -> String {
    let mut value = value;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value.abs() < 1024.0 {
            return format!("{} {unit}", number(value));
        }
        value /= 1024.0;
    }
    format!("{} TiB", number(value))
}

/// Three digits that count; of what is that large that nobody reads its digits, its size.
pub fn number(value: f64) -> String {
    let size = value.abs();
    let text = match size {
        s if s >= 1e9 => return format!("{value:.2e}"),
        s if s == 0.0 || s >= 100.0 => format!("{value:.0}"),
        s if s >= 10.0 => format!("{value:.1}"),
        s if s >= 1.0 => format!("{value:.2}"),
        s if s >= 1e-4 => format!("{value:.*}", (2.0 - s.log10().floor()) as usize),
        _ => return format!("{value:.2e}"),
    };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn span(left: Duration) -> String {
    match left.as_secs() {
        0 => "no time".to_owned(),
        s @ 1..120 => format!("{s} s"),
        s => format!("{} min", s / 60),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use whyd_signals::TemplateId;
    use whyd_signals::templates::Template;

    use super::*;
    use crate::detector::vanished::Vanished;

    #[test]
    fn in_words() {
        const MIB: f64 = 1_048_576.0;
        let check = |got: String, expected: &str| assert_eq!(got, expected);
        check(
            unusual("memory working set", Unit::Bytes, 312.0 * MIB, 100.0 * MIB, None),
            "memory working set 3.1x its usual: 312 MiB, usually 100 MiB",
        );
        check(
            unusual("network receive errors", Unit::PerSecond, 5.25, 0.0, None),
            "network receive errors 5.25/s, usually 0/s",
        );
        check(
            unusual("memory left on the node", Unit::Bytes, 1.5 * 1024.0 * MIB, 6.0 * 1024.0 * MIB, None),
            "memory left on the node at 25 % of its usual: 1.5 GiB, usually 6 GiB",
        );
        let at = |minute: i64| Timestamp(minute * 60_000_000_000);
        check(since(at(842), at(850)), ", since 14:02 UTC");
        check(since(at(1439), at(1450)), ", since Thursday 23:59 UTC");
        check(since(at(850), at(850)), "");
        let climb = Climb {
            slope_per_s: 1.2 * MIB,
            fraction_of_limit: 0.82,
            reaches_limit_in: Duration::from_secs(40),
            from: 0.0,
            horizon: Duration::from_secs(600),
        };
        check(
            climbing("memory working set", Unit::Bytes, &climb),
            "memory working set at 82 % of its limit and climbing 1.2 MiB/s, reaches it in 40 s",
        );
        let template = |text: &str| Template { id: TemplateId(1), text: text.into() };
        let new = Told::NewError {
            known: Duration::from_secs(3 * 3600),
            score: 2.0,
            template: template("connection refused to <*>"),
        };
        check(kind(&new), "first time in 3 h: \"connection refused to <*>\"");
        let vanished = Vanished { score: 2.0, per_minute: 2.0, came_for: 95 };
        let gone = Told::Vanished { vanished, last: at(842), others: 2, template: template("heartbeat") };
        check(
            kind(&gone),
            "no more since Thursday 14:02 UTC, before 2 a minute in 95 min with lines: \"heartbeat\", and 2 other kinds of lines",
        );
        let errors = Burst { what: What::Errors, score: 2.0, per_minute: 42.0, expected: 0.0, past: None };
        check(burst(&errors), "error lines: 42 in the last minute, usually none");
        for (errors_before, words) in
            [(0, "none of them an error"), (1, "one of them an error"), (7, "7 of them errors")]
        {
            let past = Past { lasted: Duration::from_secs(41), errors: errors_before };
            let early = Burst { past: Some(past), ..errors };
            check(burst(&early), &format!("error lines: 42 in the last minute, after 41 s of lines, {words}"));
        }
        for (value, words) in [(0.0, "0"), (0.001_64, "0.00164"), (0.5, "0.5"), (9.996, "10"), (1.23e-5, "1.23e-5")] {
            check(number(value), words);
        }
        check(seen_for(Duration::from_secs(40)), ", seen for 40 s only");
        let huge = unusual("CPU usage", Unit::Cores, 1e308, 1.0, None);
        check(huge, "CPU usage 1.00e308 cores, usually 1 cores");
        let failing = |failed, beside| Failing { score: 2.0, failed, beside, succeeded: 17, starts_again: false };
        check(probe("Liveness", &failing(1, 0)), "liveness probe failed, after 17 that succeeded");
        check(probe("Readiness", &failing(3, 0)), "readiness probe failed 3 times in a row, after 17 that succeeded");
        let again = Failing { starts_again: true, ..failing(2, 0) };
        check(
            probe("Readiness", &again),
            "readiness probe failed 2 times in a row as its container started again, after 17 that succeeded",
        );
        check(probe("Liveness", &failing(3, 12)), "liveness probe failed 3 times of 15, after 17 that succeeded");
        check(probe("Liveness", &failing(1, 2)), "liveness probe failed once of 3 times, after 17 that succeeded");
    }
}
