//! Tokens: signed with a private JWK and verified with a public one, by code that is not the product's.
//!
//! The library knows no P-521, so ES512 is done with that curve's crate. Absent on purpose: claims that anybody checks. A
//! verifier of the soak knows when a token expires, and must not fail one because the machine was slow.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, crypto};
use p256::pkcs8::EncodePrivateKey as _;
use rsa::{BoxedUint, pkcs1::EncodeRsaPrivateKey as _};
use serde_json::{Value, json};

/// A key that this program cannot use, or a token that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JwsError {
    #[error("the JWK has no usable {0}")]
    Jwk(&'static str),
    #[error("the key does not sign")]
    Sign,
    #[error("it is not a JWS: {0}")]
    Token(&'static str),
    #[error("the token says {token} and its key {key}")]
    Algorithm { token: String, key: String },
    #[error("the signature is not by the key of that kid")]
    Signature,
}

/// A private key, ready to sign.
pub(crate) struct SigningKey {
    kid: String,
    header: String,
    private: Private,
}

enum Private {
    Library(EncodingKey, Algorithm),
    P521(Box<p521::ecdsa::SigningKey>),
}

impl SigningKey {
    /// Reads `private.jwk`.
    pub(crate) fn from_jwk(text: &[u8]) -> Result<Self, JwsError> {
        let jwk: Value = serde_json::from_slice(text).map_err(|_| JwsError::Jwk("JSON"))?;
        let alg = member(&jwk, "alg")?;
        let kid = member(&jwk, "kid")?.to_owned();
        let private = match alg {
            "ES512" => {
                let secret = p521::SecretKey::from_slice(&octets(&jwk, "d")?).map_err(|_| JwsError::Jwk("d"))?;
                Private::P521(Box::new(p521::ecdsa::SigningKey::from(&secret)))
            }
            _ => Private::Library(encoding_key(&jwk, alg)?, library_algorithm(alg)?),
        };
        let header = encode(json!({ "alg": alg, "kid": kid, "typ": "JWT" }).to_string().as_bytes());
        Ok(Self { kid, header, private })
    }

    /// The kid of the tokens.
    pub(crate) fn kid(&self) -> &str {
        &self.kid
    }

    /// A token with these claims.
    pub(crate) fn sign(&self, claims: &Value) -> Result<String, JwsError> {
        let message = format!("{}.{}", self.header, encode(claims.to_string().as_bytes()));
        let signature = match &self.private {
            Private::Library(key, algorithm) => {
                crypto::sign(message.as_bytes(), key, *algorithm).map_err(|_| JwsError::Sign)?
            }
            Private::P521(key) => {
                use p521::ecdsa::signature::Signer as _;
                let signature: p521::ecdsa::Signature = key.try_sign(message.as_bytes()).map_err(|_| JwsError::Sign)?;
                encode(&signature.to_vec())
            }
        };
        Ok(format!("{message}.{signature}"))
    }
}

/// The kid that the token names.
pub(crate) fn key_id(token: &str) -> Result<String, JwsError> {
    Ok(member(&header(token)?, "kid")?.to_owned())
}

/// Checks the signature with a public JWK.
pub(crate) fn verify(token: &str, jwk: &Value) -> Result<(), JwsError> {
    let (header, alg) = (header(token)?, member(jwk, "alg")?);
    let said = member(&header, "alg")?;
    if said != alg {
        return Err(JwsError::Algorithm { token: said.to_owned(), key: alg.to_owned() });
    }
    let (message, signature) = token.rsplit_once('.').ok_or(JwsError::Token("it has no signature"))?;
    let good = if alg == "ES512" {
        verify_p521(jwk, message.as_bytes(), signature)?
    } else {
        let key = decoding_key(jwk)?;
        crypto::verify(signature, message.as_bytes(), &key, library_algorithm(alg)?).unwrap_or(false)
    };
    if good { Ok(()) } else { Err(JwsError::Signature) }
}

fn verify_p521(jwk: &Value, message: &[u8], signature: &str) -> Result<bool, JwsError> {
    use p521::ecdsa::signature::Verifier as _;
    let point = [vec![UNCOMPRESSED], octets(jwk, "x")?, octets(jwk, "y")?].concat();
    let key = p521::ecdsa::VerifyingKey::from_sec1_bytes(&point).map_err(|_| JwsError::Jwk("point"))?;
    let signature =
        BASE64_URL_SAFE_NO_PAD.decode(signature).map_err(|_| JwsError::Token("its signature is not base64url"))?;
    let signature = p521::ecdsa::Signature::from_slice(&signature);
    Ok(signature.is_ok_and(|signature| key.verify(message, &signature).is_ok()))
}

fn header(token: &str) -> Result<Value, JwsError> {
    let part = token.split('.').next().unwrap_or_default();
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| JwsError::Token("its header is not base64url"))?;
    serde_json::from_slice(&bytes).map_err(|_| JwsError::Token("its header is not JSON"))
}

