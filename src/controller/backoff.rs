//! Backoff for each object: exponential, jittered by its UID, forgotten at the first success.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How often each object failed in a row.
#[derive(Default)]
pub(super) struct Backoff {
    failures: Mutex<HashMap<String, u32>>,
}

impl Backoff {
    /// Counts a failure; gives how long to wait.
    pub(super) fn failed(&self, uid: &str) -> Duration {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(uid.to_owned()).or_default();
        *count = count.saturating_add(1);
        spread(delay(*count), uid)
    }

    /// Forgets the failures: the object is well, or gone.
    pub(super) fn forget(&self, uid: &str) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

/// A length of time made up to a tenth longer, always by the same part for the same object, so that a fleet made at
/// once does not come back at once.
pub(super) fn spread(length: Duration, uid: &str) -> Duration {
    let mut hasher = DefaultHasher::new();
    uid.hash(&mut hasher);
    let part = u32::try_from(hasher.finish() % 1000).unwrap_or(0);
    length + length / 10_000 * part
}

fn delay(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    SHORTEST.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST)
}

const SHORTEST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_mins(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_five_minutes_and_starts_anew_after_a_success() {
        let backoff = Backoff::default();
        let waits: Vec<_> = (0..12).map(|_| backoff.failed("a").as_secs_f64()).collect();
        assert!(waits.windows(2).all(|pair| pair[1] >= pair[0]));
        assert!(waits[0] < 0.6 && waits[1] >= 1.0 && waits[11] >= 300.0 && waits[11] <= 330.0, "{waits:?}");
        backoff.forget("a");
        assert!(backoff.failed("a").as_secs_f64() < 0.6);
        assert!(backoff.failures.lock().unwrap().len() == 1);
    }

    #[test]
    fn objects_are_spread() {
        let times: std::collections::BTreeSet<_> =
            (0..50).map(|uid| spread(Duration::from_mins(10), &format!("uid-{uid}"))).collect();
        assert!(times.len() > 40);
        assert!(times.iter().all(|time| (600..=660).contains(&time.as_secs())));
    }
}
