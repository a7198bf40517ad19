//! The keys that a KeySet names: brought along, published for others, revoked, held.
//!
//! Each list is a wanted state, keyed by a name or a kid. Invariant: absence never destroys a key. Private
//! members are not part of any type here. Deliberately absent: what each entry makes the operator do (`lifecycle`).

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{SecretKeyRef, rules, schema};
use crate::jose::{Algorithm, JwkError, KeyId, PublicJwk};

/// ImportedKey is a private key in a Secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportedKey {
    /// name tells this entry from the others for ever.
    #[schemars(schema_with = "schema::entry_name")]
    pub name: String,
    /// secretRef is where the private key is: PKCS#8, PKCS#1 or SEC 1 PEM, or a private JWK.
    pub secret_ref: SecretKeyRef,
    /// algorithm that the key signs with. Absent means spec.algorithm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::algorithm")]
    pub algorithm: Option<Algorithm>,
    /// keyID that verifiers already know the key by. Absent means the kid of a private JWK that has
    /// one, and else the RFC 7638 thumbprint.
    #[serde(default, rename = "keyID", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::key_id")]
    pub key_id: Option<KeyId>,
}

/// ExternalKey is a public key of a signer elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::external_key()))]
pub struct ExternalKey {
    /// name tells this entry from the others for ever.
    #[schemars(schema_with = "schema::entry_name")]
    pub name: String,
    /// publicJWK is the key. Immutable for a given name. Private members are not part of the schema
    /// and are never stored.
    #[serde(rename = "publicJWK")]
    #[schemars(schema_with = "schema::public_jwk")]
    pub public_jwk: BTreeMap<String, String>,
    /// publishUntilTime is when the key leaves the set by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub publish_until_time: Option<Timestamp>,
}

impl ExternalKey {
    /// The key of the entry. The schema lets some pass that are none, such as an even modulus or a point off its curve;
    /// the error says what is wrong with one.
    pub fn jwk(&self) -> Result<PublicJwk, JwkError> {
        let jwk = PublicJwk::from_members(&self.public_jwk)?;
        jwk.check_point()?;
        Ok(jwk)
    }

    /// The kid of the entry.
    pub fn kid(&self) -> Option<&str> {
        self.public_jwk.get("kid").map(String::as_str)
    }
}

/// RevokedKey is a key that must not be trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevokedKey {
    /// keyID of the key.
    #[serde(rename = "keyID")]
    #[schemars(schema_with = "schema::key_id")]
    pub key_id: KeyId,
    /// mode says what may be given up for speed. AfterSwitch: the standby takes over at once, or as
    /// soon as it may sign; the key leaves after maxReloadLag; no verifier meets an unknown kid.
    /// ForceSwitch: the newest key takes over even if verifiers may not know it yet. Immediate: like
    /// ForceSwitch, and the key leaves now.
    #[serde(default)]
    pub mode: RevocationMode,
}

/// RevocationMode says what may be given up for speed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum RevocationMode {
    /// No verifier meets an unknown kid.
    #[default]
    AfterSwitch,
    /// The newest key takes over even if verifiers may not know it yet.
    ForceSwitch,
    /// The same, and the key leaves now.
    Immediate,
}

/// HeldKey is a key that must stay published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeldKey {
    /// keyID of the key.
    #[serde(rename = "keyID")]
    #[schemars(schema_with = "schema::key_id")]
    pub key_id: KeyId,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::vectors::{RFC_9449_X, RFC_9449_Y};

    #[test]
    fn an_external_key_may_leave_use_out_and_must_be_a_key() {
        let entry = |alg: &str, y: &str| ExternalKey {
            name: "edge".to_owned(),
            public_jwk: [("kty", "EC"), ("alg", alg), ("kid", "edge-1"), ("crv", "P-256"), ("x", RFC_9449_X), ("y", y)]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            publish_until_time: None,
        };
        let jwk = entry("ES256", RFC_9449_Y).jwk().unwrap();
        assert_eq!((jwk.kid().as_str(), jwk.algorithm()), ("edge-1", Algorithm::ES256));
        assert!(matches!(entry("ES384", RFC_9449_Y).jwk(), Err(JwkError::InvalidMember { .. })));
        let off = entry("ES256", RFC_9449_X).jwk().unwrap_err();
        assert_eq!(off.to_string(), r#"member "x" must be that of a point on P-256, with its "y""#);
    }
}
