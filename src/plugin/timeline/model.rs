//! What a picture shows: the lives of all keys of a set, with a window of time to look at.
//!
//! Absent on purpose: how it looks, and where it comes from.

use jiff::Timestamp;
use serde::Serialize;

use super::axis::Axis;
use super::text::elide;
use crate::api::{Duration, Origin};
use crate::jose::{Algorithm, KeyId};

/// What all renderers draw.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Timeline {
    pub(super) namespace: String,
    pub(super) name: String,
    /// What is later is planned.
    pub(super) now: Timestamp,
    /// The window that is drawn.
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
    /// By their sequence.
    pub(super) keys: Vec<Life>,
    /// What is taken for granted.
    pub(super) assumptions: Vec<String>,
}

/// The life of one key.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Life {
    pub(super) name: String,
    /// Absent while the key is not made.
    #[serde(skip_serializing_if = "Option::is_none", rename = "keyID")]
    pub(super) key_id: Option<KeyId>,
    pub(super) algorithm: Algorithm,
    pub(super) origin: Origin,
    /// One after the other, without gaps.
    pub(super) spans: Vec<Span>,
    pub(super) guards: Vec<Guard>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) private_key_destruction_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) revocation_time: Option<Timestamp>,
}

/// A part of a life.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Span {
    pub(super) stage: Stage,
    pub(super) from: Timestamp,
    /// Absent if no end is in sight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) until: Option<Timestamp>,
}

/// What a key is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Stage {
    /// Made, and not yet active: what else was known of it is no longer recorded.
    Staged,
    /// In the set; copies without it are in use.
    Published,
    /// In the set; may sign.
    Standby,
    /// Signs.
    Active,
    /// Verifies only.
    Retiring,
    /// Still in the set although it must not be trusted.
    Revoked,
    /// Verifies only, signed elsewhere.
    External,
}

/// A wait that the contract asks for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Guard {
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
    pub(super) terms: Vec<Term>,
}

/// A letter of the contract, and its length if the guard is the sum of today's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Term {
    pub(super) letter: char,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) length: Option<Duration>,
}

/// What happens to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step<'a> {
    key: &'a str,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Published,
    MaySign,
    TakesOver,
    PrivateHalfDestroyed,
    Leaves,
}

impl Timeline {
    /// The lives that the window shows a part of.
    pub(super) fn shown(&self) -> impl Iterator<Item = &Life> {
        self.keys.iter().filter(|life| {
            let begin = life.spans.first().is_some_and(|span| span.from < self.until);
            begin && life.spans.last().is_some_and(|span| span.until.is_none_or(|until| until > self.from))
        })
    }

    /// The window, drawn `size` wide.
    pub(super) fn axis(&self, size: f64) -> Axis {
        Axis::new(self.from, self.until, size)
    }

    /// What is planned within the window, in its order.
    pub(super) fn planned(&self) -> Vec<(Timestamp, Step<'_>)> {
        let mut steps: Vec<(Timestamp, Step<'_>)> = self.keys.iter().flat_map(Life::steps).collect();
        steps.retain(|(time, _)| *time >= self.now && *time >= self.from && *time <= self.until);
        steps.sort_by_key(|(time, _)| *time);
        steps
    }

    /// The span within the window.
    pub(super) fn clip(&self, from: Timestamp, until: Option<Timestamp>) -> Option<(Timestamp, Timestamp)> {
        let (from, until) = (from.max(self.from), until.map_or(self.until, |until| until.min(self.until)));
        (from < until).then_some((from, until))
    }
}

impl Life {
    /// When it takes over.
    pub(super) fn activations(&self) -> impl Iterator<Item = Timestamp> {
        self.spans.iter().filter(|span| span.stage == Stage::Active).map(|span| span.from)
    }

    /// When it left the set, or will.
    pub(super) fn end(&self) -> Option<Timestamp> {
        self.spans.last().and_then(|span| span.until)
    }

    fn steps(&self) -> impl Iterator<Item = (Timestamp, Step<'_>)> {
        let begun = self.spans.iter().enumerate().filter_map(|(index, span)| {
            let what = match span.stage {
                Stage::Staged | Stage::Published | Stage::External if index == 0 => What::Published,
                Stage::Standby => What::MaySign,
                Stage::Active => What::TakesOver,
                _ => return None,
            };
            Some((span.from, what))
        });
        let destroyed = self.private_key_destruction_time.map(|time| (time, What::PrivateHalfDestroyed));
        let left = self.end().map(|time| (time, What::Leaves));
        begun.chain(destroyed).chain(left).map(|(time, what)| (time, Step { key: &self.name, what }))
    }
}

impl Step<'_> {
    /// For people, with at most so many letters of the name.
    pub(super) fn words(&self, most: usize) -> String {
        let key = elide(self.key, most);
        match self.what {
            What::Published => format!("{key} is made and published"),
            What::MaySign => format!("{key} may sign (C + S)"),
            What::TakesOver => format!("{key} takes over"),
            What::PrivateHalfDestroyed => format!("private half of {key} destroyed"),
            What::Leaves => format!("{key} leaves (L + T + S + M)"),
        }
    }
}

impl Stage {
    /// For people.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Staged => "waits",
            Self::Published => "published",
            Self::Standby => "may sign",
            Self::Active => "signs",
            Self::Retiring => "verifies only",
            Self::Revoked => "revoked",
            Self::External => "signs elsewhere",
        }
    }
}

impl Guard {
    /// `C + S`.
    pub(super) fn letters(&self) -> String {
        let letters: Vec<String> = self.terms.iter().map(|term| term.letter.to_string()).collect();
        letters.join(" + ")
    }

    /// `24h + 5m`, if the guard is their sum.
    pub(super) fn lengths(&self) -> Option<String> {
        let lengths: Option<Vec<&str>> =
            self.terms.iter().map(|term| term.length.as_ref().map(Duration::as_str)).collect();
        lengths.map(|lengths| lengths.join(" + "))
    }

    /// Where one term ends and the next begins.
    pub(super) fn seams(&self) -> Vec<Timestamp> {
        let mut at = self.from;
        let mut seams = Vec::new();
        for term in &self.terms {
            let Some(next) = term.length.as_ref().and_then(|length| at.checked_add(length.length()).ok()) else {
                return Vec::new();
            };
            at = next;
            seams.push(at);
        }
        seams.pop();
        seams
    }

    pub(super) fn new(from: Timestamp, until: Timestamp, terms: &[(char, &Duration)]) -> Self {
        let sum = terms.iter().try_fold(from, |time, (_, length)| time.checked_add(length.length()).ok());
        let known = sum == Some(until);
        let term = |&(letter, length): &(char, &Duration)| Term { letter, length: known.then(|| length.clone()) };
        Self { from, until, terms: terms.iter().map(term).collect() }
    }
}
