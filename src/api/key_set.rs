//! KeySet: what the owner of an issuer writes.
//!
//! Invariants: every field but `algorithm` and `tokens` has a default that the server stores, or may
//! be absent and then means something fixed; no field is nullable. Rules across fields stand on
//! `spec`, because a rule on an object with the default `{}` is checked against the bare `{}`.
//! Deliberately absent: fields of features that do not exist yet.
#![allow(clippy::duplicated_attributes, reason = "each printcolumn has a type")]

use jiff::Timestamp;
use kube::{CustomResource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Duration, ExternalKey, HeldKey, ImportedKey, KeySetStatus, RevokedKey, Signers, names, rules, schema};
use crate::jose::{Algorithm, KeyId};

/// spec is what the owner of the issuer wants.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "keyset.dev",
    version = "v1alpha1",
    kind = "KeySet",
    plural = "keysets",
    singular = "keyset",
    shortname = "kset",
    category = "jwks",
    namespaced,
    status = "KeySetStatus",
    derive = "PartialEq",
    doc = "KeySet is one issuer's set of JWT signing keys: it is rotated into a Secret and published as a JWK Set so that no verifier meets an unknown kid and no unexpired token becomes unverifiable.",
    selectable = ".spec.publication.issuer",
    printcolumn(
        name = "Algorithm",
        type_ = "string",
        description = "Algorithm of new keys",
        json_path = ".spec.algorithm"
    ),
    printcolumn(
        name = "Active",
        type_ = "string",
        description = "SigningKey that signs",
        json_path = ".status.activeKeyName"
    ),
    printcolumn(
        name = "Keys",
        type_ = "integer",
        description = "Keys in the published set",
        json_path = ".status.publication.keyCount"
    ),
    printcolumn(
        name = "Next",
        type_ = "string",
        description = "What happens next",
        json_path = ".status.nextTransition.action"
    ),
    printcolumn(
        name = "Not Before",
        type_ = "string",
        description = "Before when it will not happen",
        json_path = ".status.nextTransition.earliestTime"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        description = "Whether the set is served and signs",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(name = "Age", type_ = "date", description = "Age", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Key ID",
        type_ = "string",
        description = "kid of new tokens",
        json_path = ".status.activeKeyID",
        priority = 1
    ),
    printcolumn(
        name = "Waiting For",
        type_ = "string",
        description = "Guard that holds the next step back",
        json_path = ".status.nextTransition.waitingFor",
        priority = 1
    ),
    printcolumn(
        name = "Mode",
        type_ = "string",
        description = "What moves the set forward",
        json_path = ".spec.rotation.mode",
        priority = 1
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        description = "Reason of Ready",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::key_set_spec()))]
pub struct KeySetSpec {
    /// algorithm is the JWS algorithm (RFC 7518, RFC 8037, RFC 9864) of new keys. After a change the
    /// next key has the new algorithm and waits its full lead like any other.
    #[schemars(schema_with = "schema::algorithm")]
    pub algorithm: Algorithm,
    /// rsaKeyBits is the modulus size of new RSA keys; only with RS* and PS*. Absent means 2048 (no
    /// schema default, so that ES* and EdDSA sets stay clean).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::rsa_key_bits")]
    pub rsa_key_bits: Option<i32>,
    /// tokens says what is signed with this set.
    pub tokens: Tokens,
    /// verifiers says what is known of those who check the tokens.
    #[serde(default)]
    #[schemars(extend("default" = json!({})))]
    pub verifiers: Verifiers,
    /// signers says how signers read the active private key.
    #[serde(default)]
    #[schemars(extend("default" = json!({})))]
    pub signers: Signers,
    /// clockSkew (S) bounds the difference between the clocks of the controller, signers and
    /// verifiers.
    #[serde(default = "five_minutes")]
    pub clock_skew: Duration,
    /// rotation says when the active key is replaced.
    #[serde(default)]
    #[schemars(extend("default" = json!({})))]
    pub rotation: Rotation,
    /// retention says how long retired keys and their records stay.
    #[serde(default)]
    #[schemars(extend("default" = json!({})))]
    pub retention: Retention,
    /// publication says how the set is published.
    #[serde(default)]
    #[schemars(extend("default" = json!({})))]
    pub publication: Publication,
    /// importedKeys are private keys to take over from Secrets of this namespace; each becomes a
    /// SigningKey. The Secret must carry the label keyset.dev/import with the name of this KeySet (the
    /// consent of its owner), and is never written. An entry that goes away changes nothing: the key is
    /// ours by then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub imported_keys: Vec<ImportedKey>,
    /// externalKeys are public keys to publish for signers elsewhere; they never sign here. An entry
    /// that goes away is retired, not dropped: its key leaves after maxReloadLag + maxLifetime +
    /// clockSkew + margin, so that a revert in time changes nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend(
            "x-kubernetes-list-type" = "map",
            "x-kubernetes-list-map-keys" = ["name"],
            "x-kubernetes-validations" = rules::external_keys()
        )
    )]
    pub external_keys: Vec<ExternalKey>,
    /// revokedKeys must never be in the set. Each entry is acknowledged in status.revocations. Taking
    /// an entry away does not bring the key back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["keyID"]))]
    pub revoked_keys: Vec<RevokedKey>,
    /// heldKeys are never removed from the set while they are listed. Revocation wins over a hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["keyID"]))]
    pub held_keys: Vec<HeldKey>,
    /// deletionPolicy says what becomes of SigningKeys, Secrets and the ConfigMap when the KeySet is
    /// deleted. Retain: they stay and go on being served; a KeySet of the same name takes them over
    /// without a rotation. Delete: they carry an owner reference and are garbage-collected. A change
    /// counts once status.observedGeneration has caught up.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

