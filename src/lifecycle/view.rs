//! The questions that every rule asks of what was observed.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use jiff::Timestamp;

use super::contract::{Contract, after};
use super::evidence::{self, Evidence};
use super::observed::{
    Clock, ConfigMapContent, Key, Observed, Pass, PassState, PrivateHalf, Published, Signer, SignerContent,
    SignerSecret,
};
use super::{restore, rollout};
use crate::api::{KeySetStatus, Lifecycle, Origin, PublicationStatus, RolloutStatus, RotationMode, VisibilitySource};
use crate::jose::{Digest, JwkSet, KeyId};

/// What was observed, with what follows from it at `now`.
pub(super) struct View<'a> {
    pub(super) observed: &'a Observed,
    pub(super) contract: Contract,
    pub(super) now: Timestamp,
    pub(super) evidence: BTreeMap<KeyId, Evidence>,
    /// The latest rollout of each target that was seen to the end.
    pub(super) rollouts: Vec<RolloutStatus>,
    /// The keys that have not left the set: few, where the records of those that left may be a hundred.
    published: Vec<&'a Key>,
    /// The answer of [`super::publication`], which several rules ask for.
    pub(super) decided: OnceCell<Option<(JwkSet, Digest)>>,
}

/// Why no forward step is taken. Repairs go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Freeze {
    /// An object of a name that we need is not ours.
    NameConflict(String),
    /// A SigningKey could not be read.
    Undecodable(String),
    /// Nobody can tell yet whether the set was ever served.
    Unclaimed,
    /// The clock is not to be believed.
    Clock(String),
    /// The user asked for it.
    Suspended,
}

/// Which steps a set takes whose rotation is suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Only while the set moves forward.
    Forward,
    /// Also while it is suspended: a revocation, or a successor for a key that is lost.
    Urgent,
}

impl<'a> View<'a> {
    pub(super) fn new(observed: &'a Observed, now: Timestamp) -> Self {
        let contract = Contract::new(&observed.key_set.spec);
        let rollouts = rollout::gather(observed, now);
        let evidence = evidence::gather(observed, &contract, &rollouts, now);
        let published = observed.keys.iter().filter(|key| !key.is_removed()).collect();
        Self { observed, contract, now, evidence, rollouts, published, decided: OnceCell::new() }
    }

