//! The answers of this process, rendered ahead: what the public route reads, and since when it answers so.
//!
//! Invariant: a reader sees one consistent map; the ages of the report never claim more than the route has answered.

use std::{
    collections::{BTreeMap, HashMap},
    io::Write,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderValue, header};

use super::{
    cache::CacheControl,
    index::{Answer, Change, Document, Name},
    issuers::Standing,
};
use crate::{
    api::ServedSet,
    issuer::{Address, Issuer},
    jose::{Digest, KeyId},
};

/// What is answered for a set that is known.
#[derive(Debug)]
pub(super) enum Page {
    Set(Box<Set>),
    Waiting,
}

/// A set with all that is sent of it.
#[derive(Debug)]
pub(super) struct Set {
    pub(super) document: Document,
    pub(super) jwks: Forms,
    /// The discovery document, if the set has an issuer.
    pub(super) metadata: Option<Forms>,
}

/// A document in each form that it is sent in.
#[derive(Debug)]
pub(super) struct Forms {
    pub(super) plain: Representation,
    /// Only where it is smaller.
    pub(super) gzip: Option<Representation>,
}

/// One form of a document: everything of its answers but the choice.
#[derive(Debug)]
pub(super) struct Representation {
    pub(super) etag: HeaderValue,
    pub(super) body: Bytes,
    pub(super) headers: HeaderMap,
    /// Headers of a 304 (RFC 9110 section 15.4.5).
    pub(super) not_modified: HeaderMap,
}

/// All answers at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers {
    /// Whether the first lists are complete. Until then an unknown name may be one that is served elsewhere.
    pub(super) is_complete: bool,
    pub(super) pages: HashMap<Name, Arc<Page>>,
    issuers: HashMap<Name, Issuer>,
    /// The pages with an issuer, by its authority and its path.
    hosts: HashMap<String, HashMap<String, Arc<Page>>>,
}

impl Answers {
    /// The sets that there are bytes for.
    pub(super) fn sets(&self) -> impl Iterator<Item = (&Name, &Set)> {
        self.pages.iter().filter_map(|(name, page)| match page.as_ref() {
            Page::Set(set) => Some((name, set.as_ref())),
            Page::Waiting => None,
        })
    }

    /// What is answered below `path` at the host that a request names. An issuer without a port of its own is at every port:
    /// whatever is in front may have another one than verifiers see.
    pub(super) fn at(&self, authority: &str, path: &str) -> Option<&Page> {
        if authority.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return self.at(&authority.to_ascii_lowercase(), path);
        }
        let find = |authority: &str| self.hosts.get(authority)?.get(path).map(AsRef::as_ref);
        find(authority).or_else(|| find(authority.rsplit_once(':')?.0))
    }

    /// Whether any set has an issuer.
    pub(super) fn has_issuers(&self) -> bool {
        !self.hosts.is_empty()
    }

    /// A number that two processes have in common as long as they serve the same, so that people see when they do not.
    pub(super) fn fingerprint(&self) -> u32 {
        let of_set = |(name, set): (&Name, &Set)| {
            let issuer = self.issuers.get(name).map_or_else(String::new, |issuer| format!(" {}", issuer.url()));
            let digest = Digest::of(format!("{} {}{issuer}", name.as_str(), set.document.digest));
            let start = digest.as_str().rsplit(':').next().and_then(|hex| hex.get(..8));
            start.and_then(|hex| u32::from_str_radix(hex, 16).ok()).unwrap_or_default()
        };
        self.sets().map(of_set).fold(0, |all, set| all ^ set)
    }
}

impl Answers {
    fn take(&mut self, Change { name, answer, issuer, .. }: Change) {
        let issuer = issuer.as_ref().and_then(Standing::served);
        let page = match answer {
            Answer::Document(document) => Page::Set(render(document, issuer).into()),
            Answer::Waiting => Page::Waiting,
            Answer::Unknown => {
                self.pages.remove(&name);
                self.issuers.remove(&name);
                return;
            }
        };
        match issuer {
            Some(issuer) => self.issuers.insert(name.clone(), issuer.clone()),
            None => self.issuers.remove(&name),
        };
        self.pages.insert(name, Arc::new(page));
    }

    fn hosts(&self) -> HashMap<String, HashMap<String, Arc<Page>>> {
        let mut hosts: HashMap<String, HashMap<String, Arc<Page>>> = HashMap::new();
        for (name, issuer) in &self.issuers {
            let (Address { authority, path }, Some(page)) = (issuer.address(), self.pages.get(name)) else { continue };
            hosts.entry(authority.clone()).or_default().insert(path.clone(), Arc::clone(page));
        }
        hosts
    }
}

/// The current answers, and what this process answered before.
#[derive(Debug, Default)]
pub(super) struct Store {
    answers: ArcSwap<Answers>,
    history: Mutex<History>,
}

#[derive(Debug, Default)]
struct History {
    /// For each set and kid: when this process last stopped answering without it, `None` for never.
    since: HashMap<Name, BTreeMap<KeyId, Option<Instant>>>,
    /// Sets that were served and are gone: verifiers may still have them, so a new one of that name is not the first
    /// (PROTOCOL 6). Reported without a key.
    gone: HashMap<Name, (i64, Digest)>,
}