impl KeySet {
    /// The name of the Signer Secret.
    pub fn signer_secret_name(&self) -> String {
        self.spec.signer_secret_name(&self.name_any())
    }

    /// The name of the JWKS ConfigMap.
    pub fn config_map_name(&self) -> String {
        self.spec.config_map_name(&self.name_any())
    }
}

impl KeySetSpec {
    /// The name of the Signer Secret of the KeySet named `key_set`: `signers.secretName` or `<name>-signing-key`.
    pub fn signer_secret_name(&self, key_set: &str) -> String {
        let given = self.signers.secret_name.clone();
        given.unwrap_or_else(|| format!("{key_set}{}", names::SIGNER_SECRET_SUFFIX))
    }

    /// The name of the JWKS ConfigMap of the KeySet named `key_set`: `publication.configMapName` or `<name>-jwks`.
    pub fn config_map_name(&self, key_set: &str) -> String {
        let given = self.publication.config_map_name.clone();
        given.unwrap_or_else(|| format!("{key_set}{}", names::CONFIG_MAP_SUFFIX))
    }
}

/// Tokens says what is signed with this set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tokens {
    /// maxLifetime (T) is the longest lifetime of any token that this set signs. A retired key stays
    /// published for at least this long.
    #[schemars(schema_with = "schema::positive_duration")]
    pub max_lifetime: Duration,
}

/// Verifiers says what is known of those who check the tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Verifiers {
    /// maxCacheAge (C) is the longest time for which any verifier or HTTP cache may use an old copy
    /// of the set. A new key is published at least this long before it signs.
    pub max_cache_age: Duration,
}

impl Default for Verifiers {
    fn default() -> Self {
        Self { max_cache_age: Duration::from_hours(24) }
    }
}

