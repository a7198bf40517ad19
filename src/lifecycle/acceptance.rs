//! What of the spec cannot be honoured, in words: entries that are refused, a pin that cannot hold, an issuer
//! that is not to be had, kids that nobody has.
//!
//! Bad input loses nothing: what the set serves goes on being served, and everything else that the spec asks for is done.

use super::observed::IssuerObstacle;
use super::verdict::{Verdict, verdict};
use super::view::View;
use super::{external, import, pin};
use crate::api::ConditionStatus;
use crate::api::names::{condition, reason};
use crate::jose::KeyId;

/// Whether the spec can be honoured; False is for a person to put right.
pub(super) fn accepted(view: &View<'_>) -> Verdict {
    let not = |reason, message| verdict(condition::ACCEPTED, ConditionStatus::False, reason, message);
    let refused: Vec<String> = import::refusals(view).chain(external::refusals(view)).collect();
    if !refused.is_empty() {
        return not(reason::INVALID_IMPORT, format!("Not taken: {}.", refused.join("; ")));
    }
    // Before anything signs, nobody can know a kid to pin.
    if let Some(Err(why)) = pin::target(view) {
        return not(reason::PIN_UNAVAILABLE, format!("rotation.pinnedKeyID cannot hold: {why}."));
    }
    let namespace = &view.observed.key_set.namespace;
    match &view.observed.issuer {
        Some(IssuerObstacle::NotAllowed) => not(
            reason::ISSUER_NOT_ALLOWED,
            format!(
                "publication.issuer is not served: its host is not given to namespace {namespace}. Ask the administrator of the operator for it (--allow-issuer-host, issuerHosts in the chart)."
            ),
        ),
        Some(IssuerObstacle::Taken { by }) => not(
            reason::ISSUER_CONFLICT,
            format!(
                "publication.issuer is not served: the older KeySet {by} is at that URL. Take it out of one of them."
            ),
        ),
        None => accepted_whole(),
    }
}

fn accepted_whole() -> Verdict {
    verdict(condition::ACCEPTED, ConditionStatus::True, reason::ACCEPTED, "The spec is understood and can be honoured.")
}

/// Kids that the spec lists and no key has: perhaps a typing error, in the moment when it matters most.
pub(super) fn unknown_key_id(view: &View<'_>) -> Option<Verdict> {
    let spec = &view.observed.key_set.spec;
    let unknown = |kid: &&KeyId| view.key(kid).is_none();
    let revoked = spec.revoked_keys.iter().map(|it| &it.key_id).filter(unknown).map(|kid| format!("revokedKeys {kid}"));
    let held = spec.held_keys.iter().map(|it| &it.key_id).filter(unknown).map(|kid| format!("heldKeys {kid}"));
    let named: Vec<String> = revoked.chain(held).take(MOST_NAMED).collect();
    (!named.is_empty()).then(|| {
        let message = format!("No key of this set has kid {}: {}.", named.join(", "), pin::known_kids(view));
        verdict(condition::UNKNOWN_KEY_ID, ConditionStatus::True, reason::NOT_FOUND, message)
    })
}

const MOST_NAMED: usize = 8;
