//! Adoption: no published key is left without a record, and no Key Secret of a lost set unused.

use std::collections::{BTreeMap, BTreeSet};

use super::contract::after;
use super::effect::{Effect, Provenance};
use super::observed::{Clock, Stray};
use super::record::created_status;
use super::stage::{next_sequence, sequence_of};
use super::view::View;
use super::{external, restore};
use crate::api::names::secret;
use crate::api::{KeyState, KeyStatus, Lifecycle, PrivateKeyState, SecretKeyRef};
use crate::jose::{JwkSet, KeyId, PublicJwk};

/// Writes a SigningKey for every published key that has none (its object was deleted, or a backup does not know it), so
/// that it leaves by the rules.
///
/// Such a key counts as retired now, unless the Signer Secret shows it: then it goes on signing.
pub(super) fn adopt(view: &View<'_>) -> Vec<Effect> {
    if !may_adopt(view) {
        return Vec::new();
    }
    // What a witness serves is promised from now on, by a clock that can be believed.
    let witnessed = restore::witnessed(view).filter(|_| view.observed.clock == Clock::Trusted);
    let published = [view.accepted_set(), witnessed].into_iter().flatten().flat_map(JwkSet::keys);
    let mut taken: BTreeSet<i64> = view.observed.keys.iter().map(|key| key.sequence).collect();
    let orphans: BTreeMap<&KeyId, &PublicJwk> =
        published.filter(|jwk| view.key(jwk.kid()).is_none()).map(|jwk| (jwk.kid(), jwk)).collect();
    orphans
        .into_values()
        .map(|jwk| {
            let sequence = recorded_sequence(view, jwk)
                .filter(|sequence| !taken.contains(sequence))
                .unwrap_or_else(|| next_sequence(view).max(taken.last().map_or(1, |last| last + 1)));
            taken.insert(sequence);
            let (provenance, lifecycle) = orphan(view, sequence, jwk);
            // Its Key Secret, if there is one, is found by the next look.
            let private = match provenance {
                Provenance::External { .. } => PrivateKeyState::None,
                Provenance::Generated | Provenance::Imported { .. } => PrivateKeyState::Lost,
            };
            let status = created_status(view, &lifecycle, private);
            Effect::AdoptKey { sequence, provenance, jwk: jwk.clone(), lifecycle, status }
        })
        .collect()
}

/// Writes a SigningKey for every Key Secret whose record is lost: before the KeySet is claimed, and later where the status
/// tells of it. What signs must not be unpublished by the loss (PROTOCOL 8).
///
/// Every one but the signer's counts as retired now, as nobody knows any more whether it ever signed.
pub(super) fn adopt_strays(view: &View<'_>) -> Vec<Effect> {
    if !may_adopt(view) {
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

/// What becomes of a published key that has no record.
fn orphan(view: &View<'_>, sequence: i64, jwk: &PublicJwk) -> (Provenance, Lifecycle) {
    let provenance = provenance(view, sequence, jwk, None);
    let shown = view.signer().is_some_and(|signer| signer.key_id == *jwk.kid());
    let ours = shown || view.accepted_set().is_some_and(|set| set.contains(jwk.kid()));
    match provenance {
        Provenance::External { .. } => (provenance, Lifecycle::default()),
        Provenance::Generated | Provenance::Imported { .. } if ours => (provenance, adopted_lifecycle(view, jwk)),
        // Only a witness knows it: its private half is gone with the records, and its tokens may be in use.
        Provenance::Generated | Provenance::Imported { .. } => {
            let earliest_removal_time = Some(after(view.now, view.contract.retention()));
            let provenance = Provenance::External { entry_name: format!("witnessed-{sequence}") };
            (provenance, Lifecycle { earliest_removal_time, ..Lifecycle::default() })
        }
    }
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
    // The report of the set remembers what the record of the key did.
    let revocation_time = stored_status(view, jwk).filter(|key| key.state == KeyState::Revoked).map(|_| view.now);
    if has_never_signed(view) {
        return Lifecycle { revocation_time, ..Lifecycle::default() };
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
        revocation_time,
        ..Lifecycle::default()
    }
}

/// Whether the set that is claimed never signed: then a key of it without a record is as new as it was, and guard 1 holds
/// for it.
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
