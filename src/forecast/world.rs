//! The world in which a forecast happens: objects as plain values, and replicas that serve what is published.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Forecast, Step};
use crate::api::{Lifecycle, Origin, RolloutTarget, SigningKeyStatus};
use crate::jose::{Algorithm, Digest, Family, JwkError, JwkSet, KeyId, PublicJwk};
use crate::lifecycle::{
    Clock, ConfigMapContent, Effect, Event, Fence, Key, Mark, Observed, Ownership, Pass, PassState, Plan, Pods,
    PrivateHalf, Provenance, Published, Replica, ServedKeys, Signer, SignerContent, SignerRecord, SignerSecret,
    Workload, plan,
};

/// Everything that a plan looks at, and what became of its writes.
pub(super) struct World {
    observed: Observed,
    /// What every replica serves: the revision and the set.
    served: Option<(i64, JwkSet)>,
    /// Records that were pruned on the way.
    pruned: Vec<Key>,
    made_up: Vec<KeyId>,
    version: u64,
}

impl World {
    pub(super) fn new(observed: Observed, now: Timestamp) -> Self {
        let mut world = Self { observed, served: None, pruned: Vec::new(), made_up: Vec::new(), version: 0 };
        world.observed.clock = Clock::Trusted;
        world.observed.witness = None;
        for target in &mut world.observed.targets {
            if let Workload::Found { pods, .. } = &mut target.workload {
                *pods = Pods::Current;
            }
        }
        world.look(now);
        world
    }

    /// Plans and writes until nothing is left to write; gives when to look again.
    pub(super) fn settle(&mut self, now: Timestamp, steps: &mut Vec<Step>) -> Option<Timestamp> {
        for _ in 0..MOST_ROUNDS {
            self.look(now);
            let plan = plan(&self.observed, now);
            if plan.effects.is_empty() && plan.status == self.observed.key_set.status {
                return plan.wake_at;
            }
            let mut events = Vec::new();
            for effect in &plan.effects {
                events.extend(effect.event(&self.observed.key_set.name));
                self.perform(effect, &plan, &mut events);
            }
            if plan.effects.is_empty() {
                self.store_status(&plan, &mut events);
            }
            let status = self.observed.key_set.status.clone();
            steps.push(Step { time: now, effects: plan.effects, status, events });
        }
        None
    }

    pub(super) fn into_forecast(self, steps: Vec<Step>, until: Timestamp) -> Forecast {
        let mut keys: Vec<Key> = self.pruned.into_iter().chain(self.observed.keys.iter().cloned()).collect();
        keys.sort_by_key(|key| key.sequence);
        Forecast { steps, end: self.observed, until, keys, made_up: self.made_up }
    }

    /// A look at the replicas: they serve what is published, if the status accepts it.
    fn look(&mut self, now: Timestamp) {
        let publication = self.observed.key_set.status.publication.clone().unwrap_or_default();
        let revision = publication.revision.unwrap_or_default();
        if let Published::Ours(ConfigMapContent { digest: Some(digest), set: Some(set), .. }) = &self.observed.published
        {
            let age = publication.previous_digests.iter().position(|previous| previous == digest);
            let age = if publication.digest.as_ref() == Some(digest) { Some(0) } else { age.map(|age| age + 1) };
            if let Some(age) = age {
                self.served = Some((revision - i64::try_from(age).unwrap_or_default(), set.clone()));
            }
        }
        let served = self.served.as_ref().map(|(revision, set)| ServedKeys {
            key_set_uid: Some(self.observed.key_set.uid.clone()),
            revision: *revision,
            digest: Digest::of(set.to_json()),
            // Nobody remembers an answer without a key: what the status says of the past stands.
            ages: set.keys().iter().map(|jwk| (jwk.kid().clone(), None)).collect::<BTreeMap<_, _>>(),
        });
        let replica = Replica { endpoint: "every replica".to_owned(), served };
        self.observed.pass = Some(Pass { time: now, state: PassState::Complete, replicas: vec![replica] });
    }

