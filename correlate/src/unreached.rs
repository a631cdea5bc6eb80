//! Whom lines say that they could not reach, for all lines of a ranking.
//!
//! Reading a line for hosts takes microseconds, and a program that waits for another writes the same line time and again.
//! So a line is read once for each of what it may name: its words that are the name or address of something known are
//! found by looking them up, and lines of one program and template that have the same of them say the same.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher, Hash, Hasher};
use std::net::Ipv4Addr;

use whyd_buffers::{FixedState, Scoped};
use whyd_signals::{Resource, TemplateId, Timestamp};

use crate::complaint::{self, Dependency};

/// So many different complaints are kept of one ranking; those after are counted.
const MOST: usize = 4096;
/// A program whose lines of one template name nothing known so often is not asked further.
const ASKED: u32 = 256;

/// How it did not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unanswered {
    /// Nothing listened.
    Refused,
    /// It took too long.
    TimedOut,
    /// There was no way to it.
    Unreachable,
    /// Its name led nowhere.
    NoSuchHost,
    /// It answered that it cannot serve.
    Failing,
    /// The connection ended.
    Lost,
}

impl Unanswered {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 6] =
        [Self::Refused, Self::TimedOut, Self::Unreachable, Self::NoSuchHost, Self::Failing, Self::Lost];

    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "connection refused",
            Self::TimedOut => "timed out",
            Self::Unreachable => "unreachable",
            Self::NoSuchHost => "no such host",
            Self::Failing => "answered that it cannot serve",
            Self::Lost => "connection lost",
        }
    }

    /// What a line or a template says; `None` where it is no complaint.
    pub fn of(line: &str) -> Option<Self> {
        if complaint::unresolved(line) {
            return Some(Self::NoSuchHost);
        }
        if !complaint::unanswered(line) {
            return None;
        }
        let bare = complaint::letters(line);
        let has = |words: &[&str]| words.iter().any(|word| bare.contains(word));
        Some(if has(&["refused"]) {
            Self::Refused
        } else if has(&["timedout", "timeout", "deadlineexceeded"]) {
            Self::TimedOut
        } else if has(&["unreach", "noroute"]) {
            Self::Unreachable
        } else if has(&["connect", "econn", "brokenpipe", "goneaway"]) {
            Self::Lost
        } else {
            Self::Failing
        })
    }
}

/// A workload that did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callee {
    /// Its namespace.
    pub namespace: String,
    /// `Kind/name`.
    pub workload: String,
    /// How.
    pub how: Unanswered,
}

/// What lines name, as far as the caller of the snapshot may see it.
pub struct Unreached<'a> {
    scoped: &'a Scoped,
    known: Option<Known<'a>>,
    said: HashMap<u64, Option<Callee>, FixedState>,
    unnamed: HashMap<(u32, TemplateId), u32, FixedState>,
    /// Lines that were not read, because there were too many different ones.
    pub unread: usize,
}

impl<'a> Unreached<'a> {
    /// Of this snapshot.
    pub fn of(scoped: &'a Scoped) -> Self {
        Self { scoped, known: None, said: HashMap::default(), unnamed: HashMap::default(), unread: 0 }
    }

    /// Whom a line of `caller`, a number for the workload `own` in `namespace`, says that it could not reach at that time.
    pub fn named_in(
        &mut self,
        (caller, namespace, own): (u32, &str, &str),
        template: TemplateId,
        at: Timestamp,
        line: &str,
    ) -> Option<&Callee> {
        let scoped = self.scoped;
        let unnamed = self.unnamed.entry((caller, template)).or_default();
        if *unnamed >= ASKED {
            return None;
        }
        let known = self.known.get_or_insert_with(|| Known::of(scoped));
        let mut key = FixedState::default().build_hasher();
        (caller, template).hash(&mut key);
        let mut names_any = false;
        for word in words(line).filter(|word| known.has(word)) {
            word.hash(&mut key);
            names_any = true;
        }
        if !names_any {
            *unnamed += 1;
            return None;
        }
        let key = key.finish();
        if self.said.len() >= MOST && !self.said.contains_key(&key) {
            self.unread += 1;
            return None;
        }
        self.said.entry(key).or_insert_with(|| read(scoped, (namespace, own), at, line)).as_ref()
    }
}

