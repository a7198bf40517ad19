//! The record of a key: the ledger and the report that follows from it are one write (docs/adr/0002).

use jiff::Timestamp;

use super::effect::{Effect, RecordCause};
use super::external;
use super::observed::{Key, PrivateHalf};
use super::verdict::{Verdict, verdict};
use super::view::{View, is_active};
use crate::api::names::{condition, reason};
use crate::api::{Condition, ConditionStatus, Lifecycle, Origin, PrivateKeyState, SigningKeyState, SigningKeyStatus};

/// The write of a ledger.
pub(super) fn record(view: &View<'_>, key: &Key, lifecycle: Lifecycle, cause: RecordCause) -> Effect {
    let status = signing_key_status(view, &Key { lifecycle: lifecycle.clone(), ..key.clone() });
    Effect::RecordKey { key: key.name.clone(), fence: key.fence.clone(), lifecycle, status, cause }
}

/// Whether the stored status of a SigningKey says what was seen, and of its latest generation.
pub(super) fn is_reported(view: &View<'_>, key: &Key) -> bool {
    let private_key = private_key_state(key);
    let verdict = key_ready(private_key);
    // Compared part by part: a set may have a hundred records, and each plan asks for every one.
    key.status.as_ref().is_some_and(|told| {
        let states = told.state == Some(signing_key_state(view, key)) && told.private_key == Some(private_key);
        let ready = |it: &Condition| *it == verdict && it.observed_generation.is_none();
        let conditions = told.conditions.len() == 1 && told.conditions.iter().all(ready);
        states && conditions && told.observed_generation == Some(key.generation)
    })
}

/// The status of one SigningKey, for the generation that a write of it makes.
///
/// SigningKey has no status subresource, so every write counts one generation on (docs/adr/0002).
fn signing_key_status(view: &View<'_>, key: &Key) -> SigningKeyStatus {
    let stored = key.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let made = key.generation + 1;
    // A status that was restored with a new object may tell of that generation already. A write of what is stored makes
    // none, so that it would be written for ever: another number first.
    let told = key.status.as_ref().is_some_and(|status| status.observed_generation == Some(made));
    let generation = if told { key.generation } else { made };
    reported(stored, signing_key_state(view, key), private_key_state(key), generation, view.now)
}

/// The status of a SigningKey that is about to be created.
pub(super) fn created_status(view: &View<'_>, lifecycle: &Lifecycle, private: PrivateKeyState) -> SigningKeyStatus {
    let state = match () {
        () if private == PrivateKeyState::None && lifecycle.earliest_removal_time.is_some() => {
            SigningKeyState::Retiring
        }
        () if private == PrivateKeyState::None => SigningKeyState::External,
        () if lifecycle.activation_time.is_none() => SigningKeyState::Staged,
        () if is_active(lifecycle) => SigningKeyState::Active,
        () => SigningKeyState::Retiring,
    };
    reported(&[], state, private, 1, view.now)
}

fn reported(
    stored: &[Condition],
    state: SigningKeyState,
    private_key: PrivateKeyState,
    generation: i64,
    now: Timestamp,
) -> SigningKeyStatus {
    let ready = key_ready(private_key).condition(stored, 0, now);
    SigningKeyStatus {
        // Its status has the generation once; a condition with its own would change with every write.
        conditions: vec![Condition { observed_generation: None, ..ready }],
        observed_generation: Some(generation),
        state: Some(state),
        private_key: Some(private_key),
    }
}

fn signing_key_state(view: &View<'_>, key: &Key) -> SigningKeyState {
    match () {
        () if key.lifecycle.revocation_time.is_some() => SigningKeyState::Revoked,
        () if key.lifecycle.removal_time.is_some() => SigningKeyState::Removed,
        () if key.origin == Origin::External && external::entry(view, key).is_some() => SigningKeyState::External,
        () if key.origin == Origin::External => SigningKeyState::Retiring,
        () if key.is_active() => SigningKeyState::Active,
        () if key.is_retired() => SigningKeyState::Retiring,
        () if key.jwk.is_some() => SigningKeyState::Staged,
        () => SigningKeyState::Pending,
    }
}

/// What the one condition of a SigningKey says.
fn key_ready(private: PrivateKeyState) -> Verdict {
    match private {
        PrivateKeyState::Stored => verdict(
            condition::READY,
            ConditionStatus::True,
            reason::STORED,
            "The Key Secret holds the private half of the published key.",
        ),
        PrivateKeyState::Destroyed => verdict(
            condition::READY,
            ConditionStatus::True,
            reason::DESTROYED,
            "The private half was destroyed when the key had ended.",
        ),
        PrivateKeyState::None => {
            verdict(condition::READY, ConditionStatus::True, reason::PUBLIC_ONLY, "The key signs elsewhere.")
        }
        PrivateKeyState::Lost => verdict(
            condition::READY,
            ConditionStatus::False,
            reason::LOST,
            "The Key Secret is gone: another key takes its place.",
        ),
    }
}

/// Where the private half is, as people are told.
pub(super) fn private_key_state(key: &Key) -> PrivateKeyState {
    match (&key.private, key.origin) {
        (PrivateHalf::Stored(_), _) => PrivateKeyState::Stored,
        (_, Origin::External) => PrivateKeyState::None,
        _ if key.is_over() || key.is_retired() => PrivateKeyState::Destroyed,
        _ => PrivateKeyState::Lost,
    }
}
