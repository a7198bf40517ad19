//! Conditions: the table of `docs/conditions.md`, each a pure function of what was observed.
//!
//! A message never holds a time that changes with each pass; `lastTransitionTime` moves only with the status.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::contract::after;
use super::event::{Event, EventReason};
use super::observed::PrivateHalf;
use super::retire::removal_time;
use super::schedule::Rotation;
use super::stage::is_at_bound;
use super::verdict::{Verdict, verdict};
use super::view::{Freeze, View};
use super::{acceptance, pin, rollout};
use crate::api::names::{condition, reason};
use crate::api::{Condition, ConditionStatus, KeySetStatus, PrivateKeyState, RotationReason, VisibilitySource};

/// All conditions of a KeySet, in their documented order.
pub(super) fn conditions(view: &View<'_>, status: &KeySetStatus) -> Vec<Condition> {
    let published = published(view);
    let accepted = acceptance::accepted(view);
    let ready = ready(view, status, &published, &accepted);
    let mut verdicts = vec![ready.clone()];
    if ready.reason == reason::BOOTSTRAPPING {
        verdicts.push(Verdict { r#type: condition::RECONCILING, status: ConditionStatus::True, ..ready.clone() });
    }
    if ready.reason == reason::NAME_CONFLICT || accepted.status == ConditionStatus::False {
        verdicts.push(Verdict { r#type: condition::STALLED, status: ConditionStatus::True, ..ready });
    }
    verdicts.extend([accepted, published, standby_ready(view), rotation_overdue(view)]);
    verdicts.extend(mixed_algorithms(view));
    verdicts.extend(unknown_key_id_window(view, status));
    verdicts.extend(acceptance::unknown_key_id(view));
    verdicts.extend(rollout::blocked(view));
    verdicts.extend(clock_untrusted(view));
    let stored = &view.observed.key_set.status.conditions;
    let generation = view.observed.key_set.generation;
    verdicts.into_iter().map(|verdict| verdict.condition(stored, generation, view.now)).collect()
}

/// Events that a change of status is worth.
pub(super) fn events(stored: &KeySetStatus, status: &KeySetStatus) -> Vec<Event> {
    let turned = |r#type: &str, to: ConditionStatus| {
        let of = |status: &KeySetStatus| status.conditions.iter().find(|it| it.r#type == r#type).cloned();
        of(status).filter(|new| new.status == to && of(stored).is_none_or(|old| old.status != to))
    };
    let about = |reason, condition: Condition| Event { reason, key: None, note: condition.message };
    let told = [
        turned(condition::STANDBY_READY, ConditionStatus::True).map(|it| about(EventReason::StandbyReady, it)),
        turned(condition::STALLED, ConditionStatus::True)
            .filter(|it| it.reason == reason::NAME_CONFLICT)
            .map(|it| about(EventReason::NameConflict, it)),
        turned(condition::ACCEPTED, ConditionStatus::False).map(|it| about(EventReason::NotAccepted, it)),
        turned(condition::UNKNOWN_KEY_ID, ConditionStatus::True).map(|it| about(EventReason::UnknownKeyId, it)),
        turned(condition::ROTATION_OVERDUE, ConditionStatus::True).map(|it| about(EventReason::RotationOverdue, it)),
        turned(condition::ROLLOUT_BLOCKED, ConditionStatus::True).map(|it| about(EventReason::RolloutBlocked, it)),
        turned(condition::CLOCK_UNTRUSTED, ConditionStatus::True).map(|it| about(EventReason::ClockUntrusted, it)),
        turned(condition::PUBLISHED, ConditionStatus::False)
            .filter(|it| it.reason == reason::VISIBILITY_LOST)
            .map(|it| about(EventReason::VisibilityLost, it)),
    ];
    let was_lost =
        |name: &str| stored.keys.iter().any(|key| key.name == name && key.private_key == Some(PrivateKeyState::Lost));
    let lost =
        status.keys.iter().filter(|key| key.private_key == Some(PrivateKeyState::Lost) && !was_lost(&key.name)).map(
            |key| Event {
                reason: EventReason::KeyLost,
                key: Some(key.name.clone()),
                note: format!("The private half of {} is gone before its time.", key.name),
            },
        );
    told.into_iter().flatten().chain(lost).collect()
}

/// From when a rotation that has not happened counts as overdue; `None` where nothing signs, which says more.
pub(super) fn overdue_time(view: &View<'_>, rotation: &Rotation<'_>) -> Option<Timestamp> {
    let due = match rotation.reason {
        // Asked for at any time, so the wait for verifiers' caches is part of the schedule.
        RotationReason::Requested | RotationReason::Pinned | RotationReason::Revoked => {
            rotation.earliest().or(rotation.due)
        }
        _ => rotation.due,
    };
    due.map(|due| after(due, view.contract.publication_delay))
}

/// When a set that is not seen served becomes `VisibilityLost`.
pub(super) fn visibility_deadline(view: &View<'_>, status: &KeySetStatus) -> Option<Timestamp> {
    let published = status.conditions.iter().find(|it| it.r#type == condition::PUBLISHED)?;
    let doubted = published.status == ConditionStatus::Unknown;
    doubted.then(|| after(published.last_transition_time, view.contract.publication_delay))
}

fn ready(view: &View<'_>, status: &KeySetStatus, published: &Verdict, accepted: &Verdict) -> Verdict {
    let not = |reason, message: String| verdict(condition::READY, ConditionStatus::False, reason, message);
    if let Some(conflict) = view.name_conflict() {
        return not(reason::NAME_CONFLICT, conflict);
    }
    if accepted.status == ConditionStatus::False {
        return not(accepted.reason, format!("{} The set is served as it was.", accepted.message));
    }
    if view.freeze() == Some(Freeze::Unclaimed) {
        let doubt = view.visibility_doubt();
        return not(
            reason::BOOTSTRAPPING,
            format!("Waiting to hear from every server that it never served this set. {doubt}"),
        );
    }
    if status.active_key_name.is_none() && !view.ever_signed() {
        return not(reason::BOOTSTRAPPING, "The first key is being published.".to_owned());
    }
    if status.active_key_name.is_none() {
        return not(
            reason::NO_ACTIVE_KEY,
            "No key can sign: the private half of the active key is lost; a successor takes over as soon as it may."
                .to_owned(),
        );
    }
    let served = |kid| view.observed.pass.iter().flat_map(|pass| &pass.replicas).any(|replica| replica.serves(kid));
    let nobody = status.active_key_id.as_ref().is_some_and(|kid| !served(kid));
    if published.reason == reason::VISIBILITY_LOST && nobody {
        return not(
            reason::NOT_SERVED,
            "No server replica serves the active key: see whether the servers run and reach the API server.".to_owned(),
        );
    }
    verdict(condition::READY, ConditionStatus::True, reason::SERVING, "The set is served and the active key signs.")
}

/// Judged by the active key alone, so that a new standby that is not seen yet does not make it flap.
fn published(view: &View<'_>) -> Verdict {
    let visible = || {
        verdict(condition::PUBLISHED, ConditionStatus::True, reason::VISIBLE, "Every server replica serves the set.")
    };
    if view.observed.key_set.spec.publication.visibility == VisibilitySource::Assumed {
        return verdict(
            condition::PUBLISHED,
            ConditionStatus::True,
            reason::VISIBLE,
            "The ConfigMap is written; its readers are assumed to serve it.",
        );
    }
    let stored = view.prior().and_then(|status| status.conditions.iter().find(|it| it.r#type == condition::PUBLISHED));
    let key = view.signing().or_else(|| view.staged().next());
    if key.is_some_and(|key| view.is_visible_now(key)) {
        return visible();
    }
    let why = view.visibility_doubt();
    let doubtful = |status| verdict(condition::PUBLISHED, status, reason::WAITING_FOR_VISIBILITY, why.clone());
    match stored {
        // No look was taken this time: nothing is known to have changed.
        Some(it) if view.observed.pass.is_none() && it.status == ConditionStatus::True => visible(),
        Some(it) if it.status == ConditionStatus::True => doubtful(ConditionStatus::Unknown),
        Some(it) if it.status == ConditionStatus::Unknown => {
            if view.now < after(it.last_transition_time, view.contract.publication_delay) {
                doubtful(ConditionStatus::Unknown)
            } else {
                verdict(condition::PUBLISHED, ConditionStatus::False, reason::VISIBILITY_LOST, why)
            }
        }
        Some(it) if it.reason == reason::VISIBILITY_LOST => {
            verdict(condition::PUBLISHED, ConditionStatus::False, reason::VISIBILITY_LOST, why)
        }
        _ => doubtful(ConditionStatus::False),
    }
}

fn standby_ready(view: &View<'_>) -> Verdict {
    let not = |reason, message: String| verdict(condition::STANDBY_READY, ConditionStatus::False, reason, message);
    let signs_first = !view.ever_signed();
    let usable = |key: &&_| view.is_wanted_kind(key) && matches!(key.private, PrivateHalf::Stored(_));
    let Some(key) = view.staged().filter(usable).nth(usize::from(signs_first)) else {
        let message = if is_at_bound(view) {
            "The set is full: no standby is made before a retired key leaves."
        } else {
            "The standby is being made."
        };
        return not(reason::GENERATING, message.to_owned());
    };
    match view.evidence_of(key).earliest_activation_time {
        Some(time) if time <= view.now => verdict(
            condition::STANDBY_READY,
            ConditionStatus::True,
            reason::VERIFIER_CACHES_EXPIRED,
            format!("{} may sign.", key.name),
        ),
        Some(time) => not(reason::WAITING_FOR_VERIFIER_CACHES, format!("{} may sign from {time}.", key.name)),
        None => {
            not(reason::WAITING_FOR_VERIFIER_CACHES, format!("{} is not seen served by every replica yet.", key.name))
        }
    }
}

fn rotation_overdue(view: &View<'_>) -> Verdict {
    let on_schedule =
        verdict(condition::ROTATION_OVERDUE, ConditionStatus::False, reason::ON_SCHEDULE, "No rotation is due.");
    if view.signing().is_none() {
        return on_schedule;
    }
    let next = Rotation::next(view);
    let pinned = next.is_none() && pin::pinned(view).is_some();
    let next = if pinned { Rotation::by_schedule(view) } else { next };
    let is_overdue = |rotation: &Rotation<'_>| overdue_time(view, rotation).is_some_and(|time| time <= view.now);
    let Some(rotation) = next.filter(is_overdue) else { return on_schedule };
    let since = rotation.due.map_or_else(|| "Due at once".to_owned(), |due| format!("Due since {due}"));
    let (reason, why) = match view.freeze() {
        Some(Freeze::Suspended) => (reason::SUSPENDED, "rotation.mode is Suspended.".to_owned()),
        Some(Freeze::Clock(why)) => (condition::CLOCK_UNTRUSTED, why),
        Some(Freeze::NameConflict(why)) => (reason::NAME_CONFLICT, why),
        Some(Freeze::Undecodable(keys)) => {
            (reason::UNKNOWN_VALUE, format!("This version does not understand SigningKey {keys}."))
        }
        None if pinned => (reason::PINNED, "rotation.pinnedKeyID keeps the active key.".to_owned()),
        Some(Freeze::Unclaimed) | None if view.fresh_pass().is_none() => {
            (reason::VISIBILITY_LOST, view.visibility_doubt())
        }
        Some(Freeze::Unclaimed) | None => (reason::VISIBILITY_LOST, "The next key may not sign yet.".to_owned()),
    };
    verdict(condition::ROTATION_OVERDUE, ConditionStatus::True, reason, format!("{since}. {why}"))
}

fn mixed_algorithms(view: &View<'_>) -> Option<Verdict> {
    let keys = || view.published();
    let families: BTreeSet<_> = keys().map(|key| key.algorithm.family()).collect();
    if families.len() < 2 {
        return None;
    }
    let wanted = view.observed.key_set.spec.algorithm.family();
    let end = keys().filter(|key| key.algorithm.family() != wanted).map(|key| removal_time(view, key));
    let end = end.collect::<Option<Vec<_>>>().and_then(|times| times.into_iter().max());
    let until = end.map_or_else(
        || "until the keys of the old algorithm have retired and left".to_owned(),
        |end| format!("until {end}"),
    );
    let message = format!(
        "The set holds keys of more than one kind {until}. Some verifiers drop a whole set for one key that they do not know: older go-oidc, keyfunc, jwx, python-jose and jsonwebtoken up to 10."
    );
    Some(verdict(condition::MIXED_ALGORITHMS, ConditionStatus::True, reason::MIGRATING, message))
}

fn unknown_key_id_window(view: &View<'_>, status: &KeySetStatus) -> Option<Verdict> {
    let end = status.unknown_key_id_end_time?;
    let (reason, message) = match view.signer().map(|signer| signer.reason) {
        Some(RotationReason::Bootstrap) => (
            reason::FIRST_KEY,
            format!(
                "The first key signed as soon as it was served: verifiers that knew this URL before may lack it until {end}. Choose rotation.firstKey AfterCacheAge for a URL in use."
            ),
        ),
        Some(RotationReason::Revoked) => (
            reason::REVOKED,
            format!(
                "A revocation asked for a switch before every cached copy had the next key: verifiers may meet an unknown kid until {end}."
            ),
        ),
        Some(RotationReason::Restored) => (
            reason::RESTORED,
            format!(
                "The records came back from a backup and the key of their time is out of date: verifiers may meet an unknown kid until {end}."
            ),
        ),
        _ => (
            reason::KEY_LOST,
            format!(
                "A key had to take over before every cached copy had it: verifiers may meet an unknown kid until {end}."
            ),
        ),
    };
    Some(verdict(condition::UNKNOWN_KEY_ID_WINDOW, ConditionStatus::True, reason, message))
}

fn clock_untrusted(view: &View<'_>) -> Option<Verdict> {
    match view.freeze() {
        Some(Freeze::Clock(why)) => {
            Some(verdict(condition::CLOCK_UNTRUSTED, ConditionStatus::True, condition::CLOCK_UNTRUSTED, why))
        }
        _ => None,
    }
}