    fn perform(&mut self, effect: &Effect, plan: &Plan, events: &mut Vec<Event>) {
        match effect.clone() {
            Effect::RecordStatus => self.store_status(plan, events),
            Effect::StageKey { sequence, algorithm, rsa_key_bits, status } => {
                // The rules know no key without a public half, and look at nothing of it but its kid.
                let Ok(jwk) = made_up(algorithm, rsa_key_bits, sequence) else { return };
                self.made_up.push(jwk.kid().clone());
                let private = PrivateHalf::Stored(self.fence());
                let key = self.key(sequence, &Provenance::Generated, jwk, Lifecycle::default(), status, private);
                self.insert(Key { rsa_key_bits, ..key });
            }
            Effect::ImportKey { sequence, entry, jwk, lifecycle, status } => {
                self.observed.imports.retain(|import| import.entry_name != entry.name);
                let provenance = Provenance::Imported { entry_name: entry.name, secret_ref: entry.secret_ref };
                let private = PrivateHalf::Stored(self.fence());
                let key = self.key(sequence, &provenance, jwk, lifecycle, status, private);
                self.insert(key);
            }
            Effect::AdoptKey { sequence, provenance, jwk, lifecycle, status } => {
                let stray = self.observed.strays.iter().position(|stray| stray.sequence == sequence);
                let private = match stray.map(|index| self.observed.strays.remove(index)) {
                    Some(_) => PrivateHalf::Stored(self.fence()),
                    None => PrivateHalf::Absent,
                };
                let key = self.key(sequence, &provenance, jwk, lifecycle, status, private);
                self.insert(key);
            }
            Effect::WriteSigner { record, .. } => self.write_signer(record),
            Effect::RecordKey { key, lifecycle, status, .. } => {
                let fence = self.fence();
                if let Some(key) = self.named(&key) {
                    let changed = key.lifecycle != lifecycle || key.status.as_ref() != Some(&status);
                    key.generation += i64::from(changed);
                    key.fence.resource_version = fence.resource_version;
                    (key.lifecycle, key.status) = (lifecycle, Some(status));
                }
            }
            Effect::ApplyConfigMap { set, digest, revision, issuer, .. } => {
                let (fence, set, digest, revision) = (self.fence(), Some(set), Some(digest), Some(revision));
                let ownership = Ownership::AsWanted;
                self.observed.published =
                    Published::Ours(ConfigMapContent { fence, digest, set, revision, issuer, ownership });
            }
            Effect::RebuildKeySecret { key, .. } => {
                let stored = PrivateHalf::Stored(self.fence());
                self.set_private(&key, stored);
            }
            Effect::DeleteKeySecret { key, .. } => self.set_private(&key, PrivateHalf::Absent),
            Effect::DeleteSigningKey { key, .. } => {
                let (pruned, kept) = self.observed.keys.drain(..).partition(|it| it.name == key);
                self.observed.keys = kept;
                self.pruned.extend::<Vec<Key>>(pruned);
            }
            Effect::MarkWorkload { target, uid, mark } => self.mark(&target, &uid, &mark),
            Effect::RecordOwnership { key, .. } => {
                if let Some(key) = self.named(&key) {
                    key.ownership = Ownership::AsWanted;
                }
            }
        }
    }

    fn store_status(&mut self, plan: &Plan, events: &mut Vec<Event>) {
        self.observed.key_set.status = plan.status.clone();
        events.extend(plan.events.iter().cloned());
    }

    /// Its Pods start anew at once: how long that takes nobody knows.
    fn mark(&mut self, target: &RolloutTarget, uid: &str, mark: &Mark) {
        for it in self.observed.targets.iter_mut().filter(|it| it.entry == *target) {
            it.workload = Workload::Found { uid: uid.to_owned(), mark: Some(mark.clone()), pods: Pods::Current };
        }
    }

    fn write_signer(&mut self, record: SignerRecord) {
        self.observed.signer = Signer::Ours(SignerSecret {
            fence: self.fence(),
            term: record.term,
            key_id: record.key_id,
            key_name: record.key_name,
            activation_time: record.activation_time,
            replaced: record.replaced,
            barred: record.barred,
            reason: record.reason,
            key_set_uid: Some(self.observed.key_set.uid.clone()),
            content: SignerContent::Intact,
            ownership: Ownership::AsWanted,
        });
    }

    fn key(
        &mut self,
        sequence: i64,
        provenance: &Provenance,
        jwk: PublicJwk,
        lifecycle: Lifecycle,
        status: SigningKeyStatus,
        private: PrivateHalf,
    ) -> Key {
        let (origin, entry_name) = match provenance {
            Provenance::Generated => (Origin::Generated, None),
            Provenance::Imported { entry_name, .. } => (Origin::Imported, Some(entry_name.clone())),
            Provenance::External { entry_name } => (Origin::External, Some(entry_name.clone())),
        };
        Key {
            name: format!("{}-{sequence}", self.observed.key_set.name),
            fence: self.fence(),
            generation: 1,
            sequence,
            origin,
            entry_name,
            algorithm: jwk.algorithm(),
            rsa_key_bits: None,
            jwk: Some(jwk),
            lifecycle,
            status: Some(status),
            private,
            ownership: Ownership::AsWanted,
        }
    }

    fn insert(&mut self, key: Key) {
        self.observed.keys.push(key);
        self.observed.keys.sort_by_key(|key| key.sequence);
    }

    fn named(&mut self, name: &str) -> Option<&mut Key> {
        self.observed.keys.iter_mut().find(|key| key.name == name)
    }

    fn set_private(&mut self, name: &str, private: PrivateHalf) {
        if let Some(key) = self.named(name) {
            key.private = private;
        }
    }

    fn fence(&mut self) -> Fence {
        self.version += 1;
        Fence { uid: format!("forecast-{}", self.version), resource_version: self.version.to_string() }
    }
}

/// The public half of a key that nobody has made: of the right kind, and of its own for each number.
pub fn made_up(algorithm: Algorithm, rsa_key_bits: Option<i32>, number: i64) -> Result<PublicJwk, JwkError> {
    // Odd, as a modulus is, and small, as a coordinate has to be.
    let number = number.saturating_mul(2).saturating_add(1).to_be_bytes();
    let octets = |length: usize| [vec![0; length - number.len()], number.to_vec()].concat();
    match algorithm.curve() {
        Some(curve) if algorithm.family() == Family::Ec => {
            PublicJwk::ec(algorithm, &octets(curve.octets), &octets(curve.octets))
        }
        Some(curve) => PublicJwk::okp(algorithm, &octets(curve.octets)),
        None => {
            let bits = usize::try_from(rsa_key_bits.unwrap_or_default()).unwrap_or_default().max(2048);
            let mut modulus = octets(bits / 8);
            modulus[0] = 0x80;
            PublicJwk::rsa(algorithm, &modulus, &[1, 0, 1])
        }
    }
}

/// As the controller: more than any healthy pass needs.
const MOST_ROUNDS: usize = 24;
