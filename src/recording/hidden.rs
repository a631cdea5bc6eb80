//! What people write into objects and no verdict reads the text of: fields that no verdict knows are left out, the words
//! of commands are numbered, so that one is still told from another, and messages that quote them are cleared of them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::Value;
use whyd_correlate::redact::redact;
use whyd_signals::objects::Object;
use whyd_signals::{Resource, Verb};

/// Annotations that verdicts read.
const READ: [&str; 3] =
    ["kubectl.kubernetes.io/restartedAt", "deployment.kubernetes.io/revision", "kubernetes.io/change-cause"];
/// So many words are told apart; of further ones only that they were hidden.
const TOLD_APART: usize = 100_000;
/// A shorter word, as a flag or a number, says nothing by itself and would be found in anything.
const WORD: usize = 4;
/// What stands for words whose number nobody knows.
const SOME: &str = "hidden";

/// The words that were hidden so far.
#[derive(Default)]
pub(super) struct Hidden {
    numbers: BTreeMap<String, usize>,
    /// The uid of a pod -> the words of its commands.
    of: BTreeMap<String, BTreeSet<String>>,
}

impl Hidden {
    /// The object with what verdicts know of it, and without what people wrote.
    ///
    /// # Errors
    /// When the body is no such object.
    pub(super) fn object(&mut self, resource: Resource, verb: Verb, body: &[u8]) -> Result<Value> {
        let object = whyd_collector::wire::kube::decode(resource, verb, body)?.context("a list has no body")?;
        let mut value = match &object {
            Object::Namespace(o) => serde_json::to_value(o.as_ref()),
            Object::Node(o) => serde_json::to_value(o.as_ref()),
            Object::Deployment(o) | Object::ReplicaSet(o) | Object::StatefulSet(o) | Object::DaemonSet(o) => {
                serde_json::to_value(o.as_ref())
            }
            Object::Job(o) => serde_json::to_value(o.as_ref()),
            Object::ConfigMap(o) => serde_json::to_value(o.as_ref()),
            Object::Service(o) => serde_json::to_value(o.as_ref()),
            Object::Pod(o) => serde_json::to_value(o.as_ref()),
            Object::Event(o) => serde_json::to_value(o.as_ref()),
        }?;
        value["kind"] = resource.kind().into();
        let mut words = BTreeSet::new();
        self.hide_commands(&mut value, &mut words);
        let about = match &object {
            Object::Event(e) => {
                let known = self.of.get(&e.involved_object.uid);
                if known.is_none() && e.involved_object.kind == "Pod" {
                    hide_quoted(&mut value);
                }
                known.unwrap_or(&words)
            }
            _ => &words,
        };
        clear(&mut value, about);
        if matches!(object, Object::Pod(_)) && self.of.len() < TOLD_APART {
            self.of.insert(object.meta().uid.clone(), words);
        }
        Ok(value)
    }

    fn hide_commands(&mut self, value: &mut Value, words: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                fields.retain(|_, field| !field.is_null());
                for (name, field) in fields {
                    match (name.as_str(), field) {
                        ("args", Value::Array(all)) => all.iter_mut().for_each(|w| self.hide_word(w, words)),
                        // The program itself is what cannot be found or run.
                        ("command", Value::Array(all)) => {
                            all.iter_mut().skip(1).for_each(|w| self.hide_word(w, words));
                        }
                        (_, inner) => self.hide_commands(inner, words),
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.hide_commands(item, words)),
            _ => {}
        }
    }

    fn hide_word(&mut self, word: &mut Value, words: &mut BTreeSet<String>) {
        let Value::String(text) = word else { return };
        let next = self.numbers.len() + 1;
        let number = match self.numbers.get(text) {
            Some(known) => *known,
            None if next > TOLD_APART => 0,
            None => *self.numbers.entry(text.clone()).or_insert(next),
        };
        let hidden = std::mem::replace(text, format!("{SOME}-{number}"));
        if hidden.len() >= WORD {
            words.insert(hidden);
        }
    }
}

/// Clears every text of these words and of what the rules know as secret. Names stay: they are what objects are found by.
fn clear(value: &mut Value, words: &BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match (name.as_str(), field) {
                    ("metadata" | "involvedObject", Value::Object(meta)) => {
                        if let Some(Value::Object(annotations)) = meta.get_mut("annotations") {
                            annotations.retain(|key, _| READ.contains(&key.as_str()));
                            annotations.values_mut().for_each(|v| clear(v, words));
                        }
                    }
                    (_, inner) => clear(inner, words),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| clear(item, words)),
        Value::String(text) => {
            // Longer ones first: one may hold another. The kubelet quotes some of them.
            let mut long: Vec<&String> = words.iter().filter(|w| text.len() >= w.len()).collect();
            long.sort_by_key(|w| std::cmp::Reverse(w.len()));
            for word in long {
                for written in [word.as_str(), &word.escape_default().to_string()] {
                    if text.contains(written) {
                        *text = text.replace(written, SOME);
                    }
                }
            }
            if let std::borrow::Cow::Owned(clean) = redact(text) {
                *text = clean;
            }
        }
        _ => {}
    }
}

/// Of a pod that is not known yet: the command that a probe ran is quoted when it took too long.
fn hide_quoted(event: &mut Value) {
    let Some(Value::String(message)) = event.get_mut("message") else { return };
    if let (Some(from), Some(to)) = (message.find('"'), message.rfind("\" timed out"))
        && from < to
    {
        message.replace_range(from + 1..to, SOME);
    }
}
