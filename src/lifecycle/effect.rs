//! What a plan asks for: writes as data, each safe on its own.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::event::Event;
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
