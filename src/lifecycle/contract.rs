//! The timing contract: what `spec` promises to signers and verifiers, as lengths of time.

use jiff::{SignedDuration, Timestamp};

use crate::api::{KeySetSpec, RotationMode};

/// The letters of DESIGN section 2, read from a KeySet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contract {
    /// `T`: longest lifetime of a token.
    pub token_lifetime: SignedDuration,
    /// `C`: longest time that a verifier may use an old copy of the set.
    pub cache_age: SignedDuration,
    /// `L`: Signer Secret written until the last signature by the old key.
    pub reload_lag: SignedDuration,
    /// `S`: difference between any two clocks.
    pub clock_skew: SignedDuration,
    /// `M`: slack before removal.
    pub margin: SignedDuration,
    /// `B`: how long a demoted private half is kept.
    pub rollback_window: SignedDuration,
    /// `R`: age at which the active key is replaced.
    pub interval: SignedDuration,
    /// `D`: ConfigMap written until every replica serves it.
    pub publication_delay: SignedDuration,
}

impl Contract {
    /// Reads the contract out of a spec that the API server has validated.
    pub fn new(spec: &KeySetSpec) -> Self {
        Self {
            token_lifetime: spec.tokens.max_lifetime.length(),
            cache_age: spec.verifiers.max_cache_age.length(),
            reload_lag: spec.signers.max_reload_lag.length(),
            clock_skew: spec.clock_skew.length(),
            margin: spec.retention.margin.length(),
            rollback_window: spec.rotation.rollback_window.length(),
            interval: spec.rotation.interval.length(),
            publication_delay: spec.publication.max_delay.length(),
        }
    }

    /// `C + S`: how long a key is seen served before it signs (law 1).
    pub fn lead(&self) -> SignedDuration {
        sum([self.cache_age, self.clock_skew])
    }

    /// `L + T + S + M`: how long a key stays published after its successor took over (law 2).
    pub fn retention(&self) -> SignedDuration {
        sum([self.reload_lag, self.token_lifetime, self.clock_skew, self.margin])
    }

    /// How long until a key that signs today has been replaced by age and has left, at most:
    /// `R` with its jitter, `D + C + S`, `L + T + S + M`.
    pub fn cycle(&self) -> SignedDuration {
        sum([self.interval, self.interval / JITTER_PARTS, self.publication_delay, self.lead(), self.retention()])
    }

    /// When a key that was activated at `activation` is due to be replaced by age, or `None` if age does not matter.
    ///
    /// A part of `R` that is fixed for each object is added, so that a fleet made by one `kubectl apply` does not rotate
    /// in one second. A suspended set keeps its due time: the status tells that it is overdue.
    pub fn due(&self, mode: RotationMode, uid: &str, activation: Timestamp) -> Option<Timestamp> {
        match mode {
            RotationMode::Interval | RotationMode::Suspended => {
                Some(after(after(activation, self.interval), self.jitter(uid)))
            }
            RotationMode::OnRequest => None,
        }
    }

    /// Up to a twentieth of `R`, never over an hour, in whole seconds.
    fn jitter(&self, uid: &str) -> SignedDuration {
        let span = (self.interval.as_secs() / i64::from(JITTER_PARTS)).min(MAX_JITTER_SECONDS);
        if span <= 0 {
            return SignedDuration::ZERO;
        }
        // FNV-1a: any spread will do, as long as it is the same in every process.
        let hash = uid
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        SignedDuration::from_secs(i64::try_from(hash % span.unsigned_abs()).unwrap_or(0))
    }
}

/// `time + length`, at most the end of time: a promise never wraps into the past.
pub(super) fn after(time: Timestamp, length: SignedDuration) -> Timestamp {
    time.checked_add(length).unwrap_or(Timestamp::MAX)
}

/// The sum of lengths that the schema bounds to a year each.
fn sum<const N: usize>(lengths: [SignedDuration; N]) -> SignedDuration {
    lengths.into_iter().fold(SignedDuration::ZERO, SignedDuration::saturating_add)
}

/// Of `R`, for the jitter.
const JITTER_PARTS: i32 = 20;
const MAX_JITTER_SECONDS: i64 = 3600;
