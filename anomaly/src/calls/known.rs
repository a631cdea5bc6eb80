//! Of which kinds of calls it is known how long they take, workload by workload, for those who ask.

use std::collections::BTreeMap;

use whyd_signals::Timestamp;

use super::{Call, Calls};

/// The kinds of calls that one container of a workload takes part in, its own part of requests among them.
#[derive(Debug, Clone, PartialEq)]
pub struct CallsKnown {
    /// Its namespace.
    pub namespace: String,
    /// Its kind and name.
    pub workload: String,
    /// Its container.
    pub container: String,
    /// How many kinds there are.
    pub kinds: u64,
    /// How many of them are still being learnt.
    pub learning: u64,
    /// When the first of them was heard, and the last.
    pub since: Timestamp,
    #[allow(missing_docs)]
    pub newest: Timestamp,
    /// What is usual, in seconds, of the middle one of those that are known.
    pub usual: Option<f64>,
}

impl Calls {
    /// What is known of all that take part in some.
    pub(crate) fn known(&self) -> Vec<CallsKnown> {
        let mut of: BTreeMap<u64, Vec<&Call>> = BTreeMap::new();
        for (_, call) in self.calls.at(0..self.calls.places()) {
            of.entry(call.callee).or_default().push(call);
            if call.caller != call.callee {
                of.entry(call.caller).or_default().push(call);
            }
        }
        let known = |(key, calls): (u64, Vec<&Call>)| {
            let party = self.parties.get(key)?;
            let (since, newest) =
                (calls.iter().map(|c| c.usual.since()).min()?, calls.iter().map(|c| c.usual.newest()).max()?);
            let mut usual: Vec<f64> = calls.iter().filter_map(|c| c.usual.known()).collect();
            usual.sort_unstable_by(f64::total_cmp);
            Some(CallsKnown {
                namespace: party.namespace.clone(),
                workload: party.workload.clone(),
                container: party.container.clone(),
                kinds: calls.len() as u64,
                learning: (calls.len() - usual.len()) as u64,
                since,
                newest,
                usual: usual.get(usual.len() / 2).copied(),
            })
        };
        of.into_iter().filter_map(known).collect()
    }
}
