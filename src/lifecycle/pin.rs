//! The pin: `rotation.pinnedKeyID` asks for one active key and no other, for as long as it stands.
//!
//! It brings a retired key back inside its rollback window, makes the standby sign early, or keeps the active key. It
//! waits for guard 1 like every switch without a declared window. Revocation and loss win over it.

use super::observed::{Key, PrivateHalf};
use super::retire::is_leaving;
use super::view::View;
use crate::api::Origin;
use crate::jose::KeyId;

/// The kid that the spec pins.
pub(super) fn pinned<'a>(view: &View<'a>) -> Option<&'a KeyId> {
    view.observed.key_set.spec.rotation.pinned_key_id.as_ref()
}

/// The pinned key, or why it cannot sign and what to do about it; `None` without a pin.
pub(super) fn target<'a>(view: &View<'a>) -> Option<Result<&'a Key, String>> {
    let kid = pinned(view)?;
    let unpin = "remove rotation.pinnedKeyID to go on";
    let Some(key) = view.key(kid) else {
        return Some(Err(format!("no key of this set has kid {kid} ({}): {unpin}", known_kids(view))));
    };
    let name = &key.name;
    let why = match &key.private {
        _ if key.is_revoked() => Some(format!("{name} was revoked: {unpin}")),
        _ if key.is_removed() => Some(format!("{name} left the set: {unpin}")),
        _ if key.origin == Origin::External => {
            Some(format!("{name} is an external key, which signs elsewhere: {unpin}"))
        }
        // The Signer Secret alone can go on signing.
        _ if view.signing().is_some_and(|signing| signing.name == *name) && view.can_sign(key) => None,
        PrivateHalf::Stored(_) if !view.is_eligible(key) => Some(format!("{name} is on its way out: {unpin}")),
        PrivateHalf::Stored(_) if key.is_retired() && is_leaving(view, key) => {
            Some(format!("{name} is about to leave the set: {unpin}"))
        }
        PrivateHalf::Stored(_) => None,
        PrivateHalf::Absent | PrivateHalf::Mismatched(_) | PrivateHalf::Foreign => Some(format!(
            "the private half of {name} is gone (rotation.rollbackWindow is over, or it was lost): {unpin}"
        )),
    };
    Some(why.map_or(Ok(key), Err))
}

/// Whether the pin asks for this key and can have it: its private half must not be destroyed meanwhile.
pub(super) fn wants(view: &View<'_>, key: &Key) -> bool {
    target(view).is_some_and(|target| target.is_ok_and(|pinned| pinned.name == key.name))
}

/// The kids that a user may have meant.
pub(super) fn known_kids(view: &View<'_>) -> String {
    let kids: Vec<&str> = view.published().filter_map(|key| Some(key.kid()?.as_str())).take(MOST_NAMED).collect();
    if kids.is_empty() { "it has no keys yet".to_owned() } else { format!("it has {}", kids.join(", ")) }
}

const MOST_NAMED: usize = 8;
