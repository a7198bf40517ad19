//! The public side of JOSE: algorithms, public JWKs, JWK Sets, thumbprints, digests, and whether a signature
//! verifies (RFC 7515, 7517, 7518, 7638, 8037, 9864).
//!
//! Invariants: a private member cannot be represented; a key and its algorithm agree; one value has one JSON form, so
//! equal sets have equal bytes; reading is as strict as writing. Whether a key is a point of its curve is checked only
//! where a key from elsewhere comes in (`PublicJwk::check_point`): a key of ours passed a self-test, and a stored one is
//! read often. Deliberately absent: private keys (`key_material`), clients, randomness.

mod algorithm;
mod digest;
mod json;
mod jwk;
mod jwk_set;
mod key_id;
mod pem;
mod point;
mod signature;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod vectors;

pub use algorithm::{Algorithm, Curve, Family};
pub use digest::{Digest, DigestError};
pub(crate) use json::Json;
pub use jwk::{JwkError, PublicJwk, PublicKey};
pub use jwk_set::{JwkSet, JwkSetError};
pub use key_id::KeyId;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// base64url without padding (RFC 7515 section 2).
pub(crate) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The octets of a base64url text; `None` if it has padding, foreign characters or bits that say nothing.
pub(crate) fn from_base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}
