//! What stands before every receiver: the credential that senders need, and the count of the bodies that were turned away.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use axum::http::{HeaderMap, header};
use whyd_signals::{Token, token};

/// Why a body was turned away as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum TurnedAway {
    /// Without the token that senders need.
    Unauthorized,
    /// Of a media type or an encoding that is not taken.
    UnsupportedMedia,
    /// It ended early, or broke the protocol below it.
    CutOff,
    /// Over a limit of size, as received or inflated.
    TooLarge,
    /// Not what its media type says.
    Malformed,
    /// There was no room for it, or the log could not take it.
    Overloaded,
    /// All of it was over the quota of a team.
    TeamQuota,
}

impl TurnedAway {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Unauthorized,
        Self::UnsupportedMedia,
        Self::CutOff,
        Self::TooLarge,
        Self::Malformed,
        Self::Overloaded,
        Self::TeamQuota,
    ];

    /// The name used in counters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::UnsupportedMedia => "unsupported_media",
            Self::CutOff => "cut_off",
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::Overloaded => "overloaded",
            Self::TeamQuota => "team_quota",
        }
    }
}

/// The gate of all receivers. Clones are the same gate.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    token: Option<Token>,
    turned_away: [AtomicU64; TurnedAway::ALL.len()],
}

impl Gate {
    /// One that lets in who carries this token; without one, anybody.
    pub fn new(token: Option<Token>) -> Self {
        Self(Arc::new(Inner { token, ..Inner::default() }))
    }

    /// Whether a sender with these headers may write.
    ///
    /// # Errors
    /// What is missing, for the sender to read.
    pub(crate) fn admit(&self, headers: &HeaderMap) -> Result<(), &'static str> {
        let Some(token) = &self.0.token else { return Ok(()) };
        let mut sent = headers.get_all(header::AUTHORIZATION).into_iter();
        let Some(credential) = sent.next() else { return Err("senders need a bearer token, and there is none") };
        match token::bearer(credential.as_bytes()).filter(|_| sent.next().is_none()) {
            Some(given) if token.is(given) => Ok(()),
            Some(_) => Err("this is not the bearer token of senders"),
            None => Err("senders need exactly one credential, a bearer token"),
        }
    }

    /// A body was turned away.
    pub(crate) fn note(&self, why: TurnedAway) {
        if let Some(count) = self.0.turned_away.get(why as usize) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// How many bodies were turned away so far, by reason.
    pub fn turned_away(&self) -> [(TurnedAway, u64); TurnedAway::ALL.len()] {
        TurnedAway::ALL.map(|why| (why, self.0.turned_away.get(why as usize).map_or(0, |n| n.load(Relaxed))))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_token_lets_in_and_nothing_else_does() {
        let gate = Gate::new(Token::new("s3cret"));
        for (sent, admitted) in [
            (&["Bearer s3cret"][..], true),
            (&["bearer s3cret"], true),
            (&[], false),
            (&["Bearer s3cre"], false),
            (&["Bearer "], false),
            (&["Basic s3cret"], false),
            (&["Bearer s3cret", "Bearer s3cret"], false),
        ] {
            let mut headers = HeaderMap::new();
            for value in sent {
                headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
            }
            assert_eq!(gate.admit(&headers).is_ok(), admitted, "{sent:?}");
            assert!(Gate::default().admit(&headers).is_ok(), "{sent:?}");
        }
        assert!(!format!("{gate:?}").contains("s3cret"));
    }

    #[test]
    fn each_reason_has_a_count_of_its_own() {
        let gate = Gate::default();
        for (n, why) in TurnedAway::ALL.into_iter().enumerate() {
            (0..n).for_each(|_| gate.clone().note(why));
        }
        let counts: Vec<u64> = gate.turned_away().map(|(_, n)| n).to_vec();
        assert_eq!(counts, [0, 1, 2, 3, 4, 5, 6]);
    }
}
