//! The end of a key: its private half is destroyed, its public half leaves the set, its record is pruned.
//!
//! Each end is barred in the Signer Secret first, so that a paused writer cannot flip to a key that is on its way out.

use jiff::Timestamp;

use super::contract::after;
use super::effect::{DeleteCause, Effect, RecordCause};
use super::observed::{Fence, Key, PrivateHalf};
use super::record::record;
use super::signer::{bar, shows_lost_key};
use super::view::{Step, View};
use super::{external, pin, rollout};
use crate::api::{Lifecycle, Origin};

/// Destroys the private half of retired keys whose rollback window has ended, and of keys that left the set.
pub(super) fn destroy(view: &View<'_>) -> Vec<Effect> {
    if !view.allows(Step::Forward) || view.signer().is_none() || shows_lost_key(view) {
        return Vec::new();
    }
    let spent: Vec<(&Key, &Fence)> = view
        .observed
        .keys
        .iter()
        .filter(|key| is_destructible(view, key))
        .filter_map(|key| match &key.private {
            PrivateHalf::Stored(fence) => Some((key, fence)),
            PrivateHalf::Absent | PrivateHalf::Mismatched(_) | PrivateHalf::Foreign => None,
        })
        .collect();
    let keys: Vec<&Key> = spent.iter().map(|(key, _)| *key).collect();
    if let Some(bar) = bar(view, &keys) {
        return vec![bar];
    }
    let delete = |(key, fence): (&Key, &Fence)| Effect::DeleteKeySecret {
        key: key.name.clone(),
        fence: fence.clone(),
        cause: DeleteCause::Destroy,
    };
    spent.into_iter().map(delete).collect()
}

/// Records the removal of keys whose promise has ended (guard 2), and of staged keys that will never sign.
///
/// The published set follows the record: what is recorded as removed leaves, and nothing else does.
pub(super) fn remove(view: &View<'_>) -> Vec<Effect> {
    let healthy = view.signing().is_some_and(|key| !key.is_over() && view.can_sign(key));
    if !view.allows(Step::Forward) || view.signer().is_none() || !healthy || !view.may_act_on_visibility() {
        return Vec::new();
    }
    let leaving: Vec<&Key> = view.published().filter(|key| is_removable(view, key)).collect();
    if let Some(bar) = bar(view, &leaving) {
        return vec![bar];
    }
    let removed = |key: &&Key| {
        let earliest_removal_time = key.lifecycle.earliest_removal_time.unwrap_or(view.now);
        let lifecycle = Lifecycle {
            earliest_removal_time: Some(earliest_removal_time),
            removal_time: Some(view.now.max(earliest_removal_time)),
            ..key.lifecycle.clone()
        };
        record(view, key, lifecycle, RecordCause::Removal)
    };
    leaving.iter().map(removed).collect()
}

/// Deletes the records of removed keys beyond `historyLimit`, oldest first. Revoked and imported ones stay for ever: they
/// refuse the same key.
pub(super) fn prune(view: &View<'_>) -> Vec<Effect> {
    let Some(published) = view.current_set().filter(|_| view.allows(Step::Forward)) else { return Vec::new() };
    let gone = |key: &&Key| {
        key.is_removed()
            && !key.is_revoked()
            && key.origin != Origin::Imported
            && key.private == PrivateHalf::Absent
            && key.kid().is_none_or(|kid| !published.contains(kid))
    };
    let mut removed: Vec<&Key> = view.observed.keys.iter().filter(gone).collect();
    removed.sort_by_key(|key| key.lifecycle.removal_time);
    let limit = usize::try_from(view.observed.key_set.spec.retention.history_limit).unwrap_or(0);
    let excess = removed.len().saturating_sub(limit);
    let delete = |key: &Key| Effect::DeleteSigningKey { key: key.name.clone(), fence: key.fence.clone() };
    removed.into_iter().take(excess).map(delete).collect()
}

/// When the private half of a retired key is to be destroyed; `None` while a rollout is awaited, which may be why a user
/// wants the key back.
pub(super) fn destruction_time(view: &View<'_>, key: &Key) -> Option<Timestamp> {
    let retired = key.lifecycle.retirement_time.filter(|_| key.is_retired())?;
    rollout::released(view, key, retired).map(|time| after(time, view.contract.rollback_window))
}

fn is_destructible(view: &View<'_>, key: &Key) -> bool {
    let ended = destruction_time(view, key).is_some_and(|time| time <= view.now) && !pin::wants(view, key);
    !is_signing(view, key) && (ended || key.lifecycle.removal_time.is_some())
}

/// Guard 2: retired, and the promise has ended. A staged key of another kind that will never sign has promised nothing.
fn is_removable(view: &View<'_>, key: &Key) -> bool {
    let over = removal_time(view, key).is_some_and(|time| time <= view.now);
    !view.is_held(key) && !is_signing(view, key) && (over || is_superseded(view, key))
}

/// When the promise of a key ends that is on its way out; `None` while a rollout is awaited.
pub(super) fn removal_time(view: &View<'_>, key: &Key) -> Option<Timestamp> {
    let is_ending = key.is_retired() || key.is_lost();
    if is_ending { rollout::promise(view, key) } else { external::removal_time(view, key) }
}

/// Whether the key is about to leave: whoever gives it to signers again must not meet somebody who takes it out.
pub(super) fn is_leaving(view: &View<'_>, key: &Key) -> bool {
    removal_time(view, key).is_some_and(|time| time <= after(view.now, view.contract.clock_skew))
}

/// A staged key of a kind that is no longer wanted, once a later key signs. An imported one brought a promise along.
fn is_superseded(view: &View<'_>, key: &Key) -> bool {
    // In the order of their sequences.
    let mut later = view.published().skip_while(|other| other.name != key.name);
    let promised = key.lifecycle.earliest_removal_time.is_some_and(|time| time > view.now);
    key.is_staged()
        && !promised
        && !view.is_wanted_kind(key)
        && later.any(|it| it.is_active() && view.is_wanted_kind(it))
}

/// A kid in the Signer Secret counts as signing, whatever the ledger says.
fn is_signing(view: &View<'_>, key: &Key) -> bool {
    view.signer().is_some_and(|signer| Some(&signer.key_id) == key.kid()) || key.is_active()
}
