//! What a cause says when it holds, and the small builders of evidence.

use serde_json::Value;
use whyd_buffers::state::EventSeen;
use whyd_signals::Timestamp;
use whyd_signals::schema::{Evidence, EvidenceSource, Root, RuledOut};

/// Whether a cause says how the instance ended, or why it came to that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// How it ended.
    Mechanism,
    /// What lies behind.
    Deeper,
}

/// What a finding rests on. Its confidence is the share of verdicts of this kind that are right, rounded down:
/// `whyd eval why ../shared/captures`, whole and with each source taken away, has yet to find a wrong one among the
/// proven and the said; those inferred are few, so little is claimed for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// A status, an event of whoever did it, or what they leave no other explanation for.
    Proven,
    /// What the program itself says, together with what happened to what it names.
    Said,
    /// That one came soon after the other, a figure without the event that belongs to it, or that nothing was said of more.
    Inferred,
}

/// A cause that has evidence.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Its id.
    pub cause: &'static str,
    /// Whether it is the mechanism or a deeper link.
    pub depth: Depth,
    /// 0 to 100: the most specific evidence wins.
    pub score: u32,
    /// What it rests on.
    pub basis: Basis,
    /// The object at fault.
    pub root: Root,
    /// A qualification, for instance `not-found` of an image.
    pub detail: Option<String>,
    /// One sentence.
    pub summary: String,
    /// The facts.
    pub evidence: Vec<Evidence>,
    /// A source without which this is not certain: it turns the verdict into `insufficient-evidence`.
    pub doubt: Option<&'static str>,
    /// A source without which it is less sure, and holds all the same.
    pub unseen: Option<&'static str>,
    /// Namespaces of others that it speaks of: who may not see them may not read it.
    pub speaks_of: Vec<String>,
    /// The incident of the failure behind this one, where it is another's.
    pub incident_key: Option<String>,
}

impl Finding {
    /// A finding without detail, doubt or evidence yet.
    pub fn new(cause: &'static str, depth: Depth, score: u32, root: Root, summary: String) -> Self {
        Self {
            cause,
            depth,
            score,
            basis: Basis::Proven,
            root,
            detail: None,
            summary,
            evidence: Vec::new(),
            doubt: None,
            unseen: None,
            speaks_of: Vec::new(),
            incident_key: None,
        }
    }

    /// How sure it is, 0 to 1.
    pub fn confidence(&self) -> f64 {
        match self.basis {
            Basis::Proven => 0.97,
            Basis::Said => 0.92,
            Basis::Inferred => 0.75,
        }
    }

    /// Resting on this.
    #[must_use]
    pub fn basis(mut self, basis: Basis) -> Self {
        self.basis = basis;
        self
    }

    /// With one more fact.
    #[must_use]
    pub fn with(mut self, item: Option<Evidence>) -> Self {
        self.evidence.extend(item);
        self
    }

    /// With several more facts.
    #[must_use]
    pub fn with_all(mut self, items: impl IntoIterator<Item = Evidence>) -> Self {
        self.evidence.extend(items);
        self
    }

    /// With a qualification.
    #[must_use]
    pub fn detail(mut self, detail: &str) -> Self {
        self.detail = Some(detail.to_owned());
        self
    }

    /// Uncertain without this source.
    #[must_use]
    pub fn unless(mut self, doubt: Option<&'static str>) -> Self {
        self.doubt = doubt;
        self
    }
}

/// A fact of an object's spec or status.
pub fn kube(at: Option<Timestamp>, object: String, field: &str, value: impl Into<Value>, text: &str) -> Evidence {
    let (field, text) = (field.to_owned(), text.to_owned());
    Evidence { source: EvidenceSource::Kube, at, object, field, value: value.into(), text }
}

/// An event, as it was observed.
pub fn event(seen: &EventSeen) -> Evidence {
    let about = &seen.event.involved_object;
    Evidence {
        source: EvidenceSource::Events,
        at: Some(seen.at),
        object: format!("{}/{}", about.kind, about.name),
        field: seen.event.reason.clone(),
        value: seen.event.message.clone().into(),
        text: format!("event {} ({}x)", seen.event.reason, seen.event.count()),
    }
}

/// A cause that is contradicted by a field.
pub fn ruled_out(cause: &str, because: String, field: &str, value: impl Into<Value>) -> RuledOut {
    RuledOut { cause: cause.to_owned(), because, field: field.to_owned(), value: value.into() }
}
