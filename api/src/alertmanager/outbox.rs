//! What has to be sent when, as a state machine without IO.
//!
//! An open incident is a firing alert, sent anew each interval with an end four intervals ahead: if we are gone, it
//! ends by itself. One that is over is sent as ended for a quarter of an hour, so that a peer that was away hears of it.
//! One that turns out to be part of another is ended likewise: its team hears of the whole, once.
//! One made of others that has another id than before, since a part was found that began earlier, is told on as what it was
//! told as: its labels are fixed, its words are those of the incident that took its place.
//! One that was just shown waits a moment: as the next lines come it may be another's, and then nobody is to hear of it.
//! One that becomes worse is ended likewise, and told anew as what it is now: severity is a label that people route by.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use whyd_signals::Timestamp;
use whyd_signals::schema::{Incident, IncidentStatus, Link};

use super::alert::{Alert, Identity, annotations, link, superseded};
use crate::dto;

/// An alert ends so many intervals after it was last sent.
const AHEAD: u32 = 4;
/// How long one that is over is sent on, at least once a minute.
const LINGER: Duration = Duration::from_secs(15 * 60);
const LINGER_INTERVAL: Duration = Duration::from_secs(60);
/// Alerts in one body.
pub const BATCH: usize = 256;
/// Incidents that are told at once; one beyond them is not told until there is room, and counted.
pub const TOLD: usize = 10_000;
/// Parts by which an incident that is made of others is known again.
const PARTS: usize = 64;

/// How much can be believed of what the incidents do not show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Since the start the cluster was not listed yet: what seems over or new may be neither.
    Partial,
    /// Nor was it for long, for want of rights perhaps: what is open is told, but nothing is over for not being shown.
    Clouded,
    /// An incident that is not shown is over.
    Whole,
}

/// An incident that was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// What it was told as.
    pub identity: Identity,
    /// The incident that took the place of the one it was told as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by_now: Option<String>,
    /// Ids of what the incident was made of at the last look, the first of them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    parts: BTreeSet<String>,
    /// When it was over; `None` while it is firing.
    pub ended: Option<Ended>,
    /// When it is to be sent next. After a restart: at once.
    #[serde(skip)]
    next: Timestamp,
}

impl Told {
    fn of(identity: Identity, incident: &Incident, now: Timestamp) -> Self {
        Self { identity, by_now: None, parts: parts(incident), ended: None, next: now }
    }

    /// The id of the incident that it tells of.
    pub fn incident_id(&self) -> &str {
        self.by_now.as_deref().unwrap_or(&self.identity.incident_id)
    }
}

/// The end of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// When it was over.
    pub at: Timestamp,
    /// When it need not be sent any more.
    pub forget: Timestamp,
}

/// A body for `POST /api/v2/alerts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The JSON array.
    pub body: Bytes,
    /// How many alerts it holds.
    pub alerts: usize,
}

/// What [`Outbox::due`] asks for.
#[derive(Debug, Default)]
pub struct Due {
    /// Whether what was told has to be kept on disk, before anything is sent.
    pub keep: bool,
    /// What is to be sent to every peer.
    pub batches: Vec<Batch>,
}

/// How it is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The cluster's name, a label of every alert.
    pub cluster: String,
    /// Between two sends of an alert.
    pub interval: Duration,
    /// The URL under which people reach the daemon.
    pub external_url: String,
    /// For so long an incident has been open until it is told.
    pub settles: Duration,
}

/// All alerts that were told and are not forgotten yet.
#[derive(Debug)]
pub struct Outbox {
    settings: Settings,
    /// By incident, in order of severity: only the last may be firing.
    told: BTreeMap<String, Vec<Told>>,
    /// When each that is not told yet was open at a look for the first time.
    fresh: BTreeMap<String, Timestamp>,
    /// Incidents that are no alerts, at the last look: no room, or the cluster was not listed yet.
    pub untold: usize,
}

impl Outbox {
    /// Goes on with what was told before a restart.
    pub fn new(settings: Settings, told: Vec<Told>) -> Self {
        let mut by_id: BTreeMap<String, Vec<Told>> = BTreeMap::new();
        for told in told {
            by_id.entry(told.incident_id().to_owned()).or_default().push(told);
        }
        by_id.values_mut().for_each(|all| all.sort_by_key(|told| told.identity.severity));
        Self { settings, told: by_id, fresh: BTreeMap::new(), untold: 0 }
    }

    /// Whether [`Outbox::due`] has to be shown this incident.
    pub fn wants(&self, incident: &Incident) -> bool {
        firing(incident) || self.told.contains_key(&incident.id)
    }

