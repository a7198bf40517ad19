//! RSA keys (RFC 7518 sections 3.3, 3.5 and 6.3).

use getrandom::SysRng;
use getrandom::rand_core::TryCryptoRng;
use rsa::pkcs1::{EncodeRsaPrivateKey as _, RsaPrivateKeyRef};
use rsa::pkcs8::{EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use rsa::traits::PublicKeyParts as _;
use rsa::{BoxedUint, PrivateKey as RsaPrivateKey};
use sha2::{Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

use super::KeyError;
use super::private_key::{PrivateKey, PrivateMembers};
use crate::jose::{Algorithm, PublicJwk};

pub(super) fn generate<R: TryCryptoRng>(bits: Option<i32>, rng: &mut R) -> Result<RsaPrivateKey, KeyError> {
    let bits = match bits {
        None | Some(2048) => 2048,
        Some(3072) => 3072,
        Some(4096) => 4096,
        Some(other) => return Err(KeyError::RsaKeyBits(other)),
    };
    RsaPrivateKey::new(rng, bits).map_err(|error| match error {
        rsa::Error::Rng => KeyError::RandomnessUnavailable,
        _ => KeyError::GenerationFailed("no pair of primes was found"),
    })
}

/// The key of these members (RFC 7518 section 6.3) if they fit each other. Without `p` and `q` the primes are searched:
/// NIST SP 800-56B appendix C.2 finds them unless `e` is small.
pub(super) fn from_members(members: &PrivateMembers) -> Option<RsaPrivateKey> {
    let octets = |name| members.iter().find(|(member, _)| *member == name).map(|(_, octets)| octets);
    let (n, e, d) = (octets("n")?, octets("e")?, octets("d")?);
    let primes = [octets("p"), octets("q")];
    // No number is longer than the modulus; `d` of zero would break the search.
    let is_short = primes.iter().flatten().chain([&e, &d]).all(|number| number.len() <= n.len());
    if !is_short || d.iter().all(|octet| *octet == 0) {
        return None;
    }
    let integer = |octets: &Zeroizing<Vec<u8>>| BoxedUint::from_be_slice_vartime(octets);
    let primes = primes.into_iter().flatten().map(integer).collect();
    RsaPrivateKey::from_components(integer(n), integer(e), integer(d), primes).ok()
}

impl PrivateKey for RsaPrivateKey {
    fn public_jwk(&self, algorithm: Algorithm) -> Result<PublicJwk, KeyError> {
        Ok(PublicJwk::rsa(algorithm, &self.n_bytes(), &self.e_bytes())?)
    }

    fn private_members(&self) -> Result<PrivateMembers, KeyError> {
        // PKCS#1 has the very integers that RFC 7518 section 6.3.2 names.
        let document = self.to_pkcs1_der().map_err(|_| KeyError::NotEncodable("PKCS#1"))?;
        let key = RsaPrivateKeyRef::try_from(document.as_bytes()).map_err(|_| KeyError::NotEncodable("PKCS#1"))?;
        let members = [
            ("d", key.private_exponent),
            ("p", key.prime1),
            ("q", key.prime2),
            ("dp", key.exponent1),
            ("dq", key.exponent2),
            ("qi", key.coefficient),
        ];
        Ok(members.map(|(name, integer)| (name, Zeroizing::new(integer.as_bytes().to_vec()))).into())
    }

    fn private_pem(&self) -> Option<Zeroizing<String>> {
        self.to_pkcs8_pem(LineEnding::LF).ok()
    }

    fn pkcs1_pem(&self) -> Option<Zeroizing<String>> {
        self.to_pkcs1_pem(LineEnding::LF).ok()
    }

    fn public_pem(&self) -> Option<String> {
        self.as_public_key().to_public_key_pem(LineEnding::LF).ok()
    }

    fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Option<Vec<u8>> {
        let rng = &mut SysRng;
        match algorithm {
            Algorithm::RS256 => self.pkcs1v15_sign_with_rng::<Sha256, _>(rng, message),
            Algorithm::RS384 => self.pkcs1v15_sign_with_rng::<Sha384, _>(rng, message),
            Algorithm::RS512 => self.pkcs1v15_sign_with_rng::<Sha512, _>(rng, message),
            Algorithm::PS256 => self.pss_sign_with_rng::<Sha256, _>(rng, message),
            Algorithm::PS384 => self.pss_sign_with_rng::<Sha384, _>(rng, message),
            Algorithm::PS512 => self.pss_sign_with_rng::<Sha512, _>(rng, message),
            _ => return None,
        }
        .ok()
    }
}
