//! Rollouts: signers that read the Signer Secret only when they start are started anew after a switch.
//!
//! Their Pod template is marked with the activation, and whoever reads the mark knows that every Pod of it started later.
//! `L` and `B` then count from when every Pod of every target was seen to be of a template that is marked later than the
//! key (`rolloutTime`). Until then a key that was replaced stays, be it revoked.
//!
//! What was seen is evidence: a target that is added has none, and lost evidence costs a longer wait, never a key. Which
//! keys a target is done with follows from one term, since terms only grow: Pods that started after an activation have
//! its key or a later one.
//!
//! Absent on purpose: what undoes a mark. A workload that leaves the spec keeps it, as to take it out would be one more
//! restart.

use jiff::Timestamp;

use super::contract::after;
use super::effect::Effect;
use super::observed::{Clock, Key, Mark, Observed, Pods, Signer, SignerContent, SignerSecret, Target, Workload};
use super::verdict::{Verdict, verdict};
use super::view::{Step, View, is_active};
use crate::api::names::{condition, reason};
use crate::api::{ConditionStatus, KeySetStatus, KeyStatus, RolloutStatus};

/// Marks the workloads that may have Pods with a key that was replaced.
///
/// Not the others: a workload that is made anew when all is done is not restarted for that. A key that was revoked in
/// mode Immediate may have left the set before: its signers sign in vain until they start anew.
pub(super) fn mark(view: &View<'_>) -> Vec<Effect> {
    let Some(mark) = current(view.observed).filter(|_| view.allows(Step::Urgent) && is_readable(view)) else {
        return Vec::new();
    };
    let keys = view.observed.keys.iter().filter(|key| !key.is_removed() || key.is_revoked());
    let keys: Vec<&Key> = keys.filter(|key| was_replaced(view.observed, key)).collect();
    let targets = view.observed.targets.iter();
    let unmarked = targets.filter(|target| keys.iter().any(|key| !view.is_done(target, key)));
    let marked = unmarked.filter_map(|target| match &target.workload {
        Workload::Found { uid, mark: found, .. } if found.as_ref() != Some(&mark) => {
            Some(Effect::MarkWorkload { target: target.entry.clone(), uid: uid.clone(), mark: mark.clone() })
        }
        Workload::Found { .. } | Workload::Absent | Workload::Refused(_) => None,
    });
    marked.collect()
}

/// The latest rollout of each target that was seen to the end.
///
/// What is not there has no Pods: whatever comes back under that name starts with the key of today.
pub(super) fn gather(observed: &Observed, now: Timestamp) -> Vec<RolloutStatus> {
    let mark = current(observed);
    let believed = observed.clock == Clock::Trusted;
    let ended = |target: &Target| match &target.workload {
        Workload::Absent => true,
        Workload::Found { mark: found, pods: Pods::Current, .. } => *found == mark,
        Workload::Found { .. } | Workload::Refused(_) => false,
    };
    let rollout = |target: &Target| {
        let stored = of(prior(observed).map_or(&[], |status| &status.rollouts), target);
        let Some(Mark { term, .. }) = mark else { return stored.cloned() };
        // A term of before a restore says nothing of today's.
        let stored = stored.filter(|rollout| rollout.term <= term);
        let is_news = believed && ended(target) && stored.is_none_or(|rollout| rollout.term < term);
        let (kind, name) = (target.entry.kind, target.entry.name.clone());
        let news = is_news.then_some(RolloutStatus { kind, name, term, completion_time: now });
        news.or_else(|| stored.cloned())
    };
    observed.targets.iter().filter_map(rollout).collect()
}

/// Since when no target has the key any more: what is stored, as long as it was seen of every target, else now.
pub(super) fn time(
    observed: &Observed,
    rollouts: &[RolloutStatus],
    key: &Key,
    stored: Option<&KeyStatus>,
    now: Timestamp,
) -> Option<Timestamp> {
    if observed.targets.is_empty() || !was_replaced(observed, key) {
        return None;
    }
    let all_done = |rollouts: &[RolloutStatus]| {
        observed.targets.iter().all(|target| of(rollouts, target).is_some_and(|it| it.term > last_term(observed, key)))
    };
    let seen = stored.and_then(|key| key.rollout_time);
    let seen = seen.filter(|_| all_done(prior(observed).map_or(&[], |status| &status.rollouts)));
    seen.or_else(|| Some(now).filter(|_| observed.clock == Clock::Trusted && all_done(rollouts)))
}

