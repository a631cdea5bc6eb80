//! Templates of log lines, one table a team.
//!
//! The id of a line's template is a hash of its skeleton alone, so it does not depend on what came before, on other
//! teams or on a restart. What is kept per team is only the text of each id, for people to read.

mod mask;

use std::collections::{BTreeMap, HashMap};

use whyd_signals::templates::Templates;
use whyd_signals::{Team, TemplateId};

use crate::hash::{Fixed, hash64};

/// What a table entry takes beside its text.
const ENTRY_BYTES: usize = 48;

/// Bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of templates of one team; over it a new template gets its id but its text is not kept, and it is counted.
    pub team_bytes: usize,
    /// Teams with a table of their own; the templates of more teams are counted as refused.
    pub teams: usize,
    /// Bytes of all teams together.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { team_bytes: 2 << 20, teams: 256, bytes: 64 << 20 }
    }
}

#[derive(Debug, Default)]
struct Table {
    texts: HashMap<u64, Box<str>, Fixed>,
    bytes: usize,
}

/// The miner of all teams.
#[derive(Debug)]
pub struct Miner {
    limits: Limits,
    teams: BTreeMap<Team, Table>,
    bytes: usize,
    scratch: String,
    refused: u64,
}

impl Miner {
    /// An empty one.
    pub fn new(limits: Limits) -> Self {
        Self { limits, teams: BTreeMap::new(), bytes: 0, scratch: String::new(), refused: 0 }
    }

    /// Lines whose template had no room for its text.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Templates and bytes of all teams.
    pub fn size(&self) -> (usize, usize) {
        self.teams.values().fold((0, 0), |(n, bytes), table| (n + table.texts.len(), bytes + table.bytes))
    }
}

impl Default for Miner {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Templates for Miner {
    fn template_of(&mut self, team: &Team, line: &str) -> TemplateId {
        mask::skeleton(line, &mut self.scratch);
        let id = hash64(self.scratch.as_bytes());
        let full = self.teams.len() >= self.limits.teams;
        let table = match self.teams.get_mut(team) {
            Some(table) => table,
            None if full => {
                self.refused += 1;
                return TemplateId(id);
            }
            None => self.teams.entry(team.clone()).or_default(),
        };
        if !table.texts.contains_key(&id) {
            let bytes = self.scratch.len() + ENTRY_BYTES;
            if table.bytes + bytes > self.limits.team_bytes || self.bytes + bytes > self.limits.bytes {
                self.refused += 1;
            } else {
                table.bytes += bytes;
                self.bytes += bytes;
                table.texts.insert(id, self.scratch.as_str().into());
            }
        }
        TemplateId(id)
    }

    fn text(&self, team: &Team, id: TemplateId) -> Option<&str> {
        self.teams.get(team)?.texts.get(&id.0).map(AsRef::as_ref)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const LINES: &[&str] = &[
        "connection to 10.0.0.1:5432 refused",
        "user 12 logged in",
        "connection to 10.0.0.2:5432 refused",
        "cache miss for key a9f3bc21",
        "user 13 logged in",
    ];

    #[test]
    fn ids_do_not_depend_on_order() {
        let team = Team::new("a");
        let (mut forth, mut back) = (Miner::default(), Miner::default());
        let ids: Vec<_> = LINES.iter().map(|line| forth.template_of(&team, line)).collect();
        let mut reversed: Vec<_> = LINES.iter().rev().map(|line| back.template_of(&team, line)).collect();
        reversed.reverse();
        assert_eq!(ids, reversed);
        assert_eq!((ids[0] == ids[2], ids[1] == ids[4], ids[0] == ids[1]), (true, true, false));
        assert_eq!(forth.text(&team, ids[0]), Some("connection to <*>:<*> refused"));
        assert_eq!(forth.size().0, 3);
    }

    #[test]
    fn a_team_sees_its_own_words_only() {
        let mut miner = Miner::default();
        let id = miner.template_of(&Team::new("a"), "the plan is red");
        assert_eq!(miner.text(&Team::new("b"), id), None);
    }

    #[test]
    fn a_flood_of_templates_is_bounded_and_counted() {
        let mut miner = Miner::new(Limits { team_bytes: 1000, teams: 1, ..Limits::default() });
        let (one, two) = (Team::new("a"), Team::new("b"));
        let known = miner.template_of(&one, "known");
        for i in 0..1000u32 {
            let word: String = (0..8).map(|bit| if i >> bit & 1 == 1 { 'x' } else { 'y' }).collect();
            miner.template_of(&one, &word);
        }
        assert!(miner.size().1 <= 1000 && miner.refused() > 900, "{:?}", miner.size());
        assert_eq!(miner.template_of(&one, "known"), known);
        let refused = miner.refused();
        miner.template_of(&two, "no room for a team");
        assert_eq!(miner.refused(), refused + 1);
        let mut miner = Miner::new(Limits { bytes: 100, ..Limits::default() });
        miner.template_of(&one, "there is room for one");
        miner.template_of(&two, "and for no other");
        assert_eq!((miner.size().0, miner.refused()), (1, 1));
    }
}
