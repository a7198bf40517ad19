//! When the signing key is to be replaced, by which key, and what holds it back: asked by the switch and told by the status.

use jiff::Timestamp;

use super::contract::after;
use super::observed::{Key, PrivateHalf};
use super::view::View;
use crate::api::{FirstKey, RotationReason};

/// A replacement of the signing key that lies ahead.
pub(super) struct Rotation<'a> {
    /// Why.
    pub(super) reason: RotationReason,
    /// When it is due; the guards may make it later.
    pub(super) due: Timestamp,
    /// Who takes over; `None` while there is nobody.
    pub(super) successor: Option<Successor<'a>>,
}

/// The key that takes over next.
pub(super) struct Successor<'a> {
    /// Its SigningKey.
    pub(super) key: &'a Key,
    /// From when it may sign; `None` until it has been seen served.
    pub(super) ready: Option<Timestamp>,
    /// Whether verifiers may meet a kid that they do not know.
    pub(super) window: Window,
}

/// What a switch costs verifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Window {
    /// Nothing: every copy in use has the key.
    None,
    /// Copies without the key may be in use for `C + S`.
    UnknownKeyId,
}

impl<'a> Rotation<'a> {
    /// The next replacement, or `None` if nothing asks for one.
    pub(super) fn next(view: &View<'a>) -> Option<Self> {
        let Some(signing) = view.signing() else {
            // Without a signing key and with a signed past, all that made the key is lost.
            let reason = if view.ever_signed() { RotationReason::KeyLost } else { RotationReason::Bootstrap };
            return Some(Self { reason, due: view.now, successor: successor(view, reason) });
        };
        if signing.is_over() || !view.can_sign(signing) {
            let reason = RotationReason::KeyLost;
            return Some(Self { reason, due: view.now, successor: successor(view, reason) });
        }
        let (due, reason) = due(view, signing)?;
        Some(Self { reason, due, successor: successor(view, reason) })
    }

    /// From when the guards allow it; `None` while that is not known.
    pub(super) fn earliest(&self) -> Option<Timestamp> {
        Some(self.successor.as_ref()?.ready?.max(self.due))
    }
}

/// When a healthy signing key is to be replaced: by age, or because the spec asks for a later activation.
fn due(view: &View<'_>, signing: &Key) -> Option<(Timestamp, RotationReason)> {
    let spec = &view.observed.key_set.spec.rotation;
    let recorded = view.signer().filter(|signer| Some(&signer.key_id) == signing.kid());
    let switched = recorded.map(|signer| signer.activation_time);
    let activation = signing.lifecycle.activation_time.max(switched)?;
    let interval = view.contract.due(spec.mode, &view.observed.key_set.uid, activation);
    // The ledger may have been written much later than the switch, and it is the switch that acknowledges.
    let requested = spec.after.filter(|after| switched.unwrap_or(activation) < *after);
    [interval.map(|time| (time, RotationReason::Interval)), requested.map(|time| (time, RotationReason::Requested))]
        .into_iter()
        .flatten()
        .min_by_key(|(time, _)| *time)
}

/// Who takes over (PROTOCOL 6 and 7).
fn successor<'a>(view: &View<'a>, reason: RotationReason) -> Option<Successor<'a>> {
    let staged = || view.staged().filter(|key| is_eligible(view, key));
    let wanted = staged().find(|key| view.is_wanted_kind(key));
    let standby =
        |key: &'a Key| Successor { key, ready: view.evidence_of(key).earliest_activation_time, window: Window::None };
    match reason {
        RotationReason::Bootstrap => {
            let key = wanted.or_else(|| staged().next())?;
            let mut first = standby(key);
            if is_first_document(view) && view.observed.key_set.spec.rotation.first_key == FirstKey::WhenServed {
                first.ready = view.evidence_of(key).visible_time;
            }
            Some(first)
        }
        RotationReason::KeyLost => {
            let ready =
                |key: &&Key| view.evidence_of(key).earliest_activation_time.is_some_and(|time| time <= view.now);
            let standing = staged().find(ready).map(standby);
            standing.or_else(|| rolled_back(view)).or_else(|| forced(view, staged().last()?))
        }
        _ => wanted.map(standby),
    }
}

/// Whether the private half is stored and nobody has barred the key.
fn is_eligible(view: &View<'_>, key: &Key) -> bool {
    let barred = view.signer().is_some_and(|signer| key.kid().is_some_and(|kid| signer.barred.contains(kid)));
    matches!(key.private, PrivateHalf::Stored(_)) && !barred
}

/// The newest retired key that can still sign: every verifier knows it, and its promise outlives the skew.
fn rolled_back<'a>(view: &View<'a>) -> Option<Successor<'a>> {
    let skew = view.contract.clock_skew;
    let key = view
        .observed
        .keys
        .iter()
        .filter(|key| key.is_retired() && is_eligible(view, key))
        .filter(|key| key.lifecycle.earliest_removal_time.is_some_and(|time| after(view.now, skew) < time))
        .max_by_key(|key| key.lifecycle.retirement_time)?;
    Some(Successor { key, ready: view.evidence_of(key).visible_time, window: Window::None })
}

/// Nothing else can sign: the newest published key takes over, and the status says until when verifiers may not know it.
fn forced<'a>(view: &View<'a>, key: &'a Key) -> Option<Successor<'a>> {
    let visible = view.evidence_of(key).visible_time?;
    Some(Successor { key, ready: Some(visible), window: Window::UnknownKeyId })
}

/// Whether the set is still the very first that was ever published under this name (PROTOCOL 6).
///
/// Revision 1 is claimed in the status, before anything is made, by a pass that found nothing of that name.
fn is_first_document(view: &View<'_>) -> bool {
    view.publication().is_some_and(|publication| publication.revision == Some(1)) && !view.ever_signed()
}