/// From when the last signers have another key, but for `L`: the switch, or the end of the rollouts after it. `None` while
/// a rollout is awaited.
pub(super) fn released(view: &View<'_>, key: &Key, switched: Timestamp) -> Option<Timestamp> {
    if view.observed.targets.is_empty() {
        return Some(switched);
    }
    view.evidence_of(key).rollout_time.map(|time| time.max(switched))
}

/// The same, but only what the status tells already.
pub(super) fn told_release(view: &View<'_>, key: &Key, switched: Timestamp) -> Option<Timestamp> {
    released(view, key, switched).filter(|_| view.observed.targets.is_empty() || told(view, key).is_some())
}

/// Until when a key stays that is on its way out: its promise, moved by as much as the rollouts ended after the switch.
/// `None` while a rollout is awaited.
pub(super) fn promise(view: &View<'_>, key: &Key) -> Option<Timestamp> {
    let promised = key.lifecycle.earliest_removal_time?;
    let Some(switched) = key.lifecycle.retirement_time.filter(|_| !view.observed.targets.is_empty()) else {
        return Some(promised);
    };
    let released = released(view, key, switched)?;
    // The longest L + T + S + M that was in force is what was promised from the switch on.
    let moved = || after(released, promised.duration_since(switched));
    Some(told(view, key).and_then(|told| told.earliest_removal_time).unwrap_or_else(moved).max(promised))
}

/// The promise that the status tells of and the ledger may lack: the evidence comes first.
pub(super) fn told_promise(view: &View<'_>, key: &Key) -> Option<Timestamp> {
    told(view, key)?.earliest_removal_time
}

/// Keys that stay for a rollout, since when they are replaced, and what is waited for.
pub(super) fn waiting<'a>(view: &View<'a>) -> impl Iterator<Item = (&'a Key, Timestamp, String)> {
    awaited(view).filter(|key| view.evidence_of(key).rollout_time.is_none()).filter_map(|key| {
        let mut targets = view.observed.targets.iter().filter(|target| !view.is_done(target, key));
        let first = targets.next()?.entry.to_string();
        let others = match targets.count() {
            0 => String::new(),
            count => format!(" and {count} more"),
        };
        let message = format!("{first}{others} may have Pods that started with {}", key.name);
        Some((key, switch_time(view, key)?, message))
    })
}

/// What of the rollouts a person must look at.
pub(super) fn blocked(view: &View<'_>) -> Option<Verdict> {
    let targets = || view.observed.targets.iter();
    let refused = targets().filter_map(|target| match &target.workload {
        Workload::Refused(why) => Some(format!("{}: {why}.", target.entry)),
        Workload::Absent | Workload::Found { .. } => None,
    });
    let overdue = targets().filter_map(|target| match &target.workload {
        Workload::Found { pods, .. } => {
            let since = awaited(view).filter(|key| !view.is_done(target, key));
            let key = since.filter(|key| deadline(view, key).is_some_and(|time| time <= view.now)).last()?;
            let why = match pods {
                Pods::Outdated(why) => why,
                Pods::Current => "its Pod template is not marked",
            };
            let entry = &target.entry;
            Some(format!("{entry} may have Pods that started with {}, which stays published: {why}.", key.name))
        }
        Workload::Absent | Workload::Refused(_) => None,
    });
    let missing = targets().filter(|target| target.workload == Workload::Absent);
    let missing = missing
        .map(|target| format!("{} does not exist: create it, or take it out of signers.rolloutTargets.", target.entry));
    let refused = refused.map(|message| (reason::TARGET_REFUSED, message));
    let overdue = overdue.map(|message| (reason::ROLLOUT_OVERDUE, message));
    let mut told = refused.chain(overdue).chain(missing.map(|message| (reason::TARGET_NOT_FOUND, message)));
    let (reason, message) = told.next()?;
    let message = match told.count() {
        0 => message,
        others => format!("{message} There are {others} more."),
    };
    Some(verdict(condition::ROLLOUT_BLOCKED, ConditionStatus::True, reason, message))
}

