//! How well log templates are mined, on lines whose templates are known: pushed into the core as a shipper does, and read
//! back from its snapshot.
//!
//! A folder holds, for each system, `<name>.content.txt`, one line a row, and `<name>.truth.csv` with the columns `LineId`
//! and `EventTemplate`. The measures are those of the field: GA and FGA of groups of lines, PA and FTA of the texts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use whyd_core::{Effect, Message};
use whyd_signals::templates::{Template, Templates};
use whyd_signals::{Access, Envelope, Media, Team, Timestamp};

use crate::config::Config;
use crate::wiring;

/// Lines of one push.
const PUSH: usize = 500;
/// When the first line was written: any time does.
const START: i64 = 1_790_000_000_000_000_000;
const NAMESPACE: &str = "evaluation";
/// Miners of which the mean time is taken.
const MINERS: u32 = 20;

/// What was made of the lines of one system.
#[derive(Debug)]
pub struct Mined {
    /// The system's name.
    pub system: String,
    /// A template for each line.
    pub templates: Vec<Template>,
    truth: Vec<String>,
    /// How long a miner that knows none of them takes for all lines, in seconds.
    took: f64,
}

/// How much of it is right, 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quality {
    /// The system, or `mean`.
    pub system: String,
    /// The share of lines whose group is exactly a true one.
    pub ga: f64,
    /// The F1 of groups that equal a true one.
    pub fga: f64,
    /// The share of lines whose template has the true text.
    pub pa: f64,
    /// The F1 of templates with the true text, whose lines are all of that one.
    pub fta: f64,
    /// Lines that one thread mines in a second, by a miner that knows none of them at the start.
    pub lines_per_second: f64,
}

/// The systems below `dir`, mined one by one.
///
/// # Errors
/// When a file cannot be read, does not fit its truth, or there is none.
pub fn mined(dir: &Path, config: &Config) -> Result<Vec<Mined>> {
    let entries = std::fs::read_dir(dir).with_context(|| format!("{}", dir.display()))?;
    let mut files: BTreeMap<String, PathBuf> = BTreeMap::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(system) = name.strip_suffix(".content.txt") {
            files.insert(system.to_owned(), path);
        }
    }
    ensure!(!files.is_empty(), "{}: no file in it is named <system>.content.txt", dir.display());
    files.into_iter().map(|(system, path)| of_system(system, &path, config)).collect()
}

fn of_system(system: String, path: &Path, config: &Config) -> Result<Mined> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
    let lines: Vec<&str> = text.split_terminator('\n').collect();
    let file = path.with_file_name(format!("{system}.truth.csv"));
    let rows = std::fs::read_to_string(&file).with_context(|| format!("{}", file.display()))?;
    let truth =
        column(&rows, "EventTemplate").with_context(|| format!("{}: no column EventTemplate", file.display()))?;
    ensure!(truth.len() == lines.len(), "{}: {} rows for {} lines", file.display(), truth.len(), lines.len());
    let templates = push(&lines, config).with_context(|| format!("{}", path.display()))?;
    Ok(Mined { system, templates, truth, took: took(&lines, config) })
}

/// How long mining alone takes, in seconds: the mean of some miners, each of which begins with nothing.
fn took(lines: &[&str], config: &Config) -> f64 {
    let begun = Instant::now();
    for _ in 0..MINERS {
        let mut miner = wiring::miner(config);
        let tree = miner.tree(&Team::platform());
        for line in lines {
            std::hint::black_box(miner.template_of(tree, line));
        }
        // What belongs together is found when it is asked.
        std::hint::black_box(miner.resolver().all(&Team::platform()));
    }
    begun.elapsed().as_secs_f64() / f64::from(MINERS)
}

