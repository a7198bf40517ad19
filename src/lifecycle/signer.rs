//! The Signer Secret and the Key Secrets: they back each other up, and bars keep a paused writer from undoing a decision.

use std::collections::BTreeSet;

use super::effect::{DeleteCause, Effect, SignerChange, SignerRecord};
use super::observed::{Key, Ownership, PrivateHalf, Signer, SignerContent, SignerSecret};
use super::view::View;
use crate::api::{Origin, RotationReason};
use crate::jose::KeyId;

/// Writes a Signer Secret that is lost, damaged, or behind the ledger, from the Key Secret of the key that should sign.
pub(super) fn repair_signer(view: &View<'_>) -> Vec<Effect> {
    let write = |key: &Key, fence, record, change| {
        let stored = matches!(key.private, PrivateHalf::Stored(_));
        stored.then_some(Effect::WriteSigner { fence, record, change })
    };
    let repair = |key: &Key, fence, record| write(key, fence, record, SignerChange::Repair);
    let effect = match &view.observed.signer {
        Signer::Foreign => None,
        Signer::Absent => view.ledger_active().and_then(|key| repair(key, None, recorded(view, key)?)),
        Signer::Illegible(fence) => {
            view.ledger_active().and_then(|key| repair(key, Some(fence.clone()), recorded(view, key)?))
        }
        Signer::Ours(signer) => {
            let later = view.ledger_active().filter(|key| key.lifecycle.term > Some(signer.term));
            let behind = later.or_else(|| view.contradicted(signer));
            if let Some(key) = behind {
                recorded(view, key).and_then(|record| repair(key, Some(signer.fence.clone()), record))
            } else {
                let change = amiss(view, signer);
                let key = view.key(&signer.key_id).filter(|key| !key.is_over());
                let signing = key.zip(change);
                signing.and_then(|(key, change)| write(key, Some(signer.fence.clone()), kept(view, signer), change))
            }
        }
    };
    effect.into_iter().collect()
}

/// What is to be put right in a Signer Secret whose record holds. Other files than the spec asks for are nobody's fault
/// as long as the status does not acknowledge the spec.
fn amiss(view: &View<'_>, signer: &SignerSecret) -> Option<SignerChange> {
    let key_set = &view.observed.key_set;
    let acknowledged = view.prior().is_some_and(|status| status.observed_generation == Some(key_set.generation));
    match (signer.content, signer.ownership) {
        (SignerContent::OtherFiles, Ownership::AsWanted) if !acknowledged => Some(SignerChange::Files),
        (SignerContent::Intact, Ownership::AsWanted) => None,
        _ => Some(SignerChange::Repair),
    }
}

/// Deletes Key Secrets that hold another key than their SigningKey says, and rebuilds the signing key's from the Signer Secret.
pub(super) fn repair_key_secrets(view: &View<'_>) -> Vec<Effect> {
    let mismatched = view.observed.keys.iter().filter_map(|key| match &key.private {
        PrivateHalf::Mismatched(fence) => {
            Some(Effect::DeleteKeySecret { key: key.name.clone(), fence: fence.clone(), cause: DeleteCause::Mismatch })
        }
        PrivateHalf::Stored(_) | PrivateHalf::Absent | PrivateHalf::Foreign => None,
    });
    let lost = view.signer().filter(|signer| signer.content != SignerContent::Damaged).and_then(|signer| {
        let key = view.key(&signer.key_id).filter(|key| !key.is_over() && key.private == PrivateHalf::Absent)?;
        Some(Effect::RebuildKeySecret { key: key.name.clone(), key_id: signer.key_id.clone() })
    });
    mismatched.chain(lost).collect()
}

/// Makes sure that nobody can flip to these keys any more, before what made them keys is taken away.
///
/// `None`: they are barred already, or only a switch can, which bars them too.
pub(super) fn bar(view: &View<'_>, keys: &[&Key]) -> Option<Effect> {
    let signer = view.signer().filter(|_| !shows_lost_key(view))?;
    let private = keys.iter().filter(|key| key.origin != Origin::External);
    let mut missing = private.filter_map(|key| key.kid()).filter(|kid| !signer.barred.contains(kid)).peekable();
    missing.peek()?;
    let mut record = kept(view, signer);
    record.barred.extend(missing.cloned());
    Some(Effect::WriteSigner { fence: Some(signer.fence.clone()), record, change: SignerChange::Bar })
}

/// Whether nobody has the key that the Signer Secret names: then it can only be written by a switch to another.
pub(super) fn shows_lost_key(view: &View<'_>) -> bool {
    view.signer().is_some_and(|signer| !view.key(&signer.key_id).is_some_and(|key| view.can_sign(key)))
}

/// Bars for a record that is written anew: the standing ones, and every key that must never sign again.
///
/// A bar outlives its SigningKey by no write: without a Key Secret there is nothing left to flip to.
pub(super) fn bars(view: &View<'_>) -> BTreeSet<KeyId> {
    let standing = view.signer().map(|signer| signer.barred.clone()).unwrap_or_default();
    let spent = |key: &Key| {
        key.origin != Origin::External && (key.is_over() || (key.is_retired() && key.private == PrivateHalf::Absent))
    };
    let known = |key: &&Key| key.kid().is_some_and(|kid| standing.contains(kid));
    view.observed.keys.iter().filter(|key| spent(key) || known(key)).filter_map(|key| key.kid().cloned()).collect()
}

/// The record of an activation that the ledger holds.
fn recorded(view: &View<'_>, key: &Key) -> Option<SignerRecord> {
    let replaced = view
        .observed
        .keys
        .iter()
        .filter(|other| other.name != key.name && other.lifecycle.retirement_time.is_some())
        .max_by_key(|other| other.lifecycle.retirement_time);
    let reason = view.prior().and_then(|status| status.last_rotation.as_ref()).filter(|last| last.key_name == key.name);
    Some(SignerRecord {
        term: key.lifecycle.term?,
        key_name: key.name.clone(),
        key_id: key.kid()?.clone(),
        activation_time: key.lifecycle.activation_time?,
        replaced: replaced.and_then(|other| other.kid().cloned()),
        barred: bars(view),
        reason: reason.map_or(RotationReason::Adopted, |last| last.reason),
    })
}

/// The record as it stands, with up-to-date bars. The key that it shows is barred by the flip away from it.
fn kept(view: &View<'_>, signer: &SignerSecret) -> SignerRecord {
    let mut barred = bars(view);
    barred.remove(&signer.key_id);
    SignerRecord {
        term: signer.term,
        key_name: signer.key_name.clone(),
        key_id: signer.key_id.clone(),
        activation_time: signer.activation_time,
        replaced: signer.replaced.clone(),
        barred,
        reason: signer.reason,
    }
}
