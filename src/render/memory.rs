//! A small drawing of memory against its limit.

use whyd_signals::{Sample, Timestamp};

use super::text::{Ink, Style, clock};

/// What is drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Memory {
    /// Bytes over time, in the order of time.
    pub samples: Vec<Sample>,
    /// The limit in bytes; 0 where there is none.
    pub limit: f64,
    /// Instants at which the container ended.
    pub ends: Vec<Timestamp>,
}

const MIB: f64 = 1024.0 * 1024.0;
const ROWS: usize = 6;
const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Of the limit; above it a column is drawn as an alarm.
const NEAR: f64 = 0.9;
/// Of the labels at the left.
const MARGIN: usize = 10;
const COLUMNS: usize = 64;

/// The drawing: columns of memory, the limit as a line over them, a mark below where the container ended. Samples that
/// are no number are left out; each one holds until the next, until the container ends, or for three of the usual
/// intervals. Empty where there is nothing to draw.
pub fn memory(memory: &Memory, style: Style<'_>) -> String {
    let samples: Vec<Sample> = memory.samples.iter().copied().filter(|s| s.value.is_finite()).collect();
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return String::new() };
    let peak = samples.iter().map(|s| s.value).fold(0.0, f64::max);
    let top = peak.max(memory.limit);
    if top <= 0.0 {
        return String::new();
    }
    let end = memory.ends.iter().copied().fold(last.ts, Timestamp::max);
    let columns = COLUMNS.min(style.width.saturating_sub(MARGIN + 8)).max(16);
    let step = (end.seconds_since(first.ts) / columns as f64).max(1e-3);
    let heights = heights(&samples, &memory.ends, first.ts, step, columns);
    // the limit has a row of its own, on top of those that it bounds
    let below = |value: f64| value / top * ROWS as f64;
    let limit_row = (memory.limit > 0.0).then(|| below(memory.limit).ceil() as usize);

    let mut lines = Vec::new();
    for row in (0..ROWS).rev() {
        if limit_row == Some(row + 1) {
            let label = format!("{:>MARGIN$}", mib(memory.limit));
            let line = format!("{label} {} limit", "┄".repeat(columns));
            lines.push(style.paint(Ink::Red, &line));
        }
        let label = if row == 0 && limit_row.is_none() { mib(0.0) } else { String::new() };
        let mut line = style.paint(Ink::Dim, &format!("{label:>MARGIN$} "));
        for run in heights.chunk_by(|a, b| near(*a, memory.limit) == near(*b, memory.limit)) {
            let drawn: String = run.iter().map(|h| h.map_or(' ', |value| eighth(below(value) - row as f64))).collect();
            let alarm = run.first().is_some_and(|h| near(*h, memory.limit));
            line.push_str(&style.paint(if alarm { Ink::Red } else { Ink::Yellow }, &drawn));
        }
        lines.push(line.trim_end().to_owned());
    }
    lines.push(style.paint(Ink::Dim, &axis(memory, first.ts, step, columns)));
    let times = format!("{:width$} {}{:>rest$}", "", clock(first.ts), clock(end), width = MARGIN, rest = columns - 8);
    lines.push(style.paint(Ink::Dim, &times));
    lines.push(format!("{:MARGIN$} {}", "", caption(memory, peak)));
    lines.join("\n")
}

fn mib(bytes: f64) -> String {
    format!("{:.0} MiB", bytes / MIB)
}

fn near(height: Option<f64>, limit: f64) -> bool {
    limit > 0.0 && height.is_some_and(|value| value >= limit * NEAR)
}

fn eighth(rows: f64) -> char {
    EIGHTHS[(rows.clamp(0.0, 1.0) * 8.0).round() as usize % EIGHTHS.len()]
}

/// What each column shows: the highest sample that falls into it, else the one that still holds.
fn heights(samples: &[Sample], ends: &[Timestamp], start: Timestamp, step: f64, columns: usize) -> Vec<Option<f64>> {
    let mut gaps: Vec<f64> = samples.windows(2).map(|w| w[1].ts.seconds_since(w[0].ts)).collect();
    gaps.sort_by(f64::total_cmp);
    let holds = gaps.get(gaps.len() / 2).map_or(step, |usual| usual * 3.0);
    let mut heights = Vec::with_capacity(columns);
    let (mut next, mut held) = (0, None::<Sample>);
    for column in 0..columns {
        let until = (column + 1) as f64 * step;
        let mut highest = None::<f64>;
        while let Some(sample) = samples.get(next) {
            // the last column takes in its own end
            if sample.ts.seconds_since(start) >= until && column + 1 < columns {
                break;
            }
            highest = Some(highest.map_or(sample.value, |h| h.max(sample.value)));
            held = Some(*sample);
            next += 1;
        }
        let ended = |s: &Sample| ends.iter().any(|end| *end >= s.ts && end.seconds_since(start) < until - step);
        let fresh = |s: &Sample| until - s.ts.seconds_since(start) <= holds;
        let still = held.filter(|s| fresh(s) && !ended(s)).map(|s| s.value);
        heights.push(highest.or(still));
    }
    heights
}

fn axis(memory: &Memory, start: Timestamp, step: f64, columns: usize) -> String {
    let mut axis = vec!['─'; columns];
    for end in &memory.ends {
        let column = end.seconds_since(start) / step;
        if column >= 0.0
            && let Some(mark) = axis.get_mut((column as usize).min(columns - 1)).filter(|_| column <= columns as f64)
        {
            *mark = '╳';
        }
    }
    format!("{:>MARGIN$} {}", mib(0.0), axis.into_iter().collect::<String>())
}

fn caption(memory: &Memory, peak: f64) -> String {
    let mut caption = format!("peak {}", mib(peak));
    if memory.limit > 0.0 {
        caption.push_str(&format!(", {:.0} % of the limit, as far as it was measured", peak / memory.limit * 100.0));
    }
    if memory.ends.len() == 1 {
        caption.push_str("; ╳ the container ended");
    } else if memory.ends.len() > 1 {
        caption.push_str(&format!("; ╳ the container ended, {} times", memory.ends.len()));
    }
    caption
}