/// Rotation says when the active key is replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Rotation {
    /// mode says what moves the set forward. Interval: age and `after`. OnRequest: only `after`.
    /// Suspended: nothing is generated, promoted, retired or removed; repairs and revocations go on.
    pub mode: RotationMode,
    /// interval (R) is the age at which the active key is replaced in mode Interval.
    pub interval: Duration,
    /// firstKey says when the very first key may sign. WhenServed: as soon as it is seen served, for
    /// an issuer that nobody knows yet. AfterCacheAge: it waits maxCacheAge like any other, for a URL
    /// that verifiers already use. WaitForImport: nothing is generated before a key of importedKeys
    /// is there.
    pub first_key: FirstKey,
    /// rollbackWindow (B) is how long the private half of a retired key is kept, so that pinnedKeyID
    /// can bring it back.
    pub rollback_window: Duration,
    /// after asks for an active key that was activated at or after this time. An active key from
    /// before is replaced as soon as the next one may sign, not before `after`. It is a wanted state,
    /// not a command: it acts once, an earlier value or none never acts again. Acknowledged when
    /// status.lastRotation.time is not before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub after: Option<Timestamp>,
    /// pinnedKeyID asks for this active key and no other: the retired key inside its rollback window,
    /// the standby once it may sign, or the active key itself. Nothing replaces a pinned key but its
    /// revocation or its loss. Remove the pin to go on.
    #[serde(rename = "pinnedKeyID", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::key_id")]
    pub pinned_key_id: Option<KeyId>,
}

impl Default for Rotation {
    fn default() -> Self {
        Self {
            mode: RotationMode::default(),
            interval: Duration::from_hours(720),
            first_key: FirstKey::default(),
            rollback_window: Duration::from_hours(1),
            after: None,
            pinned_key_id: None,
        }
    }
}

/// RotationMode says what moves the set forward.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum RotationMode {
    /// Age and `after`.
    #[default]
    Interval,
    /// Only `after`.
    OnRequest,
    /// Nothing; repairs and revocations go on.
    Suspended,
}

/// FirstKey says when the very first key may sign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum FirstKey {
    /// As soon as it is seen served.
    #[default]
    WhenServed,
    /// It waits like any other.
    AfterCacheAge,
    /// Nothing is generated before an imported key is there.
    WaitForImport,
}

/// Retention says how long retired keys and their records stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Retention {
    /// margin (M) is slack added before a retired key leaves the set.
    pub margin: Duration,
    /// historyLimit is how many removed SigningKeys are kept as a record. Revoked ones are always
    /// kept.
    #[schemars(range(min = 0, max = 16))]
    pub history_limit: i32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { margin: Duration::from_hours(24), history_limit: 3 }
    }
}

/// Publication says how the set is published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Publication {
    /// configMapName names the JWKS ConfigMap. Absent means metadata.name + "-jwks". Immutable,
    /// absence included.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::object_name")]
    pub config_map_name: Option<String>,
    /// cacheMaxAge (A) is the max-age of the Cache-Control header. stale-* windows are derived from
    /// what is left of maxCacheAge.
    pub cache_max_age: Duration,
    /// maxDelay (D) bounds the time from a write of the ConfigMap until every replica serves it. With
    /// a server of ours it only raises an alarm; with assumed visibility it is waited for.
    pub max_delay: Duration,
    /// issuer is the URL that the tokens carry as iss (OpenID Connect Discovery 1.0, RFC 8414). It adds
    /// discovery documents at its own host and path, and needs the administrator's consent for its host.
    /// Immutable once status.publication.issuer has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::issuer")]
    pub issuer: Option<String>,
    /// visibility says how a key is known to be served before it may sign. Replicas: every replica of
    /// the server has been seen to serve it. Assumed: the ConfigMap is read by something else (nginx,
    /// a mesh); maxDelay after the write it counts as served.
    pub visibility: VisibilitySource,
}

impl Default for Publication {
    fn default() -> Self {
        Self {
            config_map_name: None,
            cache_max_age: five_minutes(),
            max_delay: five_minutes(),
            issuer: None,
            visibility: VisibilitySource::default(),
        }
    }
}

/// VisibilitySource says how a key is known to be served before it may sign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum VisibilitySource {
    /// Every replica of the server has been seen to serve it.
    #[default]
    Replicas,
    /// `maxDelay` after the write it counts as served.
    Assumed,
}

/// DeletionPolicy says what becomes of the objects of a KeySet when it is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// They stay and go on being served.
    #[default]
    Retain,
    /// They are garbage-collected.
    Delete,
}

fn five_minutes() -> Duration {
    Duration::from_minutes(5)
}
