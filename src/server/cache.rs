//! The Cache-Control header of a set: law 4 (header honesty).
//!
//! Invariant: max-age and every stale window together never exceed `maxCacheAge`, because the guards count on no copy
//! being older. A part of it is left unsaid on purpose: the verifier's own refresh and back-off count too.

use std::fmt;

use jiff::SignedDuration;

/// How long a copy may be used, in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CacheControl {
    pub(super) max_age: i64,
    pub(super) stale_while_revalidate: i64,
    pub(super) stale_if_error: i64,
}

impl CacheControl {
    /// For a retained set that this process never saw a spec of: short, because its `maxCacheAge` is not known.
    pub(super) const UNKNOWN: Self = Self { max_age: 60, stale_while_revalidate: 0, stale_if_error: 0 };

    /// What a spec promises: a copy lives for `cache_max_age`, but never longer than `max_cache_age`, whatever an old
    /// object says. The stale windows (RFC 5861) share three quarters of what the one leaves of the other.
    pub(super) fn new(cache_max_age: SignedDuration, max_cache_age: SignedDuration) -> Self {
        let bound = max_cache_age.as_secs().max(0);
        let max_age = cache_max_age.as_secs().clamp(0, bound);
        let rest = bound - max_age;
        Self { max_age, stale_while_revalidate: max_age.min(rest / 4), stale_if_error: rest / 2 }
    }
}

impl fmt::Display for CacheControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "public, max-age={}", self.max_age)?;
        for (name, seconds) in
            [("stale-while-revalidate", self.stale_while_revalidate), ("stale-if-error", self.stale_if_error)]
        {
            if seconds > 0 {
                write!(f, ", {name}={seconds}")?;
            }
        }
        // A cache that is cut off may serve stale copies for ever unless it is told how long (RFC 9111 section 4.2.4).
        if self.stale_if_error == 0 {
            write!(f, ", must-revalidate")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(a: i64, c: i64) -> CacheControl {
        CacheControl::new(SignedDuration::from_secs(a), SignedDuration::from_secs(c))
    }

    #[test]
    fn the_defaults_say_five_minutes_and_half_a_day() {
        assert_eq!(
            seconds(300, 86_400).to_string(),
            "public, max-age=300, stale-while-revalidate=300, stale-if-error=43050"
        );
        assert_eq!(seconds(10, 10).to_string(), "public, max-age=10, must-revalidate");
        assert_eq!(CacheControl::UNKNOWN.to_string(), "public, max-age=60, must-revalidate");
    }

    proptest! {
        #[test]
        fn law_4_all_windows_together_stay_within_max_cache_age(a in 0_i64..40_000_000_000, c in 0_i64..40_000_000_000) {
            let length = SignedDuration::from_millis;
            let cache = CacheControl::new(length(a), length(c));
            let sum = cache.max_age + cache.stale_while_revalidate + cache.stale_if_error;
            prop_assert!(SignedDuration::from_secs(sum) <= length(c), "{cache} of {a} ms in {c} ms");
            prop_assert!(cache.max_age >= 0 && cache.stale_while_revalidate >= 0 && cache.stale_if_error >= 0);
            if a <= c {
                prop_assert_eq!(cache.max_age, a / 1000);
            }
        }
    }
}
