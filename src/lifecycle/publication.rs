//! Publication: which set is to be served, and the accept pair that makes it lawful (PROTOCOL 3).
//!
//! The status goes first (`digest`, and the digests before it), then the ConfigMap. The next set is what was last
//! published, plus what is wanted, minus what is recorded as removed: a partial list cannot shrink it.

use std::collections::BTreeMap;

use super::contract::after;
use super::effect::{Effect, PublishCause};
use super::observed::{Key, Ownership, PrivateHalf, Published};
use super::view::View;
use super::{evidence, external, restore};
use crate::api::{KeyStatus, PublicationStatus};
use crate::jose::{Digest, JwkSet, KeyId, PublicJwk};

/// Stores the loss of evidence before a repair makes it invisible.
pub(super) fn record_lost_evidence(view: &View<'_>) -> Vec<Effect> {
    let weaker = view.prior().is_some_and(|status| evidence::is_weaker(&status.keys, &view.evidence));
    let repair_ahead = weaker && !is_config_map_right(view);
    repair_ahead.then_some(Effect::RecordStatus).into_iter().collect()
}

/// Stores the first claim on a KeySet: until then nothing of it was ever seen.
pub(super) fn claim(view: &View<'_>) -> Vec<Effect> {
    let claimable = view.prior().is_none() && !view.is_unclaimable();
    claimable.then_some(Effect::RecordStatus).into_iter().collect()
}

/// Stores the digest of the set to publish, before the set is written.
pub(super) fn accept(view: &View<'_>) -> Vec<Effect> {
    let new = decided(view).is_some_and(|(_, digest)| Some(digest) != view.accepted_digest());
    (new && view.prior().is_some() && restore::is_followed(view)).then_some(Effect::RecordStatus).into_iter().collect()
}

/// Writes the ConfigMap, once its digest is accepted.
pub(super) fn publish(view: &View<'_>) -> Vec<Effect> {
    let Some((set, digest)) = decided(view) else { return Vec::new() };
    let accepted = view.publication().filter(|publication| publication.digest.as_ref() == Some(digest));
    let Some(revision) = accepted.and_then(|publication| publication.revision) else { return Vec::new() };
    if view.observed.published == Published::Foreign || is_config_map_right(view) {
        return Vec::new();
    }
    let fence = view.config_map().map(|config_map| config_map.fence.clone());
    let cause = cause(view, set);
    let issuer = issuer(view).cloned();
    vec![Effect::ApplyConfigMap { fence, set: set.clone(), digest: digest.clone(), revision, issuer, cause }]
}

/// The accept pair and the issuer for the status of this plan.
pub(super) fn status(view: &View<'_>) -> PublicationStatus {
    PublicationStatus { issuer: issuer(view).cloned(), ..accept_pair(view) }
}

/// The issuer that servers may serve.
fn issuer<'a>(view: &View<'a>) -> Option<&'a String> {
    view.observed.key_set.spec.publication.issuer.as_ref().filter(|_| view.observed.issuer.is_none())
}

fn accept_pair(view: &View<'_>) -> PublicationStatus {
    let config_map_name = Some(view.observed.key_set.config_map_name());
    let Some(stored) = view.publication() else {
        // A revision is claimed for the first document only where nothing of that name exists (PROTOCOL 6).
        return PublicationStatus {
            config_map_name,
            revision: view.is_virgin().then_some(1),
            key_count: Some(0),
            ..PublicationStatus::default()
        };
    };
    let Some((set, digest)) = decided(view).filter(|_| restore::is_followed(view)) else {
        return PublicationStatus { config_map_name, ..stored.clone() };
    };
    let key_count = i32::try_from(set.len()).ok();
    // Once the ConfigMap has what was decided last, the documents of before are done with.
    let settled = stored.digest.is_some() && view.config_map().is_some_and(|it| it.digest == stored.digest);
    let before = if settled { Vec::new() } else { stored.previous_digests.clone() };
    if stored.digest.as_ref() == Some(digest) {
        return PublicationStatus { config_map_name, previous_digests: before, key_count, ..stored.clone() };
    }
    let mut previous_digests: Vec<Digest> = stored.digest.iter().cloned().chain(before).collect();
    previous_digests.retain(|previous| previous != digest);
    previous_digests.truncate(MAX_PREVIOUS_DIGESTS);
    PublicationStatus {
        config_map_name,
        revision: Some(next_revision(view)),
        digest: Some(digest.clone()),
        previous_digests,
        key_count,
        ..PublicationStatus::default()
    }
}

/// The set to publish and its digest; `None` while there is nothing to publish.
fn decided<'a>(view: &'a View<'_>) -> Option<&'a (JwkSet, Digest)> {
    view.decided.get_or_init(|| decide(view)).as_ref()
}

