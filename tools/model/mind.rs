//! What a controller thinks: the real `lifecycle::plan`, asked with what was seen, its answer as writes of the small world.
//!
//! The same question has the same answer, so each is asked once. What is taken out of a stored status is what cannot come
//! back in an effect: the conditions and the next transition. A status whose conditions are up to date and one whose are
//! not can still differ in the digests that it goes on accepting; then both answers are explored.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;

use crate::api::names::{condition, reason};
use crate::api::{
    Condition, ConditionStatus, ImportedKey, KeySetSpec, KeySetStatus, Lifecycle, Origin, RevocationMode,
    RotationReason, SigningKeyStatus,
};
use crate::cast::{self, BROUGHT, Cast, ENTRY, KIDS, Kid, Kids, SLOTS, kid, material, name, slot, slot_of, time};
use crate::intern::Interner;
use crate::jose::{JwkSet, PublicJwk};
use crate::lifecycle::{
    Clock, ConfigMapContent, Effect, Fence, Import, Key, Observed, ObservedKeySet, Ownership, Pass, PassState, Plan,
    PrivateHalf, Provenance, PublishCause, Published, Replica, ServedKeys, Signer, SignerChange, SignerContent,
    SignerSecret, Stray, Witness, plan, sought,
};
use crate::state::Sight;

/// What a replica serves, under which revision, and for each kid how long ago it answered without it.
pub(crate) type Served = (Kids, u8, [u8; KIDS]);

/// All that was ever thought, and the values behind the numbers of a state.
pub(crate) struct Mind {
    pub(crate) cast: Cast,
    pub(crate) specs: Vec<KeySetSpec>,
    pub(crate) keys: Interner<Key>,
    pub(crate) signers: Interner<SignerSecret>,
    pub(crate) documents: Interner<Document>,
    pub(crate) statuses: Interner<Stored>,
    pub(crate) passes: Interner<Look>,
    pub(crate) queues: Interner<Vec<Write>>,
    pub(crate) labels: Interner<String>,
    answers: RwLock<HashMap<Question, Answer>>,
}

/// A JWKS ConfigMap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Document {
    /// `None`: not a set of ours.
    pub(crate) kids: Option<Kids>,
    pub(crate) revision: i64,
}

/// A status without its conditions, and the documents that it accepts with their revisions.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) status: KeySetStatus,
    pub(crate) accepted: Vec<(Kids, u8)>,
}

/// A look at the replicas.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    pub(crate) is_complete: bool,
    /// Of each that answers: what it serves, at which revision, and since when.
    pub(crate) answers: Vec<Option<Served>>,
}

/// One write to one object, or one of the two that make a key.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) act: Act,
    /// What and why, for the table of coverage.
    pub(crate) label: u32,
}

#[derive(Clone, Debug)]
pub(crate) enum Act {
    Status(u32),
    /// Create the Key Secret, or take the one that is there.
    MakeSecret(usize),
    /// Copy the pair that a user brings along.
    CopySecret(usize, Kid),
    /// Create the SigningKey for the pair in hand: its record for either material.
    MakeKey(usize, [u16; 2]),
    Adopt(usize, u16),
    Signer {
        create: bool,
        signer: u16,
        activates: bool,
        /// Verifiers may lack the key: it takes over before its time, and the status will say so.
        declared: bool,
    },
    Ledger(usize, u16),
    /// Read the KeySet again: what is to be published must still be what it accepts.
    Check,
    Publish {
        create: bool,
        document: u16,
    },
    Rebuild(usize, Kid),
    DeleteSecret(usize),
    DeleteKey(usize),
}

/// What a plan depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    pub(crate) sight: Sight,
    pub(crate) tick: u8,
    /// The clock of this controller is ahead by so many ticks.
    pub(crate) ahead: u8,
}

