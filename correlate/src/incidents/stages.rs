//! How far the incidents of a pool were gone through, so that one more costs what is new and not what began before it.
//!
//! A stage is what a run had come to at some instant. While no incident of before changes, nor what is known of the pods of
//! before, to go on from it is to go through all of it: the answer is the same, and a stage is no part of a checkpoint.

use std::collections::BTreeMap;
use std::sync::Arc;

use whyd_signals::Timestamp;

use super::Place;
use super::facts::Known;
use super::merged::Pool;
use super::shared::{Against, Course, Found, Scope};
use crate::population::{Population, State};

/// A stage is kept where so many lie behind it at the least.
const WORTH: usize = 16;

#[derive(Debug)]
struct Stage {
    /// Where the run begins.
    first: Place,
    /// When the last began that was taken in.
    upto: Timestamp,
    /// The population when that was done.
    of: State,
    course: Course,
}

/// By pool, a stage of its newest run.
#[derive(Debug, Default)]
pub(super) struct Stages {
    all: BTreeMap<Pool, Stage>,
    /// Incidents that were gone through.
    pub(super) steps: u64,
}

impl Clone for Stages {
    /// Nothing hangs on them.
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Stages {
    /// An incident of this place came, went or changed.
    pub(super) fn change(&mut self, pool: &Pool, place: &Place) {
        if self.all.get(pool).is_some_and(|stage| stage.first <= *place && place.0 <= stage.upto) {
            self.all.remove(pool);
        }
    }

    /// What is found in a run. `stays`: what began before this is not likely to change any more; `None`: nothing is.
    pub(super) fn go_through(
        &mut self,
        (pool, scope): (&Pool, Scope),
        first: &Place,
        run: &[Arc<Known>],
        stays: Option<Timestamp>,
        population: &Population,
    ) -> Vec<Found> {
        let is_usable = |stage: &&Stage| {
            stage.first == *first && stage.course.is_of(&scope, population) && population.is_as(stage.of, stage.upto)
        };
        let before = self.all.get(pool).filter(is_usable);
        let (mut course, from) = match before {
            Some(stage) => (stage.course.clone(), run.partition_point(|known| known.facts.opened <= stage.upto)),
            None => (Course::new(scope, population), 0),
        };
        let newest = self.all.get(pool).is_none_or(|stage| stage.first <= *first);
        let (_, new) = run.split_at(from.min(run.len()));
        let staying = stays.map_or(0, |stays| new.partition_point(|known| known.facts.opened < stays));
        let is_worth = newest && staying >= WORTH.max(new.len() - staying);
        let (staying, rest) = new.split_at(if is_worth { staying } else { 0 });
        let mut against = Against::new(population);
        for at_once in staying.chunk_by(|a, b| a.facts.opened == b.facts.opened) {
            course.go_on(at_once, &mut against);
        }
        if let Some(last) = staying.last() {
            let (first, upto, of) = (first.clone(), last.facts.opened, population.state());
            self.all.insert(pool.clone(), Stage { first, upto, of, course: course.clone() });
        } else if newest && stays.is_none() {
            self.all.remove(pool);
        }
        for at_once in rest.chunk_by(|a, b| a.facts.opened == b.facts.opened) {
            course.go_on(at_once, &mut against);
        }
        self.steps += new.len() as u64;
        course.found(&mut against)
    }
}