/// Sends the lines through the core, and gives what each of them stands for in the end.
fn push(lines: &[&str], config: &Config) -> Result<Vec<Template>> {
    let mut core = wiring::core(config);
    for (n, some) in lines.chunks(PUSH).enumerate() {
        let first = START + (n * PUSH) as i64;
        let values: Vec<[String; 2]> =
            (first..).zip(some).map(|(ts, line)| [ts.to_string(), (*line).to_owned()]).collect();
        let stream = serde_json::json!({"namespace": NAMESPACE, "pod": "p", "container": "c"});
        let body = serde_json::json!({"streams": [{"stream": stream, "values": values}]}).to_string();
        let envelope = Envelope { received: Timestamp(first), media: Media::LokiJson, tenant: None, body: body.into() };
        for effect in core.step(Timestamp(first), Message::Input { token: 0, envelope }) {
            match effect {
                Effect::Append(record) => drop(core.step(Timestamp(first), Message::Durable(record.lsn))),
                Effect::Reply { reply, .. } => anyhow::bail!("the lines were not taken: {reply:?}"),
                Effect::Changed | Effect::Settled(_) => {}
            }
        }
    }
    let scoped = core.snapshot().scoped(&Access::All);
    let kept = scoped.lines_of(NAMESPACE, "p", "c", Timestamp::MIN, Timestamp::MAX);
    ensure!(kept.len() == lines.len(), "{} of {} lines were kept", kept.len(), lines.len());
    let resolved = kept.iter().map(|line| scoped.template(NAMESPACE, line.template_id));
    resolved.collect::<Option<_>>().context("there is no room for all templates")
}

/// The rows as the scorers of the field read them: `system,line_id,template_id,template`.
pub fn csv(all: &[Mined]) -> String {
    let mut out = String::from("system,line_id,template_id,template\n");
    for of in all {
        for (n, template) in of.templates.iter().enumerate() {
            let text = template.text.replace('"', "\"\"");
            out.push_str(&format!("{},{},{},\"{text}\"\n", of.system, n + 1, template.id.0));
        }
    }
    out
}

/// The quality of each, and the mean of all.
pub fn quality(all: &[Mined]) -> Vec<Quality> {
    let mut rows: Vec<Quality> = all.iter().map(Mined::quality).collect();
    let mean = |of: fn(&Quality) -> f64| rows.iter().map(of).sum::<f64>() / rows.len().max(1) as f64;
    let mean = Quality {
        system: "mean".to_owned(),
        ga: mean(|q| q.ga),
        fga: mean(|q| q.fga),
        pa: mean(|q| q.pa),
        fta: mean(|q| q.fta),
        lines_per_second: pace(all.iter().map(|m| m.truth.len()).sum(), all.iter().map(|m| m.took).sum()),
    };
    rows.push(mean);
    rows
}

fn pace(lines: usize, seconds: f64) -> f64 {
    (lines as f64 / seconds.max(1e-9)).round()
}

/// For people.
pub fn text(rows: &[Quality]) -> String {
    let mut out = format!("{:<24}{:>8}{:>8}{:>8}{:>8}{:>10}", "system", "GA", "FGA", "PA", "FTA", "lines/s");
    for q in rows {
        let Quality { system, ga, fga, pa, fta, lines_per_second } = q;
        out.push_str(&format!("\n{system:<24}{ga:>8.3}{fga:>8.3}{pa:>8.3}{fta:>8.3}{lines_per_second:>10.0}"));
    }
    out
}

impl Mined {
    fn quality(&self) -> Quality {
        let n = self.truth.len().max(1) as f64;
        let ids: Vec<String> = self.templates.iter().map(|t| t.id.0.to_string()).collect();
        let texts: Vec<String> = self.templates.iter().map(|t| bare(&t.text)).collect();
        let (found, wanted) = (groups(&ids), groups(&self.truth));
        let true_groups: BTreeSet<&Vec<usize>> = wanted.values().collect();
        let right: Vec<&Vec<usize>> = found.values().filter(|group| true_groups.contains(group)).collect();
        let has_text =
            |n: &usize| texts.get(*n).is_some_and(|text| self.truth.get(*n).is_some_and(|t| bare(t) == *text));
        let of_one = |lines: &&Vec<usize>| {
            let truths: BTreeSet<_> = lines.iter().map(|n| self.truth.get(*n)).collect();
            truths.len() == 1 && lines.first().is_some_and(has_text)
        };
        let by_text = groups(&texts);
        let right_texts = by_text.values().filter(of_one).count();
        Quality {
            system: self.system.clone(),
            ga: right.iter().map(|group| group.len()).sum::<usize>() as f64 / n,
            fga: f1(right.len(), found.len(), wanted.len()),
            pa: (0..self.truth.len()).filter(has_text).count() as f64 / n,
            fta: f1(right_texts, by_text.len(), wanted.len()),
            lines_per_second: pace(self.truth.len(), self.took),
        }
    }
}

