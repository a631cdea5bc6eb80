//! How soon a fault is seen, on captures that say when it was injected: the first anomaly of its workload from then on, and
//! all anomalies of those that were well.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use whyd_buffers::Scoped;
use whyd_signals::schema::Anomaly;
use whyd_signals::{Access, Timestamp};

use crate::capture::{About, Capture};
use crate::config::Config;
use crate::evaluation::NONE;
use crate::replay::Replay;
use crate::wiring;

/// Within so many scrape intervals a sudden fault is to be seen.
const WANTED: f64 = 2.0;
/// What comes so long after it is of something else.
const LATEST: Duration = Duration::from_secs(600);

/// A time, RFC 3339 or in seconds.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Time {
    Seconds(f64),
    Text(String),
}

#[derive(Debug, Clone, Deserialize)]
struct Expected {
    workload: String,
    cause: String,
}

/// What `truth.json` says, of either kind of capture.
#[derive(Debug, Clone, Deserialize)]
struct Truth {
    t_inject: Option<Time>,
    #[serde(default)]
    expected: Vec<Expected>,
    #[serde(default)]
    bystanders: Vec<String>,
    root_service: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

impl Truth {
    fn read(path: &Path) -> Result<Self> {
        let file = path.join("truth.json");
        let text = std::fs::read(&file).with_context(|| format!("{}", file.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{}", file.display()))
    }

    fn injected(&self) -> Option<Timestamp> {
        match self.t_inject.as_ref()? {
            Time::Seconds(s) => Some(Timestamp((s * 1e9) as i64)),
            Time::Text(text) => Timestamp::parse(text),
        }
    }

    /// The workloads that fail, each with what is wrong with it.
    fn faults(&self) -> Vec<(String, String)> {
        let expected = self.expected.iter().filter(|e| e.cause != NONE);
        let of = |e: &Expected| (e.workload.rsplit('/').next().unwrap_or_default().to_owned(), e.cause.clone());
        let mut faults: Vec<_> = expected.map(of).collect();
        let kind = || self.kind.clone().unwrap_or_else(|| "-".to_owned());
        faults.extend(self.root_service.iter().map(|service| (service.clone(), kind())));
        faults
    }
}

/// Whether a pod is of the workload of this name: by its owners, or where it was never seen by its own name.
fn is_of(scoped: &Scoped, namespace: &str, pod: &str, workload: &str) -> bool {
    let space = scoped.cluster().namespace(namespace);
    let Some((space, pod)) = space.and_then(|space| Some((space, &space.pods_called(pod).last()?.object))) else {
        return is_named_after(pod, workload);
    };
    let job = pod.metadata.controller().and_then(|owner| space.jobs.get(&owner.uid));
    let of_cron = job.and_then(|job| job.object.metadata.controller());
    let own = space.workload_of(pod);
    own.split_once('/').is_some_and(|(_, name)| name == workload) || of_cron.is_some_and(|cron| cron.name == workload)
}

/// Whether a pod's name is the workload's with what controllers add.
fn is_named_after(pod: &str, workload: &str) -> bool {
    let Some(rest) = pod.strip_prefix(workload) else { return false };
    let parts: Vec<&str> = rest.split('-').skip(1).collect();
    let added = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    rest.is_empty() || (rest.starts_with('-') && parts.len() <= 2 && parts.iter().all(added))
}

/// The first anomaly of a workload.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Seen {
    /// Seconds after the injection.
    pub after_s: f64,
    /// The same in scrape intervals.
    pub scrapes: f64,
    /// The how-manieth value of its series since the injection it is; absent for lines.
    pub values: Option<usize>,
    /// The metric, or the kind of an anomaly of lines.
    pub metric: String,
    /// In words.
    pub text: String,
}

/// One workload that fails.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fault {
    /// The capture's folder.
    pub capture: String,
    /// Its name.
    pub workload: String,
    /// What is wrong with it.
    pub kind: String,
    /// Absent where it has none in ten minutes.
    pub seen: Option<Seen>,
    /// Its anomalies before the injection.
    pub before: usize,
}

/// An anomaly of somebody who was well.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FalseAlarm {
    /// The capture's folder.
    pub capture: String,
    /// Its pod; empty for what is of no pod.
    pub pod: String,
    /// Whether the truth says that it was well all the time.
    pub bystander: bool,
    /// The metric.
    pub metric: String,
    /// In words.
    pub text: String,
}

/// The whole.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Onsets {
    /// All that failed.
    pub faults: Vec<Fault>,
    /// Anomalies of all that did not.
    pub others: Vec<FalseAlarm>,
    /// Hours of captures.
    pub hours: f64,
}