fn decide(view: &View<'_>) -> Option<(JwkSet, Digest)> {
    let mut wanted: BTreeMap<&KeyId, &PublicJwk> = BTreeMap::new();
    for jwk in view.accepted_set().map(JwkSet::keys).unwrap_or_default() {
        wanted.insert(jwk.kid(), jwk);
    }
    for key in &view.observed.keys {
        let Some(jwk) = &key.jwk else { continue };
        if has_left(view, key) {
            wanted.remove(jwk.kid());
        } else if is_credible(view, key) {
            wanted.insert(jwk.kid(), jwk);
        }
    }
    // Nearly every plan: the document is what it should be, and need not be written and hashed to know it.
    if let Some((current, digest)) = view.current_set().zip(view.accepted_digest())
        && current.keys().iter().eq(wanted.values().copied())
    {
        return Some((current.clone(), digest.clone()));
    }
    let set = JwkSet::new(wanted.into_values().cloned().collect()).ok().filter(|set| !set.is_empty())?;
    let digest = Digest::of(set.to_json());
    Some((set, digest))
}

/// Whether the record takes the key out of the set. Not while the Signer Secret shows it; and one that somebody recorded
/// as removed while it signed stays for as long as any that retired.
fn has_left(view: &View<'_>, key: &Key) -> bool {
    let shown = || view.signer().is_some_and(|signer| Some(&signer.key_id) == key.kid());
    let signed_on = || key.lifecycle.retirement_time.filter(|time| Some(*time) >= key.lifecycle.removal_time);
    let promised = || signed_on().is_some_and(|time| view.now < after(time, view.contract.retention()));
    key.is_removed() && !shown() && (key.is_revoked() || !promised())
}

/// Whether a record may add its key to the set: it was there before, or we can have made it. Whoever may create a
/// SigningKey must not thereby own the issuer (PROTOCOL 7).
pub(super) fn is_credible(view: &View<'_>, key: &Key) -> bool {
    let (Some(prior), Some(jwk)) = (view.prior(), &key.jwk) else { return true };
    let published = [view.accepted_set(), restore::witnessed(view)].into_iter().flatten();
    // The status lists credible keys only.
    let told = |it: &KeyStatus| it.key_id.as_ref() == Some(jwk.kid());
    // A key of ours has a Key Secret before it has a record.
    let stored = matches!(key.private, PrivateHalf::Stored(_));
    let named = external::entry_of(view, jwk).is_some_and(|entry| key.entry_name.as_ref() == Some(&entry.name));
    stored || named || prior.keys.iter().any(told) || published.into_iter().any(|set| set.contains(jwk.kid()))
}

/// Above every revision that anybody remembers: the status, the ConfigMap, a replica (PROTOCOL 9).
fn next_revision(view: &View<'_>) -> i64 {
    let stored = view.publication();
    let first = stored.is_some_and(|publication| publication.revision == Some(1) && publication.digest.is_none());
    let annotated = view.config_map().and_then(|config_map| config_map.revision);
    let witnessed = view.observed.pass.iter().flat_map(|pass| &pass.replicas);
    let witnessed = witnessed.filter_map(|replica| replica.served.as_ref()).map(|served| served.revision).max();
    if first && witnessed.is_none() {
        return 1;
    }
    let remembered = [stored.and_then(|publication| publication.revision), annotated, witnessed];
    // Without any memory the set may still have been published before: revision 1 is for claimed first documents only.
    remembered.into_iter().flatten().max().unwrap_or(1).saturating_add(1)
}

fn is_config_map_right(view: &View<'_>) -> bool {
    is_document_right(view) && view.config_map().is_some_and(|config_map| config_map.issuer.as_ref() == issuer(view))
}

fn is_document_right(view: &View<'_>) -> bool {
    let revision = view.publication().and_then(|publication| publication.revision);
    view.config_map().is_some_and(|config_map| {
        let accepted = config_map.digest.as_ref() == view.accepted_digest() && config_map.revision == revision;
        accepted && config_map.ownership == Ownership::AsWanted
    })
}

fn cause(view: &View<'_>, set: &JwkSet) -> PublishCause {
    if is_document_right(view) {
        return PublishCause::Issuer;
    }
    let stored = view.prior().map(|status| status.keys.as_slice()).unwrap_or_default();
    let was_published =
        |kid: &KeyId| stored.iter().any(|key| key.key_id.as_ref() == Some(kid) && key.publish_time.is_some());
    let new = set.keys().iter().filter(|jwk| !was_published(jwk.kid()));
    let added: Vec<String> = new.filter_map(|jwk| view.key(jwk.kid()).map(|key| key.name.clone())).collect();
    let before = view.accepted_set().map(JwkSet::keys).unwrap_or_default();
    let removed: Vec<KeyId> =
        before.iter().filter(|jwk| !set.contains(jwk.kid())).map(|jwk| jwk.kid().clone()).collect();
    if added.is_empty() && removed.is_empty() { PublishCause::Repair } else { PublishCause::Publish { added, removed } }
}

/// The schema's bound.
const MAX_PREVIOUS_DIGESTS: usize = 8;
