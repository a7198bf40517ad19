//! A public key as PEM (RFC 5280 SubjectPublicKeyInfo), for readers that know no JWK.

use rsa::pkcs8::{EncodePublicKey as _, LineEnding};
use rsa::{BoxedUint, PublicKey as RsaPublicKey};

use super::{Algorithm, PublicJwk, PublicKey};

impl PublicJwk {
    /// The key as PEM; `None` if its members are no key after all.
    pub fn to_pem(&self) -> Option<String> {
        match self.key() {
            PublicKey::Rsa { n, e } => {
                let number = BoxedUint::from_be_slice_vartime;
                let key = RsaPublicKey::new(number(n), number(e)).ok()?;
                key.to_public_key_pem(LineEnding::LF).ok()
            }
            PublicKey::Ec { x, y } => {
                let point = [&[UNCOMPRESSED], x.as_slice(), y].concat();
                match self.algorithm() {
                    Algorithm::ES256 => {
                        p256::PublicKey::from_sec1_bytes(&point).ok()?.to_public_key_pem(LineEnding::LF)
                    }
                    Algorithm::ES384 => {
                        p384::PublicKey::from_sec1_bytes(&point).ok()?.to_public_key_pem(LineEnding::LF)
                    }
                    _ => p521::PublicKey::from_sec1_bytes(&point).ok()?.to_public_key_pem(LineEnding::LF),
                }
                .ok()
            }
            PublicKey::Okp { x } => {
                let key = ed25519_dalek::VerifyingKey::try_from(x.as_slice()).ok()?;
                key.to_public_key_pem(LineEnding::LF).ok()
            }
        }
    }
}

/// SEC 1 section 2.3.3.
const UNCOMPRESSED: u8 = 4;
