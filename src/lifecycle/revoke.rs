//! Revocation: `revokedKeys` takes keys out that must not be trusted any more.
//!
//! The time is recorded at first sight and never taken back. A revoked key that signs is replaced first (`schedule`), a
//! sole one stays until its successor is served; then its private half is destroyed and it leaves the set, by its mode
//! now or after `L`, which counts from the end of the rollouts. Its SigningKey stays for ever and refuses the same key.
//! Revocation beats hold, pin and suspension.

use jiff::Timestamp;

use super::contract::after;
use super::effect::{DeleteCause, Effect, RecordCause};
use super::observed::{Clock, Key, PrivateHalf};
use super::record::record;
use super::rollout;
use super::signer::{bar, shows_lost_key};
use super::view::{Step, View, is_active};
use crate::api::{Lifecycle, RevocationMode, RevocationState, RevocationStatus, VisibilitySource};
use crate::jose::KeyId;

/// Records the revocation of every key that the spec lists.
///
/// A key that the Signer Secret does not show is barred first, so that a paused writer cannot flip to it any more; the
/// one that it shows is barred by the flip away from it (PROTOCOL 1).
pub(super) fn record_revocation(view: &View<'_>) -> Vec<Effect> {
    if !view.allows(Step::Urgent) {
        return Vec::new();
    }
    let listed = |key: &&Key| !key.is_revoked() && key.kid().is_some_and(|kid| mode(view, kid).is_some());
    let named: Vec<&Key> = view.observed.keys.iter().filter(listed).collect();
    let idle: Vec<&Key> = named.iter().copied().filter(|key| !is_shown(view, key)).collect();
    if let Some(bar) = bar(view, &idle) {
        return vec![bar];
    }
    let revoked = |key: &&Key| {
        let lifecycle = Lifecycle { revocation_time: Some(view.now), ..key.lifecycle.clone() };
        record(view, key, lifecycle, RecordCause::Revocation)
    };
    named.iter().map(revoked).collect()
}

/// Destroys the private halves of revoked keys, and takes them out of the set.
pub(super) fn end(view: &View<'_>) -> Vec<Effect> {
    let unfinished =
        |key: &&Key| key.is_revoked() && (!key.is_removed() || matches!(key.private, PrivateHalf::Stored(_)));
    let gone: Vec<&Key> = view.observed.keys.iter().filter(unfinished).filter(|key| !is_shown(view, key)).collect();
    if !view.allows(Step::Urgent) || gone.is_empty() || shows_lost_key(view) {
        return Vec::new();
    }
    if let Some(bar) = bar(view, &gone) {
        return vec![bar];
    }
    let destroyed = gone.iter().filter_map(|key| match &key.private {
        PrivateHalf::Stored(fence) => {
            Some(Effect::DeleteKeySecret { key: key.name.clone(), fence: fence.clone(), cause: DeleteCause::Destroy })
        }
        PrivateHalf::Absent | PrivateHalf::Mismatched(_) | PrivateHalf::Foreign => None,
    });
    let destroyed: Vec<Effect> = destroyed.collect();
    if !destroyed.is_empty() {
        return destroyed;
    }
    let leaving = gone.iter().filter(|key| removal_time(view, key).is_some_and(|time| time <= view.now));
    let removed = |key: &&Key| {
        let lifecycle = Lifecycle { removal_time: Some(view.now), ..key.lifecycle.clone() };
        record(view, key, lifecycle, RecordCause::Removal)
    };
    leaving.map(removed).collect()
}

/// When a revoked key may leave the set; `None` while it signs, or nothing else does, or a rollout is awaited.
pub(super) fn removal_time(view: &View<'_>, key: &Key) -> Option<Timestamp> {
    let revoked = key.lifecycle.revocation_time.filter(|_| !key.is_removed())?;
    let others_sign = || {
        let signing = view.signing().filter(|signing| !signing.is_over() && view.can_sign(signing))?;
        view.current_set()?.contains(signing.kid()?).then_some(())
    };
    if is_shown(view, key) {
        return None;
    }
    others_sign()?;
    if key.kid().and_then(|kid| mode(view, kid)) == Some(RevocationMode::Immediate) {
        return Some(revoked);
    }
    // Until when signers may use it: by its record, or by the Signer Secret if the record of its switch is missing.
    let replaced = view.signer().filter(|signer| signer.replaced.as_ref() == key.kid()).map(|it| it.activation_time);
    let switched = key.lifecycle.retirement_time.max(replaced);
    let Some(switched) = switched else { return Some(revoked) };
    rollout::released(view, key, switched).map(|time| after(time, view.contract.reload_lag).max(revoked))
}

/// How the spec wants a kid revoked, if it does.
pub(super) fn mode(view: &View<'_>, kid: &KeyId) -> Option<RevocationMode> {
    view.observed.key_set.spec.revoked_keys.iter().find(|revoked| revoked.key_id == *kid).map(|revoked| revoked.mode)
}

/// How far each revocation is that the spec asks for.
pub(super) fn status(view: &View<'_>) -> Vec<RevocationStatus> {
    view.observed.key_set.spec.revoked_keys.iter().map(|revoked| of(view, &revoked.key_id)).collect()
}

fn of(view: &View<'_>, kid: &KeyId) -> RevocationStatus {
    let key = view.key(kid);
    let state = match key {
        None => RevocationState::NotFound,
        Some(key) if key.is_removed() => RevocationState::Removed,
        Some(key) if is_shown(view, key) => RevocationState::WaitingForStandby,
        Some(_) => RevocationState::WaitingForSigners,
    };
    let removal_time = key.and_then(|key| key.lifecycle.removal_time);
    let exposure_end_time = removal_time.and_then(|_| exposure_end_time(view, kid));
    RevocationStatus { key_id: kid.clone(), state, removal_time, exposure_end_time }
}

/// `C + S` after the first complete pass in which nobody serves the key (PROTOCOL 7). An answer with it begins anew.
fn exposure_end_time(view: &View<'_>, kid: &KeyId) -> Option<Timestamp> {
    let stored = view.prior().and_then(|status| status.revocations.iter().find(|it| it.key_id == *kid));
    let stored = stored.and_then(|it| it.exposure_end_time);
    let gone = view.current_set().is_some_and(|set| !set.contains(kid));
    let believed = view.observed.clock == Clock::Trusted;
    match view.observed.key_set.spec.publication.visibility {
        VisibilitySource::Assumed => {
            let seen = (gone && believed)
                .then(|| after(after(view.now, view.contract.publication_delay), view.contract.lead()));
            stored.or(seen)
        }
        VisibilitySource::Replicas => {
            let Some(pass) = &view.observed.pass else { return stored };
            if pass.replicas.iter().any(|replica| replica.serves(kid)) {
                return None;
            }
            let seen =
                view.fresh_pass().filter(|_| gone && believed).map(|pass| after(pass.time, view.contract.lead()));
            stored.or(seen)
        }
    }
}

/// Whether the Signer Secret shows the key: then it signs, whatever the ledger says. A lost Secret showed the active one.
fn is_shown(view: &View<'_>, key: &Key) -> bool {
    let active = || !key.is_removed() && is_active(&key.lifecycle);
    view.signer().map_or_else(active, |signer| Some(&signer.key_id) == key.kid())
}
