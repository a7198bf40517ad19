//! What one look at the cluster showed, as plain values.
//!
//! Built by the controller from live reads; [`super::plan`] reads nothing else.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::api::{KeySetSpec, KeySetStatus, Lifecycle, Origin, RolloutTarget, RotationReason, SigningKeyStatus};
use crate::jose::{Algorithm, Digest, JwkSet, KeyId, PublicJwk};

/// Everything that a plan depends on, but the time.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// The KeySet itself.
    pub key_set: ObservedKeySet,
    /// Its SigningKeys (`spec.keySetName`), by sequence.
    pub keys: Vec<Key>,
    /// Names of SigningKeys that could not be decoded. They count as present and freeze every forward step.
    pub undecodable: Vec<String>,
    /// Key Secrets of ours that no SigningKey names: where the status names a key, and around the names where some may be
    /// until the KeySet is claimed, when status and records are lost.
    pub strays: Vec<Stray>,
    /// Entries of `importedKeys` that no SigningKey stands for yet.
    pub imports: Vec<Import>,
    /// What keeps `spec.publication.issuer` from being served, if the spec names one.
    pub issuer: Option<IssuerObstacle>,
    /// An object of a name that we need and that is not ours, which only a write found: kind and name.
    pub obstacle: Option<String>,
    /// The Signer Secret.
    pub signer: Signer,
    /// The JWKS ConfigMap.
    pub published: Published,
    /// The latest look at the replicas, if any was taken.
    pub pass: Option<Pass>,
    /// What a replica serves that the objects do not show ([`super::sought`]).
    pub witness: Option<Witness>,
    /// The workloads of `signers.rolloutTargets`, one for each entry.
    pub targets: Vec<Target>,
    /// Whether `now` may be believed.
    pub clock: Clock,
}

/// The KeySet as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct ObservedKeySet {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`.
    pub resource_version: String,
    /// `metadata.generation`.
    pub generation: i64,
    /// The wanted state.
    pub spec: KeySetSpec,
    /// The stored status. Its evidence counts only if it was gathered for this `uid`.
    pub status: KeySetStatus,
}

/// Identity and version of an object that was read; a write that carries it fails if the object changed since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`.
    pub resource_version: String,
}

/// Whether an object carries the owner reference that `spec.deletionPolicy` asks for, and is open to writes of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// As the policy wants it.
    AsWanted,
    /// The reference must be added or taken away, or the object was made immutable: it must be written again.
    Differs,
}

/// A SigningKey and its Key Secret.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// `metadata.name`, `<keyset>-<sequence>`.
    pub name: String,
    /// For fenced writes of the SigningKey.
    pub fence: Fence,
    /// `metadata.generation`.
    pub generation: i64,
    /// `spec.sequence`.
    pub sequence: i64,
    /// `spec.origin`.
    pub origin: Origin,
    /// `spec.entryName`: the entry of the KeySet that the key stands for, unless it was generated.
    pub entry_name: Option<String>,
    /// `spec.algorithm`.
    pub algorithm: Algorithm,
    /// `spec.rsaKeyBits`.
    pub rsa_key_bits: Option<i32>,
    /// The public half, once known.
    pub jwk: Option<PublicJwk>,
    /// The promises (`spec.lifecycle`).
    pub lifecycle: Lifecycle,
    /// The stored status.
    pub status: Option<SigningKeyStatus>,
    /// Where the private half is.
    pub private: PrivateHalf,
    /// Owner reference of the SigningKey and its Key Secret.
    pub ownership: Ownership,
}

/// A Key Secret of ours without a SigningKey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    /// By its name, `<keyset>-<sequence>`.
    pub sequence: i64,
    /// Its public half.
    pub jwk: PublicJwk,
    /// The entry of `importedKeys` that it was copied for, unless it was generated.
    pub entry_name: Option<String>,
}

/// An entry of `importedKeys` and what its Secret holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// `name` of the entry.
    pub entry_name: String,
    /// The public half of a key that was read and tested, or what is wrong and what to do about it, for people.
    pub key: Result<PublicJwk, String>,
}

/// What keeps an issuer from being served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssuerObstacle {
    /// The administrator has not given its host to the namespace.
    NotAllowed,
    /// An older KeySet has it, or its path: `<namespace>/<name>`.
    Taken {
        /// By whom.
        by: String,
    },
}

/// What a live read of the Key Secret showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrivateHalf {
    /// Ours, readable, and of this public key.
    Stored(Fence),
    /// Not there.
    Absent,
    /// Ours by label but of another key (a delayed create landed after a deletion): never used, deleted.
    Mismatched(Fence),
    /// An object of that name that is not ours: never touched.
    Foreign,
}

/// The Signer Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signer {
    /// Not there.
    Absent,
    /// An object of that name that is not ours: never touched.
    Foreign,
    /// Ours by its labels, without a record that can be read.
    Illegible(Fence),
    /// Ours.
    Ours(SignerSecret),
}

