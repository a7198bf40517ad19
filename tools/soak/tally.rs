//! Counts of what was done and seen, by group and name, for the report.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// Counts that everybody adds to.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<BTreeMap<Group, BTreeMap<String, u64>>>);

/// What is counted, in the order of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    Tokens,
    Verified,
    /// Not verified, and no fault of anybody's.
    Unjudged,
    Answers,
    Rotations,
    Verbs,
    Accidents,
    Kills,
}

impl Tally {
    pub(crate) fn count(&self, group: Group, name: &str) {
        self.add(group, name, 1);
    }

    pub(crate) fn add(&self, group: Group, name: &str, number: u64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(group).or_default().entry(name.to_owned()).or_default() += number;
    }

    /// All of a group together.
    pub(crate) fn total(&self, group: Group) -> u64 {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(&group).map_or(0, |names| names.values().sum())
    }

    /// One of a group.
    pub(crate) fn of(&self, group: Group, name: &str) -> u64 {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(&group).and_then(|names| names.get(name)).copied().unwrap_or(0)
    }

    /// `3 (pin 1, rotate 2)`.
    pub(crate) fn line(&self, group: Group) -> String {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let names = counts.get(&group).into_iter().flatten();
        let parts: Vec<String> = names.map(|(name, number)| format!("{name} {number}")).collect();
        drop(counts);
        let total = self.total(group);
        if parts.is_empty() { total.to_string() } else { format!("{total} ({})", parts.join(", ")) }
    }
}
