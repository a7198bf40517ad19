//! A private key together with its public JWK.

use std::collections::BTreeMap;
use std::fmt;

use getrandom::rand_core::TryCryptoRng;
use zeroize::Zeroizing;

use super::private_key::{self, PrivateKey};
use super::{KeyError, SecretData};
use crate::api::names::secret;
use crate::api::{FileFormat, SignerFile};
use crate::jose::{Algorithm, KeyId, PublicJwk, base64url};

/// A signing key: the private half, and the public half as it is published.
pub struct KeyPair {
    pub(super) private: Box<dyn PrivateKey>,
    pub(super) public: PublicJwk,
}

impl KeyPair {
    /// A new key that passed its self-test.
    pub(super) fn generate<R: TryCryptoRng>(
        algorithm: Algorithm,
        rsa_key_bits: Option<i32>,
        rng: &mut R,
    ) -> Result<Self, KeyError> {
        let private = private_key::generate(algorithm, rsa_key_bits, rng)?;
        let public = private.public_jwk(algorithm)?;
        let pair = Self { private, public };
        pair.self_test()?;
        Ok(pair)
    }

    /// Reads `private.pem` and `alg` of a Key Secret or a Signer Secret, and checks that `kid` and `private.jwk` are
    /// those of the same key. No self-test.
    pub fn from_secret_data(data: &SecretData) -> Result<Self, KeyError> {
        let algorithm: Algorithm =
            data.text(secret::ALG)?.parse().map_err(|_| KeyError::invalid(secret::ALG, "an algorithm of a key"))?;
        let kid = data.text(secret::KID)?;
        let kid = KeyId::try_from(kid).map_err(|_| KeyError::invalid(secret::KID, "a kid"))?;
        let private = private_key::from_pem(algorithm, data.text(secret::PRIVATE_PEM)?)?;
        let public = private.public_jwk(algorithm)?;
        let thumbprint = public.kid().clone();
        let pair = Self { private, public: public.with_key_id(kid) };

        // The text of private.jwk follows from the key and the kid, so nothing private needs parsing twice.
        let jwk = data.entry(secret::PRIVATE_JWK)?;
        if *jwk == pair.private_jwk()? {
            return Ok(pair);
        }
        let pair = Self { public: pair.public.with_key_id(thumbprint), ..pair };
        let kid_is_wrong = *jwk == pair.private_jwk()?;
        let (entry, expected) = if kid_is_wrong {
            (secret::KID, "the kid of the key in the other entries")
        } else {
            (secret::PRIVATE_JWK, "the key of private.pem under the kid and alg of those entries")
        };
        Err(KeyError::invalid(entry, expected))
    }

    /// The public half.
    pub fn public_jwk(&self) -> &PublicJwk {
        &self.public
    }

    /// The algorithm that the key signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.public.algorithm()
    }

    /// The kid.
    pub fn kid(&self) -> &KeyId {
        self.public.kid()
    }

    /// The signature of a message in its JWS form (RFC 7518 section 3), for a test token and nothing else.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.private.sign(self.algorithm(), message).ok_or(KeyError::NotSigned(self.algorithm()))
    }

    /// Signs with the private half and verifies with the public half as a verifier rebuilds it from the JWK.
    pub fn self_test(&self) -> Result<(), KeyError> {
        let algorithm = self.algorithm();
        let failed = |step| KeyError::SelfTestFailed { algorithm, step };
        let signature = self.private.sign(algorithm, SELF_TEST_MESSAGE).ok_or(failed("signing"))?;
        if self.public.verifies(SELF_TEST_MESSAGE, &signature) { Ok(()) } else { Err(failed("verifying")) }
    }

    /// The entries of the Key Secret.
    pub fn key_secret_data(&self) -> Result<SecretData, KeyError> {
        let mut data = SecretData::default();
        data.insert(secret::PRIVATE_PEM, self.private_pem()?);
        data.insert(secret::PRIVATE_JWK, self.private_jwk()?);
        data.insert(secret::KID, Zeroizing::new(self.kid().as_str().into()));
        data.insert(secret::ALG, Zeroizing::new(self.algorithm().name().into()));
        Ok(data)
    }

    /// The entries of the Signer Secret: those of the Key Secret, the public key as PEM, and the files that are asked
    /// for beside them. One that this type of key has no form for is left out.
    pub fn signer_secret_data(&self, files: &[SignerFile]) -> Result<SecretData, KeyError> {
        let mut data = self.key_secret_data()?;
        data.insert(secret::PUBLIC_PEM, self.public_pem()?);
        for file in files {
            if let Some(content) = self.encoded(file.format)? {
                data.insert(file.name(), content);
            }
        }
        Ok(data)
    }

    /// The key in a format; `None` if the format is not one of its type.
    fn encoded(&self, format: FileFormat) -> Result<Option<Zeroizing<Vec<u8>>>, KeyError> {
        let octets = |pem: Zeroizing<String>| Zeroizing::new(pem.as_bytes().to_vec());
        match format {
            FileFormat::Pkcs8Pem => self.private_pem().map(Some),
            FileFormat::Pkcs1Pem => Ok(self.private.pkcs1_pem().map(octets)),
            FileFormat::Sec1Pem => Ok(self.private.sec1_pem().map(octets)),
            FileFormat::PublicPem => self.public_pem().map(Some),
            FileFormat::PrivateJwk => self.private_jwk().map(Some),
        }
    }

    fn private_pem(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let pem = self.private.private_pem().ok_or(KeyError::NotEncodable("PKCS#8"))?;
        Ok(Zeroizing::new(pem.as_bytes().to_vec()))
    }

    fn public_pem(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let pem = self.private.public_pem().ok_or(KeyError::NotEncodable("SubjectPublicKeyInfo"))?;
        Ok(Zeroizing::new(pem.into_bytes()))
    }

    /// The private JWK, members sorted by name (RFC 7518 sections 6.2.2 and 6.3.2, RFC 8037 section 2).
    fn private_jwk(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let mut members: BTreeMap<&str, Zeroizing<String>> =
            self.public.members().into_iter().map(|(name, value)| (name, Zeroizing::new(value))).collect();
        for (name, value) in self.private.private_members()? {
            members.insert(name, Zeroizing::new(base64url(&value)));
        }
        let texts: BTreeMap<&str, &str> = members.iter().map(|(name, value)| (*name, value.as_str())).collect();
        // Large enough never to grow: a buffer that grows leaves a copy behind.
        let length = texts.iter().map(|(name, value)| name.len() + 2 * value.len() + 8).sum();
        let mut json = Zeroizing::new(Vec::with_capacity(length));
        serde_json::to_writer(&mut *json, &texts).map_err(|_| KeyError::NotEncodable("a JWK"))?;
        Ok(json)
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kid, alg) = (self.kid().as_str(), self.algorithm());
        f.debug_struct("KeyPair").field("kid", &kid).field("alg", &alg).finish_non_exhaustive()
    }
}

const SELF_TEST_MESSAGE: &[u8] = b"keyset self-test";
