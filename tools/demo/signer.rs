//! A signer as users have them: it knows the Signer Secret and nothing else.
//!
//! It looks at the Secret about as often as a kubelet would swap the file of a tuned volume, takes kid and key from one
//! entry, and mints with what it read last.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use k8s_openapi::api::core::v1::Secret;
use keyset_operator::api::names::secret::PRIVATE_JWK;
use kube::Api;
use p256::pkcs8::EncodePrivateKey as _;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use super::clock;

/// How often the signer looks at the Secret.
const RELOAD: Duration = Duration::from_millis(500);
/// How often it mints a token.
const MINT: Duration = Duration::from_millis(100);
/// How long it waits for the API server before it goes on with the key that it has.
const PATIENCE: Duration = Duration::from_secs(1);

/// A signed token.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    /// What is sent to a verifier.
    pub(crate) text: String,
    /// When it expires.
    pub(crate) expires: Instant,
}

/// What a token of the demo says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub(crate) sub: String,
    pub(crate) iat: i64,
    pub(crate) exp: i64,
}

/// A private key that this signer cannot use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignerError {
    #[error("{PRIVATE_JWK} is not a private JWK: {0}")]
    Jwk(#[from] serde_json::Error),
    #[error("{PRIVATE_JWK} has no usable P-256 key; the demo's signer knows ES256 only")]
    Key,
    #[error("signing failed: {0}")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

/// Reads one Secret and mints tokens with what it found there.
pub(crate) struct Signer {
    secrets: Api<Secret>,
    secret_name: String,
    lifetime: Duration,
    key: Option<Key>,
    rotations: watch::Sender<u64>,
}

impl Signer {
    /// A signer that reads this Secret; `rotations` counts how often it got another key.
    pub(crate) fn new(
        secrets: Api<Secret>,
        secret_name: String,
        lifetime: Duration,
        rotations: watch::Sender<u64>,
    ) -> Self {
        Self { secrets, secret_name, lifetime, key: None, rotations }
    }

    /// Signs a token every [`MINT`] until the sender of `stop` is dropped.
    pub(crate) async fn run(
        mut self,
        tokens: mpsc::Sender<Token>,
        mut stop: oneshot::Receiver<()>,
    ) -> Result<(), SignerError> {
        let (mut reload, mut mint) = (interval(RELOAD), interval(MINT));
        reload.set_missed_tick_behavior(MissedTickBehavior::Delay);
        mint.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = &mut stop => return Ok(()),
                _ = reload.tick() => self.reload().await?,
                _ = mint.tick() => {
                    let Some(key) = &self.key else { continue };
                    if tokens.send(key.sign(clock(), self.lifetime)?).await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Reads the Secret. A signer whose Secret cannot be read just now goes on with the key that it has.
    async fn reload(&mut self) -> Result<(), SignerError> {
        let read = timeout(PATIENCE, self.secrets.get_opt(&self.secret_name)).await;
        let Ok(Ok(Some(secret))) = read else { return Ok(()) };
        let Some(jwk) = secret.data.as_ref().and_then(|data| data.get(PRIVATE_JWK)) else { return Ok(()) };
        let key = Key::from_jwk(&jwk.0)?;
        if self.key.as_ref().is_some_and(|old| old.header.kid != key.header.kid) {
            self.rotations.send_modify(|count| *count += 1);
        }
        self.key = Some(key);
        Ok(())
    }
}

/// A private key, ready to sign.
struct Key {
    header: Header,
    key: EncodingKey,
}

impl Key {
    fn from_jwk(text: &[u8]) -> Result<Self, SignerError> {
        #[derive(Deserialize)]
        struct PrivateJwk {
            kid: String,
            alg: String,
            d: String,
        }
        let jwk: PrivateJwk = serde_json::from_slice(text)?;
        let secret = BASE64_URL_SAFE_NO_PAD.decode(&jwk.d).map_err(|_| SignerError::Key)?;
        let key = p256::SecretKey::from_slice(&secret).map_err(|_| SignerError::Key)?;
        let der = key.to_pkcs8_der().map_err(|_| SignerError::Key)?;
        if jwk.alg != "ES256" {
            return Err(SignerError::Key);
        }
        let header = Header { kid: Some(jwk.kid), ..Header::new(Algorithm::ES256) };
        Ok(Self { header, key: EncodingKey::from_ec_der(der.as_bytes()) })
    }

    /// Claims count whole seconds, so a token lives up to a second less than `lifetime`, never longer.
    fn sign(&self, now: Timestamp, lifetime: Duration) -> Result<Token, SignerError> {
        let iat = now.as_second();
        let claims = Claims { sub: "demo".to_owned(), iat, exp: iat + lifetime.as_secs().cast_signed() };
        let begun = Duration::from_nanos(now.subsec_nanosecond().unsigned_abs().into());
        let expires = Instant::now() + Duration::from_secs(lifetime.as_secs()).saturating_sub(begun);
        Ok(Token { text: jsonwebtoken::encode(&self.header, &claims, &self.key)?, expires })
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation};

    use super::*;

    /// RFC 7515 A.3.1, with a kid and an alg.
    const PUBLIC: [&str; 2] =
        ["f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"];
    const PRIVATE_JWK: &str =
        r#"{"kty":"EC","crv":"P-256","kid":"a","alg":"ES256","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#;

    #[test]
    fn a_token_carries_the_kid_and_verifies() {
        let key = Key::from_jwk(PRIVATE_JWK.as_bytes()).unwrap();
        let token = key.sign(clock(), Duration::from_secs(6)).unwrap();
        let public = DecodingKey::from_ec_components(PUBLIC[0], PUBLIC[1]).unwrap();
        let data = jsonwebtoken::decode::<Claims>(&token.text, &public, &Validation::new(Algorithm::ES256)).unwrap();
        assert_eq!(data.header.kid.as_deref(), Some("a"));
        assert_eq!(data.claims.exp - data.claims.iat, 6);
        assert!(token.expires <= Instant::now() + Duration::from_secs(6));
    }

    #[test]
    fn a_key_of_another_kind_is_refused() {
        let other = PRIVATE_JWK.replace("ES256", "ES384");
        assert!(matches!(Key::from_jwk(other.as_bytes()), Err(SignerError::Key)));
        assert!(matches!(Key::from_jwk(b"{}"), Err(SignerError::Jwk(_))));
    }
}
