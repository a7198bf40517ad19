//! Staging: there always is a next key, published long before it signs.

use super::effect::Effect;
use super::observed::Key;
use super::record::created_status;
use super::schedule::Rotation;
use super::view::{Step, View, wanted_rsa_bits};
use crate::api::{FirstKey, Lifecycle, Origin, PrivateKeyState};

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

/// Sequences for new keys, in order.
pub(super) fn free_sequences(view: &View<'_>) -> impl Iterator<Item = i64> + use<> {
    next_sequence(view)..
}

/// Above every sequence that any object remembers: a name is never used for a second key.
pub(super) fn next_sequence(view: &View<'_>) -> i64 {
    let keys = view.observed.keys.iter().map(|key| key.sequence);
    let undecodable = view.observed.undecodable.iter().filter_map(|name| sequence_of(view, name));
    let signer = view.signer().and_then(|signer| sequence_of(view, &signer.key_name));
    let status = view.observed.key_set.status.keys.iter().filter_map(|key| sequence_of(view, &key.name));
    keys.chain(undecodable).chain(signer).chain(status).max().unwrap_or(0) + 1
}

pub(super) fn sequence_of(view: &View<'_>, name: &str) -> Option<i64> {
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
