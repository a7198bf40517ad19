//! What a plan asks for: writes as data, each safe on its own.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::observed::{Fence, Mark};
use crate::api::names::condition;
use crate::api::{
    ConditionStatus, ImportedKey, KeySetStatus, Lifecycle, RolloutTarget, RotationReason, SecretKeyRef,
    SigningKeyStatus,
};
use crate::jose::{Algorithm, Digest, JwkSet, KeyId, PublicJwk};

/// The next writes, the status that tells of them, and when to look again.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Writes to perform now, in this order, stopping at the first that fails. Then observe and plan again.
    /// Empty: the system has settled, and only the status is left to store, if it differs.
    pub effects: Vec<Effect>,
    /// The status for what was observed.
    pub status: KeySetStatus,
    /// What the change of status is worth telling people.
    pub events: Vec<Event>,
    /// When time alone next changes the plan. `None`: only a change of an object does.
    pub wake_at: Option<Timestamp>,
}

impl Plan {
    /// Whether only a person can move this set on.
    pub fn is_stalled(&self) -> bool {
        self.status.conditions.iter().any(|it| it.r#type == condition::STALLED && it.status == ConditionStatus::True)
    }
}

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Store the status of the plan before anything else: a promise or an accepted digest must be durable first.
    RecordStatus,
    /// Create the Key Secret (generate, or adopt what is there), then the SigningKey with the public half.
    StageKey {
        /// Names both: `<keyset>-<sequence>`.
        sequence: i64,
        /// Of the key to generate.
        algorithm: Algorithm,
        /// Modulus size, for RSA.
        rsa_key_bits: Option<i32>,
        /// The first status of the SigningKey.
        status: SigningKeyStatus,
    },
    /// Create a SigningKey for a public key that has none: one whose record was lost, or an entry of `externalKeys`.
    AdoptKey {
        /// Names it: `<keyset>-<sequence>`.
        sequence: i64,
        /// Where the key comes from.
        provenance: Provenance,
        /// The public half, as published.
        jwk: PublicJwk,
        /// What is known of its past.
        lifecycle: Lifecycle,
        /// The first status of the SigningKey.
        status: SigningKeyStatus,
    },
    /// Copy a private key out of a Secret of the user's into a new Key Secret, then create the SigningKey.
    ImportKey {
        /// Names both: `<keyset>-<sequence>`.
        sequence: i64,
        /// The entry of the KeySet.
        entry: ImportedKey,
        /// The public half that the Secret must still have.
        jwk: PublicJwk,
        /// The promise that a key brings along whose tokens are in use.
        lifecycle: Lifecycle,
        /// The first status of the SigningKey.
        status: SigningKeyStatus,
    },
    /// Write the Signer Secret from the Key Secret, read live and self-tested.
    WriteSigner {
        /// `None`: create.
        fence: Option<Fence>,
        /// The whole record.
        record: SignerRecord,
        /// A new activation, or the same one put right.
        change: SignerChange,
    },
    /// Write the ledger of a SigningKey, and the report that follows from it: one write (docs/adr/0002).
    RecordKey {
        /// Name of the SigningKey.
        key: String,
        /// Of the SigningKey.
        fence: Fence,
        /// The whole ledger.
        lifecycle: Lifecycle,
        /// The whole status, for the generation that this write makes.
        status: SigningKeyStatus,
        /// What is recorded.
        cause: RecordCause,
    },
    /// Write the JWKS ConfigMap.
    ApplyConfigMap {
        /// `None`: create.
        fence: Option<Fence>,
        /// The set to publish; its canonical bytes have `digest`.
        set: JwkSet,
        /// Digest that the status accepts.
        digest: Digest,
        /// Revision of the set.
        revision: i64,
        /// The issuer that goes on being served when the KeySet is gone.
        issuer: Option<String>,
        /// Why it is written.
        cause: PublishCause,
    },
    /// Create the lost Key Secret of the signing key again, out of the Signer Secret.
    RebuildKeySecret {
        /// Name of the SigningKey.
        key: String,
        /// The Signer Secret must show this kid.
        key_id: KeyId,
    },
    /// Delete a Key Secret: the private half is destroyed.
    DeleteKeySecret {
        /// Name of the SigningKey.
        key: String,
        /// Of the Key Secret.
        fence: Fence,
        /// Whether a lawful end or a stray object.
        cause: DeleteCause,
    },
    /// Mark the Pod template of a workload, so that its Pods start anew. Idempotent: the same mark changes nothing.
    MarkWorkload {
        /// Which.
        target: RolloutTarget,
        /// UID of the workload: one that is gone is not created.
        uid: String,
        /// What its Pods start with.
        mark: Mark,
    },
    /// Delete the record of a removed key beyond `historyLimit`.
    DeleteSigningKey {
        /// Its name.
        key: String,
        /// Of the SigningKey.
        fence: Fence,
    },
    /// Put owner references of a SigningKey and its Key Secret as `deletionPolicy` wants them.
    RecordOwnership {
        /// Name of the SigningKey.
        key: String,
        /// Of the SigningKey.
        fence: Fence,
    },
}

