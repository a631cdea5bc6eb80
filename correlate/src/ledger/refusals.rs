//! Controllers whose pods the API refuses: each time that it lasts is one row.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_buffers::Scoped;
use whyd_signals::Timestamp;
use whyd_signals::objects::Event;
use whyd_signals::schema::Restart;

use crate::refused::{self, Told};

/// What the ids of such rows begin with.
const PREFIX: &str = "refused/";

#[derive(Debug, Clone, Serialize, Deserialize)]
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
    /// The one before it, until this one has come to something.
    before: Option<Box<Refusal>>,
}

/// What one look changed about a refusal.
pub(super) struct Judged {
    pub(super) id: String,
    pub(super) old: Option<Arc<Restart>>,
    pub(super) new: Option<Arc<Restart>>,
    pub(super) over: Option<Timestamp>,
}

/// By the uid of the controller, the newest time in which it was refused.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Refusals {
    of: BTreeMap<String, Refusal>,
    /// Those that are looked at.
    open: BTreeSet<String>,
}

impl Refusals {
    /// Takes rows from where they are held already.
    pub(super) fn share_rows(&mut self, known: impl Fn(&Arc<Restart>) -> Option<Arc<Restart>>) {
        for refusal in self.of.values_mut() {
            refusal.row = refusal.row.as_ref().map(|row| known(row).unwrap_or_else(|| Arc::clone(row)));
        }
    }

    pub(super) fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Takes in one event that says so.
    pub(super) fn observe(&mut self, event: &Event, namespace: &str, received: Timestamp) {
        let uid = &event.involved_object.uid;
        let (id, after) = match self.of.get(uid) {
            None => (format!("{PREFIX}{uid}"), Timestamp::MIN),
            Some(before) => {
                let over = before.over.filter(|over| before.settled && event.at() > *over);
                let Some(over) = over else { return };
                (format!("{PREFIX}{uid}/{}", event.at().nanos()), over)
            }
        };
        let before = self.of.remove(uid).map(|before| Box::new(Refusal { before: None, ..before }));
        let namespace = namespace.to_owned();
        let fresh = Refusal { id, namespace, after, seen_at: received, row: None, over: None, settled: false, before };
        self.of.insert(uid.clone(), fresh);
        self.open.insert(uid.clone());
    }

    /// A row that stood before; whether it is one of these.
    pub(super) fn restore(&mut self, row: &Arc<Restart>) -> bool {
        let Some(rest) = row.container_id.strip_prefix(PREFIX) else { return false };
        let uid = rest.split('/').next().unwrap_or_default();
        // Its evidence holds the last refusal.
        let over = row.evidence.iter().filter_map(|e| e.at).max().unwrap_or(row.seen_at);
        if self.of.get(uid).is_none_or(|known| known.seen_at <= row.seen_at) {
            let refusal = Refusal {
                id: row.container_id.clone(),
                namespace: row.namespace.clone(),
                after: Timestamp::MIN,
                seen_at: row.seen_at,
                row: Some(Arc::clone(row)),
                over: Some(over),
                settled: true,
                before: None,
            };
            self.of.insert(uid.to_owned(), refusal);
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
        let mut closed = Vec::new();
        for uid in &self.open {
            let Some(refusal) = self.of.get_mut(uid) else { continue };
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
            if refusal.settled {
                settled.extend(refusal.row.clone());
                closed.push(uid.clone());
            }
        }
        for uid in closed {
            self.open.remove(&uid);
            self.close(&uid);
        }
        judged
    }

    /// One that came to nothing leaves the one before it, which was over by then all the same.
    fn close(&mut self, uid: &str) {
        let Some(refusal) = self.of.get_mut(uid) else { return };
        let before = refusal.before.take();
        if refusal.row.is_some() {
            return;
        }
        let over = refusal.over;
        self.of.remove(uid);
        if let Some(before) = before {
            let over = before.over.max(over);
            self.of.insert(uid.to_owned(), Refusal { over, ..*before });
        }
    }

    /// Forgets the refusal of a row that went; whether the row was one.
    pub(super) fn forget(&mut self, row: &Restart) -> bool {
        let Some(rest) = row.container_id.strip_prefix(PREFIX) else { return false };
        let uid = rest.split('/').next().unwrap_or_default();
        if self.of.get(uid).is_some_and(|r| r.id == row.container_id) {
            self.of.remove(uid);
            self.open.remove(uid);
        }
        true
    }
}
