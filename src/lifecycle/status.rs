//! Status: what this look showed, in the words of the API. Evidence, no promise: losing it costs time, never safety.

use jiff::{SignedDuration, Timestamp};

use super::conditions;
use super::contract::after;
use super::observed::{Clock, Key, PrivateHalf};
use super::record::private_key_state;
use super::retire::{destruction_time, removal_time};
use super::schedule::{Rotation, Window};
use super::view::{Freeze, Step, View};
use super::{evidence, external, pin, publication, revoke, rollout};
use crate::api::{
    Duration, Guard, KeySetStatus, KeyState, KeyStatus, LastRotation, NextTransition, Origin, RotationReason,
    TransitionAction, VisibilitySource,
};
use crate::jose::KeyId;

/// The whole status for what was observed.
pub(super) fn status(view: &View<'_>) -> KeySetStatus {
    let key_set = &view.observed.key_set;
    let signing = view.signing().filter(|key| !key.is_over() && view.can_sign(key));
    let unknown_key_id_end_time = unknown_key_id_end_time(view);
    let listed = view.published().filter(|key| publication::is_credible(view, key));
    let mut status = KeySetStatus {
        observed_generation: acknowledged_generation(view),
        // Absent until the set is claimed: nothing that was seen before counts.
        observed_uid: Some(key_set.uid.clone()).filter(|_| view.freeze() != Some(Freeze::Unclaimed)),
        active_key_name: signing.map(|key| key.name.clone()),
        active_key_id: signing.and_then(|key| key.kid().cloned()),
        signer_secret_name: view.signer().map(|_| key_set.signer_secret_name()),
        max_cache_age: acknowledged_cache_age(view),
        earliest_activation_time: evidence::floor(view.observed, &view.contract, view.now),
        publication: Some(publication::status(view)),
        next_transition: next_transition(view),
        last_rotation: last_rotation(view),
        unknown_key_id_end_time,
        rollouts: view.rollouts.clone(),
        keys: listed.map(|key| key_status(view, key)).collect(),
        revocations: revoke::status(view),
        ..KeySetStatus::default()
    };
    status.conditions = conditions::conditions(view, &status);
    keep_previous_digests(&mut status, &key_set.status);
    status
}

/// The generation whose promises are kept from now on. A lowered `C` counts from when it was acknowledged, so a clock that
/// is not to be believed acknowledges nothing.
fn acknowledged_generation(view: &View<'_>) -> Option<i64> {
    match view.observed.clock {
        Clock::Trusted => Some(view.observed.key_set.generation),
        Clock::Untrusted(_) => view.observed.key_set.status.observed_generation,
    }
}

/// The `C` that goes with it.
fn acknowledged_cache_age(view: &View<'_>) -> Option<Duration> {
    let key_set = &view.observed.key_set;
    match view.observed.clock {
        Clock::Trusted => Some(key_set.spec.verifiers.max_cache_age.clone()),
        Clock::Untrusted(_) => key_set.status.max_cache_age.clone(),
    }
}

/// When time alone next changes the plan or the status.
pub(super) fn wake_at(view: &View<'_>, status: &KeySetStatus) -> Option<Timestamp> {
    let staged = status.keys.iter().filter_map(|key| key.earliest_activation_time);
    let rotation = Rotation::next(view);
    let due = rotation.as_ref().and_then(|rotation| rotation.due);
    let overdue = rotation.as_ref().and_then(|rotation| conditions::overdue_time(view, rotation));
    let assumed = view.observed.key_set.spec.publication.visibility == VisibilitySource::Assumed;
    let seen = status.keys.iter().filter(|_| assumed).filter_map(|key| key.publish_time);
    let seen = seen.map(|time| after(time, view.contract.publication_delay));
    let ends = view
        .published()
        .flat_map(|key| [destruction_time(view, key), removal_time(view, key), revoke::removal_time(view, key)]);
    let ends = ends.flatten();
    let lost = conditions::visibility_deadline(view, status);
    let rolling = rollout::waiting(view).filter_map(|(key, ..)| rollout::deadline(view, key));
    let times = staged
        .chain(seen)
        .chain(due)
        .chain(overdue)
        .chain(ends)
        .chain(lost)
        .chain(rolling)
        .chain(status.unknown_key_id_end_time);
    times.filter(|time| *time > view.now).chain(poll(view, rotation.as_ref())).min()
}

