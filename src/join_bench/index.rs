//! What the index costs by itself: rows that are decoded and whose series and streams are known, put into empty buffers,
//! sealed and merged as they are while a daemon runs. It is what other engines have after their load.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use arrow::array::AsArray;
use arrow::datatypes::Float64Type;
use whyd_buffers::{Limits, Writer};
use whyd_signals::sink::{LogSink, RawLabels, Refusal, SampleSink};
use whyd_signals::templates::{Resolver, Template, TemplateStats, Templates, TreeId};
use whyd_signals::{SeriesId, StreamId, Team, TemplateId, Timestamp};

use super::load::{Texts, column, numbers, rows};
use super::{cpu_seconds, wire};
use crate::config::Config;

/// Rows of one body.
const ROWS: usize = 2_000;
const SECOND: i64 = 1_000_000_000;

/// Processor seconds of it, for samples and for lines.
pub(super) fn cpu(dir: &Path, config: &Config) -> Result<[f64; 2]> {
    let limits = Limits { bytes: config.memory / 2, ..Limits::default() };
    let mut index = Index { writer: Writer::new(limits, Box::new(NoTemplates)), sealed: i64::MIN, cpu: 0.0 };
    index.samples(dir)?;
    let of_samples = index.cpu;
    index.lines(dir)?;
    Ok([of_samples, index.cpu - of_samples])
}

struct Index {
    writer: Writer,
    sealed: i64,
    cpu: f64,
}

impl Index {
    fn samples(&mut self, dir: &Path) -> Result<()> {
        let mut known: HashMap<(String, String), SeriesId> = HashMap::new();
        for batch in rows(dir, "metrics")? {
            let batch = batch?;
            let (ms, values) = (numbers(&batch, "ts")?, column(&batch, "value")?.as_primitive::<Float64Type>());
            let (namespace, pod, metric) =
                (Texts::of(&batch, "namespace")?, Texts::of(&batch, "pod")?, Texts::of(&batch, "metric")?);
            self.writer.begin(Timestamp(ms.value(0) * 1_000_000), None);
            let mut decoded = Vec::with_capacity(batch.num_rows());
            for row in 0..batch.num_rows() {
                let key = (pod.get(row).to_owned(), metric.get(row).to_owned());
                let id = match known.get(&key) {
                    Some(id) => *id,
                    None => {
                        let labels = wire::labels(&[
                            ("__name__", metric.get(row)),
                            ("namespace", namespace.get(row)),
                            ("pod", pod.get(row)),
                        ]);
                        let id = self.writer.series(RawLabels(&labels)).map_err(refused)?;
                        known.insert(key, id);
                        id
                    }
                };
                decoded.push((id, Timestamp(ms.value(row) * 1_000_000), values.value(row)));
            }
            self.publish();
            let begun = cpu_seconds()?;
            for body in decoded.chunks(ROWS) {
                let Some((_, received, _)) = body.last() else { continue };
                self.writer.begin(*received, None);
                for (id, at, value) in body {
                    self.writer.sample(*id, *at, *value).map_err(refused)?;
                }
                self.publish();
                self.seal(*received);
            }
            self.cpu += cpu_seconds()? - begun;
        }
        Ok(())
    }

    fn lines(&mut self, dir: &Path) -> Result<()> {
        self.sealed = i64::MIN;
        let mut known: HashMap<(String, String), StreamId> = HashMap::new();
        for batch in rows(dir, "logs")? {
            let batch = batch?;
            let ms = numbers(&batch, "ts")?;
            let (namespace, pod) = (Texts::of(&batch, "namespace")?, Texts::of(&batch, "pod")?);
            let (level, template) = (Texts::of(&batch, "level")?, Texts::of(&batch, "template")?);
            self.writer.begin(Timestamp(ms.value(0) * 1_000_000), None);
            let mut decoded = Vec::with_capacity(batch.num_rows());
            for row in 0..batch.num_rows() {
                let key = (pod.get(row).to_owned(), level.get(row).to_owned());
                let id = match known.get(&key) {
                    Some(id) => *id,
                    None => {
                        let pairs =
                            [("namespace", namespace.get(row)), ("pod", pod.get(row)), ("level", level.get(row))];
                        let pairs = pairs.map(|(n, v)| (Cow::Borrowed(n), Cow::Borrowed(v)));
                        let id = self.writer.stream(&pairs, &[]).map_err(refused)?;
                        known.insert(key, id);
                        id
                    }
                };
                decoded.push((id, Timestamp(ms.value(row) * 1_000_000), template.get(row)));
            }
            self.publish();
            // As pushes have them: stream by stream. When they came is the time of the last.
            let received: Vec<Timestamp> = decoded.chunks(ROWS).filter_map(|push| Some(push.last()?.1)).collect();
            decoded.chunks_mut(ROWS).for_each(|push| push.sort_by_key(|line| line.0));
            let begun = cpu_seconds()?;
            for (push, received) in decoded.chunks(ROWS).zip(received) {
                self.writer.begin(received, None);
                for (id, at, text) in push {
                    self.writer.line(*id, *at, text).map_err(refused)?;
                }
                self.publish();
                self.seal(received);
            }
            self.cpu += cpu_seconds()? - begun;
        }
        Ok(())
    }

    fn publish(&mut self) {
        let staged = self.writer.stage();
        self.writer.publish(staged.mark);
    }

    /// Once a second of the data's time, as a daemon does.
    fn seal(&mut self, at: Timestamp) {
        if at.0 >= self.sealed.saturating_add(SECOND) {
            self.sealed = at.0;
            self.writer.seal(at);
        }
    }
}

fn refused(why: Refusal) -> anyhow::Error {
    anyhow!("a row was refused: {}", why.as_str())
}

/// Templates are no part of the index.
struct NoTemplates;

impl Templates for NoTemplates {
    fn tree(&mut self, _: &Team) -> TreeId {
        TreeId(0)
    }

    fn template_of(&mut self, _: TreeId, _: &str) -> TemplateId {
        TemplateId(0)
    }

    fn resolver(&self) -> Arc<dyn Resolver> {
        Arc::new(Self)
    }

    fn stats(&self) -> TemplateStats {
        TemplateStats::default()
    }
}

impl Resolver for NoTemplates {
    fn resolve(&self, _: &Team, _: TemplateId) -> Option<Template> {
        None
    }

    fn all(&self, _: &Team) -> Vec<Template> {
        Vec::new()
    }
}
