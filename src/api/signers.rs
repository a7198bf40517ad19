//! `spec.signers`: how signers read the active private key.
//!
//! Invariant: what a signer mounts never goes by surprise. An entry of `files` adds a file, and takes none away.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Duration, names::secret, rules, schema};
use crate::jose::{Algorithm, Family};

/// Signers says how signers read the active private key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Signers {
    /// secretName names the Signer Secret. Absent means metadata.name + "-signing-key". Immutable,
    /// absence included.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::object_name")]
    pub secret_name: Option<String>,
    /// maxReloadLag (L) bounds the time from a write of the Signer Secret to the last signature by
    /// the old key.
    pub max_reload_lag: Duration,
    /// files are further files of the active key in the Signer Secret. private.jwk, private.pem
    /// (PKCS#8), public.pem, kid and alg are always there: an entry adds a file under its name and
    /// takes none away. A file that the active key has no form for is left out until a key signs that
    /// has one, after a change of the algorithm for instance. An entry that goes away takes its file
    /// along at once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        extend(
            "x-kubernetes-list-type" = "map",
            "x-kubernetes-list-map-keys" = ["format"],
            "x-kubernetes-validations" = rules::signer_files()
        )
    )]
    pub files: Vec<SignerFile>,
    /// rolloutTargets are workloads of this namespace that read the Signer Secret only when they start.
    /// After each switch their Pod template gets an annotation, so that their Pods start anew, and
    /// maxReloadLag and rollbackWindow count from when every Pod has. A key that was replaced stays
    /// published until then. One that does not exist holds nothing up; a condition tells.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["kind", "name"])
    )]
    pub rollout_targets: Vec<RolloutTarget>,
}

impl Default for Signers {
    fn default() -> Self {
        Self {
            secret_name: None,
            max_reload_lag: Duration::from_minutes(10),
            files: Vec::new(),
            rollout_targets: Vec::new(),
        }
    }
}

/// SignerFile is one format of the active key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignerFile {
    /// format of the file. PKCS1PEM only with RS* and PS*, SEC1PEM only with ES*.
    pub format: FileFormat,
    /// name of the file, the key of the entry in the Secret. Absent means the usual name of the format:
    /// private.pem, private.pkcs1.pem, private.sec1.pem, public.pem or private.jwk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::file_name")]
    pub name: Option<String>,
}

impl SignerFile {
    /// The key of the entry in the Secret.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(self.format.usual_name())
    }
}

/// FileFormat is how a file holds the active key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum FileFormat {
    /// The private key as PKCS#8 PEM (RFC 5958): `PRIVATE KEY`.
    #[serde(rename = "PKCS8PEM")]
    Pkcs8Pem,
    /// The private RSA key as PKCS#1 PEM (RFC 8017): `RSA PRIVATE KEY`.
    #[serde(rename = "PKCS1PEM")]
    Pkcs1Pem,
    /// The private EC key as SEC 1 PEM (RFC 5915): `EC PRIVATE KEY`.
    #[serde(rename = "SEC1PEM")]
    Sec1Pem,
    /// The public key as SPKI PEM: `PUBLIC KEY`.
    #[serde(rename = "PublicPEM")]
    PublicPem,
    /// The private key as a JWK (RFC 7517).
    #[serde(rename = "PrivateJWK")]
    PrivateJwk,
}

impl FileFormat {
    /// Every format.
    pub const ALL: [Self; 5] = [Self::Pkcs8Pem, Self::Pkcs1Pem, Self::Sec1Pem, Self::PublicPem, Self::PrivateJwk];

    /// As the API spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pkcs8Pem => "PKCS8PEM",
            Self::Pkcs1Pem => "PKCS1PEM",
            Self::Sec1Pem => "SEC1PEM",
            Self::PublicPem => "PublicPEM",
            Self::PrivateJwk => "PrivateJWK",
        }
    }

    /// Whether a key of that algorithm has such a form.
    pub fn is_of(self, algorithm: Algorithm) -> bool {
        match self {
            Self::Pkcs1Pem => algorithm.family() == Family::Rsa,
            Self::Sec1Pem => algorithm.family() == Family::Ec,
            Self::Pkcs8Pem | Self::PublicPem | Self::PrivateJwk => true,
        }
    }

    /// The name of the file where the spec gives none.
    pub const fn usual_name(self) -> &'static str {
        match self {
            Self::Pkcs8Pem => secret::PRIVATE_PEM,
            Self::Pkcs1Pem => secret::PRIVATE_PKCS1_PEM,
            Self::Sec1Pem => secret::PRIVATE_SEC1_PEM,
            Self::PublicPem => secret::PUBLIC_PEM,
            Self::PrivateJwk => secret::PRIVATE_JWK,
        }
    }
}

/// RolloutTarget is a workload in this namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutTarget {
    /// kind of the workload.
    pub kind: WorkloadKind,
    /// name of the workload.
    #[schemars(schema_with = "schema::object_name")]
    pub name: String,
}

impl fmt::Display for RolloutTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.kind, self.name)
    }
}

/// WorkloadKind is what starts the Pods (group apps, version v1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum WorkloadKind {
    /// Deployment.
    Deployment,
    /// StatefulSet.
    StatefulSet,
}