    /// What was told, in order of id.
    pub fn told(&self) -> impl Iterator<Item = &Told> {
        self.told.values().flatten()
    }

    /// What has to be done at `now`. `describe` gives the incident as those may read it whom the alert reaches.
    pub fn due(
        &mut self,
        now: Timestamp,
        sight: Sight,
        incidents: &[Arc<Incident>],
        describe: &dyn Fn(&Identity, &Incident) -> dto::Incident,
    ) -> Due {
        let shown: BTreeMap<&str, &Incident> = incidents.iter().map(|i| (i.id.as_str(), i.as_ref())).collect();
        let keep = self.follow(now, sight, &shown);
        let mut alerts = Vec::new();
        for told in self.told.values_mut().flatten() {
            let interval = match told.ended {
                Some(_) => self.settings.interval.min(LINGER_INTERVAL),
                None => self.settings.interval,
            };
            // A clock that was set back must not silence it.
            if now >= told.next || told.next > now.plus(interval) {
                told.next = now.plus(interval);
                let incident = shown.get(told.incident_id()).map(|i| describe(&told.identity, i));
                alerts.push(alert(&self.settings, told, incident.as_ref(), now));
            }
        }
        Due { keep, batches: alerts.chunks(BATCH).map(Batch::of).collect() }
    }

    /// Tells what is new or worse, ends what is over, forgets what ended long ago; whether anything did.
    fn follow(&mut self, now: Timestamp, sight: Sight, shown: &BTreeMap<&str, &Incident>) -> bool {
        let open = || shown.iter().filter(|(_, incident)| firing(incident));
        if sight == Sight::Partial {
            self.untold = open().filter(|(id, _)| !self.told.contains_key(**id)).count();
            return false;
        }
        // What is there again has its own before anything is handed on: no two may come to send the same labels.
        let mut changed = self.give_back(shown);
        changed |= self.hand_on(shown);
        for (id, all) in &mut self.told {
            let incident = shown.get(id.as_str()).copied();
            for (told, incident) in all.iter_mut().zip(incident.into_iter().cycle()) {
                // By its parts it is known again after a restart, too.
                let parts = parts(incident);
                changed |= told.parts != parts;
                told.parts = parts;
            }
            if incident.is_some() || sight == Sight::Whole {
                changed |= follow_one(all, incident, now);
            }
        }
        let count = |told: &BTreeMap<String, Vec<Told>>| told.values().map(Vec::len).sum::<usize>();
        let before = count(&self.told);
        self.told.retain(|_, all| {
            all.retain(|told| told.ended.is_none_or(|ended| now < ended.forget));
            !all.is_empty()
        });
        changed |= count(&self.told) < before;
        self.untold = 0;
        let mut fresh = std::mem::take(&mut self.fresh);
        for (id, incident) in open() {
            if self.told.contains_key(*id) {
                continue;
            }
            // One made of others is told at once: theirs end with it. A clock that was set back must not silence it.
            let since = fresh.remove(*id).filter(|since| *since <= now).unwrap_or(now);
            if incident.parts.is_empty() && now < since.plus(self.settings.settles) {
                self.fresh.insert((*id).to_owned(), since);
                continue;
            }
            // What is made of others takes the place of at least two that are told, or would be.
            if self.told.len() >= TOLD && incident.parts.is_empty() {
                self.untold += 1;
            } else {
                let identity = Identity::of(&self.settings.cluster, incident);
                self.told.insert((*id).to_owned(), vec![Told::of(identity, incident, now)]);
                changed = true;
            }
        }
        changed
    }

    /// An incident that is there again by the id that it was told as has its alert back from the one that took its place.
    /// Whether there was one.
    fn give_back(&mut self, shown: &BTreeMap<&str, &Incident>) -> bool {
        let is_back =
            |id: &str| !self.told.contains_key(id) && shown.get(id).is_some_and(|i| !i.parts.is_empty() && firing(i));
        let lent = self.told().filter(|told| told.by_now.is_some() && is_back(&told.identity.incident_id));
        let lent: BTreeMap<String, String> =
            lent.map(|told| (told.identity.incident_id.clone(), told.incident_id().to_owned())).collect();
        let mut given = false;
        for (id, by_now) in lent {
            let Some(mut all) = self.told.remove(&by_now) else { continue };
            all.iter_mut().for_each(|told| told.by_now = None);
            self.told.insert(id, all);
            given = true;
        }
        given
    }

