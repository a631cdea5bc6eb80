//! Generated queries of the language that is supported.

use super::samples::{Random, SECONDS};

#[derive(Debug)]
pub(super) struct Query {
    pub(super) text: String,
    /// Milliseconds: an instant, or start, end and step.
    times: Times,
    /// Whether the order of the series is part of the answer.
    pub(super) ordered: bool,
}

#[derive(Debug, Clone, Copy)]
enum Times {
    At(i64),
    Range(i64, i64, i64),
}

impl Query {
    /// At an instant in milliseconds.
    pub(super) fn at(text: String, at: i64) -> Self {
        Self { text, times: Times::At(at), ordered: false }
    }

    /// Path and form.
    pub(super) fn request(&self) -> (&'static str, String) {
        let query: String = self.text.bytes().map(|b| format!("%{b:02x}")).collect();
        let seconds = |ms: i64| format!("{}.{:03}", ms / 1000, ms % 1000);
        match self.times {
            Times::At(at) => ("query", format!("query={query}&time={}", seconds(at))),
            Times::Range(start, end, step) => {
                let (start, end, step) = (seconds(start), seconds(end), seconds(step));
                ("query_range", format!("query={query}&start={start}&end={end}&step={step}"))
            }
        }
    }
}

pub(super) struct Queries {
    random: Random,
    start: i64,
}

/// Of the capture: a gauge and counters of containers, and what the cluster says of its pods.
const CAPTURED: [&str; 5] = [
    "container_memory_working_set_bytes",
    "container_cpu_usage_seconds_total",
    "kube_pod_container_status_restarts_total",
    "kube_pod_status_phase",
    "up",
];
const WINDOW: [&str; 17] = [
    "rate",
    "increase",
    "irate",
    "delta",
    "idelta",
    "changes",
    "resets",
    "avg_over_time",
    "min_over_time",
    "max_over_time",
    "sum_over_time",
    "count_over_time",
    "last_over_time",
    "present_over_time",
    "stddev_over_time",
    "stdvar_over_time",
    "quantile_over_time(0.3,",
];

impl Queries {
    pub(super) fn new(seed: u64, start: i64) -> Self {
        Self { random: Random::new(seed ^ 0x5eed), start }
    }

    pub(super) fn next_query(&mut self) -> Query {
        let instant = self.random.below(2) == 0;
        let (text, ordered) = match self.random.below(14) {
            0 => (self.scalar(2), false),
            1 => (self.selector(), false),
            2..=4 => (self.window(), false),
            5 => (self.aggregate(), false),
            6 => (self.compared(), false),
            7 => (self.with_scalar(), false),
            8 | 9 => (self.matched(), false),
            10 => (self.set(), false),
            11 => (self.mapped(), false),
            12 => (self.largest(), true),
            _ => (self.nested(), false),
        };
        let ms = |random: &mut Random, seconds: i64| random.below(seconds as usize * 1000) as i64;
        let times = if instant {
            Times::At(self.start - 60_000 + ms(&mut self.random, SECONDS + 500))
        } else {
            let step = [7000, 15_000, 17_500, 60_000][self.random.below(4)];
            let start = self.start - 60_000 + ms(&mut self.random, SECONDS);
            Times::Range(start, start + step * self.random.below(120) as i64 + ms(&mut self.random, 10), step)
        };
        Query { text, times, ordered: ordered && instant }
    }

    fn matchers(&mut self) -> String {
        let all = [
            "",
            "",
            "{}",
            "{zone=\"north\"}",
            "{zone!=\"north\"}",
            "{zone=~\"n.*|west\"}",
            "{zone!~\"s.+\",job=\"api\"}",
            "{instance=~\"i0[0-5]\"}",
            "{instance=~\"i\\\\d1\"}",
            "{job=~\"api|db\",zone!=\"\"}",
            "{none=\"\"}",
            "{zone=~\".*th\"}",
        ];
        self.random.pick(&all).to_owned()
    }

    fn generated(&mut self) -> String {
        let name = self.random.pick(&["gen_counter_total", "gen_gauge", "gen_distinct", "gen_gaps", "gen_odd"]);
        format!("{name}{}", self.matchers())
    }

    fn offset(&mut self) -> String {
        match self.random.below(8) {
            0 => " offset 90s".to_owned(),
            1 => " offset -1m".to_owned(),
            2 => format!(" @ {}", self.start / 1000 + 600),
            3 => " @ start() offset 30s".to_owned(),
            4 => " @ end()".to_owned(),
            _ => String::new(),
        }
    }

    fn selector(&mut self) -> String {
        match self.random.below(4) {
            0 => format!("{}{}", self.random.pick(&CAPTURED), self.offset()),
            1 => format!("{{__name__=~\"gen_(gauge|zone)\",zone=\"south\"}}{}", self.offset()),
            _ => format!("{}{}", self.generated(), self.offset()),
        }
    }

    fn window(&mut self) -> String {
        let function = self.random.pick(&WINDOW);
        let open = if function.ends_with(',') { "" } else { "(" };
        let captured = self.random.below(4) == 0;
        let of = if captured { self.random.pick(&CAPTURED).to_owned() } else { self.generated() };
        let range = self.random.pick(&["20s", "1m", "5m", "7m30s", "30m"]);
        format!("{function}{open}{of}[{range}]{})", self.offset())
    }

    fn vector(&mut self) -> String {
        match self.random.below(3) {
            0 => self.window(),
            _ => self.generated(),
        }
    }

