//! What can go wrong in a pass: one enum, mapped once to a retry class and a word for metrics and events.

use crate::api::RolloutTarget;
use crate::key_material::KeyError;

/// A pass that did not end as planned.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody else wrote the object since it was read.
    #[error("{object} changed while it was being written; it is looked at again")]
    Conflict {
        /// Kind and name.
        object: String,
    },
    /// An object of a name that we need is not ours.
    #[error("{object} exists and is not ours: delete it or choose another name")]
    NameConflict {
        /// Kind and name.
        object: String,
    },
    /// An object of an earlier KeySet of that name, or one in deletion, is still there.
    #[error("{object} belongs to an object that is being deleted; waiting until it is gone")]
    BeingDeleted {
        /// Kind and name.
        object: String,
    },
    /// A rollout target may not be marked.
    #[error("{target} cannot be marked: {why}")]
    NotMarked {
        /// Which.
        target: RolloutTarget,
        /// Why, and what to do.
        why: String,
    },
    /// The API server refused a request.
    #[error("{call}: {source}")]
    Api {
        /// What was asked.
        call: String,
        /// What it said.
        source: Box<kube::Error>,
    },
    /// The API server did not answer in time.
    #[error("{call}: no answer from the API server within {seconds} s")]
    Timeout {
        /// What was asked.
        call: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// A private key could not be made, read or used.
    #[error("{object}: {source}")]
    Key {
        /// Secret that it is in or for.
        object: String,
        /// Why.
        source: KeyError,
    },
    /// The KeySet has values that this version does not know.
    #[error("the KeySet has values that this version of the operator does not understand: {why}")]
    Unreadable {
        /// What is not understood.
        why: String,
    },
    /// Plans followed plans without an end.
    #[error("{rounds} plans in a row asked for writes; waiting before the next")]
    Unsettled {
        /// How many.
        rounds: usize,
    },
}

/// When to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryClass {
    /// At once: a new look shows what changed.
    AtOnce,
    /// Soon, without growing: somebody else is about to finish.
    Soon,
    /// With exponential backoff.
    Backoff,
}

impl Error {
    /// When to try again.
    pub fn retry_class(&self) -> RetryClass {
        match self {
            Self::Conflict { .. } => RetryClass::AtOnce,
            Self::BeingDeleted { .. } => RetryClass::Soon,
            Self::NameConflict { .. }
            | Self::NotMarked { .. }
            | Self::Api { .. }
            | Self::Timeout { .. }
            | Self::Key { .. }
            | Self::Unreadable { .. }
            | Self::Unsettled { .. } => RetryClass::Backoff,
        }
    }

    /// Stable word for metrics, logs and conditions.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Conflict { .. } => "Conflict",
            Self::NameConflict { .. } => "NameConflict",
            Self::BeingDeleted { .. } => "BeingDeleted",
            Self::NotMarked { .. } => "NotMarked",
            Self::Api { .. } => "APIError",
            Self::Timeout { .. } => "APITimeout",
            Self::Key { .. } => "KeyMaterial",
            Self::Unreadable { .. } => "UnknownValue",
            Self::Unsettled { .. } => "Unsettled",
        }
    }
}
