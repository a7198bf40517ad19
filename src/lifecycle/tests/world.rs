//! A cluster in memory: objects with versions, replicas that follow the ConfigMap, and the ghosts that judge.
//!
//! [`writes`] has what it does with the writes of a plan, [`workloads`] what reads its key only once.

#[path = "workloads.rs"]
mod workloads;
#[path = "writes.rs"]
mod writes;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::api::{KeySetSpec, KeySetStatus, RotationReason};
use crate::jose::{Algorithm, Digest, JwkSet, KeyId, PublicJwk};
use crate::lifecycle::{
    Clock, Event, Fence, Import, IssuerObstacle, Key, Observed, ObservedKeySet, Pass, PassState, Plan, Published,
    Replica, ServedKeys, Signer, Stray, Witness, plan, sought,
};
use workloads::Running;

/// The cluster.
pub(super) struct World {
    pub(super) now: Timestamp,
    pub(super) key_set: ObservedKeySet,
    pub(super) keys: Vec<Key>,
    pub(super) signer: Signer,
    pub(super) published: Published,
    pub(super) servers: Vec<Server>,
    pub(super) clock: Clock,
    pub(super) workloads: Vec<Running>,
    pub(super) undecodable: Vec<String>,
    pub(super) strays: Vec<Stray>,
    pub(super) imports: Vec<Import>,
    pub(super) issuer: Option<IssuerObstacle>,
    /// Every write, as `day+time effect`.
    pub(super) log: Vec<String>,
    /// Every event, in the order in which people are told.
    pub(super) told: Vec<Event>,
    pub(super) activations: Vec<Activation>,
    pub(super) ghosts: Ghosts,
    version: u64,
    /// Counts rollbacks: a key that is made again under a name of before is another key.
    epoch: i64,
}

/// What a backup holds.
#[derive(Clone)]
pub(super) struct Backup {
    keys: Vec<Key>,
    signer: Signer,
    published: Published,
    status: KeySetStatus,
}

/// One switch, and what the ghosts knew at that moment.
pub(super) struct Activation {
    pub(super) key_id: KeyId,
    pub(super) time: Timestamp,
    pub(super) reason: RotationReason,
    /// When any replica last answered without the key.
    pub(super) last_without: Option<Timestamp>,
    /// From when the stored evidence let it sign.
    pub(super) earliest: Option<Timestamp>,
}

/// A replica of the server, with the memory that it reports from.
#[derive(Clone, Debug)]
pub(super) struct Server {
    /// Follows the ConfigMap; a lagging one keeps what it has.
    pub(super) follows: bool,
    /// Answers the prober.
    pub(super) answers: bool,
    pub(super) served: Option<(i64, JwkSet)>,
    /// UID of the KeySet that accepted it.
    key_set_uid: Option<String>,
    /// For each kid: when this process last answered without it.
    without: BTreeMap<KeyId, Timestamp>,
}

/// What really happened, whoever saw it: the judges of the laws.
#[derive(Default)]
pub(super) struct Ghosts {
    /// When any replica last answered 200 without this kid.
    pub(super) last_without: BTreeMap<KeyId, Timestamp>,
    /// When the Signer Secret last stopped showing this kid.
    pub(super) overwritten: BTreeMap<KeyId, Timestamp>,
    /// The longest token lifetime that may have been signed with this kid.
    pub(super) longest_lifetime: BTreeMap<KeyId, SignedDuration>,
}

