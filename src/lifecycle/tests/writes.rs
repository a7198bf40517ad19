//! What the world does with the writes of a plan, and what it refuses: a stale fence, a ledger that moves earlier.

use super::{Activation, World};
use crate::api::{Lifecycle, Origin, SigningKeyStatus};
use crate::jose::{Digest, JwkSet, PublicJwk};
use crate::lifecycle::{
    ConfigMapContent, Effect, Fence, Key, Ownership, Plan, PrivateHalf, Provenance, Published, Signer, SignerChange,
    SignerContent, SignerRecord, SignerSecret,
};

impl World {
    pub(super) fn apply(&mut self, effect: &Effect, plan: &Plan) {
        self.log.push(self.line(effect));
        self.told.extend(effect.event(&self.key_set.name));
        match effect.clone() {
            Effect::RecordStatus => self.write_status(plan),
            Effect::StageKey { sequence, algorithm, rsa_key_bits, status } => {
                let jwk = self.made(algorithm, sequence);
                let private = PrivateHalf::Stored(self.fence());
                let key = self.create(sequence, &Provenance::Generated, jwk, Lifecycle::default(), status, private);
                key.rsa_key_bits = rsa_key_bits;
            }
            Effect::ImportKey { sequence, entry, jwk, lifecycle, status } => {
                self.imports.retain(|import| import.entry_name != entry.name);
                let private = PrivateHalf::Stored(self.fence());
                let provenance = Provenance::Imported { entry_name: entry.name, secret_ref: entry.secret_ref };
                self.create(sequence, &provenance, jwk, lifecycle, status, private);
            }
            Effect::AdoptKey { sequence, provenance, jwk, lifecycle, status } => {
                let stored = self.strays.iter().position(|stray| stray.sequence == sequence);
                let private = match stored {
                    Some(index) => {
                        self.strays.remove(index);
                        PrivateHalf::Stored(self.fence())
                    }
                    None => PrivateHalf::Absent,
                };
                self.create(sequence, &provenance, jwk, lifecycle, status, private);
            }
            Effect::WriteSigner { fence, record, change } => self.write_signer(fence.as_ref(), record, change),
            Effect::RecordKey { key, fence, lifecycle, status, .. } => {
                let new = self.fence();
                let key = self.keys.iter_mut().find(|it| it.name == key && it.fence == fence).unwrap();
                check_ledger(&key.lifecycle, &lifecycle);
                // The API server makes no generation of a write that changes nothing.
                let changed = key.lifecycle != lifecycle || key.status.as_ref() != Some(&status);
                key.lifecycle = lifecycle;
                key.status = Some(status);
                key.generation += i64::from(changed);
                key.fence = Fence { uid: key.fence.uid.clone(), ..new };
            }
            Effect::ApplyConfigMap { fence, set, digest, revision, issuer, .. } => {
                assert_eq!(digest, Digest::of(set.to_json().as_bytes()));
                self.write_config_map(fence.as_ref(), set, revision, issuer);
            }
            Effect::RebuildKeySecret { key, .. } => {
                let private = PrivateHalf::Stored(self.fence());
                self.keys.iter_mut().find(|it| it.name == key).unwrap().private = private;
            }
            Effect::DeleteKeySecret { key, .. } => {
                self.keys.iter_mut().find(|it| it.name == key).unwrap().private = PrivateHalf::Absent;
            }
            Effect::MarkWorkload { target, uid, mark } => self.mark(&target, &uid, mark),
            Effect::DeleteSigningKey { key, .. } => self.keys.retain(|it| it.name != key),
            Effect::RecordOwnership { key, .. } => {
                self.keys.iter_mut().find(|it| it.name == key).unwrap().ownership = Ownership::AsWanted;
            }
        }
    }

    fn write_signer(&mut self, fence: Option<&Fence>, record: SignerRecord, change: SignerChange) {
        let before = match &self.signer {
            Signer::Ours(signer) => {
                assert_eq!(fence, Some(&signer.fence), "stale fence");
                Some(signer.clone())
            }
            Signer::Absent => {
                assert_eq!(fence, None, "a fence for nothing");
                None
            }
            Signer::Illegible(found) => {
                assert_eq!(fence, Some(found), "stale fence");
                None
            }
            Signer::Foreign => panic!("a write to a foreign object"),
        };
        let key = self.keys.iter().find(|key| key.name == record.key_name).unwrap();
        // The Signer Secret itself has the private half as long as the key stays the same.
        let shown = before
            .as_ref()
            .is_some_and(|before| before.key_id == record.key_id && before.content == SignerContent::Intact);
        assert!(shown || matches!(key.private, PrivateHalf::Stored(_)), "{} cannot sign", key.name);
        assert!(!record.barred.contains(&record.key_id), "a flip to a barred key");
        assert!(change != SignerChange::Activate || !key.is_over(), "a flip to {}, which is over", key.name);
        if let Some(before) = before.filter(|before| before.key_id != record.key_id) {
            self.ghosts.overwritten.insert(before.key_id, self.now);
        }
        if change == SignerChange::Activate {
            let stored = self.key_set.status.keys.iter().find(|it| it.key_id.as_ref() == Some(&record.key_id));
            self.activations.push(Activation {
                key_id: record.key_id.clone(),
                time: self.now,
                reason: record.reason,
                last_without: self.ghosts.last_without.get(&record.key_id).copied(),
                earliest: stored.and_then(|key| key.earliest_activation_time),
            });
        }
        self.signer = Signer::Ours(SignerSecret {
            fence: self.fence(),
            term: record.term,
            key_id: record.key_id,
            key_name: record.key_name,
            activation_time: record.activation_time,
            replaced: record.replaced,
            barred: record.barred,
            reason: record.reason,
            key_set_uid: Some(self.key_set.uid.clone()),
            content: SignerContent::Intact,
            ownership: Ownership::AsWanted,
        });
        self.note_lifetime();
    }