    /// The stored status, if its evidence was gathered for this very object.
    pub(super) fn prior(&self) -> Option<&'a KeySetStatus> {
        let key_set = &self.observed.key_set;
        Some(&key_set.status).filter(|status| status.observed_uid.as_deref() == Some(key_set.uid.as_str()))
    }

    /// The accept pair as stored.
    pub(super) fn publication(&self) -> Option<&'a PublicationStatus> {
        self.prior()?.publication.as_ref()
    }

    /// The digest that servers are to serve.
    pub(super) fn accepted_digest(&self) -> Option<&'a Digest> {
        self.publication()?.digest.as_ref()
    }

    /// The ConfigMap, if it is ours.
    pub(super) fn config_map(&self) -> Option<&'a ConfigMapContent> {
        match &self.observed.published {
            Published::Ours(content) => Some(content),
            Published::Absent | Published::Foreign => None,
        }
    }

    /// The published set, if its digest is accepted: its kids are ours whatever else is lost. Without the ConfigMap, what
    /// a replica still serves of it.
    pub(super) fn accepted_set(&self) -> Option<&'a JwkSet> {
        let accepts = |digest: &Digest| self.publication().is_some_and(|publication| publication.accepts(digest));
        // Where the status is lost, a replica remembers: it began to serve the document when that was accepted.
        let is_lost = self.accepted_digest().is_none();
        let is_known = |digest: &Digest| accepts(digest) || (is_lost && restore::is_served(self.observed, digest));
        let held = self.config_map().filter(|it| it.digest.as_ref().is_some_and(is_known));
        let served = || self.observed.witness.as_ref().filter(|witness| accepts(&witness.digest));
        held.map_or_else(|| served()?.set.as_ref(), |config_map| config_map.set.as_ref())
    }

    /// The set in the ConfigMap, if it is the very one that was decided last.
    pub(super) fn current_set(&self) -> Option<&'a JwkSet> {
        let config_map = self.config_map()?;
        config_map.set.as_ref().filter(|_| config_map.digest.as_ref() == self.accepted_digest())
    }

    /// The Signer Secret, if it is ours.
    pub(super) fn signer(&self) -> Option<&'a SignerSecret> {
        match &self.observed.signer {
            Signer::Ours(signer) => Some(signer),
            Signer::Absent | Signer::Foreign | Signer::Illegible(_) => None,
        }
    }

    /// The key of that kid: the published one, else the latest that left the set.
    pub(super) fn key(&self, kid: &KeyId) -> Option<&'a Key> {
        let published = self.published().filter(|key| key.kid() == Some(kid)).max_by_key(|key| key.sequence);
        let left = || self.observed.keys.iter().filter(|key| key.kid() == Some(kid)).max_by_key(|key| key.sequence);
        published.or_else(left)
    }

    /// The keys that have not left the set.
    pub(super) fn published(&self) -> impl Iterator<Item = &'a Key> {
        self.published.iter().copied()
    }

    /// The key that signs: the Signer Secret is the judge, the ledger answers when it is lost or lies.
    pub(super) fn signing(&self) -> Option<&'a Key> {
        let honest = self.signer().filter(|signer| self.contradicted(signer).is_none());
        honest.and_then(|signer| self.key(&signer.key_id)).or_else(|| self.ledger_active())
    }

    /// The active key of the ledger, if it shows that the record of the Signer Secret was changed by others: a term is one
    /// key's, and its activation was copied as the later of two times.
    pub(super) fn contradicted(&self, signer: &SignerSecret) -> Option<&'a Key> {
        self.ledger_active().filter(|key| key.lifecycle.term == Some(signer.term)).filter(|key| {
            let other = key.kid() != Some(&signer.key_id) || key.name != signer.key_name;
            other || key.lifecycle.activation_time < Some(signer.activation_time)
        })
    }

    /// The key that the ledger takes for active: of several, the one of the highest term.
    pub(super) fn ledger_active(&self) -> Option<&'a Key> {
        self.published().filter(|key| key.is_active()).max_by_key(|key| key.lifecycle.term)
    }

    /// Whether anything ever signed with this set.
    pub(super) fn ever_signed(&self) -> bool {
        self.observed.ever_signed()
    }

    /// Keys that never signed and are still wanted, oldest first.
    pub(super) fn staged(&self) -> impl Iterator<Item = &'a Key> {
        self.published().filter(|key| key.is_staged())
    }

    /// Whether new keys would be made the way this one was. An imported RSA key is taken in the size that it has.
    pub(super) fn is_wanted_kind(&self, key: &Key) -> bool {
        let spec = &self.observed.key_set.spec;
        let sized = key.origin == Origin::Imported || key.rsa_key_bits == wanted_rsa_bits(spec);
        key.algorithm == spec.algorithm && sized
    }

    /// Whether the key can be given to signers: its private half is stored, and nobody has barred it.
    pub(super) fn is_eligible(&self, key: &Key) -> bool {
        let barred = self.signer().is_some_and(|signer| key.kid().is_some_and(|kid| signer.barred.contains(kid)));
        matches!(key.private, PrivateHalf::Stored(_)) && !barred && !key.is_over()
    }

    /// Whether the user asks that the key stays published.
    pub(super) fn is_held(&self, key: &Key) -> bool {
        self.observed.key_set.spec.held_keys.iter().any(|held| Some(&held.key_id) == key.kid())
    }

    /// Whether the private half can sign now: in its Key Secret, or in the Signer Secret alone.
    pub(super) fn can_sign(&self, key: &Key) -> bool {
        matches!(key.private, PrivateHalf::Stored(_))
            || self
                .signer()
                .is_some_and(|signer| Some(&signer.key_id) == key.kid() && signer.content != SignerContent::Damaged)
    }

    /// What was seen of the key.
    pub(super) fn evidence_of(&self, key: &Key) -> Evidence {
        key.kid().and_then(|kid| self.evidence.get(kid)).cloned().unwrap_or_default()
    }

    /// Whether a key is seen served by everyone right now, by a pass that may be acted upon.
    pub(super) fn is_visible_now(&self, key: &Key) -> bool {
        let Some(visible) = self.evidence_of(key).visible_time else { return false };
        match self.observed.key_set.spec.publication.visibility {
            VisibilitySource::Assumed => visible <= self.now,
            VisibilitySource::Replicas => self.fresh_pass().is_some_and(|pass| {
                key.kid().is_some_and(|kid| pass.replicas.iter().all(|replica| replica.serves(kid)))
            }),
        }
    }

    /// Whether every replica that answered just now serves the key, and one did. Less than visible: enough only for a
    /// switch that may cost an unknown kid.
    pub(super) fn is_answered_now(&self, key: &Key) -> bool {
        let evidence = self.evidence_of(key);
        match self.observed.key_set.spec.publication.visibility {
            VisibilitySource::Assumed => evidence.publish_time.is_some(),
            VisibilitySource::Replicas => self.observed.pass.as_ref().is_some_and(|pass| {
                let mut served = pass.replicas.iter().filter(|replica| replica.served.is_some()).peekable();
                let fresh = served.peek().is_some() && self.now <= after(pass.time, MAX_PASS_AGE);
                fresh && key.kid().is_some_and(|kid| served.all(|replica| replica.serves(kid)))
            }),
        }
    }

    /// The pass, if it is complete, recent enough to act upon, and someone serves. Where visibility is assumed none is
    /// needed.
    pub(super) fn fresh_pass(&self) -> Option<&'a Pass> {
        let pass = self.observed.pass.as_ref()?;
        let fresh = pass.state == PassState::Complete && self.now <= after(pass.time, MAX_PASS_AGE);
        Some(pass).filter(|pass| fresh && pass.replicas.iter().any(|replica| replica.served.is_some()))
    }

    /// What is wrong with the latest pass, for people.
    pub(super) fn visibility_doubt(&self) -> String {
        let Some(pass) = &self.observed.pass else { return "No server replica has been asked yet.".to_owned() };
        match &pass.state {
            PassState::Incomplete(why) => format!("Not every server replica is known to serve the set: {why}."),
            PassState::Complete => "A server replica does not serve the set yet.".to_owned(),
        }
    }

    /// Whether steps that need evidence of the replicas may be taken at all.
    pub(super) fn may_act_on_visibility(&self) -> bool {
        match self.observed.key_set.spec.publication.visibility {
            VisibilitySource::Assumed => true,
            VisibilitySource::Replicas => self.fresh_pass().is_some(),
        }
    }

    /// Why nothing moves forward, if so; the gravest reason first.
    pub(super) fn freeze(&self) -> Option<Freeze> {
        if let Some(conflict) = self.name_conflict() {
            return Some(Freeze::NameConflict(conflict));
        }
        if !self.observed.undecodable.is_empty() {
            return Some(Freeze::Undecodable(self.observed.undecodable.join(", ")));
        }
        if self.prior().is_none() && self.is_unclaimable() {
            return Some(Freeze::Unclaimed);
        }
        if let Clock::Untrusted(why) = &self.observed.clock {
            return Some(Freeze::Clock(why.clone()));
        }
        (self.observed.key_set.spec.rotation.mode == RotationMode::Suspended).then_some(Freeze::Suspended)
    }

    /// Whether nothing stands in the way of such a step.
    pub(super) fn allows(&self, step: Step) -> bool {
        // A later set is served that nobody has read yet: whatever is done now may be wrong.
        let blind = self.observed.witness.as_ref().is_some_and(|witness| witness.set.is_none());
        match self.freeze() {
            _ if blind => false,
            None => true,
            Some(Freeze::Suspended) => step == Step::Urgent,
            Some(_) => false,
        }
    }

    /// Whether a replica is silent that may know what the objects do not: that a set of this name was served before
    /// (PROTOCOL 6), or, where they look like a backup, which keys are served by now (PROTOCOL 9).
    pub(super) fn is_unclaimable(&self) -> bool {
        let needed = self.observed.key_set.spec.publication.visibility == VisibilitySource::Replicas;
        let complete = self.observed.pass.as_ref().is_some_and(|pass| pass.state == PassState::Complete);
        needed && !complete && (self.is_untouched() || restore::planned(self).is_some())
    }

    /// Whether nothing of that name was found anywhere.
    pub(super) fn is_virgin(&self) -> bool {
        let served = self.observed.pass.iter().flat_map(|pass| &pass.replicas).any(|replica| replica.served.is_some());
        !served && self.is_untouched()
    }

    /// Whether no object of that name is there.
    fn is_untouched(&self) -> bool {
        let observed = self.observed;
        let keys = !observed.keys.is_empty() || !observed.undecodable.is_empty() || !observed.strays.is_empty();
        !keys && observed.signer == Signer::Absent && observed.published == Published::Absent
    }

    /// What is in the way, and what to do about it.
    pub(super) fn name_conflict(&self) -> Option<String> {
        let key_set = &self.observed.key_set;
        if self.observed.signer == Signer::Foreign {
            let name = key_set.signer_secret_name();
            return Some(format!(
                "Secret {name} exists and is not ours: delete it, or apply this KeySet anew with another signers.secretName."
            ));
        }
        if self.observed.published == Published::Foreign {
            let name = key_set.config_map_name();
            return Some(format!(
                "ConfigMap {name} exists and is not ours: delete it, or apply this KeySet anew with another publication.configMapName."
            ));
        }
        let foreign = self.observed.keys.iter().find(|key| key.private == PrivateHalf::Foreign);
        let object = foreign.map(|key| format!("Secret {}", key.name)).or_else(|| self.observed.obstacle.clone())?;
        Some(format!("{object} exists and is not ours: delete it."))
    }
}