/// From when a rollout that has not ended counts as overdue.
pub(super) fn deadline(view: &View<'_>, key: &Key) -> Option<Timestamp> {
    switch_time(view, key).map(|time| after(time, view.contract.reload_lag))
}

impl Observed {
    /// Puts targets in their place that only a write found to be refused.
    pub fn refuse(&mut self, refused: &[Target]) {
        for target in &mut self.targets {
            if let Some(refusal) = refused.iter().find(|refusal| refusal.entry == target.entry) {
                target.workload = refusal.workload.clone();
            }
        }
    }
}

impl View<'_> {
    /// Whether no Pod of the target has the key any more.
    fn is_done(&self, target: &Target, key: &Key) -> bool {
        of(&self.rollouts, target).is_some_and(|rollout| rollout.term > last_term(self.observed, key))
    }
}

/// Keys of the set that another one replaced: Pods that have not started since may have them.
fn awaited<'a>(view: &View<'a>) -> impl Iterator<Item = &'a Key> {
    let observed = view.observed;
    let keys = view.published().filter(move |key| was_replaced(observed, key));
    keys.filter(move |_| !observed.targets.is_empty())
}

/// By its record, or by the Signer Secret if the record of its switch is missing.
fn was_replaced(observed: &Observed, key: &Key) -> bool {
    let is_shown = signer(observed).is_some_and(|signer| Some(&signer.key_id) == key.kid());
    let retired = key.lifecycle.activation_time.is_some() && !is_active(&key.lifecycle);
    !is_shown && (retired || replacement(observed, key).is_some())
}

/// The latest term under which the key was given to signers.
fn last_term(observed: &Observed, key: &Key) -> i64 {
    let replaced = replacement(observed, key).map(|signer| signer.term - 1);
    key.lifecycle.term.max(replaced).unwrap_or(0)
}

fn switch_time(view: &View<'_>, key: &Key) -> Option<Timestamp> {
    let replaced = replacement(view.observed, key).map(|signer| signer.activation_time);
    key.lifecycle.retirement_time.max(replaced)
}

/// The Signer Secret, if it says that it replaced this key.
fn replacement<'a>(observed: &'a Observed, key: &Key) -> Option<&'a SignerSecret> {
    let kid = key.kid()?;
    signer(observed).filter(|signer| signer.replaced.as_ref() == Some(kid))
}

/// What the Pods of today start with.
fn current(observed: &Observed) -> Option<Mark> {
    signer(observed).map(|signer| Mark { term: signer.term, key_id: signer.key_id.clone() })
}

fn signer(observed: &Observed) -> Option<&SignerSecret> {
    match &observed.signer {
        Signer::Ours(signer) => Some(signer),
        Signer::Absent | Signer::Foreign | Signer::Illegible(_) => None,
    }
}

/// Whether Pods that start now find a key that shall sign.
fn is_readable(view: &View<'_>) -> bool {
    let signer = view.signer().filter(|it| it.content != SignerContent::Damaged && view.contradicted(it).is_none());
    signer.and_then(|signer| view.key(&signer.key_id)).is_some_and(|key| !key.is_over())
}

/// What is stored of the key, if it tells of the end that is still seen.
fn told<'a>(view: &View<'a>, key: &Key) -> Option<&'a KeyStatus> {
    let time = view.evidence_of(key).rollout_time?;
    let stored = view.prior()?.keys.iter().find(|stored| stored.key_id.as_ref() == key.kid())?;
    Some(stored).filter(|stored| stored.rollout_time == Some(time))
}

fn prior(observed: &Observed) -> Option<&KeySetStatus> {
    let key_set = &observed.key_set;
    Some(&key_set.status).filter(|status| status.observed_uid.as_deref() == Some(key_set.uid.as_str()))
}

fn of<'a>(rollouts: &'a [RolloutStatus], target: &Target) -> Option<&'a RolloutStatus> {
    rollouts.iter().find(|rollout| rollout.kind == target.entry.kind && rollout.name == target.entry.name)
}
