//! Whether a signature is that of a key (RFC 7515 section 5.2, RFC 7518 section 3, RFC 8037 section 3.1, RFC 9864).
//!
//! A signature has the form that JWS gives it: `r` and `s` of full length for ECDSA, not DER; a PSS salt as long as the
//! hash. Ed25519 is verified strictly: no key of small order, and one encoding of each signature.

use rsa::{BoxedUint, PublicKey as RsaPublicKey};
use sha2::{Sha256, Sha384, Sha512};

use super::point::UNCOMPRESSED;
use super::{Algorithm, PublicJwk, PublicKey};

impl PublicJwk {
    /// Whether a verifier that has only this key, and uses it with its one algorithm, accepts the signature.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self.key() {
            PublicKey::Rsa { n, e } => rsa(self.algorithm(), n, e, message, signature),
            PublicKey::Ec { x, y } => ec(self.algorithm(), x, y, message, signature),
            PublicKey::Okp { x } => ed25519(x, message, signature),
        }
    }
}

fn rsa(algorithm: Algorithm, n: &[u8], e: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let n = BoxedUint::from_be_slice_vartime(n);
    let Ok(key) = RsaPublicKey::new(n, BoxedUint::from_be_slice_vartime(e)) else { return false };
    match algorithm {
        Algorithm::RS256 => key.pkcs1v15_verify::<Sha256>(message, signature),
        Algorithm::RS384 => key.pkcs1v15_verify::<Sha384>(message, signature),
        Algorithm::RS512 => key.pkcs1v15_verify::<Sha512>(message, signature),
        Algorithm::PS256 => key.pss_verify::<Sha256>(message, signature),
        Algorithm::PS384 => key.pss_verify::<Sha384>(message, signature),
        Algorithm::PS512 => key.pss_verify::<Sha512>(message, signature),
        _ => return false,
    }
    .is_ok()
}

fn ec(algorithm: Algorithm, x: &[u8], y: &[u8], message: &[u8], signature: &[u8]) -> bool {
    // The three crates have the same names with other numbers behind them.
    macro_rules! verify {
        ($curve:ident, $point:expr) => {{
            use $curve::ecdsa::signature::Verifier as _;
            let key = $curve::ecdsa::VerifyingKey::from_sec1_bytes($point);
            let signature = $curve::ecdsa::Signature::from_slice(signature);
            key.is_ok_and(|key| signature.is_ok_and(|signature| key.verify(message, &signature).is_ok()))
        }};
    }
    let point = [&[UNCOMPRESSED], x, y].concat();
    match algorithm {
        Algorithm::ES256 => verify!(p256, &point),
        Algorithm::ES384 => verify!(p384, &point),
        Algorithm::ES512 => verify!(p521, &point),
        _ => false,
    }
}

fn ed25519(x: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let key = ed25519_dalek::VerifyingKey::try_from(x);
    let signature = ed25519_dalek::Signature::from_slice(signature);
    key.is_ok_and(|key| signature.is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()))
}
