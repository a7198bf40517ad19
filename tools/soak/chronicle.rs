//! What happened to one KeySet, and which of its failures were announced.
//!
//! A failed verification is excused if its kid was revoked before (its tokens shall fail), or if the status declared a
//! window for that very kid at that time. Judged at the end, because a controller that was just killed declares late.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use keyset_operator::api::{KeySet, KeySetStatus, KeyStatus, LastRotation};

use super::clock;

/// Told by many.
#[derive(Default)]
pub(crate) struct Chronicle(Mutex<Record>);

#[derive(Default)]
struct Record {
    status: KeySetStatus,
    events: Vec<(Timestamp, String)>,
    last_rotation: Option<LastRotation>,
    windows: Vec<Window>,
    revoked: BTreeMap<String, Timestamp>,
    failures: Vec<Failure>,
    term: u64,
}

/// A time in which verifiers may not know a kid, as the status declared it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Window {
    kid: String,
    from: Timestamp,
    end: Timestamp,
}

/// A token that was not verified.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) at: Timestamp,
    pub(crate) kid: String,
    pub(crate) what: String,
}

/// Why a failure is none of the product's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Excuse {
    Revoked,
    Window,
}

/// Failures, by what excuses them.
#[derive(Debug, Default)]
pub(crate) struct Judgement {
    pub(crate) revoked: u64,
    pub(crate) in_windows: u64,
    pub(crate) findings: Vec<Failure>,
}

impl Chronicle {
    /// Notes what somebody did, or saw.
    pub(crate) fn tell(&self, event: impl Into<String>) {
        self.record().events.push((clock(), event.into()));
    }

    /// Notes a token that was not verified.
    pub(crate) fn fails(&self, failure: Failure) {
        let mut record = self.record();
        record.events.push((failure.at, format!("FAILURE {failure}")));
        record.failures.push(failure);
    }

    /// Notes that a kid is about to be revoked.
    pub(crate) fn revokes(&self, kid: &str) {
        self.record().revoked.entry(kid.to_owned()).or_insert_with(clock);
    }

    /// Notes the term that the Signer Secret shows.
    pub(crate) fn reaches(&self, term: u64) {
        let mut record = self.record();
        record.term = record.term.max(term);
    }

    /// Takes in a KeySet as the API server showed it; gives the rotation that it tells of, if that is news.
    pub(crate) fn see(&self, key_set: &KeySet) -> Option<LastRotation> {
        let status = key_set.status.clone().unwrap_or_default();
        let mut record = self.record();
        let rotation = status.last_rotation.clone().filter(|last| record.last_rotation.as_ref() != Some(last));
        // A lost status is written again with the same rotation, whose predecessor may be forgotten by then.
        let is_new = |last: &LastRotation| record.last_rotation.as_ref().is_none_or(|known| known.time < last.time);
        let news = rotation.clone().filter(is_new);
        if let Some(last) = &news {
            let event = format!("the status tells of {:?} to {} at {}", last.reason, last.key_name, last.time);
            record.events.push((clock(), event));
            record.last_rotation = rotation;
        }
        if let (Some(end), Some(kid), Some(last)) =
            (status.unknown_key_id_end_time, &status.active_key_id, &status.last_rotation)
        {
            let window = Window { kid: kid.as_str().to_owned(), from: last.time, end };
            if !record.windows.contains(&window) {
                let event = format!("a window is declared for {kid} until {end}");
                record.events.push((clock(), event));
                record.windows.push(window);
            }
        }
        record.status = status;
        news
    }

    /// The status that was seen last.
    pub(crate) fn status(&self) -> KeySetStatus {
        self.record().status.clone()
    }

    /// The keys of the set, as the status tells of them.
    pub(crate) fn keys(&self) -> Vec<KeyStatus> {
        self.record().status.keys.clone()
    }

    /// How often another key became active.
    pub(crate) fn rotations(&self) -> u64 {
        self.record().term.saturating_sub(1)
    }

    /// How many windows were declared.
    pub(crate) fn windows(&self) -> usize {
        self.record().windows.len()
    }

    /// How many tokens were not verified so far, excused or not.
    pub(crate) fn failures(&self) -> usize {
        self.record().failures.len()
    }

    /// Weighs every failure.
    pub(crate) fn judge(&self) -> Judgement {
        let record = self.record();
        let mut judgement = Judgement::default();
        for failure in &record.failures {
            match record.excuse(failure) {
                Some(Excuse::Revoked) => judgement.revoked += 1,
                Some(Excuse::Window) => judgement.in_windows += 1,
                None => judgement.findings.push(failure.clone()),
            }
        }
        judgement
    }

    /// What happened around a time.
    pub(crate) fn story(&self, at: Timestamp) -> Vec<String> {
        let record = self.record();
        let mut events: Vec<_> =
            record.events.iter().filter(|(time, _)| (-AFTER..=BEFORE).contains(&at.duration_since(*time))).collect();
        events.sort_by_key(|(time, _)| *time);
        events.iter().map(|(time, event)| format!("{time:.3} {event}")).collect()
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    fn excuse(&self, failure: &Failure) -> Option<Excuse> {
        let covers = |window: &&Window| window.kid == failure.kid && (window.from..=window.end).contains(&failure.at);
        if self.revoked.get(&failure.kid).is_some_and(|time| *time <= failure.at) {
            return Some(Excuse::Revoked);
        }
        self.windows.iter().find(covers).map(|_| Excuse::Window)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kid, self.what)
    }
}

const BEFORE: SignedDuration = SignedDuration::from_secs(25);
const AFTER: SignedDuration = SignedDuration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-01-01T00:00:{text}Z").parse().unwrap()
    }

    #[test]
    fn only_a_revoked_kid_or_a_window_for_this_kid_and_time_excuses() {
        let mut record = Record::default();
        record.windows.push(Window { kid: "b".to_owned(), from: at("10"), end: at("13") });
        record.revoked.insert("c".to_owned(), at("05"));
        let excuse =
            |kid: &str, time: &str| record.excuse(&Failure { at: at(time), kid: kid.to_owned(), what: String::new() });
        assert_eq!(excuse("b", "11"), Some(Excuse::Window));
        assert_eq!([excuse("b", "14"), excuse("a", "11"), excuse("c", "04")], [None; 3]);
        assert_eq!(excuse("c", "30"), Some(Excuse::Revoked));
    }
}
