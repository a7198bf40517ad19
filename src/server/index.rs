//! Which document is served for which KeySet: a pure index of what the watches saw.
//!
//! Events go in, the sets whose answer changed come out. Invariants (PROTOCOL 3 and 11): a document is served only if
//! the status of its KeySet accepts its digest, or, when the KeySet is gone, if every key in it is recorded in a
//! SigningKey that is neither removed nor revoked; the revision of a set never falls; a set that was served goes on
//! being served until nothing of it is left. Nothing is judged before all first lists are complete, three for each
//! scope: a list that is not there yet must not look like an empty one. Deliberately absent: client, clock, HTTP.

use std::{
    borrow::Borrow,
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use bytes::Bytes;

use super::{
    cache::CacheControl,
    issuers::{Rank, Standing, Wish, standings},
    source::{Candidate, Claim, Record},
};
use crate::issuer::{Consent, Issuer};
use crate::jose::{Algorithm, Digest, JwkSet, KeyId, PublicJwk};
use crate::scope::Scope;

/// `<namespace>/<name>` of an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Name(Arc<str>);

impl Name {
    pub(super) fn new(namespace: &str, name: &str) -> Self {
        Self(format!("{namespace}/{name}").into())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn namespace(&self) -> &str {
        self.0.split_once('/').map_or("", |(namespace, _)| namespace)
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// What a watch saw. `None` is an object that cannot be read: what was last read of it goes on counting.
#[derive(Clone, Debug)]
pub(super) enum Event<T> {
    /// All objects there are in a scope; every other one there is gone.
    Listed(Scope, Vec<(Name, Option<T>)>),
    Written(Name, Option<T>),
    Deleted(Name),
}

/// A set of keys as it is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Document {
    pub(super) revision: i64,
    pub(super) digest: Digest,
    pub(super) bytes: Bytes,
    pub(super) kids: Arc<[KeyId]>,
    pub(super) algorithms: Arc<BTreeSet<Algorithm>>,
    pub(super) cache: CacheControl,
    /// UID of the KeySet whose status accepted it; `None` for one whose KeySet was gone by then.
    pub(super) key_set_uid: Option<Arc<str>>,
}

/// What is answered for a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Document(Document),
    /// The KeySet is there, its document is not.
    Waiting,
    /// Nothing of that name is there.
    Unknown,
}

/// Why a document is not served; the last good one is, if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Refusal {
    /// The status accepts a digest, but there is no ConfigMap.
    Missing,
    /// The KeySet cannot be read.
    Unreadable,
    /// The ConfigMap has no such entry, or it is larger than any set of ours.
    Malformed,
    /// The status does not accept the digest: it was tampered with, or the watches are not even yet.
    NotAccepted,
    /// A higher revision was served: a restored backup.
    LowerRevision,
    /// The KeySet is gone, and no SigningKey vouches for a key.
    Unrecorded,
}

impl Refusal {
    pub(super) const ALL: [Self; 6] =
        [Self::Missing, Self::Unreadable, Self::Malformed, Self::NotAccepted, Self::LowerRevision, Self::Unrecorded];

    /// For logs and metrics.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Missing => "Missing",
            Self::Unreadable => "Unreadable",
            Self::Malformed => "Malformed",
            Self::NotAccepted => "NotAccepted",
            Self::LowerRevision => "LowerRevision",
            Self::Unrecorded => "Unrecorded",
        }
    }
}

/// A set of which something is another one now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) name: Name,
    pub(super) answer: Answer,
    pub(super) refusal: Option<Refusal>,
    /// What comes of the issuer that it names.
    pub(super) issuer: Option<Standing>,
}

/// What the watches saw, and what is served of it.
#[derive(Debug)]
pub(super) struct Index {
    key_sets: Table<Claim>,
    config_maps: Table<Candidate>,
    signing_keys: Table<Record>,
    states: HashMap<Name, State>,
    consent: Consent,
}

impl Index {
    /// An index that waits for the lists of these scopes.
    pub(super) fn of(scopes: &[Scope], consent: Consent) -> Self {
        Self {
            key_sets: Table::of(scopes),
            config_maps: Table::of(scopes),
            signing_keys: Table::of(scopes),
            states: HashMap::new(),
            consent,
        }
    }

    pub(super) fn key_sets(&mut self, event: Event<Claim>) -> Vec<Change> {
        self.key_sets.apply(event);
        self.evaluate()
    }

    pub(super) fn config_maps(&mut self, event: Event<Candidate>) -> Vec<Change> {
        self.config_maps.apply(event);
        self.evaluate()
    }

    pub(super) fn signing_keys(&mut self, event: Event<Record>) -> Vec<Change> {
        self.signing_keys.apply(event);
        self.evaluate()
    }

    /// Whether all first lists are there: until then no answer is known.
    pub(super) fn is_complete(&self) -> bool {
        self.key_sets.is_listed() && self.config_maps.is_listed() && self.signing_keys.is_listed()
    }

