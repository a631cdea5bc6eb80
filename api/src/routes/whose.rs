//! Whose rows are asked for. A name that nothing has is told apart from one of which nothing was found.

use whyd_signals::names::{self, Asked};

use super::nearby::nearby;
use crate::known::Known;
use crate::problem::{ErrorKind, Failure};
use crate::reader::Status;
use crate::scope::Scope;

/// A team, a namespace and a workload, as far as they are asked for.
pub(super) struct Whose {
    team: Option<String>,
    namespace: Option<String>,
    /// As it was written, and read.
    workload: Option<(String, Asked)>,
}

impl Whose {
    pub(super) fn new(team: Option<String>, namespace: Option<String>, workload: Option<String>) -> Self {
        let workload = workload.map(|text| {
            let asked = Asked::read(&text);
            (text, asked)
        });
        Self { team, namespace, workload }
    }

    pub(super) fn is_team(&self, team: &str) -> bool {
        self.team.as_ref().is_none_or(|asked| asked == team)
    }

    /// Whether this workload or its pod, or where none is asked for this namespace, is one of those.
    pub(super) fn is_place(&self, namespace: &str, workload: &str, pod: &str) -> bool {
        let is_it = |asked: &Asked| asked.is_workload(namespace, workload) || asked.is_said_pod(namespace, pod);
        self.is_namespace(namespace) && self.workload.as_ref().is_none_or(|(_, asked)| is_it(asked))
    }

    pub(super) fn fits(&self, team: &str, namespace: &str, workload: &str, pod: &str) -> bool {
        self.is_team(team) && self.is_place(namespace, workload, pod)
    }

    /// Whether a namespace or a workload is asked for.
    pub(super) fn names_place(&self) -> bool {
        self.namespace.is_some() || self.workload.is_some()
    }

    fn is_namespace(&self, namespace: &str) -> bool {
        self.namespace.as_ref().is_none_or(|asked| asked.eq_ignore_ascii_case(namespace))
    }

    /// Nothing was found, which is an answer where what was asked for is there.
    ///
    /// # Errors
    /// What can be no name, or else each name that nothing has of what the caller may see; whether others have it is not said.
    pub(super) fn must_be_known(&self, scope: &Scope<'_>, status: &Status) -> Result<(), Failure> {
        let unsound = self.unsound();
        if !unsound.is_empty() {
            return Err(Failure::new(ErrorKind::InvalidQuery, unsound.join("; ")));
        }
        let Known { teams, namespaces, workloads, pods } = Known::of(scope);
        let (mut missing, mut candidates) = (Vec::new(), Vec::new());
        let no_space = |name: &str| ("", name.to_owned());
        let pairs = |names: Vec<(&str, String)>, asked: &str, namespace: Option<&str>| {
            nearby(names.iter().map(|(space, name)| (*space, name.as_str())), asked, namespace)
        };
        if let Some(team) = self.team.as_ref().filter(|team| !teams.contains(*team)) {
            missing.push(format!("no team {team:?}"));
            candidates.extend(pairs(teams.iter().map(|name| no_space(name)).collect(), team, None));
        }
        if let Some(asked) = &self.namespace {
            let called: Vec<_> = namespaces.iter().filter(|(_, name)| name.eq_ignore_ascii_case(asked)).collect();
            if called.is_empty() {
                missing.push(format!("no namespace {asked:?}"));
                candidates.extend(pairs(namespaces.iter().map(|(_, name)| no_space(name)).collect(), asked, None));
            } else if missing.is_empty() && called.iter().all(|(team, _)| !self.is_team(team)) {
                missing.push(format!("no namespace {asked:?} of team {:?}", self.team.as_deref().unwrap_or_default()));
            }
        }
        if let Some((text, asked)) = &self.workload {
            // What is said of where it should be is said once.
            let anywhere = !missing.is_empty();
            let of_team = |space: &str| namespaces.iter().any(|(team, name)| name == space && self.is_team(team));
            let here = |space: &str| anywhere || self.is_namespace(space) && (self.team.is_none() || of_team(space));
            let is_workload = || workloads.iter().any(|(space, name)| here(space) && asked.is_workload(space, name));
            let is_pod = || pods.iter().any(|(space, name)| here(space) && asked.is_said_pod(space, name));
            if !is_workload() && !is_pod() {
                let of = self.team.as_ref().filter(|_| !anywhere).map_or(String::new(), |t| format!(" of team {t:?}"));
                let at = self.namespace.as_ref().filter(|_| !anywhere);
                let at = at.map_or(String::new(), |name| format!(" in namespace {name:?}"));
                missing.push(format!("no workload {text:?}{at}{of}"));
                let all = workloads.iter().map(|(space, name)| (space.as_str(), name.clone())).collect();
                candidates.extend(pairs(all, asked.name(), self.namespace.as_deref()));
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let mut detail = format!("{} is known in what you may see", missing.join(", and "));
        if !candidates.is_empty() {
            detail.push_str("; candidates are the names most like it");
        }
        detail.push_str(&unsynced(status));
        Err(Failure::new(ErrorKind::NotFound, detail).with_candidates(candidates))
    }

    /// What Kubernetes takes as no name, and so nothing has.
    fn unsound(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.team.as_ref().is_some_and(|team| team.trim().is_empty()) {
            wrong.push("team must not be empty".to_owned());
        }
        if let Some(name) = self.namespace.as_ref().filter(|name| !names::is_namespace(&name.to_ascii_lowercase())) {
            wrong.push(format!("namespace must be a namespace's name such as team-shop, not {name:?}"));
        }
        if let Some((text, _)) = self.workload.as_ref().filter(|(_, asked)| !asked.is_sound()) {
            wrong.push(format!(
                "workload must be a name, kind/name or namespace/kind/name such as deploy/cart, not {text:?}"
            ));
        }
        wrong
    }
}

/// Of which sources it is not known what they would hold, as the end of a sentence.
pub(super) fn unsynced(status: &Status) -> String {
    let unsynced: Vec<&str> = status.sources.iter().filter(|s| !s.synced).map(|s| s.source).collect();
    if unsynced.is_empty() { String::new() } else { format!("; not synced, so unknown: {}", unsynced.join(", ")) }
}

#[cfg(test)]
mod tests;
