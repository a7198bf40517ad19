//! Names that are part of the contract: labels, annotations, field managers, entries of Secrets and of
//! the ConfigMap, condition types and reasons.
//!
//! Invariant: a name that was released is never used for anything else. Deliberately absent:
//! `app.kubernetes.io/instance`, because deployment tools track by it; reasons of events (`lifecycle::EventReason`).

/// The label of every object that belongs to a KeySet; its value is the name of the KeySet.
pub const LABEL_KEY_SET: &str = "keyset.dev/keyset";
/// The label that says who manages an object; its value is [`MANAGED_BY`].
pub const LABEL_MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The value of [`LABEL_MANAGED_BY`].
pub const MANAGED_BY: &str = "keyset";
/// The field manager of everything that the operator applies for a KeySet.
pub const FIELD_MANAGER: &str = "keyset-keyset";
/// The field manager of what people write through `kubectl keyset`. Flux takes away what managers wrote that begin with
/// `kubectl`, which would undo an emergency.
pub const CLI_FIELD_MANAGER: &str = "keyset-cli";

/// The label by which the owner of a Secret lets a KeySet import from it; its value is the name of the KeySet.
pub const LABEL_IMPORT: &str = "keyset.dev/import";

/// Annotations of a Key Secret.
pub mod key_secret {
    /// The entry of `importedKeys` that the key was copied for; only on copies.
    pub const ENTRY_NAME: &str = "keyset.dev/entry-name";
}

/// Added to the name of a KeySet: the default name of its Signer Secret.
pub const SIGNER_SECRET_SUFFIX: &str = "-signing-key";
/// Added to the name of a KeySet: the default name of its JWKS ConfigMap.
pub const CONFIG_MAP_SUFFIX: &str = "-jwks";

/// Annotations of the Signer Secret.
pub mod signer {
    /// The number of this activation, as in `spec.lifecycle.term` of the SigningKey.
    pub const TERM: &str = "keyset.dev/term";
    /// The kid of the active key.
    pub const KEY_ID: &str = "keyset.dev/key-id";
    /// When the key was activated.
    pub const ACTIVATED_TIME: &str = "keyset.dev/activated-time";
    /// The kid of the key before.
    pub const REPLACED_KEY_ID: &str = "keyset.dev/replaced-key-id";
    /// The kids that must not become active again, separated by spaces.
    pub const BARRED_KEY_IDS: &str = "keyset.dev/barred-key-ids";
    /// The name of the SigningKey.
    pub const SIGNING_KEY: &str = "keyset.dev/signing-key";
    /// UID of the KeySet that it was written for: another one means a restore, or a KeySet that was made anew.
    pub const KEY_SET_UID: &str = "keyset.dev/keyset-uid";
    /// Why the active key changed: a `RotationReason`.
    pub const ROTATION_REASON: &str = "keyset.dev/rotation-reason";
}

/// What the operator writes into the Pod template of a rollout target. Both names end with that of the KeySet: a workload
/// may sign with the keys of several, and what one applies must not take away what another did.
pub mod rollout {
    /// The annotation; its value is the term and the kid of the key that the Pods start with.
    pub const MARK_PREFIX: &str = "keyset.dev/term.";
    /// The field manager of the annotation.
    pub const FIELD_MANAGER_PREFIX: &str = "keyset-rollout-";
}

/// Entries of the Signer Secret and of a Key Secret.
pub mod secret {
    /// The private key as a JWK: kid and key in one file.
    pub const PRIVATE_JWK: &str = "private.jwk";
    /// The private key as PKCS#8 PEM.
    pub const PRIVATE_PEM: &str = "private.pem";
    /// The public key as PEM; only in the Signer Secret.
    pub const PUBLIC_PEM: &str = "public.pem";
    /// The private RSA key as PKCS#1 PEM; only in a Signer Secret that is asked for it.
    pub const PRIVATE_PKCS1_PEM: &str = "private.pkcs1.pem";
    /// The private EC key as SEC 1 PEM; only in a Signer Secret that is asked for it.
    pub const PRIVATE_SEC1_PEM: &str = "private.sec1.pem";
    /// The kid.
    pub const KID: &str = "kid";
    /// The algorithm.
    pub const ALG: &str = "alg";
}

/// The JWKS ConfigMap.
pub mod config_map {
    /// Its only entry.
    pub const JWKS: &str = "jwks.json";
    /// The annotation with the revision of the set, as in `status.publication.revision`.
    pub const REVISION: &str = "keyset.dev/revision";
    /// The annotation with the digest of the set, as in `status.publication.digest`.
    pub const DIGEST: &str = "keyset.dev/digest";
    /// The annotation with the issuer, as in `status.publication.issuer`, for when the KeySet is gone.
    pub const ISSUER: &str = "keyset.dev/issuer";
}