/// When to look at the replicas, the clock or the objects again, because something due is held back by them.
fn poll(view: &View<'_>, rotation: Option<&Rotation<'_>>) -> Option<Timestamp> {
    let replicas = view.observed.key_set.spec.publication.visibility == VisibilitySource::Replicas;
    let unseen = view.published().filter(|key| !key.is_over()).map(|key| view.evidence_of(key));
    let unseen = unseen.filter(|evidence| evidence.visible_time.is_none()).filter_map(|evidence| evidence.publish_time);
    // Often at first, when only the watch of the servers is in between, then less.
    let again =
        |since: Timestamp| after(view.now, (view.now.duration_since(since) / 4).clamp(SHORTEST_POLL, LONGEST_POLL));
    let waits = rotation.and_then(|rotation| {
        // An emergency that takes whoever answers waits for no time, only for somebody who does.
        let ready = if rotation.is_forced(view) { rotation.due.or(Some(view.now)) } else { rotation.earliest() };
        let since = ready.filter(|time| *time <= view.now)?;
        // Nobody remembers since when one that is due at once is held back.
        Some(rotation.due.map_or_else(|| after(view.now, CLAIM_POLL), |_| again(since)))
    });
    let removals = view.published().filter(|key| !view.is_held(key)).filter_map(|key| removal_time(view, key));
    let removals = removals.filter(|time| *time <= view.now).map(again);
    // Workloads are not watched.
    let rolling: Vec<Timestamp> = rollout::waiting(view).map(|(_, switched, _)| again(switched)).collect();
    // The exposure of a revoked key ends some time after it is seen gone.
    let exposed = revoke::status(view).into_iter().filter(|it| it.exposure_end_time.is_none());
    let exposed = exposed.filter_map(|it| it.removal_time).map(again);
    if view.observed.witness.is_some() {
        return Some(after(view.now, CLAIM_POLL));
    }
    match unseen.max().filter(|_| replicas) {
        Some(published) => Some(again(published)),
        None => match view.freeze() {
            // Only a change of an object ends these, and that wakes us by itself.
            Some(Freeze::NameConflict(_) | Freeze::Undecodable(_)) => None,
            Some(Freeze::Suspended) => {
                let urgent = rotation.is_some_and(|rotation| rotation.step() == Step::Urgent);
                waits.filter(|_| urgent).into_iter().chain(exposed).chain(rolling).min()
            }
            Some(Freeze::Clock(_)) => Some(after(view.now, LONGEST_POLL)),
            Some(Freeze::Unclaimed) => Some(after(view.now, CLAIM_POLL)),
            None => waits.into_iter().chain(removals).chain(exposed).chain(rolling).min(),
        },
    }
}

fn key_status(view: &View<'_>, key: &Key) -> KeyStatus {
    let evidence = view.evidence_of(key);
    let published = key.kid().is_some_and(|kid| view.current_set().is_some_and(|set| set.contains(kid)));
    let may_sign = evidence.earliest_activation_time.is_some_and(|time| time <= view.now);
    let state = match () {
        () if key.is_revoked() => KeyState::Revoked,
        () if key.origin == Origin::External && external::entry(view, key).is_some() => KeyState::External,
        () if key.origin == Origin::External => KeyState::Retiring,
        () if key.is_active() => KeyState::Active,
        () if key.is_retired() => KeyState::Retiring,
        () if !published => KeyState::Pending,
        () if may_sign => KeyState::Standby,
        () => KeyState::Published,
    };
    KeyStatus {
        name: key.name.clone(),
        key_id: key.kid().cloned(),
        algorithm: Some(key.algorithm),
        state,
        private_key: Some(private_key_state(key)),
        publish_time: evidence.publish_time,
        visible_time: evidence.visible_time,
        earliest_activation_time: evidence.earliest_activation_time,
        activation_time: key.lifecycle.activation_time,
        retirement_time: key.lifecycle.retirement_time,
        rollout_time: evidence.rollout_time,
        earliest_removal_time: removal_time(view, key)
            .or(key.lifecycle.earliest_removal_time.filter(|_| key.is_retired())),
    }
}