/// What to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    /// The queue, 0 for none; and the other one if the digests to accept depend on what is left out.
    pub(crate) queues: [u32; 2],
    /// There is nothing to do, and all is as it should be.
    pub(crate) is_healthy: bool,
    /// The next tick at which time alone changes the plan; `u8::MAX` for never.
    pub(crate) wake: u8,
}

impl Mind {
    pub(crate) fn new(specs: Vec<KeySetSpec>) -> Self {
        Self {
            cast: Cast::new(),
            specs,
            keys: Interner::new(),
            signers: Interner::new(),
            documents: Interner::new(),
            statuses: Interner::new(),
            passes: Interner::new(),
            queues: Interner::new(),
            labels: Interner::new(),
            answers: RwLock::default(),
        }
    }

    /// How many plans were made.
    pub(crate) fn plans(&self) -> usize {
        self.answers.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(crate) fn answer(&self, question: &Question) -> Answer {
        if let Some(answer) = self.answers.read().unwrap_or_else(PoisonError::into_inner).get(question) {
            return *answer;
        }
        let answer = self.think(question);
        self.answers.write().unwrap_or_else(PoisonError::into_inner).insert(*question, answer);
        answer
    }

    fn think(&self, question: &Question) -> Answer {
        let now = time(i64::from(question.tick) + i64::from(question.ahead));
        let mut observed = self.observed(question);
        let fresh = plan(&observed, now);
        observed.key_set.status.conditions.clone_from(&fresh.status.conditions);
        observed.key_set.status.next_transition.clone_from(&fresh.status.next_transition);
        let settled = plan(&observed, now);
        let queues = [self.queue(&observed, &settled, now), self.queue(&observed, &fresh, now)];
        let is_healthy = queues[0] == 0 && is_healthy(&observed, &settled);
        let wake = settled
            .wake_at
            .map_or(u8::MAX, |wake| (0..u8::MAX).find(|tick| time(i64::from(*tick)) >= wake).unwrap_or(u8::MAX));
        Answer { queues, is_healthy, wake }
    }

    fn observed(&self, question: &Question) -> Observed {
        let mut observed = self.looked(question);
        let served = sought(&observed).and_then(|replica| replica.served.as_ref());
        observed.witness = served.map(|served| {
            let set = self.cast.of_digest(&served.digest).map(|kids| self.cast.set(kids));
            Witness { digest: served.digest.clone(), set }
        });
        observed
    }

    fn looked(&self, question: &Question) -> Observed {
        let sight = &question.sight;
        let status = self.statuses.value(sight.objects.status).map(|stored| stored.status.clone()).unwrap_or_default();
        let claimed = status.observed_uid.is_some();
        let signer = self.signers.value(u32::from(sight.objects.signer));
        Observed {
            imports: self.imports(sight),
            issuer: None,
            witness: None,
            key_set: ObservedKeySet {
                name: cast::SET.to_owned(),
                namespace: "auth".to_owned(),
                uid: cast::UID.to_owned(),
                resource_version: "1".to_owned(),
                generation: i64::from(sight.spec) + 1,
                spec: self.specs[usize::from(sight.spec)].clone(),
                status,
            },
            keys: (0..SLOTS).filter_map(|slot| self.seen_key(sight, slot)).collect(),
            undecodable: Vec::new(),
            strays: self.strays(sight, signer.as_deref(), claimed),
            obstacle: None,
            targets: Vec::new(),
            signer: signer.map_or(Signer::Absent, |signer| Signer::Ours((*signer).clone())),
            published: self.documents.value(u32::from(sight.objects.published)).map_or(Published::Absent, |document| {
                Published::Ours(ConfigMapContent {
                    fence: fence(),
                    digest: Some(document.kids.map_or_else(|| self.cast.junk().clone(), |kids| self.cast.digest(kids))),
                    set: document.kids.map(|kids| self.cast.set(kids)),
                    revision: Some(document.revision),
                    issuer: None,
                    ownership: Ownership::AsWanted,
                })
            }),
            pass: self.passes.value(sight.pass).map(|look| self.pass(&look, sight.seen, question.ahead)),
            clock: Clock::Trusted,
        }
    }

    /// The entries of `importedKeys` that no key stands for; their Secret is always there.
    fn imports(&self, sight: &Sight) -> Vec<Import> {
        let spec = &self.specs[usize::from(sight.spec)];
        let records = || sight.objects.keys.iter().filter_map(|key| self.arc_key(*key));
        let stands = |entry: &&ImportedKey| {
            records().any(|key| key.origin == Origin::Imported && key.entry_name.as_ref() == Some(&entry.name))
        };
        let missing = spec.imported_keys.iter().filter(|entry| !stands(entry));
        missing
            .map(|entry| Import { entry_name: entry.name.clone(), key: Ok(self.cast.jwk(BROUGHT).clone()) })
            .collect()
    }

    fn seen_key(&self, sight: &Sight, slot: usize) -> Option<Key> {
        let key = self.keys.value(u32::from(sight.objects.keys[slot]))?;
        let private = match sight.objects.secrets[slot] {
            0 => PrivateHalf::Absent,
            stored if key.kid() == Some(self.cast.jwk(stored - 1).kid()) => PrivateHalf::Stored(fence()),
            _ => PrivateHalf::Mismatched(fence()),
        };
        Some(Key { private, ..(*key).clone() })
    }

    /// As `controller::observe` looks for them: under the names in the status, or around the first ones and the signer's.
    fn strays(&self, sight: &Sight, signer: Option<&SignerSecret>, claimed: bool) -> Vec<Stray> {
        let signing = signer.and_then(|signer| slot_of(&signer.key_name));
        let is_near = |slot: usize| claimed || slot < 2 || signing.is_some_and(|it| slot.abs_diff(it) <= 2);
        let missing = (0..SLOTS).filter(|slot| sight.objects.keys[*slot] == 0 && is_near(*slot));
        let strays = missing.filter(|slot| sight.objects.secrets[*slot] != 0);
        strays
            .map(|slot| Stray {
                entry_name: (sight.objects.secrets[slot] == BROUGHT + 1).then(|| ENTRY.to_owned()),
                sequence: slot as i64 + 1,
                jwk: self.cast.jwk(sight.objects.secrets[slot] - 1).clone(),
            })
            .collect()
    }

    fn pass(&self, look: &Look, seen: u8, ahead: u8) -> Pass {
        let replica = |(index, answer): (usize, &Option<Served>)| Replica {
            endpoint: index.to_string(),
            served: answer.map(|(kids, revision, since)| ServedKeys {
                key_set_uid: Some(cast::UID.to_owned()),
                revision: i64::from(revision),
                digest: self.cast.digest(kids),
                ages: kids
                    .iter()
                    .map(|kid| {
                        let without = since[usize::from(kid)].checked_sub(1);
                        let age = without.map(|tick| cast::length(i64::from(seen) - i64::from(tick)));
                        (self.cast.jwk(kid).kid().clone(), age)
                    })
                    .collect(),
            }),
        };
        Pass {
            time: time(i64::from(seen) + i64::from(ahead)),
            state: if look.is_complete { PassState::Complete } else { PassState::Incomplete("0".to_owned()) },
            replicas: look.answers.iter().enumerate().map(replica).collect(),
        }
    }

    /// The writes of a plan; 0 if there are none.
    fn queue(&self, observed: &Observed, plan: &Plan, now: Timestamp) -> u32 {
        let status = self.stored(plan.status.clone());
        let mut writes = Vec::new();
        for effect in &plan.effects {
            self.translate(effect, observed, plan, status, now, &mut writes);
        }
        let stored = self.stored(observed.key_set.status.clone());
        if plan.effects.is_empty() && status != stored {
            writes.push(self.write(Act::Status(status), "status: report".to_owned()));
        }
        if writes.is_empty() { 0 } else { self.queues.number(writes) }
    }

    fn translate(
        &self,
        effect: &Effect,
        observed: &Observed,
        plan: &Plan,
        status: u32,
        now: Timestamp,
        writes: &mut Vec<Write>,
    ) {
        match effect {
            Effect::RecordStatus => {
                let before = &observed.key_set.status;
                let digest = |status: &KeySetStatus| status.publication.as_ref().and_then(|it| it.digest.clone());
                let why = match () {
                    () if before.observed_uid.is_none() => "status: claim",
                    () if digest(before) != digest(&plan.status) => "status: accept",
                    () => "status: lost evidence",
                };
                writes.push(self.write(Act::Status(status), why.to_owned()));
            }
            Effect::StageKey { sequence, rsa_key_bits, status, .. } => {
                // The world ends where its names do.
                let Some(slot) = slot_at(*sequence) else { return };
                let key = |material| {
                    let jwk = self.cast.jwk(kid(slot, material)).clone();
                    self.key(Key { rsa_key_bits: *rsa_key_bits, ..new_key(slot, &Provenance::Generated, jwk, status) })
                };
                writes.push(self.write(Act::MakeSecret(slot), "stage: Key Secret".to_owned()));
                writes.push(self.write(Act::MakeKey(slot, [key(1), key(2)]), "stage: SigningKey".to_owned()));
            }
            Effect::AdoptKey { sequence, provenance, jwk, lifecycle, status } => {
                let Some(slot) = slot_at(*sequence) else { return };
                let key = Key { lifecycle: lifecycle.clone(), ..new_key(slot, provenance, jwk.clone(), status) };
                let label = if key.origin == Origin::External { "announce" } else { "adopt" };
                writes.push(self.write(Act::Adopt(slot, self.key(key)), label.to_owned()));
            }
            Effect::RecordKey { key, lifecycle, status, .. } => {
                let Some(seen) = observed.keys.iter().find(|it| it.name == *key) else { return };
                let Some(slot) = slot_of(key) else { return };
                let label = format!("record: {}", status.state.map_or_else(String::new, |state| format!("{state:?}")));
                let key = Key { lifecycle: lifecycle.clone(), status: Some(status.clone()), ..seen.clone() };
                writes.push(self.write(Act::Ledger(slot, self.key(key)), label));
            }
            Effect::WriteSigner { .. } | Effect::ApplyConfigMap { .. } => {
                if matches!(effect, Effect::ApplyConfigMap { .. }) {
                    writes.push(self.write(Act::Check, "publish: check".to_owned()));
                }
                writes.extend(self.applied(effect, observed, plan, now));
            }
            Effect::RebuildKeySecret { key, key_id } => {
                let target = slot_of(key).zip(self.cast.kid(key_id));
                writes.extend(target.map(|(slot, kid)| self.write(Act::Rebuild(slot, kid), "rebuild".to_owned())));
            }
            Effect::DeleteKeySecret { key, cause, .. } => {
                let label = format!("delete Key Secret: {cause:?}");
                writes.extend(slot_of(key).map(|slot| self.write(Act::DeleteSecret(slot), label)));
            }
            Effect::ImportKey { sequence, entry, jwk, lifecycle, status } => {
                let Some((slot, kid)) = slot_at(*sequence).zip(self.cast.kid(jwk.kid())) else { return };
                let (entry_name, secret_ref) = (entry.name.clone(), entry.secret_ref.clone());
                let provenance = Provenance::Imported { entry_name, secret_ref };
                let key = Key { lifecycle: lifecycle.clone(), ..new_key(slot, &provenance, jwk.clone(), status) };
                writes.push(self.write(Act::CopySecret(slot, kid), "import: Key Secret".to_owned()));
                writes.push(self.write(Act::MakeKey(slot, [self.key(key); 2]), "import: SigningKey".to_owned()));
            }
            Effect::DeleteSigningKey { key, .. } => {
                writes.extend(slot_of(key).map(|slot| self.write(Act::DeleteKey(slot), "prune".to_owned())));
            }
            Effect::RecordOwnership { .. } | Effect::MarkWorkload { .. } => {}
        }
    }

    /// The two objects that are applied.
    fn applied(&self, effect: &Effect, observed: &Observed, plan: &Plan, now: Timestamp) -> Option<Write> {
        match effect {
            Effect::WriteSigner { fence, record, change } => {
                let activates = *change == SignerChange::Activate;
                let known = plan.status.keys.iter().find(|key| key.key_id.as_ref() == Some(&record.key_id));
                let early = known.and_then(|key| key.earliest_activation_time).is_none_or(|time| time > now);
                let signer = SignerSecret {
                    key_set_uid: Some(cast::UID.to_owned()),
                    fence: self::fence(),
                    term: record.term,
                    key_id: record.key_id.clone(),
                    key_name: record.key_name.clone(),
                    activation_time: record.activation_time,
                    replaced: record.replaced.clone(),
                    barred: record.barred.clone(),
                    reason: record.reason,
                    content: SignerContent::Intact,
                    ownership: Ownership::AsWanted,
                };
                let label = if activates {
                    format!("signer: Activate {:?}", record.reason)
                } else {
                    format!("signer: {change:?}")
                };
                let declared = activates && early && may_declare(observed, record.reason);
                let signer = small(self.signers.number(signer));
                Some(self.write(Act::Signer { create: fence.is_none(), signer, activates, declared }, label))
            }
            Effect::ApplyConfigMap { fence, set, revision, cause, .. } => {
                let why = match cause {
                    PublishCause::Publish { removed, .. } if !removed.is_empty() => "publish: without a key",
                    PublishCause::Publish { .. } => "publish: with a key",
                    PublishCause::Repair | PublishCause::Issuer => "publish: repair",
                };
                let document = Document { kids: Some(self.cast.kids(set)), revision: *revision };
                let document = small(self.documents.number(document));
                Some(self.write(Act::Publish { create: fence.is_none(), document }, why.to_owned()))
            }
            _ => None,
        }
    }

    /// The number of a status as it is stored.
    pub(crate) fn stored(&self, mut status: KeySetStatus) -> u32 {
        status.conditions = Vec::new();
        status.next_transition = None;
        let publication = status.publication.clone().unwrap_or_default();
        // As `server::source` reads it.
        let revision = publication.revision.and_then(|revision| u8::try_from(revision).ok());
        let accepted = revision.map(|revision| {
            let current = publication.digest.iter().map(|digest| (digest, revision));
            let previous = publication.previous_digests.iter().zip(1..);
            let previous = previous.map(|(digest, age)| (digest, revision.saturating_sub(age)));
            current
                .chain(previous)
                .filter_map(|(digest, revision)| Some((self.cast.of_digest(digest)?, revision)))
                .collect()
        });
        self.statuses.number(Stored { status, accepted: accepted.unwrap_or_default() })
    }

    /// The number of a SigningKey: what a fence, a generation or the time of a condition says is not part of it.
    pub(crate) fn key(&self, key: Key) -> u16 {
        let status = key.status.map(|status| SigningKeyStatus {
            observed_generation: Some(1),
            conditions: status
                .conditions
                .into_iter()
                .map(|it| Condition { last_transition_time: time(0), ..it })
                .collect(),
            ..status
        });
        small(self.keys.number(Key { fence: fence(), generation: 1, private: PrivateHalf::Absent, status, ..key }))
    }

    /// The kid that a SigningKey stands for.
    pub(crate) fn kid_of(&self, key: &Key) -> Option<Kid> {
        key.kid().and_then(|key_id| self.cast.kid(key_id))
    }

    pub(crate) fn arc_key(&self, number: u16) -> Option<Arc<Key>> {
        self.keys.value(u32::from(number))
    }

    fn write(&self, act: Act, label: String) -> Write {
        Write { act, label: self.labels.number(label) }
    }

    /// A write in words.
    pub(crate) fn told(&self, write: &Write) -> String {
        let label = self.labels.value(write.label).map(|label| (*label).clone()).unwrap_or_default();
        let detail = match &write.act {
            Act::Status(status) => self.told_status(*status),
            Act::Check => "KeySet".to_owned(),
            Act::MakeSecret(slot)
            | Act::CopySecret(slot, _)
            | Act::DeleteSecret(slot)
            | Act::DeleteKey(slot)
            | Act::MakeKey(slot, _) => name(*slot),
            Act::Adopt(_, key) | Act::Ledger(_, key) => self.told_key(*key),
            Act::Signer { signer, .. } => self.told_signer(*signer),
            Act::Publish { document, .. } => self.told_document(*document),
            Act::Rebuild(_, kid) => self.told_kid(*kid),
        };
        format!("{label} ({detail})")
    }

    pub(crate) fn told_kid(&self, kid: Kid) -> String {
        let suffix = if material(kid) == 1 { "" } else { "'" };
        format!("K{}{suffix}", slot(kid) + 1)
    }

    pub(crate) fn told_kids(&self, kids: Kids) -> String {
        kids.iter().map(|kid| self.told_kid(kid)).collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn told_document(&self, document: u16) -> String {
        self.documents.value(u32::from(document)).map_or("absent".to_owned(), |document| {
            let kids = document.kids.map_or("junk".to_owned(), |kids| self.told_kids(kids));
            format!("{{{kids}}} revision {}", document.revision)
        })
    }

    pub(crate) fn told_signer(&self, signer: u16) -> String {
        let kid = |key_id: &crate::jose::KeyId| self.cast.kid(key_id).map(|kid| self.told_kid(kid)).unwrap_or_default();
        self.signers.value(u32::from(signer)).map_or("absent".to_owned(), |it| {
            let barred: Vec<String> = it.barred.iter().map(kid).collect();
            let since = cast::told(it.activation_time);
            let replaced = it.replaced.as_ref().map(kid).unwrap_or_default();
            format!("{} term {} at {since} after {replaced} barred {}", kid(&it.key_id), it.term, barred.join(" "))
        })
    }

    pub(crate) fn told_key(&self, key: u16) -> String {
        self.arc_key(key).map_or("absent".to_owned(), |key| {
            let kid = self.kid_of(&key).map(|kid| self.told_kid(kid)).unwrap_or_default();
            let it = &key.lifecycle;
            let times = [
                ("activated", it.activation_time),
                ("retired", it.retirement_time),
                ("removable", it.earliest_removal_time),
                ("removed", it.removal_time),
                ("revoked", it.revocation_time),
            ];
            let times: Vec<String> =
                times.iter().filter_map(|(word, at)| Some(format!("{word} {}", cast::told((*at)?)))).collect();
            let term = it.term.map(|term| format!(" term {term}")).unwrap_or_default();
            format!("{kid}{term} {}", times.join(" "))
        })
    }

    pub(crate) fn told_status(&self, status: u32) -> String {
        self.statuses.value(status).map_or("lost".to_owned(), |stored| {
            let accepted: Vec<String> = stored
                .accepted
                .iter()
                .map(|(kids, revision)| format!("{{{}}}@{revision}", self.told_kids(*kids)))
                .collect();
            let seen = stored.status.keys.iter().filter_map(|key| {
                let kid = self.cast.kid(key.key_id.as_ref()?)?;
                let since = |time: Option<Timestamp>| time.map_or("-".to_owned(), cast::told);
                Some(format!(
                    "{} v{} e{}",
                    self.told_kid(kid),
                    since(key.visible_time),
                    since(key.earliest_activation_time)
                ))
            });
            format!("accepts {} seen {}", accepted.join(" "), seen.collect::<Vec<_>>().join(", "))
        })
    }
}

/// Whether nothing is left to do, now or by the mere passing of time.
fn is_healthy(observed: &Observed, plan: &Plan) -> bool {
    let is = |r#type: &str, status: ConditionStatus| {
        plan.status.conditions.iter().any(|it| it.r#type == r#type && it.status == status)
    };
    // Where the names of the world end no standby can be made.
    let at_the_end = observed.keys.iter().any(|key| key.sequence == SLOTS as i64);
    let retires = observed.keys.iter().any(Key::is_retired);
    let lingers = |key: &Key| key.is_revoked() && (!key.is_removed() || matches!(key.private, PrivateHalf::Stored(_)));
    let lingers = observed.keys.iter().any(lingers);
    // What nobody has a record of would be published for ever.
    let published = match &observed.published {
        Published::Ours(document) => document.set.as_ref().map(JwkSet::keys).unwrap_or_default(),
        Published::Absent | Published::Foreign => &[],
    };
    let is_recorded = |jwk: &PublicJwk| observed.keys.iter().any(|key| key.kid() == Some(jwk.kid()));
    let recorded = published.iter().all(is_recorded);
    // A pin that cannot hold any more is for a person to take back: the set rests, and says so.
    let ready = plan.status.conditions.iter().find(|it| it.r#type == condition::READY);
    let answered = ready.is_some_and(|it| it.status == ConditionStatus::True || it.reason == reason::PIN_UNAVAILABLE);
    answered
        && is(condition::ROTATION_OVERDUE, ConditionStatus::False)
        && (is(condition::STANDBY_READY, ConditionStatus::True) || at_the_end)
        && !retires
        && !lingers
        && recorded
}

/// Whether a switch may come before every copy without the key is gone: nothing else can sign, or the revocation says so.
fn may_declare(observed: &Observed, reason: RotationReason) -> bool {
    let Signer::Ours(signer) = &observed.signer else { return reason == RotationReason::KeyLost };
    let signing = observed.keys.iter().find(|key| key.kid() == Some(&signer.key_id));
    let stored = signing.is_some_and(|key| matches!(key.private, PrivateHalf::Stored(_)));
    let revoked = &observed.key_set.spec.revoked_keys;
    let mode = revoked.iter().find(|revoked| revoked.key_id == signer.key_id).map(|revoked| revoked.mode);
    match reason {
        RotationReason::KeyLost => true,
        RotationReason::Revoked => {
            let can_sign = stored || signer.content == SignerContent::Intact;
            !can_sign || mode.is_some_and(|mode| mode != RevocationMode::AfterSwitch)
        }
        _ => false,
    }
}

fn new_key(slot: usize, provenance: &Provenance, jwk: PublicJwk, status: &SigningKeyStatus) -> Key {
    let (origin, entry_name) = match provenance {
        Provenance::Generated => (Origin::Generated, None),
        Provenance::Imported { entry_name, .. } => (Origin::Imported, Some(entry_name.clone())),
        Provenance::External { entry_name } => (Origin::External, Some(entry_name.clone())),
    };
    Key {
        name: name(slot),
        fence: fence(),
        generation: 1,
        sequence: slot as i64 + 1,
        origin,
        entry_name,
        algorithm: jwk.algorithm(),
        rsa_key_bits: None,
        jwk: Some(jwk),
        lifecycle: Lifecycle::default(),
        status: Some(status.clone()),
        private: PrivateHalf::Absent,
        ownership: Ownership::AsWanted,
    }
}

fn slot_at(sequence: i64) -> Option<usize> {
    usize::try_from(sequence - 1).ok().filter(|slot| *slot < SLOTS)
}

fn fence() -> Fence {
    Fence { uid: "u".to_owned(), resource_version: "1".to_owned() }
}

/// Numbers of rare values are small; the one that is not would be a world too large for this model.
pub(crate) fn small(number: u32) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}
