//! Private keys that a user brings: PEM (PKCS#8, PKCS#1, SEC 1) or one private JWK.
//!
//! Which of them it is, is read from the content. Invariants: a key comes out only as a whole that fits its algorithm and
//! passed its self-test; every octet that is copied on the way is zeroized; no error holds a part of the entry.
//! Deliberately absent: passphrases, containers (PKCS#12, JWK Sets, JWE), and who may import from where (`lifecycle`).

mod der;
mod jwk;
mod pem;
mod refusal;
#[cfg(test)]
mod tests;

pub use refusal::Refusal;

use base64::Engine;
use zeroize::Zeroizing;

use super::private_key::{PrivateKey, PrivateMembers};
use super::{KeyError, KeyPair, SecretData};
use crate::jose::{Algorithm, KeyId, PublicKey};

impl KeyPair {
    /// Reads the private key in `entry`, tests it, and gives it the kid: `key_id` if there is one, else the `kid` of the
    /// JWK, else the thumbprint.
    pub fn import(
        data: &SecretData,
        entry: &str,
        algorithm: Algorithm,
        key_id: Option<&KeyId>,
    ) -> Result<Self, KeyError> {
        // What is not text is in a format that is not read.
        let text = std::str::from_utf8(data.entry(entry)?).unwrap_or_default().trim();
        let key = if text.starts_with('{') { jwk::read(text, algorithm) } else { pem::read(text, algorithm) };
        let refused = |refusal| KeyError::NotImportable { entry: entry.to_owned(), refusal };
        let key = key.map_err(refused)?;
        let public = key.private.public_jwk(algorithm)?;
        let public = match (key_id, key.kid) {
            (Some(kid), _) => public.with_key_id(kid.clone()),
            (None, Some(kid)) => public.with_key_id(KeyId::try_from(kid).map_err(|error| refused(error.into()))?),
            (None, None) => public,
        };
        let pair = Self { private: key.private, public };
        pair.self_test()?;
        Ok(pair)
    }
}

/// A private key, and the kid that came with it.
struct Imported {
    private: Box<dyn PrivateKey>,
    kid: Option<String>,
}

/// Whether the members that came with a key are those of the key. Leading zero octets do not count: some tools write one.
fn check_members(private: &dyn PrivateKey, algorithm: Algorithm, given: &PrivateMembers) -> Result<(), Refusal> {
    let public = private.public_jwk(algorithm).map_err(|_| Refusal::Inconsistent)?;
    let own = private.private_members().map_err(|_| Refusal::Inconsistent)?;
    let public: &[(&str, &Vec<u8>)] = match public.key() {
        PublicKey::Rsa { n, e } => &[("n", n), ("e", e)],
        PublicKey::Ec { x, y } => &[("x", x), ("y", y)],
        PublicKey::Okp { x } => &[("x", x)],
    };
    let mut own = own.iter().map(|(name, octets)| (*name, &**octets)).chain(public.iter().copied());
    own.try_for_each(|(name, octets)| match given.iter().find(|(member, _)| *member == name) {
        Some((member, given)) if without_zeros(given) != without_zeros(octets) => Err(Refusal::Contradiction(member)),
        _ => Ok(()),
    })
}

fn without_zeros(octets: &[u8]) -> &[u8] {
    let zeros = octets.iter().take_while(|octet| **octet == 0).count();
    &octets[zeros..]
}

/// Decodes into a buffer that is zeroized even if the text turns out to be wrong.
fn decode(engine: &impl Engine, text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut octets = Zeroizing::new(vec![0; base64::decoded_len_estimate(text.len())]);
    let length = engine.decode_slice(text, &mut octets).ok()?;
    octets.truncate(length);
    Some(octets)
}
