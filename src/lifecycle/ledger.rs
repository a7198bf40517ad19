//! The ledger: promises of a key that cannot be observed again, copied from the Signer Secret after the act.
//!
//! Each time is written after the write that it records was acknowledged, as `max(now, the time in the object)`, and
//! only moves later (PROTOCOL 1), so that two controllers' records merge by taking the later of each.

use jiff::{SignedDuration, Timestamp};

use super::contract::after;
use super::effect::{Effect, RecordCause};
use super::observed::{Clock, Key, SignerSecret};
use super::record::record;
use super::rollout;
use super::view::{View, is_active};
use crate::api::{Lifecycle, PrivateKeyState};

/// Copies an activation that the Signer Secret shows and the ledger does not.
///
/// A removed or revoked key is not copied: such a switch is undone instead (`rotate`).
pub(super) fn record_activation(view: &View<'_>) -> Vec<Effect> {
    let Some((signer, key)) = recordable(view) else { return Vec::new() };
    // At the same term a key that looks retired was retired by mistake: the Signer Secret is the judge.
    let is_recorded = |term| term > signer.term || (term == signer.term && is_active(&key.lifecycle));
    if key.lifecycle.term.is_some_and(is_recorded) {
        return Vec::new();
    }
    let activation = [Some(view.now), Some(signer.activation_time), key.lifecycle.retirement_time.map(next_second)];
    let activation = latest(activation).unwrap_or(view.now);
    let lifecycle = Lifecycle {
        term: Some(signer.term),
        activation_time: Some(activation),
        earliest_removal_time: key
            .lifecycle
            .earliest_removal_time
            .max(Some(after(activation, view.contract.retention()))),
        ..key.lifecycle.clone()
    };
    vec![record(view, key, lifecycle, RecordCause::Activation)]
}

/// Retires every key that still looks active although another one signs.
pub(super) fn record_retirement(view: &View<'_>) -> Vec<Effect> {
    let Some((signer, signing)) = recordable(view) else { return Vec::new() };
    let Some(successor) = signing.lifecycle.activation_time.filter(|_| signing.lifecycle.term == Some(signer.term))
    else {
        return Vec::new();
    };
    // A key of a higher term took over after the Signer Secret was read, or before it was restored: it is no predecessor.
    let others = view.observed.keys.iter();
    let others = others.filter(|key| key.name != signing.name && key.lifecycle.term <= Some(signer.term));
    // A revoked key retires like any other: signers may use it for a while yet. So does one that somebody recorded as
    // removed while it signed.
    let seems_active = |key: &Key| is_active(&key.lifecycle);
    // Its own record may be lost, or may have been written anew as retired before signers were given another key.
    let signed_until_then = |key: &Key| {
        let named = key.kid().is_some() && key.kid() == signer.replaced.as_ref();
        named && (key.is_staged() || (key.is_retired() && key.lifecycle.retirement_time < Some(successor)))
    };
    let replaced = |key: &&Key| seems_active(key) || signed_until_then(key);
    let retire = |key| record(view, key, retired(view, key, signer, successor), RecordCause::Retirement);
    others.filter(replaced).map(retire).collect()
}

/// Raises the promise of the keys that tokens may still be signed with, when the spec asks for more (law 6).
///
/// While a key is active its earliest removal is its activation plus the longest `L + T + S + M` in force since then, so
/// that the largest `T` is still known when it retires. It runs before the status acknowledges the generation.
pub(super) fn record_promise(view: &View<'_>) -> Vec<Effect> {
    let raise = |key: &Key| {
        let retention = view.contract.retention();
        let from = if key.is_active() {
            key.lifecycle.activation_time
        } else {
            // Signers may go on with the old key for L after the switch, or after the rollouts that follow it.
            let retired = key.lifecycle.retirement_time.filter(|_| key.is_retired())?;
            let released = rollout::told_release(view, key, retired);
            let lags = released.is_none_or(|time| view.now <= after(time, view.contract.reload_lag));
            Some(released.unwrap_or(retired)).filter(|_| lags)
        };
        let promised = from.map(|time| after(time, retention)).max(rollout::told_promise(view, key));
        let lifecycle = Lifecycle { earliest_removal_time: promised, ..key.lifecycle.clone() };
        (key.lifecycle.earliest_removal_time < promised).then(|| record(view, key, lifecycle, RecordCause::Promise))
    };
    view.published().filter_map(raise).collect()
}

/// Gives a staged key whose private half is lost the promise of one that signed until now: if a switch to it was lost
/// along with it, nobody can tell. The report says whether that was recorded for this loss.
pub(super) fn record_loss(view: &View<'_>) -> Vec<Effect> {
    let Some((signer, _)) = recordable(view) else { return Vec::new() };
    let is_recorded = |key: &Key| {
        let told = key.status.as_ref().is_some_and(|status| status.private_key == Some(PrivateKeyState::Lost));
        told && key.lifecycle.earliest_removal_time.is_some()
    };
    let promised = Some(after(view.now, view.contract.retention()));
    let lost = view.published().filter(|key| key.is_lost() && key.kid() != Some(&signer.key_id) && !is_recorded(key));
    lost.map(|key| {
        let earliest_removal_time = key.lifecycle.earliest_removal_time.max(promised);
        let lifecycle = Lifecycle { earliest_removal_time, ..key.lifecycle.clone() };
        record(view, key, lifecycle, RecordCause::Promise)
    })
    .collect()
}

/// The Signer Secret and its key, if what it says may be copied into the ledger.
///
/// A clock that is not to be believed records nothing: a time from the future could never be taken back.
fn recordable<'a>(view: &View<'a>) -> Option<(&'a SignerSecret, &'a Key)> {
    let believed = view.observed.clock == Clock::Trusted;
    let signer = view.signer().filter(|signer| believed && view.contradicted(signer).is_none())?;
    let key = view.key(&signer.key_id).filter(|key| !key.is_over())?;
    Some((signer, key))
}

fn retired(view: &View<'_>, key: &Key, signer: &SignerSecret, successor: Timestamp) -> Lifecycle {
    // A key whose record was lost is known to have signed by the Signer Secret that replaced it.
    let activation = key.lifecycle.activation_time.unwrap_or(signer.activation_time);
    let retirement =
        latest([Some(view.now), Some(successor), Some(activation), key.lifecycle.retirement_time]).unwrap_or(view.now);
    let longest = key
        .lifecycle
        .earliest_removal_time
        .map_or(SignedDuration::ZERO, |promised| promised.duration_since(activation))
        .max(view.contract.retention());
    Lifecycle {
        term: key.lifecycle.term.or(Some((signer.term - 1).max(1))),
        activation_time: Some(activation),
        retirement_time: Some(retirement),
        // What is recorded as removed can be promised nothing more; `publication` keeps it all the same.
        earliest_removal_time: match key.lifecycle.removal_time {
            Some(_) => key.lifecycle.earliest_removal_time,
            None => key.lifecycle.earliest_removal_time.max(Some(after(retirement, longest))),
        },
        ..key.lifecycle.clone()
    }
}

/// Two switches in one second must not tie.
pub(super) fn next_second(time: Timestamp) -> Timestamp {
    after(time, SignedDuration::from_secs(1))
}

fn latest<const N: usize>(times: [Option<Timestamp>; N]) -> Option<Timestamp> {
    times.into_iter().flatten().max()
}
