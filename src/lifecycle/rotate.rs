//! The switch: one write of the Signer Secret that makes another key the signing key.

use super::effect::{Effect, SignerChange, SignerRecord};
use super::ledger::next_second;
use super::observed::{Key, Signer};
use super::schedule::{Rotation, Successor, Window};
use super::signer::bars;
use super::view::View;
use crate::api::RotationReason;

/// Flips the Signer Secret to the successor, if it is due and guard 1 holds.
///
/// Guard 1: the key was seen served by every replica for `C + S`, and is seen so now by a complete pass of at most 30 s.
/// A switch that may cost an unknown kid takes what can be had: whoever answers serves the key.
pub(super) fn switch(view: &View<'_>) -> Vec<Effect> {
    let Some(rotation) = Rotation::next(view).filter(|rotation| view.allows(rotation.step())) else {
        return Vec::new();
    };
    let due = rotation.earliest().is_some_and(|time| time <= view.now);
    let served = |successor: &Successor<'_>| match successor.window {
        Window::None => view.is_visible_now(successor.key),
        Window::UnknownKeyId => view.is_answered_now(successor.key),
    };
    let Some(successor) = rotation.successor.filter(|successor| due && served(successor)) else {
        return Vec::new();
    };
    activate(view, successor.key, rotation.reason).into_iter().collect()
}

/// The write that makes a key the signing key, under a new term. A flip away from a revoked key bars it in the same
/// write (PROTOCOL 1).
pub(super) fn activate(view: &View<'_>, key: &Key, reason: RotationReason) -> Option<Effect> {
    let record = SignerRecord {
        term: highest_term(view) + 1,
        key_name: key.name.clone(),
        key_id: key.kid()?.clone(),
        activation_time: key.lifecycle.retirement_time.map_or(view.now, |retired| next_second(retired).max(view.now)),
        replaced: view.signing().or_else(|| last_retired(view)).and_then(|replaced| replaced.kid().cloned()),
        barred: bars(view),
        reason,
    };
    let fence = match &view.observed.signer {
        Signer::Ours(signer) => Some(signer.fence.clone()),
        Signer::Illegible(fence) => Some(fence.clone()),
        Signer::Absent | Signer::Foreign => None,
    };
    Some(Effect::WriteSigner { fence, record, change: SignerChange::Activate })
}

/// The key that signers may still have when nothing shows one: the last to retire, perhaps only because its record was lost.
fn last_retired<'a>(view: &View<'a>) -> Option<&'a Key> {
    view.published().filter(|key| key.is_retired()).max_by_key(|key| key.lifecycle.retirement_time)
}

/// The highest term ever seen, in the ledger or in the Signer Secret.
fn highest_term(view: &View<'_>) -> i64 {
    let ledger = view.observed.keys.iter().filter_map(|key| key.lifecycle.term);
    ledger.chain(view.signer().map(|signer| signer.term)).max().unwrap_or(0)
}
