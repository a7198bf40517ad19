//! Restores: objects that came back from a backup know less than verifiers do (PROTOCOL 9).
//!
//! A replica that still serves a later set is a witness: what it serves stays published, keys that it no longer serves do
//! not come back, and signers get a key that both know. Without a witness, signers get the key that was planned for
//! today, and the status tells until when verifiers may not know it. What is revoked is revoked again by the spec.
//! Absent on purpose: any use of this for a status that is lost alone.

use jiff::SignedDuration;

use super::contract::after;
use super::effect::{Effect, RecordCause};
use super::observed::{Key, Observed, ObservedKeySet, Published, Replica, ServedKeys, Witness};
use super::record::record;
use super::rotate::activate;
use super::schedule::{Rotation, Successor, Window};
use super::signer::bar;
use super::view::{Step, View};
use crate::api::{Lifecycle, Origin, PublicationStatus, RotationMode, RotationReason};
use crate::jose::{Digest, JwkSet};

/// The replica whose document is sought: one that serves a later set than the objects know of, or, where the ConfigMap does
/// not hold an accepted document, one that does.
pub fn sought(observed: &Observed) -> Option<&Replica> {
    let accepted = accepted(observed);
    let is_lawful = |digest: &Digest| accepted.is_some_and(|it| it.accepts(digest));
    let held = match &observed.published {
        Published::Ours(document) => document.digest.as_ref().is_some_and(is_lawful),
        Published::Absent | Published::Foreign => false,
    };
    let replicas = observed.pass.iter().flat_map(|pass| &pass.replicas);
    let lawful = || {
        let mut holders = replicas.filter(|it| it.served.as_ref().is_some_and(|served| is_lawful(&served.digest)));
        holders.next().filter(|_| !held)
    };
    ahead(observed).or_else(lawful)
}

/// Whether a replica serves that very document of this set.
pub(super) fn is_served(observed: &Observed, digest: &Digest) -> bool {
    let served = observed.pass.iter().flat_map(|pass| &pass.replicas).filter_map(|replica| replica.served.as_ref());
    served.filter(|served| is_ours(observed, served)).any(|served| served.digest == *digest)
}

/// A set of another KeySet of that name counts only if this one has signed: a KeySet that was deleted and made anew owes the
/// keys of before nothing.
fn is_ours(observed: &Observed, served: &ServedKeys) -> bool {
    observed.ever_signed() || served.key_set_uid.as_ref().is_some_and(|uid| *uid == observed.key_set.uid)
}

/// The accept pair, if it was stored for this very KeySet.
fn accepted(observed: &Observed) -> Option<&PublicationStatus> {
    let ObservedKeySet { uid, status, .. } = &observed.key_set;
    status.publication.as_ref().filter(|_| status.observed_uid.as_ref() == Some(uid))
}

/// A later set than the objects know of.
fn ahead(observed: &Observed) -> Option<&Replica> {
    let Observed { published, pass, .. } = observed;
    let document = match published {
        Published::Ours(document) => Some(document),
        Published::Absent | Published::Foreign => None,
    };
    let known = accepted(observed).and_then(|it| it.revision).max(document.and_then(|it| it.revision));
    let replicas =
        pass.iter().flat_map(|pass| &pass.replicas).filter_map(|replica| Some((replica, replica.served.as_ref()?)));
    // A set that is gone for good is reported without a key; the same document under another revision says nothing new.
    let is_news = |served: &ServedKeys| document.is_none_or(|it| it.digest.as_ref() != Some(&served.digest));
    let later = replicas
        .filter(|(_, served)| !served.ages.is_empty() && Some(served.revision) > known)
        .filter(|(_, served)| is_news(served) && is_ours(observed, served));
    let latest = later.max_by_key(|(_, served)| served.revision);
    latest.map(|(replica, _)| replica)
}

/// Gives signers a key that the witness serves, then takes keys out that it no longer serves.
pub(super) fn follow(view: &View<'_>) -> Vec<Effect> {
    if view.allows(Step::Urgent) { steps(view) } else { Vec::new() }
}

/// Whether a set may be accepted: its revision ends what the witness says, so nothing of that may be left to do.
pub(super) fn is_followed(view: &View<'_>) -> bool {
    let recorded = |set: &JwkSet| set.keys().iter().all(|jwk| view.key(jwk.kid()).is_some());
    later(view).is_none() || (witnessed(view).is_some_and(recorded) && steps(view).is_empty())
}