    /// Where an incident made of others is there no more, and another of the same team has parts of it, that one is told as
    /// it was: to people it is the same trouble. Whether there was one.
    fn hand_on(&mut self, shown: &BTreeMap<&str, &Incident>) -> bool {
        let is_gone = |told: &&Told| !told.parts.is_empty() && !shown.contains_key(told.incident_id());
        let mut of_parts: BTreeMap<(String, String), String> = BTreeMap::new();
        for told in self.told().filter(is_gone) {
            let team = told.identity.team.as_str();
            let parts = told.parts.iter().map(|part| ((team.to_owned(), part.clone()), told.incident_id().to_owned()));
            of_parts.extend(parts);
        }
        let mut handed_on = false;
        for (id, incident) in shown.iter().filter(|(_, incident)| !incident.parts.is_empty() && firing(incident)) {
            if of_parts.is_empty() || self.told.contains_key(*id) {
                continue;
            }
            let of_part = |part: &Link| of_parts.get(&(incident.team.to_string(), part.id.clone()));
            let before = incident.parts.iter().find_map(of_part);
            let Some(mut all) = before.and_then(|before| self.told.remove(before)) else { continue };
            for told in &mut all {
                told.by_now = Some((*id).to_owned()).filter(|id| *id != told.identity.incident_id);
            }
            self.told.insert((*id).to_owned(), all);
            handed_on = true;
        }
        handed_on
    }
}

/// What was told of one incident follows how it stands; whether anything changed.
fn follow_one(all: &mut Vec<Told>, incident: Option<&Incident>, now: Timestamp) -> bool {
    let Some(last) = all.last_mut() else { return false };
    let open = incident.filter(|i| firing(i));
    let worse = open.map(|i| i.severity).filter(|severity| *severity > last.identity.severity);
    let end = |told: &mut Told| {
        let at = incident.and_then(|i| i.resolved_at).unwrap_or(now).min(now).max(told.identity.starts_at);
        told.ended = Some(Ended { at, forget: now.plus(LINGER) });
        told.next = now;
    };
    match (open, last.ended) {
        (Some(_), Some(_)) if worse.is_none() => {
            last.ended = None;
            last.next = now;
        }
        (Some(_), ended) => {
            let Some(severity) = worse else { return false };
            if ended.is_none() {
                end(last);
            }
            // In all else it is what it was first told as.
            let identity = Identity { severity, ..last.identity.clone() };
            let anew = Told { identity, ended: None, next: now, ..last.clone() };
            all.push(anew);
        }
        (None, None) => end(last),
        (None, Some(_)) => return false,
    }
    true
}

impl Batch {
    fn of(alerts: &[Alert]) -> Self {
        // Strings and times cannot fail to become JSON.
        let body = serde_json::to_vec(alerts).unwrap_or_default();
        Self { body: body.into(), alerts: alerts.len() }
    }
}

/// Until when an alert that is sent at `now` fires, if it is not sent again.
pub fn ahead(now: Timestamp, interval: Duration) -> Timestamp {
    now.plus(interval.saturating_mul(AHEAD))
}

/// Whether an incident is an alert: it is open, nobody said to be silent about it, and no other incident tells its team of it.
fn firing(incident: &Incident) -> bool {
    let is_told = incident.part_of.as_ref().is_some_and(|whole| whole.team == incident.team);
    incident.status == IncidentStatus::Open && incident.suppressed_by.is_none() && !is_told
}

fn parts(incident: &Incident) -> BTreeSet<String> {
    incident.parts.iter().map(|part| part.id.clone()).take(PARTS).collect()
}

fn alert(settings: &Settings, told: &Told, incident: Option<&dto::Incident>, now: Timestamp) -> Alert {
    let identity = &told.identity;
    let generator_url = link(&settings.external_url, told.incident_id());
    let annotations = match incident {
        Some(incident) if told.ended.is_some() && incident.status == dto::IncidentStatus::Open => {
            superseded(incident, identity, &generator_url)
        }
        Some(incident) => annotations(incident, &generator_url),
        // Told before a restart, and what it was made of is not known again, or not any more.
        None => BTreeMap::from([
            ("summary", format!("incident {} is known by its id alone", told.incident_id())),
            ("link", generator_url.clone()),
        ]),
    };
    let ends_at = told.ended.map_or_else(|| ahead(now, settings.interval), |ended| ended.at);
    Alert { labels: identity.labels(), annotations, starts_at: identity.starts_at, ends_at, generator_url }
}

#[cfg(test)]
mod tests;