impl Store {
    /// The current answers.
    pub(super) fn answers(&self) -> arc_swap::Guard<Arc<Answers>> {
        self.answers.load()
    }

    /// Takes over what the first complete lists, or a later event, changed. The clock is read after the swap: until
    /// then the old answers were given.
    pub(super) fn apply(&self, changes: Vec<Change>, clock: impl FnOnce() -> Instant) {
        let mut history = self.history();
        let before = self.answers.load_full();
        let mut answers = Answers { is_complete: true, ..Answers::clone(&before) };
        let names: Vec<Name> = changes.iter().map(|change| change.name.clone()).collect();
        for change in changes {
            answers.take(change);
        }
        answers.hosts = answers.hosts();
        let answers = Arc::new(answers);
        self.answers.store(answers.clone());
        let now = clock();
        for name in names {
            match answers.pages.get(&name).map(AsRef::as_ref) {
                Some(Page::Set(set)) => history.record(name, &set.document.kids, now),
                Some(Page::Waiting) | None => history.forget(name, &before),
            }
        }
    }

    /// What the report says of the sets in `answers`.
    pub(super) fn ages(&self, answers: &Answers, now: Instant) -> BTreeMap<String, ServedSet> {
        let history = self.history();
        let mut sets = BTreeMap::new();
        for (name, (revision, digest)) in &history.gone {
            let set =
                ServedSet { key_set_uid: None, revision: *revision, digest: digest.clone(), keys: BTreeMap::new() };
            sets.insert(name.as_str().to_owned(), set);
        }
        for (name, Set { document, .. }) in answers.sets() {
            let seen = history.since.get(name);
            let age = |kid| match seen.and_then(|seen| seen.get(kid)) {
                Some(since) => since.map(|since| now.saturating_duration_since(since).as_secs_f64()),
                None => Some(Duration::ZERO.as_secs_f64()),
            };
            let keys = document.kids.iter().map(|kid| (kid.clone(), age(kid))).collect();
            let key_set_uid = document.key_set_uid.as_deref().map(ToOwned::to_owned);
            let set = ServedSet { key_set_uid, revision: document.revision, digest: document.digest.clone(), keys };
            sets.insert(name.as_str().to_owned(), set);
        }
        sets
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl History {
    /// A kid that the document before had keeps its time; in the first document none was ever missing.
    fn record(&mut self, name: Name, kids: &[KeyId], now: Instant) {
        self.gone.remove(&name);
        let before = self.since.get(&name);
        let since = |kid: &KeyId| before.and_then(|before| before.get(kid).copied().unwrap_or(Some(now)));
        let seen = kids.iter().map(|kid| (kid.clone(), since(kid))).collect();
        self.since.insert(name, seen);
    }

    fn forget(&mut self, name: Name, before: &Answers) {
        self.since.remove(&name);
        if let Some(Page::Set(set)) = before.pages.get(&name).map(AsRef::as_ref)
            && self.gone.len() < MOST_GONE
        {
            self.gone.insert(name, (set.document.revision, set.document.digest.clone()));
        }
    }
}

fn render(document: Document, issuer: Option<&Issuer>) -> Set {
    let (digest, bytes) = (&document.digest, document.bytes.clone());
    let jwks = Forms::new(bytes, digest, "application/jwk-set+json", document.cache);
    let metadata = issuer.map(|issuer| {
        let text = issuer.metadata(&document.algorithms);
        Forms::new(text.clone().into(), &Digest::of(&text), "application/json", document.cache)
    });
    Set { document, jwks, metadata }
}

impl Forms {
    fn new(bytes: Bytes, digest: &Digest, content_type: &'static str, cache: CacheControl) -> Self {
        let gzip = gzip(&bytes).filter(|body| body.len() < bytes.len()).map(|body| {
            let mut gzip = Representation::new(body, format!("\"{digest}-gzip\""), content_type, cache);
            gzip.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            gzip
        });
        Self { plain: Representation::new(bytes, format!("\"{digest}\""), content_type, cache), gzip }
    }
}

impl Representation {
    /// The strong entity tags of the forms differ (RFC 9110 section 8.8.3).
    fn new(body: Bytes, etag: String, content_type: &'static str, cache: CacheControl) -> Self {
        let etag = header_value(etag);
        let not_modified = HeaderMap::from_iter([
            (header::ETAG, etag.clone()),
            (header::CACHE_CONTROL, header_value(cache.to_string())),
            (header::VARY, HeaderValue::from_static("accept-encoding")),
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
            (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        ]);
        let mut headers = not_modified.clone();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::CONTENT_LENGTH, body.len().into());
        Self { etag, body, headers, not_modified }
    }
}

/// Digests and numbers are always header values; no other text comes here.
fn header_value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// `None` is a failure to allocate at worst: the plain form is there anyway.
fn gzip(bytes: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).ok()?;
    Some(encoder.finish().ok()?.into())
}

/// Names are made up by users, memory is not.
const MOST_GONE: usize = 4096;
