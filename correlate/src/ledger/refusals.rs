//! Controllers whose pods the API refuses: each time that it lasts is one row.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use whyd_buffers::Scoped;
use whyd_signals::Timestamp;
use whyd_signals::objects::Event;
use whyd_signals::schema::Restart;

use crate::refused::{self, Told};

/// What the ids of such rows begin with.
const PREFIX: &str = "refused/";

#[derive(Debug)]
struct Refusal {
    id: String,
    namespace: String,
    /// Events up to this time are another's, of a time that was over.
    after: Timestamp,
    seen_at: Timestamp,
    row: Option<Arc<Restart>>,
    /// When the API refused last; `None` while pods are still refused.
    over: Option<Timestamp>,
    settled: bool,
}

/// What one look changed about a refusal.
pub(super) struct Judged {
    pub(super) id: String,
    pub(super) old: Option<Arc<Restart>>,
    pub(super) new: Option<Arc<Restart>>,
    pub(super) over: Option<Timestamp>,
}

/// By the uid of the controller, the newest time in which it was refused.
#[derive(Debug, Default)]
pub(super) struct Refusals(BTreeMap<String, Refusal>);

impl Refusals {
    pub(super) fn is_open(&self) -> bool {
        self.0.values().any(|r| !r.settled)
    }

    /// Takes in one event that says so.
    pub(super) fn observe(&mut self, event: &Event, namespace: &str, received: Timestamp) {
        let uid = &event.involved_object.uid;
        let (id, after) = match self.0.get(uid) {
            None => (format!("{PREFIX}{uid}"), Timestamp::MIN),
            Some(before) => {
                let over = before.over.filter(|over| before.settled && event.at() > *over);
                let Some(over) = over else { return };
                (format!("{PREFIX}{uid}/{}", event.at().nanos()), over)
            }
        };
        let namespace = namespace.to_owned();
        let fresh = Refusal { id, namespace, after, seen_at: received, row: None, over: None, settled: false };
        self.0.insert(uid.clone(), fresh);
    }

    /// A row that stood before; whether it is one of these.
    pub(super) fn restore(&mut self, row: &Arc<Restart>) -> bool {
        let Some(rest) = row.container_id.strip_prefix(PREFIX) else { return false };
        let uid = rest.split('/').next().unwrap_or_default();
        // Its evidence holds the last refusal.
        let over = row.evidence.iter().filter_map(|e| e.at).max().unwrap_or(row.seen_at);
        if self.0.get(uid).is_none_or(|known| known.seen_at <= row.seen_at) {
            let refusal = Refusal {
                id: row.container_id.clone(),
                namespace: row.namespace.clone(),
                after: Timestamp::MIN,
                seen_at: row.seen_at,
                row: Some(Arc::clone(row)),
                over: Some(over),
                settled: true,
            };
            self.0.insert(uid.to_owned(), refusal);
        }
        true
    }

    /// Looks at those that are open, anew where something came in their namespace. Rows that stand from now on go to
    /// `settled`; each look counts in `looks`.
    pub(super) fn judge(
        &mut self,
        touched: &BTreeSet<String>,
        (now, lateness): (Timestamp, Duration),
        scoped: &Scoped,
        settled: &mut Vec<Arc<Restart>>,
        looks: &mut u64,
    ) -> Vec<Judged> {
        let mut judged = Vec::new();
        for (uid, refusal) in self.0.iter_mut().filter(|(_, r)| !r.settled) {
            if touched.contains(&refusal.namespace) || refusal.row.is_none() {
                *looks += 1;
                let told = Told { uid, after: refusal.after, seen_at: refusal.seen_at };
                let outcome = refused::judge(scoped, &refusal.namespace, &told);
                refusal.over = outcome.as_ref().map_or(Some(refusal.seen_at), |o| o.over);
                let new = outcome.map(|mut o| {
                    o.row.container_id.clone_from(&refusal.id);
                    Arc::new(o.row)
                });
                let old = std::mem::replace(&mut refusal.row, new.clone());
                judged.push(Judged { id: refusal.id.clone(), old, new, over: refusal.over });
            }
            // While pods are still refused its incident goes on.
            refusal.settled = refusal.over.is_some() && now >= refusal.seen_at.plus(lateness);
            settled.extend(refusal.row.clone().filter(|_| refusal.settled));
        }
        // A refusal that came to nothing is not kept.
        self.0.retain(|_, r| r.row.is_some() || !r.settled);
        judged
    }

    /// Forgets the refusal of a row that went; whether the row was one.
    pub(super) fn forget(&mut self, row: &Restart) -> bool {
        let Some(rest) = row.container_id.strip_prefix(PREFIX) else { return false };
        let uid = rest.split('/').next().unwrap_or_default();
        if self.0.get(uid).is_some_and(|r| r.id == row.container_id) {
            self.0.remove(uid);
        }
        true
    }
}
