//! What lies ahead and what holds it back, guard by guard: the answer to "why not yet".
//!
//! Invariant: a step whose guards are all met is one that [`plan`](super::plan) takes; a property of the tests holds the
//! two together. The guards themselves are the rules' (`schedule`, `retire`, `revoke`); here they are put into words.

use jiff::{SignedDuration, Timestamp};

use super::observed::{Key, Observed, PrivateHalf};
use super::pin;
use super::retire::{destruction_time, removal_time};
use super::revoke;
use super::rollout;
use super::schedule::{Rotation, Successor, Window};
use super::status::asked;
use super::view::{Freeze, Step, View};
use crate::api::{Guard, RevocationMode, RotationReason, TransitionAction};

/// A step that lies ahead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// What is to be done.
    pub action: TransitionAction,
    /// To which SigningKey; `None` while that is not known.
    pub key: Option<String>,
    /// What asks for it, in words.
    pub asked: String,
    /// Everything that must hold, in the order in which it usually comes true.
    pub guards: Vec<Check>,
}

/// One guard of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Which.
    pub guard: Guard,
    /// Whether it holds now.
    pub met: bool,
    /// From when it holds; `None` where no time tells.
    pub time: Option<Timestamp>,
    /// The lengths that the time is made of.
    pub terms: Vec<Term>,
    /// What it says, in words.
    pub note: String,
}

/// One length of the timing contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// The letter of the documents.
    pub symbol: &'static str,
    /// The field of the spec.
    pub field: &'static str,
    /// Its value.
    pub value: SignedDuration,
}

impl Pending {
    /// Whether nothing holds it back.
    pub fn is_due(&self) -> bool {
        self.guards.iter().all(|check| check.met)
    }

    /// The earliest time; `None` while a guard is not met that no time tells of.
    pub fn earliest_time(&self) -> Option<Timestamp> {
        let open = self.guards.iter().filter(|check| !check.met);
        let known = open.clone().all(|check| check.time.is_some());
        let latest = self.guards.iter().filter_map(|check| check.time).max();
        latest.filter(|_| known)
    }
}

/// Every step that lies ahead of what was observed at `now`: first who signs next, then what becomes of each key.
#[must_use]
pub fn pending(observed: &Observed, now: Timestamp) -> Vec<Pending> {
    let view = View::new(observed, now);
    let keys = view.published().flat_map(|key| {
        let ends = [destruction(&view, key), removal(&view, key), revocation(&view, key)];
        ends.into_iter().flatten().collect::<Vec<_>>()
    });
    std::iter::once(rotation(&view)).chain(keys).chain(rollouts(&view)).collect()
}

fn rotation(view: &View<'_>) -> Pending {
    let pinned = pin::pinned(view).is_some();
    let next = Rotation::next(view);
    let is_held = next.is_none() && pinned;
    let Some(next) = next.or_else(|| Rotation::by_schedule(view)) else {
        return unasked(view);
    };
    let mut guards = vec![schedule(view, &next)];
    if is_held {
        guards.push(check(Guard::Pinned, false, "rotation.pinnedKeyID keeps the active key: take it out to go on"));
    }
    guards.extend(frozen(view, next.step()));
    guards.extend(successor(view, next.successor.as_ref()));
    Pending {
        action: TransitionAction::Activate,
        key: next.successor.as_ref().map(|successor| successor.key.name.clone()),
        asked: asked(view, next.reason),
        guards,
    }
}

/// Nothing asks for a rotation.
fn unasked(view: &View<'_>) -> Pending {
    let note = if pin::pinned(view).is_some() {
        "the pinned key signs, and nothing else may"
    } else {
        "rotation.mode is OnRequest, and rotation.after asks for no later key: set it to now"
    };
    let asked = "nothing asks for it".to_owned();
    Pending { action: TransitionAction::Activate, key: None, asked, guards: vec![check(Guard::Schedule, false, note)] }
}