fn steps(view: &View<'_>) -> Vec<Effect> {
    let Some(set) = witnessed(view) else { return Vec::new() };
    if let Some(rotation) = Rotation::next(view).filter(|rotation| rotation.reason == RotationReason::Restored) {
        return rotation.successor.and_then(|it| activate(view, it.key, rotation.reason)).into_iter().collect();
    }
    let signing = view.signing().and_then(Key::kid);
    if !signing.is_some_and(|kid| set.contains(kid)) {
        return Vec::new();
    }
    let over = |key: &&Key| {
        let unserved = key.kid().is_some_and(|kid| !set.contains(kid));
        unserved && key.origin != Origin::External && !view.is_held(key) && was_published(view, key)
    };
    let leaving: Vec<&Key> = view.published().filter(over).collect();
    if let Some(bar) = bar(view, &leaving) {
        return vec![bar];
    }
    let removed = |key: &&Key| {
        let earliest = key.lifecycle.earliest_removal_time.unwrap_or(view.now);
        let removal_time = Some(view.now.max(earliest));
        let lifecycle = Lifecycle { earliest_removal_time: Some(earliest), removal_time, ..key.lifecycle.clone() };
        record(view, key, lifecycle, RecordCause::Removal)
    };
    leaving.iter().map(removed).collect()
}

/// The set of the witness, if it is a later one; it counts as published.
pub(super) fn witnessed<'a>(view: &View<'a>) -> Option<&'a JwkSet> {
    later(view)?.set.as_ref()
}

fn later<'a>(view: &View<'a>) -> Option<&'a Witness> {
    view.observed.witness.as_ref().filter(|witness| !view.publication().is_some_and(|it| it.accepts(&witness.digest)))
}

/// Who signs if the witness does not serve the key that does: the newest key that both know. Without one the same key goes
/// on under a new term, so that the status tells what it costs.
pub(super) fn known_to_both<'a>(view: &View<'a>, signing: &'a Key) -> Option<Successor<'a>> {
    let set = witnessed(view)?;
    let serves = |key: &Key| key.kid().is_some_and(|kid| set.contains(kid));
    if serves(signing) {
        return None;
    }
    let known = |key: &&Key| view.is_eligible(key) && serves(key) && view.is_answered_now(key);
    let told = || {
        view.signer()
            .is_some_and(|it| it.reason == RotationReason::Restored && view.now < after(it.activation_time, TOLD))
    };
    let same = || Some(signing).filter(|key| view.is_eligible(key) && !told());
    let key = view.published().filter(known).max_by_key(|key| key.sequence).or_else(same)?;
    Some(Successor { key, ready: Some(view.now), window: Window::UnknownKeyId })
}

/// Before the KeySet is claimed: gives signers the key that was planned for today.
pub(super) fn catch_up(view: &View<'_>) -> Vec<Effect> {
    let planned = planned(view).filter(|_| view.prior().is_none() && view.allows(Step::Urgent));
    planned.and_then(|key| activate(view, key, RotationReason::Restored)).into_iter().collect()
}

/// The newest key whose planned date has passed, if the one that signs is out of date and no replica knows better: of a
/// backup of day 0 on day 40 the second key, not the first.
pub(super) fn planned<'a>(view: &View<'a>) -> Option<&'a Key> {
    let key_set = &view.observed.key_set;
    let document = view.config_map().and_then(|document| document.digest.as_ref());
    // Who serves the restored document itself knows nothing more.
    let is_witness = |served: &ServedKeys| !served.ages.is_empty() && document != Some(&served.digest);
    let mut served = view.observed.pass.iter().flat_map(|pass| &pass.replicas).filter_map(|it| it.served.as_ref());
    if key_set.spec.rotation.mode != RotationMode::Interval || served.any(is_witness) {
        return None;
    }
    let signer = view.signer().filter(|signer| view.key(&signer.key_id).is_some_and(|key| !key.is_over()))?;
    // A status that is lost alone costs time and nothing else: the objects are those of this very KeySet.
    if signer.key_set_uid.as_ref() == Some(&key_set.uid) {
        return None;
    }
    let mut due = view.contract.due(RotationMode::Interval, &key_set.uid, signer.activation_time)?;
    let mut planned = None;
    for key in view.staged().filter(|key| view.is_eligible(key) && was_published(view, key)) {
        if due > view.now {
            break;
        }
        planned = Some(key);
        due = after(due, view.contract.interval);
    }
    planned
}

/// Whether the records or the document say that the key was in the set.
fn was_published(view: &View<'_>, key: &Key) -> bool {
    let stored = &view.observed.key_set.status.keys;
    let told = || stored.iter().any(|it| it.key_id.as_ref() == key.kid() && it.publish_time.is_some());
    let document = view.config_map().and_then(|document| document.set.as_ref());
    document.is_some_and(|set| key.kid().is_some_and(|kid| set.contains(kid))) || told()
}

/// Long enough for the writes that follow a switch.
const TOLD: SignedDuration = SignedDuration::from_mins(1);
