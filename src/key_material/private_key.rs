//! What every type of private key can do, and which type an algorithm has.

use ::rsa::pkcs8::DecodePrivateKey as _;
use getrandom::rand_core::TryCryptoRng;
use p256::elliptic_curve::Generate;
use zeroize::Zeroizing;

use super::{KeyError, ed25519, rsa};
use crate::api::names::secret;
use crate::jose::{Algorithm, PublicJwk};

/// Name and octets.
pub(super) type PrivateMembers = Vec<(&'static str, Zeroizing<Vec<u8>>)>;

/// A private key in memory that zeroizes itself.
pub(super) trait PrivateKey: Send + Sync {
    /// The public half under its thumbprint.
    fn public_jwk(&self, algorithm: Algorithm) -> Result<PublicJwk, KeyError>;

    /// The private members of its JWK: integers big-endian and minimal, EC values of the full length.
    fn private_members(&self) -> Result<PrivateMembers, KeyError>;

    /// PKCS#8 version 1.
    fn private_pem(&self) -> Option<Zeroizing<String>>;

    /// PKCS#1, which RSA keys have.
    fn pkcs1_pem(&self) -> Option<Zeroizing<String>> {
        None
    }

    /// SEC 1, which EC keys have.
    fn sec1_pem(&self) -> Option<Zeroizing<String>> {
        None
    }

    /// `SubjectPublicKeyInfo`.
    fn public_pem(&self) -> Option<String>;

    /// The signature in its JWS form (RFC 7518 section 3).
    fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Option<Vec<u8>>;
}

/// Makes a key; `rsa_key_bits` says nothing to other algorithms.
pub(super) fn generate<R: TryCryptoRng>(
    algorithm: Algorithm,
    rsa_key_bits: Option<i32>,
    rng: &mut R,
) -> Result<Box<dyn PrivateKey>, KeyError> {
    match algorithm {
        Algorithm::ES256 => generate_ec::<p256::SecretKey, R>(rng),
        Algorithm::ES384 => generate_ec::<p384::SecretKey, R>(rng),
        Algorithm::ES512 => generate_ec::<p521::SecretKey, R>(rng),
        Algorithm::EdDSA | Algorithm::Ed25519 => Ok(Box::new(ed25519::generate(rng)?)),
        _ => Ok(Box::new(rsa::generate(rsa_key_bits, rng)?)),
    }
}

fn generate_ec<K: PrivateKey + Generate + 'static, R: TryCryptoRng>(
    rng: &mut R,
) -> Result<Box<dyn PrivateKey>, KeyError> {
    let key = K::try_generate_from_rng(rng).map_err(|_| KeyError::RandomnessUnavailable)?;
    Ok(Box::new(key))
}

/// Reads a PKCS#8 PEM.
pub(super) fn from_pem(algorithm: Algorithm, pem: &str) -> Result<Box<dyn PrivateKey>, KeyError> {
    let key: Option<Box<dyn PrivateKey>> = match algorithm {
        Algorithm::ES256 => boxed(p256::SecretKey::from_pkcs8_pem(pem)),
        Algorithm::ES384 => boxed(p384::SecretKey::from_pkcs8_pem(pem)),
        Algorithm::ES512 => boxed(p521::SecretKey::from_pkcs8_pem(pem)),
        Algorithm::EdDSA | Algorithm::Ed25519 => boxed(ed25519::from_pem(pem).ok_or(())),
        _ => boxed(::rsa::PrivateKey::from_pkcs8_pem(pem)),
    };
    key.ok_or_else(|| KeyError::invalid(secret::PRIVATE_PEM, format!("a PKCS#8 PEM of a key for {algorithm}")))
}

pub(super) fn boxed<K: PrivateKey + 'static, E>(key: Result<K, E>) -> Option<Box<dyn PrivateKey>> {
    Some(Box::new(key.ok()?))
}