/// When it is due, whatever the keys are ready for.
fn schedule(view: &View<'_>, rotation: &Rotation<'_>) -> Check {
    let met = rotation.due.is_none_or(|due| due <= view.now);
    let terms = match rotation.reason {
        RotationReason::Interval => vec![term("R", "rotation.interval", view.contract.interval)],
        _ => Vec::new(),
    };
    let note = match (rotation.reason, rotation.due) {
        (RotationReason::Interval, _) => "the active key reaches the age R, and a part of it that is this set's own",
        (RotationReason::Requested, _) => "rotation.after",
        (_, None) => "at once",
        (_, Some(_)) => "since then",
    };
    Check { time: rotation.due, terms, ..check(Guard::Schedule, met, note) }
}

/// Guard 1, in its parts.
fn successor(view: &View<'_>, successor: Option<&Successor<'_>>) -> Vec<Check> {
    let Some(Successor { key, ready, window }) = successor else {
        return vec![check(Guard::KeyMaterial, false, "no key is there that may take over; the operator makes one")];
    };
    let name = &key.name;
    let made = check(Guard::KeyMaterial, true, format!("{name} is made, and its private half is stored"));
    if *window == Window::UnknownKeyId {
        let served = view.is_answered_now(key);
        let note = format!("every server replica that answers serves {name}; verifiers may not know it yet");
        return vec![made, check(Guard::Visibility, served, note)];
    }
    let evidence = view.evidence_of(key);
    let seen = evidence.visible_time;
    let visible = Check {
        time: seen,
        ..check(Guard::Visibility, seen.is_some(), format!("every server replica was seen to serve {name}"))
    };
    let first = *ready == seen && evidence.earliest_activation_time != seen;
    let caches = Check {
        time: *ready,
        terms: if first {
            Vec::new()
        } else {
            vec![
                term("C", "verifiers.maxCacheAge", view.contract.cache_age),
                term("S", "clockSkew", view.contract.clock_skew),
            ]
        },
        ..check(
            Guard::VerifierCaches,
            ready.is_some_and(|time| time <= view.now),
            if first {
                "the first key waits for no caches (rotation.firstKey)".to_owned()
            } else {
                format!("no verifier uses a copy of the set without {name} any more")
            },
        )
    };
    let now = check(Guard::Visibility, view.is_visible_now(key), format!("every server replica serves {name} now"));
    vec![made, visible, caches, now]
}

fn destruction(view: &View<'_>, key: &Key) -> Option<Pending> {
    let time = destruction_time(view, key).filter(|_| matches!(key.private, PrivateHalf::Stored(_)))?;
    let window = Check {
        time: Some(time),
        terms: vec![term("B", "rotation.rollbackWindow", view.contract.rollback_window)],
        ..check(Guard::RollbackWindow, time <= view.now, "a rollback to the key is no longer possible")
    };
    let mut guards = vec![window];
    if pin::wants(view, key) {
        guards.push(check(Guard::Pinned, false, "rotation.pinnedKeyID asks for the key"));
    }
    guards.extend(frozen(view, Step::Forward));
    let asked = "its successor signs".to_owned();
    Some(Pending { action: TransitionAction::DestroyPrivateKey, key: Some(key.name.clone()), asked, guards })
}

/// Keys that may leave only some time after a rollout has ended, which no time tells.
fn rollouts(view: &View<'_>) -> Vec<Pending> {
    let waiting = rollout::waiting(view).filter(|(key, ..)| revoke::removal_time(view, key).is_none());
    let waiting = waiting.map(|(key, _, message)| {
        let mut guards = vec![check(Guard::SignerRollout, false, message)];
        if view.is_held(key) && !key.is_revoked() {
            guards.push(held());
        }
        let (action, step) = if key.is_revoked() {
            (TransitionAction::Revoke, Step::Urgent)
        } else {
            (TransitionAction::Remove, Step::Forward)
        };
        guards.extend(frozen(view, step));
        let asked = "its successor signs".to_owned();
        Pending { action, key: Some(key.name.clone()), asked, guards }
    });
    waiting.collect()
}

