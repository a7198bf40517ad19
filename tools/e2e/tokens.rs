//! The tokens of the issuer in the Pod, and what follows from them: which kids a set must have.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Mutex,
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::Jwk};
use serde::Deserialize as _;
use serde_json::Value;

use super::{Failure, clock};

/// A token that somebody holds.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) kid: String,
    expires: Timestamp,
}

impl Token {
    pub(crate) fn read(text: String) -> Result<Self, Failure> {
        let claims = text.split('.').nth(1).ok_or("a token has three parts")?;
        let claims: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims)?)?;
        let expires = Timestamp::from_second(claims["exp"].as_i64().ok_or("a token has exp")?)?;
        let kid = jsonwebtoken::decode_header(&text)?.kid.ok_or("a token names a kid")?;
        Ok(Self { text, kid, expires })
    }

    /// Checks the signature with a public JWK, for an API that takes nothing but ES256.
    pub(crate) fn verify(&self, jwk: &Value) -> Result<(), Failure> {
        let key = DecodingKey::from_jwk(&Jwk::deserialize(jwk)?)?;
        jsonwebtoken::decode::<Value>(&self.text, &key, &Validation::new(Algorithm::ES256))?;
        Ok(())
    }

    pub(crate) fn is_expired(&self) -> bool {
        clock() >= self.expires
    }
}

/// All tokens that have not expired, the oldest first, and when each kid was first seen.
#[derive(Default)]
pub(crate) struct Tokens {
    unexpired: Mutex<VecDeque<Token>>,
    seen: Mutex<Vec<(String, Timestamp)>>,
}

impl Tokens {
    pub(crate) fn add(&self, token: Token) {
        let mut seen = lock(&self.seen);
        if !seen.iter().any(|(kid, _)| *kid == token.kid) {
            seen.push((token.kid.clone(), clock()));
        }
        let mut unexpired = lock(&self.unexpired);
        unexpired.retain(|token| !token.is_expired());
        unexpired.push_back(token);
    }

    /// When the issuer first signed with that key.
    pub(crate) fn first_seen(&self, kid: &str) -> Option<Timestamp> {
        lock(&self.seen).iter().find(|(seen, _)| seen == kid).map(|(_, when)| *when)
    }

    /// The kid of the newest token.
    pub(crate) fn newest(&self) -> Option<Token> {
        lock(&self.unexpired).back().filter(|token| !token.is_expired()).cloned()
    }

    /// The token that expires next.
    pub(crate) fn oldest(&self) -> Option<Token> {
        lock(&self.unexpired).iter().find(|token| !token.is_expired()).cloned()
    }

    /// The kids of all tokens that somebody may show.
    pub(crate) fn kids(&self) -> BTreeSet<String> {
        lock(&self.unexpired).iter().filter(|token| !token.is_expired()).map(|token| token.kid.clone()).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