impl World {
    /// An empty cluster with two replicas, and the KeySet just applied.
    pub(super) fn new(spec: &serde_json::Value) -> Self {
        let spec: KeySetSpec = serde_json::from_value(spec.clone()).unwrap();
        let server = Server { follows: true, answers: true, served: None, key_set_uid: None, without: BTreeMap::new() };
        Self {
            now: "2026-01-01T00:00:00Z".parse().unwrap(),
            key_set: ObservedKeySet {
                name: "pay".to_owned(),
                namespace: "auth".to_owned(),
                uid: "uid-1".to_owned(),
                resource_version: "1".to_owned(),
                generation: 1,
                spec,
                status: KeySetStatus { observed_generation: Some(-1), ..KeySetStatus::default() },
            },
            keys: Vec::new(),
            signer: Signer::Absent,
            published: Published::Absent,
            servers: vec![server.clone(), server],
            clock: Clock::Trusted,
            workloads: Vec::new(),
            undecodable: Vec::new(),
            strays: Vec::new(),
            imports: Vec::new(),
            issuer: None,
            log: Vec::new(),
            told: Vec::new(),
            activations: Vec::new(),
            ghosts: Ghosts::default(),
            version: 0,
            epoch: 0,
        }
    }

    pub(super) fn back_up(&self) -> Backup {
        Backup {
            keys: self.keys.clone(),
            signer: self.signer.clone(),
            published: self.published.clone(),
            status: self.key_set.status.clone(),
        }
    }

    /// As an etcd snapshot comes back: the status too, but not the spec, which is applied anew; servers run on.
    pub(super) fn roll_back(&mut self, backup: Backup) {
        if let (Signer::Ours(now), Signer::Ours(then)) = (&self.signer, &backup.signer)
            && now.key_id != then.key_id
        {
            self.ghosts.overwritten.insert(now.key_id.clone(), self.now);
        }
        self.keys = backup.keys;
        self.signer = backup.signer;
        self.published = backup.published;
        self.key_set.status = backup.status;
        self.epoch += 1;
    }

    /// As a backup is restored into a new cluster: no status, another UID, servers that know nothing.
    pub(super) fn restore(&mut self, backup: Backup) {
        self.roll_back(backup);
        "uid-2".clone_into(&mut self.key_set.uid);
        self.key_set.status = KeySetStatus { observed_generation: Some(-1), ..KeySetStatus::default() };
        for index in 0..self.servers.len() {
            self.restart_server(index);
        }
    }

    /// A complete manifest, everything else by default.
    pub(super) fn at_defaults() -> Self {
        Self::new(&serde_json::json!({"algorithm": "ES256", "tokens": {"maxLifetime": "1h"}}))
    }

    pub(super) fn observe(&self) -> Observed {
        let mut observed = Observed {
            key_set: self.key_set.clone(),
            keys: self.keys.clone(),
            undecodable: self.undecodable.clone(),
            strays: self.strays.clone(),
            imports: self.imports.clone(),
            issuer: self.issuer.clone(),
            obstacle: None,
            signer: self.signer.clone(),
            published: self.published.clone(),
            pass: Some(self.pass()),
            witness: None,
            targets: self.targets(),
            clock: self.clock.clone(),
        };
        let document = |digest: &Digest| {
            let served = self.servers.iter().filter_map(|server| server.served.as_ref());
            served.map(|(_, set)| set).find(|set| Digest::of(set.to_json().as_bytes()) == *digest).cloned()
        };
        let served = sought(&observed).and_then(|replica| replica.served.as_ref());
        observed.witness = served.map(|it| Witness { digest: it.digest.clone(), set: document(&it.digest) });
        observed
    }

    pub(super) fn plan(&self) -> Plan {
        plan(&self.observe(), self.now)
    }

    /// Plans and writes until nothing is left to write; gives the last plan.
    pub(super) fn settle(&mut self) -> Plan {
        self.settle_within(usize::MAX)
    }

    /// As `settle`, but the controller dies after so many writes.
    pub(super) fn settle_within(&mut self, mut writes: usize) -> Plan {
        for _ in 0..100 {
            let plan = self.plan();
            if plan.effects.is_empty() {
                if plan.status != self.key_set.status && writes > 0 {
                    self.write_status(&plan);
                }
                return plan;
            }
            for effect in &plan.effects {
                if writes == 0 {
                    return plan;
                }
                writes -= 1;
                self.apply(effect, &plan);
                self.serve();
            }
        }
        panic!("does not settle: {:#?}", &self.log[self.log.len() - 10..]);
    }