/// What is seen of all captures below `dir`: each by itself, or those of one cluster as a daemon would see them that lives on.
///
/// # Errors
/// When a capture or its truth cannot be read, or there is none.
pub fn onsets(dir: &Path, config: &Config, together: bool) -> Result<Onsets> {
    let entries = std::fs::read_dir(dir).with_context(|| format!("{}", dir.display()))?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.retain(|path| path.join("capture.json").exists());
    paths.sort();
    ensure!(!paths.is_empty(), "{}: no folder in it holds a capture", dir.display());
    let told = paths.iter().any(|path| path.join("truth.json").exists());
    ensure!(told, "{}: no folder in it holds truth.json, which says who failed and when", dir.display());
    let mut groups: BTreeMap<String, Vec<(PathBuf, Capture)>> = BTreeMap::new();
    for path in paths {
        let capture = Capture::open(&path)?;
        let name = if together { capture.about.cluster.clone() } else { path.display().to_string() };
        groups.entry(name).or_default().push((path, capture));
    }
    let mut all = Onsets::default();
    for group in groups.into_values() {
        of_group(group, config, &mut all)?;
    }
    Ok(all)
}

/// Captures through one core, each looked at when it has ended.
fn of_group(group: Vec<(PathBuf, Capture)>, config: &Config, all: &mut Onsets) -> Result<()> {
    let (mut messages, mut cases) = (Vec::new(), Vec::new());
    for (path, capture) in group {
        messages.extend(capture.messages()?);
        let truth = path.join("truth.json").exists().then(|| Truth::read(&path)).transpose()?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        cases.push(Case { name, about: capture.about, truth });
    }
    messages.sort_by_key(|m| (m.received, m.media.source()));
    cases.sort_by_key(|case| case.about.to);
    let mut messages = messages.into_iter().peekable();
    let mut replay = Replay::new(wiring::core(config));
    for case in &cases {
        let ended = case.about.to.plus(config.lateness);
        while let Some(message) = messages.next_if(|m| m.received <= ended) {
            replay.feed(message);
        }
        look(case, &cases, &replay.snapshot().scoped(&Access::All), all);
    }
    Ok(())
}

/// A capture of those that went through one core.
struct Case {
    name: String,
    about: About,
    truth: Option<Truth>,
}

impl Case {
    fn has(&self, ts: Timestamp) -> bool {
        (self.about.from..=self.about.to).contains(&ts)
    }

    fn faults(&self) -> Vec<(String, String)> {
        self.truth.as_ref().map(Truth::faults).unwrap_or_default()
    }
}

/// What somebody has who fails in any of the cases at that time is no false alarm.
fn look(case: &Case, cases: &[Case], scoped: &Scoped, all: &mut Onsets) {
    let mut told = scoped.anomalies();
    told.retain(|a| case.has(a.ts));
    told.sort_by_key(|a| a.ts);
    let Case { name, about, truth } = case;
    all.hours += about.to.seconds_since(about.from) / 3600.0;
    let faults = case.faults();
    let fails = |a: &Anomaly| {
        let mut at_work = cases.iter().filter(|case| case.has(a.ts)).flat_map(Case::faults);
        at_work.any(|(workload, _)| is_of(scoped, &a.namespace, &a.pod, &workload))
    };
    let bystanders: BTreeSet<&str> = truth.iter().flat_map(|t| &t.bystanders).map(String::as_str).collect();
    all.others.extend(told.iter().filter(|a| !fails(a)).map(|a| FalseAlarm {
        capture: name.clone(),
        pod: a.pod.clone(),
        bystander: bystanders.contains(a.pod.as_str()),
        metric: a.metric.clone(),
        text: a.text.clone(),
    }));
    let Some(injected) = truth.as_ref().and_then(Truth::injected) else { return };
    let scrape = scrape_interval(scoped, about.from, about.to);
    for (workload, kind) in &faults {
        let own = || told.iter().filter(|a| is_of(scoped, &a.namespace, &a.pod, workload));
        let first = own().find(|a| a.ts > injected && a.ts <= injected.plus(LATEST));
        let seen = first.map(|a| {
            let after_s = a.ts.seconds_since(injected);
            let (values, scrapes) = (values_until(scoped, a, injected), after_s / scrape);
            Seen { after_s, scrapes, values, metric: a.metric.clone(), text: a.text.clone() }
        });
        let before = own().filter(|a| a.ts <= injected).count();
        all.faults.push(Fault { capture: name.clone(), workload: workload.clone(), kind: kind.clone(), seen, before });
    }
}

/// The how-manieth value since the injection the anomaly's is, of the series that has a value then and the fewest before.
fn values_until(scoped: &Scoped, a: &Anomaly, injected: Timestamp) -> Option<usize> {
    let of_series = |id| {
        let mut times: Vec<Timestamp> = scoped.slice(id, injected, a.ts).iter().map(|s| s.ts).collect();
        times.retain(|ts| *ts > injected);
        times.dedup();
        (times.last() == Some(&a.ts)).then_some(times.len())
    };
    scoped.series_of(&a.metric, &a.namespace, &a.pod, Some(&a.container)).into_iter().filter_map(of_series).min()
}

