//! The workloads of a team with the times of their pods, so that those that were there in some time are counted without a
//! look at each: nearly all have a pod that is there yet.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use whyd_signals::Timestamp;

use super::Span;

/// When a pod came, and when it went if it has.
pub(super) type Stay = (Timestamp, Option<Timestamp>);

/// The pods of one workload.
#[derive(Debug, Clone, Default, PartialEq)]
struct Pods {
    stays: BTreeMap<String, Stay>,
    /// How many of those that are there came at which time.
    came: BTreeMap<Timestamp, u32>,
    /// How many went at which time.
    went: BTreeMap<Timestamp, u32>,
}

impl Pods {
    fn was_there(&self, (from, to): Span) -> bool {
        let there = self.came.first_key_value().is_some_and(|(came, _)| *came <= to);
        let gone = || self.went.last_key_value().is_some_and(|(went, _)| *went >= from);
        there || gone() && self.stays.values().any(|stay| was_there(*stay, (from, to)))
    }

    fn since(&self) -> Option<Timestamp> {
        self.came.first_key_value().map(|(came, _)| *came)
    }

    fn until(&self) -> Option<Timestamp> {
        self.went.last_key_value().map(|(went, _)| *went)
    }
}

/// All workloads, by `namespace/Kind/name`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Workloads {
    all: BTreeMap<Arc<str>, Pods>,
    /// Those that have a pod that is there, by when the first of these came.
    there: BTreeSet<(Timestamp, Arc<str>)>,
    /// Those that have none, by when the last went.
    gone: BTreeSet<(Timestamp, Arc<str>)>,
}

impl Workloads {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn put(&mut self, workload: &str, uid: &str, stay: Stay) {
        self.remove(workload, uid);
        let name = self.all.get_key_value(workload).map_or_else(|| Arc::from(workload), |(name, _)| Arc::clone(name));
        self.leave(&name);
        let pods = self.all.entry(Arc::clone(&name)).or_default();
        pods.stays.insert(uid.to_owned(), stay);
        match stay {
            (came, None) => *pods.came.entry(came).or_default() += 1,
            (_, Some(went)) => *pods.went.entry(went).or_default() += 1,
        }
        self.enter(&name);
    }

    pub(super) fn remove(&mut self, workload: &str, uid: &str) {
        let Some((name, _)) = self.all.get_key_value(workload) else { return };
        let name = Arc::clone(name);
        self.leave(&name);
        if let Some(pods) = self.all.get_mut(&name) {
            match pods.stays.remove(uid) {
                Some((came, None)) => one_less(&mut pods.came, came),
                Some((_, Some(went))) => one_less(&mut pods.went, went),
                None => {}
            }
            if pods.stays.is_empty() {
                self.all.remove(&name);
            }
        }
        self.enter(&name);
    }

    fn leave(&mut self, name: &Arc<str>) {
        let Some(pods) = self.all.get(name) else { return };
        let _ = match (pods.since(), pods.until()) {
            (Some(since), _) => self.there.remove(&(since, Arc::clone(name))),
            (None, Some(until)) => self.gone.remove(&(until, Arc::clone(name))),
            (None, None) => false,
        };
    }

    fn enter(&mut self, name: &Arc<str>) {
        let Some(pods) = self.all.get(name) else { return };
        let _ = match (pods.since(), pods.until()) {
            (Some(since), _) => self.there.insert((since, Arc::clone(name))),
            (None, Some(until)) => self.gone.insert((until, Arc::clone(name))),
            (None, None) => false,
        };
    }

    /// Whether this workload had a pod in this time.
    pub(super) fn was_there(&self, workload: &str, span: Span) -> bool {
        self.all.get(workload).is_some_and(|pods| pods.was_there(span))
    }

    /// How many workloads had a pod in this time.
    pub(super) fn count(&self, span: Span) -> u64 {
        let was_there = |name: &Arc<str>| self.was_there(name, span);
        // Those whose pods of today came later may have had others before.
        let mut count = self.there.len();
        for (_, name) in self.there.range((Bound::Excluded(after(span.1)), Bound::Unbounded)) {
            count -= usize::from(!was_there(name));
        }
        let gone = self.gone.range((span.0, Arc::from(""))..).filter(|(_, name)| was_there(name));
        (count + gone.count()) as u64
    }

    /// All pods, each with its workload.
    pub(super) fn pods(&self) -> impl Iterator<Item = (&str, &str)> {
        self.all.iter().flat_map(|(name, pods)| pods.stays.keys().map(move |uid| (name.as_ref(), uid.as_str())))
    }

    /// The pods of a workload that were there in this time.
    pub(super) fn pods_of(&self, workload: &str, span: Span) -> impl Iterator<Item = &str> {
        let stays = self.all.get(workload).into_iter().flat_map(|pods| &pods.stays);
        stays.filter(move |(_, stay)| was_there(**stay, span)).map(|(uid, _)| uid.as_str())
    }
}

/// What lies before all that came later than this.
fn after(at: Timestamp) -> (Timestamp, Arc<str>) {
    (Timestamp(at.0.saturating_add(1)), Arc::from(""))
}

fn one_less(of: &mut BTreeMap<Timestamp, u32>, at: Timestamp) {
    if let Some(n) = of.get_mut(&at) {
        *n -= 1;
        if *n == 0 {
            of.remove(&at);
        }
    }
}

fn was_there((came, went): Stay, (from, to): Span) -> bool {
    came <= to && went.is_none_or(|went| went >= from)
}
