//! The declared suppressions as silences.

use std::collections::BTreeSet;

use whyd_signals::{Access, Timestamp};

use super::Settings;
use super::answer::{Silence, SilenceMatcher, SilenceStatus};
use crate::scope::Scope;

/// Incidents that are declared to be known.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Suppression {
    pub name: String,
    pub cause: Option<String>,
    pub namespace: Option<String>,
    pub workload: Option<String>,
    pub until: Timestamp,
    pub reason: String,
}

/// The id of a suppression's silence: a UUID made of its name, so that links to it last.
pub(super) fn id(name: &str) -> String {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let hash = name.bytes().fold(OFFSET, |h, b| (h ^ u128::from(b)).wrapping_mul(PRIME));
    let hex = format!("{hash:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Those that the caller may see: all of them, or those of namespaces that are the caller's own, and such for all
/// namespaces as hide an incident of the caller's. Of the latter the words stay hidden: they may speak of others.
pub(super) fn shown(settings: &Settings, scope: &Scope<'_>, access: &Access, now: Timestamp) -> Vec<Silence> {
    let hidden = scope.incidents(|i| i.suppressed_by.is_some());
    let hiding: BTreeSet<&str> = hidden.iter().filter_map(|i| i.suppressed_by.as_deref()).collect();
    let mut silences = Vec::new();
    for suppression in &settings.suppressions {
        let own = match (access, &suppression.namespace) {
            (Access::All, _) => true,
            (_, Some(namespace)) => scope.sees(namespace),
            (_, None) => false,
        };
        if own || suppression.namespace.is_none() && hiding.contains(suppression.name.as_str()) {
            silences.push(silence(settings, suppression, own, now));
        }
    }
    silences
}

fn silence(settings: &Settings, of: &Suppression, own: bool, now: Timestamp) -> Silence {
    let equal = |name, value: &Option<String>| {
        let value = value.clone()?;
        Some(SilenceMatcher { is_equal: true, is_regex: false, name, value })
    };
    let workload = if own { equal("workload", &of.workload) } else { None };
    let matchers = [equal("cause", &of.cause), equal("namespace", &of.namespace), workload];
    let comment = if own { format!("{}: {}", of.name, of.reason) } else { of.name.clone() };
    Silence {
        id: id(&of.name),
        status: SilenceStatus { state: if now < of.until { "active" } else { "expired" } },
        updated_at: settings.started,
        comment,
        created_by: "the configuration of whyd",
        ends_at: of.until,
        matchers: matchers.into_iter().flatten().collect(),
        // When it was declared is not known; it has been so since this daemon started.
        starts_at: settings.started.min(of.until),
    }
}