/// Guard 2.
fn removal(view: &View<'_>, key: &Key) -> Option<Pending> {
    if key.is_over() {
        return None;
    }
    let time = removal_time(view, key)?;
    let contract = &view.contract;
    let signed = key.lifecycle.retirement_time.is_some();
    let terms = [
        ("L", "signers.maxReloadLag", contract.reload_lag),
        ("T", "tokens.maxLifetime", contract.token_lifetime),
        ("S", "clockSkew", contract.clock_skew),
        ("M", "retention.margin", contract.margin),
    ];
    let expiry = Check {
        time: Some(time),
        terms: terms.into_iter().filter(|_| signed).map(|(symbol, field, value)| term(symbol, field, value)).collect(),
        ..check(
            Guard::TokenExpiry,
            time <= view.now,
            "no token of the key is valid any more: what was promised, which an edit only moves later",
        )
    };
    let mut guards = vec![expiry];
    if view.is_held(key) {
        guards.push(held());
    }
    guards.extend(frozen(view, Step::Forward));
    let healthy = view.signing().is_some_and(|signing| !signing.is_over() && view.can_sign(signing));
    if !healthy {
        guards.push(check(Guard::KeyMaterial, false, "no healthy key signs: nothing is taken out before one does"));
    }
    if !view.may_act_on_visibility() {
        guards.push(check(Guard::Visibility, false, view.visibility_doubt()));
    }
    let asked = "its successor signs, or its entry is gone".to_owned();
    Some(Pending { action: TransitionAction::Remove, key: Some(key.name.clone()), asked, guards })
}

fn revocation(view: &View<'_>, key: &Key) -> Option<Pending> {
    key.lifecycle.revocation_time.filter(|_| !key.is_removed())?;
    let time = revoke::removal_time(view, key);
    if time.is_none() && rollout::waiting(view).any(|(waiting, ..)| waiting.name == key.name) {
        return None;
    }
    let mode = key.kid().and_then(|kid| revoke::mode(view, kid));
    let immediate = mode == Some(RevocationMode::Immediate);
    let replaced = check(
        Guard::KeyMaterial,
        time.is_some(),
        "another key signs, and is served: a sole key stays until its successor is",
    );
    let lag = Check {
        time,
        terms: if immediate { Vec::new() } else { vec![term("L", "signers.maxReloadLag", view.contract.reload_lag)] },
        ..check(
            Guard::SignerReload,
            time.is_some_and(|time| time <= view.now),
            if immediate { "the mode is Immediate: it waits for no signer" } else { "no signer uses the key any more" },
        )
    };
    let mut guards = vec![replaced, lag];
    guards.extend(frozen(view, Step::Urgent));
    let asked = "revokedKeys lists it".to_owned();
    Some(Pending { action: TransitionAction::Revoke, key: Some(key.name.clone()), asked, guards })
}

fn held() -> Check {
    check(Guard::Held, false, "heldKeys lists the key: take it out to let the key go")
}

/// What keeps the whole set from such a step.
fn frozen(view: &View<'_>, step: Step) -> Option<Check> {
    if view.allows(step) {
        return None;
    }
    Some(match view.freeze() {
        Some(Freeze::Suspended) => check(Guard::Suspended, false, "rotation.mode is Suspended"),
        Some(Freeze::Clock(why)) => check(Guard::Clock, false, why),
        Some(Freeze::NameConflict(why)) => check(Guard::KeyMaterial, false, why),
        Some(Freeze::Undecodable(keys)) => {
            check(Guard::KeyMaterial, false, format!("this version does not understand SigningKey {keys}"))
        }
        Some(Freeze::Unclaimed) => check(Guard::Visibility, false, view.visibility_doubt()),
        None => check(Guard::Visibility, false, "servers have a later set that nobody has read yet"),
    })
}

fn check(guard: Guard, met: bool, note: impl Into<String>) -> Check {
    Check { guard, met, time: None, terms: Vec::new(), note: note.into() }
}

fn term(symbol: &'static str, field: &'static str, value: SignedDuration) -> Term {
    Term { symbol, field, value }
}