    /// How many sets have that refusal now.
    pub(super) fn refused(&self, refusal: Refusal) -> usize {
        self.states.values().filter(|state| state.refusal == Some(refusal)).count()
    }

    /// Judges every set anew. That is cheap, because only a document with a new digest is parsed, and it needs no
    /// bookkeeping of which object concerns which set.
    fn evaluate(&mut self) -> Vec<Change> {
        if !self.is_complete() {
            return Vec::new();
        }
        let mut labelled: HashMap<&Name, Vec<&Candidate>> = HashMap::new();
        for candidate in self.config_maps.known() {
            if let Some(key_set) = &candidate.key_set {
                labelled.entry(key_set).or_default().push(candidate);
            }
        }
        let names: HashSet<&Name> =
            self.key_sets.objects.keys().chain(labelled.keys().copied()).chain(self.states.keys()).collect();
        let labelled = |name: &Name| labelled.get(name).map(Vec::as_slice).unwrap_or_default();
        let wishes: Vec<Wish<'_>> = names.iter().filter_map(|name| self.wish(name, labelled(name))).collect();
        let rank = |name: &Name| names.contains(&name).then(|| self.rank(name));
        let mut standings = standings(&wishes, &self.consent, rank);
        let mut changes = Vec::new();
        for name in names {
            let State { answer, refusal, .. } = self.judge(name, labelled(name));
            let issuer = standings.remove(name).filter(|_| answer != Answer::Unknown);
            let state = State { answer, refusal, issuer };
            if *self.states.get(name).unwrap_or(&State::NOTHING) != state {
                let State { answer, refusal, issuer } = state;
                changes.push(Change { name: name.clone(), answer, refusal, issuer });
            }
        }
        for Change { name, answer, refusal, issuer } in &changes {
            let state = State { answer: answer.clone(), refusal: *refusal, issuer: issuer.clone() };
            if state == State::NOTHING {
                self.states.remove(name);
            } else {
                self.states.insert(name.clone(), state);
            }
        }
        changes
    }

    /// The issuer that a set names. What was served stays while nothing new is said: the KeySet cannot be read, was made
    /// anew and has accepted nothing yet, or is gone.
    fn wish<'a>(&'a self, name: &'a Name, labelled: &[&'a Candidate]) -> Option<Wish<'a>> {
        let last = || self.states.get(name)?.issuer.as_ref()?.served();
        let issuer: Option<&Issuer> = match self.key_sets.objects.get(name) {
            Some(Some(claim)) if claim.accepted.is_empty() => claim.issuer.as_ref().or_else(last),
            Some(Some(claim)) => claim.issuer.as_ref(),
            Some(None) => last(),
            None => labelled.iter().find_map(|candidate| candidate.issuer.as_ref()).or_else(last),
        };
        issuer.map(|issuer| Wish { name, issuer, rank: self.rank(name) })
    }

    fn rank(&self, name: &Name) -> Rank {
        match self.key_sets.objects.get(name) {
            Some(Some(claim)) if claim.accepted.is_empty() => Rank::Fresh(claim.created),
            Some(claim) => Rank::Living(claim.as_ref().and_then(|claim| claim.created)),
            None => Rank::Retained,
        }
    }

    fn judge(&self, name: &Name, labelled: &[&Candidate]) -> State {
        let last = self.states.get(name).and_then(State::document);
        let Some(key_set) = self.key_sets.objects.get(name) else {
            return self.judge_retained(name, labelled, last);
        };
        let judged = match key_set {
            Some(claim) => self.claimed(claim, last),
            None => Err(Some(Refusal::Unreadable)),
        };
        // A new spec counts for old bytes too: its cache lifetimes are promises about every answer from now on.
        let cache = key_set.as_ref().map(|claim| claim.cache);
        State::after(judged, || match last {
            Some(last) => Answer::Document(Document { cache: cache.unwrap_or(last.cache), ..last.clone() }),
            None => Answer::Waiting,
        })
    }

    /// The document of a KeySet, if its status accepts it. `Err(None)`: there is none yet, as it should be.
    fn claimed(&self, claim: &Claim, last: Option<&Document>) -> Result<Document, Option<Refusal>> {
        let Some(candidate) = self.config_maps.find(&claim.config_map) else {
            return Err((!claim.accepted.is_empty()).then_some(Refusal::Missing));
        };
        let (digest, bytes) = candidate.document.as_ref().ok_or(Refusal::Malformed)?;
        let accepted = claim.accepted.iter().find(|(accepted, _)| accepted == digest);
        let (_, revision) = accepted.ok_or(Refusal::NotAccepted)?;
        if last.is_some_and(|last| last.revision > *revision) {
            return Err(Some(Refusal::LowerRevision));
        }
        let (kids, algorithms) = match last {
            Some(last) if last.digest == *digest => (last.kids.clone(), last.algorithms.clone()),
            _ => keys(&parsed(bytes)?),
        };
        Ok(Document {
            revision: *revision,
            digest: digest.clone(),
            bytes: bytes.clone(),
            kids,
            algorithms,
            cache: claim.cache,
            key_set_uid: claim.uid.clone(),
        })
    }

    /// A set whose KeySet is gone. What was served goes on being served until nothing of the set is left.
    fn judge_retained(&self, name: &Name, labelled: &[&Candidate], last: Option<&Document>) -> State {
        let is_gone = labelled.is_empty() && !self.signing_keys.known().any(|record| record.key_set == *name);
        if is_gone {
            return State::NOTHING;
        }
        let mut judged = Err(None);
        for candidate in labelled {
            judged = self.retained(name, candidate, last);
            if judged.is_ok() {
                break;
            }
        }
        State::after(judged, || last.map_or(Answer::Unknown, |last| Answer::Document(last.clone())))
    }

    /// A retained document, if SigningKeys vouch for every key in it.
    fn retained(
        &self,
        name: &Name,
        candidate: &Candidate,
        last: Option<&Document>,
    ) -> Result<Document, Option<Refusal>> {
        let (digest, bytes) = candidate.document.as_ref().ok_or(Refusal::Malformed)?;
        if let Some(last) = last.filter(|last| last.digest == *digest) {
            return Ok(last.clone());
        }
        // Without its annotation the document counts as the first one: a claim that refuses nothing later.
        let revision = candidate.revision.unwrap_or(1);
        if last.is_some_and(|last| last.revision > revision) {
            return Err(Some(Refusal::LowerRevision));
        }
        let set = parsed(bytes)?;
        let records: Vec<&Record> = self.signing_keys.known().filter(|record| record.key_set == *name).collect();
        let is_recorded = |jwk| records.iter().any(|record| record.vouched.as_ref() == Some(jwk));
        if !set.keys().iter().all(is_recorded) {
            return Err(Some(Refusal::Unrecorded));
        }
        let cache = last.map_or(CacheControl::UNKNOWN, |last| last.cache);
        let ((kids, algorithms), digest, bytes) = (keys(&set), digest.clone(), bytes.clone());
        Ok(Document { revision, digest, bytes, kids, algorithms, cache, key_set_uid: None })
    }
}