/// What the Signer Secret shall say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignerRecord {
    /// Term of the activation.
    pub term: i64,
    /// Name of the SigningKey.
    pub key_name: String,
    /// Its kid.
    pub key_id: KeyId,
    /// When it took over.
    pub activation_time: Timestamp,
    /// kid of the key that it replaced.
    pub replaced: Option<KeyId>,
    /// kids that nobody may flip to.
    pub barred: BTreeSet<KeyId>,
    /// Why it took over.
    pub reason: RotationReason,
}

/// Where a key comes from whose SigningKey is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provenance {
    /// Made by the operator.
    Generated,
    /// Taken over from a Secret.
    Imported {
        /// `name` of the entry of `importedKeys`, or a name of ours if no entry is left.
        entry_name: String,
        /// Where the private half was.
        secret_ref: SecretKeyRef,
    },
    /// Public half only; signed elsewhere.
    External {
        /// `name` of the entry of `externalKeys`.
        entry_name: String,
    },
}

/// What a write of a ledger records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordCause {
    /// Nothing new: the report follows what was seen.
    Report,
    /// A later promise.
    Promise,
    /// The key signs.
    Activation,
    /// Another key signs, or the entry of an external key is gone.
    Retirement,
    /// The key must not be trusted.
    Revocation,
    /// The key leaves the set.
    Removal,
}

/// Why the Signer Secret is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignerChange {
    /// A new term: the named key takes over.
    Activate,
    /// The same activation; kids are barred or the owner reference changes.
    Bar,
    /// The same activation; `signers.files` asks for other files.
    Files,
    /// The same activation; the object was lost or damaged.
    Repair,
}

/// Why the ConfigMap is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishCause {
    /// The set changed; these SigningKeys are new in it.
    Publish {
        /// Names.
        added: Vec<String>,
        /// kids that leave.
        removed: Vec<KeyId>,
    },
    /// The set did not: the object was lost or tampered with.
    Repair,
    /// Nothing did but the issuer.
    Issuer,
}

/// Why a Key Secret is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteCause {
    /// The rollback window ended, or the key will never sign.
    Destroy,
    /// It holds another key than its SigningKey says.
    Mismatch,
}

/// Something to tell people, once it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Stable word for programs.
    pub reason: EventReason,
    /// SigningKey that it is about, if one.
    pub key: Option<String>,
    /// A sentence.
    pub note: String,
}

/// The reasons of Kubernetes Events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventReason {
    /// Warning: the wall clock cannot be believed.
    ClockUntrusted,
    /// A key became the signing key.
    KeyActivated,
    /// A key was generated.
    KeyGenerated,
    /// A private key was taken over from a Secret of the user's.
    KeyImported,
    /// Warning: a private half is gone before its time.
    KeyLost,
    /// A key entered the published set.
    KeyPublished,
    /// A key left the published set.
    KeyRemoved,
    /// A key is not to be trusted any more.
    KeyRevoked,
    /// Warning: an object of a name that we need is not ours.
    NameConflict,
    /// Warning: an object of ours was put right.
    ObjectRepaired,
    /// A private half was destroyed.
    PrivateKeyDestroyed,
    /// Warning: a rollout target is not there, may not be marked, or does not come to an end.
    RolloutBlocked,
    /// The Pods of a rollout target start anew.
    RolloutStarted,
    /// Warning: a rotation is overdue.
    RotationOverdue,
    /// The standby may sign.
    StandbyReady,
    /// Warning: a part of the spec cannot be honoured.
    NotAccepted,
    /// Warning: the spec names a kid that no key has.
    UnknownKeyId,
    /// Warning: the spec has values that this version does not know.
    UnknownValue,
    /// Warning: a replica no longer serves the active key.
    VisibilityLost,
}

