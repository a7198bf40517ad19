//! The status of a KeySet: what the operator saw and did.
//!
//! Invariant: everything here may be lost. Losing it costs time, never safety; what must not be lost
//! is in `SigningKey.spec.lifecycle`. Times here are evidence (seen), not promises.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Condition, Duration, WorkloadKind, schema};
use crate::jose::{Algorithm, Digest, KeyId};

/// status is what the operator saw and did. Losing it costs time (the standby waits again), never
/// safety.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct KeySetStatus {
    /// conditions are the current observations. See docs/conditions.md for each type and reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// observedGeneration is the metadata.generation that this status answers. It starts at -1, so
    /// that no tool takes an object for healthy that the operator has not seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1))]
    pub observed_generation: Option<i64>,
    /// observedUID is the metadata.uid that the evidence in this status was gathered for. With
    /// another UID (a restore, a re-created KeySet) all evidence is void.
    #[serde(rename = "observedUID", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::uid")]
    pub observed_uid: Option<String>,
    /// activeKeyName names the SigningKey that signs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::object_name")]
    pub active_key_name: Option<String>,
    /// activeKeyID is the kid of new tokens.
    #[serde(rename = "activeKeyID", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::key_id")]
    pub active_key_id: Option<KeyId>,
    /// signerSecretName names the Secret that signers mount.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::object_name")]
    pub signer_secret_name: Option<String>,
    /// maxCacheAge is the value of spec.verifiers that this status acknowledges, so that a lowered one
    /// is known as such.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::stored_duration")]
    pub max_cache_age: Option<Duration>,
    /// earliestActivationTime is before when no key signs that is first seen served from now on:
    /// maxCacheAge was lowered, and copies that were taken before may be in use until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub earliest_activation_time: Option<Timestamp>,
    /// publication is the published set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publication: Option<PublicationStatus>,
    /// nextTransition is what happens next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_transition: Option<NextTransition>,
    /// lastRotation is the last change of the active key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_rotation: Option<LastRotation>,
    /// unknownKeyIDEndTime is until when a verifier may meet a kid that it does not know, after a
    /// switch that was forced.
    #[serde(rename = "unknownKeyIDEndTime", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub unknown_key_id_end_time: Option<Timestamp>,
    /// rollouts are what was seen of spec.signers.rolloutTargets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["kind", "name"]))]
    pub rollouts: Vec<RolloutStatus>,
    /// keys are the keys of the set, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub keys: Vec<KeyStatus>,
    /// revocations acknowledge spec.revokedKeys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["keyID"]))]
    pub revocations: Vec<RevocationStatus>,
}

/// PublicationStatus is the published set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PublicationStatus {
    /// configMapName names the JWKS ConfigMap.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::object_name")]
    pub config_map_name: Option<String>,
    /// revision counts the published sets. A server never goes back to a lower one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 9_007_199_254_740_991_i64))]
    pub revision: Option<i64>,
    /// digest of the jwks.json that servers may serve. Written before the ConfigMap.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::digest")]
    pub digest: Option<Digest>,
    /// previousDigests are the ones before, so that a server that starts between the two writes finds
    /// lawful bytes. Dropped once the ConfigMap is at digest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::digests")]
    pub previous_digests: Vec<Digest>,
    /// keyCount is the number of keys in the set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 64))]
    pub key_count: Option<i32>,
    /// issuer is the URL that servers may serve discovery documents for: spec.publication.issuer, with
    /// the administrator's consent and without an older KeySet that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::stored_issuer")]
    pub issuer: Option<String>,
}

impl PublicationStatus {
    /// Whether servers may serve a document of that digest.
    pub fn accepts(&self, digest: &Digest) -> bool {
        self.digest.as_ref() == Some(digest) || self.previous_digests.contains(digest)
    }
}

/// NextTransition is what happens next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NextTransition {
    /// action that comes next.
    pub action: TransitionAction,
    /// keyName names the SigningKey that it happens to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::object_name")]
    pub key_name: Option<String>,
    /// earliestTime is before when it will not happen. Absent while that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub earliest_time: Option<Timestamp>,
    /// waitingFor is the guard that holds it back.
    pub waiting_for: Guard,
    /// message explains it to people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub message: Option<String>,
}

/// TransitionAction is a step of the lifecycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum TransitionAction {
    /// A key is made.
    Generate,
    /// A key is added to the set.
    Publish,
    /// A key becomes the one that signs.
    Activate,
    /// The private half of a retired key goes.
    DestroyPrivateKey,
    /// A retired key leaves the set.
    Remove,
    /// A revoked key leaves the set.
    Revoke,
}

/// Guard is what holds a step back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Guard {
    /// It is not time yet.
    Schedule,
    /// The key is not made yet.
    KeyMaterial,
    /// Not every replica serves the set yet.
    Visibility,
    /// Verifiers may still use a copy without the key.
    VerifierCaches,
    /// Signers may still use the old key.
    SignerReload,
    /// Pods of a rollout target may still have the old key.
    SignerRollout,
    /// Tokens of the key may still be valid.
    TokenExpiry,
    /// A rollback is still possible.
    RollbackWindow,
    /// The rotation is suspended.
    Suspended,
    /// The active key is pinned.
    Pinned,
    /// The key is held.
    Held,
    /// The clock is not trusted.
    Clock,
}