    /// Follows the planned wake-ups until `time`.
    pub(super) fn run_until(&mut self, time: Timestamp) {
        let mut idle = 0;
        for looks in 0.. {
            assert!(looks < MOST_LOOKS, "does not come to rest: {:#?}", &self.log[self.log.len().saturating_sub(10)..]);
            let written = self.log.len();
            let plan = self.settle();
            idle = if self.log.len() == written { idle + 1 } else { 0 };
            // A controller may be late, and polling for days is slow to simulate: after a while it looks once an hour.
            let lazy = self.now + SignedDuration::from_hours(i64::from(idle > PATIENCE));
            match plan.wake_at {
                Some(wake) if wake.max(lazy) <= time => {
                    assert!(wake > self.now, "a wake-up in the past: {wake}");
                    self.advance_to(wake.max(lazy));
                }
                _ => break,
            }
        }
        self.advance_to(time);
        self.settle();
    }

    pub(super) fn run_for(&mut self, text: &str) {
        self.run_until(self.after(text));
    }

    pub(super) fn after(&self, text: &str) -> Timestamp {
        self.now + text.parse::<SignedDuration>().unwrap()
    }

    /// A new process: it remembers nothing of what the old one answered.
    pub(super) fn restart_server(&mut self, index: usize) {
        let server = &mut self.servers[index];
        server.served = None;
        server.without.clear();
    }

    /// Lets time pass for the servers, with nobody in control.
    pub(super) fn advance_to(&mut self, time: Timestamp) {
        self.serve();
        self.now = time;
        self.serve();
        self.roll_out();
    }

    pub(super) fn edit(&mut self, edit: impl FnOnce(&mut KeySetSpec)) {
        edit(&mut self.key_set.spec);
        self.key_set.generation += 1;
        self.note_lifetime();
    }

    pub(super) fn key(&self, sequence: i64) -> &Key {
        self.keys.iter().find(|key| key.sequence == sequence).unwrap()
    }

    pub(super) fn key_mut(&mut self, sequence: i64) -> &mut Key {
        self.keys.iter_mut().find(|key| key.sequence == sequence).unwrap()
    }

    pub(super) fn signing_name(&self) -> Option<String> {
        match &self.signer {
            Signer::Ours(signer) => Some(signer.key_name.clone()),
            Signer::Absent | Signer::Foreign | Signer::Illegible(_) => None,
        }
    }

    pub(super) fn set(&self) -> Option<&JwkSet> {
        match &self.published {
            Published::Ours(content) => content.set.as_ref(),
            Published::Absent | Published::Foreign => None,
        }
    }