impl EventReason {
    /// The reason as the Event carries it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClockUntrusted => "ClockUntrusted",
            Self::KeyActivated => "KeyActivated",
            Self::KeyGenerated => "KeyGenerated",
            Self::KeyImported => "KeyImported",
            Self::KeyLost => "KeyLost",
            Self::KeyPublished => "KeyPublished",
            Self::KeyRemoved => "KeyRemoved",
            Self::KeyRevoked => "KeyRevoked",
            Self::NameConflict => "NameConflict",
            Self::NotAccepted => "NotAccepted",
            Self::ObjectRepaired => "ObjectRepaired",
            Self::PrivateKeyDestroyed => "PrivateKeyDestroyed",
            Self::RolloutBlocked => "RolloutBlocked",
            Self::RolloutStarted => "RolloutStarted",
            Self::RotationOverdue => "RotationOverdue",
            Self::StandbyReady => "StandbyReady",
            Self::UnknownKeyId => "UnknownKeyID",
            Self::UnknownValue => "UnknownValue",
            Self::VisibilityLost => "VisibilityLost",
        }
    }

    /// Whether people must look (event type Warning).
    pub fn is_warning(self) -> bool {
        matches!(
            self,
            Self::ClockUntrusted
                | Self::KeyLost
                | Self::NameConflict
                | Self::NotAccepted
                | Self::ObjectRepaired
                | Self::RolloutBlocked
                | Self::RotationOverdue
                | Self::UnknownKeyId
                | Self::UnknownValue
                | Self::VisibilityLost
        )
    }
}

impl Effect {
    /// What to tell people once the write succeeded.
    pub fn event(&self, key_set: &str) -> Option<Event> {
        let (reason, key, note) = match self {
            Self::StageKey { sequence, algorithm, .. } => {
                let name = format!("{key_set}-{sequence}");
                (EventReason::KeyGenerated, Some(name.clone()), format!("Generated {name} ({algorithm})."))
            }
            Self::WriteSigner { record, change: SignerChange::Activate, .. } => (
                EventReason::KeyActivated,
                Some(record.key_name.clone()),
                format!("{} signs from now on (term {}, kid {}).", record.key_name, record.term, record.key_id),
            ),
            Self::WriteSigner { record, change: SignerChange::Repair, .. } => (
                EventReason::ObjectRepaired,
                Some(record.key_name.clone()),
                format!("Wrote the Signer Secret again from the Key Secret of {}.", record.key_name),
            ),
            Self::ApplyConfigMap { cause: PublishCause::Publish { added, .. }, .. } if !added.is_empty() => {
                (EventReason::KeyPublished, added.first().cloned(), format!("Published {}.", added.join(", ")))
            }
            Self::ApplyConfigMap { cause: PublishCause::Publish { removed, .. }, .. } => {
                let kids: Vec<_> = removed.iter().map(KeyId::as_str).collect();
                (EventReason::KeyRemoved, None, format!("Took kid {} out of the set.", kids.join(", ")))
            }
            Self::ApplyConfigMap { cause: PublishCause::Repair, .. } => (
                EventReason::ObjectRepaired,
                None,
                "Wrote the JWKS ConfigMap again: it was not as published.".to_owned(),
            ),
            Self::RebuildKeySecret { key, .. } => (
                EventReason::ObjectRepaired,
                Some(key.clone()),
                format!("Wrote the lost Key Secret {key} again from the Signer Secret."),
            ),
            Self::DeleteKeySecret { key, cause: DeleteCause::Destroy, .. } => {
                (EventReason::PrivateKeyDestroyed, Some(key.clone()), format!("Destroyed the private half of {key}."))
            }
            Self::ImportKey { sequence, entry, .. } => {
                let name = format!("{key_set}-{sequence}");
                let SecretKeyRef { name: secret, key } = &entry.secret_ref;
                let note = format!("Took {name} over from {key} of Secret {secret} (entry {}).", entry.name);
                (EventReason::KeyImported, Some(name), note)
            }
            Self::RecordKey { key, cause: RecordCause::Revocation, .. } => {
                (EventReason::KeyRevoked, Some(key.clone()), format!("Revoked {key}: it never signs again."))
            }
            Self::MarkWorkload { target, mark, .. } => (
                EventReason::RolloutStarted,
                None,
                format!("Marked the Pod template of {target} with term {}: its Pods start anew.", mark.term),
            ),
            // The event of its publication tells of an entry of externalKeys.
            Self::AdoptKey { provenance: Provenance::External { .. }, .. } => return None,
            Self::AdoptKey { sequence, .. } => {
                let name = format!("{key_set}-{sequence}");
                (EventReason::ObjectRepaired, Some(name.clone()), format!("Wrote the lost SigningKey {name} again."))
            }
            _ => return None,
        };
        Some(Event { reason, key, note })
    }
}
