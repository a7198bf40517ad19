//! Staging: there always is a next key, published long before it signs; and no published key is left without a record.

use std::collections::BTreeSet;

use super::contract::after;
use super::effect::{Effect, Provenance};
use super::external;
use super::observed::{Clock, Key, Stray};
use super::record::created_status;
use super::schedule::Rotation;
use super::view::{Step, View, wanted_rsa_bits};
use crate::api::names::secret;
use crate::api::{FirstKey, KeyState, KeyStatus, Lifecycle, Origin, PrivateKeyState, SecretKeyRef};
use crate::jose::PublicJwk;

/// Most keys of its own that a set may hold: a set of RSA keys stays well under what the strictest verifier reads (50 KiB).
pub(super) const MAX_KEYS: usize = 16;

/// Makes the keys that are missing: a standby, and before anything ever signed the first key too.
///
/// At the bound of the set nothing is made; nothing leaves early for it.
pub(super) fn stage(view: &View<'_>) -> Vec<Effect> {
    let spec = &view.observed.key_set.spec;
    let imported = view.observed.keys.iter().any(|key| key.origin == Origin::Imported);
    let waits_for_import = spec.rotation.first_key == FirstKey::WaitForImport && !view.ever_signed() && !imported;
    // A revoked or lost key needs a successor even if the set is suspended.
    let step = Rotation::next(view).map_or(Step::Forward, |rotation| rotation.step());
    if !view.allows(step) || waits_for_import {
        return Vec::new();
    }
    let wanted: usize = if view.ever_signed() { 1 } else { 2 };
    let usable = view.staged().filter(|key| is_usable(view, key)).count();
    let room = MAX_KEYS.saturating_sub(published(view));
    free_sequences(view)
        .take(wanted.saturating_sub(usable).min(room))
        .map(|sequence| Effect::StageKey {
            sequence,
            algorithm: spec.algorithm,
            rsa_key_bits: wanted_rsa_bits(spec),
            status: created_status(view, &Lifecycle::default(), PrivateKeyState::Stored),
        })
        .collect()
}

/// Whether the set is full, so that no standby can be made.
pub(super) fn is_at_bound(view: &View<'_>) -> bool {
    published(view) >= MAX_KEYS
}

/// Writes a SigningKey for every published key that has none (its object was deleted), so that it leaves by the rules.
///
/// Such a key counts as retired now, unless the Signer Secret shows it: then it goes on signing.
pub(super) fn adopt(view: &View<'_>) -> Vec<Effect> {
    let Some(set) = view.accepted_set().filter(|_| may_adopt(view)) else { return Vec::new() };
    let mut taken: BTreeSet<i64> = view.observed.keys.iter().map(|key| key.sequence).collect();
    let orphans = set.keys().iter().filter(|jwk| view.key(jwk.kid()).is_none());
    orphans
        .map(|jwk| {
            let sequence = recorded_sequence(view, jwk)
                .filter(|sequence| !taken.contains(sequence))
                .unwrap_or_else(|| next_sequence(view).max(taken.last().map_or(1, |last| last + 1)));
            taken.insert(sequence);
            let provenance = provenance(view, sequence, jwk, None);
            // Its Key Secret, if there is one, is found by the next look.
            let (lifecycle, private) = match provenance {
                Provenance::External { .. } => (Lifecycle::default(), PrivateKeyState::None),
                _ => (adopted_lifecycle(view, jwk), PrivateKeyState::Lost),
            };
            let status = created_status(view, &lifecycle, private);
            Effect::AdoptKey { sequence, provenance, jwk: jwk.clone(), lifecycle, status }
        })
        .collect()
}

/// Writes a SigningKey for every Key Secret that has none when status and records are lost, before the KeySet is claimed:
/// what signs must not be unpublished by the loss (PROTOCOL 8).
///
/// Every one but the signer's counts as retired now, as nobody knows any more whether it ever signed.
pub(super) fn adopt_strays(view: &View<'_>) -> Vec<Effect> {
    if view.prior().is_some() || !may_adopt(view) {
        return Vec::new();
    }
    let adopted = |stray: &Stray| {
        let lifecycle = adopted_lifecycle(view, &stray.jwk);
        let status = created_status(view, &lifecycle, PrivateKeyState::Stored);
        let provenance = provenance(view, stray.sequence, &stray.jwk, stray.entry_name.as_deref());
        Effect::AdoptKey { sequence: stray.sequence, provenance, jwk: stray.jwk.clone(), lifecycle, status }
    };
    view.observed.strays.iter().map(adopted).collect()
}