/// What is known of one set.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    answer: Answer,
    refusal: Option<Refusal>,
    issuer: Option<Standing>,
}

impl State {
    const NOTHING: Self = Self { answer: Answer::Unknown, refusal: None, issuer: None };

    fn after(judged: Result<Document, Option<Refusal>>, otherwise: impl FnOnce() -> Answer) -> Self {
        match judged {
            Ok(document) => Self { answer: Answer::Document(document), refusal: None, issuer: None },
            Err(refusal) => Self { answer: otherwise(), refusal, issuer: None },
        }
    }

    fn document(&self) -> Option<&Document> {
        match &self.answer {
            Answer::Document(document) => Some(document),
            Answer::Waiting | Answer::Unknown => None,
        }
    }
}

/// The objects of one kind.
#[derive(Debug)]
struct Table<T> {
    objects: HashMap<Name, Option<T>>,
    /// Scopes whose first list is not there yet.
    unlisted: HashSet<Scope>,
}

impl<T> Table<T> {
    fn of(scopes: &[Scope]) -> Self {
        Self { objects: HashMap::new(), unlisted: scopes.iter().cloned().collect() }
    }

    fn is_listed(&self) -> bool {
        self.unlisted.is_empty()
    }

    fn apply(&mut self, event: Event<T>) {
        match event {
            Event::Listed(scope, list) => {
                let mut before: HashMap<_, _> =
                    self.objects.extract_if(|name, _| scope.contains(name.namespace())).collect();
                for (name, object) in list {
                    let object = object.or_else(|| before.remove(&name).flatten());
                    self.objects.insert(name, object);
                }
                self.unlisted.remove(&scope);
            }
            Event::Written(name, Some(object)) => {
                self.objects.insert(name, Some(object));
            }
            Event::Written(name, None) => {
                self.objects.entry(name).or_insert(None);
            }
            Event::Deleted(name) => {
                self.objects.remove(&name);
            }
        }
    }

    fn find(&self, name: &Name) -> Option<&T> {
        self.objects.get(name)?.as_ref()
    }

    fn known(&self) -> impl Iterator<Item = &T> {
        self.objects.values().flatten()
    }
}

/// The set in `bytes`, if it is one that may be published. A set without keys never is (law 5).
fn parsed(bytes: &[u8]) -> Result<JwkSet, Refusal> {
    JwkSet::parse(bytes).ok().filter(|set| !set.is_empty()).ok_or(Refusal::Malformed)
}

fn keys(set: &JwkSet) -> (Arc<[KeyId]>, Arc<BTreeSet<Algorithm>>) {
    let keys = || set.keys().iter();
    (keys().map(|jwk| jwk.kid().clone()).collect(), Arc::new(keys().map(PublicJwk::algorithm).collect()))
}