impl Observed {
    /// Whether anything ever signed with this set.
    pub fn ever_signed(&self) -> bool {
        matches!(self.signer, Signer::Ours(_) | Signer::Illegible(_))
            || self.keys.iter().any(|key| key.lifecycle.activation_time.is_some())
    }
}

impl Key {
    /// kid of the public half.
    pub fn kid(&self) -> Option<&KeyId> {
        self.jwk.as_ref().map(crate::jose::PublicJwk::kid)
    }

    /// Activated, and not retired since.
    pub fn is_active(&self) -> bool {
        !self.is_over() && is_active(&self.lifecycle)
    }

    /// Activated once, and retired since.
    pub fn is_retired(&self) -> bool {
        !self.is_over() && self.lifecycle.activation_time.is_some() && !is_active(&self.lifecycle)
    }

    /// Never activated, and still wanted.
    pub fn is_staged(&self) -> bool {
        !self.is_over() && self.lifecycle.activation_time.is_none() && self.origin != Origin::External
    }

    /// Staged, and its private half is gone: another key takes its place.
    pub fn is_lost(&self) -> bool {
        self.is_staged() && self.private == PrivateHalf::Absent
    }

    /// Removed or revoked: it never signs again. A revoked key is published until it is removed.
    pub fn is_over(&self) -> bool {
        self.is_removed() || self.is_revoked()
    }

