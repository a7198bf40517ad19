//! Verifiers as users have them: they know a URL and nothing else.
//!
//! Invariant: a verifier is never kinder to the publisher than its policy says. It has no second URL, no retry, and a
//! fetch that fails is a token that fails.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use jsonwebtoken::{DecodingKey, Validation, jwk::JwkSet};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use super::signer::Claims;

/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// No set of the demo is larger.
const MAX_BODY: usize = 64 * 1024;

/// What a verifier does with its copy of the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Uses a copy as long as Cache-Control allows, and fetches at once when it meets an unknown kid: most libraries.
    Refetching,
    /// Uses a copy for all of this time, whatever it meets: Envoy, and most gateways.
    Stubborn(Duration),
}

/// Why a token was not accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Rejection {
    #[error("the token has no kid")]
    NoKeyId,
    #[error("unknown kid {kid}, in a copy that is {:.1} s old", age.as_secs_f64())]
    UnknownKeyId { kid: String, age: Duration },
    #[error("{0}")]
    Invalid(#[from] jsonwebtoken::errors::Error),
    #[error("the set could not be fetched: {0}")]
    Fetch(String),
}

/// One verifier of one server.
pub(crate) struct Verifier {
    url: Uri,
    policy: Policy,
    client: Client<HttpConnector, Empty<Bytes>>,
    copy: Mutex<Option<CachedSet>>,
    unknown: Arc<AtomicU64>,
}

impl Verifier {
    /// A verifier without a copy; `unknown` counts the unknown kids that it meets, healed by a fetch or not.
    pub(crate) fn new(url: Uri, policy: Policy, unknown: Arc<AtomicU64>) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { url, policy, client, copy: Mutex::new(None), unknown }
    }

    /// Checks signature and expiry with the key that the kid names.
    pub(crate) async fn verify(&self, token: &str) -> Result<(), Rejection> {
        let header = jsonwebtoken::decode_header(token)?;
        let kid = header.kid.ok_or(Rejection::NoKeyId)?;
        let mut copy = self.copy.lock().await;
        let mut set = match copy.take() {
            Some(set) if !set.is_outdated(self.policy, Instant::now()) => set,
            old => self.fetch(old).await?,
        };
        if set.keys.find(&kid).is_none() {
            self.unknown.fetch_add(1, Ordering::Relaxed);
            if self.policy == Policy::Refetching {
                set = self.fetch(Some(set)).await?;
            }
        }
        let set = copy.insert(set);
        let jwk = set.keys.find(&kid).ok_or_else(|| Rejection::UnknownKeyId { kid, age: set.fetched.elapsed() })?;
        let mut validation = Validation::new(header.alg);
        validation.leeway = 0;
        jsonwebtoken::decode::<Claims>(token, &DecodingKey::from_jwk(jwk)?, &validation)?;
        Ok(())
    }

    /// Asks for the set, or whether the old copy is still the set.
    async fn fetch(&self, old: Option<CachedSet>) -> Result<CachedSet, Rejection> {
        let failed = |error: &dyn std::fmt::Display| Rejection::Fetch(format!("{}: {error}", self.url));
        let mut request = Request::get(&self.url);
        if let Some(etag) = old.as_ref().and_then(|old| old.validator.as_ref()) {
            request = request.header(header::IF_NONE_MATCH, etag);
        }
        let request = request.body(Empty::new()).map_err(|error| failed(&error))?;
        let asked = Instant::now();
        let answer = timeout(PATIENCE, self.client.request(request)).await.map_err(|error| failed(&error))?;
        let (head, body) = answer.map_err(|error| failed(&error))?.into_parts();
        let freshness = max_age(&head.headers);
        match (head.status, old) {
            (StatusCode::NOT_MODIFIED, Some(old)) => Ok(CachedSet { fetched: asked, freshness, ..old }),
            (StatusCode::OK, _) => {
                let body = timeout(PATIENCE, Limited::new(body, MAX_BODY).collect()).await;
                let body = body.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?.to_bytes();
                let keys = serde_json::from_slice(&body).map_err(|error| failed(&error))?;
                Ok(CachedSet { keys, validator: head.headers.get(header::ETAG).cloned(), fetched: asked, freshness })
            }
            (status, _) => Err(failed(&status)),
        }
    }
}

/// A copy of the set.
struct CachedSet {
    keys: JwkSet,
    validator: Option<http::HeaderValue>,
    fetched: Instant,
    freshness: Duration,
}

impl CachedSet {
    fn is_outdated(&self, policy: Policy, now: Instant) -> bool {
        let limit = match policy {
            Policy::Refetching => self.freshness,
            Policy::Stubborn(age) => age,
        };
        now.saturating_duration_since(self.fetched) >= limit
    }
}

/// The max-age of Cache-Control; nothing may be kept without one.
fn max_age(headers: &HeaderMap) -> Duration {
    let directives = headers.get(header::CACHE_CONTROL).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let seconds = directives.split(',').find_map(|directive| directive.trim().strip_prefix("max-age="));
    Duration::from_secs(seconds.and_then(|seconds| seconds.parse().ok()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_kept_as_long_as_the_policy_says_and_no_longer() {
        let fetched = Instant::now();
        let copy =
            CachedSet { keys: JwkSet { keys: vec![] }, validator: None, fetched, freshness: Duration::from_secs(1) };
        let at = |millis| fetched + Duration::from_millis(millis);
        let stubborn = Policy::Stubborn(Duration::from_secs(5));
        assert!(!copy.is_outdated(Policy::Refetching, at(999)) && copy.is_outdated(Policy::Refetching, at(1000)));
        assert!(!copy.is_outdated(stubborn, at(4999)) && copy.is_outdated(stubborn, at(5000)));
    }

    #[test]
    fn max_age_is_read_from_among_other_directives() {
        let read = |text: &'static str| {
            max_age(&HeaderMap::from_iter([(header::CACHE_CONTROL, http::HeaderValue::from_static(text))]))
        };
        assert_eq!(read("public, max-age=7, stale-if-error=60"), Duration::from_secs(7));
        assert_eq!(read("no-store"), Duration::ZERO);
        assert_eq!(max_age(&HeaderMap::new()), Duration::ZERO);
    }
}