fn f1(right: usize, found: usize, wanted: usize) -> f64 {
    2.0 * right as f64 / (found + wanted).max(1) as f64
}

/// The lines of each key.
fn groups(keys: &[String]) -> BTreeMap<&str, Vec<usize>> {
    let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (n, key) in keys.iter().enumerate() {
        groups.entry(key).or_default().push(n);
    }
    groups
}

/// A template's text for comparison: names in capitals are variables, variables in a row are one, and so are blanks.
fn bare(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let (before, from) = rest.split_at(at);
        let end = from.find('>').filter(|end| {
            let name = &from[1..*end];
            name == "*" || !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
        });
        let between = out.ends_with("<*>") && before.trim().is_empty() && end.is_some();
        if !between {
            out.push_str(before);
            out.push_str(if end.is_some() { "<*>" } else { "<" });
        }
        rest = &from[end.map_or(1, |end| end + 1)..];
    }
    out.push_str(rest);
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A column of a table in CSV with a header; quoted fields may hold anything.
fn column(text: &str, name: &str) -> Option<Vec<String>> {
    let mut rows = rows(text).into_iter();
    let at = rows.next()?.iter().position(|n| n == name)?;
    rows.map(|row| row.into_iter().nth(at)).collect()
}

fn rows(text: &str) -> Vec<Vec<String>> {
    let (mut all, mut row, mut field) = (Vec::new(), Vec::new(), String::new());
    let mut quoted = false;
    let mut chars = text.chars().filter(|c| *c != '\r').peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.next_if_eq(&'"').is_some() => field.push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut field)),
            '\n' if !quoted => {
                row.push(std::mem::take(&mut field));
                all.push(std::mem::take(&mut row));
            }
            c => field.push(c),
        }
    }
    if !field.is_empty() || !row.is_empty() {
        row.push(field);
        all.push(row);
    }
    all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::config::ConfigFile;

    #[test]
    fn texts_are_compared_without_what_does_not_count() {
        assert_eq!(bare("a <*> <*>,<*>  b <IP>c < d <x>"), "a <*>,<*> b <*>c < d <x>");
        assert_eq!(bare("<*><*>"), "<*>");
    }

    #[test]
    fn a_table_has_quotes() {
        let text = "LineId,EventTemplate\r\n1,\"a, \"\"b\"\"\"\n2,c\n";
        assert_eq!(column(text, "EventTemplate").unwrap(), ["a, \"b\"", "c"]);
        assert_eq!(column(text, "none"), None);
    }

    #[test]
    fn lines_go_through_the_core_and_are_scored() {
        let dir = tempfile::tempdir().unwrap();
        let lines = ["user 1 in", "user 2 in", "disk full", "job a done"];
        std::fs::write(dir.path().join("x.content.txt"), lines.join("\n")).unwrap();
        let truth = ["LineId,EventTemplate", "1,user <*> in", "2,user <*> in", "3,disk full", "4,job <*> done"];
        std::fs::write(dir.path().join("x.truth.csv"), truth.join("\n")).unwrap();
        let all = mined(dir.path(), &ConfigFile::default().validate().unwrap()).unwrap();
        let rows = quality(&all);
        assert_eq!((rows[0].ga, rows[0].fga, rows[0].pa), (1.0, 1.0, 0.75));
        assert!((rows[1].fta - 2.0 / 3.0).abs() < 1e-9, "{rows:?}");
        let csv = csv(&all);
        assert!(
            csv.lines().nth(3).is_some_and(|row| row.starts_with("x,3,") && row.ends_with(",\"disk full\"")),
            "{csv}"
        );
        std::fs::write(dir.path().join("x.truth.csv"), "LineId,EventTemplate\n").unwrap();
        let error = mined(dir.path(), &ConfigFile::default().validate().unwrap()).unwrap_err();
        assert!(error.to_string().contains("0 rows for 4 lines"), "{error}");
    }
}