    fn grouping(&mut self) -> &'static str {
        self.random.pick(&[
            "",
            " by (zone)",
            " by (job, zone)",
            " without (instance)",
            " by (none)",
            " without (zone, job)",
            " by ()",
        ])
    }

    fn aggregate(&mut self) -> String {
        let kind = self.random.pick(&["sum", "count", "avg", "min", "max"]);
        let (grouping, of) = (self.grouping(), self.vector());
        if self.random.below(2) == 0 { format!("{kind}{grouping} ({of})") } else { format!("{kind}({of}){grouping}") }
    }

    /// Series of distinct values, so that the answer does not depend on ties.
    fn largest(&mut self) -> String {
        let kind = self.random.pick(&["topk", "bottomk"]);
        let grouping = self.random.pick(&["", "", " by (zone)", " without (instance, zone)"]);
        let matchers = self.matchers();
        if grouping.is_empty() && self.random.below(3) == 0 {
            return format!("{}(gen_distinct{matchers})", self.random.pick(&["sort", "sort_desc"]));
        }
        // The order of several groups is that of the storage.
        let of = if grouping.is_empty() { "" } else { "sort(" };
        let close = if grouping.is_empty() { "" } else { ")" };
        format!("{of}{kind}{grouping}({}, gen_distinct{matchers}){close}", self.random.below(5))
    }

    fn scalar(&mut self, depth: usize) -> String {
        if depth == 0 {
            return match self.random.below(5) {
                0 => "time()".to_owned(),
                1 => "scalar(gen_zone{zone=\"west\"})".to_owned(),
                2 => self.random.pick(&["Inf", "-NaN", "0x10", "1e3", ".5"]).to_owned(),
                _ => format!("{}.25", self.random.below(50)),
            };
        }
        let (l, r) = (self.scalar(depth - 1), self.scalar(depth - 1));
        // The last digit of a power may differ, which a remainder or a comparison of it would magnify.
        let exact = ["+", "-", "*", "/", "%", "== bool", ">= bool"];
        let op = if depth > 1 { self.random.pick(&["+", "*", "^", "atan2"]) } else { self.random.pick(&exact) };
        match self.random.below(3) {
            0 => format!("({l}) {op} -{r}"),
            1 => format!("-({l} {op} {r})"),
            _ => format!("{l} {op} {r}"),
        }
    }

    fn arithmetic(&mut self) -> &'static str {
        self.random.pick(&["+", "-", "*", "/", "%", "^", "atan2"])
    }

    fn comparison(&mut self) -> &'static str {
        self.random.pick(&["==", "!=", "<", "<=", ">", ">=", "> bool", "== bool", "< bool"])
    }

    fn compared(&mut self) -> String {
        let (v, op) = (self.vector(), self.comparison());
        let n = self.random.below(60);
        if self.random.below(2) == 0 { format!("{v} {op} {n}.25") } else { format!("{n}.25 {op} {v}") }
    }

    fn with_scalar(&mut self) -> String {
        let (v, op, s) = (self.generated(), self.arithmetic(), self.scalar(0));
        if self.random.below(2) == 0 { format!("{v} {op} {s}") } else { format!("{s} {op} {v}") }
    }

    fn matched(&mut self) -> String {
        let (l, r) = (self.generated(), self.generated());
        let op = if self.random.below(3) == 0 { self.comparison() } else { self.arithmetic() };
        match self.random.below(6) {
            0 => format!("{l} {op} {r}"),
            1 => format!("{l} {op} on (instance) {r}"),
            2 => format!("{l} {op} ignoring (job) {r}"),
            3 => format!("{l} {op} on (zone) group_left gen_zone"),
            4 => format!("gen_zone {op} on (zone) group_right (owner) {r}"),
            _ => format!("{l} {op} on (zone) group_left (owner) gen_zone"),
        }
    }

    fn set(&mut self) -> String {
        let (l, r) = (self.generated(), self.generated());
        let op = self.random.pick(&["and", "or", "unless"]);
        let on = self.random.pick(&["", " on (zone)", " ignoring (instance)", " on (instance, job)"]);
        format!("{l} {op}{on} {r}")
    }

    fn mapped(&mut self) -> String {
        let v = self.vector();
        match self.random.below(8) {
            0 => format!("abs({v})"),
            1 => format!("ceil({v})"),
            2 => format!("floor({v})"),
            3 => format!("round({v}, 0.25)"),
            4 => format!("clamp({v}, -5, scalar(gen_zone{{zone=\"west\"}}) * 10)"),
            5 => format!("clamp_min({v}, 3)"),
            6 => format!("clamp_max({v}, 3)"),
            _ => format!("-{v}"),
        }
    }

    fn nested(&mut self) -> String {
        let (a, b) = (self.grouping(), self.random.pick(&["sum", "max", "count"]));
        match self.random.below(4) {
            0 => format!("{b}{a} (rate(gen_counter_total[5m])) / sum{a} (gen_distinct)"),
            1 => format!("{b}{a} (increase(gen_counter_total[2m]) > 10.3) or vector(0)"),
            2 => format!("vector({}) + on () group_right gen_gauge", self.scalar(1)),
            _ => format!(
                "max({b} by (zone, job) (gen_gauge * 2 > -7.3)) by (zone) unless on (zone) gen_zone{{zone=\"west\"}}"
            ),
        }
    }
}