fn read(scoped: &Scoped, (namespace, own): (&str, &str), at: Timestamp, line: &str) -> Option<Callee> {
    let how = Unanswered::of(line)?;
    let hosts = complaint::hosts_in(line);
    let is_other = |d: &Dependency| d.workload != own || d.namespace != namespace;
    let mut found = hosts.iter().flat_map(|host| complaint::workloads_of(scoped, namespace, at, host));
    let named = found.find(is_other);
    let callee = named.or_else(|| {
        // An address that nothing is known to bear: the one that listens on its port.
        let space = scoped.cluster().namespace(namespace).filter(|_| !scoped.cluster().synced(Resource::Services))?;
        let ports: BTreeSet<u16> = hosts.iter().filter_map(|host| complaint::port_of(line, host)).collect();
        let mut listen = ports.into_iter().flat_map(|port| complaint::listening(space, port)).filter(is_other);
        listen.next().filter(|_| listen.next().is_none())
    })?;
    Some(Callee { namespace: callee.namespace, workload: callee.workload, how })
}

/// Words that may be a host or a part of one.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let split = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-'));
    line.split(split).map(|word| word.trim_matches(['.', '-'])).filter(|word| !word.is_empty())
}

/// The names and addresses that a host may be.
struct Known<'a> {
    names: HashSet<&'a str, FixedState>,
    /// Whether the Services are not known: then any address may be one's.
    any_address: bool,
}

impl<'a> Known<'a> {
    fn of(scoped: &'a Scoped) -> Self {
        let mut names = HashSet::default();
        for space in scoped.cluster().namespaces() {
            for service in space.services.values() {
                names.extend([service.object.metadata.name.as_str(), service.object.spec.cluster_ip.as_str()]);
            }
            for pod in space.pods.values() {
                names.extend([pod.object.metadata.name.as_str(), pod.object.status.pod_ip.as_str()]);
            }
            for (_, workload) in space.workloads.values() {
                let labels = &workload.object.spec.template.metadata.labels;
                let labels = ["app", "app.kubernetes.io/name"].into_iter().filter_map(|key| labels.get(key));
                names.extend(labels.map(String::as_str));
                names.extend([workload.object.metadata.name.as_str(), workload.object.spec.service_name.as_str()]);
            }
        }
        names.remove("");
        Self { names, any_address: !scoped.cluster().synced(Resource::Services) }
    }

    /// As a whole, or as one of the first labels of a host: `service.namespace.svc`, `pod.service.namespace.svc`.
    fn has(&self, word: &str) -> bool {
        self.names.contains(word)
            || word.contains('.') && word.split('.').take(2).any(|label| self.names.contains(label))
            || self.any_address && word.parse::<Ipv4Addr>().is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_it_did_not_answer_is_told_in_one_way_for_all_languages() {
        for (line, how) in [
            ("dial tcp 10.1.2.3:5432: connect: connection refused", Some(Unanswered::Refused)),
            ("Error: connect ECONNREFUSED 10.1.2.3:5432", Some(Unanswered::Refused)),
            ("java.net.SocketTimeoutException: connect timed out", Some(Unanswered::TimedOut)),
            ("rpc error: code = DeadlineExceeded desc = context deadline exceeded", Some(Unanswered::TimedOut)),
            ("connect: no route to host", Some(Unanswered::Unreachable)),
            ("lookup paydb: no such host", Some(Unanswered::NoSuchHost)),
            ("read: connection reset by peer", Some(Unanswered::Lost)),
            ("POST http://orders/ answered with status 503", Some(Unanswered::Failing)),
            ("order 17 is paid", None),
        ] {
            assert_eq!(Unanswered::of(line), how, "{line}");
        }
    }

    #[test]
    fn a_host_is_known_by_its_labels_and_its_address() {
        let names = ["paydb", "10.1.2.3"].into_iter().collect();
        let mut known = Known { names, any_address: false };
        let names = |known: &Known<'_>, line: &str| words(line).any(|word| known.has(word));
        for line in ["paydb:5432 refused", "at db-0.paydb.pay.svc:1", "[paydb.pay]", "dial tcp 10.1.2.3:80: x"] {
            assert!(names(&known, line), "{line}");
        }
        for line in ["paydbs refused", "10.1.2.33 refused", ""] {
            assert!(!names(&known, line), "{line}");
        }
        known.any_address = true;
        assert!(names(&known, "10.1.2.33 refused") && !names(&known, "version 1.2.3 refused"));
    }
}
