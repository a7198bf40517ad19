//! Verifiers as users have them: they know a URL and how long they keep a copy, and nothing else.
//!
//! Invariant: a copy is used for as long as its policy allows to the last moment, because that is when an unknown kid
//! would show. `C` is fixed for a copy when it is asked for: that much the contract allows.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use http::StatusCode;

use tokio::{sync::Mutex, time::Instant};

use super::{
    issuer::Issuer,
    jws::{self, JwsError},
    servers::{Answer, Document, Servers},
    signer::Token,
};

/// What a verifier does with its copy of the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Policy {
    /// Uses a copy as long as Cache-Control says, and past that only if nobody answers.
    Header,
    /// Uses a copy for all of `C`, whatever it meets: Envoy, and most gateways.
    Stubborn,
    /// The same, but fetches at once when it meets an unknown kid: most libraries.
    Refetching,
}

impl Policy {
    pub(crate) const ALL: [Self; 3] = [Self::Header, Self::Stubborn, Self::Refetching];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Header => "by header",
            Self::Stubborn => "stubborn",
            Self::Refetching => "refetching",
        }
    }
}

/// Why a token was not verified.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Rejection {
    #[error("unknown kid, in a copy that is {:.2} s old", age.as_secs_f64())]
    UnknownKeyId { age: Duration },
    #[error("{0}")]
    Invalid(#[from] JwsError),
    #[error("a ready server answers {0}")]
    NotServed(StatusCode),
    #[error("a server serves {0}")]
    Broken(String),
    /// No server answers, and there is no copy that may be used: nobody's fault but ours, who killed them.
    #[error("no server answers")]
    Unreachable,
    /// A new server has nothing to load, because we took it away a moment ago.
    #[error("the set is damaged")]
    Damaged,
}

/// One verifier of one issuer.
pub(crate) struct Verifier {
    pub(crate) policy: Policy,
    issuer: Arc<Issuer>,
    servers: Arc<Servers>,
    copy: Mutex<Option<Copy>>,
}

/// What was fetched.
struct Copy {
    document: Document,
    asked: Instant,
    /// `C` when it was asked for.
    cache_age: Duration,
}

impl Verifier {
    pub(crate) fn new(policy: Policy, issuer: Arc<Issuer>, servers: Arc<Servers>) -> Self {
        Self { policy, issuer, servers, copy: Mutex::new(None) }
    }

    /// Checks the signature with the key that the kid names.
    pub(crate) async fn verify(&self, token: &Token) -> Result<(), Rejection> {
        let kid = jws::key_id(&token.text)?;
        let mut copy = self.copy.lock().await;
        if !copy.as_ref().is_some_and(|copy| self.keeps(copy)) {
            self.fetch(&mut copy).await?;
        }
        let is_unknown = |copy: &Option<Copy>| copy.as_ref().is_none_or(|copy| !copy.document.keys.contains_key(&kid));
        if self.policy == Policy::Refetching && is_unknown(&copy) {
            self.fetch(&mut copy).await?;
        }
        let copy = copy.as_ref().ok_or(Rejection::Unreachable)?;
        let age = copy.asked.elapsed();
        let jwk = copy.document.keys.get(&kid).ok_or(Rejection::UnknownKeyId { age })?;
        Ok(jws::verify(&token.text, jwk)?)
    }

    /// Whether the copy is used without another look.
    fn keeps(&self, copy: &Copy) -> bool {
        match self.policy {
            Policy::Header => copy.document.freshness.is_fresh(copy.asked),
            Policy::Stubborn | Policy::Refetching => copy.asked.elapsed() < copy.cache_age,
        }
    }

    /// Whether the copy may be used when nobody answers.
    fn falls_back_to(&self, copy: &Copy) -> bool {
        match self.policy {
            Policy::Header => copy.document.freshness.is_usable(copy.asked),
            Policy::Stubborn | Policy::Refetching => copy.asked.elapsed() < copy.cache_age,
        }
    }

    fn is_excused(&self, status: StatusCode) -> bool {
        status == StatusCode::SERVICE_UNAVAILABLE && self.issuer.is_damaged.load(Ordering::SeqCst)
    }

    async fn fetch(&self, copy: &mut Option<Copy>) -> Result<(), Rejection> {
        let (asked, cache_age) = (Instant::now(), self.issuer.cache_age.length());
        let validator = copy.as_ref().and_then(|copy| copy.document.validator.clone());
        match self.servers.fetch(&self.issuer.path(), validator.as_ref()).await {
            Answer::Document(document) => *copy = Some(Copy { document, asked, cache_age }),
            Answer::NotModified(freshness) => {
                if let Some(copy) = copy {
                    copy.document.freshness = freshness;
                    (copy.asked, copy.cache_age) = (asked, cache_age);
                }
            }
            Answer::Broken(why) => return Err(Rejection::Broken(why)),
            Answer::Refused(status) if !self.is_excused(status) => return Err(Rejection::NotServed(status)),
            Answer::Silent | Answer::Refused(_) if copy.as_ref().is_some_and(|copy| self.falls_back_to(copy)) => {}
            Answer::Refused(_) => return Err(Rejection::Damaged),
            Answer::Silent => return Err(Rejection::Unreachable),
        }
        Ok(())
    }
}
