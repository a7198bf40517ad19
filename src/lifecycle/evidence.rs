//! Evidence: since when a key has been seen served by everyone, and from when it may therefore sign.
//!
//! `v(k)` starts at the first complete pass in which all replicas serve k, never earlier. What replicas report of their
//! past only moves it later; an answer without k clears it (PROTOCOL 4). Evidence is worth nothing for another UID.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::contract::{Contract, after};
use super::observed::{Clock, ConfigMapContent, Observed, PassState, Published};
use super::rollout;
use crate::api::{Duration, KeyStatus, RolloutStatus, VisibilitySource};
use crate::jose::KeyId;

/// What was seen of one key in the published set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_field_names, reason = "the names of the API")]
pub(super) struct Evidence {
    /// First seen in the ConfigMap, at the decided digest.
    pub(super) publish_time: Option<Timestamp>,
    /// `v(k)`.
    pub(super) visible_time: Option<Timestamp>,
    /// `v(k) + C + S`, only ever later while `v(k)` stands.
    pub(super) earliest_activation_time: Option<Timestamp>,
    /// Since when no rollout target has it any more.
    pub(super) rollout_time: Option<Timestamp>,
}

/// Weighs what is stored against what is seen now, for every key that has not left the set.
pub(super) fn gather(
    observed: &Observed,
    contract: &Contract,
    rollouts: &[RolloutStatus],
    now: Timestamp,
) -> BTreeMap<KeyId, Evidence> {
    let key_set = &observed.key_set;
    let stored: BTreeMap<&KeyId, &KeyStatus> = if key_set.status.observed_uid.as_deref() == Some(key_set.uid.as_str()) {
        key_set.status.keys.iter().filter_map(|key| Some((key.key_id.as_ref()?, key))).collect()
    } else {
        BTreeMap::new()
    };
    let floor = floor(observed, contract, now);
    let keys = observed.keys.iter().filter(|key| !key.is_removed());
    keys.filter_map(|key| {
        let kid = key.kid()?;
        let prior = stored.get(kid).copied();
        let publish_time = publish_time(observed, kid, prior, now);
        let stored = prior.and_then(|key| key.visible_time);
        let visible_time = match key_set.spec.publication.visibility {
            VisibilitySource::Assumed => assumed_visible_time(publish_time, contract, now),
            VisibilitySource::Replicas => seen_visible_time(kid, stored, observed),
        };
        let earliest_activation_time = visible_time.map(|visible| {
            let waited = after(visible, contract.lead());
            let kept = prior.filter(|key| key.visible_time.is_some()).and_then(|key| key.earliest_activation_time);
            let floor = floor.filter(|_| kept.is_none());
            [kept, floor].into_iter().flatten().fold(waited, Timestamp::max)
        });
        let rollout_time = rollout::time(observed, rollouts, key, prior, now);
        Some((kid.clone(), Evidence { publish_time, visible_time, earliest_activation_time, rollout_time }))
    })
    .collect()
}

/// Whether any stored evidence is better than what is seen now: then the worse must be stored before a repair hides the loss.
pub(super) fn is_weaker(stored: &[KeyStatus], seen: &BTreeMap<KeyId, Evidence>) -> bool {
    stored.iter().any(|key| {
        let Some(seen) = key.key_id.as_ref().and_then(|kid| seen.get(kid)) else { return false };
        match (key.visible_time, seen.visible_time) {
            (Some(_), None) => true,
            (Some(stored), Some(seen)) => seen > stored,
            (None, _) => false,
        }
    })
}

/// When the key was first seen in the ConfigMap. Where visibility is assumed, a ConfigMap without the key starts it anew.
fn publish_time(observed: &Observed, kid: &KeyId, prior: Option<&KeyStatus>, now: Timestamp) -> Option<Timestamp> {
    let stored = prior.and_then(|key| key.publish_time);
    match (is_published(observed, kid), observed.key_set.spec.publication.visibility) {
        (true, _) => stored.or(Some(now).filter(|_| observed.clock == Clock::Trusted)),
        (false, VisibilitySource::Replicas) => stored,
        // A document that was accepted before the last decision still holds the key.
        (false, VisibilitySource::Assumed) => stored.filter(|_| holding(observed, kid).is_some()),
    }
}

/// Whether the ConfigMap has the key, in the very document that was decided last.
fn is_published(observed: &Observed, kid: &KeyId) -> bool {
    let decided = observed.key_set.status.publication.as_ref().and_then(|publication| publication.digest.as_ref());
    holding(observed, kid).is_some_and(|content| content.digest.as_ref() == decided)
}

fn holding<'a>(observed: &'a Observed, kid: &KeyId) -> Option<&'a ConfigMapContent> {
    match &observed.published {
        Published::Ours(content) => Some(content).filter(|it| it.set.as_ref().is_some_and(|set| set.contains(kid))),
        Published::Absent | Published::Foreign => None,
    }
}

/// PROTOCOL 4: `v(k) = ConfigMap write + D`.
fn assumed_visible_time(published: Option<Timestamp>, contract: &Contract, now: Timestamp) -> Option<Timestamp> {
    published.map(|time| after(time, contract.publication_delay)).filter(|visible| *visible <= now)
}

/// `v(k)` from what the replicas say.
fn seen_visible_time(kid: &KeyId, stored: Option<Timestamp>, observed: &Observed) -> Option<Timestamp> {
    let Some(pass) = &observed.pass else { return stored };
    let answered = || pass.replicas.iter().filter_map(|replica| replica.served.as_ref());
    if answered().any(|served| !served.ages.contains_key(kid)) {
        return None;
    }
    // A clock that is behind would begin the wait too early. The replicas remember until it can be believed.
    if observed.clock != Clock::Trusted {
        return stored;
    }
    // When each replica last answered without k, as a time of our clock: late by the travel of the answer, never early.
    let last_without = answered()
        .filter_map(|served| served.ages.get(kid).copied().flatten())
        .map(|age| pass.time.checked_sub(age).unwrap_or(pass.time))
        .max();
    let everywhere = !pass.replicas.is_empty() && pass.replicas.iter().all(|replica| replica.serves(kid));
    // The write that stores it forgets the documents of before (PROTOCOL 3): one without the key that somebody brings
    // back while it signs must not be accepted any more. So they must be done with.
    let begins = pass.state == PassState::Complete && everywhere && is_published(observed, kid);
    match stored {
        Some(stored) => Some(last_without.map_or(stored, |time| stored.max(time))),
        None => begins.then_some(pass.time),
    }
}

/// Before when no key signs that is seen served from now on, because `C` was lowered (PROTOCOL 5): a lowered `C` counts
/// only one old `C` after the status acknowledged it, since copies taken before may be in use for that long. Keys whose
/// wait has begun were given the old `C` anyway.
pub(super) fn floor(observed: &Observed, contract: &Contract, now: Timestamp) -> Option<Timestamp> {
    let status = &observed.key_set.status;
    let prior = (status.observed_uid.as_deref() == Some(observed.key_set.uid.as_str())).then_some(status)?;
    let old = prior.max_cache_age.as_ref().map(Duration::length).filter(|age| *age > contract.cache_age);
    // By a clock that is not to be believed the edit is not acknowledged, and waits for one that is.
    let lowered = old.filter(|_| observed.clock == Clock::Trusted);
    let lowered = lowered.map(|age| after(after(now, age), contract.clock_skew));
    lowered.max(prior.earliest_activation_time).filter(|time| *time > now)
}
