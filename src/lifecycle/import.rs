//! Import: private keys that the user brings along, and which keys a set refuses.
//!
//! A copy becomes a key like any other: it waits its full lead before it signs here. Since tokens that others signed with
//! it may be in use, it brings a promise along: it is published for `L + T + S + M` at least. kid and key stay one to
//! one for ever: a key that was revoked never comes back, and no kid gets a second key.

use super::contract::after;
use super::effect::Effect;
use super::observed::Import;
use super::record::created_status;
use super::stage::free_sequences;
use super::view::{Step, View};
use crate::api::{ImportedKey, Lifecycle, Origin, PrivateKeyState};
use crate::jose::PublicJwk;

/// Takes over the keys of `importedKeys` that no SigningKey stands for. One a round: the next look compares the next.
pub(super) fn import(view: &View<'_>) -> Vec<Effect> {
    if !view.allows(Step::Urgent) {
        return Vec::new();
    }
    let ready = view.observed.imports.iter().find_map(|import| {
        let (entry, jwk) = (entry(view, import)?, import.key.as_ref().ok()?);
        refusal(view, jwk, Origin::Imported).is_none().then_some((entry, jwk))
    });
    let imported = ready.zip(free_sequences(view).next()).map(|((entry, jwk), sequence)| {
        let promised = Some(after(view.now, view.contract.retention()));
        let lifecycle = Lifecycle { earliest_removal_time: promised, ..Lifecycle::default() };
        let status = created_status(view, &lifecycle, PrivateKeyState::Stored);
        Effect::ImportKey { sequence, entry: entry.clone(), jwk: jwk.clone(), lifecycle, status }
    });
    imported.into_iter().collect()
}

/// What keeps entries from being imported, for people.
pub(super) fn refusals(view: &View<'_>) -> impl Iterator<Item = String> {
    view.observed.imports.iter().filter_map(|import| {
        let refused = |jwk| refusal(view, jwk, Origin::Imported);
        let why = import.key.as_ref().map_or_else(|why| Some(why.clone()), refused)?;
        Some(format!("importedKeys entry {}: {why}", import.entry_name))
    })
}

/// Why a key cannot come into this set, and what to do about it.
pub(super) fn refusal(view: &View<'_>, jwk: &PublicJwk, origin: Origin) -> Option<String> {
    let listed = view
        .observed
        .key_set
        .spec
        .revoked_keys
        .iter()
        .any(|revoked| revoked.key_id == *jwk.kid() || revoked.key_id == *jwk.thumbprint());
    if listed {
        return Some(format!("revokedKeys lists kid {}: bring another key", jwk.kid()));
    }
    view.observed.keys.iter().find_map(|key| {
        let known = key.jwk.as_ref()?;
        let name = &key.name;
        let (same_key, same_kid) = (known.thumbprint() == jwk.thumbprint(), known.kid() == jwk.kid());
        match () {
            () if same_key && key.is_revoked() => Some(format!("the same key was revoked ({name}): bring another key")),
            () if same_kid && !same_key => {
                Some(format!("kid {} is the kid of another key ({name}): a kid names one key for ever", jwk.kid()))
            }
            () if same_key && !key.is_removed() => Some(format!("the same key is in the set already ({name})")),
            () if same_key && origin == Origin::Imported => {
                Some(format!("the same key left the set ({name}) and must not sign again: bring another key"))
            }
            () => None,
        }
    })
}

fn entry<'a>(view: &View<'a>, import: &Import) -> Option<&'a ImportedKey> {
    view.observed.key_set.spec.imported_keys.iter().find(|entry| entry.name == import.entry_name)
}