/// LastRotation is the last change of the active key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastRotation {
    /// time of the switch.
    #[schemars(schema_with = "schema::time")]
    pub time: Timestamp,
    /// reason for the switch.
    pub reason: RotationReason,
    /// keyName names the SigningKey that took over.
    #[schemars(schema_with = "schema::object_name")]
    pub key_name: String,
    /// previousKeyName names the SigningKey before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::object_name")]
    pub previous_key_name: Option<String>,
}

/// RotationReason is why the active key changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum RotationReason {
    /// The very first key.
    Bootstrap,
    /// The key before was old enough.
    Interval,
    /// `rotation.after` asked for it.
    Requested,
    /// The key was pinned.
    Pinned,
    /// The key before was revoked.
    Revoked,
    /// The private half of the key before was lost.
    KeyLost,
    /// The switch was found in the Signer Secret.
    Adopted,
    /// The records came back from a backup, and the key before had been due by then.
    Restored,
}

/// KeyStatus is one key of the set as this pass saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyStatus {
    /// name of the SigningKey.
    #[schemars(schema_with = "schema::object_name")]
    pub name: String,
    /// keyID in the published set.
    #[serde(default, rename = "keyID", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::key_id")]
    pub key_id: Option<KeyId>,
    /// algorithm of the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::algorithm")]
    pub algorithm: Option<Algorithm>,
    /// state of the key, derived. Pending: being made. Published: in the set, caches turning over.
    /// Standby: may sign. Active: signs. Retiring: verifies only. External: verifies only, signed
    /// elsewhere.
    pub state: KeyState,
    /// privateKey says where the private half is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<PrivateKeyState>,
    /// publishTime is when the key was first written to the ConfigMap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub publish_time: Option<Timestamp>,
    /// visibleTime is since when every replica has been seen to serve the key without a gap.
    /// Evidence: it is dropped when a replica lacks the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub visible_time: Option<Timestamp>,
    /// earliestActivationTime is visibleTime + maxCacheAge + clockSkew. While visibleTime stands it
    /// only moves later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub earliest_activation_time: Option<Timestamp>,
    /// activationTime is when the key last became active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub activation_time: Option<Timestamp>,
    /// retirementTime is when a successor took over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub retirement_time: Option<Timestamp>,
    /// rolloutTime is since when no Pod of any rollout target has been seen to have this key, after another
    /// one took over. Evidence: it is dropped when a target is added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub rollout_time: Option<Timestamp>,
    /// earliestRemovalTime is the promise until when the key stays published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub earliest_removal_time: Option<Timestamp>,
}

/// KeyState is where a key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum KeyState {
    /// Being made.
    Pending,
    /// In the set, caches turning over.
    Published,
    /// May sign.
    Standby,
    /// Signs.
    Active,
    /// Verifies only.
    Retiring,
    /// Left the set.
    Removed,
    /// Must not be trusted.
    Revoked,
    /// Verifies only, signed elsewhere.
    External,
}

/// PrivateKeyState says where the private half of a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum PrivateKeyState {
    /// In its Secret.
    Stored,
    /// Destroyed, as it should be by now.
    Destroyed,
    /// Gone although it is needed.
    Lost,
    /// There never was one here.
    None,
}

/// RolloutStatus is the latest rollout of one target that was seen to the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStatus {
    /// kind of the workload.
    pub kind: WorkloadKind,
    /// name of the workload.
    #[schemars(schema_with = "schema::object_name")]
    pub name: String,
    /// term of the activation after which every Pod of it started.
    #[schemars(range(min = 1, max = 9_007_199_254_740_991_i64))]
    pub term: i64,
    /// completionTime is when that was first seen.
    #[schemars(schema_with = "schema::time")]
    pub completion_time: Timestamp,
}

/// RevocationStatus is how far one revocation is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevocationStatus {
    /// keyID of the entry.
    #[serde(rename = "keyID")]
    #[schemars(schema_with = "schema::key_id")]
    pub key_id: KeyId,
    /// state of the revocation. NotFound: no record of this set has this kid; a key that comes with it
    /// later is refused.
    pub state: RevocationState,
    /// removalTime is when the key left the set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub removal_time: Option<Timestamp>,
    /// exposureEndTime is when the last cached copy with the key is gone. Absent until every replica
    /// was seen without the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub exposure_end_time: Option<Timestamp>,
}

/// RevocationState is how far a revocation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum RevocationState {
    /// The key still signs: another one takes over as soon as it may.
    WaitingForStandby,
    /// Signers may still use the key until maxReloadLag is over, counted from the end of the rollouts.
    WaitingForSigners,
    /// The key left the set.
    Removed,
    /// No record of this set has this kid.
    NotFound,
}