/// The most frequent time from one value of a series to its next, to the second.
fn scrape_interval(scoped: &Scoped, from: Timestamp, to: Timestamp) -> f64 {
    let mut often: BTreeMap<i64, usize> = BTreeMap::new();
    for (id, _) in scoped.all_series() {
        let samples = scoped.slice(id, from, to);
        for pair in samples.windows(2) {
            let apart = pair[1].ts.seconds_since(pair[0].ts).round() as i64;
            if apart > 0 {
                *often.entry(apart).or_default() += 1;
            }
        }
    }
    often.into_iter().max_by_key(|(apart, n)| (*n, -*apart)).map_or(1.0, |(apart, _)| apart as f64)
}

impl Onsets {
    /// How many were seen within the scrape intervals that are wanted, within as many values of the series that told, and ever.
    pub fn seen(&self) -> (usize, usize, usize) {
        let seen = || self.faults.iter().filter_map(|f| f.seen.as_ref());
        let in_time = seen().filter(|s| s.scrapes <= WANTED).count();
        let in_values = seen().filter(|s| s.values.map_or(s.scrapes <= WANTED, |n| n as f64 <= WANTED)).count();
        (in_time, in_values, seen().count())
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut out = format!(
            "{:<22}{:<30}{:<22}{:>9}{:>9}{:>8}  first anomaly",
            "capture", "workload", "fault", "seconds", "scrapes", "values"
        );
        for Fault { capture, workload, kind, seen, before } in &self.faults {
            out.push_str(&format!("\n{capture:<22}{workload:<30}{kind:<22}"));
            match seen {
                None => out.push_str(&format!("{:>9}{:>9}{:>8}  none", "-", "-", "-")),
                Some(Seen { after_s, scrapes, values, metric, text }) => {
                    let values = values.map_or("-".to_owned(), |n| n.to_string());
                    let text: String = text.chars().take(100).collect();
                    out.push_str(&format!("{after_s:>9.1}{scrapes:>9.1}{values:>8}  {metric}: {text}"));
                }
            }
            if *before > 0 {
                out.push_str(&format!(" ({before} before the injection)"));
            }
        }
        let (in_time, in_values, ever) = self.seen();
        let faults = self.faults.len();
        out.push_str(&format!("\n\nseen within two scrape intervals: {in_time} of {faults}; within two values of the series that tells: {in_values}; at all: {ever}"));
        let bystanders = self.others.iter().filter(|a| a.bystander).count();
        let per_hour = self.others.len() as f64 / self.hours.max(f64::MIN_POSITIVE);
        out.push_str(&format!(
            "\nanomalies of bystanders: {bystanders}; of all that did not fail: {} in {:.1} h, {per_hour:.1} an hour",
            self.others.len(),
            self.hours
        ));
        for FalseAlarm { capture, pod, metric, text, .. } in &self.others {
            let text: String = text.chars().take(120).collect();
            out.push_str(&format!("\n    {capture} {pod} {metric}: {text}"));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use serde_json::json;
    use whyd_collector::wire::kube::{envelope, slim};
    use whyd_signals::{Resource, Verb};

    use super::*;
    use crate::config::ConfigFile;

    #[test]
    fn a_pod_that_was_never_seen_is_of_the_workload_whose_name_it_has() {
        for pod in ["cart", "cart-0", "cart-6f6ff55c87-p825w", "cart-x7k2p"] {
            assert!(is_named_after(pod, "cart"), "{pod}");
        }
        for pod in ["cartoon-0", "car", "", "cart-db-6f6ff55c87-p825w", "my-cart-0"] {
            assert!(!is_named_after(pod, "cart"), "{pod}");
        }
    }

    #[test]
    fn a_pod_that_was_seen_is_of_whom_its_owners_say() {
        let mut replay = Replay::new(wiring::core(&ConfigFile::default().validate().unwrap()));
        let at = Timestamp::from_parts(1_790_000_000, 0).unwrap();
        for (uid, (name, kind, owner)) in [
            ("cart-db-0", "StatefulSet", "cart-db"),
            ("cart-db-x7k2p", "DaemonSet", "cart-db"),
            ("cart-x7k2p", "DaemonSet", "cart"),
        ]
        .into_iter()
        .enumerate()
        {
            let owners =
                json!([{"apiVersion": "apps/v1", "kind": kind, "name": owner, "uid": owner, "controller": true}]);
            let uid = uid.to_string();
            let meta = json!({"name": name, "namespace": "shop", "uid": uid, "resourceVersion": uid, "ownerReferences": owners});
            let pod =
                json!({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": []}, "status": {}});
            let pod = slim(Resource::Pods, pod.to_string().as_bytes()).unwrap();
            replay.feed(envelope(Resource::Pods, Verb::Apply, at, pod));
        }
        let scoped = replay.snapshot().scoped(&Access::All);
        for (pod, workload) in [("cart-db-0", "cart-db"), ("cart-db-x7k2p", "cart-db"), ("cart-x7k2p", "cart")] {
            assert!(is_of(&scoped, "shop", pod, workload), "{pod}");
            assert_eq!(is_of(&scoped, "shop", pod, "cart"), workload == "cart", "{pod}");
        }
    }
}
