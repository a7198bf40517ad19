//! Whether a public key is a point of its curve.
//!
//! Keys that are made or imported here pass a self-test, which finds that out too. A key from elsewhere has no private
//! half to test with, and many verifiers drop a whole set for one key that is no point.

use super::{Algorithm, JwkError, PublicJwk, PublicKey};

impl PublicJwk {
    /// Refuses an EC key that is not on its curve, and an Ed25519 key that is no point or for which anybody can sign.
    pub fn check_point(&self) -> Result<(), JwkError> {
        match self.key() {
            PublicKey::Rsa { .. } => Ok(()),
            PublicKey::Ec { x, y } if is_on_curve(self.algorithm(), x, y) => Ok(()),
            PublicKey::Ec { .. } => {
                let curve = self.algorithm().curve().map_or("the curve", |curve| curve.name);
                Err(JwkError::invalid("x", format!("that of a point on {curve}, with its \"y\"")))
            }
            PublicKey::Okp { x } if is_ed25519(x) => Ok(()),
            PublicKey::Okp { .. } => Err(JwkError::invalid("x", "a point on Ed25519, and not one of small order")),
        }
    }
}

fn is_on_curve(algorithm: Algorithm, x: &[u8], y: &[u8]) -> bool {
    let point = [&[UNCOMPRESSED], x, y].concat();
    match algorithm {
        Algorithm::ES256 => p256::PublicKey::from_sec1_bytes(&point).is_ok(),
        Algorithm::ES384 => p384::PublicKey::from_sec1_bytes(&point).is_ok(),
        Algorithm::ES512 => p521::PublicKey::from_sec1_bytes(&point).is_ok(),
        _ => false,
    }
}

fn is_ed25519(x: &[u8]) -> bool {
    ed25519_dalek::VerifyingKey::try_from(x).is_ok_and(|key| !key.is_weak())
}

/// SEC 1 section 2.3.3.
pub(super) const UNCOMPRESSED: u8 = 4;
