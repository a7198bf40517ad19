//! Keys on the NIST curves (RFC 7518 sections 3.4 and 6.2).

use getrandom::SysRng;
use rsa::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use zeroize::Zeroizing;

use super::KeyError;
use super::private_key::{PrivateKey, PrivateMembers, boxed};
use crate::jose::{Algorithm, PublicJwk};

/// The three crates have the same names with other numbers behind them.
macro_rules! curve {
    ($curve:ident) => {
        impl PrivateKey for $curve::SecretKey {
            fn public_jwk(&self, algorithm: Algorithm) -> Result<PublicJwk, KeyError> {
                let point = self.public_key().to_sec1_bytes();
                let (x, y) = point[1..].split_at(point.len() / 2);
                Ok(PublicJwk::ec(algorithm, x, y)?)
            }

            fn private_members(&self) -> Result<PrivateMembers, KeyError> {
                let d = Zeroizing::new(self.to_bytes());
                Ok(vec![("d", Zeroizing::new(d.to_vec()))])
            }

            fn private_pem(&self) -> Option<Zeroizing<String>> {
                self.to_pkcs8_pem(LineEnding::LF).ok()
            }

            fn sec1_pem(&self) -> Option<Zeroizing<String>> {
                self.to_sec1_pem(LineEnding::LF).ok()
            }

            fn public_pem(&self) -> Option<String> {
                self.public_key().to_public_key_pem(LineEnding::LF).ok()
            }

            fn sign(&self, _: Algorithm, message: &[u8]) -> Option<Vec<u8>> {
                use $curve::ecdsa::signature::RandomizedSigner as _;
                let key = $curve::ecdsa::SigningKey::from(self);
                let signature: $curve::ecdsa::Signature = key.try_sign_with_rng(&mut SysRng, message).ok()?;
                Some(signature.to_vec())
            }
        }
    };
}
curve!(p256);
curve!(p384);
curve!(p521);

/// Reads an encoding of a private key on the curve of the algorithm.
macro_rules! read {
    ($algorithm:expr, $read:ident, $octets:expr) => {
        match $algorithm {
            Algorithm::ES256 => boxed(p256::SecretKey::$read($octets)),
            Algorithm::ES384 => boxed(p384::SecretKey::$read($octets)),
            Algorithm::ES512 => boxed(p521::SecretKey::$read($octets)),
            _ => None,
        }
    };
}

/// A PKCS#8 document. If it has a public half, it is the right one.
pub(super) fn from_pkcs8(algorithm: Algorithm, der: &[u8]) -> Option<Box<dyn PrivateKey>> {
    read!(algorithm, from_pkcs8_der, der)
}

/// A SEC 1 document. If it has a public half, it is the right one.
pub(super) fn from_sec1(algorithm: Algorithm, der: &[u8]) -> Option<Box<dyn PrivateKey>> {
    read!(algorithm, from_sec1_der, der)
}

/// The number itself, as `d` of a JWK has it.
pub(super) fn from_scalar(algorithm: Algorithm, d: &[u8]) -> Option<Box<dyn PrivateKey>> {
    read!(algorithm, from_slice, d)
}
