//! The URL of a set: what a verifier gets that asks a balancer before several servers.
//!
//! As a balancer does, a fetch goes to a server that is ready, and to the next one if that does not answer. Every answer
//! is held against the laws of a set: a key in it, distinct kids, no private member at any depth.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::tally::{Group, Tally};

/// The name under which private members that were served are counted.
pub(crate) const PRIVATE_MEMBERS: &str = "private members";

/// The servers behind the URL.
pub(crate) struct Servers {
    endpoints: Vec<Arc<Endpoint>>,
    next: AtomicUsize,
    client: Client<HttpConnector, Empty<Bytes>>,
    tally: Arc<Tally>,
}

/// One server.
pub(crate) struct Endpoint {
    /// Where it serves the sets.
    pub(crate) public: SocketAddr,
    /// Where it tells of itself.
    pub(crate) admin: SocketAddr,
    ready: AtomicBool,
}

/// What a fetch comes to.
pub(crate) enum Answer {
    /// The set.
    Document(Document),
    /// The copy is still the set, for as long as this says.
    NotModified(Freshness),
    /// A ready server answers, but not with a set.
    Refused(StatusCode),
    /// What is served breaks a law.
    Broken(String),
    /// No server answers.
    Silent,
}

/// A served set.
pub(crate) struct Document {
    /// The public keys by kid.
    pub(crate) keys: BTreeMap<String, Value>,
    /// The entity tag.
    pub(crate) validator: Option<HeaderValue>,
    /// For how long it may be used.
    pub(crate) freshness: Freshness,
}

/// What Cache-Control says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Freshness {
    /// `max-age`.
    pub(crate) fresh: Duration,
    /// `stale-if-error`, past that.
    pub(crate) stale_if_error: Duration,
}

impl Servers {
    pub(crate) fn new(endpoints: Vec<Arc<Endpoint>>, tally: Arc<Tally>) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { endpoints, next: AtomicUsize::new(0), client, tally }
    }

    /// Asks for the set at `path`, or whether the copy with this tag is still the set.
    pub(crate) async fn fetch(&self, path: &str, validator: Option<&HeaderValue>) -> Answer {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        for offset in 0..self.endpoints.len() {
            let endpoint = &self.endpoints[(first + offset) % self.endpoints.len()];
            if !endpoint.is_ready() {
                continue;
            }
            let asked = self.ask(endpoint, path, validator);
            let Ok(Some(answer)) = timeout(PATIENCE, asked).await else { continue };
            // A server that was killed while it answered is none that refuses.
            if endpoint.is_ready() || !matches!(answer, Answer::Refused(_)) {
                return answer;
            }
        }
        Answer::Silent
    }

    /// `None`: no answer.
    async fn ask(&self, endpoint: &Endpoint, path: &str, validator: Option<&HeaderValue>) -> Option<Answer> {
        let mut request = Request::get(format!("http://{}{path}", endpoint.public));
        if let Some(validator) = validator {
            request = request.header(header::IF_NONE_MATCH, validator);
        }
        let (head, body) = self.client.request(request.body(Empty::new()).ok()?).await.ok()?.into_parts();
        let body = Limited::new(body, LARGEST_SET).collect().await.ok()?.to_bytes();
        self.tally.count(Group::Answers, head.status.as_str());
        let freshness = Freshness::of(&head.headers);
        Some(match head.status {
            StatusCode::OK => match self.keys(&body) {
                Ok(keys) => {
                    let validator = head.headers.get(header::ETAG).cloned();
                    Answer::Document(Document { keys, validator, freshness })
                }
                Err(why) => Answer::Broken(why),
            },
            StatusCode::NOT_MODIFIED if validator.is_some() => Answer::NotModified(freshness),
            status => Answer::Refused(status),
        })
    }

    /// The keys of a document, held against the laws.
    fn keys(&self, body: &[u8]) -> Result<BTreeMap<String, Value>, String> {
        let document: Value = serde_json::from_slice(body).map_err(|error| format!("not JSON: {error}"))?;
        let private = private_members(&document);
        if private > 0 {
            self.tally.add(Group::Answers, PRIVATE_MEMBERS, private);
            return Err("private members".to_owned());
        }
        let keys = document["keys"].as_array().filter(|keys| !keys.is_empty()).ok_or("a set without keys")?;
        let by_kid: Option<BTreeMap<String, Value>> =
            keys.iter().map(|key| Some((key["kid"].as_str()?.to_owned(), key.clone()))).collect();
        by_kid.filter(|by_kid| by_kid.len() == keys.len()).ok_or_else(|| "a key without a kid of its own".to_owned())
    }
}

impl Endpoint {
    /// A server that is not there yet.
    pub(crate) fn new(public: SocketAddr, admin: SocketAddr) -> Self {
        Self { public, admin, ready: AtomicBool::new(false) }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::SeqCst)
    }

    /// It is gone, or about to be killed.
    pub(crate) fn is_gone(&self) {
        self.ready.store(false, Ordering::SeqCst);
    }

    /// Looks until the server says that it is ready.
    pub(crate) async fn until_ready(&self) {
        let client: Client<HttpConnector, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        loop {
            let answer = format!("http://{}/readyz", self.admin).parse().map(|url| client.get(url));
            if let Ok(answer) = answer
                && let Ok(Ok(answer)) = timeout(PATIENCE, answer).await
                && answer.status() == StatusCode::OK
            {
                return self.ready.store(true, Ordering::SeqCst);
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }
}

impl Freshness {
    fn of(headers: &HeaderMap) -> Self {
        let directives = headers.get(header::CACHE_CONTROL).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let seconds = |name: &str| {
            let value =
                directives.split(',').find_map(|directive| directive.trim().strip_prefix(name)?.strip_prefix('='));
            Duration::from_secs(value.and_then(|seconds| seconds.parse().ok()).unwrap_or(0))
        };
        Self { fresh: seconds("max-age"), stale_if_error: seconds("stale-if-error") }
    }

    /// Whether a copy that was asked for then may still be used without another look.
    pub(crate) fn is_fresh(self, asked: Instant) -> bool {
        asked.elapsed() < self.fresh
    }

    /// Whether it may be used when nobody answers.
    pub(crate) fn is_usable(self, asked: Instant) -> bool {
        asked.elapsed() < self.fresh + self.stale_if_error
    }
}

/// How many members of private JWKs (RFC 7518 section 6) are in a document, at any depth.
fn private_members(document: &Value) -> u64 {
    match document {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| u64::from(PRIVATE.contains(&name.as_str())) + private_members(value))
            .sum(),
        Value::Array(items) => items.iter().map(private_members).sum(),
        _ => 0,
    }
}

const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
const PATIENCE: Duration = Duration::from_secs(2);
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
const LARGEST_SET: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn private_members_are_found_at_any_depth() {
        assert_eq!(private_members(&json!({ "keys": [{ "kty": "EC", "x": "d", "kid": "k" }] })), 0);
        assert_eq!(
            private_members(&json!({ "keys": [{ "kty": "EC", "d": "x", "more": [{ "oth": [{ "q": 1 }] }] }] })),
            3
        );
    }

    #[test]
    fn a_copy_lives_as_the_header_says() {
        let of = |text: &'static str| {
            Freshness::of(&HeaderMap::from_iter([(header::CACHE_CONTROL, HeaderValue::from_static(text))]))
        };
        let seconds = Duration::from_secs;
        let both = Freshness { fresh: seconds(7), stale_if_error: seconds(3) };
        assert_eq!(of("public, max-age=7, stale-if-error=3"), both);
        assert_eq!(of("no-store"), Freshness::default());
    }
}
