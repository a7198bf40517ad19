//! Ed25519 keys (RFC 8032, RFC 8037).

use ed25519_dalek::pkcs8::KeypairBytes;
use ed25519_dalek::{Signer as _, SigningKey};
use getrandom::rand_core::TryCryptoRng;
use rsa::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use zeroize::{Zeroize as _, Zeroizing};

use super::KeyError;
use super::private_key::{PrivateKey, PrivateMembers};
use crate::jose::{Algorithm, PublicJwk};

pub(super) fn generate<R: TryCryptoRng>(rng: &mut R) -> Result<SigningKey, KeyError> {
    let mut seed = Zeroizing::new([0; 32]);
    rng.try_fill_bytes(seed.as_mut()).map_err(|_| KeyError::RandomnessUnavailable)?;
    Ok(SigningKey::from_bytes(&seed))
}

/// Reads version 1 and version 2. `KeypairBytes` does not zeroize itself as it is built here.
pub(super) fn from_pem(pem: &str) -> Option<SigningKey> {
    from_bytes(KeypairBytes::from_pkcs8_pem(pem).ok()?)
}

/// The same from DER.
pub(super) fn from_pkcs8(der: &[u8]) -> Option<SigningKey> {
    from_bytes(KeypairBytes::from_pkcs8_der(der).ok()?)
}

/// The seed itself, as `d` of a JWK has it.
pub(super) fn from_seed(d: &[u8]) -> Option<SigningKey> {
    SigningKey::try_from(d).ok()
}

/// If there is a public half, it is the right one.
fn from_bytes(mut key: KeypairBytes) -> Option<SigningKey> {
    let pair = SigningKey::try_from(&key);
    key.secret_key.zeroize();
    pair.ok()
}

impl PrivateKey for SigningKey {
    fn public_jwk(&self, algorithm: Algorithm) -> Result<PublicJwk, KeyError> {
        Ok(PublicJwk::okp(algorithm, self.verifying_key().as_bytes())?)
    }

    fn private_members(&self) -> Result<PrivateMembers, KeyError> {
        Ok(vec![("d", Zeroizing::new(self.as_bytes().to_vec()))])
    }

    fn private_pem(&self) -> Option<Zeroizing<String>> {
        // Version 1 has no public half: older OpenSSL readers refuse version 2.
        let mut key = KeypairBytes { secret_key: self.to_bytes(), public_key: None };
        let pem = key.to_pkcs8_pem(LineEnding::LF);
        key.secret_key.zeroize();
        pem.ok()
    }

    fn public_pem(&self) -> Option<String> {
        self.verifying_key().to_public_key_pem(LineEnding::LF).ok()
    }

    fn sign(&self, _: Algorithm, message: &[u8]) -> Option<Vec<u8>> {
        Some(self.try_sign(message).ok()?.to_vec())
    }
}