fn last_rotation(view: &View<'_>) -> Option<LastRotation> {
    let stored = view.prior().and_then(|status| status.last_rotation.clone());
    let Some(signer) = view.signer() else { return stored };
    let name = |kid: &KeyId| view.key(kid).map(|key| key.name.clone());
    let known = stored.as_ref().filter(|last| last.key_name == signer.key_name && last.time == signer.activation_time);
    Some(LastRotation {
        time: signer.activation_time,
        reason: signer.reason,
        key_name: signer.key_name.clone(),
        previous_key_name: known
            .and_then(|last| last.previous_key_name.clone())
            .or_else(|| signer.replaced.as_ref().and_then(name)),
    })
}

/// Until when verifiers may not know the signing key: it was switched to before every copy without it was gone.
fn unknown_key_id_end_time(view: &View<'_>) -> Option<Timestamp> {
    let signer = view.signer()?;
    let stored = view.prior().filter(|status| {
        let last = status.last_rotation.as_ref();
        last.is_some_and(|last| last.time == signer.activation_time && last.key_name == signer.key_name)
    });
    let end = if let Some(status) = stored {
        // What was told at the switch stands: later edits of the spec do not change what verifiers had then.
        status.unknown_key_id_end_time
    } else {
        let known = view.evidence_of(view.key(&signer.key_id)?).earliest_activation_time;
        match signer.reason {
            RotationReason::Bootstrap => known,
            // A forced switch does not wait until every replica is seen to serve the key.
            RotationReason::KeyLost | RotationReason::Revoked | RotationReason::Restored => {
                known.or_else(|| Some(after(view.now, view.contract.lead())))
            }
            _ => None,
        }
    };
    end.filter(|end| *end > view.now)
}

fn next_transition(view: &View<'_>) -> Option<NextTransition> {
    let keys = || view.published().filter(|key| key.is_retired());
    let destroy = keys().filter(|key| matches!(key.private, PrivateHalf::Stored(_))).filter_map(|key| {
        let time = destruction_time(view, key)?;
        let message = format!("the private half of {} is kept for a rollback until then", key.name);
        Some(transition(TransitionAction::DestroyPrivateKey, key, Some(time), Guard::RollbackWindow, message))
    });
    let remove = view.published().filter(|key| !view.is_held(key)).filter_map(|key| {
        let time = removal_time(view, key)?;
        let message = format!("tokens signed with {} may be valid until then", key.name);
        Some(transition(TransitionAction::Remove, key, Some(time), Guard::TokenExpiry, message))
    });
    let revoke = view.published().filter_map(|key| {
        let time = revoke::removal_time(view, key)?;
        let message = format!("{} is revoked; signers may still use it until then", key.name);
        Some(transition(TransitionAction::Revoke, key, Some(time), Guard::SignerReload, message))
    });
    let rolling = rollout::waiting(view).filter(|(key, ..)| key.is_revoked() || !view.is_held(key));
    let rolling = rolling.map(|(key, switched, message)| {
        let (action, promised) = if key.is_revoked() {
            (TransitionAction::Revoke, Some(after(switched, view.contract.reload_lag)))
        } else {
            (TransitionAction::Remove, key.lifecycle.earliest_removal_time)
        };
        transition(action, key, promised, Guard::SignerRollout, message)
    });
    let held = view.published().filter(|key| view.is_held(key)).filter_map(|key| {
        removal_time(view, key)?;
        let message = format!("{} is listed in heldKeys", key.name);
        Some(transition(TransitionAction::Remove, key, None, Guard::Held, message))
    });
    let timed = destroy
        .chain(remove)
        .chain(revoke)
        .chain(rolling)
        .chain(activation(view))
        .min_by_key(|next| next.earliest_time);
    // What is held back without an end is told when nothing else is ahead.
    let mut next = timed.into_iter().chain(held).chain(pinned(view)).next()?;
    match view.freeze() {
        Some(Freeze::Suspended) if !is_urgent(view, next.action) => next.waiting_for = Guard::Suspended,
        Some(Freeze::Clock(_)) => next.waiting_for = Guard::Clock,
        Some(Freeze::Suspended | Freeze::NameConflict(_) | Freeze::Undecodable(_) | Freeze::Unclaimed) | None => {}
    }
    Some(next)
}

