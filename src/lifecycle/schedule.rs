//! When the signing key is to be replaced, by which key, and what holds it back: asked by the switch and told by the status.

use jiff::Timestamp;

use super::observed::Key;
use super::retire::is_leaving;
use super::view::{Step, View};
use super::{pin, restore, revoke};
use crate::api::{FirstKey, Origin, RevocationMode, RotationReason};

/// A replacement of the signing key that lies ahead.
pub(super) struct Rotation<'a> {
    /// Why.
    pub(super) reason: RotationReason,
    /// From when it is due, `None` for at once; the guards may make it later.
    pub(super) due: Option<Timestamp>,
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
    /// The next replacement, or `None` if nothing asks for one. Revocation and loss win over the pin, and the pin wins
    /// over age and request.
    pub(super) fn next(view: &View<'a>) -> Option<Self> {
        let Some(signing) = view.signing() else {
            // Without a signing key and with a signed past, all that made the key is lost.
            let reason = if view.ever_signed() { RotationReason::KeyLost } else { RotationReason::Bootstrap };
            return Some(Self::at_once(view, reason));
        };
        if signing.is_revoked() {
            return Some(Self {
                due: signing.lifecycle.revocation_time,
                ..Self::at_once(view, RotationReason::Revoked)
            });
        }
        if signing.is_removed() || !view.can_sign(signing) {
            return Some(Self::at_once(view, RotationReason::KeyLost));
        }
        if let Some(known) = restore::known_to_both(view, signing) {
            return Some(Self { reason: RotationReason::Restored, due: None, successor: Some(known) });
        }
        if let Some(pin) = pin::target(view) {
            let pinned = pin.ok().filter(|key| key.name != signing.name)?;
            return Some(Self { reason: RotationReason::Pinned, due: None, successor: Some(waiting(view, pinned)) });
        }
        Self::by_schedule(view)
    }

    /// The replacement that age or a request asks for, whatever the pin says.
    pub(super) fn by_schedule(view: &View<'a>) -> Option<Self> {
        let (due, reason) = due(view, view.signing()?)?;
        Some(Self { reason, due: Some(due), successor: successor(view, reason) })
    }

    /// From when the guards allow it; `None` while that is not known.
    pub(super) fn earliest(&self) -> Option<Timestamp> {
        let ready = self.successor.as_ref()?.ready?;
        Some(self.due.map_or(ready, |due| ready.max(due)))
    }

    /// Whether it goes on while the set is suspended: a revocation, or a repair of what is lost.
    pub(super) fn step(&self) -> Step {
        match self.reason {
            RotationReason::Revoked | RotationReason::KeyLost | RotationReason::Restored => Step::Urgent,
            _ => Step::Forward,
        }
    }

    /// Whether the next key may take over before every copy in use has it.
    pub(super) fn is_forced(&self, view: &View<'a>) -> bool {
        self.step() == Step::Urgent && may_force(view, self.reason)
    }

    fn at_once(view: &View<'a>, reason: RotationReason) -> Self {
        Self { reason, due: None, successor: successor(view, reason) }
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
    let staged = || view.staged().filter(|key| view.is_eligible(key));
    let wanted = || staged().find(|key| view.is_wanted_kind(key));
    match reason {
        RotationReason::Bootstrap => {
            let mut first = waiting(view, wanted().or_else(|| staged().next())?);
            if is_first_document(view) && view.observed.key_set.spec.rotation.first_key != FirstKey::AfterCacheAge {
                first.ready = view.evidence_of(first.key).visible_time;
            }
            Some(first)
        }
        RotationReason::KeyLost | RotationReason::Revoked => {
            let standing = staged().filter(|key| is_ready(view, key)).max_by_key(|key| view.is_wanted_kind(key));
            let standing = standing.map(|key| waiting(view, key)).or_else(|| rolled_back(view));
            // An emergency does not wait for a replica that is silent.
            let may_force = may_force(view, reason);
            let standing = standing.filter(|known| !may_force || view.is_visible_now(known.key));
            let forced = || may_force.then(|| forced(view)).flatten();
            standing.or_else(forced).or_else(|| wanted().map(|key| waiting(view, key)))
        }
        _ => wanted().map(|key| waiting(view, key)),
    }
}

/// The key with the wait that guard 1 asks for.
fn waiting<'a>(view: &View<'a>, key: &'a Key) -> Successor<'a> {
    Successor { key, ready: view.evidence_of(key).earliest_activation_time, window: Window::None }
}

/// Guard 1: every copy in use has the key.
fn is_ready(view: &View<'_>, key: &Key) -> bool {
    view.evidence_of(key).earliest_activation_time.is_some_and(|time| time <= view.now)
}

/// The newest retired key that can still sign: every verifier knows it, and its promise outlives the skew.
fn rolled_back<'a>(view: &View<'a>) -> Option<Successor<'a>> {
    let keys = view.published().filter(|key| key.is_retired() && view.is_eligible(key));
    let keys = keys
        .filter(|key| !is_leaving(view, key))
        // A record that was written again looks retired, however short its key has been published.
        .filter(|key| is_ready(view, key));
    keys.max_by_key(|key| key.lifecycle.retirement_time).map(|key| waiting(view, key))
}

/// Whether verifiers may meet an unknown kid: nothing else can sign, or the revocation says so.
fn may_force(view: &View<'_>, reason: RotationReason) -> bool {
    let mode = view.signing().and_then(|key| revoke::mode(view, key.kid()?));
    let asked = mode.is_some_and(|mode| mode != RevocationMode::AfterSwitch);
    reason == RotationReason::KeyLost || asked || !view.signing().is_some_and(|key| view.can_sign(key))
}

/// The key that is served and that most verifiers know, else the newest, takes over; the status says until when verifiers
/// may not know it.
fn forced<'a>(view: &View<'a>) -> Option<Successor<'a>> {
    let served = |key: &&Key| view.is_eligible(key) && view.is_answered_now(key);
    let key = view.staged().filter(served).max_by_key(|key| (is_ready(view, key), key.sequence))?;
    Some(Successor { key, ready: Some(view.now), window: Window::UnknownKeyId })
}

/// Whether the set is still the very first that was ever published under this name (PROTOCOL 6).
///
/// Revision 1 is claimed in the status, before anything is made, by a pass that found nothing of that name. Keys that are
/// served elsewhere mean that verifiers exist already.
fn is_first_document(view: &View<'_>) -> bool {
    let external = view.observed.keys.iter().any(|key| key.origin == Origin::External);
    let first = view.publication().is_some_and(|publication| publication.revision == Some(1));
    first && !external && !view.ever_signed()
}
