//! External keys: public halves of signers elsewhere, published for as long as the spec names them.
//!
//! An entry that goes away is retired, not dropped: the key stays for `L + T + S + M`, so that a revert in time changes
//! nothing. Absent on purpose: any way for such a key to sign here.

use jiff::Timestamp;

use super::contract::after;
use super::effect::{Effect, Provenance, RecordCause};
use super::import::refusal;
use super::observed::Key;
use super::record::{created_status, record};
use super::stage::free_sequences;
use super::view::{Step, View};
use crate::api::{ExternalKey, Lifecycle, Origin, PrivateKeyState, SigningKeyState};
use crate::jose::{KeyId, PublicJwk};

/// Writes a SigningKey for each entry of `externalKeys` that has none.
pub(super) fn announce(view: &View<'_>) -> Vec<Effect> {
    if !view.allows(Step::Urgent) {
        return Vec::new();
    }
    let mut sequences = free_sequences(view);
    let mut taken: Vec<PublicJwk> = Vec::new();
    let mut effects = Vec::new();
    for (entry, jwk) in missing(view) {
        let Ok(jwk) = jwk else { continue };
        let doubled = taken.iter().any(|other| other.thumbprint() == jwk.thumbprint());
        let Some(sequence) = (!doubled).then(|| sequences.next()).flatten() else { continue };
        taken.push(jwk.clone());
        let lifecycle = Lifecycle::default();
        let status = created_status(view, &lifecycle, PrivateKeyState::None);
        let provenance = Provenance::External { entry_name: entry.name.clone() };
        effects.push(Effect::AdoptKey { sequence, provenance, jwk, lifecycle, status });
    }
    effects
}

/// What keeps entries from being published, for people.
pub(super) fn refusals(view: &View<'_>) -> impl Iterator<Item = String> {
    missing(view).filter_map(|(entry, jwk)| {
        let why = jwk.err()?;
        Some(format!("externalKeys entry {}: {why}", entry.name))
    })
}

/// Records until when a key stays whose entry is gone.
///
/// The report says whether that was recorded for this absence: a lost report records it anew, which is only later.
pub(super) fn retire(view: &View<'_>) -> Vec<Effect> {
    if !view.allows(Step::Forward) {
        return Vec::new();
    }
    let is_recorded = |key: &Key| {
        let state = key.status.as_ref().and_then(|status| status.state);
        state == Some(SigningKeyState::Retiring) && key.lifecycle.earliest_removal_time.is_some()
    };
    let dropped = view.published().filter(|key| is_external(key) && !key.is_revoked());
    let dropped = dropped.filter(|key| entry(view, key).is_none() && !is_recorded(key));
    let retired = |key: &Key| {
        let promised = Some(after(view.now, view.contract.retention()));
        let earliest_removal_time = key.lifecycle.earliest_removal_time.max(promised);
        let lifecycle = Lifecycle { earliest_removal_time, ..key.lifecycle.clone() };
        record(view, key, lifecycle, RecordCause::Retirement)
    };
    dropped.map(retired).collect()
}

/// From when an external key may leave the set; `None` while the spec wants it published.
pub(super) fn removal_time(view: &View<'_>, key: &Key) -> Option<Timestamp> {
    if !is_external(key) || key.is_over() {
        return None;
    }
    let recorded = key.lifecycle.earliest_removal_time;
    if let Some(entry) = entry(view, key) {
        return entry.publish_until_time.map(|time| recorded.map_or(time, |recorded| time.max(recorded)));
    }
    let retiring = key.status.as_ref().is_some_and(|status| status.state == Some(SigningKeyState::Retiring));
    recorded.filter(|_| retiring)
}

/// The entry that the key stands for, if the spec still has it.
pub(super) fn entry<'a>(view: &View<'a>, key: &Key) -> Option<&'a ExternalKey> {
    let entries = &view.observed.key_set.spec.external_keys;
    entries
        .iter()
        .find(|entry| Some(&entry.name) == key.entry_name.as_ref() && entry.kid() == key.kid().map(KeyId::as_str))
}

/// The entry that names this very key.
pub(super) fn entry_of<'a>(view: &View<'a>, jwk: &PublicJwk) -> Option<&'a ExternalKey> {
    let entries = &view.observed.key_set.spec.external_keys;
    entries.iter().find(|entry| entry.jwk().as_ref() == Ok(jwk))
}

/// Entries that no published key stands for and that are still wanted, with their key or why it cannot be published.
fn missing<'a>(view: &View<'a>) -> impl Iterator<Item = (&'a ExternalKey, Result<PublicJwk, String>)> {
    let stands = |entry: &&ExternalKey| {
        view.published().any(|key| is_external(key) && self::entry(view, key).is_some_and(|it| it.name == entry.name))
    };
    let over = |entry: &&ExternalKey| entry.publish_until_time.is_some_and(|time| time <= view.now);
    let entries = view.observed.key_set.spec.external_keys.iter();
    let missing: Vec<_> = entries
        .filter(|entry| !stands(entry) && !over(entry))
        .map(|entry| {
            let jwk = entry.jwk().map_err(|error| error.to_string());
            (entry, jwk.and_then(|jwk| refusal(view, &jwk, Origin::External).map_or(Ok(jwk), Err)))
        })
        .collect();
    missing.into_iter()
}

fn is_external(key: &Key) -> bool {
    key.origin == Origin::External
}