/// Where a key comes from whose record was lost: the spec may still name it, and only a key of ours has its thumbprint
/// for a kid.
fn provenance(view: &View<'_>, sequence: i64, jwk: &PublicJwk, copied_for: Option<&str>) -> Provenance {
    let key_set = &view.observed.key_set;
    if let Some(entry) = external::entry_of(view, jwk).filter(|_| copied_for.is_none()) {
        return Provenance::External { entry_name: entry.name.clone() };
    }
    let imported = key_set.spec.imported_keys.iter();
    let mut imported =
        imported.filter(|entry| Some(entry.name.as_str()) == copied_for || entry.key_id.as_ref() == Some(jwk.kid()));
    if let Some(entry) = imported.next() {
        return Provenance::Imported { entry_name: entry.name.clone(), secret_ref: entry.secret_ref.clone() };
    }
    if copied_for.is_none() && jwk.kid() == jwk.thumbprint() {
        return Provenance::Generated;
    }
    let name = format!("{}-{sequence}", key_set.name);
    Provenance::Imported {
        entry_name: copied_for.map_or_else(|| format!("adopted-{sequence}"), ToOwned::to_owned),
        secret_ref: SecretKeyRef { name, key: secret::PRIVATE_PEM.to_owned() },
    }
}

/// Every record is known; and the time can be believed, or need not be, because the Signer Secret tells who signs.
fn may_adopt(view: &View<'_>) -> bool {
    view.observed.undecodable.is_empty() && (view.observed.clock == Clock::Trusted || view.signer().is_some())
}

/// The ledger of a key whose own is lost: the signer's key is active, every other one is retired now.
///
/// By a clock that is not to be believed none is retired: a promise would begin too early. It looks active until the
/// clock can be believed, and is then retired like any key that the Signer Secret does not show.
fn adopted_lifecycle(view: &View<'_>, jwk: &PublicJwk) -> Lifecycle {
    let believed = Some(view.now).filter(|_| view.observed.clock == Clock::Trusted);
    let signer = view.signer();
    if has_never_signed(view) {
        return Lifecycle::default();
    }
    let signs = signer.filter(|signer| signer.key_id == *jwk.kid());
    let activation_time = match signs {
        Some(signer) => believed.max(Some(signer.activation_time)),
        None => Some(view.now),
    };
    Lifecycle {
        term: Some(signs.map_or_else(|| signer.map_or(1, |signer| (signer.term - 1).max(1)), |signer| signer.term)),
        activation_time,
        retirement_time: believed.filter(|_| signs.is_none()),
        earliest_removal_time: Some(after(view.now, view.contract.retention())),
        // The report of the set remembers what the record of the key did.
        revocation_time: stored_status(view, jwk).filter(|key| key.state == KeyState::Revoked).map(|_| view.now),
        ..Lifecycle::default()
    }
}

/// Whether a set that is claimed never signed: then a key without a record is as new as it was, and guard 1 holds for it.
fn has_never_signed(view: &View<'_>) -> bool {
    view.prior().is_some_and(|status| status.last_rotation.is_none()) && !view.ever_signed()
}

fn stored_status<'a>(view: &View<'a>, jwk: &PublicJwk) -> Option<&'a KeyStatus> {
    view.observed.key_set.status.keys.iter().find(|key| key.key_id.as_ref() == Some(jwk.kid()))
}

/// The sequence that the Signer Secret or the status remembers for a kid.
fn recorded_sequence(view: &View<'_>, jwk: &PublicJwk) -> Option<i64> {
    let signer = view.signer().filter(|signer| signer.key_id == *jwk.kid()).map(|signer| signer.key_name.as_str());
    let stored = || stored_status(view, jwk).map(|key| key.name.as_str());
    sequence_of(view, signer.or_else(stored)?)
}

/// Sequences for new keys, in order.
pub(super) fn free_sequences(view: &View<'_>) -> impl Iterator<Item = i64> + use<> {
    next_sequence(view)..
}

/// Above every sequence that any object remembers: a name is never used for a second key.
fn next_sequence(view: &View<'_>) -> i64 {
    let keys = view.observed.keys.iter().map(|key| key.sequence);
    let undecodable = view.observed.undecodable.iter().filter_map(|name| sequence_of(view, name));
    let signer = view.signer().and_then(|signer| sequence_of(view, &signer.key_name));
    let status = view.observed.key_set.status.keys.iter().filter_map(|key| sequence_of(view, &key.name));
    keys.chain(undecodable).chain(signer).chain(status).max().unwrap_or(0) + 1
}

fn sequence_of(view: &View<'_>, name: &str) -> Option<i64> {
    name.strip_prefix(view.observed.key_set.name.as_str())?.strip_prefix('-')?.parse().ok()
}

/// Whether a staged key can become the next signing key.
fn is_usable(view: &View<'_>, key: &Key) -> bool {
    view.is_wanted_kind(key) && view.is_eligible(key)
}

/// External keys have a bound of their own in the schema.
fn published(view: &View<'_>) -> usize {
    view.published().filter(|key| key.origin != Origin::External).count()
}