    fn write_config_map(&mut self, fence: Option<&Fence>, set: JwkSet, revision: i64, issuer: Option<String>) {
        let found = match &self.published {
            Published::Ours(content) => Some(content.fence.clone()),
            Published::Absent => None,
            Published::Foreign => panic!("a write to a foreign object"),
        };
        assert_eq!(fence, found.as_ref(), "stale fence");
        self.published = Published::Ours(ConfigMapContent {
            fence: self.fence(),
            digest: Some(Digest::of(set.to_json().as_bytes())),
            set: Some(set),
            revision: Some(revision),
            issuer,
            ownership: Ownership::AsWanted,
        });
    }

    pub(super) fn write_status(&mut self, plan: &Plan) {
        self.key_set.status = plan.status.clone();
        self.told.extend(plan.events.iter().cloned());
    }

    fn create(
        &mut self,
        sequence: i64,
        provenance: &Provenance,
        jwk: PublicJwk,
        lifecycle: Lifecycle,
        status: SigningKeyStatus,
        private: PrivateHalf,
    ) -> &mut Key {
        let (origin, entry_name) = match provenance {
            Provenance::Generated => (Origin::Generated, None),
            Provenance::Imported { entry_name, .. } => (Origin::Imported, Some(entry_name.clone())),
            Provenance::External { entry_name } => (Origin::External, Some(entry_name.clone())),
        };
        assert!(origin != Origin::External || lifecycle.activation_time.is_none(), "an external key that signs");
        assert!(origin != Origin::Generated || jwk.kid() == jwk.thumbprint(), "a generated key with a kid of its own");
        let name = format!("pay-{sequence}");
        assert!(self.keys.iter().all(|key| key.name != name), "{name} exists");
        check_ledger(&Lifecycle::default(), &lifecycle);
        let key = Key {
            name,
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
        };
        self.keys.push(key);
        self.keys.sort_by_key(|key| key.sequence);
        self.key_mut(sequence)
    }

    pub(in super::super) fn line(&self, effect: &Effect) -> String {
        let since = self.now.duration_since("2026-01-01T00:00:00Z".parse().unwrap());
        let (days, rest) = (since.as_hours() / 24, since.as_secs() % 86_400);
        let what = match effect {
            Effect::RecordStatus => "status".to_owned(),
            Effect::StageKey { sequence, .. } => format!("stage pay-{sequence}"),
            Effect::ImportKey { sequence, entry, .. } => format!("import pay-{sequence} from {}", entry.name),
            Effect::AdoptKey { sequence, provenance: Provenance::External { entry_name }, .. } => {
                format!("external pay-{sequence} for {entry_name}")
            }
            Effect::AdoptKey { sequence, .. } => format!("adopt pay-{sequence}"),
            Effect::WriteSigner { record, change, .. } => {
                format!("signer {change:?} {} term {} barred {}", record.key_name, record.term, record.barred.len())
            }
            Effect::RecordKey { key, status, .. } => {
                let (state, private) = (status.state.unwrap(), status.private_key.unwrap());
                format!("record {key} {state:?} {private:?}")
            }
            Effect::ApplyConfigMap { set, revision, .. } => format!("publish {} keys revision {revision}", set.len()),
            Effect::RebuildKeySecret { key, .. } => format!("rebuild {key}"),
            Effect::DeleteKeySecret { key, .. } => format!("destroy {key}"),
            Effect::MarkWorkload { target, mark, .. } => format!("mark {target} term {}", mark.term),
            Effect::DeleteSigningKey { key, .. } => format!("prune {key}"),
            Effect::RecordOwnership { key, .. } => format!("own {key}"),
        };
        format!("day {days:>2} {:02}:{:02}:{:02} {what}", rest / 3600, rest / 60 % 60, rest % 60)
    }
}

/// The CEL rules of `SigningKey.spec.lifecycle`.
fn check_ledger(old: &Lifecycle, new: &Lifecycle) {
    assert!(new.term >= old.term, "term lowered");
    assert_eq!(new.term.is_some(), new.activation_time.is_some(), "term without activation");
    assert!(new.activation_time >= old.activation_time, "activation moved earlier");
    assert!(new.retirement_time >= old.retirement_time, "retirement moved earlier");
    assert!(new.earliest_removal_time >= old.earliest_removal_time, "promise moved earlier");
    assert!(old.removal_time.is_none() || new.removal_time == old.removal_time, "removal changed");
    let kept = new.removal_time >= new.earliest_removal_time && new.earliest_removal_time.is_some();
    assert!(new.removal_time.is_none() || new.revocation_time.is_some() || kept, "removed early");
    assert!(old.revocation_time.is_none() || new.revocation_time == old.revocation_time, "revocation changed");
    let complete = new.activation_time.is_some() && new.earliest_removal_time.is_some();
    assert!(new.retirement_time.is_none() || complete, "retired without a promise");
    let over = old.removal_time.is_some() || old.revocation_time.is_some();
    assert!(!over || new.activation_time == old.activation_time, "reactivated");
}
