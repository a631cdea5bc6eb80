//! Which replica of a pair is listened to.
//!
//! Two Prometheus servers that scrape the same send every sample twice, each with a label of its own. The rules are those
//! of the trackers of Cortex and Mimir: of each cluster the first replica that is heard is elected, another one when the
//! elected has not been heard for a while; the label is dropped, so that both write the same series. What decides is
//! when bodies were received and what they hold, so the state follows from the log.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;
use whyd_signals::sink::Refusal;

/// A name of a cluster or a replica that is longer is no name.
const LONGEST: usize = 1024;

/// By which labels replicas are known, and when another one is elected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaRule {
    /// The label that names the cluster of replicas; it stays.
    pub cluster: String,
    /// The label that names the replica; it is dropped. Empty: every sender is listened to.
    pub replica: String,
    /// How long the elected one may be silent.
    pub failover: Duration,
    /// How many clusters there may be; series of more are refused.
    pub clusters: usize,
}

impl Default for ReplicaRule {
    fn default() -> Self {
        Self {
            cluster: "cluster".into(),
            replica: "__replica__".into(),
            failover: Duration::from_secs(30),
            clusters: 100,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Elected {
    replica: Box<str>,
    /// When it was last heard.
    heard: i64,
}

/// The elected replicas, with what the body that is being decoded changed.
#[derive(Debug, Default)]
pub(crate) struct Replicas {
    rule: ReplicaRule,
    elected: BTreeMap<Box<str>, Elected>,
    received: i64,
    /// As it was before the body, of each cluster that it changed.
    before: Vec<(Box<str>, Option<Elected>)>,
    failovers: u64,
}

impl Replicas {
    pub(crate) fn new(rule: ReplicaRule) -> Self {
        Self { rule, ..Self::default() }
    }

    /// Which replica of each cluster is elected.
    pub(crate) fn elected(&self) -> BTreeMap<Box<str>, Elected> {
        self.elected.clone()
    }

    /// Goes on with those that were elected.
    pub(crate) fn resume(&mut self, elected: BTreeMap<Box<str>, Elected>) {
        self.elected = elected;
    }

    /// A body received then is decoded from here on.
    pub(crate) fn begin(&mut self, received: Timestamp) {
        self.before.clear();
        self.received = received.0;
    }

    /// Keeps what the body changed.
    pub(crate) fn commit(&mut self) {
        for (cluster, before) in self.before.drain(..) {
            let now = self.elected.get(&cluster).map(|e| &e.replica);
            self.failovers += u64::from(before.is_some_and(|b| now.is_some_and(|now| b.replica != *now)));
        }
    }

    /// Takes back what the body changed.
    pub(crate) fn rollback(&mut self) {
        while let Some((cluster, before)) = self.before.pop() {
            match before {
                Some(before) => self.elected.insert(cluster, before),
                None => self.elected.remove(&cluster),
            };
        }
    }

    /// Whether the labels are of a replica; if so it is the elected one, and `stripped` is them without its name.
    ///
    /// # Errors
    /// [`Refusal::Deduplicated`] for another than the elected one, [`Refusal::ClusterLimit`] for a new cluster over the
    /// cap, [`Refusal::InvalidLabels`] where a name is too long.
    pub(crate) fn judge(&mut self, raw: &[u8], stripped: &mut Vec<u8>) -> Result<bool, Refusal> {
        let Some((cluster, replica)) = self.names(raw, stripped) else { return Ok(false) };
        if cluster.len() > LONGEST || replica.len() > LONGEST {
            return Err(Refusal::InvalidLabels);
        }
        let received = self.received;
        let silent = |e: &Elected, failover: i64| received.saturating_sub(e.heard) >= failover;
        let failover = i64::try_from(self.rule.failover.as_nanos()).unwrap_or(i64::MAX);
        if let Some(e) = self.elected.get_mut(cluster) {
            if *e.replica == *replica {
                if e.heard < received {
                    self.before.push((cluster.into(), Some(e.clone())));
                    e.heard = received;
                }
                return Ok(true);
            }
            if !silent(e, failover) {
                return Err(Refusal::Deduplicated);
            }
        } else if self.elected.len() >= self.rule.clusters {
            // One that is silent says nothing: whoever is heard next is elected anyway.
            let gone = self.elected.extract_if(.., |_, e| silent(e, failover)).map(|(cluster, e)| (cluster, Some(e)));
            self.before.extend(gone);
            if self.elected.len() >= self.rule.clusters {
                return Err(Refusal::ClusterLimit);
            }
        }
        self.elect(cluster, replica);
        Ok(true)
    }

    /// Replay: a row of this series was kept, so its replica was the elected one then. The log may begin after it was.
    pub(crate) fn was_elected(&mut self, raw: &[u8], stripped: &mut Vec<u8>) -> bool {
        let Some((cluster, replica)) = self.names(raw, stripped) else { return false };
        if self.elected.len() < self.rule.clusters || self.elected.contains_key(cluster) {
            self.elect(cluster, replica);
        }
        true
    }

    fn names<'a>(&self, raw: &'a [u8], stripped: &mut Vec<u8>) -> Option<(&'a str, &'a str)> {
        if self.rule.replica.is_empty() {
            return None;
        }
        crate::labels::take_out(raw, &self.rule.cluster, &self.rule.replica, stripped)
    }

    fn elect(&mut self, cluster: &str, replica: &str) {
        let elected = Elected { replica: replica.into(), heard: self.received };
        let before = self.elected.insert(cluster.into(), elected);
        self.before.push((cluster.into(), before));
    }

    /// Clusters known now.
    pub(crate) fn clusters(&self) -> usize {
        self.elected.len()
    }

    /// How often another replica was elected.
    pub(crate) fn failovers(&self) -> u64 {
        self.failovers
    }
}

#[cfg(test)]
mod tests;
