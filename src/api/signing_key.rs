//! SigningKey: what a KeySet decided about one of its keys.
//!
//! Invariants: only the operator writes it; what it is (set, sequence, origin, algorithm, public half)
//! never changes, and each time of its lifecycle only moves later. CEL holds both, against the
//! operator too. Deliberately absent: the private half, and evidence (that must not outlive a restore;
//! it is in the status of the KeySet).
#![allow(clippy::duplicated_attributes, reason = "each printcolumn has a type")]

use jiff::Timestamp;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Condition, PrivateKeyState, rules, schema};
use crate::jose::{Algorithm, PublicJwk};

/// spec is what the KeySet decided about this key. The operator writes it; people do not.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "keyset.dev",
    version = "v1alpha1",
    kind = "SigningKey",
    plural = "signingkeys",
    singular = "signingkey",
    shortname = "skey",
    category = "jwks",
    namespaced,
    status = "SigningKeyStatus",
    derive = "PartialEq",
    doc = "SigningKey is one key of a KeySet. The operator creates and writes it; import and publish keys through the KeySet.",
    selectable = ".spec.keySetName",
    selectable = ".spec.origin",
    printcolumn(name = "KeySet", type_ = "string", description = "KeySet of the key", json_path = ".spec.keySetName"),
    printcolumn(
        name = "Algorithm",
        type_ = "string",
        description = "Algorithm of the key",
        json_path = ".spec.algorithm"
    ),
    printcolumn(name = "State", type_ = "string", description = "State of the key", json_path = ".status.state"),
    printcolumn(name = "Key ID", type_ = "string", description = "kid of the key", json_path = ".spec.publicJWK.kid"),
    printcolumn(name = "Age", type_ = "date", description = "Age", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Origin",
        type_ = "string",
        description = "Where the key comes from",
        json_path = ".spec.origin",
        priority = 1
    ),
    printcolumn(
        name = "Active Since",
        type_ = "date",
        description = "When it became active",
        json_path = ".spec.lifecycle.activationTime",
        priority = 1
    ),
    printcolumn(
        name = "Earliest Removal",
        type_ = "string",
        description = "Until when it stays published",
        json_path = ".spec.lifecycle.earliestRemovalTime",
        priority = 1
    ),
    printcolumn(
        name = "Private Key",
        type_ = "string",
        description = "Where the private half is",
        json_path = ".status.privateKey",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::signing_key_spec()))]
pub struct SigningKeySpec {
    /// keySetName names the KeySet, in this namespace. Immutable.
    #[schemars(schema_with = "schema::key_set_name")]
    pub key_set_name: String,
    /// sequence counts the keys of the KeySet. metadata.name is keySetName + "-" + sequence.
    /// Immutable.
    #[schemars(range(min = 1, max = 2_147_483_647_i64))]
    pub sequence: i64,
    /// origin says where the key comes from. Immutable.
    pub origin: Origin,
    /// algorithm that the key is used with. Immutable.
    #[schemars(schema_with = "schema::algorithm")]
    pub algorithm: Algorithm,
    /// rsaKeyBits is the modulus size to generate. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::rsa_key_bits")]
    pub rsa_key_bits: Option<i32>,
    /// entryName is the name of the entry in importedKeys or externalKeys of the KeySet that this key
    /// stands for. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::entry_name")]
    pub entry_name: Option<String>,
    /// importFrom is where the private key of an Imported key was. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import_from: Option<SecretKeyRef>,
    /// publicJWK is the public half as it is published. Set once: a lost Secret or a lost status
    /// never loses it.
    #[serde(default, rename = "publicJWK", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::public_jwk")]
    pub public_jwk: Option<PublicJwk>,
    /// lifecycle is the record of what the KeySet decided for this key and promised about it. Each
    /// time only moves later, so that two records merge by taking the later of each. It is active if
    /// activationTime is set and later than retirementTime. It lives in spec because it cannot be
    /// observed again, and backups keep spec; evidence that must not outlive a restore is in the
    /// status of the KeySet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<Lifecycle>,
}

/// Origin says where a key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Origin {
    /// Made by the operator.
    Generated,
    /// Taken over from a Secret.
    Imported,
    /// Public half only; signed elsewhere.
    External,
}

/// SecretKeyRef is one entry of a Secret in this namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// name of the Secret.
    #[schemars(schema_with = "schema::object_name")]
    pub name: String,
    /// key in the Secret.
    #[schemars(schema_with = "schema::data_key")]
    pub key: String,
}

/// Lifecycle is what was decided for a key and promised about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = rules::lifecycle()))]
pub struct Lifecycle {
    /// term counts the activations of the KeySet; it is that of the last activation of this key. The
    /// Signer Secret carries the same number, so that a switch whose record was lost is known from
    /// the Secret itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 9_007_199_254_740_991_i64))]
    pub term: Option<i64>,
    /// activationTime is when the key last became the signing key; a rollback sets it anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub activation_time: Option<Timestamp>,
    /// retirementTime is when a successor last took over.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub retirement_time: Option<Timestamp>,
    /// earliestRemovalTime is the promise until when the public half stays published.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub earliest_removal_time: Option<Timestamp>,
    /// removalTime is when the public half left the set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub removal_time: Option<Timestamp>,
    /// revocationTime is when the key was revoked. The SigningKey stays for ever as the tombstone of
    /// its kid.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub revocation_time: Option<Timestamp>,
}

/// status is what the operator saw of the key material.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SigningKeyStatus {
    /// conditions are the current observations. See docs/conditions.md for each type and reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// observedGeneration is the metadata.generation that this status answers. It starts at -1, so
    /// that no tool takes an object for healthy that the operator has not seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1))]
    pub observed_generation: Option<i64>,
    /// state derived from spec.lifecycle, for people. Staged: not yet active; the KeySet's status says
    /// whether it may sign.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<SigningKeyState>,
    /// privateKey says where the private half is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_key: Option<PrivateKeyState>,
}

/// SigningKeyState is what the lifecycle of a key comes to, for people. Staged: not yet active; the
/// status of the KeySet says whether it may sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum SigningKeyState {
    /// Being made.
    Pending,
    /// Made and not yet active.
    Staged,
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