/// The record that the Signer Secret carries: who signs, since when, instead of whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignerSecret {
    /// For fenced writes.
    pub fence: Fence,
    /// The term of this activation (PROTOCOL 1).
    pub term: i64,
    /// kid of the key that signs.
    pub key_id: KeyId,
    /// Name of its SigningKey.
    pub key_name: String,
    /// When it took over.
    pub activation_time: Timestamp,
    /// kid of the key that it replaced.
    pub replaced: Option<KeyId>,
    /// kids that nobody may flip to any more.
    pub barred: BTreeSet<KeyId>,
    /// Why it took over.
    pub reason: RotationReason,
    /// UID of the KeySet that it was written for.
    pub key_set_uid: Option<String>,
    /// Whether the data is what the record says.
    pub content: SignerContent,
    /// Owner reference.
    pub ownership: Ownership,
}

/// Whether the Signer Secret's files are those of its recorded key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignerContent {
    /// The files hold the private half of the recorded key.
    Intact,
    /// They do, but there are not just those beside them that `signers.files` asks for.
    OtherFiles,
    /// They do not: tampered with, or half written by hand.
    Damaged,
}

/// A workload that reads the Signer Secret only when it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The entry of the spec.
    pub entry: RolloutTarget,
    /// What a live read of it showed.
    pub workload: Workload,
}

/// What a live read of a rollout target showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Workload {
    /// Not there: nothing of it runs.
    Absent,
    /// It may not be read, or not be marked; the text says why, for people.
    Refused(String),
    /// It is there.
    Found {
        /// `metadata.uid`.
        uid: String,
        /// What its Pod template is marked with.
        mark: Option<Mark>,
        /// Its Pods.
        pods: Pods,
    },
}

/// The activation that a Pod template is marked with. Every Pod of it started later, and read that key or a newer one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its term.
    pub term: i64,
    /// The kid of its key: a term alone may come again after a restore.
    pub key_id: KeyId,
}

/// Whether the Pods of a workload are those of its template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pods {
    /// All of them, as many as there shall be, and available. There may be none.
    Current,
    /// Some are not, or not yet; the text says why, for people, and does not change with each Pod.
    Outdated(String),
}

/// The JWKS ConfigMap.
#[derive(Clone, Debug, PartialEq)]
pub enum Published {
    /// Not there.
    Absent,
    /// An object of that name that is not ours: never touched.
    Foreign,
    /// Ours.
    Ours(ConfigMapContent),
}

/// What the JWKS ConfigMap holds.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigMapContent {
    /// For fenced writes.
    pub fence: Fence,
    /// Digest of the bytes of `jwks.json`, if the ConfigMap has exactly that entry.
    pub digest: Option<Digest>,
    /// The set, if the bytes are a lawful one.
    pub set: Option<JwkSet>,
    /// The revision in its annotation: a hint for a set whose status was lost.
    pub revision: Option<i64>,
    /// The issuer in its annotation, which counts once the KeySet is gone.
    pub issuer: Option<String>,
    /// Labels and annotations as we write them.
    pub ownership: Ownership,
}

/// One look at every replica of the server (PROTOCOL 4).
#[derive(Clone, Debug, PartialEq)]
pub struct Pass {
    /// When the last answer of the pass came in.
    pub time: Timestamp,
    /// Whether it can be evidence.
    pub state: PassState,
    /// Every replica that answered.
    pub replicas: Vec<Replica>,
}

/// Whether every endpoint answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PassState {
    /// There are endpoints, and each of them answered, be it that it serves nothing.
    Complete,
    /// Someone did not; the text names the endpoint and what is wrong, for people.
    Incomplete(String),
}

/// One replica's answer about this set.
#[derive(Clone, Debug, PartialEq)]
pub struct Replica {
    /// Address, for messages.
    pub endpoint: String,
    /// What it serves for this set; `None` while it serves nothing.
    pub served: Option<ServedKeys>,
}

/// What a replica serves, and since when.
#[derive(Clone, Debug, PartialEq)]
pub struct ServedKeys {
    /// UID of the KeySet whose status accepted it, if it is known.
    pub key_set_uid: Option<String>,
    /// Revision that it serves.
    pub revision: i64,
    /// Digest that it serves.
    pub digest: Digest,
    /// For each kid: how long ago this process last answered without it; `None` for never.
    pub ages: BTreeMap<KeyId, Option<SignedDuration>>,
}

/// A document that only a replica has: the ConfigMap is lost, or all objects came back from a backup (PROTOCOL 3 and 9).
#[derive(Clone, Debug, PartialEq)]
pub struct Witness {
    /// Digest of the document.
    pub digest: Digest,
    /// The set; `None` if it could not be fetched.
    pub set: Option<JwkSet>,
}

/// Whether the wall clock may be believed (PROTOCOL 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clock {
    /// It agrees with the API server's and with the monotonic clock.
    Trusted,
    /// It does not; the text says how, for people.
    Untrusted(String),
}
