//! The signature algorithms that a key may have (RFC 7518 section 3.1, RFC 8037 section 3.1, RFC 9864 section 2.2).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::JwkError;

/// A JWS algorithm. A key has exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512,
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// RSASSA-PSS with SHA-384.
    PS384,
    /// RSASSA-PSS with SHA-512.
    PS512,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// ECDSA on P-521 with SHA-512.
    ES512,
    /// Ed25519 under the name that verifiers know (RFC 8037).
    EdDSA,
    /// Ed25519 under its fully specified name (RFC 9864).
    Ed25519,
}

/// A key type: what a verifier must understand to read a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// RSA (RFC 7518 section 6.3).
    Rsa,
    /// Elliptic curve (RFC 7518 section 6.2).
    Ec,
    /// Octet key pair (RFC 8037 section 2).
    Okp,
}

/// The curve of an EC or OKP key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Curve {
    /// The value of `crv`.
    pub name: &'static str,
    /// The length of a coordinate and of the private value, in octets.
    pub octets: usize,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::ES512,
        Self::EdDSA,
        Self::Ed25519,
    ];

    /// The name in the JOSE registry: the value of `alg`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::ES512 => "ES512",
            Self::EdDSA => "EdDSA",
            Self::Ed25519 => "Ed25519",
        }
    }

    /// The type of its keys.
    pub const fn family(self) -> Family {
        match self {
            Self::RS256 | Self::RS384 | Self::RS512 | Self::PS256 | Self::PS384 | Self::PS512 => Family::Rsa,
            Self::ES256 | Self::ES384 | Self::ES512 => Family::Ec,
            Self::EdDSA | Self::Ed25519 => Family::Okp,
        }
    }

    /// Whether its keys are RSA keys, and so have a size to choose.
    pub const fn is_rsa(self) -> bool {
        matches!(self.family(), Family::Rsa)
    }

    /// The curve of its keys; `None` for RSA.
    pub const fn curve(self) -> Option<Curve> {
        match self {
            Self::ES256 => Some(Curve { name: "P-256", octets: 32 }),
            Self::ES384 => Some(Curve { name: "P-384", octets: 48 }),
            Self::ES512 => Some(Curve { name: "P-521", octets: 66 }),
            Self::EdDSA | Self::Ed25519 => Some(Curve { name: "Ed25519", octets: 32 }),
            _ => None,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = JwkError;

    fn from_str(name: &str) -> Result<Self, JwkError> {
        let found = Self::ALL.into_iter().find(|algorithm| algorithm.name() == name);
        found.ok_or_else(|| JwkError::invalid("alg", format!("one of {}", Self::ALL.map(Self::name).join(", "))))
    }
}

impl fmt::Display for Family {
    /// The value of `kty`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Rsa => "RSA",
            Self::Ec => "EC",
            Self::Okp => "OKP",
        })
    }
}