    pub(super) fn condition(&self, r#type: &str) -> Option<String> {
        let found = self.key_set.status.conditions.iter().find(|it| it.r#type == r#type)?;
        Some(format!("{:?}/{}", found.status, found.reason))
    }

    pub(super) fn fence(&mut self) -> Fence {
        self.version += 1;
        Fence { uid: format!("u{}", self.version), resource_version: self.version.to_string() }
    }

    /// The public half of the next key with that sequence.
    pub(super) fn made(&self, algorithm: Algorithm, sequence: i64) -> PublicJwk {
        Self::jwk(algorithm, sequence + EPOCH * self.epoch)
    }

    /// The public half of the key with that sequence; a made-up point, as the lifecycle never looks at it.
    pub(super) fn jwk(algorithm: Algorithm, sequence: i64) -> PublicJwk {
        let byte = u8::try_from(sequence).unwrap();
        match algorithm {
            Algorithm::ES256 => PublicJwk::ec(algorithm, &[byte; 32], &[byte; 32]).unwrap(),
            Algorithm::ES384 => PublicJwk::ec(algorithm, &[byte; 48], &[byte; 48]).unwrap(),
            Algorithm::EdDSA => PublicJwk::okp(algorithm, &[byte; 32]).unwrap(),
            _ => {
                let mut modulus = [0x81; 256];
                modulus[1] = byte;
                PublicJwk::rsa(algorithm, &modulus, &[1, 0, 1]).unwrap()
            }
        }
    }

    /// What the prober finds.
    fn pass(&self) -> Pass {
        let replicas = self.servers.iter().enumerate().filter(|(_, server)| server.answers);
        let replicas: Vec<Replica> = replicas
            .map(|(index, server)| Replica {
                endpoint: format!("10.0.0.{index}"),
                served: server.served.as_ref().map(|(revision, set)| ServedKeys {
                    key_set_uid: server.key_set_uid.clone(),
                    revision: *revision,
                    digest: Digest::of(set.to_json().as_bytes()),
                    ages: set
                        .keys()
                        .iter()
                        .map(|jwk| {
                            let without = server.without.get(jwk.kid());
                            (jwk.kid().clone(), without.map(|time| self.now.duration_since(*time)))
                        })
                        .collect(),
                }),
            })
            .collect();
        let silent = self.servers.iter().position(|server| !server.answers);
        let state = match silent {
            None if !replicas.is_empty() => PassState::Complete,
            None => PassState::Incomplete("no endpoint serves".to_owned()),
            Some(index) => PassState::Incomplete(format!("10.0.0.{index} does not answer")),
        };
        Pass { time: self.now, state, replicas }
    }

    /// Lets the replicas pick up the ConfigMap if its digest is accepted, and the ghosts watch their answers.
    pub(super) fn serve(&mut self) {
        let publication = self.key_set.status.publication.clone().unwrap_or_default();
        let offered = match &self.published {
            Published::Ours(content) => content.set.clone().zip(content.digest.clone()),
            Published::Absent | Published::Foreign => None,
        };
        let revision = publication.revision.unwrap_or(0);
        let offered = offered.and_then(|(set, digest)| {
            if Some(&digest) == publication.digest.as_ref() {
                Some((revision, set))
            } else {
                let age = publication.previous_digests.iter().position(|previous| *previous == digest)?;
                Some((revision - 1 - i64::try_from(age).unwrap(), set))
            }
        });
        let now = self.now;
        let kids: Vec<KeyId> = self.keys.iter().filter_map(|key| key.kid().cloned()).collect();
        for server in &mut self.servers {
            let newer = |offer: &(i64, JwkSet)| server.served.as_ref().is_none_or(|(served, _)| *served <= offer.0);
            if let Some(offer) = offered.clone().filter(|offer| server.follows && newer(offer)) {
                server.served = Some(offer);
                server.key_set_uid = Some(self.key_set.uid.clone());
            }
            let Some((_, set)) = &server.served else { continue };
            assert!(!set.is_empty(), "law 5: an empty set is served");
            for kid in kids.iter().filter(|kid| !set.contains(kid)) {
                server.without.insert(kid.clone(), now);
                self.ghosts.last_without.insert(kid.clone(), now);
            }
        }
    }

    /// The signing key signs tokens of the lifetime in force, until its signers have reloaded.
    pub(super) fn note_lifetime(&mut self) {
        let lifetime = self.key_set.spec.tokens.max_lifetime.length();
        let lag = self.key_set.spec.signers.max_reload_lag.length();
        let signing = match &self.signer {
            Signer::Ours(signer) => Some(signer.key_id.clone()),
            Signer::Absent | Signer::Foreign | Signer::Illegible(_) => None,
        };
        let lagging = self.ghosts.overwritten.iter().filter(|(_, time)| self.now <= **time + lag);
        let started = self.listed().flat_map(|running| running.kids_since(self.now - lag));
        let kids: Vec<KeyId> = lagging.map(|(kid, _)| kid.clone()).chain(signing).chain(started).collect();
        for kid in kids {
            let longest = self.ghosts.longest_lifetime.entry(kid).or_insert(lifetime);
            *longest = lifetime.max(*longest);
        }
    }
}

/// More keys than a history makes.
const EPOCH: i64 = 40;
/// More looks than a year takes.
const MOST_LOOKS: usize = 5_000;
/// Idle looks in a row after which a world gets lazy.
const PATIENCE: usize = 40;