/// Condition types.
pub mod condition {
    /// Whether the set is served and signs. Always shown.
    pub const READY: &str = "Ready";
    /// Whether the spec is understood and can be honoured. Always shown.
    pub const ACCEPTED: &str = "Accepted";
    /// Whether every server replica serves the set. Always shown.
    pub const PUBLISHED: &str = "Published";
    /// Whether the next key may sign at any time. Always shown.
    pub const STANDBY_READY: &str = "StandbyReady";
    /// Whether a rotation that is due is held back. Always shown.
    pub const ROTATION_OVERDUE: &str = "RotationOverdue";
    /// The first key is being published. Only while it is so.
    pub const RECONCILING: &str = "Reconciling";
    /// Only a person can put it right. Only while it is so.
    pub const STALLED: &str = "Stalled";
    /// Keys of more than one algorithm are published. Only while it is so.
    pub const MIXED_ALGORITHMS: &str = "MixedAlgorithms";
    /// A verifier may meet a kid that it does not know, after a forced switch. Only while it is so.
    pub const UNKNOWN_KEY_ID_WINDOW: &str = "UnknownKeyIDWindow";
    /// The spec names a kid that no key of the set has. Only while it is so.
    pub const UNKNOWN_KEY_ID: &str = "UnknownKeyID";
    /// A rollout target does not exist, may not be restarted, or does not come to an end. Only while it is so.
    pub const ROLLOUT_BLOCKED: &str = "RolloutBlocked";
    /// The clock of the operator went backwards or far ahead. Only while it is so.
    pub const CLOCK_UNTRUSTED: &str = "ClockUntrusted";
}

/// Condition reasons.
pub mod reason {
    /// Ready: the set is served and the active key signs.
    pub const SERVING: &str = "Serving";
    /// Not Ready: the first key is being published.
    pub const BOOTSTRAPPING: &str = "Bootstrapping";
    /// Not Ready: an object of a name that is needed is not ours.
    pub const NAME_CONFLICT: &str = "NameConflict";
    /// Not Ready: no key signs.
    pub const NO_ACTIVE_KEY: &str = "NoActiveKey";
    /// Not Ready: no server serves the set.
    pub const NOT_SERVED: &str = "NotServed";
    /// Accepted: the spec is understood and can be honoured.
    pub const ACCEPTED: &str = "Accepted";
    /// Not Ready and not Accepted: the spec has values of a later version.
    pub const UNKNOWN_VALUE: &str = "UnknownValue";
    /// Published: every replica serves the set.
    pub const VISIBLE: &str = "Visible";
    /// Not Published: some replica does not serve the set yet.
    pub const WAITING_FOR_VISIBILITY: &str = "WaitingForVisibility";
    /// Not Published, or overdue: a replica that served the set does not any more.
    pub const VISIBILITY_LOST: &str = "VisibilityLost";
    /// StandbyReady: no verifier has a copy without the standby any more.
    pub const VERIFIER_CACHES_EXPIRED: &str = "VerifierCachesExpired";
    /// Not StandbyReady: the standby is being made.
    pub const GENERATING: &str = "Generating";
    /// Not StandbyReady: verifiers may still have a copy without the standby.
    pub const WAITING_FOR_VERIFIER_CACHES: &str = "WaitingForVerifierCaches";
    /// Not overdue.
    pub const ON_SCHEDULE: &str = "OnSchedule";
    /// Not Accepted: a key of importedKeys or externalKeys cannot be taken.
    pub const INVALID_IMPORT: &str = "InvalidImport";
    /// Not Accepted: the pinned key cannot sign.
    pub const PIN_UNAVAILABLE: &str = "PinUnavailable";
    /// Not Accepted: the administrator has not allowed the host of the issuer to the namespace.
    pub const ISSUER_NOT_ALLOWED: &str = "IssuerNotAllowed";
    /// Not Accepted: an older KeySet has the issuer.
    pub const ISSUER_CONFLICT: &str = "IssuerConflict";
    /// Overdue: the active key is pinned.
    pub const PINNED: &str = "Pinned";
    /// Overdue: the rotation is suspended.
    pub const SUSPENDED: &str = "Suspended";
    /// Ready, of a SigningKey: the Key Secret holds the private half of the published key.
    pub const STORED: &str = "Stored";
    /// Ready, of a SigningKey: the private half was destroyed when the rollback window ended.
    pub const DESTROYED: &str = "Destroyed";
    /// Not Ready, of a SigningKey: the private half is gone although it is needed.
    pub const LOST: &str = "Lost";
    /// Ready, of a SigningKey: the key signs elsewhere.
    pub const PUBLIC_ONLY: &str = "PublicOnly";
    /// Keys of more than one family are published while the algorithm changes.
    pub const MIGRATING: &str = "Migrating";
    /// The first key signed as soon as it was served.
    pub const FIRST_KEY: &str = "FirstKey";
    /// A key had to take over before every cached copy had it.
    pub const KEY_LOST: &str = "KeyLost";
    /// A revocation asked for a switch before every cached copy had the next key.
    pub const REVOKED: &str = "Revoked";
    /// The records came back from a backup: copies in use may have other keys.
    pub const RESTORED: &str = "Restored";
    /// The spec names a kid that no key of the set has.
    pub const NOT_FOUND: &str = "NotFound";
    /// A rollout target may not be read or patched.
    pub const TARGET_REFUSED: &str = "TargetRefused";
    /// A rollout target has not restarted all its Pods within maxReloadLag.
    pub const ROLLOUT_OVERDUE: &str = "RolloutOverdue";
    /// A rollout target does not exist.
    pub const TARGET_NOT_FOUND: &str = "TargetNotFound";
}
