//! Events: what is worth telling people, and which write is worth which event.

use super::effect::{DeleteCause, Effect, Provenance, PublishCause, RecordCause, SignerChange};
use crate::api::SecretKeyRef;
use crate::jose::KeyId;

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