/// RFC 9864 names what the library knows as EdDSA.
fn library_algorithm(alg: &str) -> Result<Algorithm, JwsError> {
    let name = if alg == "Ed25519" { "EdDSA" } else { alg };
    name.parse().map_err(|_| JwsError::Jwk("alg"))
}

fn encoding_key(jwk: &Value, alg: &str) -> Result<EncodingKey, JwsError> {
    let bad = |_| JwsError::Jwk("d");
    let key = match alg {
        "ES256" => {
            let key = p256::SecretKey::from_slice(&octets(jwk, "d")?).map_err(|_| JwsError::Jwk("d"))?;
            EncodingKey::from_ec_der(key.to_pkcs8_der().map_err(bad)?.as_bytes())
        }
        "ES384" => {
            let key = p384::SecretKey::from_slice(&octets(jwk, "d")?).map_err(|_| JwsError::Jwk("d"))?;
            EncodingKey::from_ec_der(key.to_pkcs8_der().map_err(bad)?.as_bytes())
        }
        "EdDSA" | "Ed25519" => {
            let secret: [u8; 32] = octets(jwk, "d")?.try_into().map_err(|_| JwsError::Jwk("d"))?;
            let key = ed25519_dalek::SigningKey::from_bytes(&secret);
            EncodingKey::from_ed_der(key.to_pkcs8_der().map_err(bad)?.as_bytes())
        }
        _ => {
            let integer = |name| Ok::<_, JwsError>(BoxedUint::from_be_slice_vartime(&octets(jwk, name)?));
            let primes = vec![integer("p")?, integer("q")?];
            let key = rsa::PrivateKey::from_components(integer("n")?, integer("e")?, integer("d")?, primes);
            let der =
                key.map_err(|_| JwsError::Jwk("RSA key"))?.to_pkcs1_der().map_err(|_| JwsError::Jwk("RSA key"))?;
            EncodingKey::from_rsa_der(der.as_bytes())
        }
    };
    Ok(key)
}

fn decoding_key(jwk: &Value) -> Result<DecodingKey, JwsError> {
    let key = match member(jwk, "kty")? {
        "RSA" => DecodingKey::from_rsa_components(member(jwk, "n")?, member(jwk, "e")?),
        "EC" => DecodingKey::from_ec_components(member(jwk, "x")?, member(jwk, "y")?),
        "OKP" => DecodingKey::from_ed_components(member(jwk, "x")?),
        _ => return Err(JwsError::Jwk("kty")),
    };
    key.map_err(|_| JwsError::Jwk("public key"))
}

fn member<'a>(jwk: &'a Value, name: &'static str) -> Result<&'a str, JwsError> {
    jwk[name].as_str().ok_or(JwsError::Jwk(name))
}

fn octets(jwk: &Value, name: &'static str) -> Result<Vec<u8>, JwsError> {
    BASE64_URL_SAFE_NO_PAD.decode(member(jwk, name)?).map_err(|_| JwsError::Jwk(name))
}

fn encode(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// SEC 1 section 2.3.3.
const UNCOMPRESSED: u8 = 4;

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use keyset_operator::{
        api::names::secret::PRIVATE_JWK,
        key_material::{Generator, KeyPair},
    };

    use super::*;

    fn keys(pair: &KeyPair) -> (SigningKey, Value) {
        let data = serde_json::to_value(pair.signer_secret_data(&[]).unwrap()).unwrap();
        let jwk = base64::prelude::BASE64_STANDARD.decode(data[PRIVATE_JWK].as_str().unwrap()).unwrap();
        (SigningKey::from_jwk(&jwk).unwrap(), serde_json::to_value(pair.public_jwk()).unwrap())
    }

    #[tokio::test]
    async fn every_algorithm_of_the_soak_signs_and_verifies_and_no_other_key_does() {
        let generator = Generator::new(NonZeroUsize::MIN);
        for alg in ["ES256", "ES384", "ES512", "EdDSA", "Ed25519", "RS256", "PS256"] {
            let algorithm = alg.parse().unwrap();
            let mut pairs = Vec::new();
            for _ in 0..2 {
                pairs.push(keys(&generator.generate(algorithm, None).await.unwrap()));
            }
            let token = pairs[0].0.sign(&json!({ "sub": "soak" })).unwrap();
            assert_eq!(key_id(&token).unwrap(), pairs[0].0.kid());
            assert_eq!(verify(&token, &pairs[0].1), Ok(()), "{alg}");
            assert_eq!(verify(&token, &pairs[1].1), Err(JwsError::Signature), "{alg}");
        }
    }
}