/// Whether a step is taken although the set is suspended.
fn is_urgent(view: &View<'_>, action: TransitionAction) -> bool {
    match action {
        TransitionAction::Revoke => true,
        TransitionAction::Activate | TransitionAction::Generate => {
            Rotation::next(view).is_some_and(|rotation| rotation.step() == Step::Urgent)
        }
        _ => false,
    }
}

/// A rotation that the pin holds back.
fn pinned(view: &View<'_>) -> Option<NextTransition> {
    let next = Rotation::by_schedule(view).filter(|_| pin::pinned(view).is_some())?;
    let key = next.successor?.key;
    let message = format!("rotation.pinnedKeyID keeps the active key; {} would be next", key.name);
    Some(transition(TransitionAction::Activate, key, None, Guard::Pinned, message))
}

fn activation(view: &View<'_>) -> Option<NextTransition> {
    let rotation = Rotation::next(view)?;
    let Some(successor) = &rotation.successor else {
        let message = "the next key is being made".to_owned();
        let action = TransitionAction::Generate;
        return Some(NextTransition {
            action,
            key_name: None,
            earliest_time: None,
            waiting_for: Guard::KeyMaterial,
            message: Some(message),
        });
    };
    let key = successor.key;
    let earliest = rotation.earliest();
    let (waiting_for, message) = match successor.ready {
        None => (Guard::Visibility, format!("waiting until every server replica serves {}", key.name)),
        Some(ready) if Some(ready) > rotation.due.max(Some(view.now)) => (
            Guard::VerifierCaches,
            format!("{}; verifiers may cache the set without {} until then", asked(view, rotation.reason), key.name),
        ),
        Some(_) if rotation.due > Some(view.now) => (Guard::Schedule, asked(view, rotation.reason)),
        Some(_) => (Guard::Visibility, format!("waiting for a complete look at the replicas that shows {}", key.name)),
    };
    let message = match successor.window {
        Window::None => message,
        Window::UnknownKeyId => format!("{message}; verifiers may not know it yet"),
    };
    Some(transition(TransitionAction::Activate, key, earliest, waiting_for, message))
}

/// What asks for a rotation, in words.
pub(super) fn asked(view: &View<'_>, reason: RotationReason) -> String {
    let interval = &view.observed.key_set.spec.rotation.interval;
    let signing = view.signing().map_or("the signing key", |key| key.name.as_str());
    match reason {
        RotationReason::Interval => format!("{signing} is replaced at the age of {interval}"),
        RotationReason::Requested => "asked for by rotation.after".to_owned(),
        RotationReason::Bootstrap => "the first key of the set".to_owned(),
        RotationReason::Pinned => "asked for by rotation.pinnedKeyID".to_owned(),
        RotationReason::Revoked => format!("{signing} is revoked"),
        _ => format!("the private half of {signing} is lost"),
    }
}

fn transition(
    action: TransitionAction,
    key: &Key,
    earliest_time: Option<Timestamp>,
    waiting_for: Guard,
    message: String,
) -> NextTransition {
    NextTransition { action, key_name: Some(key.name.clone()), earliest_time, waiting_for, message: Some(message) }
}

/// The digests before the current one are dropped by the next write that is due anyway, never by one of its own.
fn keep_previous_digests(status: &mut KeySetStatus, stored: &KeySetStatus) {
    let Some(old) = stored.publication.as_ref().filter(|old| !old.previous_digests.is_empty()) else { return };
    let mut kept = status.clone();
    if let Some(publication) = kept.publication.as_mut().filter(|new| new.digest == old.digest) {
        publication.previous_digests.clone_from(&old.previous_digests);
    }
    if kept == *stored {
        *status = kept;
    }
}

const SHORTEST_POLL: SignedDuration = SignedDuration::from_millis(100);
const CLAIM_POLL: SignedDuration = SignedDuration::from_secs(1);
const LONGEST_POLL: SignedDuration = SignedDuration::from_secs(30);