    /// It left the set.
    pub fn is_removed(&self) -> bool {
        self.lifecycle.removal_time.is_some()
    }

    /// It must not be trusted.
    pub fn is_revoked(&self) -> bool {
        self.lifecycle.revocation_time.is_some()
    }
}

impl super::Replica {
    /// Whether this replica answers with that kid.
    pub fn serves(&self, kid: &KeyId) -> bool {
        self.served.as_ref().is_some_and(|served| served.ages.contains_key(kid))
    }
}

impl super::ObservedKeySet {
    /// Identity and version, for writes of the status.
    pub fn fence(&self) -> super::Fence {
        super::Fence { uid: self.uid.clone(), resource_version: self.resource_version.clone() }
    }

    /// Name of the Signer Secret.
    pub fn signer_secret_name(&self) -> String {
        self.spec.signer_secret_name(&self.name)
    }

    /// Name of the JWKS ConfigMap.
    pub fn config_map_name(&self) -> String {
        self.spec.config_map_name(&self.name)
    }
}

/// A ledger is active if its activation is later than its retirement (PROTOCOL 1).
pub(super) fn is_active(lifecycle: &Lifecycle) -> bool {
    lifecycle.activation_time.is_some() && lifecycle.activation_time > lifecycle.retirement_time
}

/// Modulus size of new keys; `None` unless they are RSA keys.
pub(super) fn wanted_rsa_bits(spec: &crate::api::KeySetSpec) -> Option<i32> {
    spec.algorithm.is_rsa().then(|| spec.rsa_key_bits.unwrap_or(DEFAULT_RSA_BITS))
}

/// RFC 7518 section 3.3 asks for 2048 bits or more.
const DEFAULT_RSA_BITS: i32 = 2048;
/// PROTOCOL 4: activation and removal need a complete pass at most this old.
const MAX_PASS_AGE: jiff::SignedDuration = jiff::SignedDuration::from_secs(30);
